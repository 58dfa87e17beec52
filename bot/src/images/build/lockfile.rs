//! `images.lock` as a file: read where it is, written whole or not at all, and changed by one at a time.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use windlass_core::image::lock::Lock;
use windlass_core::image::{Digest, ImageName};

use super::error::BuildError;
use super::filelock::FileLock;

/// What foreign bases are pinned to.
#[derive(Debug, Clone, Default)]
pub struct Pins(pub Lock);

impl Pins {
    /// Reads the file; one that is not there pins nothing.
    ///
    /// # Errors
    /// It cannot be read, or is wrong.
    pub fn read(path: &Path) -> Result<Self, BuildError> {
        match std::fs::read_to_string(path) {
            Ok(text) => Lock::parse(&text).map(Self).map_err(|error| BuildError::Lockfile {
                path: path.to_owned(),
                why: error.to_string(),
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(BuildError::file(path)(error)),
        }
    }

    /// What a base is pinned to.
    pub fn of(&self, name: &ImageName) -> Option<Digest> {
        self.0.get(name).cloned()
    }

    /// Writes the file that is locked.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, lock: &PinsLock) -> Result<(), BuildError> {
        let path = &lock.path;
        let dir = folder(path);
        let written = || -> std::io::Result<()> {
            use std::os::unix::fs::PermissionsExt as _;
            let mut file = tempfile::Builder::new().prefix(".images.lock.").tempfile_in(dir)?;
            file.write_all(self.0.print().as_bytes())?;
            // It is everybody's to read, as what stands beside it.
            file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
            file.as_file().sync_all()?;
            file.persist(path)?;
            Ok(())
        };
        written().map_err(BuildError::file(path))
    }
}

/// The right to change a file of pins: whoever comes second reads what the first one wrote.
///
/// It is a file beside the pins, so that all who share the folder see it, and goes with the lock. One that a killed process leaves behind
/// hinders nobody.
#[derive(Debug)]
pub struct PinsLock {
    path: PathBuf,
    beside: PathBuf,
    _lock: FileLock,
}

impl PinsLock {
    /// Takes it; where another has it, `waits` is told who, and it is waited for.
    ///
    /// # Errors
    /// No file can be made there.
    pub async fn take(path: &Path, waits: impl FnOnce(Option<u32>)) -> Result<Self, BuildError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let beside = folder(path).join(format!(".{name}.lock"));
        // As with what is locked, it is everybody's to whom the folder belongs.
        let lock = FileLock::take(&beside, 0o666, "windlass image lock", waits)
            .await
            .map_err(BuildError::file(&beside))?;
        Ok(Self {
            path: path.to_owned(),
            beside,
            _lock: lock,
        })
    }
}

impl Drop for PinsLock {
    fn drop(&mut self) {
        // It is ours until the descriptor closes, right after this. One that stays hinders nobody.
        let _ = std::fs::remove_file(&self.beside);
    }
}

/// Where a file of pins really is, whether it is there already or not: two ways to one file are one.
///
/// # Errors
/// Its folder is not there.
pub fn real(path: &Path) -> Result<PathBuf, BuildError> {
    let folder = folder(path);
    let real = folder.canonicalize().map_err(BuildError::file(folder))?;
    Ok(real.join(path.file_name().unwrap_or_default()))
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn pins_are_changed_by_one_at_a_time_and_the_lock_goes_with_him() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("images.lock");
        let first = PinsLock::take(&path, |_| panic!("nobody else is there")).await.unwrap();
        let (told, tells) = tokio::sync::oneshot::channel();
        let second = tokio::spawn({
            let path = path.clone();
            async move { PinsLock::take(&path, |pid| told.send(pid).unwrap()).await }
        });
        assert_eq!(tells.await.unwrap(), Some(std::process::id()));
        Pins::default().write(&first).unwrap();
        drop(first);
        // The file that it waited for is gone: the lock is on a new one, which a third finds.
        let second = second.await.unwrap().unwrap();
        let (told, tells) = tokio::sync::oneshot::channel();
        let third = tokio::spawn({
            let path = path.clone();
            async move { PinsLock::take(&path, |pid| told.send(pid).unwrap()).await }
        });
        assert_eq!(tells.await.unwrap(), Some(std::process::id()));
        drop(second);
        drop(third.await.unwrap().unwrap());
        let names = std::fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name());
        assert_eq!(names.collect::<Vec<_>>(), ["images.lock"]);
    }
}
