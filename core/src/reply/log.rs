//! What happened to a task, line by line.

use jiff::Timestamp;
use serde::Serialize;

use super::time::moment_to_the_second;
use crate::access::VoteKind;
use crate::id::{ArchName, TaskId};
use crate::reply::task::{run_text, what_it_does};
use crate::task::{Failure, Outcome, Stage, TaskEvent};

/// `task log`.
///
/// JSON: `task`, `lines`; a line has `at`, `text`, and `stage`, `arch` where it has one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogView {
    /// The task.
    pub task: TaskId,
    /// What happened, oldest first.
    pub lines: Vec<LogLine>,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogLine {
    /// When.
    pub at: Timestamp,
    /// What, in a line.
    pub text: String,
    /// The stage, where it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<Stage>,
    /// The architecture, where it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arch: Option<ArchName>,
}

impl LogView {
    /// Lines for a terminal.
    pub fn text(&self) -> String {
        let line = |line: &LogLine| format!("{}  {}\n", moment_to_the_second(line.at), line.text);
        self.lines.iter().map(line).collect()
    }
}

impl LogLine {
    /// The line for an event.
    pub fn of(at: Timestamp, event: &TaskEvent) -> Self {
        let (stage, arch) = place(event);
        Self {
            at,
            text: told(event),
            stage,
            arch,
        }
    }
}

fn place(event: &TaskEvent) -> (Option<Stage>, Option<ArchName>) {
    match event {
        TaskEvent::StageStarted { stage, arch, .. } | TaskEvent::StageFinished { stage, arch, .. } => {
            (Some(*stage), arch.clone())
        }
        TaskEvent::RunEnded { outcome, .. } => match outcome {
            Outcome::Passed => (None, None),
            Outcome::Failed(failure) => (Some(failure.stage), failure.arch.clone()),
            Outcome::Eperm { .. } => (Some(Stage::CheckAcl), None),
        },
        TaskEvent::CommitStarted { .. } | TaskEvent::CommitFailed { .. } | TaskEvent::Landed { .. } => {
            (Some(Stage::RepoCommit), None)
        }
        TaskEvent::Created { .. }
        | TaskEvent::SubtaskAdded { .. }
        | TaskEvent::SubtaskRemoved { .. }
        | TaskEvent::Shared { .. }
        | TaskEvent::DepsChanged { .. }
        | TaskEvent::Voted { .. }
        | TaskEvent::VoteRevoked { .. }
        | TaskEvent::RunAsked { .. }
        | TaskEvent::Permitted
        | TaskEvent::Aborted { .. }
        | TaskEvent::Removed { .. }
        | TaskEvent::BuildStarted { .. } => (None, None),
    }
}

/// An event in one line.
pub fn told(event: &TaskEvent) -> String {
    match event {
        TaskEvent::Created { repository, owner } => format!("{owner} made it, for {repository}"),
        TaskEvent::SubtaskAdded { number, by, action } => {
            format!("{by} added subtask {number}: {}", what_it_does(action))
        }
        TaskEvent::SubtaskRemoved { number, by } => format!("{by} took out subtask {number}"),
        TaskEvent::Shared { on: true, by } => format!("{by} shared it"),
        TaskEvent::Shared { on: false, by } => format!("{by} shares it no longer"),
        TaskEvent::DepsChanged { deps, by } if deps.is_empty() => format!("{by}: it depends on no task"),
        TaskEvent::DepsChanged { deps, by } => {
            let deps: Vec<String> = deps.iter().map(ToString::to_string).collect();
            format!("{by}: it depends on {}", deps.join(", "))
        }
        TaskEvent::Voted {
            kind,
            subtask,
            by,
            reason,
            ..
        } => {
            let word = if *kind == VoteKind::Approve {
                "approved"
            } else {
                "disapproved"
            };
            format!("{by} {word} subtask {subtask}: {reason}")
        }
        TaskEvent::VoteRevoked { kind, subtask, by } => {
            let word = if *kind == VoteKind::Approve {
                "approval"
            } else {
                "disapproval"
            };
            format!("{by} took back the {word} of subtask {subtask}")
        }
        TaskEvent::RunAsked { run } => format!("{} asked for try {}: {}", run.by, run.try_number, run_text(run)),
        TaskEvent::Permitted => "the votes allow it: it goes on without being built again".to_owned(),
        TaskEvent::Aborted { by } => format!("{by} stopped it"),
        TaskEvent::Removed { by } => format!("{by} removed it"),
        TaskEvent::BuildStarted {
            try_number,
            iteration,
            base,
        } => {
            format!("try {try_number}, iteration {iteration} begins, on generation {base}")
        }
        TaskEvent::StageStarted { stage, arch, .. } => format!("{} begins", stage_text(*stage, arch.as_ref())),
        TaskEvent::StageFinished { stage, arch, .. } => format!("{} passed", stage_text(*stage, arch.as_ref())),
        TaskEvent::RunEnded {
            try_number,
            outcome,
            not_before,
        } => match outcome {
            Outcome::Passed => format!("try {try_number} passed"),
            Outcome::Failed(failure) => {
                let again = not_before.map(|at| format!("; tried again after {}", moment_to_the_second(at)));
                format!(
                    "try {try_number} failed: {}{}",
                    failure_text(failure),
                    again.unwrap_or_default()
                )
            }
            Outcome::Eperm { denied } => {
                let denied: Vec<&str> = denied.iter().map(|denied| denied.package.as_str()).collect();
                format!("try {try_number} passed but for access to: {}", denied.join(", "))
            }
        },
        TaskEvent::CommitStarted { generation, .. } => format!("the commit of generation {generation} begins"),
        TaskEvent::CommitFailed { message, .. } => format!("the commit did not happen: {message}"),
        TaskEvent::Landed { generation, .. } => format!("landed: generation {generation}"),
    }
}

fn stage_text(stage: Stage, arch: Option<&ArchName>) -> String {
    arch.map_or_else(|| stage.to_string(), |arch| format!("{stage} on {arch}"))
}

/// A failure in one line: stage, subtask, architecture, what, whose fault, where the log is.
pub fn failure_text(failure: &Failure) -> String {
    let subtask = failure
        .subtask
        .map(|number| format!(", subtask {number}"))
        .unwrap_or_default();
    let fault = match failure.fault {
        crate::task::Fault::Package => "the package's fault",
        crate::task::Fault::Policy => "against a rule",
        crate::task::Fault::Infrastructure => "the infrastructure's fault",
    };
    let stage = stage_text(failure.stage, failure.arch.as_ref());
    format!("{stage}{subtask}: {} ({fault}; log: {})", failure.message, failure.log)
}
