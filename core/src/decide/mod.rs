//! Decides what a person's command or push leads to: events and an answer, or a refusal. Pure.
//!
//! The caller asks [`needs`] which tags have to be judged, finds that out, and calls [`decide`] or [`decide_push`]. Whoever
//! stores the events stores all of one decision at once, with the answer, or none.
//!
//! Flow: command → [`needs`] → facts → a draft of the task, on which every event is made true at once → events, reply.

mod content;
mod device;
mod draft;
mod early;
mod facts;
mod job;
mod lists;
mod push;
mod read;
pub mod rollout;
mod run;
mod votes;

#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod town;

use std::collections::BTreeSet;

use jiff::Timestamp;

use self::draft::{Draft, Scene};
use self::read::LsFilter;
use self::run::{Built, RunAsk};
use crate::access::{Ruling, Touch, VoteKind};
use crate::command::{Addition, Command, DepsChange, DeviceCommand, Place, Switch, TaskCommand};
use crate::event::Event;
use crate::id::{DeviceName, PackageName, SourcePath, SubtaskNumber, TagName};
use crate::refusal::Refusal;
use crate::reply::task::deps;
use crate::reply::{Body, Reply};
use crate::task::{Action, Mode, OnFailure, Subtask, Task};
use crate::world::World;

pub use self::facts::{Actor, DeviceFacts, Facts, GoodTag, LabFacts, Limits, NightlyFacts, RepositoryFacts, TagFacts};
pub use self::push::decide_push;
pub use self::read::{LogFilter, has_ended, log_after, names_request, recalls};

/// What follows from a command.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// What becomes true. None for a command that reads, that is dry, or that changes nothing.
    pub events: Vec<Event>,
    /// What is answered.
    pub reply: Reply,
}

/// The tags that have to be judged before a command can be decided.
pub fn needs(world: &World, actor: &Actor, command: &Command) -> BTreeSet<(SourcePath, TagName)> {
    match command {
        Command::Build(build) => build.resolved(&actor.user).into_iter().collect(),
        Command::Task(TaskCommand::Add {
            what: Addition::Repo { source, tag },
            ..
        }) => BTreeSet::from([(source.resolve(&actor.user), tag.clone())]),
        Command::Task(TaskCommand::Run { id, .. }) => {
            let task = id.map_or_else(|| world.newest_of(&actor.user), |id| world.task(id));
            task.map(needs_of_run).unwrap_or_default()
        }
        Command::Task(_)
        | Command::Job(_)
        | Command::Device(_)
        | Command::Acl(_)
        | Command::Check(_)
        | Command::InitRepo(_)
        | Command::Pushers(_) => BTreeSet::new(),
    }
}

/// Among so many flashes the last rollback of a device is looked for.
const ROLLBACKS: u32 = 20;

/// The device whose flashes have to be looked up before a command can be decided, and how many of them, the newest.
pub fn needs_flashes(command: &Command) -> Option<(&DeviceName, u32)> {
    match command {
        Command::Device(DeviceCommand::History { name, limit, .. }) => Some((name, *limit)),
        Command::Device(DeviceCommand::Show { name, .. }) => Some((name, 5)),
        Command::Device(DeviceCommand::Why { name: Some(name), .. }) => Some((name, ROLLBACKS)),
        Command::Device(_)
        | Command::Build(_)
        | Command::Task(_)
        | Command::Job(_)
        | Command::Acl(_)
        | Command::Check(_)
        | Command::InitRepo(_)
        | Command::Pushers(_) => None,
    }
}

/// The tags that have to be judged before a push can be decided: the one pushed, and those of the task that it extends.
pub fn needs_of_push(world: &World, pushed: &crate::push::TagPushed) -> BTreeSet<(SourcePath, TagName)> {
    let mut wanted = pushed
        .options
        .task
        .and_then(|id| world.task(id))
        .map(needs_of_run)
        .unwrap_or_default();
    wanted.insert((pushed.source.clone(), pushed.tag.clone()));
    wanted
}

fn needs_of_run(task: &Task) -> BTreeSet<(SourcePath, TagName)> {
    let source_and_name = |subtask: &Subtask| match &subtask.action {
        Action::Build { source, tag, .. } => Some((source.clone(), tag.clone())),
        Action::Remove { .. } | Action::Rebuild { .. } | Action::Copy { .. } => None,
    };
    task.subtasks.iter().filter_map(source_and_name).collect()
}

/// May the person answerable for a subtask do this to a package, as lists and votes are now?
pub fn ruling(
    world: &World,
    facts: &Facts,
    task: &Task,
    subtask: &Subtask,
    package: &PackageName,
    touch: Touch,
) -> Ruling {
    votes::rule(world, facts, (task, subtask, package, touch))
}

/// Decides what a command leads to.
///
/// # Errors
/// Why it is refused. Then nothing changes.
pub fn decide(
    world: &World,
    actor: &Actor,
    command: &Command,
    facts: &Facts,
    now: Timestamp,
) -> Result<Decision, Refusal> {
    let scene = Scene {
        world,
        actor,
        facts,
        now,
    };
    let mut decision = scene.decide(command)?;
    decision.reply.json = command.json();
    if command.dry_run() {
        let plan = decision.events.iter().map(plan_line).collect();
        decision.reply.body = Body::Plan { would: plan };
        decision.reply.notes.push("dry run: nothing was changed".to_owned());
        decision.events.clear();
    }
    Ok(decision)
}

/// An event that would come, in one line.
fn plan_line(event: &Event) -> String {
    match event {
        Event::Task { id, event } => format!("task {id}: {}", crate::reply::log::told(event)),
        Event::Access(change) => crate::reply::access::told(change),
        Event::Repository { repository, event } => format!("{repository}: {event}"),
        Event::Job { id, event } => format!("job {id}: {}", crate::reply::job::told(event)),
        Event::Device { name, event } => format!("device {name}: {}", crate::reply::device::told(event)),
        Event::Nightly { name, event } => format!("nightly {name}: {}", crate::reply::nightly::told(event)),
        Event::Answered(answered) => format!("request {} is answered", answered.request),
        Event::TagTaken { pushed, .. } => format!("{} {} is taken", pushed.source, pushed.tag),
    }
}

fn numbers(numbers: &[SubtaskNumber]) -> String {
    let list: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    let word = if numbers.len() == 1 { "subtask" } else { "subtasks" };
    format!("{word} {}", list.join(", "))
}

impl Scene<'_> {
    fn decide(self, command: &Command) -> Result<Decision, Refusal> {
        match command {
            Command::Task(task) => self.task(task),
            Command::Job(job) => self.job(job),
            Command::Device(device) => self.device(device),
            Command::Build(build) => Ok(match self.build(build)? {
                Built::New(mut draft) => {
                    let (id, repository) = (draft.task.id, draft.task.repository.clone());
                    let all: Vec<SubtaskNumber> = draft.task.subtasks.iter().map(|subtask| subtask.number).collect();
                    draft.notes.insert(
                        0,
                        format!(
                            "task {id} for {repository}: {}; follow it: task why {id}",
                            numbers(&all)
                        ),
                    );
                    draft.decided(Body::Made { task: id })
                }
                Built::Already(task) => Decision {
                    events: Vec::new(),
                    reply: Reply {
                        task: Some(task.id),
                        body: Body::Made { task: task.id },
                        notes: vec![format!("already task {}, {}", task.id, self.world.state_name(task))],
                        ..Reply::default()
                    },
                },
            }),
            Command::Acl(acl) => {
                let (events, view) = self.acl(acl)?;
                let body = Body::Access(view);
                Ok(Decision {
                    events,
                    reply: Reply {
                        body,
                        ..Reply::default()
                    },
                })
            }
            Command::Check(_) | Command::InitRepo(_) | Command::Pushers(_) => {
                debug_assert_eq!(command.place(), Place::Door);
                Err(Refusal::new(
                    "not_here",
                    "source repositories are git's: this command is carried out at the ssh door",
                )
                .hint("ssh to the server as the git user with the same words"))
            }
        }
    }

    fn task(self, command: &TaskCommand) -> Result<Decision, Refusal> {
        match command {
            TaskCommand::New { repository, .. } => {
                let mut draft = self.begin(repository.as_ref())?;
                let id = draft.task.id;
                draft.notes.push(format!("task {id} for {}", draft.task.repository));
                Ok(draft.decided(Body::Made { task: id }))
            }
            TaskCommand::Add { id, what, .. } => {
                let mut draft = self.open(*id)?;
                let added = draft.add(what)?;
                let lines = added
                    .iter()
                    .filter_map(|number| draft.task.subtask(*number))
                    .map(|subtask| {
                        let what = crate::reply::task::what_it_does(&subtask.action);
                        format!("task {}: subtask {}: {what}", draft.task.id, subtask.number)
                    });
                let done = lines.collect();
                Ok(draft.done(done))
            }
            TaskCommand::Delsub { id, number, .. } => {
                let mut draft = self.open(*id)?;
                draft.delsub(*number)?;
                let line = format!("task {}: subtask {number} is taken out", draft.task.id);
                Ok(draft.done(vec![line]))
            }
            TaskCommand::Show { id, .. } => self.show(id.as_ref()).map(read_only),
            TaskCommand::Ls {
                state,
                user,
                repository,
                ..
            } => {
                let (user, repository) = (user.as_ref(), repository.as_ref());
                self.ls(&LsFilter {
                    states: state,
                    user,
                    repository,
                })
                .map(read_only)
            }
            TaskCommand::Run {
                id,
                reason,
                test_only,
                fail_late,
                ..
            } => {
                let mut draft = self.open(*id)?;
                draft.run(&RunAsk {
                    reason: reason.as_ref(),
                    mode: if *test_only { Mode::TestOnly } else { Mode::Commit },
                    on_failure: if *fail_late { OnFailure::Late } else { OnFailure::Early },
                })?;
                let line = format!("task {}: {}", draft.task.id, self.world.state_name(&draft.task));
                Ok(draft.done(vec![line]))
            }
            TaskCommand::Share { id, switch, .. } => {
                let mut draft = self.open(*id)?;
                let new = draft.share(*switch)?;
                let on = switch.unwrap_or(Switch::On) == Switch::On;
                let line = format!(
                    "task {} is {}{}shared",
                    draft.task.id,
                    if new { "" } else { "already " },
                    if on { "" } else { "not " }
                );
                Ok(draft.done(vec![line]))
            }
            TaskCommand::Deps {
                id,
                change: DepsChange::Show,
                ..
            } => {
                let task = self.meant(*id)?;
                let deps = deps(self.world, task);
                let notes = if deps.is_empty() {
                    vec![format!("task {} depends on no task", task.id)]
                } else {
                    Vec::new()
                };
                Ok(read_only(Reply {
                    task: Some(task.id),
                    body: Body::Deps { task: task.id, deps },
                    notes,
                    ..Reply::default()
                }))
            }
            TaskCommand::Deps { id, change, .. } => {
                let mut draft = self.open(*id)?;
                if !draft.change_deps(change)? {
                    draft.notes.push("nothing changed".to_owned());
                }
                let deps: Vec<String> = draft.task.deps.iter().map(ToString::to_string).collect();
                let line = if deps.is_empty() {
                    format!("task {} depends on no task", draft.task.id)
                } else {
                    format!("task {} depends on {}", draft.task.id, deps.join(", "))
                };
                Ok(draft.done(vec![line]))
            }
            TaskCommand::Approve {
                id,
                which,
                reason,
                revoke,
                digest,
                ..
            } => {
                let mut draft = self.open(Some(*id))?;
                if let Some(digest) = digest {
                    draft.must_be_of(digest.as_str())?;
                }
                let voted = draft.vote_or_revoke(VoteKind::Approve, *which, reason.as_ref(), *revoke)?;
                let word = if *revoke { "approval taken back" } else { "approved" };
                let line = format!("task {id}: {} {word}", numbers(&voted));
                let state = self.world.state_name(&draft.task);
                Ok(draft.done(vec![line, format!("task {id} is {state}")]))
            }
            TaskCommand::Disapprove {
                id,
                which,
                reason,
                revoke,
                ..
            } => {
                let mut draft = self.open(Some(*id))?;
                let voted = draft.vote_or_revoke(VoteKind::Disapprove, *which, reason.as_ref(), *revoke)?;
                let word = if *revoke {
                    "disapproval taken back"
                } else {
                    "disapproved"
                };
                let line = format!("task {id}: {} {word}", numbers(&voted));
                let state = self.world.state_name(&draft.task);
                Ok(draft.done(vec![line, format!("task {id} is {state}")]))
            }
            TaskCommand::Abort { id, .. } => {
                let mut draft = self.open(Some(*id))?;
                draft.abort()?;
                Ok(draft.done(vec![format!("task {id} is aborted")]))
            }
            TaskCommand::Rm { id, .. } => {
                let mut draft = self.open(Some(*id))?;
                draft.remove()?;
                Ok(draft.done(vec![format!("task {id} is removed")]))
            }
            TaskCommand::Why { id, .. } => self.why(id.as_ref()).map(read_only),
            TaskCommand::Log {
                id,
                follow,
                stage,
                arch,
                ..
            } => {
                let filter = LogFilter {
                    stage: *stage,
                    arch: arch.as_ref(),
                };
                self.log(id.as_ref(), *follow, filter).map(read_only)
            }
            TaskCommand::Wait { id, .. } => self.wait(id.as_ref()).map(read_only),
        }
    }
}

fn read_only(reply: Reply) -> Decision {
    Decision {
        events: Vec::new(),
        reply,
    }
}

impl Draft<'_> {
    fn vote_or_revoke(
        &mut self,
        kind: VoteKind,
        which: crate::command::Which,
        reason: Option<&crate::reason::Reason>,
        revoke: bool,
    ) -> Result<Vec<SubtaskNumber>, Refusal> {
        match reason {
            _ if revoke => self.revoke(kind, which),
            Some(reason) => self.vote(kind, which, reason),
            None => Err(Refusal::new("reason_needed", "a vote needs a reason").hint("-m 'REASON'")),
        }
    }

    fn done(self, done: Vec<String>) -> Decision {
        let task = Some(self.task.id);
        self.decided(Body::Done { task, done })
    }

    fn decided(self, body: Body) -> Decision {
        Decision {
            reply: Reply {
                task: Some(self.task.id),
                body,
                notes: self.notes,
                ..Reply::default()
            },
            events: self.events,
        }
    }
}
