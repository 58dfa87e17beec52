//! A container's streams: what it writes, apart by stream, and what it reads.

use std::collections::VecDeque;
use std::io;

use bytes::{Buf as _, Bytes, BytesMut};
use hyper::Method;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};

use super::containers::Container;
use super::error::EngineError;
use super::request::{Asked, checked};

/// How much is read at once.
const PIECE: usize = 32 << 10;

/// A piece of what a container wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// On standard output, or on its terminal.
    Out(Bytes),
    /// On standard error.
    Err(Bytes),
}

/// The reading half of a container's streams.
#[derive(Debug)]
pub struct Streams {
    doing: String,
    from: ReadHalf<TokioIo<Upgraded>>,
    frames: Frames,
}

/// The writing half.
#[derive(Debug)]
pub struct Input(WriteHalf<TokioIo<Upgraded>>);

impl Container {
    /// Takes the container's streams, best before it is started: then nothing is missed. `tty` says whether it was made with a terminal.
    ///
    /// # Errors
    /// The engine's.
    pub async fn attach(&self, stdin: bool, tty: bool) -> Result<(Streams, Input), EngineError> {
        let doing = format!(
            "take the streams of the container {}",
            self.id().get(..12).unwrap_or(self.id())
        );
        let path = format!("/containers/{}/attach", checked(&doing, self.id())?);
        let asked = Asked::new(Method::POST, path, self.engine().limits().answer)
            .with("stream", "1")
            .with("stdin", if stdin { "1" } else { "0" })
            .with("stdout", "1")
            .with("stderr", "1");
        let connection = self.engine().upgrade(&doing, asked).await?;
        let (from, to) = tokio::io::split(connection);
        let streams = Streams {
            doing,
            from,
            frames: if tty { Frames::Raw } else { Frames::framed() },
        };
        Ok((streams, Input(to)))
    }
}

impl Streams {
    /// The next piece; nothing at the end.
    ///
    /// # Errors
    /// The connection's; frames that are none.
    pub async fn next(&mut self) -> Result<Option<Output>, EngineError> {
        loop {
            if let Some(output) = self.frames.next(&self.doing)? {
                return Ok(Some(output));
            }
            let mut piece = BytesMut::with_capacity(PIECE);
            let read = self.from.read_buf(&mut piece).await;
            match read {
                Ok(0) => return self.frames.end(&self.doing).map(|()| None),
                Ok(_) => {
                    if let Some(output) = self.frames.push(piece.freeze()) {
                        return Ok(Some(output));
                    }
                }
                Err(error) => return Err(EngineError::io(&self.doing, &error)),
            }
        }
    }
}

impl Input {
    /// Writes to the container's standard input.
    ///
    /// # Errors
    /// The connection's.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes).await?;
        self.0.flush().await
    }

    /// Ends the container's standard input; what it writes still comes.
    ///
    /// # Errors
    /// The connection's.
    pub async fn end(&mut self) -> io::Result<()> {
        self.0.shutdown().await
    }
}

/// Docker's frames: a byte for the stream, three of nothing, four of length, so many of content. A terminal has none.
#[derive(Debug)]
enum Frames {
    Raw,
    Framed {
        buffered: VecDeque<Bytes>,
        header: BytesMut,
        /// The stream and how much of its frame is still to come.
        open: Option<(u8, usize)>,
    },
}

impl Frames {
    fn framed() -> Self {
        Self::Framed {
            buffered: VecDeque::new(),
            header: BytesMut::with_capacity(8),
            open: None,
        }
    }

    /// Takes a piece; gives it back at once where it needs no taking apart.
    fn push(&mut self, piece: Bytes) -> Option<Output> {
        match self {
            Self::Raw => Some(Output::Out(piece)),
            Self::Framed { buffered, .. } => {
                buffered.push_back(piece);
                None
            }
        }
    }

    /// Content is given as it comes: a frame may be larger than any memory.
    fn next(&mut self, doing: &str) -> Result<Option<Output>, EngineError> {
        let Self::Framed { buffered, header, open } = self else {
            return Ok(None);
        };
        while let Some(piece) = buffered.front_mut() {
            if piece.is_empty() {
                buffered.pop_front();
                continue;
            }
            if let Some((stream, left)) = open {
                let now = (*left).min(piece.len());
                let content = piece.split_to(now);
                let stream = *stream;
                *left -= now;
                if *left == 0 {
                    *open = None;
                }
                return Ok(Some(if stream == 2 {
                    Output::Err(content)
                } else {
                    Output::Out(content)
                }));
            }
            let wanted = (8 - header.len()).min(piece.len());
            header.extend_from_slice(&piece[..wanted]);
            piece.advance(wanted);
            if header.len() == 8 {
                let stream = header[0];
                let length = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
                if stream > 2 || header[1..4] != [0, 0, 0] {
                    return Err(EngineError::garbage(doing, "a stream without frames"));
                }
                header.clear();
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                *open = (length > 0).then_some((stream, length));
            }
        }
        Ok(None)
    }

    fn end(&self, doing: &str) -> Result<(), EngineError> {
        match self {
            Self::Framed { header, open, .. } if !header.is_empty() || open.is_some() => Err(EngineError::cut(
                doing,
                "the container's output ended in the middle of a piece",
            )),
            Self::Raw | Self::Framed { .. } => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn joined(pieces: &[&[u8]]) -> Result<(Vec<u8>, Vec<u8>), EngineError> {
        let mut frames = Frames::framed();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        for piece in pieces {
            frames.push(Bytes::copy_from_slice(piece));
            while let Some(output) = frames.next("read")? {
                match output {
                    Output::Out(bytes) => out.extend_from_slice(&bytes),
                    Output::Err(bytes) => err.extend_from_slice(&bytes),
                }
            }
        }
        frames.end("read")?;
        Ok((out, err))
    }

    proptest! {
        #[test]
        fn streams_come_apart_however_they_are_cut(cuts in proptest::collection::vec(0usize..60, 0..10)) {
            let bytes = [b"\x01\0\0\0\0\0\0\x05hello".as_slice(), b"\x02\0\0\0\0\0\0\x03err", b"\x01\0\0\0\0\0\0\0", b"\x01\0\0\0\0\0\0\x01!"].concat();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.sort_unstable();
            cuts.push(bytes.len());
            let mut from = 0;
            let pieces: Vec<&[u8]> = cuts.iter().map(|cut| {
                let piece = &bytes[from..*cut];
                from = *cut;
                piece
            }).collect();
            prop_assert_eq!(joined(&pieces).unwrap(), (b"hello!".to_vec(), b"err".to_vec()));
        }
    }

    #[test]
    fn what_is_cut_or_none_is_told() {
        assert!(joined(&[b"\x01\0\0\0\0\0\0\x05hel"]).unwrap_err().is_transient());
        assert!(joined(&[b"\x01\0\0"]).is_err());
        assert!(!joined(&[b"HTTP/1.1 200"]).unwrap_err().is_transient());
    }
}
