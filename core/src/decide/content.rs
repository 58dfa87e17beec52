//! What is in a task: making, adding, taking out, sharing, dependencies.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use super::draft::{Draft, Scene};
use super::{GoodTag, TagFacts};
use crate::command::{Addition, DepsChange, Switch};
use crate::id::{PackageName, SourcePath, SubtaskNumber, TagName, TaskId, UserName};
use crate::refusal::Refusal;
use crate::task::{Action, State, TaskEvent};

impl<'a> Scene<'a> {
    /// The verdict on a tag: good, or all reasons in one refusal.
    pub(super) fn good_tag(self, source: &SourcePath, tag: &TagName) -> Result<&'a GoodTag, Refusal> {
        match self.facts.tags.get(&(source.clone(), tag.clone())) {
            Some(TagFacts::Good(good)) => Ok(good),
            Some(TagFacts::Other) => Err(Refusal::new(
                "not_a_build_tag",
                format!("{source} {tag}: policy does not take it for a build tag"),
            )
            .hint("a build tag has a version and a release, as in 1.0-alt1")),
            Some(TagFacts::Refused(refusals)) => Err(joined(source, tag, refusals)),
            None => Err(Refusal::new(
                "not_judged",
                format!("{source} {tag}: this tag was not judged"),
            )),
        }
    }
}

/// All reasons against a tag as one refusal, with the first one's code.
fn joined(source: &SourcePath, tag: &TagName, refusals: &[Refusal]) -> Refusal {
    let messages: Vec<&str> = refusals.iter().map(|refusal| refusal.message.as_str()).collect();
    let mut hints: Vec<&str> = refusals.iter().filter_map(|refusal| refusal.hint.as_deref()).collect();
    hints.dedup();
    let code = refusals
        .first()
        .map_or("bad_tag".into(), |refusal| refusal.code.clone());
    Refusal {
        code,
        message: format!("{source} {tag}: {}", messages.join("; ")),
        hint: (!hints.is_empty()).then(|| hints.join("; ")),
    }
}

impl Draft<'_> {
    /// Adds what was asked for, in this order.
    pub(super) fn add(&mut self, what: &Addition) -> Result<Vec<SubtaskNumber>, Refusal> {
        match what {
            Addition::Repo { source, tag } => {
                let source = source.resolve(&self.scene.actor.user);
                Ok(vec![self.add_tag(&source, tag)?])
            }
            Addition::Del { packages } => self.add_all(packages, |package| Action::Remove { package }),
            Addition::Rebuild { packages } => self.add_all(packages, |package| Action::Rebuild { package }),
            Addition::Copy { packages, from } => {
                let from = self.scene.repository(Some(from))?;
                if from == self.task.repository {
                    return Err(Refusal::new(
                        "same_repository",
                        format!(
                            "task {} is for {from}: nothing is copied from a repository to itself",
                            self.task.id
                        ),
                    ));
                }
                self.add_all(packages, |package| Action::Copy {
                    package,
                    from: from.clone(),
                })
            }
        }
    }

    fn add_all(
        &mut self,
        packages: &[PackageName],
        action: impl Fn(PackageName) -> Action,
    ) -> Result<Vec<SubtaskNumber>, Refusal> {
        let caller = &self.scene.actor.user;
        packages
            .iter()
            .map(|package| self.add_action(action(package.clone()), caller))
            .collect()
    }

    /// Adds a tag that is to be built.
    pub(super) fn add_tag(&mut self, source: &SourcePath, tag: &TagName) -> Result<SubtaskNumber, Refusal> {
        let good = self.scene.good_tag(source, tag)?;
        let caller = &self.scene.actor.user;
        let signer = &good.signer.owner;
        let bots = &self.scene.facts.bots;
        // A program's tag is answered for by the person who adds it, a person's tag by that person.
        let by = if bots.contains(caller) { signer } else { caller };
        if signer != by && !bots.contains(signer) {
            return Err(Refusal::new(
                "not_yours",
                format!("{source} {tag} is signed by {signer}, not by {caller}"),
            )
            .hint(format!(
                "{signer} can add it: let others add their tags with task share {}",
                self.task.id
            )));
        }
        if let Some(known) = self.scene.world.tag(source, tag)
            && known.object != good.object
        {
            return Err(Refusal::new(
                "moved_tag",
                format!(
                    "{source} {tag} was {} when it was pushed and is {} now: a tag never moves",
                    known.object, good.object
                ),
            )
            .hint("sign another tag with a higher release"));
        }
        let package = match &good.package {
            Some(package) => package.clone(),
            None => source
                .name()
                .parse()
                .map_err(|error: crate::id::BadId| Refusal::new("bad_name", error.to_string()))?,
        };
        self.version_may_come(self.task.next_subtask, &package, good)?;
        let action = Action::Build {
            source: source.clone(),
            tag: tag.clone(),
            object: good.object.clone(),
            commit: good.commit.clone(),
            signer: good.signer.clone(),
            package,
        };
        self.add_action(action, by)
    }

    fn add_action(&mut self, action: Action, by: &UserName) -> Result<SubtaskNumber, Refusal> {
        let (id, caller) = (self.task.id, &self.scene.actor.user);
        if self.task.owner != *caller {
            let owner = &self.task.owner;
            if !self.task.shared {
                return Err(
                    Refusal::new("not_shared", format!("task {id} is {owner}'s and is not shared"))
                        .hint(format!("{owner} can share it: task share {id}")),
                );
            }
            if !matches!(action, Action::Build { .. }) {
                return Err(Refusal::new(
                    "not_owner",
                    format!("task {id} is {owner}'s: others may add their own tags to it, nothing else"),
                ));
            }
        }
        self.must_be_still("changed")?;
        let most = self.scene.facts.limits.subtasks_per_task;
        if self.task.subtasks.len() >= most {
            return Err(Refusal::new(
                "too_many_subtasks",
                format!(
                    "task {id} has {} subtasks; at most {most} are allowed",
                    self.task.subtasks.len()
                ),
            ));
        }
        for subtask in &self.task.subtasks {
            let number = subtask.number;
            if let (
                Action::Build {
                    source, tag, object, ..
                },
                Action::Build {
                    source: s,
                    tag: t,
                    object: o,
                    ..
                },
            ) = (&action, &subtask.action)
                && ((source, tag) == (s, t) || object == o)
            {
                return Err(Refusal::new(
                    "same_tag",
                    format!("{source} {tag} is in task {id} already, as subtask {number}"),
                ));
            }
            if subtask.action.package() == action.package() {
                return Err(Refusal::new(
                    "same_package",
                    format!(
                        "subtask {number} of task {id} is about package {} already",
                        action.package()
                    ),
                )
                .hint(format!("take that one out first: task delsub {id} {number}")));
            }
        }
        let number = self.task.next_subtask;
        let by = by.clone();
        self.record(TaskEvent::SubtaskAdded { number, by, action });
        Ok(number)
    }

    /// Takes a subtask out.
    pub(super) fn delsub(&mut self, number: SubtaskNumber) -> Result<(), Refusal> {
        let id = self.task.id;
        let Some(subtask) = self.task.subtask(number) else {
            return Err(no_subtask(id, number));
        };
        if subtask.by != self.scene.actor.user {
            self.must_own("take out a subtask that somebody else added")?;
        }
        self.must_be_still("changed")?;
        let by = self.scene.actor.user.clone();
        self.record(TaskEvent::SubtaskRemoved { number, by });
        Ok(())
    }

    /// Lets others add their tags, or no longer; whether that is new.
    pub(super) fn share(&mut self, switch: Option<Switch>) -> Result<bool, Refusal> {
        self.must_own_or_rule("share it")?;
        self.must_be_open()?;
        let on = switch.unwrap_or(Switch::On) == Switch::On;
        if self.task.shared == on {
            return Ok(false);
        }
        let by = self.scene.actor.user.clone();
        self.record(TaskEvent::Shared { on, by });
        Ok(true)
    }

    /// Changes what has to land before; whether that is new.
    pub(super) fn change_deps(&mut self, change: &DepsChange) -> Result<bool, Refusal> {
        self.must_own("change what it depends on")?;
        self.must_be_still("changed")?;
        let id = self.task.id;
        let old = &self.task.deps;
        let deps: BTreeSet<TaskId> = match change {
            DepsChange::Show => old.clone(),
            DepsChange::Add { tasks } => old.iter().chain(tasks).copied().collect(),
            DepsChange::Set { tasks } => tasks.iter().copied().collect(),
            DepsChange::Clear => BTreeSet::new(),
            DepsChange::Del { tasks } => {
                if let Some(other) = tasks.iter().find(|other| !old.contains(other)) {
                    return Err(
                        Refusal::new("not_a_dependency", format!("task {id} does not depend on {other}"))
                            .hint(format!("see on what it does: task deps {id} show")),
                    );
                }
                old.iter().copied().filter(|other| !tasks.contains(other)).collect()
            }
        };
        for other in deps.difference(old) {
            self.may_depend_on(*other)?;
        }
        if deps == *old {
            return Ok(false);
        }
        let by = self.scene.actor.user.clone();
        self.record(TaskEvent::DepsChanged { deps, by });
        Ok(true)
    }

    fn may_depend_on(&self, other: TaskId) -> Result<(), Refusal> {
        let id = self.task.id;
        let world = self.scene.world;
        match world.task(other).map(|task| &task.state) {
            None => return Err(Refusal::new("no_task", format!("there is no task {other}"))),
            Some(State::Removed { .. }) => {
                return Err(Refusal::new(
                    "removed",
                    format!("task {other} was removed: it will never land"),
                ));
            }
            Some(
                State::New
                | State::Awaiting { .. }
                | State::Building { .. }
                | State::Tested { .. }
                | State::Failed { .. }
                | State::Eperm { .. }
                | State::Pending { .. }
                | State::Committing { .. }
                | State::Done { .. }
                | State::Aborted { .. },
            ) => {}
        }
        match self.chain_to_here(other) {
            None => Ok(()),
            Some(chain) => {
                let chain: Vec<String> = chain.iter().map(ToString::to_string).collect();
                let chain = chain.join(" -> ");
                let why = format!("they would wait for each other ({id} -> {chain})");
                Err(Refusal::new(
                    "cycle",
                    format!("task {id} cannot depend on {other}: {why}"),
                ))
            }
        }
    }

    /// The chain of tasks by which another one waits for this one, if it does. What has landed waits for nothing.
    fn chain_to_here(&self, other: TaskId) -> Option<Vec<TaskId>> {
        let (id, world) = (self.task.id, self.scene.world);
        let mut came_from = BTreeMap::from([(other, None)]);
        let mut ahead = vec![other];
        while let Some(last) = ahead.pop() {
            if last == id {
                let mut chain = vec![last];
                while let Some(Some(before)) = chain.last().and_then(|last| came_from.get(last)) {
                    chain.push(*before);
                }
                chain.reverse();
                return Some(chain);
            }
            let waiting = world.task(last).filter(|task| !task.state.is_final());
            for next in waiting.into_iter().flat_map(|task| &task.deps) {
                if let Entry::Vacant(vacant) = came_from.entry(*next) {
                    vacant.insert(Some(last));
                    ahead.push(*next);
                }
            }
        }
        None
    }

    /// Removes the task.
    pub(super) fn remove(&mut self) -> Result<(), Refusal> {
        self.must_own_or_rule("remove it")?;
        self.must_be_still("removed")?;
        let by = self.scene.actor.user.clone();
        let id = self.task.id;
        let mut waiting: Vec<TaskId> = self.scene.world.dependents(id).map(|task| task.id).collect();
        waiting.sort();
        let waiting: Vec<String> = waiting.iter().map(ToString::to_string).collect();
        if !waiting.is_empty() {
            self.notes.push(format!(
                "task {id} will never land now; waiting for it: {} (task deps N del {id})",
                waiting.join(", ")
            ));
        }
        self.record(TaskEvent::Removed { by });
        Ok(())
    }
}

pub(super) fn no_subtask(id: TaskId, number: SubtaskNumber) -> Refusal {
    Refusal::new("no_subtask", format!("task {id} has no subtask {number}"))
        .hint(format!("see which it has: task show {id}"))
}
