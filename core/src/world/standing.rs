//! What is derived and never stored: whether a task is postponed, and for whom it waits.

use super::World;
use crate::id::TaskId;
use crate::task::{State, StateName, Task};

impl World {
    /// The tasks that have to land before this one, and have not.
    pub fn waits_for(&self, task: &Task) -> Vec<TaskId> {
        task.deps
            .iter()
            .copied()
            .filter(|id| !matches!(self.task(*id).map(|dep| &dep.state), Some(State::Done { .. })))
            .collect()
    }

    /// The name of the state that a task is in, `postponed` included.
    pub fn state_name(&self, task: &Task) -> StateName {
        match task.state.name() {
            StateName::Awaiting | StateName::Pending if !self.waits_for(task).is_empty() => StateName::Postponed,
            name @ (StateName::New
            | StateName::Awaiting
            | StateName::Postponed
            | StateName::Building
            | StateName::Tested
            | StateName::Failed
            | StateName::Eperm
            | StateName::Pending
            | StateName::Committing
            | StateName::Done
            | StateName::Aborted
            | StateName::Removed) => name,
        }
    }
}
