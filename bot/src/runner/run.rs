//! One run of a task: its stages in order, all but the commit.

mod brought;
mod builds;
mod checks;
mod say;
mod sources;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use jiff::SignedDuration;
use windlass_core::id::Generation;
use windlass_core::reply::log::plan_summary;
use windlass_core::repository::{Content, Plan};
use windlass_core::task::{Outcome, Run, Stage, Task, TaskEvent};

use super::failure::{self, Failed, Site};
use super::record::Recorder;
use super::snapshot::Alive;
use super::{Runner, layers};
use crate::crash;
use crate::repository::{Bases, Files, Repository};
use crate::stages::{Context, RunDir, StageError, StopFlag, check_build, repo_plan, repo_unmets};

/// A run that is to be done; that it began is on record.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub(super) task: Task,
    pub(super) run: Run,
    pub(super) alive: Alive,
    pub(super) base: Generation,
}

/// What a run made that passed, at hand for its commit.
#[derive(Debug)]
pub(super) struct Tested {
    pub(super) task: Task,
    pub(super) alive: Alive,
    pub(super) plan: Plan,
    pub(super) files: Files,
    /// What the base repositories were.
    pub(super) bases: Bases,
    /// The log of the commit.
    pub(super) dir: RunDir,
}

impl Drop for Tested {
    /// It has landed, or is of no use any more: results are kept by what they were made from, and here only logs stay.
    fn drop(&mut self) {
        self.dir.drop_packages();
    }
}

/// How a run ended, for the loop; what people see of it is on record.
pub(super) enum Ended {
    /// All but the votes, perhaps, are there.
    Passed(Box<Tested>),
    /// The infrastructure failed.
    Troubled,
    /// It failed, was stopped, or its base has moved.
    Over,
}

/// Why the stages went no further.
enum Halt {
    /// Something failed; where several did, the first.
    Failed(Box<Failed>),
    /// The run is wanted no more, or its base has moved: it says nothing.
    Over,
}

impl Halt {
    fn of(site: &Site, error: StageError) -> Self {
        failure::of(site, error).map_or(Self::Over, |failed| Self::Failed(Box::new(failed)))
    }
}

/// Does it, and puts its end on record.
pub(super) fn run(runner: &Runner, job: &Job, stop: &StopFlag, pause: SignedDuration) -> Ended {
    crash::point("run.started");
    let recorder = Recorder::new(runner.writer.clone(), job.task.id, job.alive);
    let task = job.task.id;
    let dir = RunDir::of(&runner.paths.tasks(), task, job.alive.try_number, job.alive.iteration);
    let done = catch_unwind(AssertUnwindSafe(|| stages(runner, job, &dir, stop, &recorder)));
    let done = done.unwrap_or_else(|panic| {
        let what = failure::said(&*panic);
        tracing::error!(task.id = task.get(), "the run of task {task} has panicked: {what}");
        let site = Site {
            stage: Stage::Pkgtar,
            subtask: None,
            arch: None,
            log: dir.recorded(dir.path()),
        };
        Err(Halt::of(&site, failure::own_mistake(what)))
    });
    let (outcome, not_before, ended) = match done {
        Ok((tested, outcome)) => (outcome, None, Ended::Passed(Box::new(tested))),
        Err(Halt::Over) => {
            dir.drop_packages();
            return Ended::Over;
        }
        Err(Halt::Failed(failed)) => {
            dir.drop_packages();
            let not_before = failure::not_before(&failed, pause);
            for note in &failed.notes {
                let try_number = recorder.try_number();
                // The end is recorded below, or nothing can be.
                let _ = recorder.say(TaskEvent::Noted {
                    try_number,
                    note: note.clone(),
                });
            }
            let ended = if not_before.is_some() {
                Ended::Troubled
            } else {
                Ended::Over
            };
            (Outcome::Failed(failed.failure), not_before, ended)
        }
    };
    if let Err(error) = recorder.end(outcome, not_before) {
        tracing::error!(task.id = task.get(), %error, "the end of the run of task {task} cannot be recorded: {error}");
        return Ended::Over;
    }
    crash::point("run.ended");
    ended
}

/// One walk through the stages: what all of them need.
struct Walk<'a> {
    runner: &'a Runner,
    job: &'a Job,
    context: Context,
    recorder: &'a Recorder,
    repository: Arc<Repository>,
    content: Arc<Content>,
    /// As they were when the run began: builds and checks see the same.
    bases: Bases,
    /// What failed although the others went on.
    failures: Mutex<Vec<Failed>>,
}

fn stages(
    runner: &Runner,
    job: &Job,
    dir: &RunDir,
    stop: &StopFlag,
    recorder: &Recorder,
) -> Result<(Tested, Outcome), Halt> {
    let site = |stage| Site {
        stage,
        subtask: None,
        arch: None,
        log: dir.recorded(&dir.log(stage, None, None)),
    };
    let first = site(Stage::Pkgtar);
    let repository = runner.repositories.get(&job.task.repository).cloned().ok_or_else(|| {
        let gone = format!("repository {} is not configured any more", job.task.repository);
        Halt::of(&first, StageError::infrastructure(gone))
    })?;
    dir.make().map_err(|error| {
        Halt::of(
            &first,
            StageError::io(&format!("the directory {}", dir.path().display()), &error),
        )
    })?;
    dir.drop_packages_of_others();
    let content = repository.content();
    if content.generation != job.base {
        let differ = format!(
            "{} is at generation {}, and generation {} is on record",
            repository.name(),
            content.generation,
            job.base
        );
        return Err(Halt::of(&first, StageError::infrastructure(differ)));
    }
    let bases = repository
        .bases()
        .map_err(|error| Halt::of(&site(Stage::Build), StageError::infrastructure(error.to_string())))?;
    let walk = Walk {
        runner,
        job,
        context: Context {
            config: Arc::clone(&runner.config),
            paths: runner.paths.clone(),
            task: job.task.id,
            dir: dir.clone(),
            stop: stop.clone(),
        },
        recorder,
        repository,
        content,
        bases,
        failures: Mutex::new(Vec::new()),
    };
    walk.all()
}

impl Walk<'_> {
    fn all(&self) -> Result<(Tested, Outcome), Halt> {
        let sources = self.stage(Stage::Pkgtar, |log| self.pkgtars(log))?;
        let built = self.builds(&sources)?;
        self.settle()?;
        crash::point("stage.build.done");
        let (brought, files) = self.brought(&sources, built);
        self.stage(Stage::CheckBuild, |log| {
            let notes = check_build::run(&brought, log).map_err(|error| self.halt(Stage::CheckBuild, error))?;
            for problem in notes {
                self.note(failure::note(&self.site(Stage::CheckBuild, None, None), problem))?;
            }
            Ok(())
        })?;
        crash::point("stage.check-build.done");
        let plan = self.stage(Stage::RepoPlan, |log| {
            let plan = repo_plan::run(
                &self.context,
                self.repository.name(),
                self.repository.architectures(),
                &self.content,
                &brought,
                log,
            )
            .map_err(|error| self.halt(Stage::RepoPlan, error))?;
            self.say(TaskEvent::Planned {
                try_number: self.job.alive.try_number,
                plan: plan_summary(&plan),
            })?;
            Ok(plan)
        })?;
        crash::point("stage.repo-plan.done");
        let plan = self.stage(Stage::RepoVercheck, |log| self.vercheck(plan, log))?;
        self.stage(Stage::RepoUnmets, |log| {
            let bases = layers::indexes(self.runner, &self.repository, &self.bases)
                .map_err(|error| self.halt(Stage::RepoUnmets, error))?;
            repo_unmets::run(&self.context, &self.content, &plan, &bases, log)
                .map_err(|error| self.halt(Stage::RepoUnmets, error))
        })?;
        crash::point("stage.repo-unmets.done");
        let denied = self.stage(Stage::CheckAcl, |log| self.acl(&plan, log))?;
        crash::point("stage.check-acl.done");
        let outcome = if denied.is_empty() {
            Outcome::Passed
        } else {
            Outcome::Eperm { denied }
        };
        let tested = Tested {
            task: self.job.task.clone(),
            alive: self.job.alive,
            plan,
            files,
            bases: self.bases.clone(),
            dir: self.context.dir.clone(),
        };
        Ok((tested, outcome))
    }
}
