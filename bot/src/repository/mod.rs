//! Binary package repositories: what is in them, and how a new generation is made of one.
//!
//! A generation is immutable. A new one is prepared beside the others ([`Repository::prepare`]: packages are signed into the
//! pool, metadata is written and signed), and `current` moves to it by one rename ([`Repository::switch`]). [`change()`] puts
//! the journal around it; [`Repository::recover`] says after a crash what became of it. Reading metadata, ours and others', is
//! `rpmmd`'s.

mod admin;
mod bring;
mod change;
mod client;
mod content;
mod describe;
mod dirs;
mod error;
mod files;
mod foreign;
mod gc;
mod import;
mod incoming;
mod keys;
mod lock;
mod manifest;
mod plans;
mod pool;
mod prepare;
mod recover;
pub mod rpmmd;
mod shipped;
mod sign;
mod switch;
mod verify;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use windlass_core::id::{ArchName, RepositoryName};
use windlass_core::repository::Content;
use windlass_core::rpm::Package;
use windlass_hooks::settings::Paths;

pub use self::admin::Meant;
pub use self::bring::brought;
pub use self::change::{Ending, GC_POINTS, POINTS, Story, change, recover_all};
pub use self::client::{ClientConfig, Program, Way};
pub use self::dirs::{Dirs, source_directory};
pub use self::error::RepositoryError;
pub use self::foreign::{Base, Bases, Foreign, ForeignError};
pub use self::gc::Garbage;
pub use self::import::{Bad, Found, Import, Versions};
pub use self::incoming::Files;
pub use self::keys::Keys;
pub use self::lock::CommitLock;
pub use self::manifest::{Manifest, seal};
pub use self::plans::{Difference, differences};
pub use self::prepare::{Change, Prepared, Stamp};
pub use self::recover::Recovered;
pub use self::switch::Switched;
pub use self::verify::{Scope, Verified};
use crate::config::{self, Config};
use crate::jobs::Causes;

/// All repositories that are configured.
#[derive(Debug, Default)]
pub struct Repositories(BTreeMap<RepositoryName, Arc<Repository>>);

impl Repositories {
    /// Opens all that a configuration names; the paths are absolute.
    ///
    /// # Errors
    /// The metadata of one of them cannot be read.
    pub fn open(config: &Config, paths: &Paths) -> Result<Self, RepositoryError> {
        let causes = Arc::new(Causes::of(config));
        let open = |settings: &config::Repository| {
            let mut repository = Repository::open(settings, paths)?;
            repository.causes = Some(Arc::clone(&causes));
            Ok((settings.name.clone(), Arc::new(repository)))
        };
        config.repositories.iter().map(open).collect::<Result<_, _>>().map(Self)
    }

    /// The same without a look at what is in them: for those of which that cannot be read.
    ///
    /// # Errors
    /// What is configured for one of them makes no sense.
    pub fn unread(config: &Config, paths: &Paths) -> Result<Self, RepositoryError> {
        let causes = Arc::new(Causes::of(config));
        let unread = |settings: &config::Repository| {
            let mut repository = Repository::unread(settings, paths)?;
            repository.causes = Some(Arc::clone(&causes));
            Ok((settings.name.clone(), Arc::new(repository)))
        };
        config
            .repositories
            .iter()
            .map(unread)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// One of them.
    pub fn get(&self, name: &RepositoryName) -> Option<&Arc<Repository>> {
        self.0.get(name)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Repository>> {
        self.0.values()
    }
}

/// One repository: its directories, its settings, and what `current` consists of.
#[derive(Debug)]
pub struct Repository {
    name: RepositoryName,
    dirs: Dirs,
    settings: config::Repository,
    architectures: Vec<ArchName>,
    content: RwLock<Arc<Content>>,
    bases: foreign::Configured,
    /// What follows from a change of it.
    causes: Option<Arc<Causes>>,
}

impl Repository {
    /// Opens one; before its first generation it is empty.
    ///
    /// # Errors
    /// Its metadata cannot be read.
    pub fn open(settings: &config::Repository, paths: &Paths) -> Result<Self, RepositoryError> {
        let repository = Self::unread(settings, paths)?;
        repository
            .reload()
            .map_err(|error| error.of_damaged(&repository.name))?;
        Ok(repository)
    }

    /// One of which it is not known what is in it.
    ///
    /// # Errors
    /// What is configured for it makes no sense.
    pub fn unread(settings: &config::Repository, paths: &Paths) -> Result<Self, RepositoryError> {
        let architectures = settings.architectures();
        let bases = foreign::Configured::new(&settings.base, &architectures, &paths.builds().join("foreign"))?;
        Ok(Self {
            name: settings.name.clone(),
            dirs: Dirs::of(paths, &settings.name),
            settings: settings.clone(),
            architectures,
            content: RwLock::default(),
            bases,
            causes: None,
        })
    }

    /// Its name.
    pub fn name(&self) -> &RepositoryName {
        &self.name
    }

    /// Where it is.
    pub fn dirs(&self) -> &Dirs {
        &self.dirs
    }

    /// What is configured for it.
    pub fn settings(&self) -> &config::Repository {
        &self.settings
    }

    /// Its architectures, the first configured one first.
    pub fn architectures(&self) -> &[ArchName] {
        &self.architectures
    }

    /// What `current` consists of.
    pub fn content(&self) -> Arc<Content> {
        Arc::clone(&self.content.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Its base repositories as they are now; whoever needs them more than once, as one run does, asks once.
    ///
    /// # Errors
    /// One of them cannot be read, and was not read before.
    pub fn bases(&self) -> Result<Bases, RepositoryError> {
        Ok(self.bases.now()?)
    }

    /// The file of a package of this repository.
    pub fn pool_file(&self, directory: &ArchName, package: &Package) -> Option<PathBuf> {
        let artifact = package.artifact.as_ref()?;
        Some(
            self.dirs
                .root()
                .join("current")
                .join(directory.as_str())
                .join(&artifact.location),
        )
    }

    pub(super) fn set_content(&self, content: Arc<Content>) {
        *self.content.write().unwrap_or_else(PoisonError::into_inner) = content;
    }
}
