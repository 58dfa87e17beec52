//! What is to be done next: one pure function of all jobs and the clock. It remembers nothing.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{JobState, Jobs, Policy, Subject};
use crate::id::JobId;

/// What is to be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Its lease ran out: whoever worked on it is gone.
    Lose {
        /// The job.
        id: JobId,
        /// The attempt.
        attempt: u32,
    },
    /// It is begun.
    Start {
        /// The job.
        id: JobId,
        /// The attempt.
        attempt: u32,
    },
    /// Nothing more until then, if nothing happens.
    Wake {
        /// When.
        at: Timestamp,
    },
}

/// Says what is to be done. Older jobs come first; one whose turn has not come stands in nobody's way.
pub fn plan(jobs: &Jobs, policy: &Policy, now: Timestamp) -> Vec<Action> {
    let mut actions = Vec::new();
    let mut wake: Option<Timestamp> = None;
    let mut at = |moment: Timestamp| wake = Some(wake.map_or(moment, |wake| wake.min(moment)));
    let mut busy: BTreeSet<Subject> = BTreeSet::new();
    let mut running = 0;
    for job in jobs.open() {
        if let JobState::Leased { attempt, until, .. } = job.state {
            busy.insert(job.kind.subject());
            running += 1;
            if until <= now {
                actions.push(Action::Lose { id: job.id, attempt });
            } else {
                at(until);
            }
        }
    }
    for job in jobs.open() {
        let JobState::Queued { not_before, .. } = job.state else {
            continue;
        };
        if busy.contains(&job.kind.subject()) || !jobs.waits_for(job).is_empty() {
            continue;
        }
        if let Some(moment) = not_before.filter(|moment| *moment > now) {
            at(moment);
        } else if running < policy.at_once {
            running += 1;
            busy.insert(job.kind.subject());
            actions.push(Action::Start {
                id: job.id,
                attempt: job.attempts.saturating_add(1),
            });
        }
    }
    actions.extend(wake.map(|at| Action::Wake { at }));
    actions
}
