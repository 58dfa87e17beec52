//! A task: an ordered list of subtasks that land together or not at all.
//!
//! [`Task`] is the aggregate; [`Task::apply`] folds its events. Its [`State`] is a machine of its own, [`state::step`]:
//! total, without panics. What may be asked of a task, and by whom, is decided elsewhere; here is only what is true after
//! each event.

pub mod action;
pub mod digest;
pub mod event;
pub mod progress;
pub mod run;
pub mod stage;
pub mod state;

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use action::{Action, SignedBy, Subtask};
pub use digest::Digest;
pub use event::TaskEvent;
pub use progress::{
    ArchOutcome, Archive, Counts, Note, PassedStage, PlanSummary, PlannedChange, Progress, SubtaskProgress, UnderWay,
};
pub use run::{Denied, Failure, Fault, Mode, OnFailure, Outcome, Run};
pub use stage::{Phase, Stage, StateName};
pub use state::{Effect, State, step};

use crate::access::VoteKind;
use crate::id::{RepositoryName, SubtaskNumber, TaskId, UserName};
use crate::reason::Reason;

/// One task, as its events have made it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// Its number.
    pub id: TaskId,
    /// The repository that it is for.
    pub repository: RepositoryName,
    /// Who made it.
    pub owner: UserName,
    /// When it was made.
    pub created: Timestamp,
    /// Whether others may add their tags.
    pub shared: bool,
    /// What it does, in this order. Numbers never come again.
    pub subtasks: Vec<Subtask>,
    /// The number that the next subtask gets.
    pub next_subtask: SubtaskNumber,
    /// The tasks that have to land before.
    pub deps: BTreeSet<TaskId>,
    /// What people think of its subtasks, one vote a person and subtask.
    pub votes: Vec<CastVote>,
    /// How often its content has changed: no two contents of one task have one digest.
    pub version: u32,
    /// How often somebody asked for a run.
    pub tries: u32,
    /// Where it stands.
    pub state: State,
    /// Since when.
    pub since: Timestamp,
    /// How far the stages of its last run have come; nothing where its content has changed since.
    pub progress: Option<Box<Progress>>,
    /// How many events made it.
    pub events: usize,
    /// What happened, oldest first: the last of its events. A stored world keeps none of it, since the journal has it; see
    /// [`World::recall`](crate::world::World::recall).
    #[serde(skip)]
    pub history: Vec<(Timestamp, TaskEvent)>,
}

/// A vote on one subtask, bound to what was voted on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CastVote {
    /// The subtask.
    pub subtask: SubtaskNumber,
    /// For or against.
    pub kind: VoteKind,
    /// Who.
    pub by: UserName,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: Reason,
    /// For an approval the digest of the task, for a disapproval that of the subtask's action.
    pub of: Digest,
}

impl Task {
    /// A new, empty task.
    pub fn new(id: TaskId, repository: RepositoryName, owner: UserName, now: Timestamp) -> Self {
        Self {
            id,
            repository,
            owner,
            created: now,
            shared: false,
            subtasks: Vec::new(),
            next_subtask: SubtaskNumber(1),
            deps: BTreeSet::new(),
            votes: Vec::new(),
            version: 0,
            tries: 0,
            state: State::New,
            since: now,
            progress: None,
            events: 0,
            history: Vec::new(),
        }
    }

    /// One subtask by its number.
    pub fn subtask(&self, number: SubtaskNumber) -> Option<&Subtask> {
        self.subtasks.iter().find(|subtask| subtask.number == number)
    }

    /// The digest of all that an approval is given for.
    pub fn digest(&self) -> Digest {
        Digest::of_task(self)
    }

    /// Makes true what an event says. A landed or removed task stays as it is, whatever comes.
    pub fn apply(&mut self, event: &TaskEvent, now: Timestamp) -> Vec<Effect> {
        if self.state.is_final() {
            return Vec::new();
        }
        // No decision makes such an event; if one is there all the same, what runs stays what was started.
        if self.state.is_running() && event.changes_content() {
            return Vec::new();
        }
        let (state, effects) = step(&self.state, event, now);
        self.follow(event, &state, now);
        if state != self.state {
            self.state = state;
            self.since = now;
        }
        match event {
            TaskEvent::SubtaskAdded { number, by, action } => {
                self.subtasks.push(Subtask {
                    number: *number,
                    by: by.clone(),
                    at: now,
                    action: action.clone(),
                });
                self.next_subtask = SubtaskNumber(self.next_subtask.0.max(number.0.saturating_add(1)));
                self.changed();
            }
            TaskEvent::SubtaskRemoved { number, .. } => {
                self.subtasks.retain(|subtask| subtask.number != *number);
                self.changed();
            }
            TaskEvent::DepsChanged { deps, .. } => {
                self.deps.clone_from(deps);
                self.changed();
            }
            TaskEvent::Shared { on, .. } => self.shared = *on,
            TaskEvent::Voted {
                kind,
                subtask,
                of,
                by,
                reason,
            } if self.subtask(*subtask).is_some() => {
                self.forget_votes(*subtask, by);
                self.votes.push(CastVote {
                    subtask: *subtask,
                    kind: *kind,
                    by: by.clone(),
                    at: now,
                    reason: reason.clone(),
                    of: of.clone(),
                });
            }
            TaskEvent::VoteRevoked { subtask, by, .. } => self.forget_votes(*subtask, by),
            TaskEvent::RunAsked { run } => self.tries = self.tries.max(run.try_number),
            TaskEvent::Created { .. }
            | TaskEvent::Voted { .. }
            | TaskEvent::Permitted
            | TaskEvent::Aborted { .. }
            | TaskEvent::Removed { .. }
            | TaskEvent::BuildStarted { .. }
            | TaskEvent::StageStarted { .. }
            | TaskEvent::StageFinished { .. }
            | TaskEvent::Archived { .. }
            | TaskEvent::Built { .. }
            | TaskEvent::Planned { .. }
            | TaskEvent::Noted { .. }
            | TaskEvent::SubtaskFailed { .. }
            | TaskEvent::Overtaken { .. }
            | TaskEvent::RunEnded { .. }
            | TaskEvent::CommitStarted { .. }
            | TaskEvent::CommitFailed { .. }
            | TaskEvent::Landed { .. } => {}
        }
        self.events += 1;
        self.history.push((now, event.clone()));
        effects
    }

    /// Keeps what the stages of the last run found; `next` is the state after the event.
    fn follow(&mut self, event: &TaskEvent, next: &State, now: Timestamp) {
        if let TaskEvent::BuildStarted {
            try_number,
            iteration,
            base,
        } = event
        {
            // One that does not fit changes nothing.
            if matches!(next, State::Building { run, .. } if run.try_number == *try_number) {
                self.progress = Some(Box::new(Progress::begin(*try_number, *iteration, *base, now)));
            }
        } else if let State::Building { run, .. } = &self.state
            && event.try_number().is_none_or(|number| number == run.try_number)
            && let Some(progress) = &mut self.progress
        {
            progress.apply(event, now);
        }
    }

    /// The content is another one: every approval is void. A disapproval is bound to what the subtask does, so that it
    /// neither goes nor comes back by taking the subtask out and adding it again.
    fn changed(&mut self) {
        self.version = self.version.saturating_add(1);
        self.progress = None;
        self.votes.retain(|vote| vote.kind == VoteKind::Disapprove);
    }

    /// Whether a vote holds for a subtask as the task is now.
    pub fn holds(&self, vote: &CastVote, subtask: &Subtask) -> bool {
        match vote.kind {
            VoteKind::Approve => vote.subtask == subtask.number && vote.of == self.digest(),
            VoteKind::Disapprove => vote.of == Digest::of_action(&subtask.action),
        }
    }

    /// The votes that hold for a subtask.
    pub fn votes_on<'a>(&'a self, subtask: &'a Subtask) -> impl Iterator<Item = &'a CastVote> {
        self.votes.iter().filter(move |vote| self.holds(vote, subtask))
    }

    /// What a vote on a subtask is bound to.
    pub fn bound(&self, kind: VoteKind, subtask: &Subtask) -> Digest {
        match kind {
            VoteKind::Approve => self.digest(),
            VoteKind::Disapprove => Digest::of_action(&subtask.action),
        }
    }

    /// Takes back what a person thinks of a subtask.
    fn forget_votes(&mut self, number: SubtaskNumber, by: &UserName) {
        let Some(subtask) = self.subtask(number).cloned() else {
            return;
        };
        let votes = std::mem::take(&mut self.votes);
        self.votes = votes
            .into_iter()
            .filter(|vote| vote.by != *by || !self.holds(vote, &subtask))
            .collect();
    }
}

#[cfg(test)]
mod laws;
#[cfg(test)]
pub(crate) mod strategies;
