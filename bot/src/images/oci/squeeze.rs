//! Gzip on several processors at once: the same bytes in, the same bytes out, on every machine.
//!
//! What is written is cut into pieces of [`PIECE`] bytes. Each is deflated by itself and ends on a byte boundary (a sync flush), so that
//! the pieces one after the other are *one* deflate stream in one gzip member, which every reader takes. Where a piece ends follows
//! from its content's place only, never from the number of threads or from how the bytes were handed in. The compressor is zlib-rs, whose
//! tables and hashes are the same on all processors; a test holds a digest of its output, so that a new version that writes other bytes
//! is noticed.
//!
//! One thread hashes what comes in, one for each processor deflates, and one writes and hashes what comes out. No more than a
//! few pieces are ever in memory.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use flate2::{Compress, Compression, Crc, FlushCompress, Status};
use sha2::{Digest as _, Sha256};
use windlass_core::hex::hex;

/// How much is deflated in one piece.
const PIECE: usize = 512 << 10;

/// How hard it is tried: levels above 2 cost far more time than they save bytes (measured on libraries: 35.6 % of the size is left at level 2, and
/// 33.2 % at level 6, which takes three times as long). Level 1 is no choice: zlib-rs 0.6.8 panics there when what a sync flush has to
/// write does not fit.
const LEVEL: u32 = 2;

/// The most threads that deflate.
const MOST_THREADS: usize = 8;

/// A gzip header without a name and a time; "unknown" as operating system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// An empty last deflate block of fixed codes.
const LAST: [u8; 2] = [0x03, 0x00];

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Squeezed {
    /// SHA-256 of what was written in, as hexadecimal digits.
    pub(super) inner: String,
    /// SHA-256 of the compressed bytes.
    pub(super) outer: String,
    /// How many compressed bytes there are.
    pub(super) size: u64,
}

/// A writer that compresses into another one.
#[derive(Debug)]
pub(super) struct Squeezer {
    piece: Vec<u8>,
    /// What is to be hashed; `None` once it is known that a thread has gone.
    to_hash: Option<SyncSender<Arc<Vec<u8>>>>,
    to_deflate: Option<SyncSender<Order>>,
    to_write: Option<SyncSender<Receiver<Deflated>>>,
    hashing: Option<JoinHandle<String>>,
    deflating: Vec<JoinHandle<()>>,
    writing: Option<JoinHandle<io::Result<(String, u64)>>>,
}

/// A piece, and where it is wanted.
type Order = (Arc<Vec<u8>>, SyncSender<Deflated>);

/// A deflated piece with the checksum of what it was.
type Deflated = io::Result<(Vec<u8>, Crc)>;

impl Squeezer {
    /// Starts the threads.
    pub(super) fn new(out: impl Write + Send + 'static) -> Self {
        let threads = thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
        let (to_hash, hashed) = sync_channel::<Arc<Vec<u8>>>(2);
        let (to_deflate, orders) = sync_channel::<Order>(threads);
        let (to_write, deflated) = sync_channel::<Receiver<Deflated>>(2 * threads);
        let orders = Arc::new(Mutex::new(orders));
        Self {
            piece: Vec::with_capacity(PIECE),
            to_hash: Some(to_hash),
            to_deflate: Some(to_deflate),
            to_write: Some(to_write),
            hashing: Some(thread::spawn(move || hash_all(&hashed))),
            deflating: (0..threads)
                .map(|_| {
                    let orders = Arc::clone(&orders);
                    thread::spawn(move || deflate_all(&orders))
                })
                .collect(),
            writing: Some(thread::spawn(move || write_all(&deflated, out))),
        }
    }

    fn hand_over(&mut self) -> io::Result<()> {
        let piece = Arc::new(std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE)));
        let (answer, answered) = sync_channel(1);
        let sent = self
            .to_hash
            .as_ref()
            .is_some_and(|to| to.send(Arc::clone(&piece)).is_ok())
            && self.to_write.as_ref().is_some_and(|to| to.send(answered).is_ok())
            && self
                .to_deflate
                .as_ref()
                .is_some_and(|to| to.send((piece, answer)).is_ok());
        if sent {
            return Ok(());
        }
        // The writing thread ended early: it knows why.
        Err(self
            .end_threads()
            .err()
            .unwrap_or_else(|| io::Error::other("a thread that compresses is gone")))
    }

    fn end_threads(&mut self) -> io::Result<Squeezed> {
        self.to_hash = None;
        self.to_deflate = None;
        self.to_write = None;
        let panicked = || io::Error::other("a thread that compresses panicked");
        let inner = self.hashing.take().map(JoinHandle::join);
        let deflated: Vec<_> = self.deflating.drain(..).map(JoinHandle::join).collect();
        let (outer, size) = self
            .writing
            .take()
            .ok_or_else(panicked)?
            .join()
            .map_err(|_| panicked())??;
        if deflated.iter().any(Result::is_err) {
            return Err(panicked());
        }
        let inner = inner.and_then(Result::ok).ok_or_else(panicked)?;
        Ok(Squeezed { inner, outer, size })
    }

    /// Writes what is left and waits until all is on its way to the disk.
    pub(super) fn finish(mut self) -> io::Result<Squeezed> {
        if !self.piece.is_empty() {
            self.hand_over()?;
        }
        self.end_threads()
    }
}

impl Drop for Squeezer {
    fn drop(&mut self) {
        // Given up: nobody waits for what came of it, but no thread stays behind.
        let _ = self.end_threads();
    }
}

impl Write for Squeezer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(PIECE - self.piece.len());
        self.piece.extend_from_slice(&bytes[..taken]);
        if self.piece.len() == PIECE {
            self.hand_over()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        // Where a piece ends is not for the caller to say.
        Ok(())
    }
}

fn hash_all(pieces: &Receiver<Arc<Vec<u8>>>) -> String {
    let mut digest = Sha256::new();
    for piece in pieces {
        digest.update(piece.as_slice());
    }
    hex(&digest.finalize())
}

fn deflate_all(orders: &Mutex<Receiver<Order>>) {
    let mut compress = Compress::new(Compression::new(LEVEL), false);
    loop {
        // Whoever panicked with the lock held has ended; the channel is as good as before.
        let order = orders.lock().unwrap_or_else(std::sync::PoisonError::into_inner).recv();
        let Ok((piece, answer)) = order else { return };
        // If nobody waits for it any more, the writer has failed and tells.
        let _ = answer.send(deflate(&mut compress, &piece));
    }
}

fn deflate(compress: &mut Compress, piece: &[u8]) -> Deflated {
    compress.reset();
    let mut out = Vec::with_capacity(piece.len() / 2 + 1024);
    loop {
        let taken = usize::try_from(compress.total_in())
            .unwrap_or(usize::MAX)
            .min(piece.len());
        if out.capacity() - out.len() < 1024 {
            out.reserve(64 << 10);
        }
        let status = compress
            .compress_vec(&piece[taken..], &mut out, FlushCompress::Sync)
            .map_err(io::Error::other)?;
        match status {
            Status::Ok | Status::BufError => {}
            Status::StreamEnd => return Err(io::Error::other("a piece ended the stream")),
        }
        // A flush is complete only if there was room left.
        if compress.total_in() == piece.len() as u64 && out.len() < out.capacity() {
            break;
        }
    }
    let mut crc = Crc::new();
    crc.update(piece);
    Ok((out, crc))
}

fn write_all(pieces: &Receiver<Receiver<Deflated>>, mut out: impl Write) -> io::Result<(String, u64)> {
    let mut digest = Sha256::new();
    let mut size = 0;
    let mut put = |bytes: &[u8]| {
        digest.update(bytes);
        size += bytes.len() as u64;
        out.write_all(bytes)
    };
    let mut crc = Crc::new();
    put(&HEADER)?;
    for piece in pieces {
        let (bytes, of_piece) = piece
            .recv()
            .map_err(|_| io::Error::other("a thread that compresses is gone"))??;
        put(&bytes)?;
        crc.combine(&of_piece);
    }
    put(&LAST)?;
    put(&crc.sum().to_le_bytes())?;
    put(&crc.amount().to_le_bytes())?;
    out.flush()?;
    Ok((hex(&digest.finalize()), size))
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    /// A writer whose bytes can be had while others hold it.
    #[derive(Debug)]
    struct Out(Sender<Vec<u8>>);

    impl Write for Out {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(bytes.to_vec()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn squeezed(parts: &[&[u8]]) -> (Vec<u8>, Squeezed) {
        let (sender, receiver) = channel();
        let mut writer = Squeezer::new(Out(sender));
        for part in parts {
            writer.write_all(part).unwrap();
        }
        let done = writer.finish().unwrap();
        (receiver.iter().flatten().collect(), done)
    }

    /// Text that is neither all alike nor without any pattern.
    fn text(length: usize) -> Vec<u8> {
        let mut state = 1_u32;
        (0..length)
            .map(|at| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                if at % 64 < 40 {
                    b"the same words in each line of it, again and again"[at % 64]
                } else {
                    state.to_be_bytes()[0]
                }
            })
            .collect()
    }

    #[test]
    fn what_went_in_comes_out() {
        for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, 5 * PIECE + 17] {
            let content = text(length);
            let (bytes, squeezed) = squeezed(&[&content]);
            let mut out = Vec::new();
            // A reader of one member only: what stands behind it would be missing.
            flate2::read::GzDecoder::new(&bytes[..]).read_to_end(&mut out).unwrap();
            assert!(out == content, "{length}");
            assert_eq!(squeezed.size, bytes.len() as u64);
            assert_eq!(squeezed.outer, hex(&Sha256::digest(&bytes)));
            assert_eq!(squeezed.inner, hex(&Sha256::digest(&content)));
        }
    }

    #[test]
    fn how_it_is_handed_in_makes_no_difference() {
        let content = text(3 * PIECE + 5);
        let whole = squeezed(&[&content]);
        let parts: Vec<&[u8]> = content.chunks(777).collect();
        assert!(whole == squeezed(&parts));
    }

    #[test]
    fn incompressible_bytes_hardly_grow() {
        let mut state = 7_u64;
        let content: Vec<u8> = (0..2 * PIECE)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state.to_be_bytes()[3]
            })
            .collect();
        let (bytes, _) = squeezed(&[&content]);
        assert!(bytes.len() < content.len() + content.len() / 500, "{}", bytes.len());
    }

    #[test]
    fn the_compressor_writes_what_it_always_wrote() {
        let (_, squeezed) = squeezed(&[&text(PIECE + 1000)]);
        assert_eq!(
            squeezed.outer, "2e478aa670b97f381724cc2ad768643ade1a9b6c6d684119451fbd65d6e1c1fc",
            "the compressor writes other bytes than before: every layer gets a new digest; say so in the changelog"
        );
    }

    #[test]
    fn a_full_disk_is_told() {
        #[derive(Debug)]
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::Error::from_raw_os_error(28))
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut squeezer = Squeezer::new(Full);
        let mut failed = None;
        for _ in 0..100 {
            if let Err(error) = squeezer.write_all(&text(PIECE)) {
                failed = Some(error);
                break;
            }
        }
        let error = failed.unwrap_or_else(|| squeezer.finish().unwrap_err());
        assert_eq!(error.raw_os_error(), Some(28));
    }
}
