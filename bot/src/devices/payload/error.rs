//! What can go wrong with payloads.

use std::io;
use std::path::{Path, PathBuf};

use windlass_core::device::payload::{Place, Problem, apply, signature};
use windlass_core::escape::escaped;

/// What can go wrong when a payload is made, read or applied.
#[derive(Debug, thiserror::Error)]
pub enum PayloadError {
    /// What was asked for makes no sense.
    #[error("{0}")]
    Asked(String),
    /// The machine does not do what is needed: a full disk, a file that cannot be read.
    #[error("{}: {error}", escaped(&path.display().to_string()))]
    File {
        /// Which file.
        path: PathBuf,
        /// Why; not a source, since the message has it.
        error: io::Error,
    },
    /// A file holds no key that payloads are signed with.
    #[error(
        "{}: this is no key for payloads: {why}\n\nhint: `openssl genrsa -out KEY.pem 2048` makes one: RSA, 2048 to 4096 bits, in PEM, without a password",
        escaped(&path.display().to_string())
    )]
    Key {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A file holds no key that payloads are verified with.
    #[error("{}: {error}", escaped(&path.display().to_string()))]
    PublicKey {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        error: signature::BadPublicKey,
    },
    /// The payload ends too early, or cannot be read on.
    #[error("the payload cannot be read after {at} bytes: {error}")]
    Cut {
        /// How far it was read.
        at: u64,
        /// Why.
        error: io::Error,
    },
    /// The payload is not in order.
    #[error("{}", listed(.0))]
    Broken(Vec<Problem>),
    /// An operation failed.
    #[error("{place} {failed}")]
    Operation {
        /// Which one.
        place: Place,
        /// Why.
        failed: apply::Failed,
    },
    /// A partition cannot be opened, read back or synced.
    #[error("{place}: {error}")]
    Partition {
        /// Which one.
        place: Place,
        /// Why.
        error: io::Error,
    },
    /// The word to stop came.
    #[error("stopped")]
    Stopped,
}

impl PayloadError {
    pub(crate) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        |error| Self::File {
            path: path.to_owned(),
            error,
        }
    }

    /// Whether the machine failed, and not the payload.
    pub fn is_environment(&self) -> bool {
        match self {
            Self::File { .. } | Self::Partition { .. } => true,
            Self::Operation { failed, .. } => matches!(failed, apply::Failed::Read(_) | apply::Failed::Write(_)),
            Self::Asked(_)
            | Self::Key { .. }
            | Self::PublicKey { .. }
            | Self::Cut { .. }
            | Self::Broken(_)
            | Self::Stopped => false,
        }
    }
}

impl From<Problem> for PayloadError {
    fn from(problem: Problem) -> Self {
        Self::Broken(vec![problem])
    }
}

fn listed(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
    format!("the payload is not in order: {}", lines.join("; "))
}
