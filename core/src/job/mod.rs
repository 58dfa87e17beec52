//! Jobs: what is to be done after something landed. Images are built again, payloads are made, devices are flashed.
//!
//! ```text
//!   queued ─▶ leased ─▶ done | failed
//!     ▲  ▲       │          │
//!     │  └───────┘ a transient failure, or its holder is gone: it waits, and is tried again
//!     └──── asked again ────┘          cancelled: whenever it has no end yet
//! ```
//! A job goes on record in the very batch that holds what caused it, so that none is lost (`queue`). Whoever works on it holds a
//! lease that ends by itself ([`step`]); what an old lease's holder says is not believed. What is begun next is one pure function of
//! all jobs and the clock ([`plan()`]). Which images and payloads a commit makes stale is another (`stale`).

pub mod event;
pub mod jobs;
pub mod kind;
pub mod plan;
pub mod policy;
#[cfg(feature = "task")]
pub mod queue;
#[cfg(feature = "task")]
pub mod stale;
pub mod state;

#[cfg(test)]
mod laws;
#[cfg(test)]
pub(crate) mod strategies;

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::event::{BuiltImage, Canceller, Flashed, JobEvent, JobResult, MadeDelta, MadeFile, MadePayload};
pub use self::jobs::{Jobs, Made, Record};
pub use self::kind::{Because, FlashJob, ImageBuild, JobKind, Lane, PayloadBuild, Rollout, Subject};
pub use self::plan::{Action, Floor, plan};
pub use self::policy::Policy;
#[cfg(feature = "task")]
pub use self::queue::{Wanted, queue};
#[cfg(feature = "task")]
pub use self::stale::{Moved, PackageChange, Product, ProductFacts, changes, stale};
pub use self::state::{JobState, JobStateName, step};

use crate::id::{JobId, TaskId};

/// How many of a job's attempts are remembered.
const REMEMBERED: usize = 20;

/// One job, as its events have made it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// Its number.
    pub id: JobId,
    /// What is to be done.
    pub kind: JobKind,
    /// The jobs that have to be done before.
    pub after: BTreeSet<JobId>,
    /// The tasks whose landing caused it.
    pub tasks: BTreeSet<TaskId>,
    /// When it was queued.
    pub queued: Timestamp,
    /// Where it stands.
    pub state: JobState,
    /// Since when.
    pub since: Timestamp,
    /// How often somebody took it: the number of the last lease.
    pub attempts: u32,
    /// The last attempts, oldest first.
    pub history: Vec<Attempt>,
}

/// One attempt at a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Its number, from 1 up.
    pub number: u32,
    /// When it began.
    pub began: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    /// Why it came to nothing; nothing where it did not, or has no end yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

impl Job {
    /// A job that is queued now.
    pub fn new(id: JobId, kind: JobKind, after: BTreeSet<JobId>, task: Option<TaskId>, now: Timestamp) -> Self {
        Self {
            id,
            kind,
            after,
            tasks: task.into_iter().collect(),
            queued: now,
            state: JobState::Queued {
                tries: 0,
                not_before: None,
                trouble: None,
            },
            since: now,
            attempts: 0,
            history: Vec::new(),
        }
    }

    /// Makes true what an event says. One that does not fit changes nothing.
    pub fn apply(&mut self, event: &JobEvent, now: Timestamp) {
        let next = step(&self.state, event, now);
        let fits = next != self.state;
        match event {
            // The state may stay what it is: that it waits is what makes it fit.
            JobEvent::Updated { kind, after, task } if matches!(self.state, JobState::Queued { .. }) => {
                self.kind = kind.clone();
                self.after.clone_from(after);
                self.tasks.extend(task);
            }
            JobEvent::Leased { attempt, .. } if fits => {
                self.end_attempt(Some("its lease ran out"), now);
                self.attempts = *attempt;
                self.history.push(Attempt {
                    number: *attempt,
                    began: now,
                    ended: None,
                    trouble: None,
                });
                let many = self.history.len().saturating_sub(REMEMBERED);
                self.history.drain(..many);
            }
            JobEvent::Succeeded { .. } if fits => self.end_attempt(None, now),
            JobEvent::Failed { message, .. } if fits => self.end_attempt(Some(message), now),
            JobEvent::Lost { .. } if fits => self.end_attempt(Some("whoever worked on it is gone"), now),
            JobEvent::Cancelled { .. } if fits => self.end_attempt(Some("it was cancelled"), now),
            JobEvent::Queued { .. }
            | JobEvent::Updated { .. }
            | JobEvent::Leased { .. }
            | JobEvent::Renewed { .. }
            | JobEvent::Succeeded { .. }
            | JobEvent::Failed { .. }
            | JobEvent::Lost { .. }
            | JobEvent::Cancelled { .. }
            | JobEvent::AskedAgain { .. } => {}
        }
        if fits {
            if next.name() != self.state.name() {
                self.since = now;
            }
            self.state = next;
        }
    }

    fn end_attempt(&mut self, trouble: Option<&str>, now: Timestamp) {
        if let Some(attempt) = self.history.last_mut().filter(|attempt| attempt.ended.is_none()) {
            attempt.ended = Some(now);
            attempt.trouble = trouble.map(str::to_owned);
        }
    }
}
