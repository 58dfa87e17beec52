//! What happened to a task, line by line.

use jiff::Timestamp;
use serde::Serialize;

use super::time::moment_to_the_second;
use crate::access::VoteKind;
use crate::id::{ArchName, SubtaskNumber, TaskId};
use crate::reply::task::{run_text, what_it_does};
use crate::task::{ArchOutcome, Archive, Failure, Outcome, PlanSummary, PlannedChange, Stage, TaskEvent};

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
        TaskEvent::Archived { .. } => (Some(Stage::Pkgtar), None),
        TaskEvent::Built { arch, .. } => (Some(Stage::Build), Some(arch.clone())),
        TaskEvent::Planned { .. } => (Some(Stage::RepoPlan), None),
        TaskEvent::Noted { note, .. } => (Some(note.stage), note.arch.clone()),
        TaskEvent::SubtaskFailed { failure, .. } | TaskEvent::Overtaken { failure, .. } => {
            (Some(failure.stage), failure.arch.clone())
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
        TaskEvent::StageFinished { stage, arch, ms, .. } => {
            let took = ms.map(|ms| format!(" ({})", took(ms))).unwrap_or_default();
            format!("{} passed{took}", stage_text(*stage, arch.as_ref()))
        }
        TaskEvent::Archived { subtask, archive, .. } => archived_text(*subtask, archive),
        TaskEvent::Built {
            subtask, arch, outcome, ..
        } => format!("subtask {subtask} on {arch}: {}", outcome_text(outcome)),
        TaskEvent::Planned { plan, .. } => plan_text(plan),
        TaskEvent::Noted { note, .. } => {
            let subtask = note.subtask.map(|number| format!(", subtask {number}"));
            let stage = stage_text(note.stage, note.arch.as_ref());
            format!("{stage}{}: {}", subtask.unwrap_or_default(), note.text)
        }
        TaskEvent::SubtaskFailed { failure, .. } => format!("failed, the others go on: {}", failure_text(failure)),
        TaskEvent::Overtaken { failure, .. } => format!(
            "failed, but not on what it will land on; it is tested again when its turn comes: {}",
            failure_text(failure)
        ),
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
        TaskEvent::CommitFailed {
            message, not_before, ..
        } => {
            let again = not_before.map(|at| format!("; tried again after {}", moment_to_the_second(at)));
            format!("the commit did not happen: {message}{}", again.unwrap_or_default())
        }
        TaskEvent::Landed { generation, .. } => format!("landed: generation {generation}"),
    }
}

fn archived_text(subtask: SubtaskNumber, archive: &Archive) -> String {
    let what = match (&archive.package, &archive.evr) {
        (Some(package), Some(evr)) => format!(" of {package} {evr}"),
        (Some(package), None) => format!(" of {package}"),
        (None, _) => String::new(),
    };
    let short = archive.sha256.get(..12).unwrap_or(&archive.sha256);
    format!("subtask {subtask}: the source archive{what} is {short}")
}

/// What came of a subtask on one architecture, in a few words.
pub fn outcome_text(outcome: &ArchOutcome) -> String {
    match outcome {
        ArchOutcome::Built {
            reused: true,
            packages,
            key,
            ..
        } => format!(
            "{}, built before (key {})",
            count(packages.len(), "package"),
            key.get(..12).unwrap_or(key)
        ),
        ArchOutcome::Built { packages, ms, .. } => {
            format!("{} built in {}", count(packages.len(), "package"), took(*ms))
        }
        ArchOutcome::Excluded { why } => format!("not for this architecture ({why})"),
        ArchOutcome::Copied { packages } => format!("{} copied", count(packages.len(), "package")),
    }
}

/// A plan in short, as it goes on record.
pub fn plan_summary(plan: &crate::repository::Plan) -> PlanSummary {
    use crate::task::Counts;
    let counts = |plan: &crate::repository::ArchPlan| Counts {
        added: plan.added.len(),
        removed: plan.removed.len(),
    };
    let arches = plan.arches.iter().map(|(arch, plan)| (arch.to_string(), counts(plan)));
    PlanSummary {
        changes: plan
            .changes
            .iter()
            .map(|change| PlannedChange {
                subtask: change.subtask,
                package: change.package.to_string(),
                before: change.before.as_ref().map(ToString::to_string),
                after: change.after.as_ref().map(ToString::to_string),
            })
            .collect(),
        counts: arches.chain([("source".to_owned(), counts(&plan.source))]).collect(),
        warnings: plan.warnings.iter().map(ToString::to_string).collect(),
    }
}

/// A plan in one line.
pub fn plan_text(plan: &PlanSummary) -> String {
    let changes: Vec<String> = plan.changes.iter().map(change_text).collect();
    let counts: Vec<String> = plan
        .counts
        .iter()
        .map(|(place, counts)| format!("{place} +{} -{}", counts.added, counts.removed))
        .collect();
    format!("the plan: {}; packages: {}", changes.join(", "), counts.join(", "))
}

/// What becomes of one source package, in a few words.
pub fn change_text(change: &PlannedChange) -> String {
    let package = &change.package;
    match (&change.before, &change.after) {
        (Some(before), Some(after)) => format!("{package} {before} → {after}"),
        (None, Some(after)) => format!("{package} {after} comes"),
        (Some(before), None) => format!("{package} {before} goes"),
        (None, None) => format!("{package} stays"),
    }
}

/// Milliseconds as people read them: `340 ms`, `12.3 s`, `5 min 3 s`.
pub fn took(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        _ => format!("{} min {} s", ms / 60_000, ms % 60_000 / 1_000),
    }
}

fn count(number: usize, what: &str) -> String {
    if number == 1 {
        format!("1 {what}")
    } else {
        format!("{number} {what}s")
    }
}

fn stage_text(stage: Stage, arch: Option<&ArchName>) -> String {
    arch.map_or_else(|| stage.to_string(), |arch| format!("{stage} on {arch}"))
}

/// A failure: stage, subtask, architecture, what, whose fault, where the log is. In one line, unless what happened takes several:
/// then the rest has a line of its own.
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
    let gap = if failure.message.contains('\n') { '\n' } else { ' ' };
    format!(
        "{stage}{subtask}: {}{gap}({fault}; log: {})",
        failure.message, failure.log
    )
}
