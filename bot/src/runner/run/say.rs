//! What a walk through the stages says of itself: on record, in its logs, and how it fails.

use std::sync::PoisonError;
use std::time::Instant;

use windlass_core::id::{ArchName, SubtaskNumber};
use windlass_core::task::{Fault, Note, OnFailure, Stage, TaskEvent};

use super::super::failure::{self, Site};
use super::{Halt, Walk};
use crate::stages::{StageError, StageLog};

impl Walk<'_> {
    pub(super) fn site(&self, stage: Stage, subtask: Option<SubtaskNumber>, arch: Option<&ArchName>) -> Site {
        let dir = &self.context.dir;
        Site {
            stage,
            subtask,
            arch: arch.cloned(),
            log: dir.recorded(&dir.log(stage, subtask, arch)),
        }
    }

    pub(super) fn halt(&self, stage: Stage, error: StageError) -> Halt {
        Halt::of(&self.site(stage, None, None), error)
    }

    pub(super) fn say(&self, event: TaskEvent) -> Result<(), Halt> {
        self.recorder
            .say(event)
            .map_err(|error| self.halt(Stage::Pkgtar, error))
    }

    pub(super) fn note(&self, note: Note) -> Result<(), Halt> {
        let try_number = self.job.alive.try_number;
        self.say(TaskEvent::Noted { try_number, note })
    }

    /// Runs a stage with its log, and says when it begins and passes.
    pub(super) fn stage<T>(
        &self,
        stage: Stage,
        work: impl FnOnce(&mut StageLog) -> Result<T, Halt>,
    ) -> Result<T, Halt> {
        self.context.go_on().map_err(|error| self.halt(stage, error))?;
        let began = Instant::now();
        let try_number = self.job.alive.try_number;
        self.say(TaskEvent::StageStarted {
            try_number,
            stage,
            arch: None,
        })?;
        let mut log = self
            .context
            .log(stage, None, None)
            .map_err(|error| self.halt(stage, error))?;
        let done = work(&mut log);
        if let Err(Halt::Failed(failed)) = &done {
            log.line(failed.failure.message.as_str());
            if let Some(hint) = &failed.failure.hint {
                log.line(format!("hint: {hint}"));
            }
            for note in &failed.notes {
                log.line(note.text.as_str());
            }
        }
        let done = done?;
        self.say(TaskEvent::StageFinished {
            try_number,
            stage,
            arch: None,
            ms: Some(millis(began)),
        })?;
        Ok(done)
    }

    /// Keeps a failure: the run ends with it, at once or after the others were tried.
    pub(super) fn failed(&self, site: &Site, error: StageError) -> Result<(), Halt> {
        let Some(failed) = failure::of(site, error) else {
            return Err(Halt::Over);
        };
        if self.job.run.on_failure == OnFailure::Early {
            return Err(Halt::Failed(Box::new(failed)));
        }
        self.say(TaskEvent::SubtaskFailed {
            try_number: self.job.alive.try_number,
            failure: failed.failure.clone(),
        })?;
        self.failures
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(failed);
        Ok(())
    }

    /// Ends the run where something failed and the others went on.
    pub(super) fn settle(&self) -> Result<(), Halt> {
        let mut failures = std::mem::take(&mut *self.failures.lock().unwrap_or_else(PoisonError::into_inner));
        // What is the package's fault is so whatever else there was.
        failures.sort_by_key(|failed| {
            let infrastructure = failed.failure.fault == Fault::Infrastructure;
            (infrastructure, failed.failure.subtask, failed.failure.arch.clone())
        });
        match failures.into_iter().next() {
            Some(first) => Err(Halt::Failed(Box::new(first))),
            None => Ok(()),
        }
    }
}

pub(super) fn millis(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)
}
