//! What a task adds to a repository and removes from it: the value. [`plan`](plan()) computes it, [`PlanView`] shows it.

mod make;
#[cfg(test)]
mod tests;
mod view;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use self::make::plan;
pub use self::view::{ArchView, ChangeView, PlanView};
use crate::access::Touch;
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
    /// How it comes or goes.
    pub how: How,
    /// What is there now.
    pub before: Option<Evr>,
    /// What is there then; nothing where it goes.
    pub after: Option<Evr>,
    /// The tag object that it was built from; none for a removal, a copy, a rebuild.
    pub tag: Option<ObjectId>,
}

/// How a source package comes or goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// It was built from a tag.
    Build,
    /// What is in the repository was built once more.
    Rebuild,
    /// It comes from another repository.
    Copy,
    /// It was to be removed.
    Removal,
    /// Another source package gives one of its binary packages now.
    TakenOver,
}

/// What an author should know of a plan although it is allowed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "warning", rename_all = "kebab-case")]
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
    /// A binary package comes from another source package now, and the one that had it is built anew without it, or removed, by
    /// the same task.
    Moved {
        /// The binary package.
        binary: String,
        /// The source package that had it.
        from: PackageName,
        /// The one that has it now.
        by: PackageName,
    },
    /// A source package is built no more for an architecture on which it was: what it gave there goes.
    NotBuilt {
        /// The source package.
        package: PackageName,
        /// The architecture.
        arch: ArchName,
        /// What said so.
        why: String,
        /// All that goes, as name-version-release.architecture.
        going: Vec<String>,
    },
}

impl fmt::Display for PlanWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TakenOver {
                binary,
                from,
                by,
                going,
            } => write!(
                f,
                "{binary} is built from {by} now, no longer from {from}: all of {from} goes: {}",
                going.join(", ")
            ),
            Self::Moved { binary, from, by } => {
                write!(f, "{binary} is built from {by} now, no longer from {from}")
            }
            Self::NotBuilt {
                package,
                arch,
                why,
                going,
            } => write!(
                f,
                "{package} is not built for {arch} any more ({}): there goes {}",
                crate::escape::escaped(why),
                going.join(", ")
            ),
        }
    }
}

impl Plan {
    /// What access is judged by: which subtask touches which source package, and how.
    pub fn touches(&self) -> Vec<(SubtaskNumber, PackageName, Touch)> {
        self.changes
            .iter()
            .map(|change| {
                let touch = if change.after.is_some() {
                    Touch::Build
                } else {
                    Touch::Remove
                };
                (change.subtask, change.package.clone(), touch)
            })
            .collect()
    }

    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.source.is_empty() && self.arches.values().all(ArchPlan::is_empty)
    }

    /// The same, to be shown and kept.
    pub fn view(&self) -> PlanView {
        PlanView::of(self)
    }
}

impl ArchPlan {
    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty()
    }
}
