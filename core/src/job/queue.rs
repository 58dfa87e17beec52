//! Jobs that something caused, as events: in the batch of what caused them.

use std::collections::{BTreeMap, BTreeSet};

use super::{JobEvent, JobKind, Jobs, Subject};
use crate::event::Event;
use crate::id::{JobId, TaskId};

/// A job that something causes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// What is to be done.
    pub kind: JobKind,
    /// Of which subjects the jobs come before it, where there are any.
    pub after: Vec<Subject>,
}

/// The events that make jobs of what is wanted. A job of the same subject that was not begun yet takes the newer cause over: there
/// is never a second one beside it. One that is under way stays as it is, and another comes after it.
pub fn queue(jobs: &Jobs, wanted: &[Wanted], task: Option<TaskId>) -> Vec<Event> {
    let mut next = jobs.next_id();
    let mut ids: BTreeMap<Subject, (JobId, bool)> = BTreeMap::new();
    for one in wanted {
        let subject = one.kind.subject();
        let mut number = || {
            let id = next;
            next = next.next();
            (id, true)
        };
        let waiting = jobs.queued(&subject);
        ids.entry(subject)
            .or_insert_with(|| waiting.map_or_else(&mut number, |job| (job.id, false)));
    }
    let newest = |subject: &Subject| {
        let open = || jobs.open().rev().find(|job| job.kind.subject() == *subject);
        ids.get(subject).map(|(id, _)| *id).or_else(|| open().map(|job| job.id))
    };
    // Whom each waits for, with what this batch changes: nobody may wait for himself, by whatever way.
    let mut waits: BTreeMap<JobId, BTreeSet<JobId>> = jobs.open().map(|job| (job.id, job.after.clone())).collect();
    for (id, _) in ids.values() {
        waits.insert(*id, BTreeSet::new());
    }
    let mut told = BTreeSet::new();
    let mut events = Vec::new();
    for one in wanted {
        let subject = one.kind.subject();
        let Some(&(id, is_new)) = ids.get(&subject).filter(|_| told.insert(subject.clone())) else {
            continue;
        };
        for before in one.after.iter().filter_map(newest) {
            if before != id && !leads_to(&waits, before, id) {
                waits.entry(id).or_default().insert(before);
            }
        }
        let (kind, after) = (one.kind.clone(), waits.get(&id).cloned().unwrap_or_default());
        let event = if is_new {
            JobEvent::Queued { kind, after, task }
        } else {
            JobEvent::Updated { kind, after, task }
        };
        events.push(Event::Job { id, event });
    }
    events
}

/// Whether a job waits for another, directly or by others.
fn leads_to(waits: &BTreeMap<JobId, BTreeSet<JobId>>, from: JobId, to: JobId) -> bool {
    let mut seen = BTreeSet::new();
    let mut left = vec![from];
    while let Some(job) = left.pop() {
        if job == to {
            return true;
        }
        if seen.insert(job) {
            left.extend(waits.get(&job).into_iter().flatten());
        }
    }
    false
}
