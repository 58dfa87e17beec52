//! How far a task's last run has come, for `task show`: what came of each subtask, the plan, the stages.

use jiff::Timestamp;

use super::log::{change_text, outcome_text, took};
use super::table::table;
use super::time::since_to_the_second;
use crate::id::{ArchName, SubtaskNumber};
use crate::task::{PlanSummary, Progress, Stage};

/// The most notes that are shown; the log has all.
const NOTES: usize = 12;

/// What a subtask has come to, one line an architecture: what came of it, or that it is being built or waits for that.
pub fn subtask_lines(
    progress: &Progress,
    subtask: SubtaskNumber,
    order: &[SubtaskNumber],
    now: Timestamp,
) -> Vec<String> {
    let known = progress.subtasks.get(&subtask);
    let outcomes = known.into_iter().flat_map(|known| &known.arches);
    let mut rows: Vec<[String; 2]> = outcomes
        .map(|(arch, outcome)| [arch.to_string(), outcome_text(outcome)])
        .collect();
    for running in progress.running.iter().filter(|running| running.stage == Stage::Build) {
        let Some(arch) = &running.arch else { continue };
        if known.is_some_and(|known| known.arches.contains_key(arch)) {
            continue;
        }
        let text = if first_without(progress, arch, order) == Some(subtask) {
            format!("building since {}", since_to_the_second(running.since, now))
        } else {
            "waits for those before it".to_owned()
        };
        rows.push([arch.to_string(), text]);
    }
    rows.sort();
    table(&rows).lines().map(str::to_owned).collect()
}

/// The first subtask that has no result on an architecture: the one that is being built.
fn first_without(progress: &Progress, arch: &ArchName, order: &[SubtaskNumber]) -> Option<SubtaskNumber> {
    let has_result = |number: &&SubtaskNumber| {
        let known = progress.subtasks.get(number);
        known.is_some_and(|known| known.arches.contains_key(arch))
    };
    order.iter().find(|number| !has_result(number)).copied()
}

/// What the task does to its repository.
pub fn plan_lines(plan: &PlanSummary) -> Vec<String> {
    let mut lines: Vec<String> = plan
        .changes
        .iter()
        .map(|change| format!("{} (subtask {})", change_text(change), change.subtask))
        .collect();
    let counts: Vec<String> = plan
        .counts
        .iter()
        .map(|(place, counts)| format!("{place} +{} -{}", counts.added, counts.removed))
        .collect();
    lines.push(format!("packages: {}", counts.join(", ")));
    lines.extend(plan.warnings.iter().map(|warning| format!("warning: {warning}")));
    lines
}

/// What its author should know.
pub fn note_lines(progress: &Progress) -> Vec<String> {
    let mut lines: Vec<String> = progress
        .notes
        .iter()
        .take(NOTES)
        .map(|note| {
            let subtask = note
                .subtask
                .map(|number| format!(", subtask {number}"))
                .unwrap_or_default();
            let arch = note.arch.as_ref().map(|arch| format!(" on {arch}")).unwrap_or_default();
            format!("{}{arch}{subtask}: {}", note.stage, note.text)
        })
        .collect();
    if progress.notes.len() > NOTES {
        lines.push(format!("and {} more: task log", progress.notes.len() - NOTES));
    }
    lines
}

/// How long each stage took, and which are under way.
pub fn stages_line(progress: &Progress, now: Timestamp) -> Option<String> {
    let place = |stage: Stage, arch: Option<&ArchName>| {
        arch.map_or_else(|| stage.to_string(), |arch| format!("{stage} on {arch}"))
    };
    let passed = progress.passed.iter().map(|passed| {
        let name = place(passed.stage, passed.arch.as_ref());
        passed
            .ms
            .map_or_else(|| name.clone(), |ms| format!("{name} {}", took(ms)))
    });
    let running = progress.running.iter().map(|running| {
        let name = place(running.stage, running.arch.as_ref());
        format!("{name} under way since {}", since_to_the_second(running.since, now))
    });
    let all: Vec<String> = passed.chain(running).collect();
    (!all.is_empty()).then(|| format!("stages: {}", all.join(", ")))
}
