//! The state machine: `step(state, event, now) -> (state, effects)`, total, without panics.
//!
//! ```text
//!   new ─run─▶ awaiting ─▶ building ─▶ tested | failed | eperm | pending ─▶ committing ─▶ done
//!    ▲            ▲            │          tested ─run --commit─▶ pending      eperm ─votes─▶ pending
//!    └── change ──┴────────────┴ the infrastructure failed: it waits again, in its old place
//! ```
//!
//! An event that does not fit the state (a late message of a run that was stopped) changes nothing. `postponed` is not here:
//! whether a task waits for another is derived from that other's state each time it is asked, so that none sleeps forever.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Denied, Failure, Fault, Mode, Outcome, Run, Stage, StateName, TaskEvent};
use crate::id::{ArchName, Generation, UserName};

/// Where a task stands, with what is known there.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum State {
    /// Being put together.
    New,
    /// Waits for its turn.
    Awaiting {
        /// What was asked for.
        run: Run,
        /// Not before this moment, after the infrastructure failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        not_before: Option<Timestamp>,
        /// How the infrastructure failed last, or what its stages found where that does not count yet.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        trouble: Option<Failure>,
        /// How many times this run has started.
        iteration: u32,
    },
    /// Its stages run.
    Building {
        /// What was asked for.
        run: Run,
        /// Which repetition.
        iteration: u32,
        /// The generation that it is built on.
        base: Generation,
        /// The stage under way.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stage: Option<(Stage, Option<ArchName>)>,
    },
    /// All stages but the commit passed; no more was asked for.
    Tested {
        /// What was asked for.
        run: Run,
    },
    /// A stage failed.
    Failed {
        /// What was asked for.
        run: Run,
        /// Why.
        failure: Failure,
    },
    /// Only the access check failed.
    Eperm {
        /// What was asked for.
        run: Run,
        /// What may not be touched.
        denied: Vec<Denied>,
    },
    /// Passed; waits for the commit.
    Pending {
        /// What was asked for.
        run: Run,
        /// Not before this moment, after a commit failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        not_before: Option<Timestamp>,
        /// How the last commit failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        trouble: Option<String>,
    },
    /// The commit is under way.
    Committing {
        /// What was asked for.
        run: Run,
        /// The generation to be.
        generation: Generation,
    },
    /// Landed.
    Done {
        /// What was asked for.
        run: Run,
        /// The generation that it made.
        generation: Generation,
    },
    /// Somebody stopped it.
    Aborted {
        /// What was asked for.
        run: Run,
        /// Who.
        by: UserName,
    },
    /// Somebody removed it.
    Removed {
        /// Who.
        by: UserName,
    },
}

/// What follows from a step, for those who do things.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// It waits for its turn: the queue looks at it.
    Enqueue,
    /// What runs for it is stopped.
    StopRun,
    /// It waits for its commit: the queue looks at it.
    EnqueueCommit,
    /// Its run has an end: those who wait for that are told.
    TellResult,
    /// It has landed or will never: tasks that depend on it are looked at.
    LookAtDependents,
}

impl State {
    /// The state's name.
    pub fn name(&self) -> StateName {
        match self {
            Self::New => StateName::New,
            Self::Awaiting { .. } => StateName::Awaiting,
            Self::Building { .. } => StateName::Building,
            Self::Tested { .. } => StateName::Tested,
            Self::Failed { .. } => StateName::Failed,
            Self::Eperm { .. } => StateName::Eperm,
            Self::Pending { .. } => StateName::Pending,
            Self::Committing { .. } => StateName::Committing,
            Self::Done { .. } => StateName::Done,
            Self::Aborted { .. } => StateName::Aborted,
            Self::Removed { .. } => StateName::Removed,
        }
    }

    /// The run that it is about, where there is one.
    pub fn run(&self) -> Option<&Run> {
        match self {
            Self::New | Self::Removed { .. } => None,
            Self::Awaiting { run, .. }
            | Self::Building { run, .. }
            | Self::Tested { run }
            | Self::Failed { run, .. }
            | Self::Eperm { run, .. }
            | Self::Pending { run, .. }
            | Self::Committing { run, .. }
            | Self::Done { run, .. }
            | Self::Aborted { run, .. } => Some(run),
        }
    }

    /// Whether nothing changes it any more.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Done { .. } | Self::Removed { .. })
    }

    /// Whether something runs for it: then it cannot be changed or removed.
    pub fn is_running(&self) -> bool {
        matches!(self, Self::Building { .. } | Self::Committing { .. })
    }
}

/// The state after an event, and what follows.
pub fn step(state: &State, event: &TaskEvent, now: Timestamp) -> (State, Vec<Effect>) {
    // Once it has landed or is removed, nothing changes it, whatever comes.
    if state.is_final() {
        return (state.clone(), Vec::new());
    }
    next(state, event, now).unwrap_or_else(|| (state.clone(), Vec::new()))
}

/// The next state, where the event fits.
fn next(state: &State, event: &TaskEvent, _now: Timestamp) -> Option<(State, Vec<Effect>)> {
    match event {
        TaskEvent::Created { .. }
        | TaskEvent::Shared { .. }
        | TaskEvent::Voted { .. }
        | TaskEvent::VoteRevoked { .. }
        | TaskEvent::Archived { .. }
        | TaskEvent::Built { .. }
        | TaskEvent::Planned { .. }
        | TaskEvent::Noted { .. }
        | TaskEvent::SubtaskFailed { .. } => None,
        TaskEvent::SubtaskAdded { .. } | TaskEvent::SubtaskRemoved { .. } | TaskEvent::DepsChanged { .. } => {
            (!state.is_running()).then(|| (State::New, Vec::new()))
        }
        TaskEvent::RunAsked { run } => run_asked(state, run),
        TaskEvent::Permitted => waits_for_votes(state).map(passed),
        TaskEvent::Aborted { by } => {
            let run = stoppable(state)?.clone();
            Some((
                State::Aborted { run, by: by.clone() },
                vec![Effect::StopRun, Effect::TellResult],
            ))
        }
        TaskEvent::Removed { by } => {
            (!state.is_running()).then(|| (State::Removed { by: by.clone() }, vec![Effect::LookAtDependents]))
        }
        TaskEvent::BuildStarted {
            try_number,
            iteration,
            base,
        } => {
            let run = stoppable(state).filter(|run| run.try_number == *try_number)?.clone();
            let (iteration, base) = (*iteration, *base);
            Some((
                State::Building {
                    run,
                    iteration,
                    base,
                    stage: None,
                },
                Vec::new(),
            ))
        }
        TaskEvent::StageStarted {
            try_number,
            stage: name,
            arch,
        } => {
            let mut next = state.clone();
            let State::Building { run, stage, .. } = &mut next else {
                return None;
            };
            *stage = Some((*name, arch.clone()));
            (run.try_number == *try_number).then_some((next, Vec::new()))
        }
        TaskEvent::StageFinished {
            try_number,
            stage: name,
            arch,
            ..
        } => {
            let mut next = state.clone();
            let State::Building { run, stage, .. } = &mut next else {
                return None;
            };
            stage.take_if(|stage| *stage == (*name, arch.clone()));
            (run.try_number == *try_number).then_some((next, Vec::new()))
        }
        TaskEvent::RunEnded {
            try_number,
            outcome,
            not_before,
        } => {
            if let State::Pending { run, .. } = state {
                // Judged once more at the commit, and no longer good; nothing else ends what has passed.
                let fits = run.try_number == *try_number && is_refusal(outcome);
                return fits.then(|| run_ended(run, 0, outcome, None));
            }
            let State::Building { run, iteration, .. } = state else {
                return None;
            };
            (run.try_number == *try_number).then(|| run_ended(run, *iteration, outcome, *not_before))
        }
        TaskEvent::Overtaken { try_number, failure } => {
            let State::Building { run, iteration, .. } = state else {
                return None;
            };
            let next = State::Awaiting {
                run: run.clone(),
                not_before: None,
                trouble: Some(failure.clone()),
                iteration: *iteration,
            };
            (run.try_number == *try_number).then_some((next, vec![Effect::Enqueue]))
        }
        TaskEvent::CommitStarted { try_number, generation } => {
            let State::Pending { run, .. } = state else {
                return None;
            };
            let (run, generation) = (run.clone(), *generation);
            (run.try_number == *try_number).then_some((State::Committing { run, generation }, Vec::new()))
        }
        TaskEvent::CommitFailed {
            try_number,
            message,
            not_before,
        } => {
            // Before it began, too: a keyring that cannot be read, a lock that cannot be taken.
            let (State::Committing { run, .. } | State::Pending { run, .. }) = state else {
                return None;
            };
            let next = State::Pending {
                run: run.clone(),
                not_before: *not_before,
                trouble: Some(message.clone()),
            };
            (run.try_number == *try_number).then_some((next, vec![Effect::EnqueueCommit]))
        }
        TaskEvent::Landed { try_number, generation } => {
            let State::Committing { run, generation: to_be } = state else {
                return None;
            };
            let (run, generation) = (run.clone(), *generation);
            (run.try_number == *try_number && generation == *to_be).then_some((
                State::Done { run, generation },
                vec![Effect::TellResult, Effect::LookAtDependents],
            ))
        }
    }
}

/// Whether a run's end is a rule's no.
fn is_refusal(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Passed => false,
        Outcome::Failed(failure) => failure.fault == Fault::Policy,
        Outcome::Eperm { .. } => true,
    }
}

/// The run of a task whose access check alone failed.
fn waits_for_votes(state: &State) -> Option<&Run> {
    if let State::Eperm { run, .. } = state {
        Some(run)
    } else {
        None
    }
}

/// The run of a task that waits or builds: until its commit begins it can be stopped, or started once more.
fn stoppable(state: &State) -> Option<&Run> {
    if let State::Awaiting { run, .. } | State::Building { run, .. } | State::Pending { run, .. } = state {
        Some(run)
    } else {
        None
    }
}

fn run_asked(state: &State, run: &Run) -> Option<(State, Vec<Effect>)> {
    let run = run.clone();
    match state {
        // What was tested need not be built again to land.
        State::Tested { .. } if run.mode == Mode::Commit => Some((pending(run), vec![Effect::EnqueueCommit])),
        State::New | State::Tested { .. } | State::Failed { .. } | State::Eperm { .. } | State::Aborted { .. } => {
            let (not_before, trouble, iteration) = (None, None, 0);
            Some((
                State::Awaiting {
                    run,
                    not_before,
                    trouble,
                    iteration,
                },
                vec![Effect::Enqueue],
            ))
        }
        State::Awaiting { .. }
        | State::Building { .. }
        | State::Pending { .. }
        | State::Committing { .. }
        | State::Done { .. }
        | State::Removed { .. } => None,
    }
}

fn pending(run: Run) -> State {
    State::Pending {
        run,
        not_before: None,
        trouble: None,
    }
}

fn passed(run: &Run) -> (State, Vec<Effect>) {
    match run.mode {
        Mode::Commit => (pending(run.clone()), vec![Effect::EnqueueCommit]),
        Mode::TestOnly => (State::Tested { run: run.clone() }, vec![Effect::TellResult]),
    }
}

fn run_ended(run: &Run, iteration: u32, outcome: &Outcome, not_before: Option<Timestamp>) -> (State, Vec<Effect>) {
    match outcome {
        Outcome::Passed => passed(run),
        // An infrastructure failure is never a package failure: the run keeps its moment, and with it its place.
        Outcome::Failed(failure) if failure.fault == Fault::Infrastructure => (
            State::Awaiting {
                run: run.clone(),
                not_before,
                trouble: Some(failure.clone()),
                iteration,
            },
            vec![Effect::Enqueue],
        ),
        Outcome::Failed(failure) => (
            State::Failed {
                run: run.clone(),
                failure: failure.clone(),
            },
            vec![Effect::TellResult],
        ),
        Outcome::Eperm { denied } => (
            State::Eperm {
                run: run.clone(),
                denied: denied.clone(),
            },
            vec![Effect::TellResult],
        ),
    }
}
