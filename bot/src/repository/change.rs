//! A change of a repository, with the journal around it: the one way in which a generation is made.
//!
//! What is meant goes on record before the first file (`ChangeStarted`), what came of it after `current` moved (`Moved`, in one
//! batch with all that follows from it: a task that has landed, an answer to a request, the jobs that it causes). A crash between the two is looked into
//! at the next start ([`recover_all`]). Task landing, import, rollback and key rotation are all this function.

use std::sync::Arc;

use jiff::Timestamp;
use windlass_core::event::Event;
use windlass_core::id::Generation;
use windlass_core::refusal::Refusal;
use windlass_core::repository::Content;
use windlass_core::repository::record::{Cause, RepositoryEvent, RepositoryRecord};
use windlass_core::world::World;

use super::{Change, CommitLock, Recovered, Repositories, Repository, RepositoryError, Stamp, Switched};
use crate::crash;
use crate::jobs::Consequences;
use crate::journal::{Head, JournalError};
use crate::writer::{Handle, State};

/// The points at which a test can make the bot die in the middle of a commit, in the order in which they are passed.
pub const POINTS: [&str; 13] = [
    "commit.begin",
    "commit.started",
    "commit.staged",
    "commit.signed",
    "commit.listed",
    "commit.pooling",
    "commit.pooled",
    "commit.metadata",
    "commit.sealed",
    "commit.prepared",
    "commit.linked",
    "commit.switched",
    "commit.recorded",
];

/// The same for clearing away.
pub const GC_POINTS: [&str; 4] = ["gc.recorded", "gc.aside", "gc.generations", "gc.files"];

/// How a change ended.
#[derive(Debug, Clone, Copy)]
pub enum Ending<'a> {
    /// `current` names the new generation.
    Made(&'a Switched),
    /// It was not made, and nothing of it is left.
    Failed {
        /// The generation that was to be.
        generation: Generation,
        /// Why.
        message: &'a str,
    },
}

type Begin = Box<dyn FnOnce(&State, Generation) -> Result<Vec<Event>, Refusal> + Send>;
type End = Box<dyn FnOnce(&World, &Ending<'_>) -> Vec<Event> + Send>;

/// Why a generation is made, and what goes on record with it. Both functions run on the writer's thread: what they see is what
/// is true at the moment of the record.
pub struct Story {
    cause: Cause,
    taken_over: Option<Generation>,
    begin: Begin,
    end: End,
}

impl std::fmt::Debug for Story {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Story")
            .field("cause", &self.cause)
            .finish_non_exhaustive()
    }
}

impl Story {
    /// A change with nothing else on record.
    pub fn new(cause: Cause) -> Self {
        Self {
            cause,
            taken_over: None,
            begin: Box::new(|_, _| Ok(Vec::new())),
            end: Box::new(|_, _| Vec::new()),
        }
    }

    /// The repository was taken over from somebody else: it starts from this generation, which need not be the newest on record.
    #[must_use]
    pub fn taken_over(mut self, from: Generation) -> Self {
        self.taken_over = Some(from);
        self
    }

    /// What goes on record with `ChangeStarted`; a refusal keeps the change from being begun.
    #[must_use]
    pub fn begin(
        mut self,
        begin: impl FnOnce(&State, Generation) -> Result<Vec<Event>, Refusal> + Send + 'static,
    ) -> Self {
        self.begin = Box::new(begin);
        self
    }

    /// What goes on record with `Moved`, or with `ChangeFailed`.
    #[must_use]
    pub fn end(mut self, end: impl FnOnce(&World, &Ending<'_>) -> Vec<Event> + Send + 'static) -> Self {
        self.end = Box::new(end);
        self
    }
}

/// Makes a new generation. Blocks; the journal is written through `writer`.
///
/// # Errors
/// Nothing was changed, and where the change was begun, that it failed is on record. Only when the journal could not be written
/// after the switch is the new generation there all the same: the next start puts it on record.
pub fn change(
    repository: &Repository,
    lock: &CommitLock,
    writer: &Handle,
    change: &Change,
    story: Story,
) -> Result<Switched, RepositoryError> {
    crash::point("commit.begin");
    let Story {
        cause,
        taken_over,
        begin,
        end,
    } = story;
    let name = repository.name().clone();
    let record = {
        let name = name.clone();
        writer.call_blocking(move |state| Ok(record_of(state, &name)))?
    };
    if let Some(changing) = &record.changing {
        return Err(RepositoryError::Damaged(format!(
            "generation {} of repository {name} was begun and never ended\n\nhint: restart the bot, which looks into it",
            changing.generation
        )));
    }
    if taken_over.is_none_or(|from| repository.current().ok() != Some(Some(from))) {
        repository.check_known(&record)?;
    }
    let generation = Generation(record.generation.0 + 1);
    let started = {
        let (name, cause) = (name.clone(), cause.clone());
        writer.call_blocking(move |state| start(state, name, generation, cause, begin))?
    };
    let (journal, now) = started?;
    crash::point("commit.started");
    let stamp = Stamp {
        generation,
        cause,
        journal,
        now,
    };
    let prepared = repository.prepare(lock, change, &stamp);
    // Looked up before anybody sees the generation, so that nothing lies between its being seen and the record.
    let consequences = prepared
        .as_ref()
        .ok()
        .and_then(|prepared| consequences(repository, &record, generation, &prepared.content));
    let switched = prepared.and_then(|prepared| repository.switch(prepared));
    let switched = match switched {
        Ok(switched) => switched,
        Err(error) => return Err(failed(repository, writer, generation, error, end)?),
    };
    {
        let (name, switched) = (name.clone(), switched.clone());
        writer.call_blocking(move |state| {
            let mut events = vec![Event::Repository {
                repository: name,
                event: switched.event(),
            }];
            events.extend(end(state.world(), &Ending::Made(&switched)));
            events.extend(caused(consequences.as_ref(), state.world(), &switched.cause));
            state.append(&events, Timestamp::now())
        })?;
    }
    crash::point("commit.recorded");
    if let Err(error) = super::files::remove(&repository.dirs().staging()) {
        // The next change, or the next start, removes it.
        tracing::warn!(repository = %name, %error, "the staging directory of {name} stays for now: {error}");
    }
    tracing::info!(
        repository = %name, generation = generation.0, compressed = switched.members.0, copied = switched.members.1,
        "{name}: generation {generation}: {}", switched.cause
    );
    Ok(switched)
}

/// What follows from a generation beside what its story says: the jobs that it causes. Nothing where what was there before cannot be
/// read any more.
fn consequences(
    repository: &Repository,
    record: &RepositoryRecord,
    generation: Generation,
    after: &Content,
) -> Option<Consequences> {
    let causes = repository.causes.as_ref()?;
    let held = repository.content();
    let before = if held.generation == record.generation {
        Ok(held)
    } else if record.generation == Generation(0) {
        Ok(Arc::new(repository.empty()))
    } else {
        repository.read_generation(record.generation).map(Arc::new)
    };
    match before {
        Ok(before) => causes.look(repository, &before, after, generation),
        Err(error) => {
            let name = repository.name();
            tracing::error!(repository = %name, %error, "what generation {generation} of {name} makes stale cannot be told: {error}");
            None
        }
    }
}

fn caused(consequences: Option<&Consequences>, world: &World, cause: &Cause) -> Vec<Event> {
    consequences
        .map(|consequences| consequences.events(world, cause))
        .unwrap_or_default()
}

fn record_of(state: &State, name: &windlass_core::id::RepositoryName) -> RepositoryRecord {
    state.world().repository(name).cloned().unwrap_or_default()
}

fn start(
    state: &mut State,
    name: windlass_core::id::RepositoryName,
    generation: Generation,
    cause: Cause,
    begin: Begin,
) -> Result<Result<(Head, Timestamp), Refusal>, JournalError> {
    let more = match begin(state, generation) {
        Ok(more) => more,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let event = RepositoryEvent::ChangeStarted { generation, cause };
    let mut events = vec![Event::Repository {
        repository: name,
        event,
    }];
    events.extend(more);
    let now = Timestamp::now();
    state.append(&events, now)?;
    Ok(Ok((state.head(), now)))
}

/// Takes a change back that failed, and puts that on record. Where it cannot be taken back the next start tries again.
fn failed(
    repository: &Repository,
    writer: &Handle,
    generation: Generation,
    error: RepositoryError,
    end: End,
) -> Result<RepositoryError, RepositoryError> {
    let name = repository.name().clone();
    // The rename may have happened, and only its durability failed: then it is the next start's to judge.
    if let Err(undo) = repository.undo(generation) {
        tracing::error!(repository = %name, error = %undo, "generation {generation} of {name} failed and cannot be taken back now: {undo}");
        return Ok(error);
    }
    let message = one_line(&error);
    writer.call_blocking(move |state| {
        let event = RepositoryEvent::ChangeFailed {
            generation,
            message: message.clone(),
        };
        let mut events = vec![Event::Repository {
            repository: name,
            event,
        }];
        let ending = Ending::Failed {
            generation,
            message: &message,
        };
        events.extend(end(state.world(), &ending));
        state.append(&events, Timestamp::now())
    })?;
    Ok(error)
}

/// The first line of what an error says; the rest is hints.
fn one_line(error: &RepositoryError) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

/// Looks at every repository after a start: what a crash cut off is finished or taken back, and put on record with what `more`
/// says follows from it.
///
/// # Errors
/// A disk or the journal cannot be read or written.
pub fn recover_all(
    repositories: &Repositories,
    writer: &Handle,
    more: impl Fn(&World, &Cause, &Ending<'_>) -> Vec<Event> + Clone + Send + 'static,
) -> Result<(), RepositoryError> {
    for repository in repositories.iter() {
        recover_one(repository, writer, more.clone())?;
    }
    Ok(())
}

fn recover_one(
    repository: &Repository,
    writer: &Handle,
    more: impl Fn(&World, &Cause, &Ending<'_>) -> Vec<Event> + Send + 'static,
) -> Result<(), RepositoryError> {
    let name = repository.name().clone();
    let record = {
        let name = name.clone();
        writer.call_blocking(move |state| Ok(record_of(state, &name)))?
    };
    if record.changing.is_none() && !repository.dirs().root().exists() {
        return Ok(());
    }
    let lock = repository.lock()?;
    match repository.recover(&lock, &record)? {
        Recovered::Nothing => Ok(()),
        Recovered::Finished(switched) => {
            tracing::warn!(repository = %name, generation = switched.generation.0, "generation {} of {name} was made before the bot was killed", switched.generation);
            let consequences = consequences(repository, &record, switched.generation, &switched.content);
            Ok(writer.call_blocking(move |state| {
                let mut events = vec![Event::Repository {
                    repository: name,
                    event: switched.event(),
                }];
                events.extend(more(state.world(), &switched.cause, &Ending::Made(&switched)));
                events.extend(caused(consequences.as_ref(), state.world(), &switched.cause));
                state.append(&events, Timestamp::now())
            })?)
        }
        Recovered::Undone(changing) => {
            let generation = changing.generation;
            tracing::warn!(repository = %name, generation = generation.0, "generation {generation} of {name} was not made: the bot was killed before");
            Ok(writer.call_blocking(move |state| {
                let message = "the bot was stopped in the middle of it";
                let event = RepositoryEvent::ChangeFailed {
                    generation,
                    message: message.to_owned(),
                };
                let mut events = vec![Event::Repository {
                    repository: name,
                    event,
                }];
                let ending = Ending::Failed { generation, message };
                events.extend(more(state.world(), &changing.cause, &ending));
                state.append(&events, Timestamp::now())
            })?)
        }
    }
}
