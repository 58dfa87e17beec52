//! Judges again what a run stands on: tags and keys as they are now, people and lists as they are now.

use std::collections::BTreeSet;

use jiff::Timestamp;
use windlass_core::decide::{Facts, TagFacts};
use windlass_core::id::{SourcePath, TagName};
use windlass_core::repository::Problem;
use windlass_core::task::{Action, Fault, Subtask, Task};

use super::Runner;
use crate::stages::StageError;

/// Facts with a verdict on every tag of a task, all of them good.
///
/// # Errors
/// A tag is not good any more, or is not the one that was added: against a rule. The keyring or a source repository cannot be
/// read: the infrastructure's fault.
pub(super) fn tags(runner: &Runner, task: &Task) -> Result<Facts, StageError> {
    let wanted: BTreeSet<(SourcePath, TagName)> = task.subtasks.iter().filter_map(source_and_tag).collect();
    let facts = runner
        .sources
        .facts(&wanted, Timestamp::now())
        .map_err(|error| StageError::infrastructure(error.to_string()))?;
    let problems: Vec<Problem> = task
        .subtasks
        .iter()
        .flat_map(|subtask| wrong_with(subtask, &facts))
        .collect();
    if problems.is_empty() {
        return Ok(facts);
    }
    Err(StageError::Failed {
        fault: Fault::Policy,
        problems,
    })
}

fn source_and_tag(subtask: &Subtask) -> Option<(SourcePath, TagName)> {
    match &subtask.action {
        Action::Build { source, tag, .. } => Some((source.clone(), tag.clone())),
        Action::Remove { .. } | Action::Rebuild { .. } | Action::Copy { .. } => None,
    }
}

/// What is wrong with a subtask's tag now.
fn wrong_with(subtask: &Subtask, facts: &Facts) -> Vec<Problem> {
    let Action::Build {
        source,
        tag,
        object,
        signer,
        ..
    } = &subtask.action
    else {
        return Vec::new();
    };
    let number = subtask.number;
    match facts.tags.get(&(source.clone(), tag.clone())) {
        Some(TagFacts::Good(good)) if good.object != *object => vec![
            Problem::new(
                "moved_tag",
                format!(
                    "{source} {tag} was {object} when it was added and is {} now",
                    good.object
                ),
            )
            .of(number)
            .hint("a tag never moves: make a new one with the next release"),
        ],
        Some(TagFacts::Good(good)) if good.signer.owner != signer.owner => vec![
            Problem::new(
                "not_yours",
                format!(
                    "the key of {source} {tag} was {}'s when it was added and is {}'s now",
                    signer.owner, good.signer.owner
                ),
            )
            .of(number),
        ],
        Some(TagFacts::Good(_)) => Vec::new(),
        Some(TagFacts::Refused(refusals)) => refusals
            .iter()
            .map(|refusal| Problem {
                code: refusal.code.clone(),
                subtask: Some(number),
                arch: None,
                message: format!("{source} {tag} is not good any more: {}", refusal.message),
                hint: refusal.hint.clone(),
            })
            .collect(),
        Some(TagFacts::Other) | None => vec![
            Problem::new(
                "not_built",
                format!("policy does not take {source} {tag} for a version to be built"),
            )
            .of(number),
        ],
    }
}
