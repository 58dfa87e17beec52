//! What happens to a task.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Action, ArchOutcome, Archive, Digest, Failure, Note, Outcome, PlanSummary, Run, Stage};
use crate::access::VoteKind;
use crate::id::{ArchName, Generation, RepositoryName, SubtaskNumber, TaskId, UserName};
use crate::reason::Reason;

/// What happened to a task. Facts, in the past tense: nothing here can be refused any more.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum TaskEvent {
    /// Somebody made it.
    Created {
        /// The repository that it is for.
        repository: RepositoryName,
        /// Who.
        owner: UserName,
    },
    /// Somebody added a subtask.
    SubtaskAdded {
        /// Its number.
        number: SubtaskNumber,
        /// Who answers for it.
        by: UserName,
        /// What it does.
        #[serde(flatten)]
        action: Action,
    },
    /// Somebody took a subtask out.
    SubtaskRemoved {
        /// Its number.
        number: SubtaskNumber,
        /// Who.
        by: UserName,
    },
    /// Somebody let others add their tags, or no longer.
    Shared {
        /// Whether they may.
        on: bool,
        /// Who.
        by: UserName,
    },
    /// Somebody changed what has to land before.
    DepsChanged {
        /// All of it from now on.
        deps: BTreeSet<TaskId>,
        /// Who.
        by: UserName,
    },
    /// Somebody approved or disapproved a subtask.
    Voted {
        /// For or against.
        #[serde(rename = "vote")]
        kind: VoteKind,
        /// The subtask.
        subtask: SubtaskNumber,
        /// What the vote is bound to.
        of: Digest,
        /// Who.
        by: UserName,
        /// Why.
        reason: Reason,
    },
    /// Somebody took a vote back.
    VoteRevoked {
        /// For or against.
        #[serde(rename = "vote")]
        kind: VoteKind,
        /// The subtask.
        subtask: SubtaskNumber,
        /// Who.
        by: UserName,
    },
    /// Somebody asked for a run.
    RunAsked {
        /// What was asked for.
        run: Run,
    },
    /// Votes allow what the access check of its last run did not.
    Permitted,
    /// Somebody stopped it.
    Aborted {
        /// Who.
        by: UserName,
    },
    /// Somebody removed it.
    Removed {
        /// Who.
        by: UserName,
    },
    /// Its stages start.
    BuildStarted {
        /// The run.
        #[serde(rename = "try")]
        try_number: u32,
        /// Which automatic repetition of it, from 1 up.
        iteration: u32,
        /// The generation that it is built on.
        base: Generation,
    },
    /// A stage starts.
    StageStarted {
        /// The run.
        #[serde(rename = "try")]
        try_number: u32,
        /// The stage.
        stage: Stage,
        /// The architecture, where the stage has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        arch: Option<ArchName>,
    },
    /// A stage has passed.
    StageFinished {
        /// The run.
        #[serde(rename = "try")]
        try_number: u32,
        /// The stage.
        stage: Stage,
        /// The architecture, where the stage has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        arch: Option<ArchName>,
        /// How long it took, in milliseconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ms: Option<u64>,
    },
    /// What a subtask is built from is there.
    Archived {
        /// The run.
        #[serde(rename = "try")]
        try_number: u32,
        /// The subtask.
        subtask: SubtaskNumber,
        /// What it is built from.
        #[serde(flatten)]
        archive: Archive,
    },
    /// A subtask has a result on one architecture.
    Built {
        /// The run.
        #[serde(rename = "try")]
        try_number: u32,
        /// The subtask.
        subtask: SubtaskNumber,
        /// The architecture.
        arch: ArchName,
        /// The result.
        #[serde(flatten)]
        outcome: ArchOutcome,
    },
    /// It is known what it does to its repository.
    Planned {
        /// The run.
        #[serde(rename = "try")]
        try_number: u32,
        /// What.
        #[serde(flatten)]
        plan: PlanSummary,
    },
    /// A stage says something that fails nothing.
    Noted {
        /// The run.
        #[serde(rename = "try")]
        try_number: u32,
        /// What.
        #[serde(flatten)]
        note: Note,
    },
    /// Something failed and the stages go on, so that all failures are seen; the run fails in the end.
    SubtaskFailed {
        /// The run.
        #[serde(rename = "try")]
        try_number: u32,
        /// What failed.
        #[serde(flatten)]
        failure: Failure,
    },
    /// Its stages failed, but not on what it will land on: the base has moved, or tasks ahead of it may land yet. That says
    /// nothing about it: it waits in its old place and is tested again.
    Overtaken {
        /// The run.
        #[serde(rename = "try")]
        try_number: u32,
        /// What failed.
        #[serde(flatten)]
        failure: Failure,
    },
    /// Its stages have an end. A failure of the infrastructure says when it is tried again.
    RunEnded {
        /// The run.
        #[serde(rename = "try")]
        try_number: u32,
        /// How it ended.
        #[serde(flatten)]
        outcome: Outcome,
        /// Not before this moment is it tried again, where the infrastructure failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        not_before: Option<Timestamp>,
    },
    /// The commit begins.
    CommitStarted {
        /// The run.
        #[serde(rename = "try")]
        try_number: u32,
        /// The generation to be.
        generation: Generation,
    },
    /// The commit did not happen; it waits for another.
    CommitFailed {
        /// The run.
        #[serde(rename = "try")]
        try_number: u32,
        /// One line for people.
        message: String,
        /// Not before this moment is it tried again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        not_before: Option<Timestamp>,
    },
    /// It has landed.
    Landed {
        /// The run.
        #[serde(rename = "try")]
        try_number: u32,
        /// The generation that it made.
        generation: Generation,
    },
}

impl TaskEvent {
    /// The run whose stages say it; nothing where it is no stage that says it.
    pub fn try_number(&self) -> Option<u32> {
        match self {
            Self::BuildStarted { try_number, .. }
            | Self::StageStarted { try_number, .. }
            | Self::StageFinished { try_number, .. }
            | Self::Archived { try_number, .. }
            | Self::Built { try_number, .. }
            | Self::Planned { try_number, .. }
            | Self::Noted { try_number, .. }
            | Self::SubtaskFailed { try_number, .. }
            | Self::Overtaken { try_number, .. }
            | Self::RunEnded { try_number, .. }
            | Self::CommitStarted { try_number, .. }
            | Self::CommitFailed { try_number, .. }
            | Self::Landed { try_number, .. } => Some(*try_number),
            Self::Created { .. }
            | Self::SubtaskAdded { .. }
            | Self::SubtaskRemoved { .. }
            | Self::Shared { .. }
            | Self::DepsChanged { .. }
            | Self::Voted { .. }
            | Self::VoteRevoked { .. }
            | Self::RunAsked { .. }
            | Self::Permitted
            | Self::Aborted { .. }
            | Self::Removed { .. } => None,
        }
    }

    /// Whether the task's content is another one after it: what was built and approved before is void.
    pub fn changes_content(&self) -> bool {
        matches!(
            self,
            Self::SubtaskAdded { .. } | Self::SubtaskRemoved { .. } | Self::DepsChanged { .. }
        )
    }
}
