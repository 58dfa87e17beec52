//! The world, and what is alive in this process, as the queue looks at it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use windlass_core::id::{Generation, RepositoryName, TaskId};
use windlass_core::queue::{RepositoryView, Snapshot, Standing, TaskView};
use windlass_core::task::{Fault, State, Task};
use windlass_core::world::World;

/// A run of a task that is alive, or what one made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Alive {
    pub(super) try_number: u32,
    pub(super) iteration: u32,
}

/// What this process knows and the journal does not.
#[derive(Debug, Clone, Default)]
pub(super) struct Live {
    pub(super) most_runs: usize,
    pub(super) runs: BTreeMap<TaskId, Alive>,
    /// The tasks whose tested packages are at hand.
    pub(super) ready: BTreeMap<TaskId, Alive>,
    pub(super) repositories: BTreeSet<RepositoryName>,
    /// The repositories for which a commit is alive, be it on record yet or not.
    pub(super) committing: BTreeSet<RepositoryName>,
}

/// Whether a repository is being changed.
pub(super) fn changing(world: &World, live: &Live, repository: &RepositoryName) -> bool {
    let on_record = world
        .repository(repository)
        .is_some_and(|record| record.changing.is_some());
    on_record || live.committing.contains(repository)
}

/// What the queue looks at.
pub(super) fn of(world: &World, live: &Live, now: Timestamp) -> Snapshot {
    let repositories = live.repositories.iter().filter_map(|name| {
        let record = world.repository(name)?;
        let view = RepositoryView {
            generation: record.generation,
            changing: changing(world, live, name),
        };
        // Before `repo init` there is nothing to build on.
        (record.generation > Generation(0)).then(|| (name.clone(), view))
    });
    Snapshot {
        now,
        most_runs: live.most_runs,
        repositories: repositories.collect(),
        tasks: world.open_tasks().filter_map(|task| view(world, task, live)).collect(),
    }
}

/// Runs that are alive and are not those on record: somebody stopped the task, or asked for another run.
pub(super) fn unwanted(world: &World, live: &Live) -> Vec<TaskId> {
    let wanted = |task: TaskId, alive: Alive| match world.task(task).map(|task| &task.state) {
        Some(State::Building { run, iteration, .. }) => {
            (run.try_number, *iteration) == (alive.try_number, alive.iteration)
        }
        Some(_) | None => false,
    };
    let runs = live.runs.iter();
    runs.filter(|(task, alive)| !wanted(**task, **alive))
        .map(|(task, _)| *task)
        .collect()
}

fn view(world: &World, task: &Task, live: &Live) -> Option<TaskView> {
    let run = task.state.run()?;
    let progress = task.progress.as_deref();
    let standing = match &task.state {
        State::Awaiting {
            not_before,
            trouble,
            iteration,
            ..
        } => Standing::Waiting {
            iterations: *iteration,
            not_before: *not_before,
            overtaken: trouble
                .as_ref()
                .is_some_and(|trouble| trouble.fault != Fault::Infrastructure),
        },
        State::Building { iteration, .. } => {
            let alive = Alive {
                try_number: run.try_number,
                iteration: *iteration,
            };
            if live.runs.get(&task.id) == Some(&alive) {
                Standing::Running
            } else {
                // The process that ran it is gone.
                Standing::Waiting {
                    iterations: *iteration,
                    not_before: None,
                    overtaken: false,
                }
            }
        }
        State::Pending { not_before, .. } => {
            let made = progress.map(|progress| Alive {
                try_number: progress.try_number,
                iteration: progress.iteration,
            });
            let at_hand = made.is_some() && live.ready.get(&task.id).copied() == made;
            let own = progress.filter(|progress| progress.try_number == run.try_number);
            Standing::Passed {
                iterations: own.map_or(0, |progress| progress.iteration),
                // What is not at hand any more is as good as tested on nothing.
                base: progress
                    .filter(|_| at_hand)
                    .map_or(Generation(0), |progress| progress.base),
                not_before: *not_before,
            }
        }
        State::Committing { .. } => Standing::Committing,
        State::New
        | State::Tested { .. }
        | State::Failed { .. }
        | State::Eperm { .. }
        | State::Done { .. }
        | State::Aborted { .. }
        | State::Removed { .. } => return None,
    };
    Some(TaskView {
        id: task.id,
        repository: task.repository.clone(),
        run_at: run.at,
        mode: run.mode,
        postponed: !world.waits_for(task).is_empty(),
        standing,
    })
}
