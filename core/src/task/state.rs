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
        /// How the infrastructure failed last.
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
            | Self::Pending { run }
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
pub fn step(state: &State, event: &TaskEvent, _now: Timestamp) -> (State, Vec<Effect>) {
    let stay = || (state.clone(), Vec::new());
    let of_this_run = |number: u32| state.run().is_some_and(|run| run.try_number == number);
    match event {
        TaskEvent::Created { .. }
        | TaskEvent::Shared { .. }
        | TaskEvent::Voted { .. }
        | TaskEvent::VoteRevoked { .. } => stay(),
        TaskEvent::SubtaskAdded { .. } | TaskEvent::SubtaskRemoved { .. } | TaskEvent::DepsChanged { .. } => {
            match state {
                State::New
                | State::Awaiting { .. }
                | State::Tested { .. }
                | State::Failed { .. }
                | State::Eperm { .. }
                | State::Pending { .. }
                | State::Aborted { .. } => (State::New, Vec::new()),
                State::Building { .. } | State::Committing { .. } | State::Done { .. } | State::Removed { .. } => {
                    stay()
                }
            }
        }
        TaskEvent::RunAsked { run } => run_asked(state, run),
        TaskEvent::Permitted => match state {
            State::Eperm { run, .. } => passed(run),
            State::New
            | State::Awaiting { .. }
            | State::Building { .. }
            | State::Tested { .. }
            | State::Failed { .. }
            | State::Pending { .. }
            | State::Committing { .. }
            | State::Done { .. }
            | State::Aborted { .. }
            | State::Removed { .. } => stay(),
        },
        TaskEvent::Aborted { by } => match state {
            State::Awaiting { run, .. } | State::Building { run, .. } | State::Pending { run } => (
                State::Aborted {
                    run: run.clone(),
                    by: by.clone(),
                },
                vec![Effect::StopRun, Effect::TellResult],
            ),
            State::New
            | State::Tested { .. }
            | State::Failed { .. }
            | State::Eperm { .. }
            | State::Committing { .. }
            | State::Done { .. }
            | State::Aborted { .. }
            | State::Removed { .. } => stay(),
        },
        TaskEvent::Removed { by } => {
            if state.is_running() || state.is_final() {
                stay()
            } else {
                (State::Removed { by: by.clone() }, vec![Effect::LookAtDependents])
            }
        }
        TaskEvent::BuildStarted {
            try_number,
            iteration,
            base,
        } => match state {
            State::Awaiting { run, .. } | State::Building { run, .. } | State::Pending { run }
                if of_this_run(*try_number) =>
            {
                (
                    State::Building {
                        run: run.clone(),
                        iteration: *iteration,
                        base: *base,
                        stage: None,
                    },
                    Vec::new(),
                )
            }
            State::New
            | State::Awaiting { .. }
            | State::Building { .. }
            | State::Tested { .. }
            | State::Failed { .. }
            | State::Eperm { .. }
            | State::Pending { .. }
            | State::Committing { .. }
            | State::Done { .. }
            | State::Aborted { .. }
            | State::Removed { .. } => stay(),
        },
        TaskEvent::StageStarted {
            try_number,
            stage: name,
            arch,
        } => {
            let mut next = state.clone();
            if let State::Building { stage, run, .. } = &mut next
                && run.try_number == *try_number
            {
                *stage = Some((*name, arch.clone()));
            }
            (next, Vec::new())
        }
        TaskEvent::StageFinished {
            try_number,
            stage: name,
            arch,
        } => {
            let mut next = state.clone();
            if let State::Building { stage, run, .. } = &mut next
                && run.try_number == *try_number
                && *stage == Some((*name, arch.clone()))
            {
                *stage = None;
            }
            (next, Vec::new())
        }
        TaskEvent::RunEnded {
            try_number,
            outcome,
            not_before,
        } => match state {
            State::Building { run, iteration, .. } if run.try_number == *try_number => {
                run_ended(run, *iteration, outcome, *not_before)
            }
            State::New
            | State::Awaiting { .. }
            | State::Building { .. }
            | State::Tested { .. }
            | State::Failed { .. }
            | State::Eperm { .. }
            | State::Pending { .. }
            | State::Committing { .. }
            | State::Done { .. }
            | State::Aborted { .. }
            | State::Removed { .. } => stay(),
        },
        TaskEvent::CommitStarted { try_number, generation } => match state {
            State::Pending { run } if of_this_run(*try_number) => (
                State::Committing {
                    run: run.clone(),
                    generation: *generation,
                },
                Vec::new(),
            ),
            State::New
            | State::Awaiting { .. }
            | State::Building { .. }
            | State::Tested { .. }
            | State::Failed { .. }
            | State::Eperm { .. }
            | State::Pending { .. }
            | State::Committing { .. }
            | State::Done { .. }
            | State::Aborted { .. }
            | State::Removed { .. } => stay(),
        },
        TaskEvent::CommitFailed { try_number, .. } => match state {
            State::Committing { run, .. } if of_this_run(*try_number) => {
                (State::Pending { run: run.clone() }, vec![Effect::EnqueueCommit])
            }
            State::New
            | State::Awaiting { .. }
            | State::Building { .. }
            | State::Tested { .. }
            | State::Failed { .. }
            | State::Eperm { .. }
            | State::Pending { .. }
            | State::Committing { .. }
            | State::Done { .. }
            | State::Aborted { .. }
            | State::Removed { .. } => stay(),
        },
        TaskEvent::Landed { try_number, generation } => match state {
            State::Committing { run, generation: to_be } if of_this_run(*try_number) && to_be == generation => (
                State::Done {
                    run: run.clone(),
                    generation: *generation,
                },
                vec![Effect::TellResult, Effect::LookAtDependents],
            ),
            State::New
            | State::Awaiting { .. }
            | State::Building { .. }
            | State::Tested { .. }
            | State::Failed { .. }
            | State::Eperm { .. }
            | State::Pending { .. }
            | State::Committing { .. }
            | State::Done { .. }
            | State::Aborted { .. }
            | State::Removed { .. } => stay(),
        },
    }
}

fn run_asked(state: &State, run: &Run) -> (State, Vec<Effect>) {
    match state {
        // What was tested need not be built again to land.
        State::Tested { .. } if run.mode == Mode::Commit => {
            (State::Pending { run: run.clone() }, vec![Effect::EnqueueCommit])
        }
        State::New | State::Tested { .. } | State::Failed { .. } | State::Eperm { .. } | State::Aborted { .. } => (
            State::Awaiting {
                run: run.clone(),
                not_before: None,
                trouble: None,
                iteration: 0,
            },
            vec![Effect::Enqueue],
        ),
        State::Awaiting { .. }
        | State::Building { .. }
        | State::Pending { .. }
        | State::Committing { .. }
        | State::Done { .. }
        | State::Removed { .. } => (state.clone(), Vec::new()),
    }
}

fn passed(run: &Run) -> (State, Vec<Effect>) {
    match run.mode {
        Mode::Commit => (State::Pending { run: run.clone() }, vec![Effect::EnqueueCommit]),
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
