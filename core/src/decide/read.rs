//! Commands that only read.

use super::Actor;
use super::draft::Scene;
use crate::access::lists::unknown_user;
use crate::command::{Command, TaskCommand, TaskRef};
use crate::id::{ArchName, RepositoryName, RequestId, TaskId, UserName};
use crate::refusal::Refusal;
use crate::reply::log::{LogLine, LogView};
use crate::reply::task::{TaskRow, TaskView};
use crate::reply::why::WhyView;
use crate::reply::{Body, Reply, Wait};
use crate::task::{Phase, Stage, StateName, Task};
use crate::world::World;

/// Which part of a log is wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogFilter<'a> {
    /// Only this stage.
    pub stage: Option<Stage>,
    /// Only this architecture.
    pub arch: Option<&'a ArchName>,
}

/// What of a task's log comes after so many of its events, and how many there are now.
pub fn log_after(world: &World, task: TaskId, after: usize, filter: LogFilter<'_>) -> (LogView, usize) {
    let (history, events) = world
        .task(task)
        .map_or((&[][..], 0), |task| (&task.history[..], task.events));
    // A stored world has only the last of them.
    let not_here = events.saturating_sub(history.len());
    let lines = history
        .iter()
        .skip(after.saturating_sub(not_here))
        .map(|(at, event)| LogLine::of(*at, event));
    let lines = lines.filter(|line| {
        filter.stage.is_none_or(|stage| line.stage == Some(stage))
            && filter.arch.is_none_or(|arch| line.arch.as_ref() == Some(arch))
    });
    let lines = lines.collect();
    (LogView { task, lines }, events)
}

/// The request that a command names instead of a task: a world that does not know its answer has to
/// [`recall`](World::recall_answer) it first.
pub fn names_request(command: &Command) -> Option<&RequestId> {
    let Command::Task(
        TaskCommand::Show { id, .. }
        | TaskCommand::Why { id, .. }
        | TaskCommand::Log { id, .. }
        | TaskCommand::Wait { id, .. },
    ) = command
    else {
        return None;
    };
    match id {
        Some(TaskRef::Request(request)) => Some(request),
        Some(TaskRef::Id(_)) | None => None,
    }
}

/// The task whose whole history a command shows: a world that was stored has to [`recall`](World::recall) it first.
pub fn recalls(world: &World, actor: &Actor, command: &Command) -> Option<TaskId> {
    let Command::Task(TaskCommand::Log { id, .. }) = command else {
        return None;
    };
    match id {
        None => world.newest_of(&actor.user).map(|task| task.id),
        Some(TaskRef::Id(id)) => Some(*id),
        Some(TaskRef::Request(request)) => world.answer(request).and_then(|answered| answered.task),
    }
}

/// Which tasks are listed.
pub(super) struct LsFilter<'a> {
    pub(super) states: &'a [StateName],
    pub(super) user: Option<&'a UserName>,
    pub(super) repository: Option<&'a RepositoryName>,
}

impl<'a> Scene<'a> {
    /// The task that is meant, by number, by request, or the caller's newest.
    pub(super) fn referred(self, id: Option<&TaskRef>) -> Result<&'a Task, Refusal> {
        match id {
            None => self.meant(None),
            Some(TaskRef::Id(id)) => self.meant(Some(*id)),
            Some(TaskRef::Request(request)) => match self.world.answer(request) {
                None => Err(
                    Refusal::new("unknown_request", format!("the request {request} is not known"))
                        .hint("it may still wait in the spool; ask again, or: task ls"),
                ),
                Some(answered) => answered.task.and_then(|id| self.world.task(id)).ok_or_else(|| {
                    Refusal::new(
                        "no_task",
                        format!(
                            "the request {request} was answered and made no task: {}",
                            answered.err.trim_end()
                        ),
                    )
                }),
            },
        }
    }

    pub(super) fn show(self, id: Option<&TaskRef>) -> Result<Reply, Refusal> {
        let task = self.referred(id)?;
        Ok(about(
            task,
            Body::Task(Box::new(TaskView::of(self.world, task, self.facts, self.now))),
        ))
    }

    pub(super) fn why(self, id: Option<&TaskRef>) -> Result<Reply, Refusal> {
        let task = self.referred(id)?;
        Ok(about(
            task,
            Body::Why(WhyView::of(self.world, task, self.facts, self.now)),
        ))
    }

    pub(super) fn ls(self, filter: &LsFilter<'_>) -> Result<Reply, Refusal> {
        let repository = filter.repository.map(|name| self.repository(Some(name))).transpose()?;
        if let Some(user) = filter.user
            && !self.facts.people.contains(user)
        {
            return Err(unknown_user(user, &self.facts.people));
        }
        let rows: Vec<TaskRow> = self
            .world
            .tasks()
            .rev()
            .filter(|task| filter.user.is_none_or(|user| task.owner == *user))
            .filter(|task| {
                repository
                    .as_ref()
                    .is_none_or(|repository| task.repository == *repository)
            })
            .map(|task| TaskRow::of(self.world, task))
            .filter(|row| {
                if filter.states.is_empty() {
                    !matches!(row.state, StateName::Done | StateName::Removed)
                } else {
                    filter.states.contains(&row.state)
                }
            })
            .collect();
        let notes = if rows.is_empty() {
            vec!["no tasks".to_owned()]
        } else {
            Vec::new()
        };
        Ok(Reply {
            body: Body::Tasks(rows),
            notes,
            ..Reply::default()
        })
    }

    pub(super) fn log(self, id: Option<&TaskRef>, follow: bool, filter: LogFilter<'_>) -> Result<Reply, Refusal> {
        let task = self.referred(id)?;
        let (view, seen) = log_after(self.world, task.id, 0, filter);
        let mut reply = about(task, Body::Log(view));
        if follow && !has_ended(task) {
            reply.wait = Some(Wait::Log {
                task: task.id,
                after: seen,
            });
        }
        Ok(reply)
    }

    pub(super) fn wait(self, id: Option<&TaskRef>) -> Result<Reply, Refusal> {
        let task = self.referred(id)?;
        let state = self.world.state_name(task);
        let mut reply = about(
            task,
            Body::Task(Box::new(TaskView::of(self.world, task, self.facts, self.now))),
        );
        match state.phase() {
            Phase::None => {
                return Err(Refusal::new(
                    "not_scheduled",
                    format!("task {} is not run: there is no end to wait for", task.id),
                )
                .hint(format!("task run {}", task.id)));
            }
            Phase::Scheduled | Phase::Running => {
                reply.wait = Some(Wait::End(task.id));
                if !self.world.is_made(&task.repository) {
                    reply.notes.push(format!(
                        "repository {} was not made yet: task {} waits until it is",
                        task.repository, task.id
                    ));
                }
            }
            Phase::Ret => reply.exit = u8::from(!matches!(state, StateName::Tested | StateName::Done)),
        }
        Ok(reply)
    }
}

/// Whether a task's log says no more until somebody asks for a run.
pub fn has_ended(task: &Task) -> bool {
    match task.state.name().phase() {
        Phase::None | Phase::Ret => true,
        Phase::Scheduled | Phase::Running => false,
    }
}

fn about(task: &Task, body: Body) -> Reply {
    Reply {
        task: Some(task.id),
        body,
        ..Reply::default()
    }
}
