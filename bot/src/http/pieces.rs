//! A file, or a part of one, as the body of an answer: piece by piece, no more in memory than the client takes.
//!
//! What the system has in memory is copied at once; only what has to be read from the disk goes to a thread that may wait.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use rustix::io::{Errno, ReadWriteFlags, preadv2};
use tokio::task::JoinHandle;

/// How much is read at once: as much as stays in a processor's cache until it is sent.
const PIECE: u64 = 128 << 10;

/// The bytes of a file that are still to come.
#[derive(Debug)]
pub(crate) struct Pieces {
    file: Arc<File>,
    left: Range<u64>,
    piece: u64,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
    /// Whether the file system can be asked for what it has in memory.
    tells: bool,
}

impl Pieces {
    /// Those of a file.
    pub(crate) fn of(file: impl Into<Arc<File>>, range: Range<u64>) -> Self {
        Self {
            file: file.into(),
            left: range,
            piece: PIECE,
            reading: None,
            tells: true,
        }
    }

    /// The same in pieces of this many bytes, at most of the usual size.
    pub(crate) fn in_pieces_of(mut self, piece: u64) -> Self {
        self.piece = piece.clamp(1, PIECE);
        self
    }

    /// How many bytes are read next.
    pub(crate) fn next_length(&self) -> u64 {
        (self.left.end - self.left.start).min(self.piece)
    }

    /// The next piece, if all of it is in memory.
    fn at_once(&mut self) -> Option<Bytes> {
        if !self.tells {
            return None;
        }
        let mut piece = vec![0; self.length()];
        let mut slices = [IoSliceMut::new(&mut piece)];
        match preadv2(&self.file, &mut slices, self.left.start, ReadWriteFlags::NOWAIT) {
            Ok(read) if read == piece.len() => return Some(piece.into()),
            // Whatever keeps it from being whole is found out by whoever waits for it.
            Ok(_) | Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => self.tells = false,
        }
        None
    }

    fn length(&self) -> usize {
        usize::try_from(self.next_length()).unwrap_or(0)
    }

    fn read(&self) -> JoinHandle<io::Result<Bytes>> {
        let (file, at) = (Arc::clone(&self.file), self.left.start);
        let length = self.length();
        tokio::task::spawn_blocking(move || {
            let mut piece = vec![0; length];
            file.read_exact_at(&mut piece, at)?;
            Ok(piece.into())
        })
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.left.is_empty() {
            return Poll::Ready(None);
        }
        let mut reading = match self.reading.take() {
            Some(reading) => reading,
            None => match self.at_once() {
                Some(piece) => {
                    self.left.start += piece.len() as u64;
                    return Poll::Ready(Some(Ok(Frame::data(piece))));
                }
                None => self.read(),
            },
        };
        let Poll::Ready(read) = Pin::new(&mut reading).poll(context) else {
            self.reading = Some(reading);
            return Poll::Pending;
        };
        let piece = read.map_err(io::Error::other).and_then(|read| read);
        Poll::Ready(Some(piece.map(|piece| {
            self.left.start += piece.len() as u64;
            Frame::data(piece)
        })))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left.end - self.left.start)
    }
}
