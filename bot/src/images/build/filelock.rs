//! A locked file: one process at a time has it. Whoever comes second is told who has it, and waits.
//!
//! The lock is the kernel's: it ends with the process that holds it, however that ends.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// A file that this process has locked, until this goes.
#[derive(Debug)]
pub struct FileLock {
    _file: File,
}

impl FileLock {
    /// Locks the file, which is made where it is not there, with this mode. It says then which process has it, and what `subject` is.
    /// Where another has it, `waits` is told who, and it is waited for.
    ///
    /// # Errors
    /// The file cannot be made, is a link, or cannot be locked.
    pub async fn take(path: &Path, mode: u32, subject: &str, waits: impl FnOnce(Option<u32>)) -> io::Result<Self> {
        let mut waits = Some(waits);
        loop {
            let mut file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(mode)
                .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
                .open(path)?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => {
                    if let Some(waits) = waits.take() {
                        waits(holder(&file));
                    }
                    file = waited(file).await?;
                }
                Err(error) => return Err(error.into()),
            }
            // Whoever had it may have removed it: what is locked then is nobody's.
            if !stands(&file, path)? {
                continue;
            }
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{}\n{subject}", std::process::id())?;
            return Ok(Self { _file: file });
        }
    }
}

/// Waits in a thread of its own: where nobody wants the lock any more the thread is left behind, and the lock goes with its file.
async fn waited(file: File) -> io::Result<File> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    std::thread::Builder::new()
        .name("file lock".to_owned())
        .spawn(move || {
            let locked = loop {
                match flock(&file, FlockOperation::LockExclusive) {
                    Err(Errno::INTR) => {}
                    other => break other,
                }
            };
            // Nobody there any more: the file is closed, and the lock with it.
            let _ = sender.send(locked.map(|()| file));
        })?;
    match receiver.await {
        Ok(locked) => Ok(locked?),
        Err(_) => Err(io::Error::other("the thread that waited is gone")),
    }
}

/// Whether this is the file at that path still.
fn stands(file: &File, path: &Path) -> io::Result<bool> {
    let ours = file.metadata()?;
    match std::fs::symlink_metadata(path) {
        Ok(there) => Ok((there.dev(), there.ino()) == (ours.dev(), ours.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn holder(file: &File) -> Option<u32> {
    let mut text = String::new();
    let mut start = file.take(64);
    start.read_to_string(&mut text).ok()?;
    text.lines().next()?.parse().ok()
}
