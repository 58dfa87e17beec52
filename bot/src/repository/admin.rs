//! What an administrator does with a repository: make it, take packages in, go back, sign with another key, clear away.
//!
//! Each plans first, as a value that `--dry-run` shows, and then makes one generation through [`change()`].

use windlass_core::id::{Generation, UserName};
use windlass_core::repository::Content;
use windlass_core::repository::record::{Cause, RepositoryRecord};

use super::keys::Keys;
use super::manifest::{Manifest, seal_on_disk};
use super::plans::{Signatures, counts};
use super::{Change, CommitLock, Files, Repository, RepositoryError, Story, Switched, change, files};
use crate::writer::Handle;

/// What is meant by a change of an administrator's, before it is made.
#[derive(Debug)]
pub struct Meant {
    /// The generation that it assumes.
    pub base: Generation,
    /// How many package files come, all directories together.
    pub added: usize,
    /// How many go.
    pub removed: usize,
    pub(super) change: Change,
    pub(super) cause: Cause,
}

impl Meant {
    pub(super) fn new(change: Change, cause: Cause) -> Self {
        let (added, removed) = counts(&change.plan);
        Self {
            base: change.plan.base,
            added,
            removed,
            change,
            cause,
        }
    }
}

impl Repository {
    /// Makes the repository: its first key, and a first generation without packages.
    ///
    /// # Errors
    /// There is one already, or the disk does not take it.
    pub fn init(
        &self,
        lock: &CommitLock,
        writer: &Handle,
        by: &UserName,
        story: impl FnOnce(Story) -> Story,
    ) -> Result<Switched, RepositoryError> {
        self.is_not_made()?;
        let keys = Keys::of(&self.dirs);
        let key = keys.generate(&self.name, jiff::Timestamp::now())?;
        let cause = Cause::Init { by: by.clone() };
        let meant = Change {
            key: Some(key.clone()),
            ..Change::new(self.no_plan(), Files::default())
        };
        let made = change(self, lock, writer, &meant, story(Story::new(cause)));
        if made.is_err() {
            keys.discard(&key)?;
        }
        made
    }

    /// Refuses where there is a generation.
    ///
    /// # Errors
    /// There is one.
    pub fn is_not_made(&self) -> Result<(), RepositoryError> {
        match self.current()? {
            None => Ok(()),
            Some(generation) => Err(RepositoryError::Made(self.name.clone(), generation)),
        }
    }

    /// Makes what is meant: one generation.
    ///
    /// # Errors
    /// See [`change()`].
    pub fn make(
        &self,
        lock: &CommitLock,
        writer: &Handle,
        meant: Meant,
        story: impl FnOnce(Story) -> Story,
    ) -> Result<Switched, RepositoryError> {
        change(self, lock, writer, &meant.change, story(Story::new(meant.cause)))
    }

    /// What going back means: a new generation with the content of an old one.
    ///
    /// # Errors
    /// That generation is not kept, or cannot be read.
    pub fn meant_rollback(&self, to: Generation, by: &UserName) -> Result<Meant, RepositoryError> {
        let wanted = self.kept(to)?;
        let newest = Manifest::read(&self.dirs.generation(self.content().generation))?;
        let signatures = if Manifest::read(&self.dirs.generation(to))?.key == newest.key {
            Signatures::Good
        } else {
            Signatures::Renewed
        };
        let (plan, files) = self.plan_to(&wanted, signatures)?;
        let cause = Cause::Rollback { by: by.clone(), to };
        Ok(Meant::new(Change::new(plan, files), cause))
    }

    /// The content of a generation that is kept.
    ///
    /// # Errors
    /// It is not.
    pub fn kept(&self, generation: Generation) -> Result<Content, RepositoryError> {
        let newest = self.content();
        if newest.generation == Generation(0) {
            return Err(RepositoryError::NotMade(self.name.clone()));
        }
        if generation == newest.generation {
            return Ok(Content::clone(&newest));
        }
        let kept = self.dirs.list().map_err(RepositoryError::file(self.dirs.root()))?;
        if !kept.contains(&generation) || generation > newest.generation {
            let oldest = kept.first().copied().unwrap_or_default();
            let text = format!("generation {generation} of repository {} is not kept", self.name);
            return Err(windlass_core::refusal::Refusal::new("no_generation", text)
                .hint(format!(
                    "{oldest} to {} are there: windlass repo log -b {}",
                    newest.generation, self.name
                ))
                .into());
        }
        self.read_generation(generation)
    }

    /// What another key means: every package is signed anew.
    ///
    /// # Errors
    /// The repository was not made, or the key cannot be.
    pub fn meant_rotation(&self, by: &UserName) -> Result<Meant, RepositoryError> {
        let content = self.content();
        if content.generation == Generation(0) {
            return Err(RepositoryError::NotMade(self.name.clone()));
        }
        let (plan, files) = self.plan_to(&content, Signatures::Renewed)?;
        Ok(Meant::new(Change::new(plan, files), Cause::Resign { by: by.clone() }))
    }

    /// Makes a new key and signs everything with it. The secret half of the old one is removed; its public half stays among
    /// those that clients get, as long as a generation that it signed is kept.
    ///
    /// # Errors
    /// See [`change()`]; the old key is then still in use.
    pub fn rotate(
        &self,
        lock: &CommitLock,
        writer: &Handle,
        mut meant: Meant,
        story: impl FnOnce(Story) -> Story,
    ) -> Result<Switched, RepositoryError> {
        let keys = Keys::of(&self.dirs);
        let key = keys.generate(&self.name, jiff::Timestamp::now())?;
        meant.change.key = Some(key.clone());
        match self.make(lock, writer, meant, story) {
            Ok(switched) => {
                self.tidy_keys()?;
                Ok(switched)
            }
            Err(error) => {
                // Where the switch happened all the same, it is in use.
                let in_use = self.key_in_use()?;
                if in_use.as_ref() != Some(&key) {
                    keys.discard(&key)?;
                    if let Some(in_use) = &in_use {
                        keys.publish(&self.dirs, in_use)?;
                    }
                }
                Err(error)
            }
        }
    }

    /// Takes the repository over from somebody else who wrote to it: what the journal does not know is moved aside, and `current`
    /// goes to a generation that it does know, from which the next one is made.
    ///
    /// # Errors
    /// That generation is not kept, or is not as the journal knows it either.
    pub fn take_over(
        &self,
        _lock: &CommitLock,
        record: &RepositoryRecord,
        to: Generation,
    ) -> Result<Vec<String>, RepositoryError> {
        let known = record.log.iter().find(|entry| entry.generation == to);
        let place = self.dirs.generation(to);
        let Some(known) = known.filter(|_| place.is_dir()) else {
            let text = format!(
                "generation {to} of repository {} is not kept, or not on record",
                self.name
            );
            return Err(windlass_core::refusal::Refusal::new("no_generation", text)
                .hint(format!("windlass repo log -b {} says which are", self.name))
                .into());
        };
        if seal_on_disk(&place)? != known.seal {
            return Err(RepositoryError::Damaged(format!(
                "generation {to} is not as the journal knows it\n\nhint: choose an older one: windlass repo log -b {}",
                self.name
            )));
        }
        self.point_current_to(to)?;
        let mut aside = Vec::new();
        let generations = self.dirs.generations();
        for generation in self.dirs.list().map_err(RepositoryError::file(&generations))? {
            let place = self.dirs.generation(generation);
            let seal = record.log.iter().find(|entry| entry.generation == generation);
            if seal.is_some_and(|entry| seal_on_disk(&place).is_ok_and(|found| found == entry.seal)) {
                continue;
            }
            let stamp = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
            let new = generations.join(format!("{generation}.unknown-{stamp}"));
            std::fs::rename(&place, &new).map_err(RepositoryError::file(&place))?;
            aside.push(new.display().to_string());
        }
        files::sync_directory(&generations).map_err(RepositoryError::file(&generations))?;
        self.reload()?;
        Ok(aside)
    }
}
