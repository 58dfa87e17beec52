//! Whether what was built agrees, across architectures and inside the task: what check-build says.

mod content;
mod names;
#[cfg(test)]
mod tests;

use super::{ArchResult, Brought, Problem};
use crate::id::ArchName;
use crate::rpm::Header;

/// What check-build says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Agreement {
    /// What keeps the task from landing.
    pub problems: Vec<Problem>,
    /// What its author should know.
    pub notes: Vec<Problem>,
}

impl Agreement {
    /// Whether there is nothing against it.
    pub fn is_good(&self) -> bool {
        self.problems.is_empty()
    }
}

/// Looks over all that the subtasks of a task bring.
///
/// * Each gives one source package and, for each architecture that it is not excluded from, at least one binary package; it is not
///   excluded from all. Every binary package names its source package, and fits its architecture.
/// * The source package is the same on every architecture, and so is every package for all architectures: what depends on when,
///   where and for what it was built is not compared.
/// * Inside the task source names are unique, and a binary name comes from one source package, whichever the architectures.
pub fn agree(brought: &[Brought]) -> Agreement {
    let mut agreement = Agreement::default();
    for one in brought {
        names::within(one, &mut agreement);
        content::across(one, &mut agreement);
    }
    names::between(brought, &mut agreement);
    agreement
}

/// What was built on each architecture.
fn built(brought: &Brought) -> Vec<(&ArchName, &Header, &[std::sync::Arc<Header>])> {
    let results = brought.results().into_iter().flatten();
    results
        .filter_map(|(arch, result)| match result {
            ArchResult::Built { source, binaries } => Some((arch, &**source, binaries.as_slice())),
            ArchResult::Excluded { .. } => None,
        })
        .collect()
}
