//! All that is known: the fold of the journal's events.
//!
//! [`World::apply`] is total and deterministic: the same events make the same world, whatever the configuration says today.
//! Hence a world can be stored and read back ([`WORLD_VERSION`]), and the events since make it whole.

pub mod standing;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::access::AccessLists;
use crate::device::lab::{Devices, Nightlies};
use crate::event::{Answered, Event, Taken};
use crate::id::{Generation, ObjectId, RepositoryName, RequestId, SourcePath, TagName, TaskId, UserName};
use crate::job::Jobs;
use crate::push::TagPushed;
use crate::refusal::Refusal;
use crate::repository::record::RepositoryRecord;
use crate::task::{Effect, Task, TaskEvent};

/// How long the answer to a request is kept for whoever asks it again.
pub const ANSWERS_KEPT: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The version of a stored world. It grows with every change of what is stored *or* of what an event makes of it: a world of
/// another version is made from all events again.
pub const WORLD_VERSION: u32 = 6;

/// All that is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct World {
    tasks: BTreeMap<TaskId, Task>,
    /// The tasks of each owner that have neither landed nor been removed.
    open: BTreeMap<UserName, BTreeSet<TaskId>>,
    access: BTreeMap<RepositoryName, AccessLists>,
    /// Not stored: the journal has them, see [`Self::recall_answer`].
    #[serde(skip)]
    answers: BTreeMap<RequestId, Answered>,
    /// The order in which they came, for forgetting the oldest.
    #[serde(skip)]
    answer_times: VecDeque<(Timestamp, RequestId)>,
    #[serde(with = "crate::pairs")]
    tags: BTreeMap<(SourcePath, TagName), KnownTag>,
    repositories: BTreeMap<RepositoryName, RepositoryRecord>,
    jobs: Jobs,
    devices: Devices,
    nightlies: Nightlies,
}

/// A tag that came in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownTag {
    /// The tag object.
    pub object: ObjectId,
    /// Who pushed it.
    pub pusher: UserName,
    /// When.
    pub at: Timestamp,
    /// What became of it.
    pub taken: Taken,
}

impl World {
    /// Makes true what an event says; what follows from it for each task comes back.
    pub fn apply(&mut self, event: &Event, now: Timestamp) -> Vec<(TaskId, Effect)> {
        match event {
            Event::Answered(answered) => {
                self.forget_answers(now);
                if self
                    .answers
                    .insert(answered.request.clone(), answered.clone())
                    .is_none()
                {
                    self.answer_times.push_back((now, answered.request.clone()));
                }
                Vec::new()
            }
            Event::TagTaken { pushed, taken } => {
                self.tag_taken(pushed, taken, now);
                Vec::new()
            }
            Event::Task { id, event } => self.task_event(*id, event, now),
            Event::Access(change) => {
                self.access
                    .entry(change.repository.clone())
                    .or_default()
                    .apply(&change.subject, &change.change);
                Vec::new()
            }
            Event::Repository { repository, event } => {
                self.repositories
                    .entry(repository.clone())
                    .or_default()
                    .apply(event, now);
                Vec::new()
            }
            Event::Job { id, event } => {
                self.jobs.apply(*id, event, now);
                Vec::new()
            }
            Event::Device { name, event } => {
                self.devices.apply(name, event, now);
                Vec::new()
            }
            Event::Nightly { name, event } => {
                self.nightlies.apply(name, event, now);
                Vec::new()
            }
        }
    }

    fn forget_answers(&mut self, now: Timestamp) {
        while let Some((at, request)) = self.answer_times.front() {
            if now.duration_since(*at) <= ANSWERS_KEPT {
                break;
            }
            self.answers.remove(request);
            self.answer_times.pop_front();
        }
    }

    fn tag_taken(&mut self, pushed: &TagPushed, taken: &Taken, now: Timestamp) {
        let known = KnownTag {
            object: pushed.object.clone(),
            pusher: pushed.pusher.clone(),
            at: now,
            taken: taken.clone(),
        };
        self.tags.insert((pushed.source.clone(), pushed.tag.clone()), known);
    }

    fn task_event(&mut self, id: TaskId, event: &TaskEvent, now: Timestamp) -> Vec<(TaskId, Effect)> {
        if let TaskEvent::Created { repository, owner } = event
            && !self.tasks.contains_key(&id)
        {
            self.tasks
                .insert(id, Task::new(id, repository.clone(), owner.clone(), now));
            self.open.entry(owner.clone()).or_default().insert(id);
        }
        let Some(task) = self.tasks.get_mut(&id) else {
            return Vec::new();
        };
        let effects = task.apply(event, now);
        if task.state.is_final()
            && let Some(open) = self.open.get_mut(&task.owner)
        {
            open.remove(&id);
            if open.is_empty() {
                self.open.remove(&task.owner);
            }
        }
        effects.into_iter().map(|effect| (id, effect)).collect()
    }

    /// Gives a task of a world that was stored its history back, which the journal has.
    pub fn recall(&mut self, events: impl IntoIterator<Item = (TaskEvent, Timestamp)>, id: TaskId) {
        let mut before = Self::default();
        for (event, at) in events {
            before.task_event(id, &event, at);
        }
        if let (Some(task), Some(before)) = (self.tasks.get_mut(&id), before.tasks.remove(&id)) {
            task.events = before.events;
            task.history = before.history;
        }
    }

    /// Takes an answer back in that was forgotten, or not stored.
    pub fn recall_answer(&mut self, answered: Answered) {
        self.answers.entry(answered.request.clone()).or_insert(answered);
    }

    /// One task.
    pub fn task(&self, id: TaskId) -> Option<&Task> {
        self.tasks.get(&id)
    }

    /// All tasks, oldest first.
    pub fn tasks(&self) -> impl DoubleEndedIterator<Item = &Task> {
        self.tasks.values()
    }

    /// A person's tasks that have neither landed nor been removed, oldest first.
    pub fn open_tasks_of(&self, owner: &UserName) -> impl DoubleEndedIterator<Item = &Task> {
        self.open
            .get(owner)
            .into_iter()
            .flatten()
            .filter_map(|id| self.tasks.get(id))
    }

    /// A person's newest task that has neither landed nor been removed: what an omitted id means.
    pub fn newest_of(&self, owner: &UserName) -> Option<&Task> {
        self.open_tasks_of(owner).next_back()
    }

    /// How many tasks of a person have neither landed nor been removed.
    pub fn count_open(&self, owner: &UserName) -> usize {
        self.open.get(owner).map_or(0, BTreeSet::len)
    }

    /// All tasks that have neither landed nor been removed, by owner.
    pub fn open_tasks(&self) -> impl Iterator<Item = &Task> {
        self.open.values().flatten().filter_map(|id| self.tasks.get(id))
    }

    /// The tasks that wait for this one to land.
    pub fn dependents(&self, id: TaskId) -> impl Iterator<Item = &Task> {
        self.open_tasks().filter(move |task| task.deps.contains(&id))
    }

    /// The number that the next task gets.
    pub fn next_task(&self) -> TaskId {
        self.tasks.last_key_value().map_or(TaskId::FIRST, |(id, _)| id.next())
    }

    /// The access lists of a repository, if any were ever made.
    pub fn access(&self, repository: &RepositoryName) -> Option<&AccessLists> {
        self.access.get(repository)
    }

    /// What is on record of a repository, if it was ever made.
    pub fn repository(&self, repository: &RepositoryName) -> Option<&RepositoryRecord> {
        self.repositories.get(repository)
    }

    /// All repositories of which something is on record.
    pub fn repositories(&self) -> impl Iterator<Item = (&RepositoryName, &RepositoryRecord)> {
        self.repositories.iter()
    }

    /// Whether a repository has a generation, so that there is something to build on and to land in.
    pub fn is_made(&self, repository: &RepositoryName) -> bool {
        self.repository(repository)
            .is_some_and(|record| record.generation > Generation(0))
    }

    /// All jobs.
    pub fn jobs(&self) -> &Jobs {
        &self.jobs
    }

    /// The lab's devices, as far as something is on record of them.
    pub fn devices(&self) -> &Devices {
        &self.devices
    }

    /// Nightly runs, as far as something is on record of them.
    pub fn nightlies(&self) -> &Nightlies {
        &self.nightlies
    }

    /// What is known of a tag.
    pub fn tag(&self, source: &SourcePath, tag: &TagName) -> Option<&KnownTag> {
        self.tags.get(&(source.clone(), tag.clone()))
    }

    /// Every tag that came in.
    pub fn tags(&self) -> impl Iterator<Item = (&SourcePath, &TagName, &KnownTag)> {
        self.tags.iter().map(|((source, tag), known)| (source, tag, known))
    }

    /// The answer that a request got, whoever asked.
    pub fn answer(&self, request: &RequestId) -> Option<&Answered> {
        self.answers.get(request)
    }

    /// The answer to repeat, where this request was answered before.
    ///
    /// # Errors
    /// Another person's request, or another request, had this id.
    pub fn answered_before(
        &self,
        request: &RequestId,
        user: &UserName,
        words: &[String],
    ) -> Result<Option<&Answered>, Refusal> {
        match self.answers.get(request) {
            None => Ok(None),
            Some(answered) if answered.user == *user && answered.words == words => Ok(Some(answered)),
            Some(_) => Err(Refusal::new(
                "request_reused",
                format!("the request id {request} was used for another request"),
            )
            .hint("leave --request-id out, or choose another one")),
        }
    }
}
