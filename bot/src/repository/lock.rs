//! The right to change a repository: one at a time, in this process and in others.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;

use rustix::fs::FlockOperation;
use windlass_core::id::RepositoryName;

use super::{Repository, RepositoryError, files};

/// The right to change one repository. It goes when this is dropped, or when the process dies.
#[derive(Debug)]
pub struct CommitLock {
    repository: RepositoryName,
    _file: File,
}

impl CommitLock {
    /// The repository that it is for.
    pub fn repository(&self) -> &RepositoryName {
        &self.repository
    }
}

impl Repository {
    /// Waits until nobody else changes this repository, and keeps it so. Blocks.
    ///
    /// # Errors
    /// The lock's file cannot be made.
    pub fn lock(&self) -> Result<CommitLock, RepositoryError> {
        self.take(FlockOperation::LockExclusive)
    }

    /// As [`Repository::lock`], and gives up at once where somebody else has it.
    ///
    /// # Errors
    /// Somebody else has it, or its file cannot be made.
    pub fn try_lock(&self) -> Result<CommitLock, RepositoryError> {
        self.take(FlockOperation::NonBlockingLockExclusive)
    }

    fn take(&self, operation: FlockOperation) -> Result<CommitLock, RepositoryError> {
        let root = self.dirs.root();
        let repos = root.parent().unwrap_or(root);
        for directory in [repos, root] {
            files::make_directory(directory).map_err(RepositoryError::file(directory))?;
        }
        let path = root.join(".lock");
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(RepositoryError::file(&path))?;
        match rustix::fs::flock(&file, operation) {
            Ok(()) => Ok(CommitLock {
                repository: self.name.clone(),
                _file: file,
            }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(RepositoryError::Busy(self.name.clone())),
            Err(error) => Err(RepositoryError::file(&path)(error.into())),
        }
    }
}
