//! What a task adds to a repository and removes from it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::id::{ArchName, Generation, ObjectId, PackageName, RepositoryName, SubtaskNumber};
use crate::rpm::{Evr, Package};

/// What a task adds to a repository and removes from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The repository.
    pub repository: RepositoryName,
    /// The generation that it assumes.
    pub base: Generation,
    /// What happens to each architecture; every configured one is here.
    pub arches: BTreeMap<ArchName, ArchPlan>,
    /// What happens to the source packages.
    pub source: ArchPlan,
    /// The same, by source package, with the subtask that answers for it.
    pub changes: Vec<Change>,
    /// What its author should know.
    pub warnings: Vec<PlanWarning>,
}

/// What happens to one architecture.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ArchPlan {
    /// Packages that come.
    pub added: Vec<Arc<Package>>,
    /// Packages that go.
    pub removed: Vec<Arc<Package>>,
}

/// What happens to one source package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The subtask that causes it.
    pub subtask: SubtaskNumber,
    /// The source package.
    pub package: PackageName,
    /// What is there now.
    pub before: Option<Evr>,
    /// What is there then; nothing where it goes.
    pub after: Option<Evr>,
    /// The tag object that it was built from; none for a removal, a copy, a rebuild.
    pub tag: Option<ObjectId>,
}

/// What an author should know of a plan although it is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlanWarning {
    /// A binary package comes from another source package now: the old source and all that was built from it go.
    TakenOver {
        /// The binary package.
        binary: String,
        /// The source package that had it.
        from: PackageName,
        /// The one that has it now.
        by: PackageName,
        /// All that goes with it, as name-version-release.architecture.
        going: Vec<String>,
    },
}
