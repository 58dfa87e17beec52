//! Commands that read, and those of them that wait: `task wait`, `task log --follow`.
//!
//! Whoever waits is woken by a change of the task that he waits for, decides anew, and goes on until nothing is waited
//! for any more, the caller is gone, or the bot stops.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::broadcast;
use windlass_core::command::{Command, JobCommand, TaskCommand};
use windlass_core::decide::{Actor, LogFilter, decide, has_ended, log_after, names_request, needs, recalls};
use windlass_core::id::{ArchName, TaskId};
use windlass_core::refusal::Refusal;
use windlass_core::reply::{Body, Reply, Wait};
use windlass_core::task::Stage;

use super::frames::Frames;
use super::logs::Wanted;
use super::{Commands, ROUNDS, Trouble};
use crate::exit::Exit;

/// The log that somebody follows.
struct Log {
    task: TaskId,
    stage: Option<Stage>,
    arch: Option<ArchName>,
}

impl Log {
    fn filter(&self) -> LogFilter<'_> {
        LogFilter {
            stage: self.stage,
            arch: self.arch.as_ref(),
        }
    }
}

/// Why somebody who waits goes on.
pub(super) enum Woken {
    Changed,
    Gone,
    Stopping,
}

impl Commands {
    /// Answers a command that reads, or that only says what it would do.
    pub(super) async fn read(&self, actor: Actor, command: Command, frames: &Frames) -> Result<(), Trouble> {
        let mut changes = self.writer.watch();
        let mut told = false;
        loop {
            let reply = match self.decide_read(&actor, &command).await? {
                Ok(reply) => reply,
                Err(refusal) => {
                    frames.refused(&refusal, command.json()).await;
                    return Ok(());
                }
            };
            if let Some(wanted) = wanted_logs(&command, reply.task) {
                return self.show_logs(wanted, changes, frames).await;
            }
            if let Command::Job(JobCommand::Show { id, log: true, .. }) = command {
                return self.show_job_log(id, frames).await;
            }
            match reply.wait {
                None => {
                    frames.rendered(&reply.render()).await;
                    return Ok(());
                }
                Some(Wait::End(task)) => {
                    // Why it may take long is said before the waiting, once.
                    if !told && !reply.notes.is_empty() {
                        frames.err(&format!("{}\n", reply.notes.join("\n"))).await;
                    }
                    told = true;
                    match self.woken(&mut changes, task, frames).await {
                        Woken::Changed => {}
                        Woken::Gone => return Ok(()),
                        Woken::Stopping => return stopped(frames).await,
                    }
                }
                Some(Wait::Log { task, after }) => {
                    let Command::Task(TaskCommand::Log { stage, arch, .. }) = command else {
                        // Nothing else shows a log; were it so, what there is would be the answer.
                        frames.rendered(&reply.render()).await;
                        return Ok(());
                    };
                    let log = Log { task, stage, arch };
                    return self.follow(reply, log, after, changes, frames).await;
                }
            }
        }
    }

    /// Shows a log and then what is added to it.
    async fn follow(
        &self,
        mut reply: Reply,
        log: Log,
        mut after: usize,
        mut changes: broadcast::Receiver<TaskId>,
        frames: &Frames,
    ) -> Result<(), Trouble> {
        let log = Arc::new(log);
        loop {
            let rendered = reply.render();
            if !matches!(&reply.body, Body::Log(view) if view.lines.is_empty()) {
                frames.out(&rendered.out).await;
            }
            frames.err(&rendered.err).await;
            reply.notes.clear();
            if reply.wait.is_none() {
                frames.exit(rendered.exit).await;
                return Ok(());
            }
            match self.woken(&mut changes, log.task, frames).await {
                Woken::Changed => {}
                Woken::Gone => return Ok(()),
                Woken::Stopping => return stopped(frames).await,
            }
            let (view, seen, ended) = {
                let log = Arc::clone(&log);
                self.writer
                    .call(move |state| {
                        let (view, seen) = log_after(state.world(), log.task, after, log.filter());
                        Ok((view, seen, state.world().task(log.task).is_none_or(has_ended)))
                    })
                    .await?
            };
            after = seen;
            reply.body = Body::Log(view);
            if ended {
                reply.wait = None;
            }
        }
    }

    async fn decide_read(&self, actor: &Actor, command: &Command) -> Result<Result<Reply, Refusal>, Trouble> {
        let mut tags = {
            let (actor, command) = (actor.clone(), command.clone());
            self.writer
                .call(move |state| Ok(needs(state.world(), &actor, &command)))
                .await?
        };
        for _ in 0..ROUNDS {
            let mut facts = self.facts(tags).await?;
            facts.flashes = self.flashes(command).await?;
            let (actor, command) = (actor.clone(), command.clone());
            let decided = self
                .writer
                .call(move |state| {
                    let wanted = needs(state.world(), &actor, &command);
                    if wanted.iter().any(|tag| !facts.tags.contains_key(tag)) {
                        return Ok(Err(wanted));
                    }
                    if let Some(request) = names_request(&command) {
                        state.recall_answer(request)?;
                    }
                    if let Some(task) = recalls(state.world(), &actor, &command) {
                        state.recall(task)?;
                    }
                    let decision = decide(state.world(), &actor, &command, &facts, Timestamp::now());
                    Ok(Ok(decision.map(|decision| decision.reply)))
                })
                .await?;
            match decided {
                Ok(reply) => return Ok(reply),
                Err(more) => tags = more,
            }
        }
        Err(Trouble::Restless)
    }

    pub(super) async fn woken(
        &self,
        changes: &mut broadcast::Receiver<TaskId>,
        task: TaskId,
        frames: &Frames,
    ) -> Woken {
        let mut stopping = self.stopping.clone();
        loop {
            tokio::select! {
                next = changes.recv() => match next {
                    Ok(other) if other != task => {}
                    Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => return Woken::Changed,
                    Err(broadcast::error::RecvError::Closed) => return Woken::Stopping,
                },
                () = frames.closed() => return Woken::Gone,
                () = stopping.word() => return Woken::Stopping,
            }
        }
    }
}

/// The logs that a command asks for: those of one stage. As JSON it has what is on record.
fn wanted_logs(command: &Command, task: Option<TaskId>) -> Option<Wanted> {
    let Command::Task(TaskCommand::Log {
        stage: Some(stage),
        arch,
        follow,
        flags,
        ..
    }) = command
    else {
        return None;
    };
    (!flags.json).then_some(Wanted {
        task: task?,
        stage: *stage,
        arch: arch.clone(),
        follow: *follow,
    })
}

pub(super) async fn stopped(frames: &Frames) -> Result<(), Trouble> {
    frames
        .err("windlass: the bot is shutting down\n\nhint: ask again when it is back\n")
        .await;
    frames.exit(Exit::Environment.code()).await;
    Ok(())
}
