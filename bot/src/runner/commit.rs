//! Stage repo-commit: what was tested becomes the next generation.
//!
//! Everything that may have changed is judged again: tags and keys before anything is begun, access lists and votes at the moment
//! of the record itself. Whether the base has moved is seen at that moment too: then the task is tested again, and nothing was
//! begun.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use windlass_core::access::{AccessChange, ListChange, Subject};
use windlass_core::decide::Facts;
use windlass_core::event::Event;
use windlass_core::id::{Generation, PackageName, TaskId, UserName};
use windlass_core::refusal::Refusal;
use windlass_core::repository::Plan;
use windlass_core::repository::record::Cause;
use windlass_core::task::{Outcome, Stage, State as TaskState, Task, TaskEvent};
use windlass_core::world::World;

use super::failure::{self, Site};
use super::run::Tested;
use super::{Runner, judge};
use crate::crash;
use crate::repository::{Change, Ending, RepositoryError, Story, change};
use crate::stages::{StageError, StageLog, check_acl};
use crate::writer::State;

/// A refusal of our own making: the task is not to be committed now, and nothing is wrong.
const NOT_NOW: &str = "not_now";

/// Access does not suffice any more; the end of the run is on record by then.
const EPERM: &str = "eperm";

/// What becomes of that which was tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    /// It is of no more use: it has landed, or never will.
    Over,
    /// It was tested on something that is there no more.
    TestAgain,
    /// It stays as it is: it waits for votes.
    Stays,
    /// The infrastructure failed: the same is tried again.
    Troubled,
}

/// Commits what was tested, or puts on record why not. A mistake of our own is an infrastructure failure, too: the queue goes on.
pub(super) fn commit(runner: &Runner, tested: &Arc<Tested>, pause: SignedDuration) -> After {
    catch_unwind(AssertUnwindSafe(|| try_to_commit(runner, tested, pause))).unwrap_or_else(|panic| {
        let (task, what) = (tested.task.id, failure::said(&*panic));
        tracing::error!(task.id = task.get(), "the commit of task {task} has panicked: {what}");
        let site = Site {
            stage: Stage::RepoCommit,
            subtask: None,
            arch: None,
            log: tested.dir.recorded(&tested.dir.log(Stage::RepoCommit, None, None)),
        };
        // What was begun by then is looked into at the next start: `current` decides.
        not_committed(runner, tested, &site, failure::own_mistake(what), pause)
    })
}

fn try_to_commit(runner: &Runner, tested: &Arc<Tested>, pause: SignedDuration) -> After {
    let task = tested.task.id;
    let log_path = tested.dir.log(Stage::RepoCommit, None, None);
    let mut log = match StageLog::create(&log_path) {
        Ok(log) => Some(log),
        Err(error) => {
            tracing::warn!(task.id = task.get(), %error, "the log of the commit cannot be made: {error}");
            None
        }
    };
    let mut say = |line: String| {
        if let Some(log) = &mut log {
            log.line(line);
        }
    };
    let site = Site {
        stage: Stage::RepoCommit,
        subtask: None,
        arch: None,
        log: tested.dir.recorded(&log_path),
    };
    let facts = match judge::tags(runner, &tested.task) {
        Ok(facts) => facts,
        Err(error) => {
            say(error.to_string());
            return not_committed(runner, tested, &site, error, pause);
        }
    };
    let Some(repository) = runner.repositories.get(&tested.plan.repository).cloned() else {
        return After::Over;
    };
    let ready = repository
        .bases()
        .and_then(|bases| Ok((bases, repository.lock()?)))
        .map_err(|error| StageError::infrastructure(error.to_string()));
    let (bases, lock) = match ready {
        Ok(ready) => ready,
        Err(error) => {
            say(error.to_string());
            return not_committed(runner, tested, &site, error, pause);
        }
    };
    if !bases.are(&tested.bases) {
        say("a base repository has changed: it is tested again".to_owned());
        return After::TestAgain;
    }
    let wanted = Change::new(tested.plan.clone(), tested.files.clone());
    let made = change(&repository, &lock, &runner.writer, &wanted, story(tested, facts, pause));
    let after = match made {
        Ok(switched) => {
            say(format!("generation {} is there", switched.generation));
            After::Over
        }
        Err(RepositoryError::Refused(refusal)) => {
            say(refusal.message.clone());
            if refusal.code == EPERM {
                settle_access(runner, tested);
                After::Stays
            } else {
                After::TestAgain
            }
        }
        Err(error) => {
            say(error.to_string());
            tracing::warn!(task.id = task.get(), %error, "task {task} could not be committed: {error}");
            let files_are_good = error.is_infrastructure();
            let error = StageError::infrastructure(error.to_string());
            let after = not_committed(runner, tested, &site, error, pause);
            // A package that passed its checks and cannot be read now was damaged since: with the same file it would fail for ever.
            if files_are_good { after } else { After::TestAgain }
        }
    };
    crash::point("commit.ended");
    after
}

/// What goes on record around the change.
fn story(tested: &Arc<Tested>, facts: Facts, pause: SignedDuration) -> Story {
    let (task, cause) = (tested.task.id, Cause::Task { task: tested.task.id });
    let begin = Arc::clone(tested);
    let plan = Arc::clone(tested);
    Story::new(cause)
        .begin(move |state, generation| begin_commit(state, &begin, &facts, generation))
        .end(move |world, ending| end_commit(world, task, Some(&plan.plan), ending, Some(pause)))
}

fn begin_commit(state: &State, tested: &Tested, facts: &Facts, generation: Generation) -> Result<Vec<Event>, Refusal> {
    let id = tested.task.id;
    let not_now = |why: &str| Err(Refusal::new(NOT_NOW, format!("task {id} is not committed now: {why}")));
    let Some(task) = state.world().task(id) else {
        return not_now("it is gone");
    };
    let TaskState::Pending { run, .. } = &task.state else {
        return not_now("it does not wait for its commit any more");
    };
    if task.version != tested.task.version || !state.world().waits_for(task).is_empty() {
        return not_now("it has changed");
    }
    if generation.0 != tested.plan.base.0 + 1 {
        return not_now("the base has moved, it is tested again");
    }
    if !check_acl::run(state.world(), facts, task, &tested.plan).is_empty() {
        return Err(Refusal::new(EPERM, "the access lists do not allow it any more"));
    }
    let try_number = run.try_number;
    let event = TaskEvent::CommitStarted { try_number, generation };
    Ok(vec![Event::Task { id, event }])
}

/// What follows for the task, in the batch that says how the change ended.
pub(super) fn end_commit(
    world: &World,
    id: TaskId,
    plan: Option<&Plan>,
    ending: &Ending<'_>,
    pause: Option<SignedDuration>,
) -> Vec<Event> {
    let Some(task) = world.task(id) else {
        return Vec::new();
    };
    let TaskState::Committing { run, .. } = &task.state else {
        return Vec::new();
    };
    let try_number = run.try_number;
    match ending {
        Ending::Made(switched) => {
            let generation = switched.generation;
            let mut events = vec![Event::Task {
                id,
                event: TaskEvent::Landed { try_number, generation },
            }];
            events.extend(new_leaders(world, task, plan));
            events
        }
        Ending::Failed { message, .. } => vec![Event::Task {
            id,
            event: TaskEvent::CommitFailed {
                try_number,
                message: (*message).to_owned(),
                not_before: pause.and_then(|pause| Timestamp::now().checked_add(pause).ok()),
            },
        }],
    }
}

/// A package that nobody led belongs to whoever landed it. What was landed is told by the plan, or, after a crash, by what is
/// on record of the task's last run.
fn new_leaders(world: &World, task: &Task, plan: Option<&Plan>) -> Vec<Event> {
    let from_plan = plan.map(|plan| {
        let comes = plan.changes.iter().filter(|change| change.after.is_some());
        comes
            .map(|change| (change.subtask, change.package.clone()))
            .collect::<Vec<_>>()
    });
    let landed = from_plan.unwrap_or_else(|| {
        let planned = task.progress.as_deref().and_then(|progress| progress.plan.as_ref());
        let changes = planned.map(|plan| plan.changes.as_slice()).unwrap_or_default();
        let comes = changes.iter().filter(|change| change.after.is_some());
        comes
            .filter_map(|change| Some((change.subtask, change.package.parse::<PackageName>().ok()?)))
            .collect()
    });
    let mut seen = BTreeSet::new();
    let mut events = Vec::new();
    for (number, package) in landed {
        let Some(subtask) = task.subtask(number) else { continue };
        let list = world.access(&task.repository).and_then(|lists| lists.package(&package));
        if list.is_some_and(|list| !list.is_orphan()) || !seen.insert(package.clone()) {
            continue;
        }
        events.push(led(task, Subject::Package(package), &subtask.by));
    }
    events
}

fn led(task: &Task, subject: Subject, leader: &UserName) -> Event {
    Event::Access(AccessChange {
        repository: task.repository.clone(),
        subject,
        by: leader.clone(),
        change: ListChange::Landed { leader: leader.clone() },
    })
}

/// Puts on record that a task that waits for its commit cannot have it: for good where a rule says so, for a while where the
/// infrastructure failed.
fn not_committed(
    runner: &Runner,
    tested: &Arc<Tested>,
    site: &Site,
    error: StageError,
    pause: SignedDuration,
) -> After {
    let Some(failed) = failure::of(site, error) else {
        return After::Stays;
    };
    let not_before = failure::not_before(&failed, pause);
    let after = if not_before.is_some() {
        After::Troubled
    } else {
        After::Over
    };
    let (id, notes) = (tested.task.id, failed.notes);
    let recorded = runner.writer.call_blocking(move |state| {
        let Some(TaskState::Pending {
            run,
            not_before: paused,
            ..
        }) = state.world().task(id).map(|task| &task.state)
        else {
            return Ok(());
        };
        // What failed after it was begun is on record already, with its pause.
        if paused.is_some_and(|until| until > Timestamp::now()) {
            return Ok(());
        }
        let try_number = run.try_number;
        let mut events: Vec<TaskEvent> = Vec::new();
        if not_before.is_some() {
            let message = failed.failure.message;
            events.push(TaskEvent::CommitFailed {
                try_number,
                message,
                not_before,
            });
        } else {
            events.extend(notes.into_iter().map(|note| TaskEvent::Noted { try_number, note }));
            events.push(TaskEvent::RunEnded {
                try_number,
                outcome: Outcome::Failed(failed.failure),
                not_before: None,
            });
        }
        let events: Vec<Event> = events.into_iter().map(|event| Event::Task { id, event }).collect();
        state.append(&events, Timestamp::now())
    });
    if let Err(error) = recorded {
        tracing::error!(task.id = id.get(), %error, "why task {id} was not committed cannot be recorded: {error}");
    }
    after
}

/// The lists do not allow any more what they allowed when it was tested: it waits for votes again.
fn settle_access(runner: &Runner, tested: &Arc<Tested>) {
    let facts = match judge::tags(runner, &tested.task) {
        Ok(facts) => facts,
        Err(error) => {
            tracing::warn!(task.id = tested.task.id.get(), %error, "access cannot be judged now: {error}");
            return;
        }
    };
    let tested = Arc::clone(tested);
    let recorded = runner.writer.call_blocking(move |state| {
        let id = tested.task.id;
        let Some(task) = state.world().task(id) else {
            return Ok(());
        };
        let TaskState::Pending { run, .. } = &task.state else {
            return Ok(());
        };
        let denied = check_acl::run(state.world(), &facts, task, &tested.plan);
        if denied.is_empty() {
            return Ok(());
        }
        let event = TaskEvent::RunEnded {
            try_number: run.try_number,
            outcome: Outcome::Eperm { denied },
            not_before: None,
        };
        state.append(&[Event::Task { id, event }], Timestamp::now())
    });
    if let Err(error) = recorded {
        tracing::error!(%error, "that access does not suffice cannot be recorded: {error}");
    }
}
