//! Approving and disapproving subtasks.

use super::content::no_subtask;
use super::draft::Draft;
use super::{Facts, RepositoryFacts};
use crate::access::{AccessLists, Case, Ruling, Touch, Vote, VoteKind};
use crate::command::Which;
use crate::id::{PackageName, SubtaskNumber};
use crate::reason::Reason;
use crate::refusal::Refusal;
use crate::task::{State, Subtask, Task, TaskEvent};
use crate::world::World;

impl Draft<'_> {
    /// Casts votes; the subtasks that they are for.
    pub(super) fn vote(
        &mut self,
        kind: VoteKind,
        which: Which,
        reason: &Reason,
    ) -> Result<Vec<SubtaskNumber>, Refusal> {
        self.must_be_open()?;
        let caller = self.scene.actor.user.clone();
        let id = self.task.id;
        let mut chosen = self.chosen(which)?;
        if kind == VoteKind::Approve {
            let own = chosen
                .iter()
                .find(|subtask| subtask.by == caller)
                .map(|subtask| subtask.number);
            if let (Which::One(_), Some(number)) = (which, own) {
                return Err(Refusal::new(
                    "own_subtask",
                    format!("{caller} added subtask {number} of task {id}: nobody approves his own"),
                ));
            }
            chosen.retain(|subtask| subtask.by != caller);
            if chosen.is_empty() {
                return Err(Refusal::new(
                    "own_subtask",
                    format!("{caller} added every subtask of task {id}: nobody approves his own"),
                ));
            }
        }
        for subtask in &chosen {
            self.record(TaskEvent::Voted {
                kind,
                subtask: subtask.number,
                of: self.task.bound(kind, subtask),
                by: caller.clone(),
                reason: reason.clone(),
            });
        }
        self.permit();
        Ok(chosen.iter().map(|subtask| subtask.number).collect())
    }

    /// Takes votes back; the subtasks that they were for.
    pub(super) fn revoke(&mut self, kind: VoteKind, which: Which) -> Result<Vec<SubtaskNumber>, Refusal> {
        self.must_be_open()?;
        let caller = self.scene.actor.user.clone();
        let mut chosen = self.chosen(which)?;
        chosen.retain(|subtask| {
            let mut votes = self.task.votes_on(subtask);
            votes.any(|vote| vote.by == caller && vote.kind == kind)
        });
        if chosen.is_empty() {
            let word = if kind == VoteKind::Approve {
                "approval"
            } else {
                "disapproval"
            };
            let what = match which {
                Which::One(number) => format!("subtask {number} of task {}", self.task.id),
                Which::All => format!("task {}", self.task.id),
            };
            return Err(
                Refusal::new("no_vote", format!("there is no {word} of {what} by {caller}"))
                    .hint(format!("see the votes: task show {}", self.task.id)),
            );
        }
        for subtask in &chosen {
            self.record(TaskEvent::VoteRevoked {
                kind,
                subtask: subtask.number,
                by: caller.clone(),
            });
        }
        self.permit();
        Ok(chosen.iter().map(|subtask| subtask.number).collect())
    }

    /// That the task is as it was shown with this digest.
    pub(super) fn must_be_of(&self, digest: &str) -> Result<(), Refusal> {
        let now = self.task.digest();
        if now.as_str().starts_with(digest) {
            return Ok(());
        }
        let id = self.task.id;
        Err(Refusal::new(
            "changed",
            format!("task {id} has changed: its digest is {} now, not {digest}", now.short()),
        )
        .hint(format!("look at it again: task show {id}")))
    }

    fn chosen(&self, which: Which) -> Result<Vec<Subtask>, Refusal> {
        let id = self.task.id;
        match which {
            Which::One(number) => match self.task.subtask(number) {
                Some(subtask) => Ok(vec![subtask.clone()]),
                None => Err(no_subtask(id, number)),
            },
            Which::All if self.task.subtasks.is_empty() => {
                Err(Refusal::new("empty_task", format!("task {id} has no subtasks")))
            }
            Which::All => Ok(self.task.subtasks.clone()),
        }
    }

    /// Where only access was missing, and the votes give it now, the task goes on without being built again.
    fn permit(&mut self) {
        let State::Eperm { denied, .. } = &self.task.state else {
            return;
        };
        let suffices = denied.iter().all(|denied| {
            self.task.subtask(denied.subtask).is_some_and(|subtask| {
                let case = (&self.task, subtask, &denied.package, denied.touch);
                rule(self.scene.world, self.scene.facts, case).is_allowed()
            })
        });
        if suffices {
            self.record(TaskEvent::Permitted);
        }
    }
}

/// May the person answerable for a subtask do this to a package, as lists and votes are now?
pub(super) fn rule(
    world: &World,
    facts: &Facts,
    (task, subtask, package, touch): (&Task, &Subtask, &PackageName, Touch),
) -> Ruling {
    let votes: Vec<Vote> = task
        .votes_on(subtask)
        .map(|vote| Vote {
            by: vote.by.clone(),
            kind: vote.kind,
        })
        .collect();
    let (no_lists, no_facts) = (AccessLists::default(), RepositoryFacts::default());
    let settings = facts.repositories.get(&task.repository).unwrap_or(&no_facts);
    Case {
        lists: world.access(&task.repository).unwrap_or(&no_lists),
        package,
        touch,
        author: &subtask.by,
        votes: &votes,
        superusers: &facts.superusers,
        deny_unlisted: settings.deny_unlisted,
        required: &settings.required_approvals,
    }
    .rule()
}
