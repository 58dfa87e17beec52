//! How long a lease holds, how often a job is tried, how long the infrastructure is left alone between two attempts.

use jiff::{SignedDuration, Timestamp};

use super::{FlashJob, JobEvent, JobKind, Jobs, Lane};
use crate::id::JobId;

/// What an administrator sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// How long a lease holds that nobody renews.
    pub lease: SignedDuration,
    /// How often a job is tried, the first time included, before somebody has to ask.
    pub attempts: u32,
    /// How long to wait after the first transient failure; each further one doubles it.
    pub back_off: SignedDuration,
    /// The longest that this grows to.
    pub longest: SignedDuration,
    /// How many jobs are worked on at once, without flashes.
    pub at_once: usize,
    /// How many devices are flashed at once.
    pub flashes_at_once: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            lease: SignedDuration::from_mins(2),
            attempts: 8,
            back_off: SignedDuration::from_secs(30),
            longest: SignedDuration::from_hours(1),
            at_once: 2,
            flashes_at_once: 4,
        }
    }
}

impl Policy {
    /// How many jobs of a lane are worked on at once.
    pub fn at_once(&self, lane: Lane) -> usize {
        match lane {
            Lane::Machine => self.at_once,
            Lane::Lab => self.flashes_at_once,
        }
    }

    /// When a lease ends that is given or renewed now.
    pub fn until(&self, now: Timestamp) -> Timestamp {
        now.checked_add(self.lease).unwrap_or(Timestamp::MAX)
    }

    /// How long to wait after so many attempts, one at least.
    pub fn pause(&self, tries: u32) -> SignedDuration {
        let doubled = 1_i32.checked_shl(tries.saturating_sub(1).min(20)).unwrap_or(i32::MAX);
        self.back_off
            .checked_mul(doubled)
            .unwrap_or(SignedDuration::MAX)
            .min(self.longest)
    }

    /// What goes on record of a job's failed attempt: a transient failure is tried again, as often as is allowed; another is not. Where
    /// another job waits that does the same, that one is the next try.
    pub fn failed(
        &self,
        jobs: &Jobs,
        (id, attempt): (JobId, u32),
        message: &str,
        transient: bool,
        now: Timestamp,
    ) -> JobEvent {
        let next = self.next_try(jobs, id, now);
        let after = match next {
            Next::Other(other) => format!("; job {other} does the same again"),
            Next::At(_) | Next::Never => String::new(),
        };
        JobEvent::Failed {
            attempt,
            message: format!("{message}{after}"),
            transient,
            retry_at: match next {
                Next::At(at) if transient => Some(at),
                Next::At(_) | Next::Other(_) | Next::Never => None,
            },
        }
    }

    /// What goes on record of a job whose holder is gone. That counts as an attempt: a job that kills whoever works on it ends, too.
    pub fn lost(&self, jobs: &Jobs, (id, attempt): (JobId, u32), now: Timestamp) -> JobEvent {
        JobEvent::Lost {
            attempt,
            retry_at: match self.next_try(jobs, id, now) {
                // Nothing says that the infrastructure is in trouble.
                Next::At(_) => Some(now),
                Next::Other(_) | Next::Never => None,
            },
        }
    }

    fn next_try(&self, jobs: &Jobs, id: JobId, now: Timestamp) -> Next {
        let Some(job) = jobs.get(id) else { return Next::Never };
        if let Some(other) = jobs.queued(&job.kind.subject()).filter(|other| other.id != id) {
            return Next::Other(other.id);
        }
        let tries = job.state.tries();
        let attempts = match &job.kind {
            JobKind::Flash(FlashJob {
                retries: Some(retries), ..
            }) => self.attempts.min(retries.saturating_add(1)),
            JobKind::Flash(_) | JobKind::ImageBuild(_) | JobKind::PayloadBuild(_) => self.attempts,
        };
        if tries < attempts
            && let Ok(at) = now.checked_add(self.pause(tries))
        {
            return Next::At(at);
        }
        Next::Never
    }
}

/// What comes after an attempt that came to nothing.
#[derive(Clone, Copy)]
enum Next {
    At(Timestamp),
    Other(JobId),
    Never,
}
