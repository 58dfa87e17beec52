//! Who builds a tag: one at a time on this machine, by a locked file. Whoever comes second waits, and then finds the tag up to date.
//!
//! The files lie below the runtime directory of the user.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use windlass_core::hex::hex;

use super::filelock::FileLock;

/// A tag that this process builds, until this goes.
#[derive(Debug)]
pub struct TagLock {
    _lock: FileLock,
}

/// Why a tag cannot be locked.
#[derive(Debug, thiserror::Error)]
#[error("cannot lock '{}': {error}\n\nhint: XDG_RUNTIME_DIR names a directory that is yours alone", path.display())]
pub struct LockError {
    /// Which file or directory.
    path: PathBuf,
    /// Why; not a source, since the message has it.
    error: io::Error,
}

/// Where locks lie: below `XDG_RUNTIME_DIR`, else below the directory for temporary files, in a folder of the user's own.
pub fn directory() -> PathBuf {
    match std::env::var_os("XDG_RUNTIME_DIR") {
        Some(dir) if Path::new(&dir).is_absolute() => Path::new(&dir).join("windlass/images"),
        _ => std::env::temp_dir().join(format!("windlass-{}", rustix::process::geteuid().as_raw())),
    }
}

impl TagLock {
    /// Locks what `subject` names (an engine and a tag); where another has it, `waits` is told who, and it is waited for.
    ///
    /// # Errors
    /// The file cannot be made, is not ours, or cannot be locked.
    pub async fn take(dir: &Path, subject: &str, waits: impl FnOnce(Option<u32>)) -> Result<Self, LockError> {
        let name = &hex(&Sha256::digest(subject))[..32];
        let path = dir.join(format!("{name}.lock"));
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |error: io::Error| LockError { path, error }
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(failed(dir))?;
        let owner = std::fs::symlink_metadata(dir).map_err(failed(dir))?;
        if !owner.is_dir() || owner.uid() != rustix::process::geteuid().as_raw() {
            return Err(failed(dir)(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "it is another's",
            )));
        }
        let lock = FileLock::take(&path, 0o600, subject, waits)
            .await
            .map_err(failed(&path))?;
        Ok(Self { _lock: lock })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_second_waits_until_the_first_is_done_and_knows_whom_for() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("locks");
        let first = TagLock::take(&dir, "docker localhost/x", |_| panic!("nobody else is there"))
            .await
            .unwrap();
        let other = TagLock::take(&dir, "docker localhost/y", |_| panic!("another tag is another lock")).await;
        let (told, tells) = tokio::sync::oneshot::channel();
        let second = tokio::spawn({
            let dir = dir.clone();
            async move { TagLock::take(&dir, "docker localhost/x", |pid| told.send(pid).unwrap()).await }
        });
        assert_eq!(tells.await.unwrap(), Some(std::process::id()));
        drop(first);
        second.await.unwrap().unwrap();
        other.unwrap();
    }

    #[tokio::test]
    async fn a_link_in_place_of_the_folder_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(dir.path(), &link).unwrap();
        let error = TagLock::take(&link, "x", |_| {}).await.unwrap_err();
        assert!(error.to_string().contains("it is another's"), "{error}");
    }
}
