//! Prepares a generation beside the others: until `current` moves, no client sees anything of it.
//!
//! Flow: packages are signed under temporary names → what will be new in the pool is written down, so that whoever comes after
//! a crash can take it out again → they get their places in the pool → metadata, from that of the generation before → seal and
//! manifest, signed → all of it gets the generation's name. Everything is on disk before the next step begins.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use windlass_core::id::{ArchName, Fingerprint, Generation};
use windlass_core::repository::record::Cause;
use windlass_core::repository::{ArchPlan, Content, Plan};

use super::describe::{sign_file, write_manifest};
use super::dirs::source_directory;
use super::incoming::{Files, Section};
use super::keys::Keys;
use super::manifest::Manifest;
use super::{CommitLock, Repository, RepositoryError, files};
use crate::crash;
use crate::journal::Head;

/// What is to become of a repository.
#[derive(Debug, Clone)]
pub struct Change {
    /// What comes and what goes.
    pub plan: Plan,
    /// Where the files are of what comes.
    pub files: Files,
    /// The key to sign with, where it is another one than that of the generation before.
    pub key: Option<Fingerprint>,
    /// The advisories, as XML; those of the generation before stay where none are given.
    pub updateinfo: Option<Vec<u8>>,
}

impl Change {
    /// What a plan says.
    pub fn new(plan: Plan, files: Files) -> Self {
        Self {
            plan,
            files,
            key: None,
            updateinfo: None,
        }
    }
}

/// What a generation is marked with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// Its number.
    pub generation: Generation,
    /// Why it is made.
    pub cause: Cause,
    /// The journal's head, with the row that says that it is begun.
    pub journal: Head,
    /// When.
    pub now: Timestamp,
}

/// A generation that is ready: nothing but the switch is missing.
#[derive(Debug)]
pub struct Prepared {
    pub(super) manifest: Manifest,
    pub(super) content: Arc<Content>,
    /// How many members of metadata were compressed, and how many copied.
    pub(super) members: (usize, usize),
}

impl Repository {
    /// Prepares a generation. On an error the caller takes back what was done ([`Repository::undo`]).
    ///
    /// # Errors
    /// See [`RepositoryError`]; no client saw anything.
    pub fn prepare(&self, lock: &CommitLock, change: &Change, stamp: &Stamp) -> Result<Prepared, RepositoryError> {
        let base = self.content();
        self.fits(lock, &change.plan, &base, stamp)?;
        let keys = Keys::of(&self.dirs);
        let before = match base.generation {
            Generation(0) => None,
            generation => Some(self.dirs.generation(generation)),
        };
        let key = match (&change.key, &before) {
            (Some(key), _) => key.clone(),
            (None, Some(before)) => Manifest::read(before)?.key,
            (None, None) => return Err(RepositoryError::NotMade(self.name.clone())),
        };
        let signer = keys.signer(&key)?;
        let staging = self.clear_staging()?;
        crash::point("commit.staged");
        let sections = self.sign_all(change, &signer, &staging, stamp)?;
        crash::point("commit.signed");
        self.fill_pool(&sections, &staging)?;
        crash::point("commit.pooled");
        let directory = staging.join("generation");
        files::make_directory(&directory).map_err(RepositoryError::file(&directory))?;
        let mut written = BTreeMap::new();
        for section in &sections {
            let result = self.write_metadata(section, before.as_deref(), &directory, change, stamp)?;
            written.insert(section.name.clone(), result);
        }
        crash::point("commit.metadata");
        self.carry(base.generation, &directory, stamp.now)?;
        for section in &sections {
            let repomd = directory.join(section.name.as_str()).join("repodata/repomd.xml");
            sign_file(&repomd, &signer, stamp.now)?;
        }
        let manifest = self.manifest(change, stamp, key, &written);
        write_manifest(&manifest, &directory, &signer, stamp.now)?;
        crash::point("commit.sealed");
        keys.publish(&self.dirs, &manifest.key)?;
        let generations = self.dirs.generations();
        files::make_directory(&generations).map_err(RepositoryError::file(&generations))?;
        let place = self.dirs.generation(stamp.generation);
        std::fs::rename(&directory, &place).map_err(RepositoryError::file(&place))?;
        for directory in [&generations, self.dirs.root()] {
            files::sync_directory(directory).map_err(RepositoryError::file(directory))?;
        }
        crash::point("commit.prepared");
        let content = content_with(&base, &change.plan, &sections, stamp.generation);
        let members = written
            .values()
            .fold((0, 0), |sum, one| (sum.0 + one.compressed, sum.1 + one.copied));
        Ok(Prepared {
            manifest,
            content: Arc::new(content),
            members,
        })
    }

    fn fits(&self, lock: &CommitLock, plan: &Plan, base: &Content, stamp: &Stamp) -> Result<(), RepositoryError> {
        if *lock.repository() != self.name || plan.repository != self.name {
            return Err(RepositoryError::Plan("it is for another repository".to_owned()));
        }
        if plan.base != base.generation {
            return Err(RepositoryError::Plan(format!(
                "it assumes generation {}, and the newest is {}",
                plan.base, base.generation
            )));
        }
        let place = self.dirs.generation(stamp.generation);
        if place.symlink_metadata().is_ok() {
            return Err(self.foreign(&format!(
                "{} is there, and the journal does not know it",
                place.display()
            )));
        }
        Ok(())
    }

    /// An empty staging directory.
    pub(super) fn clear_staging(&self) -> Result<PathBuf, RepositoryError> {
        let staging = self.dirs.staging();
        files::remove(&staging).map_err(RepositoryError::file(&staging))?;
        files::make_directory(&staging).map_err(RepositoryError::file(&staging))?;
        Ok(staging)
    }
}

/// What the content is with the packages as they stand in the pool.
fn content_with(base: &Content, plan: &Plan, sections: &[Section<'_>], generation: Generation) -> Content {
    let signed = |name: &ArchName, plan: &ArchPlan| ArchPlan {
        added: sections
            .iter()
            .find(|section| section.name == *name)
            .map(|section| {
                section
                    .came
                    .iter()
                    .map(|arrived| Arc::clone(&arrived.package))
                    .collect()
            })
            .unwrap_or_default(),
        removed: plan.removed.clone(),
    };
    let plan = Plan {
        arches: plan
            .arches
            .iter()
            .map(|(arch, plan)| (arch.clone(), signed(arch, plan)))
            .collect(),
        source: signed(&source_directory(), &plan.source),
        ..plan.clone()
    };
    Content {
        generation,
        ..base.with(&plan)
    }
}
