//! Runs tasks: asks the queue at every change what is to be done, and does it.
//!
//! ```text
//!   journal and world ──snapshot──▶ core::queue ──actions──▶ runs (stages, in threads of their own) and commits
//!          ▲                                                        │
//!          └───────────────────────── events ───────────────────────┘
//! ```
//! The loop is the only one that starts anything. What it starts goes on record in the same call in which the queue decided it,
//! so that nothing lies between the decision and the record. What is alive it alone knows; after a kill nothing is, and what
//! the journal says is running is started again.

mod commit;
mod copies;
mod failure;
mod judge;
mod layers;
mod record;
mod recover;
mod run;
mod snapshot;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;
use windlass_core::event::Event;
use windlass_core::id::{Generation, RepositoryName, TaskId};
use windlass_core::queue::{Action, plan};
use windlass_core::task::TaskEvent;
use windlass_hooks::settings::Paths;

use self::commit::After;
use self::run::{Job, Tested};
use self::snapshot::{Alive, Live};
use crate::commands::facts::Sources;
use crate::config::Config;
use crate::repository::Repositories;
use crate::sandbox::Builder;
use crate::stages::StopFlag;
use crate::stop::Stopping;
use crate::writer::{Handle, State, WriterError};

pub use self::recover::recover;

/// The places between stages at which a test can make the bot die.
pub const POINTS: [&str; 8] = [
    "run.started",
    "stage.pkgtar.done",
    "stage.build.done",
    "stage.check-build.done",
    "stage.repo-plan.done",
    "stage.repo-unmets.done",
    "stage.check-acl.done",
    "run.ended",
];

/// How long the infrastructure is left alone after its first failure, and the longest pause that this grows to.
const BACK_OFF: (Duration, Duration) = (Duration::from_secs(30), Duration::from_hours(1));

/// How long the loop waits after its own journal failed.
const BREATH: Duration = Duration::from_secs(5);

/// What every run needs.
#[derive(Clone)]
pub struct Runner {
    /// What the administrator configured.
    pub config: Arc<Config>,
    /// Where things are.
    pub paths: Paths,
    /// The way to journal and world.
    pub writer: Handle,
    /// Where facts come from.
    pub sources: Arc<Sources>,
    /// The repositories.
    pub repositories: Arc<Repositories>,
    /// What builds packages.
    pub builder: Builder,
}

/// What a thread says when it has done what it was started for.
enum Done {
    Run {
        task: TaskId,
        alive: Alive,
        tested: Option<Box<Tested>>,
        trouble: bool,
    },
    Commit {
        task: TaskId,
        repository: RepositoryName,
        after: After,
    },
}

/// What is alive, and what was made.
#[derive(Default)]
struct Desk {
    runs: BTreeMap<TaskId, (Alive, StopFlag)>,
    commits: BTreeMap<RepositoryName, TaskId>,
    tested: BTreeMap<TaskId, Arc<Tested>>,
    /// How often in a row the infrastructure failed each task.
    troubles: BTreeMap<TaskId, u32>,
}

/// What the queue decided and what is on record of it.
struct Decided {
    starts: Vec<Job>,
    commits: Vec<(TaskId, Generation)>,
    /// Runs that nobody wants any more.
    stops: Vec<TaskId>,
    wake: Option<Timestamp>,
}

impl Runner {
    /// Runs tasks until told to stop; what runs then is ended, and started again by the next start.
    pub async fn run(self, mut stopping: Stopping) {
        let mut journal = self.writer.moved();
        let (told, mut endings) = mpsc::unbounded_channel();
        let mut desk = Desk::default();
        loop {
            journal.mark_unchanged();
            let wake = match self.turn(&mut desk, &told).await {
                Ok(wake) => wake,
                Err(WriterError::Stopped) => break,
                Err(error) => {
                    tracing::error!(%error, "the queue cannot be asked: {error}");
                    Timestamp::now().checked_add(BREATH).ok()
                }
            };
            let wake = async {
                match wake {
                    Some(at) => tokio::time::sleep(until(at)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                row = journal.changed() => if row.is_err() { break },
                Some(ending) = endings.recv() => desk.ended(ending),
                () = wake => {}
                () = stopping.word() => break,
            }
        }
        for (_, stop) in desk.runs.values() {
            stop.set();
        }
        // Commits are short and are let end; runs are on their way out.
        while !desk.runs.is_empty() || !desk.commits.is_empty() {
            match endings.recv().await {
                Some(ending) => desk.ended(ending),
                None => break,
            }
        }
    }

    /// Asks the queue once and does what it says; the moment at which it wants to be asked again comes back.
    async fn turn(
        &self,
        desk: &mut Desk,
        done: &mpsc::UnboundedSender<Done>,
    ) -> Result<Option<Timestamp>, WriterError> {
        let live = desk.live(self);
        let decided = self.writer.call(move |state| decide(state, &live)).await?;
        for task in decided.stops {
            if let Some((_, stop)) = desk.runs.get(&task) {
                stop.set();
            }
        }
        for job in decided.starts {
            self.start(desk, job, done.clone());
        }
        for (task, base) in decided.commits {
            self.commit(desk, task, base, done.clone());
        }
        Ok(decided.wake)
    }

    fn start(&self, desk: &mut Desk, job: Job, done: mpsc::UnboundedSender<Done>) {
        let (task, alive) = (job.task.id, job.alive);
        desk.tested.remove(&task);
        let stop = match StopFlag::new() {
            Ok(stop) => stop,
            Err(error) => {
                tracing::error!(task.id = task.get(), %error, "no run can be started: {error}");
                return;
            }
        };
        desk.runs.insert(task, (alive, stop.clone()));
        let troubles = desk.troubles.get(&task).copied().unwrap_or(0);
        let (runner, name) = (self.clone(), format!("task {task}"));
        let back = done.clone();
        let work = move || {
            let ended = run::run(&runner, &job, &stop, back_off(troubles));
            let (tested, trouble) = match ended {
                run::Ended::Passed(tested) => (Some(tested), false),
                run::Ended::Troubled => (None, true),
                run::Ended::Over => (None, false),
            };
            // The loop is gone: then nothing is started any more.
            let _ = done.send(Done::Run {
                task,
                alive,
                tested,
                trouble,
            });
        };
        if let Err(error) = std::thread::Builder::new().name(name).spawn(work) {
            tracing::error!(task.id = task.get(), %error, "no thread for a run: {error}");
            let tested = None;
            let _ = back.send(Done::Run {
                task,
                alive,
                tested,
                trouble: true,
            });
        }
    }

    fn commit(&self, desk: &mut Desk, task: TaskId, base: Generation, done: mpsc::UnboundedSender<Done>) {
        let Some(tested) = desk
            .tested
            .get(&task)
            .filter(|tested| tested.plan.base == base)
            .cloned()
        else {
            return;
        };
        let repository = tested.plan.repository.clone();
        if desk.commits.contains_key(&repository) {
            return;
        }
        desk.commits.insert(repository.clone(), task);
        let troubles = desk.troubles.get(&task).copied().unwrap_or(0);
        let (runner, back, name) = (self.clone(), done.clone(), repository.clone());
        let work = move || {
            let after = commit::commit(&runner, &tested, back_off(troubles));
            let _ = done.send(Done::Commit {
                task,
                repository,
                after,
            });
        };
        if let Err(error) = std::thread::Builder::new().name(format!("commit {task}")).spawn(work) {
            tracing::error!(task.id = task.get(), %error, "no thread for a commit: {error}");
            let _ = back.send(Done::Commit {
                task,
                repository: name,
                after: After::Stays,
            });
        }
    }
}

impl Desk {
    fn ended(&mut self, done: Done) {
        match done {
            Done::Run {
                task,
                alive,
                tested,
                trouble,
            } => {
                self.runs.remove(&task);
                if trouble {
                    *self.troubles.entry(task).or_default() += 1;
                } else {
                    self.troubles.remove(&task);
                }
                if let Some(tested) = tested {
                    debug_assert_eq!(tested.alive, alive);
                    self.tested.insert(task, Arc::from(tested));
                }
            }
            Done::Commit {
                task,
                repository,
                after,
            } => {
                self.commits.remove(&repository);
                match after {
                    After::Over | After::TestAgain => {
                        self.tested.remove(&task);
                        self.troubles.remove(&task);
                    }
                    After::Stays => {}
                    After::Troubled => *self.troubles.entry(task).or_default() += 1,
                }
            }
        }
    }

    fn live(&mut self, runner: &Runner) -> Live {
        // What was tested on an older generation is of no use any more.
        let newest = |name: &RepositoryName| runner.repositories.get(name).map(|one| one.content().generation);
        self.tested
            .retain(|_, tested| newest(&tested.plan.repository).is_none_or(|newest| newest <= tested.plan.base));
        Live {
            most_runs: runner.config.tasks.max_running,
            runs: self.runs.iter().map(|(task, (alive, _))| (*task, *alive)).collect(),
            ready: self.tested.iter().map(|(task, tested)| (*task, tested.alive)).collect(),
            repositories: runner.repositories.iter().map(|one| one.name().clone()).collect(),
            committing: self.commits.keys().cloned().collect(),
        }
    }
}

/// Asks the queue, and puts on record what starts, in one go.
fn decide(state: &mut State, live: &Live) -> Result<Decided, crate::journal::JournalError> {
    let now = Timestamp::now();
    let snapshot = snapshot::of(state.world(), live, now);
    let mut decided = Decided {
        starts: Vec::new(),
        commits: Vec::new(),
        stops: snapshot::unwanted(state.world(), live),
        wake: None,
    };
    let mut events = Vec::new();
    for action in plan(&snapshot) {
        match action {
            Action::Start { task, iteration, base } => {
                let Some(found) = state.world().task(task) else {
                    continue;
                };
                let Some(run) = found.state.run() else { continue };
                let busy = live.runs.contains_key(&task) || snapshot::changing(state.world(), live, &found.repository);
                if busy {
                    continue;
                }
                let try_number = run.try_number;
                let event = TaskEvent::BuildStarted {
                    try_number,
                    iteration,
                    base,
                };
                events.push(Event::Task { id: task, event });
                decided.starts.push(Job {
                    task: found.clone(),
                    run: run.clone(),
                    alive: Alive { try_number, iteration },
                    base,
                });
            }
            Action::Commit { task, base } => decided.commits.push((task, base)),
            Action::Wake { at } => decided.wake = Some(at),
        }
    }
    state.append(&events, now)?;
    Ok(decided)
}

/// How long to leave the infrastructure alone after it failed so many times in a row before.
fn back_off(times: u32) -> SignedDuration {
    let (first, longest) = BACK_OFF;
    let pause = first.saturating_mul(1 << times.min(16)).min(longest);
    SignedDuration::try_from(pause).unwrap_or(SignedDuration::MAX)
}

/// How long it is until then.
fn until(at: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or(Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_left_alone_ever_longer_but_never_for_more_than_an_hour() {
        let pauses: Vec<i64> = [0, 1, 2, 6, 7, 40, u32::MAX]
            .map(|times| back_off(times).as_secs())
            .to_vec();
        assert_eq!(pauses, [30, 60, 120, 1920, 3600, 3600, 3600]);
    }
}
