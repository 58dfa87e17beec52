//! What goes wrong with a build, and whether trying again may help.

use std::path::PathBuf;

use windlass_core::image::dockerfile::Problem;

use super::binfmt::BinfmtError;
use super::executable::ExecutableError;
use super::family::FamilyError;
use super::pre::PreError;
use super::taglock::LockError;
use super::tree::TreeError;
use super::user::UserError;
use crate::images::engine::{EngineError, NoEngine};
use crate::images::oci::OciError;

/// What goes wrong with a build.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// There is no engine, and one is needed.
    #[error(transparent)]
    NoEngine(#[from] NoEngine),
    /// The engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The builder that needs no engine.
    #[error(transparent)]
    Oci(#[from] OciError),
    /// Dockerfiles.
    #[error(transparent)]
    Family(#[from] FamilyError),
    /// The context.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// The executable.
    #[error(transparent)]
    Executable(#[from] ExecutableError),
    /// Its entry.
    #[error(transparent)]
    Binfmt(#[from] BinfmtError),
    /// The script beside the Dockerfile.
    #[error(transparent)]
    Pre(#[from] PreError),
    /// The user.
    #[error(transparent)]
    User(#[from] UserError),
    /// The lock of the tag.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A base in the Dockerfile cannot be put another name for.
    #[error("'{}': {problem}", path.display())]
    Dockerfile {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        problem: Problem,
    },
    /// A base is nowhere.
    #[error("the base {name} is not here, and cannot be had: {why}\n\nhint: {hint}")]
    NoBase {
        /// Which.
        name: String,
        /// Why.
        why: String,
        /// The way out.
        hint: String,
    },
    /// A script would be run that nobody allowed.
    #[error("'{}' would be run on this machine, which is not allowed here\n\nhint: do in the Dockerfile what it does", .0.display())]
    PreRefused(PathBuf),
    /// What is built does not carry our labels.
    #[error(
        "{0} was said to be built, and does not carry the labels that it was given\n\nhint: something else builds the same name: `windlass image images` shows what is there"
    )]
    NotOurs(String),
    /// The file that pins bases is wrong.
    #[error("'{}': {why}", path.display())]
    Lockfile {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// An ignore file is wrong.
    #[error("'{}': {why}", path.display())]
    Ignore {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A file of ours cannot be read or written.
    #[error("'{}': {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why; not a source, since the message has it.
        error: std::io::Error,
    },
    /// We were told to stop.
    #[error("stopped; nothing of it is left")]
    Stopped,
}

impl BuildError {
    /// Whether the same may succeed when it is tried again later. Final by default.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Engine(error) => error.is_transient(),
            Self::NoEngine(_) => true,
            Self::Oci(_)
            | Self::Family(_)
            | Self::Tree(_)
            | Self::Executable(_)
            | Self::Binfmt(_)
            | Self::Pre(_)
            | Self::User(_)
            | Self::Lock(_)
            | Self::Dockerfile { .. }
            | Self::NoBase { .. }
            | Self::PreRefused(_)
            | Self::NotOurs(_)
            | Self::Lockfile { .. }
            | Self::Ignore { .. }
            | Self::File { .. }
            | Self::Stopped => false,
        }
    }

    pub(super) fn file(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::File { path, error }
    }
}
