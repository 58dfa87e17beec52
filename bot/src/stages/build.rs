//! Stage build: one subtask on one architecture, from `pkg.tar` to packages.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use windlass_core::id::{ArchName, SubtaskNumber};
use windlass_core::repository::{ArchResult, Index};
use windlass_core::rpm::Package;

use super::StageError;

/// What is to be built, on which architecture, and from what its build root may be taken.
#[derive(Debug, Clone)]
pub struct BuildOrder {
    /// The subtask.
    pub subtask: SubtaskNumber,
    /// The architecture.
    pub arch: ArchName,
    /// What it is built from.
    pub pkgtar: PathBuf,
    /// Its SHA-256, 64 lower-case hexadecimal digits.
    pub pkgtar_sha256: String,
    /// The spec file's name in it.
    pub spec: String,
    /// The value of `%dist`, where it is counted up: a rebuild of what is in the repository.
    pub dist: Option<String>,
    /// What the build root may be taken from; the first that has a package wins. The host's own package need not be here.
    pub layers: Vec<Layer>,
    /// Where the log of the build goes.
    pub log: PathBuf,
    /// The directory that gets the packages.
    pub out: PathBuf,
}

/// Packages for build roots: a task's earlier results, a repository, one of its bases.
#[derive(Debug, Clone)]
pub struct Layer {
    /// The packages.
    pub index: Index,
    /// Where their files are.
    pub files: Arc<dyn PackageFiles>,
}

/// Knows the files of packages.
pub trait PackageFiles: fmt::Debug + Send + Sync {
    /// The package's file on this machine; a foreign one is fetched for it.
    ///
    /// # Errors
    /// It cannot be had: mostly the infrastructure's fault.
    fn path(&self, package: &Package) -> Result<PathBuf, StageError>;
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct BuildOutcome {
    /// All that the result depends on, as 64 lower-case hexadecimal digits.
    pub key: String,
    /// Whether it was built before, and only taken over.
    pub reused: bool,
    /// What was built, or that it is not for this architecture.
    pub result: ArchResult,
    /// The packages' files, the source package's among them, by what [`Package::nevra`] says.
    pub files: BTreeMap<String, PathBuf>,
    /// The log of the build; of the first one, where it was built before.
    pub log: PathBuf,
    /// How long each step took, in the order in which they came.
    pub timings: Vec<(Step, Duration)>,
}

/// A step of a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    /// What the host stands for is looked up.
    Host,
    /// Namespaces, file systems and limits are set up.
    Sandbox,
    /// `pkg.tar` is unpacked.
    Unpack,
    /// rpm says what the build needs.
    Requires,
    /// What has to be installed for it is worked out.
    Closure,
    /// It is installed.
    Root,
    /// rpm builds.
    Build,
    /// What it made is looked at and taken out.
    Collect,
    /// The result is kept for whoever builds the same again.
    Keep,
}

impl Step {
    /// The step's name, as in a log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Sandbox => "sandbox",
            Self::Unpack => "unpack",
            Self::Requires => "requires",
            Self::Closure => "closure",
            Self::Root => "root",
            Self::Build => "build",
            Self::Collect => "collect",
            Self::Keep => "keep",
        }
    }
}
