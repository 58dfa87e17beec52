//! Carries out a request: what it depends on is found out, `core` decides, the decision goes on record, then it is answered.
//!
//! An answer is on disk before it is sent. A request that comes again, at any door, gets the answer on record and has no
//! second effect. Nothing here knows how a request came in.

pub mod facts;
mod follow;
pub mod frames;
mod logs;
pub mod refs;
pub mod repo;
pub mod roster;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use tokio::sync::Semaphore;
use windlass_core::command::{Command, Place};
use windlass_core::decide::{Actor, Facts, decide, decide_push, needs, needs_flashes, needs_of_push};
use windlass_core::device::lab::FlashLine;
use windlass_core::escape::escaped;
use windlass_core::event::{Answered, Event};
use windlass_core::id::{RequestId, TaskId};
use windlass_core::push::{PushOptions, TagPushed};
use windlass_core::refusal::Refusal;
use windlass_core::reply::{Rendered, refused};
use windlass_hooks::settings::Paths;
use windlass_hooks::wire::{Body, Request};

use self::facts::{NoFacts, Sources, Tag};
use self::frames::Frames;
use self::repo::{Desk, Write};
use crate::devices::lab;
use crate::exit::Exit;
use crate::journal::JournalError;
use crate::repository::RepositoryError;
use crate::stop::Stopping;
use crate::writer::{Handle, State, WriterError};

/// How often facts are looked up again because the world moved on meanwhile, before the caller is told to try again.
const ROUNDS: usize = 8;

/// What becomes of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusals {
    /// The caller hears of it now; a repeated request is judged anew.
    Told,
    /// Nobody is there to hear it: it goes on record, where `task show REQUEST` finds it.
    Recorded,
}

/// All that is needed to carry out requests. Cheap to clone.
#[derive(Clone)]
pub struct Commands {
    sources: Arc<Sources>,
    writer: Handle,
    /// How many look-ups (disk, signatures) run at once.
    lookups: Arc<Semaphore>,
    stopping: Stopping,
    /// Where administrators' commands on repositories are carried out.
    desk: Option<Desk>,
}

/// Why a request got no decision. Nothing is on record then.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Facts(#[from] NoFacts),
    #[error(transparent)]
    Writer(#[from] WriterError),
    #[error("what the command depends on changes faster than it can be looked up")]
    Restless,
    #[error("a look-up failed: {0}")]
    Lookup(#[from] tokio::task::JoinError),
}

/// What the writer made of a request.
enum Attempt {
    /// These tags have to be judged first.
    Needs(BTreeSet<Tag>),
    /// It is decided and on record, now or since before.
    Answered(Box<Answered>),
    /// It is refused, and nothing is on record.
    Refused(Refusal),
}

impl Commands {
    /// What is needed to carry out requests; `stopping` ends what would wait for long.
    pub fn new(sources: Sources, writer: Handle, stopping: Stopping) -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self {
            sources: Arc::new(sources),
            writer,
            lookups: Arc::new(Semaphore::new(cores.max(2))),
            stopping,
            desk: None,
        }
    }

    /// The same, which also carries out what administrators ask of repositories.
    #[must_use]
    pub fn with_desk(mut self, desk: Desk) -> Self {
        self.desk = Some(desk);
        self
    }

    /// The way to the journal and the world.
    pub fn writer(&self) -> &Handle {
        &self.writer
    }

    /// Whether the bot is about to stop: whoever has much to do does the rest another time.
    pub fn is_stopping(&self) -> bool {
        self.stopping.is_given()
    }

    /// Where facts come from.
    pub fn sources(&self) -> &Arc<Sources> {
        &self.sources
    }

    /// Where things are.
    pub fn paths(&self) -> &Paths {
        self.sources.paths()
    }

    /// Carries a request out and answers it; `false` when nothing was decided, and the same request must be tried again.
    pub async fn carry_out(&self, request: Request, refusals: Refusals, frames: &Frames) -> bool {
        let id = request.id.clone();
        let done = match request.body {
            Body::Command { ref argv } => self.command(&request, argv, refusals, frames).await,
            Body::TagPushed(ref pushed) => self.push(&request, pushed, frames).await,
        };
        if let Err(trouble) = &done {
            tracing::error!(request.id = %id, user = %request.user, error = %trouble, "request {id} could not be decided: {trouble}");
            frames.broken(&trouble.to_string()).await;
        }
        done.is_ok()
    }

    async fn command(
        &self,
        request: &Request,
        argv: &[String],
        refusals: Refusals,
        frames: &Frames,
    ) -> Result<(), Trouble> {
        let start = Instant::now();
        if is_of_repositories(argv) {
            return self.repository(request, argv, refusals, frames).await;
        }
        let command = match Command::parse(argv) {
            Ok(command) => command,
            Err(usage) => {
                if refusals == Refusals::Recorded {
                    let refusal = Refusal::new("usage", usage.text.trim_end());
                    return self
                        .refuse(request, argv, &refused(&refusal, false), refusals, frames)
                        .await;
                }
                if usage.exit == 0 {
                    frames.out(&usage.text).await;
                } else {
                    frames.err(&usage.text).await;
                }
                frames.exit(usage.exit).await;
                return Ok(());
            }
        };
        match command.place() {
            Place::Bot => {}
            Place::Door => {
                let refused = refused(&not_here(argv), command.json());
                return self.refuse(request, argv, &refused, refusals, frames).await;
            }
        }
        let actor = {
            let (sources, user) = (Arc::clone(&self.sources), request.user.clone());
            match self.look_up(move || sources.actor(&user)).await? {
                Ok(actor) => actor,
                Err(refusal) => {
                    let refused = refused(&refusal, command.json());
                    return self.refuse(request, argv, &refused, refusals, frames).await;
                }
            }
        };
        if command.is_read() || command.dry_run() {
            return self.read(actor, command, frames).await;
        }
        let json = command.json();
        let asked = Asked {
            request: request.id.clone(),
            actor,
            command,
            words: argv.to_vec(),
            refusals,
        };
        match self.write(asked).await? {
            Ok(answered) => {
                log_answer(&answered, start);
                frames.answered(&answered).await;
            }
            Err(refusal) => {
                log_refusal(request, argv, &refusal, start);
                frames.refused(&refusal, json).await;
            }
        }
        Ok(())
    }

    /// Carries out what an administrator asks of a repository. Who may ask is the door's affair.
    async fn repository(
        &self,
        request: &Request,
        argv: &[String],
        refusals: Refusals,
        frames: &Frames,
    ) -> Result<(), Trouble> {
        let start = Instant::now();
        let write = match Write::parse(argv.get(1..).unwrap_or_default()) {
            Ok(write) => write,
            Err(usage) => {
                frames.err(&usage.text).await;
                frames.exit(usage.exit).await;
                return Ok(());
            }
        };
        let desk = self.desk.clone().filter(|_| refusals == Refusals::Told);
        let Some(desk) = desk else {
            let refused = refused(&not_here(argv), write.flags().json);
            return self.refuse(request, argv, &refused, refusals, frames).await;
        };
        let json = write.flags().json;
        let (lines, mut told) = tokio::sync::mpsc::unbounded_channel::<String>();
        let (id, by) = (request.id.clone(), request.user.clone());
        let doing = tokio::task::spawn_blocking(move || {
            desk.carry_out(&write, id, &by, &mut |line| {
                // Nobody listening is fine.
                let _ = lines.send(format!("{line}\n"));
            })
        });
        while let Some(line) = told.recv().await {
            frames.err(&line).await;
        }
        match doing.await? {
            Ok(outcome) => {
                let words = escaped(&argv.join(" "));
                tracing::info!(request.id = %request.id, user = %request.user, duration_ms = millis(start), "{}: {words} → done", request.user);
                frames.out(&outcome.out).await;
                frames.exit(0).await;
            }
            Err(RepositoryError::Refused(refusal)) => {
                log_refusal(request, argv, &refusal, start);
                frames.refused(&refusal, json).await;
            }
            Err(error) => {
                let exit = if error.is_infrastructure() {
                    Exit::Environment
                } else {
                    Exit::Failed
                };
                tracing::error!(request.id = %request.id, user = %request.user, %error, "{}: {error}", request.user);
                frames.err(&format!("windlass: {error}\n")).await;
                frames.exit(exit.code()).await;
            }
        }
        Ok(())
    }

    /// Decides a command that writes, as often as it takes to have all facts at the moment of the decision.
    async fn write(&self, asked: Asked) -> Result<Result<Box<Answered>, Refusal>, Trouble> {
        let asked = Arc::new(asked);
        let mut wanted = {
            let asked = Arc::clone(&asked);
            self.writer
                .call(move |state| {
                    Ok(match state.answer(&asked.request)? {
                        Some(answered) => Err(answered),
                        None => Ok(needs(state.world(), &asked.actor, &asked.command)),
                    })
                })
                .await?
        };
        for _ in 0..ROUNDS {
            let tags = match wanted {
                Ok(tags) => tags,
                Err(answered) => return Ok(asked.again(answered)),
            };
            let facts = self.facts(tags).await?;
            let attempt = {
                let asked = Arc::clone(&asked);
                self.writer.call(move |state| attempt(state, &asked, &facts)).await?
            };
            match attempt {
                Attempt::Needs(more) => wanted = Ok(more),
                Attempt::Answered(answered) => return Ok(asked.again(*answered)),
                Attempt::Refused(refusal) => return Ok(Err(refusal)),
            }
        }
        Err(Trouble::Restless)
    }

    async fn push(&self, request: &Request, pushed: &TagPushed, frames: &Frames) -> Result<(), Trouble> {
        let start = Instant::now();
        if request.user != pushed.pusher || request.id != pushed.request_id() {
            let refusal = Refusal::new(
                "bad_request",
                format!("request {} does not fit to the push that it names", request.id),
            );
            // Not on record under this id: it belongs to another push.
            tracing::warn!(request.id = %request.id, user = %request.user, "{}", refusal.message);
            frames.refused(&refusal, false).await;
            return Ok(());
        }
        let mut wanted = {
            let pushed = pushed.clone();
            self.writer
                .call(move |state| Ok(needs_of_push(state.world(), &pushed)))
                .await?
        };
        for _ in 0..ROUNDS {
            let facts = {
                let (sources, pushed) = (Arc::clone(&self.sources), pushed.clone());
                self.look_up(move || sources.facts_of_push(&pushed, &wanted, Timestamp::now()))
                    .await?
            };
            let attempt = {
                let (id, pushed) = (request.id.clone(), pushed.clone());
                self.writer
                    .call(move |state| take_push(state, id, &pushed, &facts))
                    .await?
            };
            match attempt {
                Attempt::Needs(more) => wanted = more,
                Attempt::Answered(answered) => {
                    log_answer(&answered, start);
                    frames.answered(&answered).await;
                    return Ok(());
                }
                Attempt::Refused(refusal) => {
                    frames.refused(&refusal, false).await;
                    return Ok(());
                }
            }
        }
        Err(Trouble::Restless)
    }

    /// Refuses before anything was decided.
    async fn refuse(
        &self,
        request: &Request,
        words: &[String],
        refused: &Rendered,
        refusals: Refusals,
        frames: &Frames,
    ) -> Result<(), Trouble> {
        let start = Instant::now();
        if refusals == Refusals::Told {
            frames.rendered(refused).await;
            return Ok(());
        }
        let answered = Answered {
            request: request.id.clone(),
            user: request.user.clone(),
            words: words.to_vec(),
            task: None,
            out: refused.out.clone(),
            err: refused.err.clone(),
            exit: refused.exit,
        };
        let answered = self
            .writer
            .call(move |state| {
                if let Some(before) = state.answer(&answered.request)? {
                    return Ok(before);
                }
                state.append(&[Event::Answered(answered.clone())], Timestamp::now())?;
                Ok(answered)
            })
            .await?;
        log_answer(&answered, start);
        frames.answered(&answered).await;
        Ok(())
    }

    /// All facts, with the verdicts on these tags.
    async fn facts(&self, tags: BTreeSet<Tag>) -> Result<Facts, Trouble> {
        let sources = Arc::clone(&self.sources);
        self.look_up(move || sources.facts(&tags, Timestamp::now())).await
    }

    /// The flashes that a command shows, from the records' folder.
    async fn flashes(&self, command: &Command) -> Result<Vec<FlashLine>, Trouble> {
        let Some((device, most)) = needs_flashes(command) else {
            return Ok(Vec::new());
        };
        let (state, device) = (self.paths().state(), device.clone());
        self.look_up(move || Ok(lab::flashes(&state, &device, most))).await
    }

    /// Runs what touches the disk or checks signatures beside the requests, a few at once.
    async fn look_up<T: Send + 'static>(
        &self,
        what: impl FnOnce() -> Result<T, NoFacts> + Send + 'static,
    ) -> Result<T, Trouble> {
        // The semaphore is never closed: without a permit there are only more at once.
        let _permit = self.lookups.acquire().await;
        Ok(tokio::task::spawn_blocking(what).await??)
    }
}

/// Whether words are an administrator's, about a repository: those are not for everybody who may speak to the bot.
pub fn is_of_repositories(argv: &[String]) -> bool {
    argv.first().is_some_and(|word| word == "repo")
}

/// A command that writes, and who asked for it.
struct Asked {
    request: RequestId,
    actor: Actor,
    command: Command,
    words: Vec<String>,
    refusals: Refusals,
}

impl Asked {
    /// The answer as it goes on record.
    fn answered(&self, task: Option<TaskId>, rendered: Rendered) -> Answered {
        Answered {
            request: self.request.clone(),
            user: self.actor.user.clone(),
            words: self.words.clone(),
            task,
            out: rendered.out,
            err: rendered.err,
            exit: rendered.exit,
        }
    }

    /// The answer on record, if it was given to this very request.
    fn again(&self, answered: Answered) -> Result<Box<Answered>, Refusal> {
        if answered.user == self.actor.user && answered.words == self.words {
            return Ok(Box::new(answered));
        }
        Err(Refusal::new(
            "request_reused",
            format!("the request id {} was used for another request", self.request),
        )
        .hint("leave --request-id out, or choose another one"))
    }
}

/// One try at a decision, on the writer's thread: nothing changes between the look at the world and the record.
fn attempt(state: &mut State, asked: &Asked, facts: &Facts) -> Result<Attempt, JournalError> {
    if let Some(answered) = state.answer(&asked.request)? {
        return Ok(Attempt::Answered(Box::new(answered)));
    }
    let wanted = needs(state.world(), &asked.actor, &asked.command);
    if wanted.iter().any(|tag| !facts.tags.contains_key(tag)) {
        return Ok(Attempt::Needs(wanted));
    }
    let now = Timestamp::now();
    match decide(state.world(), &asked.actor, &asked.command, facts, now) {
        Ok(decision) => {
            let answered = asked.answered(decision.reply.task, decision.reply.render());
            let mut events = decision.events;
            events.push(Event::Answered(answered.clone()));
            state.append(&events, now)?;
            Ok(Attempt::Answered(Box::new(answered)))
        }
        Err(refusal) if asked.refusals == Refusals::Recorded => {
            let answered = asked.answered(None, refused(&refusal, asked.command.json()));
            state.append(&[Event::Answered(answered.clone())], now)?;
            Ok(Attempt::Answered(Box::new(answered)))
        }
        Err(refusal) => Ok(Attempt::Refused(refusal)),
    }
}

/// Takes a pushed tag, once.
fn take_push(state: &mut State, id: RequestId, pushed: &TagPushed, facts: &Facts) -> Result<Attempt, JournalError> {
    let now = Timestamp::now();
    let id = match state.answer(&id)? {
        None => id,
        Some(answered) if is_of_push(&answered, pushed) => return Ok(Attempt::Answered(Box::new(answered))),
        // That the tag is known keeps the push from having a second effect then.
        Some(_) => id_beside(&id, now),
    };
    let wanted = needs_of_push(state.world(), pushed);
    if wanted.iter().any(|tag| !facts.tags.contains_key(tag)) {
        return Ok(Attempt::Needs(wanted));
    }
    let decision = decide_push(state.world(), pushed, facts, now);
    let rendered = decision.reply.render();
    let answered = Answered {
        request: id,
        user: pushed.pusher.clone(),
        words: push_words(pushed),
        task: decision.reply.task,
        out: rendered.out,
        err: rendered.err,
        exit: rendered.exit,
    };
    let mut events = decision.events;
    events.push(Event::Answered(answered.clone()));
    state.append(&events, now)?;
    Ok(Attempt::Answered(Box::new(answered)))
}

/// One line in the log for a request that is on record.
fn log_answer(answered: &Answered, start: Instant) {
    let Answered {
        request,
        user,
        words,
        task,
        exit,
        ..
    } = answered;
    let words = escaped(&words.join(" "));
    let became = task.map_or_else(|| format!("exit code {exit}"), |task| format!("task {task}"));
    let duration = millis(start);
    let task = task.map(TaskId::get);
    tracing::info!(request.id = %request, user = %user, task.id = task, exit, duration_ms = duration, "{user}: {words} → {became}");
}

/// One line in the log for a command that was refused and left no trace.
fn log_refusal(request: &Request, words: &[String], refusal: &Refusal, start: Instant) {
    let (id, user, code) = (&request.id, &request.user, &refusal.code);
    let words = escaped(&words.join(" "));
    let duration = millis(start);
    tracing::info!(request.id = %id, user = %user, code = %code, duration_ms = duration, "{user}: {words} → refused: {code}");
}

fn millis(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// What a push asked for, as it is kept on record.
fn push_words(pushed: &TagPushed) -> Vec<String> {
    let what = [pushed.source.as_str(), pushed.tag.as_str(), pushed.object.as_str()];
    let words = std::iter::once("push").chain(what).map(str::to_owned);
    words.chain(pushed.options.words()).collect()
}

/// Whether a push is on record. An id can be chosen for a command, and a push's be computed by whoever sees the tag: an answer to
/// something else under its id is no answer to it.
pub(crate) fn push_is_on_record(state: &State, pushed: &TagPushed) -> Result<bool, JournalError> {
    Ok(match state.answer(&pushed.request_id())? {
        None => false,
        Some(answered) if is_of_push(&answered, pushed) => true,
        Some(_) => {
            let known = state.world().tag(&pushed.source, &pushed.tag);
            known.is_some_and(|known| known.object == pushed.object)
        }
    })
}

/// An id for a push whose own was used for something else. Nobody can have used this one before.
fn id_beside(id: &RequestId, now: Timestamp) -> RequestId {
    let moment = now.as_nanosecond().unsigned_abs() & u128::from(u64::MAX);
    let beside = format!("{id}{moment:016x}");
    beside.parse().expect("a push's id has 32 digits, 48 are allowed")
}

/// Whether an answer is to this push, with whatever options.
fn is_of_push(answered: &Answered, pushed: &TagPushed) -> bool {
    let named = PushOptions::default();
    let words = push_words(&TagPushed {
        options: named,
        ..pushed.clone()
    });
    answered.user == pushed.pusher && answered.words.starts_with(&words)
}

fn not_here(argv: &[String]) -> Refusal {
    let name = argv.first().map_or("", String::as_str);
    Refusal::new(
        "not_here",
        format!("'{name}' is not the bot's: it concerns source repositories alone"),
    )
    .hint(format!("over ssh: ssh git@HOST {name} …"))
}
