//! The steps of a flash as a state machine: [`step`] takes what happened and says what is to be done next.
//!
//! In every state but the last exactly one thing is under way, the [`Effect`] that came with it; what comes of it is the next [`Event`]. The word to
//! stop, and a failure, may come at any time: then what is left is cleared away, once, and the flash is over.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::judge::{Expected, Seen, SlotRule, Verdict, judge};
use super::look::Updater;
use super::outcome::{Fault, FlashStep, Outcome};

/// What is to be done, and what is known before anything is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "one fact each")]
pub struct Plan {
    /// The board that the payload is for; any where nobody knows.
    pub board: Option<String>,
    /// Whether another board is no reason to stop.
    pub force_mismatch: bool,
    /// The version that the payload brings, where that is known.
    pub version: Option<String>,
    /// Whether the device fetches something from a server of ours.
    pub serves: bool,
    /// Whether there is a stateful archive.
    pub stateful: bool,
    /// Whether the device's power can be cut and given back.
    pub power: bool,
    /// How long a restart may take.
    pub reboot_limit: Duration,
}

/// Where a flash is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// The device is looked at.
    Looking {
        /// Whether a restart that an earlier update waited for was done already.
        settled: bool,
    },
    /// Server and tunnel come up.
    Serving {
        /// What the device was.
        before: Seen,
    },
    /// The device installs.
    Installing {
        /// What the device was.
        before: Seen,
    },
    /// It takes the stateful archive.
    AddingStateful {
        /// What the device was.
        before: Seen,
        /// What it is to be.
        expected: Expected,
    },
    /// It restarts.
    Restarting(Restart),
    /// What runs is told to be good.
    Marking,
    /// What is left is cleared away.
    Cleaning(Outcome),
    /// It is over.
    Done(Outcome),
}

/// A device that restarts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restart {
    /// What for.
    pub goal: Goal,
    /// What the device was.
    pub before: Seen,
    /// What is under way.
    pub phase: Phase,
    /// Whether its power was cut.
    pub cycled: bool,
}

/// What a restart is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Goal {
    /// An earlier update waits for it.
    Settle,
    /// What was written is to run.
    Update(Expected),
}

/// What is under way while a device restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It is told to.
    Asking,
    /// It is waited for.
    Waiting {
        /// Until when.
        until: Timestamp,
    },
    /// Its power is cut and given back.
    Cycling,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The device was looked at.
    Looked {
        /// What it is.
        seen: Seen,
        /// Its board.
        board: Option<String>,
        /// What its updater does.
        updater: Updater,
    },
    /// Server and tunnel are there.
    Served,
    /// It has installed what is to run from such a slot.
    Installed(SlotRule),
    /// It has taken the stateful archive.
    StatefulAdded,
    /// It was told to restart.
    RestartAsked,
    /// It answers, and is this.
    Answered(Seen),
    /// It does not answer.
    Silent,
    /// Its power was cut and given back.
    PowerCycled,
    /// It was told that what runs is good.
    Marked,
    /// Everything was cleared away; whether the device works, where that is known.
    Cleaned(Option<bool>),
    /// What was under way failed.
    Failed {
        /// What happened.
        why: String,
        /// Whose fault it is.
        fault: Fault,
    },
    /// Somebody wants it to stop.
    Stop,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Look at the device: [`Event::Looked`].
    Look,
    /// Bring up server and tunnel: [`Event::Served`].
    Serve,
    /// Have it install: [`Event::Installed`].
    Install,
    /// Have it take the stateful archive: [`Event::StatefulAdded`].
    AddStateful,
    /// Have it restart: [`Event::RestartAsked`].
    Restart,
    /// Ask whether it answers, after a moment: [`Event::Answered`] or [`Event::Silent`].
    Listen,
    /// Cut its power and give it back: [`Event::PowerCycled`].
    CyclePower,
    /// Say that what runs is good: [`Event::Marked`].
    MarkGood,
    /// Clear away what is left, on the device too: [`Event::Cleaned`].
    Clean,
}

impl Effect {
    /// The step that it belongs to.
    pub fn step(self) -> FlashStep {
        match self {
            Self::Look => FlashStep::Look,
            Self::Serve => FlashStep::Serve,
            Self::Install => FlashStep::Install,
            Self::AddStateful => FlashStep::Stateful,
            Self::Restart | Self::Listen | Self::CyclePower => FlashStep::Reboot,
            Self::MarkGood => FlashStep::MarkGood,
            Self::Clean => FlashStep::Clean,
        }
    }
}

impl State {
    /// Where it begins, and what is to be done first.
    pub fn begin() -> (Self, Effect) {
        (Self::Looking { settled: false }, Effect::Look)
    }

    /// The step that it is in.
    pub fn step(&self) -> FlashStep {
        match self {
            Self::Looking { .. } => FlashStep::Look,
            Self::Serving { .. } => FlashStep::Serve,
            Self::Installing { .. } => FlashStep::Install,
            Self::AddingStateful { .. } => FlashStep::Stateful,
            Self::Restarting(_) => FlashStep::Reboot,
            Self::Marking => FlashStep::MarkGood,
            Self::Cleaning(_) | Self::Done(_) => FlashStep::Clean,
        }
    }
}

/// The next state, and what is to be done in it; nothing when it is over.
pub fn step(plan: &Plan, state: State, event: Event, now: Timestamp) -> (State, Option<Effect>) {
    let at = state.step();
    match (state, event) {
        (State::Done(outcome), _) => (State::Done(outcome), None),
        (State::Cleaning(outcome), Event::Cleaned(works)) => (State::Done(with_works(outcome, works)), None),
        // Clearing up goes on, whatever else happens; what it could not do is known as little as before.
        (State::Cleaning(outcome), Event::Failed { .. }) => (State::Done(with_works(outcome, None)), None),
        (State::Cleaning(outcome), _) => (State::Cleaning(outcome), Some(Effect::Clean)),
        (_, Event::Stop) => clean(Outcome::Cancelled {
            step: at,
            device_works: None,
        }),
        (State::Restarting(restart), Event::Failed { why, .. }) if restart.phase == Phase::Cycling => failed(
            at,
            format!("it did not come back, and its power could not be cut: {why}"),
            Fault::Infrastructure,
        ),
        (_, Event::Failed { why, fault }) => failed(at, why, fault),
        (State::Looking { settled }, Event::Looked { seen, board, updater }) => {
            looked(plan, settled, seen, board.as_deref(), updater)
        }
        (State::Serving { before }, Event::Served) => (State::Installing { before }, Some(Effect::Install)),
        (State::Installing { before }, Event::Installed(slot)) => {
            let expected = Expected {
                slot,
                version: plan.version.clone(),
            };
            if plan.stateful {
                (State::AddingStateful { before, expected }, Some(Effect::AddStateful))
            } else {
                restart(before, Goal::Update(expected))
            }
        }
        (State::AddingStateful { before, expected }, Event::StatefulAdded) => restart(before, Goal::Update(expected)),
        (State::Restarting(restart), event) => restarting(plan, restart, event, now),
        (State::Marking, Event::Marked) => clean(Outcome::Succeeded),
        (
            State::Looking { .. }
            | State::Serving { .. }
            | State::Installing { .. }
            | State::AddingStateful { .. }
            | State::Marking,
            other,
        ) => out_of_order(at, &other),
    }
}

fn looked(plan: &Plan, settled: bool, seen: Seen, board: Option<&str>, updater: Updater) -> (State, Option<Effect>) {
    let step = FlashStep::Look;
    if let Some(wanted) = &plan.board
        && board != Some(wanted)
        && !plan.force_mismatch
    {
        let board = board.unwrap_or("unknown");
        let why =
            format!("the device's board is {board}, and the update is for {wanted} (--force-mismatch overrides this)");
        return failed(step, why, Fault::Product);
    }
    match updater {
        Updater::Idle if plan.serves => (State::Serving { before: seen }, Some(Effect::Serve)),
        Updater::Idle => (State::Installing { before: seen }, Some(Effect::Install)),
        Updater::NeedsReboot if !settled => restart(seen, Goal::Settle),
        Updater::NeedsReboot => failed(
            step,
            "its updater wants a restart still, after one".to_owned(),
            Fault::Infrastructure,
        ),
        Updater::Busy(word) => failed(step, format!("its updater is busy: {word}"), Fault::Infrastructure),
        Updater::Unknown(said) => failed(
            step,
            format!("its updater does not say what it does: {said}"),
            Fault::Infrastructure,
        ),
    }
}

fn restart(before: Seen, goal: Goal) -> (State, Option<Effect>) {
    let restart = Restart {
        goal,
        before,
        phase: Phase::Asking,
        cycled: false,
    };
    (State::Restarting(restart), Some(Effect::Restart))
}

fn restarting(plan: &Plan, mut restart: Restart, event: Event, now: Timestamp) -> (State, Option<Effect>) {
    let step = FlashStep::Reboot;
    let until = |now: Timestamp| {
        let limit = SignedDuration::try_from(plan.reboot_limit).unwrap_or(SignedDuration::MAX);
        now.checked_add(limit).unwrap_or(Timestamp::MAX)
    };
    match (restart.phase, event) {
        (Phase::Asking, Event::RestartAsked) | (Phase::Cycling, Event::PowerCycled) => {
            restart.cycled |= restart.phase == Phase::Cycling;
            restart.phase = Phase::Waiting { until: until(now) };
            (State::Restarting(restart), Some(Effect::Listen))
        }
        (Phase::Waiting { until }, Event::Answered(seen)) => {
            let any = Expected {
                slot: SlotRule::Any,
                version: None,
            };
            let expected = match &restart.goal {
                Goal::Settle => &any,
                Goal::Update(expected) => expected,
            };
            match (judge(&restart.before, &seen, expected), &restart.goal) {
                (Verdict::Good, Goal::Settle) => (State::Looking { settled: true }, Some(Effect::Look)),
                (Verdict::Good, Goal::Update(_)) => (State::Marking, Some(Effect::MarkGood)),
                (Verdict::OldBoot, _) if now < until => (State::Restarting(restart), Some(Effect::Listen)),
                (Verdict::OldBoot, _) => overdue(plan, restart, "it answers and has not restarted"),
                (verdict @ Verdict::OldSlot { .. }, _) => clean(Outcome::RolledBack {
                    why: verdict.to_string(),
                }),
                // Without slots the version is all that tells.
                (verdict @ Verdict::OldVersion { .. }, _) if expected.slot == SlotRule::Any => {
                    clean(Outcome::RolledBack {
                        why: verdict.to_string(),
                    })
                }
                (verdict @ (Verdict::OldVersion { .. } | Verdict::OtherVersion { .. }), _) => {
                    failed(step, verdict.to_string(), Fault::Product)
                }
            }
        }
        (Phase::Waiting { until }, Event::Silent) if now < until => (State::Restarting(restart), Some(Effect::Listen)),
        (Phase::Waiting { .. }, Event::Silent) => overdue(plan, restart, "it does not answer"),
        (Phase::Asking | Phase::Waiting { .. } | Phase::Cycling, other) => out_of_order(step, &other),
    }
}

/// The limit is over.
fn overdue(plan: &Plan, mut restart: Restart, what: &str) -> (State, Option<Effect>) {
    if plan.power && !restart.cycled {
        restart.phase = Phase::Cycling;
        return (State::Restarting(restart), Some(Effect::CyclePower));
    }
    let cycled = if restart.cycled {
        ", after a power cycle too"
    } else {
        ""
    };
    failed(
        FlashStep::Reboot,
        format!(
            "{what} {} s after it was told to restart{cycled}",
            plan.reboot_limit.as_secs()
        ),
        Fault::Product,
    )
}

fn clean(outcome: Outcome) -> (State, Option<Effect>) {
    (State::Cleaning(outcome), Some(Effect::Clean))
}

fn failed(step: FlashStep, why: String, fault: Fault) -> (State, Option<Effect>) {
    clean(Outcome::Failed {
        step,
        why,
        fault,
        device_works: None,
    })
}

/// A mistake of our own: it ends the flash, and not the machine.
fn out_of_order(step: FlashStep, event: &Event) -> (State, Option<Effect>) {
    failed(
        step,
        format!("{event:?} came at a time when it could not"),
        Fault::Infrastructure,
    )
}

fn with_works(outcome: Outcome, works: Option<bool>) -> Outcome {
    match outcome {
        Outcome::Succeeded | Outcome::RolledBack { .. } => outcome,
        Outcome::Failed { step, why, fault, .. } => Outcome::Failed {
            step,
            why,
            fault,
            device_works: works,
        },
        Outcome::Cancelled { step, .. } => Outcome::Cancelled {
            step,
            device_works: works,
        },
    }
}
