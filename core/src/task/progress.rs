//! How far the stages of a task's last run have come, and what they found: what `task show` and `task why` tell, and what
//! the queue needs to know of it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Failure, Stage, TaskEvent};
use crate::id::{ArchName, Generation, SubtaskNumber};

/// The most notes that are kept of one run; the log has all of them.
const NOTES: usize = 200;

/// What is known of a task's last run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The run.
    #[serde(rename = "try")]
    pub try_number: u32,
    /// Which automatic repetition of it.
    pub iteration: u32,
    /// The generation that it is tested on.
    pub base: Generation,
    /// When it began.
    pub since: Timestamp,
    /// The stages under way.
    pub running: Vec<UnderWay>,
    /// The stages that passed, in the order in which they did.
    pub passed: Vec<PassedStage>,
    /// What each subtask has come to, one entry a subtask.
    pub subtasks: BTreeMap<SubtaskNumber, SubtaskProgress>,
    /// What it does to the repository.
    pub plan: Option<PlanSummary>,
    /// What its author should know.
    pub notes: Vec<Note>,
    /// What failed besides what ended the run.
    pub failures: Vec<Failure>,
}

/// A stage under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnderWay {
    /// Which.
    pub stage: Stage,
    /// The architecture, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arch: Option<ArchName>,
    /// Since when.
    pub since: Timestamp,
}

/// A stage that passed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassedStage {
    /// Which.
    pub stage: Stage,
    /// The architecture, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arch: Option<ArchName>,
    /// How long it took, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ms: Option<u64>,
}

/// What a subtask has come to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubtaskProgress {
    /// What it is built from, where it is built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive: Option<Archive>,
    /// What came of it on each architecture.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub arches: BTreeMap<ArchName, ArchOutcome>,
}

/// What a subtask is built from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Archive {
    /// The SHA-256 of `pkg.tar`, or of the source package that is built once more; 64 hexadecimal digits.
    pub sha256: String,
    /// The source package's name, where it is known before the build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
    /// Its epoch:version-release, as far as it is known before the build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evr: Option<String>,
}

/// What came of a subtask on one architecture.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "kebab-case")]
pub enum ArchOutcome {
    /// Packages.
    Built {
        /// The key of the build's result.
        key: String,
        /// Whether it was there already, so that nothing was built.
        reused: bool,
        /// The packages, as name-epoch:version-release.architecture, the source package first.
        packages: Vec<String>,
        /// Where the log is, relative to the directory of all tasks.
        log: String,
        /// How long it took, in milliseconds.
        ms: u64,
    },
    /// The package is not for this architecture.
    Excluded {
        /// What said so.
        why: String,
    },
    /// Packages of another repository.
    Copied {
        /// The packages, as above.
        packages: Vec<String>,
    },
}

/// What a task does to its repository, in short.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PlanSummary {
    /// What becomes of each source package.
    pub changes: Vec<PlannedChange>,
    /// How many packages come to each architecture and go from it; `source` stands for the source packages.
    pub counts: BTreeMap<String, Counts>,
    /// What its author should know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// What becomes of one source package.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PlannedChange {
    /// The subtask that causes it.
    pub subtask: SubtaskNumber,
    /// The source package.
    pub package: String,
    /// Its epoch:version-release now, where it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// The one that it gets, where it does not go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// How many packages come and go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Counts {
    /// How many come.
    pub added: usize,
    /// How many go.
    pub removed: usize,
}

/// What a stage says that fails nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Note {
    /// The stage.
    pub stage: Stage,
    /// The subtask, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subtask: Option<SubtaskNumber>,
    /// The architecture, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arch: Option<ArchName>,
    /// What, in a line.
    pub text: String,
}

impl Progress {
    /// A run that begins.
    pub fn begin(try_number: u32, iteration: u32, base: Generation, now: Timestamp) -> Self {
        Self {
            try_number,
            iteration,
            base,
            since: now,
            running: Vec::new(),
            passed: Vec::new(),
            subtasks: BTreeMap::new(),
            plan: None,
            notes: Vec::new(),
            failures: Vec::new(),
        }
    }

    /// Makes true what an event of this run says.
    pub(super) fn apply(&mut self, event: &TaskEvent, now: Timestamp) {
        match event {
            TaskEvent::StageStarted { stage, arch, .. } => self.running.push(UnderWay {
                stage: *stage,
                arch: arch.clone(),
                since: now,
            }),
            TaskEvent::StageFinished { stage, arch, ms, .. } => {
                self.running
                    .retain(|running| (running.stage, &running.arch) != (*stage, arch));
                self.passed.push(PassedStage {
                    stage: *stage,
                    arch: arch.clone(),
                    ms: *ms,
                });
            }
            TaskEvent::Archived { subtask, archive, .. } => {
                self.subtasks.entry(*subtask).or_default().archive = Some(archive.clone());
            }
            TaskEvent::Built {
                subtask, arch, outcome, ..
            } => {
                let subtask = self.subtasks.entry(*subtask).or_default();
                subtask.arches.insert(arch.clone(), outcome.clone());
            }
            TaskEvent::Planned { plan, .. } => self.plan = Some(plan.clone()),
            TaskEvent::Noted { note, .. } if self.notes.len() < NOTES => self.notes.push(note.clone()),
            TaskEvent::SubtaskFailed { failure, .. } => self.failures.push(failure.clone()),
            TaskEvent::RunEnded { .. } | TaskEvent::Overtaken { .. } | TaskEvent::Aborted { .. } => {
                self.running.clear();
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
            | TaskEvent::Removed { .. }
            | TaskEvent::BuildStarted { .. }
            | TaskEvent::Noted { .. }
            | TaskEvent::CommitStarted { .. }
            | TaskEvent::CommitFailed { .. }
            | TaskEvent::Landed { .. } => {}
        }
    }
}
