//! What builds and checks may count on beside the task itself: the repository, its bases, the host.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use windlass_core::id::ArchName;
use windlass_core::repository::{Content, Index};
use windlass_core::rpm::Package;

use super::Runner;
use crate::repository::{Bases, Foreign, Repository};
use crate::stages::StageError;
use crate::stages::build::{Layer, PackageFiles};

/// Packages of this repository, on one architecture.
#[derive(Debug)]
struct Pool {
    repository: Arc<Repository>,
    arch: ArchName,
}

impl PackageFiles for Pool {
    fn path(&self, package: &Package) -> Result<PathBuf, StageError> {
        self.repository
            .pool_file(&self.arch, package)
            .ok_or_else(|| StageError::infrastructure(format!("{} has no file", package.nevra())))
    }
}

/// What a task has made on one architecture so far.
#[derive(Debug, Default)]
pub(super) struct Own {
    packages: Vec<Arc<Package>>,
    files: Arc<Files>,
}

/// Files by what [`Package::nevra`] says.
#[derive(Debug, Default, Clone)]
struct Files(BTreeMap<String, PathBuf>);

impl PackageFiles for Files {
    fn path(&self, package: &Package) -> Result<PathBuf, StageError> {
        let name = package.nevra();
        let found = self.0.get(&name).cloned();
        found.ok_or_else(|| StageError::infrastructure(format!("the file of {name} is lost")))
    }
}

impl Own {
    /// Adds what a subtask made.
    pub(super) fn add(
        &mut self,
        packages: impl IntoIterator<Item = Arc<Package>>,
        files: impl IntoIterator<Item = (String, PathBuf)>,
    ) {
        self.packages.extend(packages);
        let all = Arc::make_mut(&mut self.files);
        all.0.extend(files);
    }

    /// The layer that comes before all others, if there is anything in it.
    pub(super) fn layer(&self) -> Option<Layer> {
        (!self.packages.is_empty()).then(|| Layer {
            index: Index::of(self.packages.iter().cloned()),
            files: Arc::clone(&self.files) as Arc<dyn PackageFiles>,
        })
    }
}

impl PackageFiles for Foreign {
    fn path(&self, package: &Package) -> Result<PathBuf, StageError> {
        self.file(package)
            .map_err(|error| StageError::infrastructure(error.to_string()))
    }
}

/// What build roots of one architecture may be taken from, beside what the task makes itself: the repository, then its bases.
pub(super) fn layers(repository: &Arc<Repository>, content: &Content, bases: &Bases, arch: &ArchName) -> Vec<Layer> {
    let pool = Pool {
        repository: Arc::clone(repository),
        arch: arch.clone(),
    };
    let own = Layer {
        index: content.arches.get(arch).cloned().unwrap_or_default(),
        files: Arc::new(pool),
    };
    let foreign = bases.of(arch).iter().map(|base| Layer {
        index: Index::clone(&base.index),
        files: Arc::clone(&base.files) as Arc<dyn PackageFiles>,
    });
    std::iter::once(own).chain(foreign).collect()
}

/// What counts for unmet dependencies beside the repository: the bases, then what the host stands for.
pub(super) fn indexes(
    runner: &Runner,
    repository: &Repository,
    bases: &Bases,
) -> Result<BTreeMap<ArchName, Vec<Arc<Index>>>, StageError> {
    let mut indexes = bases.indexes();
    for arch in repository.architectures() {
        let host = runner
            .builder
            .host(arch)
            .map_err(|error| StageError::io("the build host", &error))?;
        indexes.entry(arch.clone()).or_default().push(Arc::clone(&host.index));
    }
    Ok(indexes)
}
