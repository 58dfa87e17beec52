//! What a pushed tag leads to. That it came is on record also where it makes no subtask, with the reasons.

use super::draft::{Draft, Scene};
use super::run::RunAsk;
use super::{Actor, Decision, Facts, TagFacts};
use crate::event::{Event, Taken};
use crate::id::TaskId;
use crate::push::{BuildRequest, TagPushed};
use crate::refusal::Refusal;
use crate::reply::{Body, Reply};
use crate::task::{Mode, OnFailure};
use crate::world::World;

/// Decides what a pushed tag leads to.
///
/// * `-o build[=REPOSITORY]`, or a policy that builds every push: a new task with the tag, and it is run.
/// * `-o task=ID`: the tag is added to that task; with `-o build` or `-o test-only` the task is run as well.
/// * `-o test-only`: the run lands nothing.
///
/// A tag that is in a task already, as the same object, leads to nothing more; where the pusher has an unfinished task that
/// builds just this tag, as after `build`, it is that task.
pub fn decide_push(world: &World, pushed: &TagPushed, facts: &Facts, now: jiff::Timestamp) -> Decision {
    let actor = Actor {
        user: pushed.pusher.clone(),
        superuser: facts.superusers.contains(&pushed.pusher),
    };
    let scene = Scene {
        world,
        actor: &actor,
        facts,
        now,
    };
    if let Some(known) = world.tag(&pushed.source, &pushed.tag)
        && known.object == pushed.object
        && let Taken::Task { task } = known.taken
    {
        return answer(
            Vec::new(),
            Some(task),
            vec![format!("{} {} is in task {task} already", pushed.source, pushed.tag)],
            0,
        );
    }
    if !wants_build(pushed, facts) {
        return answer(vec![taken(pushed, Taken::Noted)], None, Vec::new(), 0);
    }
    match scene.take(pushed) {
        Ok(Placed {
            task,
            mut events,
            notes,
        }) => {
            events.push(taken(pushed, Taken::Task { task }));
            answer(events, Some(task), notes, 0)
        }
        Err(refusal) => {
            let mut notes = vec![format!("refused: {} [{}]", refusal.message, refusal.code)];
            notes.extend(refusal.hint.as_ref().map(|hint| format!("hint: {hint}")));
            let refusals = vec![refusal];
            answer(vec![taken(pushed, Taken::Refused { refusals })], None, notes, 1)
        }
    }
}

fn taken(pushed: &TagPushed, taken: Taken) -> Event {
    Event::TagTaken {
        pushed: pushed.clone(),
        taken,
    }
}

fn answer(events: Vec<Event>, task: Option<TaskId>, notes: Vec<String>, exit: u8) -> Decision {
    let body = task.map_or(Body::Nothing, |task| Body::Made { task });
    let reply = Reply {
        task,
        body,
        notes,
        exit,
        ..Reply::default()
    };
    Decision { events, reply }
}

/// Whether a build was asked for, by an option or by policy. Policy asks for none of a tag that is not for building.
fn wants_build(pushed: &TagPushed, facts: &Facts) -> bool {
    let verdict = facts.tags.get(&(pushed.source.clone(), pushed.tag.clone()));
    pushed.options.asks_for_build() || (facts.build_every_push && verdict != Some(&TagFacts::Other))
}

/// A tag that has its place in a task.
struct Placed {
    task: TaskId,
    events: Vec<Event>,
    notes: Vec<String>,
}

impl From<Draft<'_>> for Placed {
    fn from(draft: Draft<'_>) -> Self {
        Self {
            task: draft.task.id,
            events: draft.events,
            notes: draft.notes,
        }
    }
}

impl Scene<'_> {
    fn take(self, pushed: &TagPushed) -> Result<Placed, Refusal> {
        let TagPushed {
            source,
            tag,
            object,
            options,
            ..
        } = pushed;
        let named = match &options.build {
            Some(BuildRequest::Named(name)) => Some(self.repository(Some(name))?),
            Some(BuildRequest::Default) | None => None,
        };
        let mode = if options.test_only {
            Mode::TestOnly
        } else {
            Mode::Commit
        };
        let good = self.good_tag(source, tag)?;
        if good.object != *object {
            let message = format!("{source} {tag} was pushed as {object} and is {} now", good.object);
            return Err(Refusal::new("moved_tag", message));
        }
        let mut draft = if let Some(id) = options.task {
            let draft = self.open(Some(id))?;
            if let Some(named) = named.filter(|named| *named != draft.task.repository) {
                let message = format!("task {id} is for {}, not for {named}", draft.task.repository);
                return Err(Refusal::new("other_repository", message));
            }
            draft
        } else {
            let repository = self.repository(named.as_ref())?;
            let tags = [(source.clone(), tag.clone())];
            if let Some(task) = self.same_unfinished(&tags, &repository, mode)? {
                let notes = vec![format!("already task {}, {}", task.id, self.world.state_name(task))];
                return Ok(Placed {
                    task: task.id,
                    events: Vec::new(),
                    notes,
                });
            }
            self.begin(Some(&repository))?
        };
        let number = draft.add_tag(source, tag)?;
        let id = draft.task.id;
        draft.notes.push(format!(
            "task {id} for {}: subtask {number} builds {} {}",
            draft.task.repository, source, tag
        ));
        if options.task.is_some() && options.build.is_none() && !options.test_only {
            draft.notes.push(format!("to run it: task run {id}"));
            return Ok(draft.into());
        }
        let ask = RunAsk {
            reason: None,
            mode,
            on_failure: OnFailure::Early,
        };
        // The tag is in the task whether or not it may be run: somebody else's task, or one that needs a reason.
        if let Err(refusal) = draft.run(&ask) {
            draft
                .notes
                .push(format!("not run: {} [{}]", refusal.message, refusal.code));
            draft.notes.extend(refusal.hint.map(|hint| format!("hint: {hint}")));
        }
        Ok(draft.into())
    }
}
