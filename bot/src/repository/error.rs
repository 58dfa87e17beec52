//! What can go wrong with a repository.

use std::io;
use std::path::{Path, PathBuf};

use windlass_core::escape::escaped;
use windlass_core::id::{Generation, RepositoryName};
use windlass_core::refusal::Refusal;

use super::foreign::ForeignError;
use super::rpmmd::WriteError;
use crate::writer::WriterError;

/// What can go wrong with a repository.
#[derive(Debug, thiserror::Error)]
pub enum RepositoryError {
    /// The machine does not do what is needed: a full disk, a file that cannot be read. Worth another try.
    #[error("{}: {error}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why; not a source, since the message has it.
        error: io::Error,
    },
    /// There is no generation yet.
    #[error("repository {0} was not made yet\n\nhint: windlass repo init -b {0}")]
    NotMade(RepositoryName),
    /// It was made before.
    #[error("repository {0} is there already: generation {1}\n\nhint: windlass repo log -b {0}")]
    Made(RepositoryName, Generation),
    /// Somebody else writes there.
    #[error("{0}")]
    Foreign(String),
    /// A package that was to come cannot be used.
    #[error("{}: {why}", escaped(&file.display().to_string()))]
    Package {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The plan does not fit to what there is.
    #[error("the plan does not fit: {0}")]
    Plan(String),
    /// The signing keys cannot be used.
    #[error("{0}")]
    Key(String),
    /// What is on disk is not as it was written.
    #[error("{0}")]
    Damaged(String),
    /// Somebody else commits at this moment.
    #[error(
        "repository {0} is being changed at this moment\n\nhint: try again when that is done; windlass repo log -b {0} shows what came of it"
    )]
    Busy(RepositoryName),
    /// A base repository cannot be used.
    #[error(transparent)]
    Base(#[from] ForeignError),
    /// The journal cannot be written.
    #[error(transparent)]
    Writer(#[from] WriterError),
    /// A rule forbids it.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl RepositoryError {
    pub(super) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        |error| Self::File {
            path: path.to_owned(),
            error,
        }
    }

    /// The same for a repository that could not be read, with the way out.
    pub(super) fn of_damaged(self, name: &RepositoryName) -> Self {
        match self {
            Self::File { ref error, .. } if error.kind() == io::ErrorKind::PermissionDenied => self,
            Self::File { .. } | Self::Damaged(_) | Self::Package { .. } => Self::Damaged(format!(
                "repository {name} cannot be read: {self}\n\nhint: windlass repo verify -b {name} --all says all that is damaged; with the bot stopped,\n      windlass repo rollback N --take-over -b {name} goes back to a generation that is whole"
            )),
            Self::NotMade(_)
            | Self::Made(..)
            | Self::Foreign(_)
            | Self::Plan(_)
            | Self::Key(_)
            | Self::Busy(_)
            | Self::Base(_)
            | Self::Writer(_)
            | Self::Refused(_) => self,
        }
    }

    /// Whether it is nobody's fault who uses the repository, and the same may succeed another time.
    pub fn is_infrastructure(&self) -> bool {
        match self {
            Self::File { .. }
            | Self::Busy(_)
            | Self::Base(_)
            | Self::Writer(_)
            | Self::Key(_)
            | Self::Damaged(_)
            | Self::Foreign(_) => true,
            Self::NotMade(_) | Self::Made(..) | Self::Package { .. } | Self::Plan(_) | Self::Refused(_) => false,
        }
    }
}

impl From<WriteError> for RepositoryError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::File { path, error } => Self::File { path, error },
            inconsistent @ WriteError::Inconsistent { .. } => Self::Damaged(inconsistent.to_string()),
        }
    }
}
