//! `task why`: where a task stands, since when, what or whom it waits for, what to do next.

use std::fmt::Write as _;

use jiff::Timestamp;
use serde::Serialize;

use super::task::{DepView, deps};
use super::time::{moment, since};
use crate::access::{Ground, Ruling};
use crate::decide::{Facts, ruling};
use crate::id::TaskId;
use crate::task::{Denied, Fault, Mode, Phase, State, StateName, Task};
use crate::world::World;

/// Why a task stands where it does.
///
/// JSON: `task`, `state`, `phase`, `since`, `for_seconds`, `because` (lines), `waits_for` (tasks with their state), `waits_on`
/// (people and groups), `next` (commands).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WhyView {
    /// The task.
    pub task: TaskId,
    /// Where it stands.
    pub state: StateName,
    /// The state of the first design.
    pub phase: Phase,
    /// Since when.
    pub since: Timestamp,
    /// For how long.
    pub for_seconds: i64,
    /// Why: one line each.
    pub because: Vec<String>,
    /// The tasks that it waits for.
    pub waits_for: Vec<DepView>,
    /// The people and groups (`@NAME`) that it waits for.
    pub waits_on: Vec<String>,
    /// Commands that go on from here.
    pub next: Vec<String>,
    /// The moment of looking; not in JSON.
    #[serde(skip)]
    pub now: Timestamp,
}

impl WhyView {
    /// Explains a task.
    pub fn of(world: &World, task: &Task, facts: &Facts, now: Timestamp) -> Self {
        let state = world.state_name(task);
        let mut why = Self {
            task: task.id,
            state,
            phase: state.phase(),
            since: task.since,
            for_seconds: now.duration_since(task.since).as_secs().max(0),
            because: Vec::new(),
            waits_for: Vec::new(),
            waits_on: Vec::new(),
            next: Vec::new(),
            now,
        };
        why.explain(world, task, facts);
        why.next.push(format!("task show {}", task.id));
        why
    }

    fn explain(&mut self, world: &World, task: &Task, facts: &Facts) {
        let id = task.id;
        match &task.state {
            State::New => {
                self.waits_on.push(task.owner.to_string());
                if task.subtasks.is_empty() {
                    self.because("it has no subtasks yet");
                    self.next(format!("task add {id} repo SOURCE TAG"));
                } else {
                    self.because(if task.tries == 0 {
                        "nobody has run it yet"
                    } else {
                        "it was changed since it was run last"
                    });
                    self.next(if task.subtasks.iter().any(|subtask| subtask.action.needs_reason()) {
                        format!("task run {id} -m 'REASON'")
                    } else {
                        format!("task run {id}")
                    });
                }
            }
            State::Awaiting {
                not_before, trouble, ..
            } => {
                self.dependencies(world, task);
                if !world.is_made(&task.repository) {
                    self.not_made(task);
                } else if self.waits_for.is_empty() {
                    self.turn(world, task, "it waits for its turn");
                }
                if let Some(trouble) = trouble {
                    let what = match trouble.fault {
                        Fault::Infrastructure => "last time the infrastructure failed",
                        Fault::Package | Fault::Policy => {
                            "it is tested again when nobody is ahead of it; while others were, it failed"
                        }
                    };
                    self.because(&format!("{what}: {}", super::log::failure_text(trouble)));
                }
                self.back_off(*not_before);
                self.next(format!("task abort {id}"));
            }
            State::Building { iteration, base, .. } => {
                let running = task.progress.as_deref().map_or(&[][..], |progress| &progress.running);
                let at: Vec<String> = running
                    .iter()
                    .map(|running| {
                        let arch = running.arch.as_ref();
                        arch.map_or_else(
                            || running.stage.to_string(),
                            |arch| format!("{} on {arch}", running.stage),
                        )
                    })
                    .collect();
                let at = if at.is_empty() {
                    "between two stages".to_owned()
                } else {
                    format!("at {}", at.join(", "))
                };
                self.because(&format!(
                    "its stages run on generation {base} (iteration {iteration}), {at}"
                ));
                self.next(format!("task log {id} --follow"));
            }
            State::Tested { .. } => {
                self.because("all checks passed, and no more was asked for");
                self.waits_on.push(task.owner.to_string());
                self.next(format!("task run {id} --commit"));
            }
            State::Failed { failure, .. } => {
                self.because(&super::log::failure_text(failure));
                for line in failure.hint.iter().flat_map(|hint| hint.lines()) {
                    self.because(&format!("hint: {line}"));
                }
                match failure.fault {
                    Fault::Package | Fault::Policy => {
                        self.waits_on.push(task.owner.to_string());
                        match failure.subtask {
                            Some(number) => self.next(format!(
                                "task delsub {id} {number}, then task add {id} repo SOURCE NEW-TAG"
                            )),
                            None => self.next(format!("task run {id}")),
                        }
                    }
                    Fault::Infrastructure => self.next(format!("task run {id}")),
                }
            }
            State::Eperm { denied, .. } => self.denied(world, task, facts, denied),
            State::Pending {
                not_before, trouble, ..
            } => {
                self.dependencies(world, task);
                if !world.is_made(&task.repository) {
                    self.not_made(task);
                } else if self.waits_for.is_empty() {
                    self.turn(world, task, "all checks passed; it waits for its commit");
                }
                if let Some(trouble) = trouble {
                    self.because(&format!("the last commit did not happen: {trouble}"));
                }
                self.back_off(*not_before);
                self.next(format!("task abort {id}"));
            }
            State::Committing { generation, .. } => {
                self.because(&format!(
                    "generation {generation} of {} is being made with it",
                    task.repository
                ));
                self.next(format!("task wait {id}"));
            }
            State::Done { generation, .. } => {
                self.because(&format!(
                    "it has landed: it made generation {generation} of {}",
                    task.repository
                ));
                let jobs = super::job::of_task(world, id);
                for job in &jobs {
                    self.because(&format!("it caused job {}, {}: {}", job.job, job.about, job.state));
                }
                if let [first, ..] = jobs.as_slice() {
                    self.next(if jobs.len() == 1 {
                        format!("job show {}", first.job)
                    } else {
                        format!("job ls --task={id}")
                    });
                }
            }
            State::Aborted { by, .. } => {
                self.because(&format!("{by} stopped it"));
                self.waits_on.push(task.owner.to_string());
                self.next(format!("task run {id}"));
            }
            State::Removed { by } => self.because(&format!("{by} removed it")),
        }
    }

    fn because(&mut self, line: &str) {
        self.because.push(line.to_owned());
    }

    fn next(&mut self, command: String) {
        self.next.push(command);
    }

    /// Its turn has not come: who is before it.
    fn turn(&mut self, world: &World, task: &Task, what: &str) {
        let own = task.state.run().map(|run| (run.at, task.id));
        let mut ahead: Vec<(Timestamp, TaskId)> = world
            .open_tasks()
            .filter(|other| other.repository == task.repository && is_on_its_way(other))
            .filter(|other| world.waits_for(other).is_empty())
            .filter_map(|other| Some((other.state.run()?.at, other.id)))
            .filter(|other| own.is_some_and(|own| *other < own))
            .collect();
        ahead.sort_unstable();
        let names: Vec<String> = ahead.iter().take(3).map(|(_, id)| id.to_string()).collect();
        let more = match ahead.len().saturating_sub(names.len()) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        self.because(&match names.len() {
            0 => what.to_owned(),
            1 => format!("{what}; before it lands task {}", names.join(", ")),
            _ => format!("{what}; before it land the tasks {}{more}", names.join(", ")),
        });
    }

    /// It waits for a moment.
    fn back_off(&mut self, not_before: Option<Timestamp>) {
        if let Some(at) = not_before.filter(|at| *at > self.now) {
            self.because(&format!(
                "it is tried again after {}",
                super::time::moment_to_the_second(at)
            ));
        }
    }

    /// There is nothing to build on yet.
    fn not_made(&mut self, task: &Task) {
        let repository = &task.repository;
        self.because(&format!(
            "repository {repository} was not made yet, so that nothing can run: it keeps its place until it is"
        ));
        self.waits_on.push("the administrator".to_owned());
        self.next(format!("windlass repo init -b {repository}"));
    }

    /// Tasks that have to land before, and whether they can.
    fn dependencies(&mut self, world: &World, task: &Task) {
        let id = task.id;
        let waiting = world.waits_for(task);
        self.waits_for = deps(world, task);
        self.waits_for.retain(|dep| waiting.contains(&dep.task));
        for dep in self.waits_for.clone() {
            let other = dep.task;
            match dep.state {
                StateName::Removed => {
                    self.because(&format!(
                        "task {other}, which has to land before it, was removed and never will"
                    ));
                    self.next(format!("task deps {id} del {other}"));
                }
                StateName::New | StateName::Tested | StateName::Failed | StateName::Eperm | StateName::Aborted => {
                    self.because(&format!("task {other} has to land before it and is {}", dep.state));
                    self.waits_on
                        .extend(world.task(other).map(|task| task.owner.to_string()));
                    self.next(format!("task why {other}"));
                }
                StateName::Awaiting
                | StateName::Postponed
                | StateName::Building
                | StateName::Pending
                | StateName::Committing
                | StateName::Done => {
                    self.because(&format!("task {other} has to land before it and is {}", dep.state));
                    self.next(format!("task why {other}"));
                }
            }
        }
    }

    fn denied(&mut self, world: &World, task: &Task, facts: &Facts, denied: &[Denied]) {
        let id = task.id;
        self.because("all other checks passed");
        let mut settled = true;
        for denied in denied {
            let Some(subtask) = task.subtask(denied.subtask) else {
                continue;
            };
            let Ruling::Denied(ground) = ruling(world, facts, task, subtask, &denied.package, denied.touch) else {
                continue;
            };
            settled = false;
            let what = format!(
                "{} may not touch {} (subtask {})",
                subtask.by, denied.package, denied.subtask
            );
            match ground {
                Ground::SuperuserDisapproved { by } | Ground::Disapproved { by } => {
                    self.because(&format!("{what}: {by} disapproved"));
                    self.waits_on.push(by.to_string());
                }
                Ground::GroupsMissing { groups } => {
                    let groups: Vec<String> = groups.iter().map(|group| format!("@{group}")).collect();
                    self.because(&format!(
                        "subtask {} needs approvals of {}",
                        denied.subtask,
                        groups.join(" and ")
                    ));
                    self.waits_on.extend(groups);
                }
                Ground::NoRights
                | Ground::SuperuserAuthor
                | Ground::SuperuserApproved { .. }
                | Ground::Rights
                | Ground::Approved { .. } => {
                    self.because(&format!("{what}: it needs an approval of somebody who may"));
                    let list = world
                        .access(&task.repository)
                        .and_then(|lists| lists.package(&denied.package));
                    self.waits_on.extend(
                        list.into_iter()
                            .flat_map(crate::access::List::iter)
                            .map(ToString::to_string),
                    );
                    self.next(format!("acl {} {} show", task.repository, denied.package));
                }
            }
            self.next(format!(
                "task approve {id} {} -m 'REASON' (by one of those it waits for)",
                denied.subtask
            ));
        }
        if settled {
            self.because("the access lists allow it by now: run it again");
            self.waits_on.push(task.owner.to_string());
            self.next(format!("task run {id}"));
        }
        self.waits_on.sort();
        self.waits_on.dedup();
        self.next.dedup();
    }

    /// Lines for a terminal.
    pub fn text(&self) -> String {
        let mut out = format!(
            "task {} is {} since {} ({})\n",
            self.task,
            self.state,
            moment(self.since),
            since(self.since, self.now)
        );
        for line in self.because.iter().flat_map(|text| text.lines()) {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "  {line}");
        }
        if !self.waits_on.is_empty() {
            let _ = writeln!(out, "waits for: {}", self.waits_on.join(", "));
        }
        for command in &self.next {
            let _ = writeln!(out, "next: {command}");
        }
        out
    }
}

/// Whether a task was run to land, and has neither landed nor failed.
fn is_on_its_way(task: &Task) -> bool {
    match &task.state {
        State::Awaiting { run, .. }
        | State::Building { run, .. }
        | State::Pending { run, .. }
        | State::Committing { run, .. } => run.mode == Mode::Commit,
        State::New
        | State::Tested { .. }
        | State::Failed { .. }
        | State::Eperm { .. }
        | State::Done { .. }
        | State::Aborted { .. }
        | State::Removed { .. } => false,
    }
}
