//! What can go wrong where an image is built without an engine, or a layout is read.

use std::io;
use std::path::{Path, PathBuf};

use windlass_core::escape::escaped;

/// What can go wrong where an image is built without an engine, or a layout is read.
#[derive(Debug, thiserror::Error)]
pub enum OciError {
    /// An instruction that only an engine can carry out.
    #[error(
        "line {line}: {instruction}: this needs a container engine, and the image is being built without one\n\nhint: --engine docker or --engine podman builds it; `windlass image probe` says which one runs here"
    )]
    NeedsEngine {
        /// Its line in the Dockerfile.
        line: usize,
        /// The instruction, shortened.
        instruction: String,
    },
    /// An instruction that cannot be carried out.
    #[error("line {line}: {instruction}: {why}")]
    Instruction {
        /// Its line in the Dockerfile.
        line: usize,
        /// The instruction, shortened.
        instruction: String,
        /// What is wrong, with the way out.
        why: String,
    },
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
    /// A layout is not as it has to be.
    #[error("{}: {why}", escaped(&path.display().to_string()))]
    Layout {
        /// Which layout.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

impl OciError {
    pub(super) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        |error| Self::File {
            path: path.to_owned(),
            error,
        }
    }

    pub(super) fn layout(path: &Path, why: impl Into<String>) -> Self {
        Self::Layout {
            path: path.to_owned(),
            why: why.into(),
        }
    }
}
