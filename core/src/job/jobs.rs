//! All jobs, and what is on record of each image.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{BuiltImage, Job, JobEvent, JobResult, JobState, JobStateName, Subject};
use crate::id::{Generation, ImageId, JobId, RepositoryName, TaskId};

/// How many digests of an image are remembered.
const REMEMBERED: usize = 200;

/// All jobs, as their events have made them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Jobs {
    all: BTreeMap<JobId, Job>,
    /// Those that have no end yet.
    open: BTreeSet<JobId>,
    images: BTreeMap<ImageId, ImageRecord>,
}

/// What is on record of an image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageRecord {
    /// What was built last.
    pub last: Option<BuiltImage>,
    /// Which commit made which digest, oldest first: the last of them.
    pub made: Vec<MadeImage>,
}

/// One line of an image's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeImage {
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
                if let (
                    JobState::Done {
                        result: JobResult::Image(built),
                    },
                    Subject::Image(image),
                ) = (&job.state, job.kind.subject())
                {
                    self.images.entry(image).or_default().built(job, built, now);
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
    pub fn image(&self, image: &ImageId) -> Option<&ImageRecord> {
        self.images.get(image)
    }

    /// The job of this subject that waits to be begun.
    pub fn queued(&self, subject: &Subject) -> Option<&Job> {
        self.open()
            .find(|job| matches!(job.state, JobState::Queued { .. }) && job.kind.subject() == *subject)
    }

    /// The jobs that have to be done before this one and are not. A newer one of the same subject that is done will do.
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
        job.after.iter().copied().filter(|id| !is_done(*id)).collect()
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

impl ImageRecord {
    fn built(&mut self, job: &Job, built: &BuiltImage, now: Timestamp) {
        self.made.push(MadeImage {
            at: now,
            job: job.id,
            tasks: job.tasks.clone(),
            generations: built.generations.clone(),
            digest: built.digest.clone(),
        });
        let many = self.made.len().saturating_sub(REMEMBERED);
        self.made.drain(..many);
        self.last = Some(built.clone());
    }
}
