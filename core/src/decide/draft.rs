//! A task while a decision is made about it: each event is made true on a copy at once, so that the next check sees it.

use jiff::Timestamp;

use super::{Actor, Facts};
use crate::event::Event;
use crate::id::{RepositoryName, TaskId};
use crate::refusal::{Refusal, nearest};
use crate::task::{State, Task, TaskEvent};
use crate::world::World;

/// What every decision looks at.
#[derive(Clone, Copy)]
pub(super) struct Scene<'a> {
    pub(super) world: &'a World,
    pub(super) actor: &'a Actor,
    pub(super) facts: &'a Facts,
    pub(super) now: Timestamp,
}

/// One task, as it is with the events decided so far.
pub(super) struct Draft<'a> {
    pub(super) scene: Scene<'a>,
    pub(super) task: Task,
    pub(super) events: Vec<Event>,
    /// What is said on the side.
    pub(super) notes: Vec<String>,
}

impl<'a> Scene<'a> {
    /// The task that is meant: the one named, or the caller's newest that has not landed.
    pub(super) fn meant(self, id: Option<TaskId>) -> Result<&'a Task, Refusal> {
        match id {
            Some(id) => self.world.task(id).ok_or_else(|| {
                Refusal::new("no_task", format!("there is no task {id}")).hint("see which there are: task ls")
            }),
            None => self.world.newest_of(&self.actor.user).ok_or_else(|| {
                Refusal::new(
                    "no_task",
                    format!("{} has no task that has not landed", self.actor.user),
                )
                .hint("make one: task new")
            }),
        }
    }

    /// A draft of the task that is meant.
    pub(super) fn open(self, id: Option<TaskId>) -> Result<Draft<'a>, Refusal> {
        let task = self.meant(id)?.clone();
        Ok(Draft {
            scene: self,
            task,
            events: Vec::new(),
            notes: Vec::new(),
        })
    }

    /// A draft of a task that is not there yet.
    pub(super) fn begin(self, repository: Option<&RepositoryName>) -> Result<Draft<'a>, Refusal> {
        let repository = self.repository(repository)?;
        let most = self.facts.limits.open_tasks_per_user;
        let open = self.world.count_open(&self.actor.user);
        if open >= most {
            return Err(Refusal::new(
                "too_many_tasks",
                format!(
                    "{} has {open} tasks that are neither landed nor removed; at most {most} are allowed",
                    self.actor.user
                ),
            )
            .hint("remove what is not needed: task ls, then task rm ID"));
        }
        let id = self.world.next_task();
        let owner = self.actor.user.clone();
        let mut draft = Draft {
            scene: self,
            task: Task::new(id, repository.clone(), owner.clone(), self.now),
            events: Vec::new(),
            notes: Vec::new(),
        };
        draft.record(TaskEvent::Created { repository, owner });
        Ok(draft)
    }

    /// The repository that is meant: the one named, or the default.
    pub(super) fn repository(self, name: Option<&RepositoryName>) -> Result<RepositoryName, Refusal> {
        let Some(name) = name else {
            return self.facts.default_repository.clone().ok_or_else(|| {
                Refusal::new(
                    "no_default_repository",
                    "no repository is named and none is configured as the default",
                )
                .hint(format!("name one: {}", self.repository_names()))
            });
        };
        if self.facts.repositories.contains_key(name) {
            return Ok(name.clone());
        }
        let hint = match nearest(name.as_str(), self.facts.repositories.keys()) {
            Some(near) => format!("did you mean '{near}'?"),
            None => format!("there are: {}", self.repository_names()),
        };
        Err(Refusal::new("unknown_repository", format!("there is no repository '{name}'")).hint(hint))
    }

    fn repository_names(self) -> String {
        let names: Vec<&str> = self.facts.repositories.keys().map(RepositoryName::as_str).collect();
        if names.is_empty() {
            "none yet".to_owned()
        } else {
            names.join(", ")
        }
    }
}

impl Draft<'_> {
    /// Makes an event true and keeps it for the record.
    pub(super) fn record(&mut self, event: TaskEvent) {
        self.task.apply(&event, self.scene.now);
        self.events.push(Event::Task {
            id: self.task.id,
            event,
        });
    }

    /// That the caller made this task.
    pub(super) fn must_own(&self, what: &str) -> Result<(), Refusal> {
        if self.task.owner == self.scene.actor.user {
            return Ok(());
        }
        let Task { id, owner, .. } = &self.task;
        Err(
            Refusal::new("not_owner", format!("task {id} is {owner}'s: only {owner} may {what}"))
                .hint(format!("ask {owner}, or make a task of your own: task new")),
        )
    }

    /// That the caller made this task, or may do everything.
    pub(super) fn must_own_or_rule(&self, what: &str) -> Result<(), Refusal> {
        if self.scene.actor.superuser {
            Ok(())
        } else {
            self.must_own(what)
        }
    }

    /// That the task is neither landed nor removed.
    pub(super) fn must_be_open(&self) -> Result<(), Refusal> {
        let id = self.task.id;
        match &self.task.state {
            State::Done { generation, .. } => Err(Refusal::new(
                "landed",
                format!(
                    "task {id} has landed: it made generation {generation} of {}",
                    self.task.repository
                ),
            )
            .hint("what has landed stays; make another task: task new")),
            State::Removed { by } => {
                Err(Refusal::new("removed", format!("task {id} was removed by {by}"))
                    .hint("make another task: task new"))
            }
            State::New
            | State::Awaiting { .. }
            | State::Building { .. }
            | State::Tested { .. }
            | State::Failed { .. }
            | State::Eperm { .. }
            | State::Pending { .. }
            | State::Committing { .. }
            | State::Aborted { .. } => Ok(()),
        }
    }

    /// That the task may be changed now: it is open and nothing runs for it.
    pub(super) fn must_be_still(&self, what: &str) -> Result<(), Refusal> {
        self.must_be_open()?;
        if !self.task.state.is_running() {
            return Ok(());
        }
        let id = self.task.id;
        let refusal = Refusal::new(
            "running",
            format!("task {id} is {}: it cannot be {what} now", self.task.state.name()),
        );
        Err(if matches!(self.task.state, State::Committing { .. }) {
            refusal.hint(format!("wait for its end: task wait {id}"))
        } else {
            refusal.hint(format!("stop it first: task abort {id}"))
        })
    }

    /// Says why a task that was run does not start, where nothing can run.
    pub(super) fn note_not_made(&mut self) {
        let repository = &self.task.repository;
        if !self.scene.world.is_made(repository) {
            self.notes.push(format!(
                "repository {repository} was not made yet: the task waits until it is"
            ));
        }
    }
}
