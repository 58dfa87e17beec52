//! What runs next: the whole scheduling policy as one pure function, a [`Snapshot`] in, [`Action`]s out.
//!
//! It is asked anew at every change and remembers nothing, so that no message that was lost and no order of arrival can make a
//! task sleep for ever. It decides *when* a task is built and committed, never *whether* it lands: only the checks do.
//!
//! The policy is modest. A repository's tasks land in the order in which they were run, each tested on the newest generation;
//! repositories go side by side, and tasks are built ahead while there is room, since what they built stays valid as long as
//! its inputs do. What was tested on an older generation is tested again when its turn to land has come, not before: until
//! then those ahead of it would only make it stale once more. For the same reason a failure counts only where nobody is ahead
//! ([`is_first_to_land`]): whoever lands before may bring what was missing. Who waits for another task, or for a moment, keeps his place
//! and holds nobody up.

mod plan;
mod snapshot;

pub use self::plan::{Action, is_first_to_land, plan};
pub use self::snapshot::{RepositoryView, Snapshot, Standing, TaskView};

#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;
