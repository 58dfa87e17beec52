//! Packages on their way into a generation: signed under temporary names, then given their places in the pool.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use windlass_core::id::ArchName;
use windlass_core::repository::{ArchPlan, Plan};
use windlass_core::rpm::{Artifact, Header, Package};

use super::dirs::source_directory;
use super::keys::Signer;
use super::sign::{self, Signed};
use super::{Change, Repository, RepositoryError, Stamp, files, pool};
use crate::crash;

/// Where the file of a package that comes is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Coming {
    /// Anywhere; it is signed into the pool.
    Unsigned(PathBuf),
    /// In the pool, with the right signature.
    Pooled,
}

/// The files of the packages that a plan adds, by directory (an architecture, or `source`) and package.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files(BTreeMap<(ArchName, String), Coming>);

impl Files {
    /// The file of a package. For a noarch package the first configured architecture's counts, in all of them.
    pub fn insert(&mut self, directory: ArchName, package: &Package, file: PathBuf) {
        self.0.insert((directory, package.nevra()), Coming::Unsigned(file));
    }

    /// The same, where none is known yet.
    pub fn insert_first(&mut self, directory: ArchName, package: &Package, file: PathBuf) {
        let coming = self.0.entry((directory, package.nevra()));
        coming.or_insert(Coming::Unsigned(file));
    }

    /// A package that is in the pool and need not be signed.
    pub(super) fn insert_pooled(&mut self, directory: ArchName, package: &Package) {
        self.0.insert((directory, package.nevra()), Coming::Pooled);
    }

    fn get(&self, directory: &ArchName, package: &Package) -> Option<&Coming> {
        self.0.get(&(directory.clone(), package.nevra()))
    }
}

/// The list of what is new in the pool, in the staging directory.
pub(super) const POOLED: &str = "pooled.json";

/// One directory of a generation that is being prepared: an architecture or `source`.
pub(super) struct Section<'a> {
    pub(super) name: ArchName,
    pub(super) plan: &'a ArchPlan,
    pub(super) came: Vec<Arrived>,
}

/// A package with its place in the pool.
#[derive(Debug, Clone)]
pub(super) struct Arrived {
    pub(super) header: Arc<Header>,
    pub(super) artifact: Artifact,
    pub(super) package: Arc<Package>,
    /// The signed file; none for one that is in the pool.
    staged: Option<PathBuf>,
    pub(super) file_time: i64,
}

impl Repository {
    /// The directories of a generation, in the order of the configuration, the source packages last.
    fn sections<'a>(&self, plan: &'a Plan, nothing: &'a ArchPlan) -> Result<Vec<Section<'a>>, RepositoryError> {
        if let Some(odd) = plan.arches.keys().find(|arch| !self.architectures.contains(arch)) {
            return Err(RepositoryError::Plan(format!(
                "{odd} is no architecture of {}",
                self.name
            )));
        }
        let section = |name: &ArchName, plan| Section {
            name: name.clone(),
            plan,
            came: Vec::new(),
        };
        let mut sections: Vec<_> = self
            .architectures
            .iter()
            .map(|arch| section(arch, plan.arches.get(arch).unwrap_or(nothing)))
            .collect();
        sections.push(section(&source_directory(), &plan.source));
        Ok(sections)
    }

    pub(super) fn sign_all<'a>(
        &self,
        change: &'a Change,
        signer: &Signer,
        staging: &Path,
        stamp: &Stamp,
    ) -> Result<Vec<Section<'a>>, RepositoryError> {
        static NOTHING: ArchPlan = ArchPlan {
            added: Vec::new(),
            removed: Vec::new(),
        };
        let mut sections = self.sections(&change.plan, &NOTHING)?;
        let mut noarch: BTreeMap<String, Arrived> = BTreeMap::new();
        let mut number = 0;
        for section in &mut sections {
            for package in &section.plan.added {
                let name = package.nevra();
                if let Some(known) = noarch.get(&name) {
                    section.came.push(known.clone());
                    continue;
                }
                let missing = || RepositoryError::Plan(format!("there is no file of {name} for {}", section.name));
                let arrived = match change.files.get(&section.name, package).ok_or_else(missing)? {
                    Coming::Unsigned(file) => {
                        number += 1;
                        let staged = staging.join(format!("{number}.rpm"));
                        let done = sign::sign(file, &staged, signer, stamp.now)?;
                        Arrived::signed(done, staged, stamp.now)
                    }
                    Coming::Pooled => Arrived::pooled(self, &section.name, package)?,
                };
                if arrived.package.nevra() != name {
                    return Err(RepositoryError::Plan(format!(
                        "the file of {name} holds {}",
                        arrived.package.nevra()
                    )));
                }
                if package.arch == "noarch" {
                    noarch.insert(name, arrived.clone());
                }
                section.came.push(arrived);
            }
        }
        Ok(sections)
    }

    /// Gives the signed files their places in the pool.
    pub(super) fn fill_pool(&self, sections: &[Section<'_>], staging: &Path) -> Result<(), RepositoryError> {
        let mut places = Vec::new();
        for section in sections {
            let directory = self.dirs.packages(&section.name);
            files::make_directories(self.dirs.root(), &directory).map_err(RepositoryError::file(&directory))?;
            for arrived in &section.came {
                let place = pool::path(&self.dirs, &section.name, &arrived.artifact.location)?;
                match &arrived.staged {
                    Some(staged) if place.symlink_metadata().is_err() => places.push((staged, place)),
                    Some(_) | None => {}
                }
            }
        }
        let root = self.dirs.root();
        let list: Vec<&Path> = places
            .iter()
            .filter_map(|(_, place)| place.strip_prefix(root).ok())
            .collect();
        let path = staging.join(POOLED);
        let text = serde_json::to_vec(&list).map_err(|error| RepositoryError::file(&path)(error.into()))?;
        files::write_new(&path, &text).map_err(RepositoryError::file(&path))?;
        for directory in [staging, root] {
            files::sync_directory(directory).map_err(RepositoryError::file(directory))?;
        }
        crash::point("commit.listed");
        let mut touched = BTreeSet::from([root.join("packages")]);
        for (at, (staged, place)) in places.iter().enumerate() {
            pool::put(staged, place, &self.dirs)?;
            touched.extend(place.ancestors().skip(1).take(2).map(Path::to_owned));
            if at == 0 {
                crash::point("commit.pooling");
            }
        }
        for directory in touched {
            files::sync_directory(&directory).map_err(RepositoryError::file(&directory))?;
        }
        Ok(())
    }
}

impl Arrived {
    fn of(header: Header, artifact: Artifact, staged: Option<PathBuf>, file_time: i64) -> Self {
        let package = Package {
            artifact: Some(artifact.clone()),
            ..Package::clone(&header.package)
        };
        Self {
            header: Arc::new(header),
            artifact,
            package: Arc::new(package),
            staged,
            file_time,
        }
    }

    fn signed(signed: Signed, staged: PathBuf, now: Timestamp) -> Self {
        let artifact = Artifact {
            location: pool::location(&signed.sha256, &signed.header.package.file_name()),
            sha256: signed.sha256,
            size: signed.size,
        };
        Self::of(signed.header, artifact, Some(staged), now.as_second())
    }

    fn pooled(repository: &Repository, directory: &ArchName, package: &Package) -> Result<Self, RepositoryError> {
        let artifact = package
            .artifact
            .clone()
            .ok_or_else(|| RepositoryError::Plan(format!("{} is not in the pool", package.nevra())))?;
        let path = pool::path(&repository.dirs, directory, &artifact.location)?;
        let header = sign::read_header(&path)?;
        let modified = std::fs::metadata(&path)
            .and_then(|meta| meta.modified())
            .map_err(RepositoryError::file(&path))?;
        let file_time = Timestamp::try_from(modified).map_or(0, Timestamp::as_second);
        Ok(Self::of(header, artifact, None, file_time))
    }
}
