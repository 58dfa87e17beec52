//! A file on offer: opened once, read once for its digests, served from then on as what it was then.

use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use sha1_checked::{CollisionResult, Sha1};
use sha2::{Digest as _, Sha256};
use windlass_core::hex::hex;

use crate::http::Facts;

/// A file that is whole. Under its name there may be another one by now: the one that was opened is served.
#[derive(Debug)]
pub struct Parcel {
    path: PathBuf,
    file: Arc<File>,
    stamp: Stamp,
    sha1: [u8; 20],
    sha256: [u8; 32],
    sent: AtomicU64,
}

/// What its maker says of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    /// Its bytes.
    pub size: u64,
    /// Its SHA-256.
    pub sha256: [u8; 32],
}

/// Why a file cannot be put on offer.
#[derive(Debug, thiserror::Error)]
pub enum ParcelError {
    /// It cannot be read.
    #[error("'{}' cannot be offered: {error}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why; not a source, since the message has it.
        error: io::Error,
    },
    /// It is a directory, a device, or something else without bytes of its own.
    #[error("'{}' cannot be offered: it is no regular file", .0.display())]
    NoFile(PathBuf),
    /// It changed while it was read.
    #[error("'{}' cannot be offered: it is still being written\n\nhint: write it under another name and rename it when it is whole", .0.display())]
    Moving(PathBuf),
    /// It is not what its maker says.
    #[error("'{}' is not what was made: it has {size} bytes and SHA-256 {sha256}, and not {} bytes and {}\n\nhint: it was cut short or replaced: make it again", path.display(), expected.size, hex(&expected.sha256))]
    Other {
        /// Which.
        path: PathBuf,
        /// Its bytes.
        size: u64,
        /// Its digest, as hexadecimal digits.
        sha256: String,
        /// What it was to be.
        expected: Expected,
    },
}

/// What changes when a file is written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(meta: &Metadata) -> Self {
        Self {
            size: meta.len(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        }
    }
}

impl Parcel {
    /// Opens a file and reads all of it for its digests: this takes a while and blocks. What its maker says of it is checked.
    ///
    /// # Errors
    /// It cannot be read, is not whole, or is not what it should be.
    pub fn open(path: &Path, expected: Option<Expected>) -> Result<Self, ParcelError> {
        let unread = |error| ParcelError::Read {
            path: path.to_owned(),
            error,
        };
        // A pipe must not hang the one who opens it.
        let file = File::options()
            .read(true)
            .custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed())
            .open(path)
            .map_err(unread)?;
        let meta = file.metadata().map_err(unread)?;
        if !meta.is_file() {
            return Err(ParcelError::NoFile(path.to_owned()));
        }
        let before = Stamp::of(&meta);
        let (sha1, sha256, size) = digests(&file).map_err(unread)?;
        if let Some(expected) = expected
            && (expected.size, expected.sha256) != (size, sha256)
        {
            return Err(ParcelError::Other {
                path: path.to_owned(),
                size,
                sha256: hex(&sha256),
                expected,
            });
        }
        let stamp = Stamp::of(&file.metadata().map_err(unread)?);
        // Only the bytes matter: a link that came or went changes the time of change, too.
        if (before.size, before.modified) != (stamp.size, stamp.modified) || size != stamp.size {
            return Err(ParcelError::Moving(path.to_owned()));
        }
        Ok(Self {
            path: path.to_owned(),
            file: Arc::new(file),
            stamp,
            sha1,
            sha256,
            sent: AtomicU64::new(0),
        })
    }

    /// Where it was.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its bytes.
    pub fn size(&self) -> u64 {
        self.stamp.size
    }

    /// Its SHA-1.
    pub fn sha1(&self) -> [u8; 20] {
        self.sha1
    }

    /// Its SHA-256.
    pub fn sha256(&self) -> [u8; 32] {
        self.sha256
    }

    /// How many bytes of it went out so far, to all devices together; those that went out twice are counted twice.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    pub(super) fn add_sent(&self, bytes: u64) {
        self.sent.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn file(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }

    /// Whether it still has the bytes that it was put on offer with, as far as its size and times say.
    pub(super) fn is_unchanged(&self) -> bool {
        self.file.metadata().is_ok_and(|meta| {
            let stamp = Stamp::of(&meta);
            (stamp.size, stamp.modified) == (self.stamp.size, self.stamp.modified)
        })
    }

    /// What a client's conditions are held against. Its tag is the digest: a download goes on over a restart, and not into other bytes.
    pub(super) fn facts(&self) -> Facts {
        Facts {
            size: self.stamp.size,
            etag: format!("\"{}\"", hex(&self.sha256)),
            modified: Timestamp::from_second(self.stamp.modified.0).ok(),
        }
    }
}

fn digests(mut file: &File) -> io::Result<([u8; 20], [u8; 32], u64)> {
    // Devices of protocol 2.0 want SHA-1; a collision is no danger where the one who makes the file names it.
    let mut sha1 = Sha1::builder().detect_collision(false).build();
    let mut sha256 = Sha256::new();
    let mut buffer = vec![0; 256 << 10];
    let mut size = 0;
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => {
                sha1_checked::Digest::update(&mut sha1, &buffer[..read]);
                sha256.update(&buffer[..read]);
                size += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let CollisionResult::Ok(sha1) = sha1.try_finalize() else {
        return Err(io::Error::other("its SHA-1 cannot be had"));
    };
    Ok((sha1.into(), sha256.finalize().into(), size))
}
