//! Puts on record what the stages of one run say, a few events at a time, and only while the run is the one that is wanted.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use windlass_core::event::Event;
use windlass_core::id::{Generation, TaskId};
use windlass_core::queue::is_first_to_land;
use windlass_core::task::{Fault, Outcome, State as TaskState, TaskEvent};

use super::snapshot::{self, Alive, Live};
use crate::stages::StageError;
use crate::writer::{Handle, State, WriterError};

/// So long events may wait for others: each record is a write that waits for the disk.
const WAIT: Duration = Duration::from_millis(100);

/// The record of one run.
pub(super) struct Recorder {
    writer: Handle,
    task: TaskId,
    alive: Alive,
    waiting: Mutex<(Vec<TaskEvent>, Instant)>,
}

impl Recorder {
    pub(super) fn new(writer: Handle, task: TaskId, alive: Alive) -> Self {
        Self {
            writer,
            task,
            alive,
            waiting: Mutex::new((Vec::new(), Instant::now())),
        }
    }

    /// The run's number.
    pub(super) fn try_number(&self) -> u32 {
        self.alive.try_number
    }

    /// Puts something on record, soon.
    pub(super) fn say(&self, event: TaskEvent) -> Result<(), StageError> {
        let due = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.0.push(event);
            waiting.1.elapsed() > WAIT
        };
        if due { self.flush() } else { Ok(()) }
    }

    /// Puts all of it on record now.
    pub(super) fn flush(&self) -> Result<(), StageError> {
        let events = self.take();
        if events.is_empty() {
            return Ok(());
        }
        let (task, alive) = (self.task, self.alive);
        let wanted = self
            .writer
            .call_blocking(move |state| {
                let wanted = is_wanted(state, task, alive).is_some();
                if wanted {
                    append(state, task, events)?;
                }
                Ok(wanted)
            })
            .map_err(journal)?;
        if wanted { Ok(()) } else { Err(StageError::Stopped) }
    }

    fn take(&self) -> Vec<TaskEvent> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.1 = Instant::now();
        std::mem::take(&mut waiting.0)
    }

    /// Puts the end of the run on record. A failure behind others, or on a generation that is not the newest any more, is no
    /// verdict: then the task waits and is tested again.
    pub(super) fn end(&self, outcome: Outcome, not_before: Option<Timestamp>) -> Result<(), StageError> {
        let mut events = self.take();
        let (task, alive) = (self.task, self.alive);
        self.writer
            .call_blocking(move |state| {
                if let Some(base) = is_wanted(state, task, alive) {
                    events.push(verdict(state, (task, alive, base), outcome, not_before));
                    append(state, task, events)?;
                }
                Ok(())
            })
            .map_err(journal)
    }
}

fn verdict(
    state: &State,
    (task, alive, base): (TaskId, Alive, Generation),
    outcome: Outcome,
    not_before: Option<Timestamp>,
) -> TaskEvent {
    let try_number = alive.try_number;
    if let Outcome::Failed(failure) = &outcome
        && failure.fault != Fault::Infrastructure
    {
        let repositories = state.world().task(task).map(|task| task.repository.clone());
        let newest = repositories
            .as_ref()
            .and_then(|name| state.world().repository(name))
            .is_none_or(|record| record.generation == base);
        let live = Live {
            repositories: repositories.into_iter().collect(),
            ..Live::default()
        };
        let snapshot = snapshot::of(state.world(), &live, Timestamp::now());
        let tests_only = state
            .world()
            .task(task)
            .and_then(|task| task.state.run())
            .is_some_and(|run| run.mode == windlass_core::task::Mode::TestOnly);
        let counts = tests_only || (newest && is_first_to_land(&snapshot, task));
        if !counts {
            let failure = failure.clone();
            return TaskEvent::Overtaken { try_number, failure };
        }
    }
    TaskEvent::RunEnded {
        try_number,
        outcome,
        not_before,
    }
}

/// The generation that a run is on, if it is the one on record.
fn is_wanted(state: &State, task: TaskId, alive: Alive) -> Option<Generation> {
    match state.world().task(task).map(|task| &task.state) {
        Some(TaskState::Building {
            run, iteration, base, ..
        }) if (run.try_number, *iteration) == (alive.try_number, alive.iteration) => Some(*base),
        Some(_) | None => None,
    }
}

fn append(state: &mut State, id: TaskId, events: Vec<TaskEvent>) -> Result<(), crate::journal::JournalError> {
    let events: Vec<Event> = events.into_iter().map(|event| Event::Task { id, event }).collect();
    state.append(&events, Timestamp::now())
}

fn journal(error: WriterError) -> StageError {
    match error {
        WriterError::Stopped => StageError::Stopped,
        WriterError::Journal(error) => StageError::infrastructure(format!("the journal: {error}")),
    }
}
