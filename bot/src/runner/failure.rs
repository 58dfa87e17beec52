//! From what a stage says to what goes on record.

use std::any::Any;

use jiff::{SignedDuration, Timestamp};
use windlass_core::id::{ArchName, SubtaskNumber};
use windlass_core::repository::Problem;
use windlass_core::task::{Failure, Fault, Note, Stage};

use crate::stages::StageError;

/// The most problems beside the first that are put on record; the log has all of them.
const MORE: usize = 20;

/// Where something failed.
#[derive(Debug, Clone)]
pub(super) struct Site {
    pub(super) stage: Stage,
    pub(super) subtask: Option<SubtaskNumber>,
    pub(super) arch: Option<ArchName>,
    /// The log, as it goes on record.
    pub(super) log: String,
}

/// What failed, and what else is to be told of it.
#[derive(Debug, Clone)]
pub(super) struct Failed {
    pub(super) failure: Failure,
    pub(super) notes: Vec<Note>,
    /// How long to leave the infrastructure alone, where the stage knows.
    pub(super) retry_after: Option<SignedDuration>,
}

/// What a stage's error means for the run; nothing where the run was stopped.
pub(super) fn of(site: &Site, error: StageError) -> Option<Failed> {
    match error {
        StageError::Stopped => None,
        StageError::Infrastructure { message, retry_after } => Some(Failed {
            failure: infrastructure(site, &message),
            notes: Vec::new(),
            retry_after: retry_after.and_then(|after| SignedDuration::try_from(after).ok()),
        }),
        StageError::Failed { fault, problems } => Some(failed(site, fault, problems)),
    }
}

/// What a panic said.
pub(super) fn said(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("it does not say why")
}

/// What a panic is for the task: nothing that its author could mend.
pub(super) fn own_mistake(what: &str) -> StageError {
    StageError::infrastructure(format!("a mistake of Windlass' own: {what}"))
}

/// A failure of the infrastructure.
pub(super) fn infrastructure(site: &Site, message: &str) -> Failure {
    let mut parts = message.splitn(2, "\n\nhint: ");
    Failure {
        stage: site.stage,
        subtask: site.subtask,
        arch: site.arch.clone(),
        fault: Fault::Infrastructure,
        message: parts.next().unwrap_or_default().trim_end().to_owned(),
        log: site.log.clone(),
        code: None,
        hint: parts.next().map(|hint| hint.trim_end().to_owned()),
    }
}

/// When the infrastructure is tried again.
pub(super) fn not_before(failed: &Failed, pause: SignedDuration) -> Option<Timestamp> {
    let pause = failed.retry_after.unwrap_or(pause);
    (failed.failure.fault == Fault::Infrastructure)
        .then(|| Timestamp::now().checked_add(pause).ok())
        .flatten()
}

fn failed(site: &Site, fault: Fault, problems: Vec<Problem>) -> Failed {
    let all = problems.len();
    let mut problems = problems.into_iter();
    let first = problems
        .next()
        .unwrap_or_else(|| Problem::new("failed", "it failed and said no more"));
    let more = if all > 1 {
        format!(" (and {} more)", all - 1)
    } else {
        String::new()
    };
    Failed {
        failure: Failure {
            stage: site.stage,
            subtask: first.subtask.or(site.subtask),
            arch: first.arch.clone().or_else(|| site.arch.clone()),
            fault,
            message: format!("{}{more}", first.message),
            log: site.log.clone(),
            code: Some(first.code.into_owned()),
            hint: first.hint,
        },
        notes: problems.take(MORE).map(|problem| note(site, problem)).collect(),
        retry_after: None,
    }
}

/// What a stage says of a problem that is not the one that ends the run.
pub(super) fn note(site: &Site, problem: Problem) -> Note {
    let text = match problem.hint {
        Some(hint) => format!("{}; {hint}", problem.message),
        None => problem.message,
    };
    Note {
        stage: site.stage,
        subtask: problem.subtask.or(site.subtask),
        arch: problem.arch.or_else(|| site.arch.clone()),
        text,
    }
}
