//! Builds: architectures side by side, on each the subtasks in their order, what was built before first in the build root.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use windlass_core::escape::escaped;
use windlass_core::id::{ArchName, SubtaskNumber};
use windlass_core::repository::ArchResult;
use windlass_core::task::{ArchOutcome, Stage, TaskEvent};

use super::super::layers;
use super::say::millis;
use super::sources::Source;
use super::{Halt, Walk};
use crate::stages::build::{self, BuildOrder, BuildOutcome, Layer};

/// What was built, by subtask and architecture.
pub(super) type Built = BTreeMap<(SubtaskNumber, ArchName), BuildOutcome>;

impl Walk<'_> {
    /// Builds on all architectures, side by side; on each in the order of the subtasks.
    pub(super) fn builds(&self, sources: &BTreeMap<SubtaskNumber, Source>) -> Result<Built, Halt> {
        let wanted = sources.values().any(|source| matches!(source, Source::Archive { .. }));
        if !wanted {
            return Ok(Built::new());
        }
        let arches = self.repository.architectures();
        let results: Vec<Result<Vec<(SubtaskNumber, BuildOutcome)>, Halt>> = std::thread::scope(|scope| {
            let threads: Vec<_> = arches
                .iter()
                .map(|arch| {
                    scope.spawn(move || {
                        let done = self.builds_on(arch, sources);
                        if done.is_err() {
                            // The others are of no use any more.
                            self.context.stop.set();
                        }
                        done
                    })
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect()
        });
        let mut built = Built::new();
        let mut over = false;
        let mut failures = Vec::new();
        for (arch, result) in arches.iter().zip(results) {
            match result {
                Ok(outcomes) => built.extend(
                    outcomes
                        .into_iter()
                        .map(|(subtask, outcome)| ((subtask, arch.clone()), outcome)),
                ),
                Err(Halt::Over) => over = true,
                Err(Halt::Failed(failed)) => failures.push(*failed),
            }
        }
        self.failures
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(failures);
        self.settle()?;
        if over { Err(Halt::Over) } else { Ok(built) }
    }

    fn builds_on(
        &self,
        arch: &ArchName,
        sources: &BTreeMap<SubtaskNumber, Source>,
    ) -> Result<Vec<(SubtaskNumber, BuildOutcome)>, Halt> {
        let (began, try_number) = (Instant::now(), self.job.alive.try_number);
        let stage = Stage::Build;
        self.say(TaskEvent::StageStarted {
            try_number,
            stage,
            arch: Some(arch.clone()),
        })?;
        self.recorder.flush().map_err(|error| self.halt(stage, error))?;
        let layers = layers::layers(&self.repository, &self.content, &self.bases, arch);
        let mut own = layers::Own::default();
        let mut outcomes = Vec::new();
        for (number, source) in sources {
            match source {
                Source::Removal => {}
                Source::Copied(copied) => {
                    if let Some(copied) = copied.get(arch) {
                        own.add(copied.packages(), copied.files());
                    }
                }
                Source::Archive { order, .. } => {
                    let order = BuildOrder {
                        arch: arch.clone(),
                        log: self.context.dir.log(stage, Some(*number), Some(arch)),
                        out: self.context.dir.built(*number, arch),
                        layers: own
                            .layer()
                            .into_iter()
                            .chain(layers.iter().cloned())
                            .collect::<Vec<Layer>>(),
                        ..BuildOrder::clone(order)
                    };
                    match build::run(&self.runner.builder, &order, &self.context.stop) {
                        Ok(outcome) => {
                            self.built(*number, arch, &outcome)?;
                            if let ArchResult::Built { binaries, .. } = &outcome.result {
                                own.add(
                                    binaries.iter().map(|header| Arc::clone(&header.package)),
                                    outcome.files.clone(),
                                );
                            }
                            outcomes.push((*number, outcome));
                        }
                        Err(error) => self.failed(&self.site(stage, Some(*number), Some(arch)), error)?,
                    }
                }
            }
        }
        self.say(TaskEvent::StageFinished {
            try_number,
            stage,
            arch: Some(arch.clone()),
            ms: Some(millis(began)),
        })?;
        Ok(outcomes)
    }

    fn built(&self, subtask: SubtaskNumber, arch: &ArchName, outcome: &BuildOutcome) -> Result<(), Halt> {
        let took: u128 = outcome.timings.iter().map(|(_, time)| time.as_millis()).sum();
        let result = match &outcome.result {
            ArchResult::Built { source, binaries } => ArchOutcome::Built {
                key: outcome.key.clone(),
                reused: outcome.reused,
                packages: std::iter::once(source)
                    .chain(binaries)
                    .map(|header| escaped(&header.package.nevra()))
                    .collect(),
                log: self.context.dir.recorded(&outcome.log),
                ms: u64::try_from(took).unwrap_or(u64::MAX),
            },
            ArchResult::Excluded { why } => ArchOutcome::Excluded { why: escaped(why) },
        };
        self.say(TaskEvent::Built {
            try_number: self.job.alive.try_number,
            subtask,
            arch: arch.clone(),
            outcome: result,
        })
    }
}
