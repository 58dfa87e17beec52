//! After a crash: `current` decides. What it names was made; everything else of a change that was begun is taken back.

use std::path::{Component, PathBuf};
use std::sync::Arc;

use windlass_core::id::Generation;
use windlass_core::repository::record::{Changing, RepositoryRecord};

use super::incoming::POOLED;
use super::keys::Keys;
use super::manifest::{Manifest, seal_on_disk};
use super::{CommitLock, Repository, RepositoryError, Switched, files, pool};

/// The most that is read of the list of what is new in the pool.
const LARGEST: u64 = 64 << 20;

/// What became of a change that a crash cut off.
#[derive(Debug, Clone)]
pub enum Recovered {
    /// None was cut off.
    Nothing,
    /// `current` moved: the change was made, and only its record is missing.
    Finished(Box<Switched>),
    /// It was not made, and nothing is left of it.
    Undone(Changing),
}

impl Repository {
    /// Finds out what became of a change that the journal says was begun, and removes what is left of one that was not made.
    ///
    /// # Errors
    /// The disk cannot be read or written; or somebody else wrote there.
    pub fn recover(&self, _lock: &CommitLock, record: &RepositoryRecord) -> Result<Recovered, RepositoryError> {
        let link = self.dirs.root().join(".current.new");
        files::remove(&link).map_err(RepositoryError::file(&link))?;
        for directory in [self.dirs.root(), self.dirs.keys()] {
            files::sweep(directory).map_err(RepositoryError::file(directory))?;
        }
        let recovered = match &record.changing {
            None => Recovered::Nothing,
            Some(changing) => {
                if let Some(switched) = self.finished(changing)? {
                    Recovered::Finished(Box::new(switched))
                } else {
                    self.undo(changing.generation)?;
                    Recovered::Undone(changing.clone())
                }
            }
        };
        let staging = self.dirs.staging();
        files::remove(&staging).map_err(RepositoryError::file(&staging))?;
        if record.generation == Generation(0) && self.current()?.is_none() {
            // Of a repository that was never made nobody knows a key.
            Keys::of(&self.dirs).discard_all(&self.dirs)?;
        }
        self.tidy_keys()?;
        Ok(recovered)
    }

    /// The change that was begun, if `current` names what it made.
    fn finished(&self, changing: &Changing) -> Result<Option<Switched>, RepositoryError> {
        if self.current()? != Some(changing.generation) {
            return Ok(None);
        }
        let directory = self.dirs.generation(changing.generation);
        let manifest = Manifest::read(&directory)?;
        if manifest.cause != changing.cause || manifest.seal != seal_on_disk(&directory)? {
            return Err(self.foreign(&format!(
                "generation {} is not the one that was begun",
                changing.generation
            )));
        }
        self.reload()?;
        Ok(Some(Switched::new(manifest, self.content(), (0, 0))))
    }

    pub(super) fn current(&self) -> Result<Option<Generation>, RepositoryError> {
        let current = self.dirs.current();
        self.dirs.read_current().map_err(RepositoryError::file(&current))
    }

    /// Takes back what was prepared of a generation that `current` does not name.
    ///
    /// # Errors
    /// `current` names it, or the disk cannot be written.
    pub fn undo(&self, generation: Generation) -> Result<(), RepositoryError> {
        if self.current()? == Some(generation) {
            return Err(RepositoryError::Plan(format!(
                "generation {generation} is the newest: it cannot be taken back"
            )));
        }
        let directory = self.dirs.generation(generation);
        files::remove(&directory).map_err(RepositoryError::file(&directory))?;
        let list = self.dirs.staging().join(POOLED);
        if list.exists() {
            let text = files::read_at_most(&list, LARGEST).map_err(RepositoryError::file(&list))?;
            // One that was cut off in the middle: then nothing is in the pool yet.
            let places: Vec<PathBuf> = serde_json::from_str(&text).unwrap_or_default();
            for place in places {
                if place.components().all(|part| matches!(part, Component::Normal(_))) {
                    pool::remove(&self.dirs.root().join(place))?;
                }
            }
        }
        let staging = self.dirs.staging();
        files::remove(&staging).map_err(RepositoryError::file(&staging))?;
        let link = self.dirs.root().join(".current.new");
        files::remove(&link).map_err(RepositoryError::file(&link))
    }

    /// Holds `current` against what the journal knows: somebody else who writes there is noticed before anything is lost.
    ///
    /// # Errors
    /// They differ, with the way out; or the disk cannot be read.
    pub fn check_known(&self, record: &RepositoryRecord) -> Result<(), RepositoryError> {
        let current = self.current()?.unwrap_or_default();
        if current != record.generation {
            return Err(self.foreign(&format!(
                "'current' is generation {current}, and the journal knows {} as the newest",
                record.generation
            )));
        }
        let seal = match current {
            Generation(0) => None,
            current => Some(seal_on_disk(&self.dirs.generation(current))?),
        };
        if seal != record.seal {
            return Err(self.foreign(&format!(
                "generation {current} is not as the journal knows it: its seal differs"
            )));
        }
        let newest = self.dirs.list().map_err(RepositoryError::file(self.dirs.root()))?.pop();
        match newest {
            Some(newest) if newest > record.generation => Err(self.foreign(&format!(
                "there is a generation {newest}, and the journal knows {} as the newest",
                record.generation
            ))),
            _ => Ok(()),
        }
    }

    pub(super) fn foreign(&self, what: &str) -> RepositoryError {
        let name = &self.name;
        RepositoryError::Foreign(format!(
            "somebody else writes to repository {name}: {what}\n\nhint: find out who (a second bot, a restored backup) and stop it; then `windlass repo rollback N --take-over -b {name}`\n      makes a new generation with the content of generation N, and moves what is unknown aside"
        ))
    }

    /// Reads what `current` consists of.
    pub(super) fn reload(&self) -> Result<(), RepositoryError> {
        let content = match self.current()? {
            None => self.empty(),
            Some(generation) => self.read_generation(generation)?,
        };
        self.set_content(Arc::new(content));
        Ok(())
    }
}
