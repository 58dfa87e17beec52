//! The state machine: `step(state, event, now) -> state`, total, without panics.
//!
//! An event that does not fit changes nothing: a result of a lease that somebody else has by now, a lease of a job that another
//! works on, a cancellation of what is done. Whether a job waits for others is not here; it is derived ([`super::Jobs::waits_for`]).

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Canceller, JobEvent, JobResult};
use crate::id::BadId;

/// Where a job stands, with what is known there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum JobState {
    /// Waits to be begun.
    Queued {
        /// How often it was tried since it was asked for.
        tries: u32,
        /// Not before this moment.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        not_before: Option<Timestamp>,
        /// How the last attempt failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        trouble: Option<String>,
    },
    /// Somebody works on it.
    Leased {
        /// Which attempt.
        attempt: u32,
        /// How often it was tried since it was asked for, this time included.
        tries: u32,
        /// When the lease ends by itself.
        until: Timestamp,
    },
    /// Done.
    Done {
        /// What came of it.
        #[serde(flatten)]
        result: JobResult,
    },
    /// Failed, and not tried again by itself.
    Failed {
        /// Why.
        message: String,
        /// Whether the same may succeed later: it was tried as often as is allowed.
        transient: bool,
    },
    /// Nobody wants it any more.
    Cancelled {
        /// Who said so, or what.
        #[serde(flatten)]
        by: Canceller,
    },
}

/// A state's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobStateName {
    /// Waits to be begun.
    Queued,
    /// Waits for a moment, after a transient failure.
    Retrying,
    /// Waits for other jobs.
    Waiting,
    /// Somebody works on it.
    Running,
    /// Done.
    Done,
    /// There was nothing to do.
    Skipped,
    /// Failed.
    Failed,
    /// Nobody wants it any more.
    Cancelled,
}

impl JobStateName {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::Queued,
        Self::Retrying,
        Self::Waiting,
        Self::Running,
        Self::Done,
        Self::Skipped,
        Self::Failed,
        Self::Cancelled,
    ];

    /// The name as text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Retrying => "retrying",
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Done => "done",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for JobStateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for JobStateName {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        let found = Self::ALL.iter().find(|name| name.as_str() == text);
        found.copied().ok_or_else(|| BadId {
            what: "job's state",
            value: crate::escape::escaped(text),
            rule: "queued, retrying, waiting, running, done, skipped, failed, cancelled",
        })
    }
}

impl JobState {
    /// The state's name, as far as the state alone tells it: whether it waits for others [`super::Jobs::state_name`] knows.
    pub fn name(&self) -> JobStateName {
        match self {
            Self::Queued { trouble: Some(_), .. } => JobStateName::Retrying,
            Self::Queued { .. } => JobStateName::Queued,
            Self::Leased { .. } => JobStateName::Running,
            Self::Done {
                result: JobResult::Skipped { .. },
            } => JobStateName::Skipped,
            Self::Done {
                result: JobResult::Image(_) | JobResult::Payload(_) | JobResult::Flashed(_),
            } => JobStateName::Done,
            Self::Failed { .. } => JobStateName::Failed,
            Self::Cancelled { .. } => JobStateName::Cancelled,
        }
    }

    /// Whether nothing happens to it any more unless somebody asks.
    pub fn is_end(&self) -> bool {
        match self {
            Self::Queued { .. } | Self::Leased { .. } => false,
            Self::Done { .. } | Self::Failed { .. } | Self::Cancelled { .. } => true,
        }
    }

    /// Whether it was tried before, since it was asked for; how often.
    pub fn tries(&self) -> u32 {
        match self {
            Self::Queued { tries, .. } | Self::Leased { tries, .. } => *tries,
            Self::Done { .. } | Self::Failed { .. } | Self::Cancelled { .. } => 0,
        }
    }
}

/// What an event makes of a state.
#[must_use]
pub fn step(state: &JobState, event: &JobEvent, now: Timestamp) -> JobState {
    next(state, event, now).unwrap_or_else(|| state.clone())
}

/// The next state; nothing where the event does not fit.
fn next(state: &JobState, event: &JobEvent, now: Timestamp) -> Option<JobState> {
    match (state, event) {
        // How often it was tried begins anew, but what troubled the infrastructure is still left alone.
        (
            JobState::Queued {
                not_before, trouble, ..
            },
            JobEvent::Updated { .. },
        ) => Some(JobState::Queued {
            tries: 0,
            not_before: *not_before,
            trouble: trouble.clone(),
        }),
        (JobState::Queued { tries, .. }, JobEvent::Leased { attempt, until }) => Some(JobState::Leased {
            attempt: *attempt,
            tries: tries.saturating_add(1),
            until: *until,
        }),
        // A lease that ran out may be taken by another.
        (
            JobState::Leased {
                attempt: old,
                tries,
                until: ended,
            },
            JobEvent::Leased { attempt, until },
        ) if attempt > old && *ended <= now => Some(JobState::Leased {
            attempt: *attempt,
            tries: tries.saturating_add(1),
            until: *until,
        }),
        (
            JobState::Leased {
                attempt,
                tries,
                until: old,
            },
            JobEvent::Renewed { attempt: by, until },
        ) if by == attempt && until > old => Some(JobState::Leased {
            attempt: *attempt,
            tries: *tries,
            until: *until,
        }),
        (JobState::Leased { attempt, .. }, JobEvent::Succeeded { attempt: by, result }) if by == attempt => {
            Some(JobState::Done { result: result.clone() })
        }
        (
            JobState::Leased { attempt, tries, .. },
            JobEvent::Failed {
                attempt: by,
                message,
                transient,
                retry_at,
            },
        ) if by == attempt => Some(after_failure(*tries, message, *transient, *retry_at)),
        (JobState::Leased { attempt, tries, .. }, JobEvent::Lost { attempt: by, retry_at }) if by == attempt => {
            Some(after_failure(*tries, "whoever worked on it is gone", true, *retry_at))
        }
        (JobState::Queued { .. } | JobState::Leased { .. }, JobEvent::Cancelled { by }) => {
            Some(JobState::Cancelled { by: by.clone() })
        }
        (
            JobState::Queued { .. } | JobState::Done { .. } | JobState::Failed { .. } | JobState::Cancelled { .. },
            JobEvent::AskedAgain { .. },
        ) => Some(JobState::Queued {
            tries: 0,
            not_before: None,
            trouble: None,
        }),
        (
            JobState::Queued { .. }
            | JobState::Leased { .. }
            | JobState::Done { .. }
            | JobState::Failed { .. }
            | JobState::Cancelled { .. },
            JobEvent::Queued { .. }
            | JobEvent::Updated { .. }
            | JobEvent::Leased { .. }
            | JobEvent::Renewed { .. }
            | JobEvent::Succeeded { .. }
            | JobEvent::Failed { .. }
            | JobEvent::Lost { .. }
            | JobEvent::Cancelled { .. }
            | JobEvent::AskedAgain { .. },
        ) => None,
    }
}

fn after_failure(tries: u32, message: &str, transient: bool, retry_at: Option<Timestamp>) -> JobState {
    match retry_at {
        Some(at) => JobState::Queued {
            tries,
            not_before: Some(at),
            trouble: Some(message.to_owned()),
        },
        None => JobState::Failed {
            message: message.to_owned(),
            transient,
        },
    }
}
