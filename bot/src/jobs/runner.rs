//! Does jobs: asks `core::job::plan` at every change what is to be begun, begins it, renews its lease, records how it ended.
//!
//! The loop is the only one that begins anything, and what it begins goes on record in the call in which that was decided. Whoever works
//! says how it ended to the loop alone. Nothing else of a job is kept: after a kill the journal has a lease that nobody holds. Since
//! there is one bot to a state directory, the next one takes it back at its start; what hangs loses it when its time is over.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use windlass_core::decide::rollout::{Cause, after_payload, begin_nightly};
use windlass_core::decide::{Facts, NightlyFacts};
use windlass_core::device::lab::{Due, NightlyEvent, due};
use windlass_core::event::Event;
use windlass_core::id::{JobId, NightlyName, TaskId};
use windlass_core::job::{
    Action, Canceller, Floor, Job, JobEvent, JobKind, JobResult, JobState, MadePayload, Policy, Subject, plan,
};
use windlass_hooks::settings::Paths;

use super::{JobLogs, Trouble, flash, image, payload};
use crate::config::Config;
use crate::crash;
use crate::devices::server::{Budget, Offers};
use crate::devices::stock::Stock;
use crate::journal::JournalError;
use crate::repository::Repositories;
use crate::sandbox::Builder;
use crate::stop::{self, Stop, Stopping};
use crate::writer::{Handle, State, WriterError};

/// The places at which a test can make the bot die in the middle of a job, in the order in which they are passed.
pub const POINTS: [&str; 5] = ["job.leased", "job.built", "job.pushed", "job.attached", "job.recorded"];

/// How long the loop waits after its own journal failed.
const BREATH: Duration = Duration::from_secs(5);

/// How long whoever works may take to clear up when the bot stops.
const GRACE: Duration = Duration::from_secs(20);

/// What every job needs.
#[derive(Clone)]
pub struct JobRunner {
    /// What the administrator configured.
    pub config: Arc<Config>,
    /// Where things are.
    pub paths: Paths,
    /// The way to journal and world.
    pub writer: Handle,
    /// The repositories.
    pub repositories: Arc<Repositories>,
    /// How fast devices are sent to that are flashed, all together.
    pub budget: Budget,
    /// What makes file systems of packages.
    pub builder: Builder,
    /// What lab devices are offered: every payload that is made, as soon as it is on record.
    pub offers: Offers,
}

/// A job that is to be worked on.
#[derive(Debug, Clone)]
pub(super) struct Order {
    pub(super) id: JobId,
    pub(super) attempt: u32,
    pub(super) kind: JobKind,
    pub(super) tasks: Vec<TaskId>,
    pub(super) queued: Timestamp,
}

/// How an attempt ended.
struct Ended {
    id: JobId,
    attempt: u32,
    result: Result<JobResult, Trouble>,
}

/// What is worked on, and what could not be recorded yet.
#[derive(Default)]
struct Desk {
    alive: BTreeMap<JobId, Alive>,
    unrecorded: Vec<Ended>,
}

/// Somebody who works, whatever his job says by now: he may still be clearing up.
struct Alive {
    attempt: u32,
    subject: Subject,
    /// Taken by whoever says that he is to stop.
    stop: Option<Stop>,
}

/// What was decided and is on record.
struct Decided {
    starts: Vec<Order>,
    /// What nobody wants any more, or somebody else does.
    stops: Vec<JobId>,
    wake: Option<Timestamp>,
}

impl JobRunner {
    /// Does jobs until told to stop; what is under way then is done again after the next start.
    pub async fn run(self, mut stopping: Stopping) {
        let policy = self.config.jobs.policy(&self.config.lab);
        let lab = Arc::new(self.config.lab_facts(Timestamp::now()));
        let mut journal = self.writer.moved();
        let (told, mut endings) = mpsc::unbounded_channel();
        let mut desk = Desk::default();
        let third = Duration::from_secs((self.config.jobs.lease.as_secs() / 3).max(1));
        let mut pulse = tokio::time::interval(third);
        pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
        if let Err(error) = self.writer.call(move |state| take_back(state, policy)).await {
            tracing::error!(%error, "jobs of the last start cannot be taken back: {error}");
        }
        loop {
            journal.mark_unchanged();
            let wake = match self.turn(&mut desk, (policy, &lab), &told).await {
                Ok(wake) => wake,
                Err(WriterError::Stopped) => break,
                Err(error) => {
                    tracing::error!(%error, "jobs cannot be decided: {error}");
                    Timestamp::now().checked_add(BREATH).ok()
                }
            };
            let wake = async {
                match wake {
                    Some(at) => {
                        let pause = Duration::try_from(at.duration_since(Timestamp::now()));
                        tokio::time::sleep(pause.unwrap_or(Duration::ZERO)).await;
                    }
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                row = journal.changed() => if row.is_err() { break },
                Some(ended) = endings.recv() => desk.unrecorded.push(ended),
                _ = pulse.tick() => self.renew(&desk, policy).await,
                () = wake => {}
                () = stopping.word() => break,
            }
        }
        for alive in desk.alive.values_mut() {
            if let Some(stop) = alive.stop.take() {
                stop.now();
            }
        }
        drop(told);
        // Whoever works clears up first; what he did by then is of no more use.
        let all_gone = async { while endings.recv().await.is_some() {} };
        if tokio::time::timeout(GRACE, all_gone).await.is_err() {
            tracing::warn!("jobs that are under way do not end in time, and are cut off");
        }
    }

    /// Records what ended, asks once what is to be done, and does it; the moment at which to ask again comes back.
    async fn turn(
        &self,
        desk: &mut Desk,
        (policy, lab): (Policy, &Arc<Facts>),
        told: &mpsc::UnboundedSender<Ended>,
    ) -> Result<Option<Timestamp>, WriterError> {
        while let Some(ended) = desk.unrecorded.last() {
            let (id, attempt, result) = (ended.id, ended.attempt, ended.result.clone());
            let lab = Arc::clone(lab);
            self.writer
                .call(move |state| record(state, (id, attempt), &result, (policy, &lab)))
                .await?;
            crash::point("job.recorded");
            if let Some(Ended {
                result: Ok(JobResult::Payload(made)),
                ..
            }) = desk.unrecorded.pop()
            {
                self.offer(made);
            }
            if desk.alive.get(&id).is_some_and(|alive| alive.attempt == attempt) {
                desk.alive.remove(&id);
            }
        }
        let alive = desk.alive.iter();
        let alive: BTreeMap<JobId, (u32, Subject)> = alive
            .map(|(id, alive)| (*id, (alive.attempt, alive.subject.clone())))
            .collect();
        let decided = {
            let lab = Arc::clone(lab);
            let deciding = self.writer.call(move |state| decide(state, &alive, (policy, &lab)));
            deciding.await?
        };
        for id in decided.stops {
            if let Some(stop) = desk.alive.get_mut(&id).and_then(|alive| alive.stop.take()) {
                stop.now();
            }
        }
        for order in decided.starts {
            self.start(desk, order, told.clone());
        }
        Ok(decided.wake)
    }

    fn start(&self, desk: &mut Desk, order: Order, told: mpsc::UnboundedSender<Ended>) {
        crash::point("job.leased");
        let (id, attempt) = (order.id, order.attempt);
        let (stop, stopping) = stop::channel();
        let (subject, stop) = (order.kind.subject(), Some(stop));
        desk.alive.insert(id, Alive { attempt, subject, stop });
        let runner = self.clone();
        tracing::info!(
            job.id = id.get(),
            attempt,
            "job {id}, attempt {attempt}: {}",
            order.kind
        );
        tokio::spawn(async move {
            let working = tokio::spawn(async move { runner.work(&order, stopping).await });
            // A mistake of our own ends the attempt, not the loop.
            let result = working
                .await
                .unwrap_or_else(|error| Err(Trouble::lasting(format!("a mistake of our own: {error}"))));
            match &result {
                Ok(_) => tracing::info!(job.id = id.get(), attempt, "job {id} is done"),
                Err(trouble) => {
                    tracing::warn!(
                        job.id = id.get(),
                        attempt,
                        transient = trouble.transient,
                        "job {id}: {}",
                        trouble.message
                    );
                }
            }
            // The loop is gone: then nothing is recorded any more.
            let _ = told.send(Ended { id, attempt, result });
        });
    }

    async fn work(&self, order: &Order, stopping: Stopping) -> Result<JobResult, Trouble> {
        let logs = JobLogs::below(&self.paths.state());
        let log = logs
            .begin(order.id, order.attempt)
            .map_err(|error| Trouble::transient(format!("its log cannot be made: {error}")))?;
        let (limit, setting) = match &order.kind {
            // It keeps to that by itself, and clears up then.
            JobKind::Flash(_) => (self.config.lab.timeout, "[lab] timeout"),
            JobKind::ImageBuild(_) | JobKind::PayloadBuild(_) => (self.config.jobs.timeout, "[jobs] timeout"),
        };
        let grace = match &order.kind {
            JobKind::Flash(_) => flash::CLEARING_UP,
            JobKind::ImageBuild(_) | JobKind::PayloadBuild(_) => Duration::ZERO,
        };
        let working = async {
            match &order.kind {
                JobKind::ImageBuild(build) => {
                    let runner = self;
                    let surroundings = image::Surroundings { runner, order, build };
                    image::make(&surroundings, log, stopping).await
                }
                JobKind::PayloadBuild(build) => {
                    let runner = self;
                    let surroundings = payload::Surroundings { runner, order, build };
                    payload::make(&surroundings, log, stopping).await
                }
                JobKind::Flash(job) => flash::make(self, order, job, log, stopping).await,
            }
        };
        let late = |_| Err(Trouble::transient(format!("it took longer than {limit} ({setting})")));
        tokio::time::timeout(limit.std() + grace, working)
            .await
            .unwrap_or_else(late)
    }

    /// Offers a payload that was made. Reading it takes a while: nobody waits for it.
    fn offer(&self, made: Box<MadePayload>) {
        if self.config.update_server.listen.is_none() {
            return;
        }
        let (stock, offers) = (Stock::below(&self.paths.state()), self.offers.clone());
        tokio::task::spawn_blocking(move || offers.put_newest(&stock, &made.board));
    }

    /// Says that those who work are alive.
    async fn renew(&self, desk: &Desk, policy: Policy) {
        let alive: Vec<(JobId, u32)> = desk.alive.iter().map(|(id, alive)| (*id, alive.attempt)).collect();
        let renewed = self.writer.call(move |state| {
            let now = Timestamp::now();
            let until = policy.until(now);
            let events: Vec<Event> = alive
                .into_iter()
                .filter(|(id, attempt)| holds(state, *id, *attempt))
                .map(|(id, attempt)| Event::Job {
                    id,
                    event: JobEvent::Renewed { attempt, until },
                })
                .collect();
            state.append(&events, now)
        });
        if let Err(error) = renewed.await {
            tracing::error!(%error, "leases cannot be renewed: {error}");
        }
    }
}

/// Whether an attempt is the one that is on record.
fn holds(state: &State, id: JobId, attempt: u32) -> bool {
    let job = state.world().jobs().get(id).map(|job| &job.state);
    matches!(job, Some(JobState::Leased { attempt: of, .. }) if *of == attempt)
}

/// Takes back what was leased when the last bot of this state directory ended: it holds nothing any more.
fn take_back(state: &mut State, policy: Policy) -> Result<(), JournalError> {
    let now = Timestamp::now();
    let lost = |job: &Job| match job.state {
        JobState::Leased { attempt, .. } => Some(Event::Job {
            id: job.id,
            event: policy.lost(state.world().jobs(), (job.id, attempt), now),
        }),
        JobState::Queued { .. } | JobState::Done { .. } | JobState::Failed { .. } | JobState::Cancelled { .. } => None,
    };
    let events: Vec<Event> = state.world().jobs().open().filter_map(lost).collect();
    state.append(&events, now)
}

/// Asks what is to be done, and puts on record what begins, in one go.
fn decide(
    state: &mut State,
    alive: &BTreeMap<JobId, (u32, Subject)>,
    (policy, lab): (Policy, &Facts),
) -> Result<Decided, JournalError> {
    let now = Timestamp::now();
    let mut decided = Decided {
        starts: Vec::new(),
        stops: Vec::new(),
        wake: None,
    };
    // What a nightly run begins is planned with all else.
    let (mut begun, mut look) = (Vec::new(), None);
    for (more, at) in nightlies(state, lab, now) {
        begun.extend(more);
        look = [look, at].into_iter().flatten().min();
    }
    state.append(&begun, now)?;
    let mut events = Vec::new();
    let jobs = state.world().jobs();
    let floor = Floor {
        jobs,
        devices: state.world().devices(),
        busy: &alive.values().map(|(_, subject)| subject.clone()).collect(),
    };
    for action in plan(&floor, &policy, now) {
        match action {
            Action::Lose { id, attempt } => {
                let event = policy.lost(jobs, (id, attempt), now);
                events.push(Event::Job { id, event });
            }
            Action::Start { id, attempt } => {
                let Some(job) = jobs.get(id) else { continue };
                let until = policy.until(now);
                events.push(Event::Job {
                    id,
                    event: JobEvent::Leased { attempt, until },
                });
                decided.starts.push(Order {
                    id,
                    attempt,
                    kind: job.kind.clone(),
                    tasks: job.tasks.iter().copied().collect(),
                    queued: job.queued,
                });
            }
            Action::Stop { id, why } => {
                tracing::warn!(job.id = id.get(), "job {id} is given up: {why}");
                let by = Canceller::Rollout { why };
                events.push(Event::Job {
                    id,
                    event: JobEvent::Cancelled { by },
                });
            }
            Action::Wake { at } => decided.wake = Some(at),
        }
    }
    state.append(&events, now)?;
    decided.wake = [decided.wake, look].into_iter().flatten().min();
    decided.stops = alive
        .iter()
        .filter(|(id, (attempt, _))| !holds(state, **id, *attempt))
        .map(|(id, _)| *id)
        .collect();
    Ok(decided)
}

/// What follows from the calendars of nightly runs, and the moments at which to look again.
fn nightlies(state: &State, lab: &Facts, now: Timestamp) -> Vec<(Vec<Event>, Option<Timestamp>)> {
    let world = state.world();
    let mut begun = false;
    let one =
        |(name, nightly): (&NightlyName, &NightlyFacts)| match due(&nightly.calendar, world.nightlies().get(name), now)
        {
            Due::Plan => {
                let calendar = nightly.calendar.to_string();
                let event = NightlyEvent::Planned { calendar };
                let name = name.clone();
                (vec![Event::Nightly { name, event }], nightly.calendar.next(now))
            }
            // One at a time: what each begins is numbered after what the one before began.
            Due::Run { .. } if begun => (Vec::new(), Some(now)),
            Due::Run { due } => {
                begun = true;
                let run = begin_nightly(world, lab, (name, nightly), &Cause::Due(due), now);
                let events = run.unwrap_or_else(|(why, events)| {
                    tracing::warn!(nightly = %name, "nightly run {name} flashes nothing: {why}");
                    events
                });
                (events, nightly.calendar.next(now))
            }
            Due::Wait { until } => (Vec::new(), Some(until)),
            Due::Never => (Vec::new(), None),
        };
    lab.nightlies.iter().map(one).collect()
}

/// Puts on record how an attempt ended; nothing where somebody else has the job by now.
fn record(
    state: &mut State,
    (id, attempt): (JobId, u32),
    result: &Result<JobResult, Trouble>,
    (policy, lab): (Policy, &Facts),
) -> Result<(), JournalError> {
    let now = Timestamp::now();
    if !holds(state, id, attempt) {
        return Ok(());
    }
    let world = state.world();
    let jobs = world.jobs();
    // A payload goes to the devices that ask for it: they are queued in the batch that says that it is there.
    let flashes = match result {
        Ok(JobResult::Payload(made)) => {
            let task = jobs.get(id).and_then(|job| job.tasks.last().copied());
            after_payload(world, lab, made, (id, task), now)
        }
        Ok(JobResult::Image(_) | JobResult::Flashed(_) | JobResult::Skipped { .. }) | Err(_) => Vec::new(),
    };
    let event = match result {
        Ok(result) => JobEvent::Succeeded {
            attempt,
            result: result.clone(),
        },
        Err(trouble) => policy.failed(jobs, (id, attempt), &trouble.message, trouble.transient, now),
    };
    let mut events = vec![Event::Job { id, event }];
    events.extend(flashes);
    state.append(&events, now)
}
