//! What the subtasks are built from: tags judged once more and exported, source packages taken apart, packages found elsewhere.

use std::collections::BTreeMap;

use windlass_core::id::{ArchName, ObjectId, SubtaskNumber};
use windlass_core::task::{Action, Archive, Note, Stage, Subtask, TaskEvent};

use super::super::{copies, judge};
use super::{Halt, Walk};
use crate::crash;
use crate::repository::source_directory;
use crate::stages::build::BuildOrder;
use crate::stages::pkgtar::PkgTarOrder;
use crate::stages::{StageError, StageLog, pkgtar, rebuild};

/// What a subtask is built from.
pub(super) enum Source {
    /// An archive.
    Archive {
        order: Box<BuildOrder>,
        tag: Option<ObjectId>,
    },
    /// Packages that are there.
    Copied(BTreeMap<ArchName, copies::Copied>),
    /// Nothing: it goes.
    Removal,
}

impl Walk<'_> {
    pub(super) fn pkgtars(&self, log: &mut StageLog) -> Result<BTreeMap<SubtaskNumber, Source>, Halt> {
        judge::tags(self.runner, &self.job.task).map_err(|error| self.halt(Stage::Pkgtar, error))?;
        log.line("every tag is good");
        let mut sources = BTreeMap::new();
        for subtask in &self.job.task.subtasks {
            match self.source_of(subtask, log) {
                Ok(source) => {
                    sources.insert(subtask.number, source);
                }
                Err(error) => self.failed(&self.site(Stage::Pkgtar, Some(subtask.number), None), error)?,
            }
        }
        crash::point("stage.pkgtar.done");
        Ok(sources)
    }

    fn source_of(&self, subtask: &Subtask, log: &mut StageLog) -> Result<Source, StageError> {
        let (number, dir) = (subtask.number, &self.context.dir);
        log.line(format!(
            "subtask {number}: {}",
            windlass_core::reply::task::what_it_does(&subtask.action)
        ));
        match &subtask.action {
            Action::Build { source, object, .. } => {
                let order = PkgTarOrder {
                    subtask: number,
                    git_dir: self.runner.paths.git().join(source.as_str()),
                    tag: object.clone(),
                    kept: pkgtar::kept(&self.runner.paths),
                    out: dir.pkgtar(number),
                };
                let made = pkgtar::run(&order, &self.context.stop, log)?;
                let evr = evr_of(&made.about);
                self.archived(
                    number,
                    &made.about.sha256,
                    made.about.name.as_ref().map(|name| name.text.clone()),
                    evr,
                )?;
                for text in &made.about.notes {
                    self.recorder.say(TaskEvent::Noted {
                        try_number: self.job.alive.try_number,
                        note: Note {
                            stage: Stage::Pkgtar,
                            subtask: Some(number),
                            arch: None,
                            text: text.clone(),
                        },
                    })?;
                }
                Ok(Source::Archive {
                    order: Box::new(self.order(number, made.about.sha256, made.about.spec, None)),
                    tag: Some(object.clone()),
                })
            }
            Action::Rebuild { package } => {
                let made = rebuild::run(&self.repository, &self.content, package, &dir.pkgtar(number))?;
                log.line(format!("{} is built once more", made.evr));
                self.archived(number, &made.sha256, Some(package.to_string()), Some(made.evr))?;
                let name = self.repository.name().clone();
                let package = package.to_string();
                let releases = self
                    .runner
                    .writer
                    .call_blocking(move |state| {
                        let record = state.world().repository(&name);
                        Ok(record
                            .and_then(|record| record.releases.get(&package))
                            .map_or(0, BTreeMap::len))
                    })
                    .map_err(|error| StageError::infrastructure(error.to_string()))?;
                // How many releases of it there ever were: it grows with each that lands.
                let dist = Some(format!(".{releases}"));
                Ok(Source::Archive {
                    order: Box::new(self.order(number, made.sha256, made.spec, dist)),
                    tag: None,
                })
            }
            Action::Remove { .. } => Ok(Source::Removal),
            Action::Copy { package, from } => {
                let copied = copies::run(self.runner, self.repository.architectures(), number, package, from)?;
                for (arch, copied) in &copied {
                    self.recorder.say(TaskEvent::Built {
                        try_number: self.job.alive.try_number,
                        subtask: number,
                        arch: arch.clone(),
                        outcome: copied.outcome(),
                    })?;
                }
                Ok(Source::Copied(copied))
            }
        }
    }

    fn archived(
        &self,
        subtask: SubtaskNumber,
        sha256: &str,
        package: Option<String>,
        evr: Option<String>,
    ) -> Result<(), StageError> {
        self.recorder.say(TaskEvent::Archived {
            try_number: self.job.alive.try_number,
            subtask,
            archive: Archive {
                sha256: sha256.to_owned(),
                package,
                evr,
            },
        })
    }

    /// What is ordered of a subtask, on no architecture yet.
    fn order(&self, subtask: SubtaskNumber, sha256: String, spec: String, dist: Option<String>) -> BuildOrder {
        let nowhere = self
            .repository
            .architectures()
            .first()
            .cloned()
            .unwrap_or_else(source_directory);
        BuildOrder {
            subtask,
            log: self.context.dir.log(Stage::Build, Some(subtask), Some(&nowhere)),
            out: self.context.dir.built(subtask, &nowhere),
            arch: nowhere,
            pkgtar: self.context.dir.pkgtar(subtask),
            pkgtar_sha256: sha256,
            spec,
            dist,
            layers: Vec::new(),
        }
    }
}

fn evr_of(about: &pkgtar::About) -> Option<String> {
    let certain = |told: &Option<pkgtar::Told>| told.as_ref().filter(|told| told.certain).map(|told| told.text.clone());
    let (version, release) = (certain(&about.version)?, certain(&about.release)?);
    let epoch = certain(&about.epoch).filter(|epoch| epoch != "0");
    Some(epoch.map_or_else(
        || format!("{version}-{release}"),
        |epoch| format!("{epoch}:{version}-{release}"),
    ))
}
