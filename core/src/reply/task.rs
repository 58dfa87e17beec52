//! How one task is shown, and a list of them.

use std::fmt::Write as _;

use jiff::Timestamp;
use serde::Serialize;

use super::job::{JobRef, of_task};
use super::progress::{note_lines, plan_lines, stages_line, subtask_lines};
use super::table::table;
use super::time::{moment, since};
use super::why::WhyView;
use crate::access::VoteKind;
use crate::decide::Facts;
use crate::id::{Generation, PackageName, RepositoryName, SubtaskNumber, TaskId, UserName};
use crate::task::{
    Action, Denied, Digest, Failure, Fault, Mode, OnFailure, Phase, Progress, Run, Stage, State, StateName, Subtask,
    Task,
};
use crate::world::World;

/// `task show`.
///
/// JSON: `task`, `repository`, `owner`, `created`, `shared`, `state` (see [`StateName`]), `phase` (`none`, `scheduled`,
/// `running`, `ret`), `since`, `digest` (what an approval is bound to), `deps` (`task`, `state`), `subtasks` (`number`, `by`,
/// `at`, `action` and what belongs to it, `digest`, `votes`), `run` (what was asked for last), `result` (null while no run
/// has an end), `progress` (what its last run has come to: `try`, `iteration`, `base`, `since`, `running`, `passed`, `subtasks` by number
/// with `archive` and `arches`, `plan`, `notes`, `failures`; null where it was not run as it is now), `because` (lines), `jobs` (`job`,
/// `state`: what its landing caused).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TaskView {
    /// Its number.
    pub task: TaskId,
    /// The repository that it is for.
    pub repository: RepositoryName,
    /// Who made it.
    pub owner: UserName,
    /// When it was made.
    pub created: Timestamp,
    /// Whether others may add their tags.
    pub shared: bool,
    /// Where it stands.
    pub state: StateName,
    /// The state of the first design.
    pub phase: Phase,
    /// Since when it stands there.
    pub since: Timestamp,
    /// What an approval is bound to.
    pub digest: Digest,
    /// What has to land before.
    pub deps: Vec<DepView>,
    /// What it does.
    pub subtasks: Vec<SubtaskView>,
    /// What was asked for last.
    pub run: Option<Run>,
    /// How its last run ended.
    pub result: Option<ResultView>,
    /// How far its last run has come.
    pub progress: Option<Progress>,
    /// Why it stands there, as `task why` has it.
    pub because: Vec<String>,
    /// The jobs that its landing caused.
    pub jobs: Vec<JobRef>,
    /// The moment of looking; not in JSON.
    #[serde(skip)]
    pub now: Timestamp,
}

/// A task that has to land before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DepView {
    /// Its number.
    pub task: TaskId,
    /// Where it stands.
    pub state: StateName,
}

/// A subtask with the votes that hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SubtaskView {
    /// What it is.
    #[serde(flatten)]
    pub subtask: Subtask,
    /// The votes that hold.
    pub votes: Vec<VoteView>,
}

/// A vote that holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VoteView {
    /// For or against.
    pub kind: VoteKind,
    /// Who.
    pub by: UserName,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
}

/// How a run ended; always enough to know whose turn it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ResultView {
    /// `tested`, `failed`, `eperm`, `done`, `aborted`; while the infrastructure is in trouble `awaiting`.
    pub outcome: StateName,
    /// The stage that failed.
    pub stage: Option<Stage>,
    /// The subtask that failed.
    pub subtask: Option<SubtaskNumber>,
    /// The architecture on which it failed.
    pub arch: Option<String>,
    /// Whose fault.
    pub fault: Option<Fault>,
    /// One line for people.
    pub message: String,
    /// Where the log is.
    pub log: Option<String>,
    /// The packages that may not be touched.
    pub denied: Vec<Denied>,
    /// The generation that it made.
    pub generation: Option<Generation>,
}

impl TaskView {
    /// The view of a task.
    pub fn of(world: &World, task: &Task, facts: &Facts, now: Timestamp) -> Self {
        let state = world.state_name(task);
        let digest = task.digest();
        Self {
            task: task.id,
            repository: task.repository.clone(),
            owner: task.owner.clone(),
            created: task.created,
            shared: task.shared,
            state,
            phase: state.phase(),
            since: task.since,
            digest,
            deps: deps(world, task),
            subtasks: task
                .subtasks
                .iter()
                .map(|subtask| subtask_view(task, subtask))
                .collect(),
            run: task.state.run().cloned(),
            result: result(&task.state),
            progress: task.progress.as_deref().cloned(),
            because: WhyView::of(world, task, facts, now).because,
            jobs: of_task(world, task.id),
            now,
        }
    }

    /// Lines for a terminal.
    pub fn text(&self) -> String {
        let mut out = format!(
            "task {} for {}: {} since {} ({})\n",
            self.task,
            self.repository,
            self.state,
            moment(self.since),
            since(self.since, self.now)
        );
        let mut say = |line: String| {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "{line}");
        };
        let shared = if self.shared {
            ", shared: others may add their tags"
        } else {
            ""
        };
        say(format!(
            "  owner {}{shared}; digest {}",
            self.owner,
            self.digest.short()
        ));
        if !self.deps.is_empty() {
            let deps: Vec<String> = self
                .deps
                .iter()
                .map(|dep| format!("{} ({})", dep.task, dep.state))
                .collect();
            say(format!("  depends on {}", deps.join(", ")));
        }
        if let Some(run) = &self.run {
            say(format!(
                "  try {} by {} at {}: {}",
                run.try_number,
                run.by,
                moment(run.at),
                run_text(run)
            ));
        }
        for line in self.because.iter().flat_map(|text| text.lines()) {
            say(format!("  {line}"));
        }
        let order: Vec<SubtaskNumber> = self.subtasks.iter().map(|view| view.subtask.number).collect();
        let rows: Vec<[String; 3]> = self
            .subtasks
            .iter()
            .map(|view| {
                let by = if view.subtask.by == self.owner {
                    String::new()
                } else {
                    format!("by {}", view.subtask.by)
                };
                [view.subtask.number.to_string(), what_it_does(&view.subtask.action), by]
            })
            .collect();
        let lines = table(&rows);
        for (line, view) in lines.lines().zip(&self.subtasks) {
            say(format!("  {line}"));
            for vote in &view.votes {
                let word = if vote.kind == VoteKind::Approve {
                    "approved"
                } else {
                    "disapproved"
                };
                say(format!("       {word} by {}: {}", vote.by, vote.reason));
            }
            if let Some(progress) = &self.progress {
                for line in subtask_lines(progress, view.subtask.number, &order, self.now) {
                    say(format!("       {line}"));
                }
            }
        }
        if let Some(progress) = &self.progress {
            if let Some(plan) = &progress.plan {
                say(format!("  the plan, on generation {}:", progress.base));
                for line in plan_lines(plan) {
                    say(format!("     {line}"));
                }
            }
            for line in note_lines(progress) {
                say(format!("  {line}"));
            }
            if let Some(line) = stages_line(progress, self.now) {
                say(format!("  {line}"));
            }
        }
        out
    }
}

fn subtask_view(task: &Task, subtask: &Subtask) -> SubtaskView {
    let votes = task.votes_on(subtask).map(|vote| VoteView {
        kind: vote.kind,
        by: vote.by.clone(),
        at: vote.at,
        reason: vote.reason.to_string(),
    });
    SubtaskView {
        subtask: subtask.clone(),
        votes: votes.collect(),
    }
}

/// What a task depends on, with where that stands.
pub fn deps(world: &World, task: &Task) -> Vec<DepView> {
    let view = |id: &TaskId| {
        world.task(*id).map(|dep| DepView {
            task: *id,
            state: world.state_name(dep),
        })
    };
    task.deps.iter().filter_map(view).collect()
}

/// Lines for a terminal: each task and its state.
pub fn deps_text(deps: &[DepView]) -> String {
    table(
        &deps
            .iter()
            .map(|dep| [dep.task.to_string(), dep.state.to_string()])
            .collect::<Vec<_>>(),
    )
}

/// How the last run ended, if it has.
pub fn result(state: &State) -> Option<ResultView> {
    let view = |message: String| ResultView {
        outcome: state.name(),
        stage: None,
        subtask: None,
        arch: None,
        fault: None,
        message,
        log: None,
        denied: Vec::new(),
        generation: None,
    };
    let failed = |failure: &Failure| ResultView {
        stage: Some(failure.stage),
        subtask: failure.subtask,
        arch: failure.arch.as_ref().map(ToString::to_string),
        fault: Some(failure.fault),
        log: Some(failure.log.clone()),
        ..view(super::log::failure_text(failure))
    };
    match state {
        State::Tested { .. } => Some(view("all checks passed".to_owned())),
        State::Failed { failure, .. } => Some(failed(failure)),
        State::Awaiting {
            trouble: Some(trouble), ..
        } => Some(failed(trouble)),
        State::Eperm { denied, .. } => {
            let packages: Vec<&str> = denied.iter().map(|denied| denied.package.as_str()).collect();
            Some(ResultView {
                stage: Some(Stage::CheckAcl),
                subtask: denied.first().map(|denied| denied.subtask),
                fault: Some(Fault::Policy),
                denied: denied.clone(),
                ..view(format!("all checks passed but access to: {}", packages.join(", ")))
            })
        }
        State::Done { generation, .. } => Some(ResultView {
            generation: Some(*generation),
            ..view(format!("landed as generation {generation}"))
        }),
        State::Aborted { by, .. } => Some(view(format!("stopped by {by}"))),
        State::New
        | State::Awaiting { trouble: None, .. }
        | State::Building { .. }
        | State::Pending { .. }
        | State::Committing { .. }
        | State::Removed { .. } => None,
    }
}

/// What a subtask does, in a few words.
pub fn what_it_does(action: &Action) -> String {
    match action {
        Action::Build { source, tag, .. } => format!("build {source} {tag}"),
        Action::Remove { package } => format!("remove {package}"),
        Action::Rebuild { package } => format!("rebuild {package}"),
        Action::Copy { package, from } => format!("copy {package} from {from}"),
    }
}

/// What was asked of a run, in a few words.
pub fn run_text(run: &Run) -> String {
    let mut text = match run.mode {
        Mode::Commit => "to land".to_owned(),
        Mode::TestOnly => "test only".to_owned(),
    };
    if run.on_failure == OnFailure::Late {
        text.push_str(", go on after failures");
    }
    if let Some(reason) = &run.reason {
        let _ = write!(text, "; reason: {reason}");
    }
    text
}

/// One line of `task ls`.
///
/// JSON: `task`, `state`, `phase`, `since`, `owner`, `repository`, `shared`, `subtasks` (as in `NAME=TAG`, `-NAME`,
/// `NAME`, `NAME<REPOSITORY`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TaskRow {
    /// Its number.
    pub task: TaskId,
    /// Where it stands.
    pub state: StateName,
    /// The state of the first design.
    pub phase: Phase,
    /// Since when.
    pub since: Timestamp,
    /// Who made it.
    pub owner: UserName,
    /// The repository that it is for.
    pub repository: RepositoryName,
    /// Whether others may add their tags.
    pub shared: bool,
    /// What it does.
    pub subtasks: Vec<String>,
}

impl TaskRow {
    /// The row of a task.
    pub fn of(world: &World, task: &Task) -> Self {
        let state = world.state_name(task);
        Self {
            task: task.id,
            state,
            phase: state.phase(),
            since: task.since,
            owner: task.owner.clone(),
            repository: task.repository.clone(),
            shared: task.shared,
            subtasks: task.subtasks.iter().map(|subtask| short(&subtask.action)).collect(),
        }
    }
}

fn short(action: &Action) -> String {
    let package: &PackageName = action.package();
    match action {
        Action::Build { tag, .. } => format!("{package}={tag}"),
        Action::Remove { .. } => format!("-{package}"),
        Action::Rebuild { .. } => format!("~{package}"),
        Action::Copy { from, .. } => format!("{package}<{from}"),
    }
}

/// Rows as a table for a terminal.
pub fn rows_text(rows: &[TaskRow]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let head = ["TASK", "STATE", "SINCE (UTC)", "OWNER", "REPOSITORY", "WHAT"].map(str::to_owned);
    let lines = rows.iter().map(|row| {
        // A line stays a line: what does not fit is counted.
        let mut what = row.subtasks.iter().take(4).cloned().collect::<Vec<_>>().join(" ");
        if row.subtasks.len() > 4 {
            let _ = write!(what, " … {} more", row.subtasks.len() - 4);
        }
        [
            row.task.to_string(),
            row.state.to_string(),
            moment(row.since),
            row.owner.to_string(),
            row.repository.to_string(),
            what,
        ]
    });
    table(&std::iter::once(head).chain(lines).collect::<Vec<_>>())
}
