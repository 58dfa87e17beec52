//! Everything that the policy looks at.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::id::{Generation, RepositoryName, TaskId};
use crate::task::Mode;

/// Everything that the policy looks at, at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The moment.
    pub now: Timestamp,
    /// How many runs go side by side, at least 1; those under way count.
    pub most_runs: usize,
    /// The repositories that can be built for and committed to. A task of any other waits.
    pub repositories: BTreeMap<RepositoryName, RepositoryView>,
    /// The tasks whose run has no end, in any order.
    pub tasks: Vec<TaskView>,
}

/// How a repository stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RepositoryView {
    /// Its newest generation.
    pub generation: Generation,
    /// Whether somebody changes it right now, be it a task or an administrator.
    pub changing: bool,
}

/// A task that was run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskView {
    /// Its number.
    pub id: TaskId,
    /// The repository that it is for.
    pub repository: RepositoryName,
    /// When it was run: its place.
    pub run_at: Timestamp,
    /// How far it goes.
    pub mode: Mode,
    /// Whether a task that it depends on has not landed.
    pub postponed: bool,
    /// Where it stands.
    pub standing: Standing,
}

/// Where a task stands that was run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Its stages have not started, or are to start again after the infrastructure failed.
    Waiting {
        /// How many times they have started.
        iterations: u32,
        /// Not before this moment.
        not_before: Option<Timestamp>,
        /// Whether they failed while others were ahead of it, which says nothing about what it will land on: they start
        /// again when it is the first.
        overtaken: bool,
    },
    /// Its stages run.
    Running,
    /// All stages but the commit have passed.
    Passed {
        /// How many times they have started.
        iterations: u32,
        /// The generation on which they passed.
        base: Generation,
        /// No commit before this moment: one has failed.
        not_before: Option<Timestamp>,
    },
    /// Its commit is under way.
    Committing,
}

impl TaskView {
    /// The moment for which it waits, if that is still to come.
    pub(super) fn backs_off(&self, now: Timestamp) -> Option<Timestamp> {
        match self.standing {
            Standing::Waiting { not_before, .. } | Standing::Passed { not_before, .. } => {
                not_before.filter(|moment| *moment > now)
            }
            Standing::Running | Standing::Committing => None,
        }
    }
}
