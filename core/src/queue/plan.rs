//! The policy.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{RepositoryView, Snapshot, Standing, TaskView};
use crate::id::{Generation, RepositoryName, TaskId};
use crate::task::Mode;

/// What is to be done. Everything that is under way already is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Start the stages of a task, all but the commit.
    Start {
        /// The task.
        task: TaskId,
        /// Which time it is, from 1 up.
        iteration: u32,
        /// The generation to build on.
        base: Generation,
    },
    /// Commit a task that was tested on the newest generation.
    Commit {
        /// The task.
        task: TaskId,
        /// That generation.
        base: Generation,
    },
    /// Ask again at this moment, if nothing has changed by then.
    Wake {
        /// The moment.
        at: Timestamp,
    },
}

/// A run that could start.
struct Candidate {
    /// How many tasks of its repository are before it.
    rank: usize,
    run_at: Timestamp,
    task: TaskId,
    iteration: u32,
    base: Generation,
}

/// What is to be done now.
///
/// Cost: the tasks that were run and have not ended, sorted once.
pub fn plan(snapshot: &Snapshot) -> Vec<Action> {
    let mut actions = Vec::new();
    let mut candidates = Vec::new();
    for (repository, tasks) in in_order(snapshot) {
        if let Some(view) = snapshot.repositories.get(repository) {
            one_repository(snapshot.now, *view, &tasks, &mut actions, &mut candidates);
        }
    }
    // The first of each repository go before the second of any: no repository waits for another's long line.
    candidates.sort_by_key(|one| (one.rank, one.run_at, one.task));
    let running = snapshot
        .tasks
        .iter()
        .filter(|task| task.standing == Standing::Running)
        .count();
    let room = snapshot.most_runs.max(1).saturating_sub(running);
    actions.extend(candidates.into_iter().take(room).map(|one| Action::Start {
        task: one.task,
        iteration: one.iteration,
        base: one.base,
    }));
    let moments = snapshot.tasks.iter().filter_map(|task| task.backs_off(snapshot.now));
    actions.extend(moments.min().map(|at| Action::Wake { at }));
    actions
}

/// Whether no other task can land before this one: then what its stages find on the newest generation counts. A run that
/// only tests is asked about that generation alone, and nobody is ahead of it.
pub fn is_first_to_land(snapshot: &Snapshot, task: TaskId) -> bool {
    let Some(own) = snapshot.tasks.iter().find(|one| one.id == task) else {
        return false;
    };
    let before = |one: &&TaskView| {
        one.mode == Mode::Commit
            && one.repository == own.repository
            && (one.run_at, one.id) < (own.run_at, own.id)
            && !one.postponed
            && one.backs_off(snapshot.now).is_none()
    };
    own.mode == Mode::TestOnly || !snapshot.tasks.iter().any(|one| before(&one))
}

/// The tasks of each repository in the order in which they were run.
fn in_order(snapshot: &Snapshot) -> BTreeMap<&RepositoryName, Vec<&TaskView>> {
    let mut lines: BTreeMap<&RepositoryName, Vec<&TaskView>> = BTreeMap::new();
    for task in &snapshot.tasks {
        lines.entry(&task.repository).or_default().push(task);
    }
    for line in lines.values_mut() {
        line.sort_by_key(|task| (task.run_at, task.id));
    }
    lines
}

/// What one repository's tasks are ready for.
fn one_repository(
    now: Timestamp,
    view: RepositoryView,
    tasks: &[&TaskView],
    actions: &mut Vec<Action>,
    candidates: &mut Vec<Candidate>,
) {
    let committing = view.changing || tasks.iter().any(|task| task.standing == Standing::Committing);
    // The first that is on its way to land: those behind it are built, and land after it.
    let mut first_to_land = true;
    for (rank, task) in tasks.iter().enumerate() {
        if task.postponed || task.backs_off(now).is_some() {
            continue;
        }
        let mut start = |iterations: u32| {
            candidates.push(Candidate {
                rank,
                run_at: task.run_at,
                task: task.id,
                iteration: iterations.saturating_add(1),
                base: view.generation,
            });
        };
        match task.standing {
            // What failed on what is there now would only fail again.
            Standing::Waiting { overtaken: true, .. } if !first_to_land && task.mode == Mode::Commit => {}
            Standing::Waiting { iterations, .. } => start(iterations),
            Standing::Passed { base, .. } if first_to_land && base == view.generation => {
                if !committing {
                    actions.push(Action::Commit { task: task.id, base });
                }
            }
            // What is being made would make it stale at once.
            Standing::Passed { iterations, .. } if first_to_land && !committing => start(iterations),
            Standing::Passed { .. } | Standing::Running | Standing::Committing => {}
        }
        if task.mode == Mode::Commit {
            first_to_land = false;
        }
    }
}
