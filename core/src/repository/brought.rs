//! What the subtasks of a task bring: what was built, copied, or is to go.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::id::{ArchName, ObjectId, PackageName, SubtaskNumber};
use crate::rpm::Header;

/// What one subtask brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brought {
    /// The subtask.
    pub subtask: SubtaskNumber,
    /// What it brings.
    pub action: BroughtBy,
}

/// What a subtask brings, by what it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BroughtBy {
    /// Packages that were built.
    Build {
        /// The tag object that they were built from; none for a rebuild of what is in the repository.
        tag: Option<ObjectId>,
        /// What came of it on each architecture.
        results: BTreeMap<ArchName, ArchResult>,
    },
    /// A source package goes, with all that was built from it.
    Removal {
        /// The source package.
        package: PackageName,
    },
    /// Packages of another repository.
    Copy {
        /// What there is on each architecture.
        results: BTreeMap<ArchName, ArchResult>,
    },
}

/// What came of a build on one architecture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArchResult {
    /// Packages.
    Built {
        /// The source package.
        source: Arc<Header>,
        /// The binary packages.
        binaries: Vec<Arc<Header>>,
    },
    /// The package is not for this architecture.
    Excluded {
        /// What said so, as in `ExclusiveArch: x86_64`.
        why: String,
    },
}

impl Brought {
    /// What there is on each architecture; nothing for a removal.
    pub fn results(&self) -> Option<&BTreeMap<ArchName, ArchResult>> {
        match &self.action {
            BroughtBy::Build { results, .. } | BroughtBy::Copy { results } => Some(results),
            BroughtBy::Removal { .. } => None,
        }
    }

    /// The tag object that it was built from, where it was one.
    pub fn tag(&self) -> Option<&ObjectId> {
        match &self.action {
            BroughtBy::Build { tag, .. } => tag.as_ref(),
            BroughtBy::Removal { .. } | BroughtBy::Copy { .. } => None,
        }
    }
}
