//! Clears away: generations that were replaced long enough ago, packages that no kept generation names, keys that signed none.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;

use jiff::Timestamp;
use windlass_core::event::Event;
use windlass_core::id::{ArchName, Fingerprint, Generation};
use windlass_core::repository::record::{RepositoryEvent, RepositoryRecord};

use super::dirs::source_directory;
use super::keys::Keys;
use super::manifest::Manifest;
use super::{CommitLock, Repository, RepositoryError, files, pool, rpmmd};
use crate::crash;
use crate::writer::Handle;

/// What can be cleared away.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Garbage {
    /// Generations that were replaced long enough ago.
    pub generations: Vec<Generation>,
    /// Package files that no other generation names.
    pub files: Vec<PathBuf>,
    /// How many bytes they come to.
    pub bytes: u64,
}

impl Repository {
    /// What can be cleared away at a moment.
    ///
    /// # Errors
    /// The metadata of a kept generation, or the pool, cannot be read.
    pub fn garbage(&self, record: &RepositoryRecord, now: Timestamp) -> Result<Garbage, RepositoryError> {
        if record.generation == Generation(0) {
            return Err(RepositoryError::NotMade(self.name.clone()));
        }
        let mut garbage = Garbage::default();
        let there = self.dirs.list().map_err(RepositoryError::file(self.dirs.root()))?;
        let mut kept = Vec::new();
        for generation in there {
            if generation < record.generation && self.is_old(generation, record, now) {
                garbage.generations.push(generation);
            } else {
                kept.push(generation);
            }
        }
        let mut directories = self.architectures.clone();
        directories.push(source_directory());
        for directory in directories {
            let named = self.named_by(&kept, &directory)?;
            for (location, path) in pool::list(&self.dirs, &directory)? {
                if named.contains(&location) {
                    continue;
                }
                // A noarch package has several names and is there once.
                garbage.bytes += path.metadata().map_or(0, |meta| meta.len());
                garbage.files.push(path);
            }
        }
        Ok(garbage)
    }

    /// Whether a generation was replaced longer ago than they are kept.
    fn is_old(&self, generation: Generation, record: &RepositoryRecord, now: Timestamp) -> bool {
        let replaced = record.log.iter().find(|entry| entry.generation > generation);
        let collected = record
            .log
            .iter()
            .any(|entry| entry.generation == generation && entry.collected);
        let is_known = record.log.iter().any(|entry| entry.generation == generation);
        // Never shorter than metadata is carried, the configuration sees to that: clients that read an old `repomd.xml` through
        // `current` also fetch its packages.
        let keep = self.settings.keep.signed();
        // One that was collected and is there was left by a crash. What the journal does not know is not ours to remove.
        collected || (is_known && replaced.is_some_and(|entry| now.duration_since(entry.at) > keep))
    }

    /// The places in the pool that generations name, of one directory.
    pub(super) fn named_by(
        &self,
        generations: &[Generation],
        directory: &ArchName,
    ) -> Result<BTreeSet<String>, RepositoryError> {
        let (mut seen, mut named) = (BTreeSet::new(), BTreeSet::new());
        for generation in generations {
            let path = self.dirs.generation(*generation).join(directory.as_str());
            if path.is_dir() {
                named.extend(
                    rpmmd::listed(&path, &mut seen)?
                        .into_iter()
                        .map(|artifact| artifact.location),
                );
            }
        }
        Ok(named)
    }

    /// Clears away. First it goes on record, then it is removed: what a crash leaves is removed the next time.
    ///
    /// # Errors
    /// The journal or the disk cannot be written.
    pub fn collect(
        &self,
        _lock: &CommitLock,
        writer: &Handle,
        record: &RepositoryRecord,
        now: Timestamp,
        more: Vec<Event>,
    ) -> Result<Garbage, RepositoryError> {
        self.check_known(record)?;
        let garbage = self.garbage(record, now)?;
        let mut events = Vec::new();
        let is_new = |generation: &&Generation| {
            !record
                .log
                .iter()
                .any(|entry| entry.generation == **generation && entry.collected)
        };
        let generations: Vec<Generation> = garbage.generations.iter().filter(is_new).copied().collect();
        if !generations.is_empty() {
            events.push(Event::Repository {
                repository: self.name.clone(),
                event: RepositoryEvent::Collected { generations },
            });
        }
        events.extend(more);
        if !events.is_empty() {
            writer.call_blocking(move |state| state.append(&events, now))?;
        }
        crash::point("gc.recorded");
        self.remove_generations(&garbage.generations)?;
        crash::point("gc.generations");
        for (at, file) in garbage.files.iter().enumerate() {
            pool::remove(file)?;
            if at == 0 {
                crash::point("gc.files");
            }
        }
        self.tidy_keys()?;
        Ok(garbage)
    }

    /// Removes generations. Each leaves the others in one step: nobody ever finds a part of one among them. What a crash leaves of
    /// it in the staging directory is removed by whoever recovers.
    fn remove_generations(&self, generations: &[Generation]) -> Result<(), RepositoryError> {
        if generations.is_empty() {
            return Ok(());
        }
        let staging = self.clear_staging()?;
        for (at, generation) in generations.iter().enumerate() {
            let place = self.dirs.generation(*generation);
            let aside = staging.join(generation.to_string());
            match std::fs::rename(&place, &aside) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                other => other.map_err(RepositoryError::file(&place))?,
            }
            if at == 0 {
                crash::point("gc.aside");
            }
            files::remove(&aside).map_err(RepositoryError::file(&aside))?;
        }
        files::remove(&staging).map_err(RepositoryError::file(&staging))
    }

    /// Clears away what there is by now, unless somebody changes the repository at this moment; says what it was.
    ///
    /// # Errors
    /// See [`Repository::collect`].
    pub fn clear_away(&self, writer: &Handle) -> Result<Garbage, RepositoryError> {
        if self.current()?.is_none() {
            return Ok(Garbage::default());
        }
        let lock = match self.try_lock() {
            Err(RepositoryError::Busy(_)) => return Ok(Garbage::default()),
            other => other?,
        };
        let name = self.name.clone();
        let record = writer.call_blocking(move |state| Ok(state.world().repository(&name).cloned()))?;
        self.collect(&lock, writer, &record.unwrap_or_default(), Timestamp::now(), Vec::new())
    }

    /// The key that the newest generation is signed with.
    pub(super) fn key_in_use(&self) -> Result<Option<Fingerprint>, RepositoryError> {
        match self.current()? {
            None => Ok(None),
            Some(generation) => Ok(Some(Manifest::read(&self.dirs.generation(generation))?.key)),
        }
    }

    /// Removes secret keys that are not in use, and public ones that no kept generation is signed with.
    pub(super) fn tidy_keys(&self) -> Result<(), RepositoryError> {
        let keys = Keys::of(&self.dirs);
        let Some(in_use) = self.key_in_use()? else {
            return Ok(());
        };
        if keys.list()?.len() > 1 {
            let mut wanted = BTreeSet::new();
            for generation in self.dirs.list().map_err(RepositoryError::file(self.dirs.root()))? {
                wanted.insert(Manifest::read(&self.dirs.generation(generation))?.key);
            }
            keys.forget(&in_use, &wanted)?;
        }
        keys.publish(&self.dirs, &in_use)
    }
}
