//! Running a task, stopping it, and what makes a task that was asked for once more.

use super::draft::{Draft, Scene};
use crate::command::BuildArgs;
use crate::id::{ObjectId, RepositoryName, SourcePath, TagName};
use crate::reason::Reason;
use crate::refusal::Refusal;
use crate::task::{Action, Mode, OnFailure, Run, State, StateName, Subtask, Task, TaskEvent};

/// What is asked of a run.
pub(super) struct RunAsk<'a> {
    pub(super) reason: Option<&'a Reason>,
    pub(super) mode: Mode,
    pub(super) on_failure: OnFailure,
}

impl Draft<'_> {
    /// Asks for a run.
    pub(super) fn run(&mut self, ask: &RunAsk<'_>) -> Result<(), Refusal> {
        self.must_own("run it")?;
        self.must_be_open()?;
        let id = self.task.id;
        match &self.task.state {
            State::Building { .. } | State::Committing { .. } => {
                let name = self.task.state.name();
                return Err(Refusal::new("running", format!("task {id} is {name} already"))
                    .hint(format!("follow it: task log {id} --follow")));
            }
            State::Awaiting { run, .. } | State::Pending { run, .. } => {
                return Err(Refusal::new(
                    "already_scheduled",
                    format!(
                        "task {id} waits for its turn already, since {}",
                        crate::reply::time::moment(run.at)
                    ),
                )
                .hint(format!(
                    "why it waits: task why {id}; to run it otherwise stop it first: task abort {id}"
                )));
            }
            State::New
            | State::Tested { .. }
            | State::Failed { .. }
            | State::Eperm { .. }
            | State::Done { .. }
            | State::Aborted { .. }
            | State::Removed { .. } => {}
        }
        if self.task.subtasks.is_empty() {
            return Err(Refusal::new("empty_task", format!("task {id} has no subtasks"))
                .hint(format!("add one: task add {id} repo SOURCE TAG")));
        }
        if ask.reason.is_none()
            && let Some(subtask) = self.task.subtasks.iter().find(|subtask| subtask.action.needs_reason())
        {
            let what = if matches!(subtask.action, Action::Remove { .. }) {
                "removes"
            } else {
                "rebuilds"
            };
            return Err(Refusal::new(
                "reason_needed",
                format!(
                    "subtask {} of task {id} {what} {}: say why",
                    subtask.number,
                    subtask.action.package()
                ),
            )
            .hint(format!("task run {id} -m 'REASON'")));
        }
        self.tags_are_still_good()?;
        let run = Run {
            try_number: self.task.tries.saturating_add(1),
            by: self.scene.actor.user.clone(),
            at: self.scene.now,
            mode: ask.mode,
            on_failure: ask.on_failure,
            reason: ask.reason.cloned(),
        };
        self.record(TaskEvent::RunAsked { run });
        self.note_not_made();
        Ok(())
    }

    /// That every tag is judged good now, and is the one that was added: keys expire, and are revoked.
    fn tags_are_still_good(&self) -> Result<(), Refusal> {
        for subtask in &self.task.subtasks {
            let Action::Build {
                source,
                tag,
                object,
                signer,
                package,
                ..
            } = &subtask.action
            else {
                continue;
            };
            let good = self.scene.good_tag(source, tag).map_err(|mut refusal| {
                refusal.message = format!("subtask {}: {}", subtask.number, refusal.message);
                refusal
            })?;
            if good.object != *object {
                return Err(Refusal::new(
                    "moved_tag",
                    format!(
                        "subtask {}: {source} {tag} was {object} when it was added and is {} now: a tag never moves",
                        subtask.number, good.object
                    ),
                )
                .hint(format!(
                    "task delsub {} {}, then add another tag",
                    self.task.id, subtask.number
                )));
            }
            if good.signer.owner != signer.owner {
                return Err(Refusal::new(
                    "not_yours",
                    format!(
                        "subtask {}: the key of {source} {tag} was {}'s when it was added and is {}'s now",
                        subtask.number, signer.owner, good.signer.owner
                    ),
                ));
            }
            self.version_may_come(subtask.number, package, good)
                .map_err(|mut refusal| {
                    refusal.message = format!("subtask {}: {}", subtask.number, refusal.message);
                    refusal
                })?;
        }
        Ok(())
    }

    /// Stops the task.
    pub(super) fn abort(&mut self) -> Result<(), Refusal> {
        self.must_own_or_rule("stop it")?;
        self.must_be_open()?;
        let id = self.task.id;
        match self.task.state.name() {
            StateName::Awaiting | StateName::Postponed | StateName::Building | StateName::Pending => {
                let by = self.scene.actor.user.clone();
                self.record(TaskEvent::Aborted { by });
                Ok(())
            }
            StateName::Committing => Err(Refusal::new(
                "committing",
                format!("task {id} is being committed: that cannot be stopped any more"),
            )
            .hint(format!("wait for its end: task wait {id}"))),
            name @ (StateName::New
            | StateName::Tested
            | StateName::Failed
            | StateName::Eperm
            | StateName::Aborted
            | StateName::Done
            | StateName::Removed) => Err(Refusal::new(
                "not_scheduled",
                format!("task {id} is {name}: there is nothing to stop"),
            )
            .hint(format!("to remove it: task rm {id}"))),
        }
    }
}

impl<'a> Scene<'a> {
    /// `build`: a new task with these tags, and run; or the same person's unfinished task that is just that.
    pub(super) fn build(self, args: &BuildArgs) -> Result<Built<'a>, Refusal> {
        let repository = self.repository(args.repository.as_ref())?;
        let tags = args.resolved(&self.actor.user);
        let mode = if args.test_only { Mode::TestOnly } else { Mode::Commit };
        if let Some(task) = self.same_unfinished(&tags, &repository, mode)? {
            return Ok(Built::Already(task));
        }
        let mut draft = self.begin(Some(&repository))?;
        for (source, tag) in &tags {
            draft.add_tag(source, tag)?;
        }
        draft.run(&RunAsk {
            reason: args.reason.as_ref(),
            mode,
            on_failure: OnFailure::Early,
        })?;
        Ok(Built::New(Box::new(draft)))
    }

    /// The caller's unfinished task that builds just these tags, in this order, in this way, and does nothing else.
    pub(super) fn same_unfinished(
        self,
        tags: &[(SourcePath, TagName)],
        repository: &RepositoryName,
        mode: Mode,
    ) -> Result<Option<&'a Task>, Refusal> {
        let mut objects = Vec::new();
        for (source, tag) in tags {
            objects.push(&self.good_tag(source, tag)?.object);
        }
        let is_this = |subtask: &Subtask, ((source, tag), object): (&(SourcePath, TagName), &&ObjectId)| {
            matches!(&subtask.action, Action::Build { source: s, tag: t, object: o, .. }
                if s == source && t == tag && o == *object)
        };
        Ok(self.world.open_tasks_of(&self.actor.user).rev().find(|task| {
            task.repository == *repository
                && is_unfinished(task)
                && task.state.run().is_some_and(|run| run.mode == mode)
                && task.deps.is_empty()
                && task.subtasks.len() == tags.len()
                && task
                    .subtasks
                    .iter()
                    .zip(tags.iter().zip(&objects))
                    .all(|(subtask, tag)| is_this(subtask, tag))
        }))
    }
}

/// What `build` leads to.
pub(super) enum Built<'a> {
    /// A new task.
    New(Box<Draft<'a>>),
    /// One that is there and does just this.
    Already(&'a Task),
}

/// Whether a run of the task was asked for and has no end yet, or waits for votes.
fn is_unfinished(task: &Task) -> bool {
    match task.state.name() {
        StateName::Awaiting
        | StateName::Postponed
        | StateName::Building
        | StateName::Eperm
        | StateName::Pending
        | StateName::Committing => true,
        StateName::New
        | StateName::Tested
        | StateName::Failed
        | StateName::Done
        | StateName::Aborted
        | StateName::Removed => false,
    }
}
