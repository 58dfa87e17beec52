//! All jobs, and what is on record of each image and payload.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{BuiltImage, Job, JobEvent, JobKind, JobResult, JobState, JobStateName, MadePayload, Subject};
use crate::device::lab::rollout;
use crate::id::{Generation, ImageId, JobId, PayloadName, RepositoryName, TaskId};

/// How many digests of an image or a payload are remembered.
const REMEMBERED: usize = 200;

/// All jobs, as their events have made them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Jobs {
    all: BTreeMap<JobId, Job>,
    /// Those that have no end yet.
    open: BTreeSet<JobId>,
    images: BTreeMap<ImageId, Record<BuiltImage>>,
    #[serde(default)]
    payloads: BTreeMap<PayloadName, Record<MadePayload>>,
}

/// What is on record of an image or of a payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record<R> {
    /// What was made last.
    pub last: Option<R>,
    /// Which commit made which digest, oldest first: the last of them.
    pub made: Vec<Made>,
}

/// One line of such a history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// When.
    pub at: Timestamp,
    /// The job that made it.
    pub job: JobId,
    /// The tasks that caused the job.
    pub tasks: BTreeSet<TaskId>,
    /// The generations whose packages it may hold.
    pub generations: BTreeMap<RepositoryName, Generation>,
    /// The digest.
    pub digest: String,
    /// The version, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

impl Jobs {
    /// Makes true what an event says.
    pub fn apply(&mut self, id: JobId, event: &JobEvent, now: Timestamp) {
        if let JobEvent::Queued { kind, after, task } = event
            && !self.all.contains_key(&id)
        {
            let job = Job::new(id, kind.clone(), after.clone(), *task, now);
            self.all.insert(id, job);
            self.open.insert(id);
        }
        let Some(job) = self.all.get_mut(&id) else {
            return;
        };
        let was_end = job.state.is_end();
        job.apply(event, now);
        match (was_end, job.state.is_end()) {
            (false, true) => {
                self.open.remove(&id);
                if let JobState::Done { result } = &job.state {
                    let what = job.kind.subject();
                    match (what, result) {
                        (Subject::Image(image), JobResult::Image(built)) => {
                            let line = Made::of(job, &built.generations, &built.digest, now);
                            self.images.entry(image).or_default().takes(built, line);
                        }
                        (Subject::Payload(payload), JobResult::Payload(made)) => {
                            let mut line = Made::of(job, &made.generations, &made.digest, now);
                            line.version = Some(made.version.clone());
                            self.payloads.entry(payload).or_default().takes(made, line);
                        }
                        (
                            Subject::Image(_) | Subject::Payload(_) | Subject::Device(_),
                            JobResult::Image(_)
                            | JobResult::Payload(_)
                            | JobResult::Flashed(_)
                            | JobResult::Skipped { .. },
                        ) => {}
                    }
                }
            }
            (true, false) => {
                self.open.insert(id);
            }
            (false, false) | (true, true) => {}
        }
    }

    /// One job.
    pub fn get(&self, id: JobId) -> Option<&Job> {
        self.all.get(&id)
    }

    /// All jobs, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Job> {
        self.all.values()
    }

    /// Those that have no end yet, oldest first.
    pub fn open(&self) -> impl DoubleEndedIterator<Item = &Job> {
        self.open.iter().filter_map(|id| self.all.get(id))
    }

    /// The number that the next job gets.
    pub fn next_id(&self) -> JobId {
        self.all.last_key_value().map_or(JobId::FIRST, |(id, _)| id.next())
    }

    /// The jobs that a task caused, oldest first.
    pub fn of_task(&self, task: TaskId) -> impl Iterator<Item = &Job> {
        self.all.values().filter(move |job| job.tasks.contains(&task))
    }

    /// What is on record of an image.
    pub fn image(&self, image: &ImageId) -> Option<&Record<BuiltImage>> {
        self.images.get(image)
    }

    /// What is on record of a payload.
    pub fn payload(&self, payload: &PayloadName) -> Option<&Record<MadePayload>> {
        self.payloads.get(payload)
    }

    /// The job of this subject that waits to be begun.
    pub fn queued(&self, subject: &Subject) -> Option<&Job> {
        self.open()
            .find(|job| matches!(job.state, JobState::Queued { .. }) && job.kind.subject() == *subject)
    }

    /// The jobs that have to be done before this one and are not. A newer one of the same subject that is done will do. Of canaries not
    /// all have to be done: [`rollout::still_waits`].
    pub fn waits_for(&self, job: &Job) -> Vec<JobId> {
        let is_done = |id: JobId| {
            let Some(before) = self.all.get(&id) else { return true };
            let subject = before.kind.subject();
            let done = |job: &Job| matches!(job.state, JobState::Done { .. });
            done(before)
                || self
                    .all
                    .range(id.next()..)
                    .any(|(_, later)| done(later) && later.kind.subject() == subject)
        };
        let waits = job.after.iter().copied().filter(|id| !is_done(*id)).collect();
        match &job.kind {
            JobKind::Flash(_) => rollout::still_waits(self, job, waits),
            JobKind::ImageBuild(_) | JobKind::PayloadBuild(_) => waits,
        }
    }

    /// The name of the state that a job is in, `waiting` included.
    pub fn state_name(&self, job: &Job) -> JobStateName {
        match job.state.name() {
            JobStateName::Queued | JobStateName::Retrying if !self.waits_for(job).is_empty() => JobStateName::Waiting,
            name @ (JobStateName::Queued
            | JobStateName::Retrying
            | JobStateName::Waiting
            | JobStateName::Running
            | JobStateName::Done
            | JobStateName::Skipped
            | JobStateName::Failed
            | JobStateName::Cancelled) => name,
        }
    }
}

impl<R> Default for Record<R> {
    fn default() -> Self {
        Self {
            last: None,
            made: Vec::new(),
        }
    }
}

impl<R: Clone> Record<R> {
    fn takes(&mut self, result: &R, line: Made) {
        self.made.push(line);
        let many = self.made.len().saturating_sub(REMEMBERED);
        self.made.drain(..many);
        self.last = Some(result.clone());
    }
}

impl Made {
    fn of(job: &Job, generations: &BTreeMap<RepositoryName, Generation>, digest: &str, at: Timestamp) -> Self {
        Self {
            at,
            job: job.id,
            tasks: job.tasks.clone(),
            generations: generations.clone(),
            digest: digest.to_owned(),
            version: None,
        }
    }
}
