//! What is to be done next: one pure function of all jobs, the lab's devices and the clock. It remembers nothing.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{JobState, Jobs, Lane, Policy, Subject};
use crate::device::lab::{Devices, rollout};
use crate::id::JobId;

/// What is to be done next.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// It is given up before it is begun: its rollout goes wrong.
    Stop {
        /// The job.
        id: JobId,
        /// Why.
        why: String,
    },
    /// Nothing more until then, if nothing happens.
    Wake {
        /// When.
        at: Timestamp,
    },
}

/// All that the plan looks at.
#[derive(Debug, Clone, Copy)]
pub struct Floor<'a> {
    /// The jobs.
    pub jobs: &'a Jobs,
    /// The lab's devices.
    pub devices: &'a Devices,
    /// What somebody is still busy with, whatever its job says: he clears up.
    pub busy: &'a BTreeSet<Subject>,
}

/// Says what is to be done. Older jobs come first; one whose turn has not come stands in nobody's way, nor does one whose device cannot be had.
pub fn plan(floor: &Floor<'_>, policy: &Policy, now: Timestamp) -> Vec<Action> {
    let jobs = floor.jobs;
    let mut actions = Vec::new();
    let mut wake: Option<Timestamp> = None;
    let mut at = |moment: Timestamp| wake = Some(wake.map_or(moment, |wake| wake.min(moment)));
    let mut busy = floor.busy.clone();
    for job in jobs.open() {
        if let JobState::Leased { attempt, until, .. } = job.state {
            busy.insert(job.kind.subject());
            if until <= now {
                actions.push(Action::Lose { id: job.id, attempt });
            } else {
                at(until);
            }
        }
    }
    let mut running: BTreeMap<Lane, usize> = BTreeMap::new();
    for subject in &busy {
        *running.entry(subject.lane()).or_default() += 1;
    }
    for job in jobs.open() {
        let JobState::Queued { not_before, .. } = job.state else {
            continue;
        };
        if let Some(why) = rollout::given_up(jobs, job) {
            actions.push(Action::Stop { id: job.id, why });
            continue;
        }
        let subject = job.kind.subject();
        if busy.contains(&subject) || !jobs.waits_for(job).is_empty() {
            continue;
        }
        if let Subject::Device(device) = &subject
            && let Some(hold) = floor.devices.get(device).hold(now)
        {
            // Nothing but time or a person ends it; a person's word is a change, at which the plan is asked again.
            hold.until().into_iter().for_each(&mut at);
            continue;
        }
        let running = running.entry(subject.lane()).or_default();
        if let Some(moment) = not_before.filter(|moment| *moment > now) {
            at(moment);
        } else if *running < policy.at_once(subject.lane()) {
            *running += 1;
            busy.insert(subject);
            actions.push(Action::Start {
                id: job.id,
                attempt: job.attempts.saturating_add(1),
            });
        }
    }
    actions.extend(wake.map(|at| Action::Wake { at }));
    actions
}
