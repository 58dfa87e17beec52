//! Prepares a generation beside the others: until `current` moves, no client sees anything of it.
//!
//! Flow: packages are signed under temporary names → what will be new in the pool is written down, so that whoever comes after
//! a crash can take it out again → they get their places in the pool → metadata, from that of the generation before → seal and
//! manifest, signed → all of it gets the generation's name. Everything is on disk before the next step begins.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use windlass_core::id::{ArchName, Fingerprint, Generation};
use windlass_core::repository::record::{Cause, Shipped};
use windlass_core::repository::{ArchPlan, Content, Plan};
use windlass_core::rpm::{Artifact, Header, Package};

use super::dirs::source_directory;
use super::keys::{Keys, Signer, signature_path};
use super::manifest::{self, Directory, Manifest, seal};
use super::rpmmd::{self, Entry, Order, Removed, Written};
use super::sign::{self, Signed};
use super::{CommitLock, Repository, RepositoryError, files, pool};
use crate::crash;
use crate::journal::Head;

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

/// The list of what is new in the pool, in the staging directory.
pub(super) const POOLED: &str = "pooled.json";

/// One directory of a generation that is being prepared: an architecture or `source`.
struct Shelf<'a> {
    name: ArchName,
    plan: &'a ArchPlan,
    came: Vec<Arrived>,
}

/// A package with its place in the pool.
#[derive(Debug, Clone)]
struct Arrived {
    header: Arc<Header>,
    artifact: Artifact,
    package: Arc<Package>,
    /// The signed file; none for one that is in the pool.
    staged: Option<PathBuf>,
    file_time: i64,
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
        let shelves = self.sign_all(change, &signer, &staging, stamp)?;
        crash::point("commit.signed");
        self.fill_pool(&shelves, &staging)?;
        crash::point("commit.pooled");
        let directory = staging.join("generation");
        files::make_directory(&directory).map_err(RepositoryError::file(&directory))?;
        let mut written = BTreeMap::new();
        for shelf in &shelves {
            let result = self.write_metadata(shelf, before.as_deref(), &directory, change, stamp)?;
            written.insert(shelf.name.clone(), result);
        }
        crash::point("commit.metadata");
        self.carry(base.generation, &directory, stamp.now)?;
        for shelf in &shelves {
            let repomd = directory.join(shelf.name.as_str()).join("repodata/repomd.xml");
            sign_file(&repomd, &signer, stamp.now)?;
        }
        let manifest = self.manifest(change, stamp, key, &written);
        self.write_manifest(&manifest, &directory, &signer, stamp.now)?;
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
        let content = content_with(&base, &change.plan, &shelves, stamp.generation);
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
    fn clear_staging(&self) -> Result<PathBuf, RepositoryError> {
        let staging = self.dirs.staging();
        files::remove(&staging).map_err(RepositoryError::file(&staging))?;
        files::make_directory(&staging).map_err(RepositoryError::file(&staging))?;
        Ok(staging)
    }

    /// The directories of a generation, in the order of the configuration, the source packages last.
    fn shelves<'a>(&self, plan: &'a Plan, nothing: &'a ArchPlan) -> Result<Vec<Shelf<'a>>, RepositoryError> {
        if let Some(odd) = plan.arches.keys().find(|arch| !self.architectures.contains(arch)) {
            return Err(RepositoryError::Plan(format!(
                "{odd} is no architecture of {}",
                self.name
            )));
        }
        let shelf = |name: &ArchName, plan| Shelf {
            name: name.clone(),
            plan,
            came: Vec::new(),
        };
        let mut shelves: Vec<_> = self
            .architectures
            .iter()
            .map(|arch| shelf(arch, plan.arches.get(arch).unwrap_or(nothing)))
            .collect();
        shelves.push(shelf(&source_directory(), &plan.source));
        Ok(shelves)
    }

    fn sign_all<'a>(
        &self,
        change: &'a Change,
        signer: &Signer,
        staging: &Path,
        stamp: &Stamp,
    ) -> Result<Vec<Shelf<'a>>, RepositoryError> {
        static NOTHING: ArchPlan = ArchPlan {
            added: Vec::new(),
            removed: Vec::new(),
        };
        let mut shelves = self.shelves(&change.plan, &NOTHING)?;
        let mut noarch: BTreeMap<String, Arrived> = BTreeMap::new();
        let mut number = 0;
        for shelf in &mut shelves {
            for package in &shelf.plan.added {
                let name = package.nevra();
                if let Some(known) = noarch.get(&name) {
                    shelf.came.push(known.clone());
                    continue;
                }
                let missing = || RepositoryError::Plan(format!("there is no file of {name} for {}", shelf.name));
                let arrived = match change.files.get(&shelf.name, package).ok_or_else(missing)? {
                    Coming::Unsigned(file) => {
                        number += 1;
                        let staged = staging.join(format!("{number}.rpm"));
                        let signed = sign::sign(file, &staged, signer, stamp.now)?;
                        Arrived::signed(signed, staged, stamp.now)
                    }
                    Coming::Pooled => Arrived::pooled(self, &shelf.name, package)?,
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
                shelf.came.push(arrived);
            }
        }
        Ok(shelves)
    }

    /// Gives the signed files their places in the pool.
    fn fill_pool(&self, shelves: &[Shelf<'_>], staging: &Path) -> Result<(), RepositoryError> {
        let mut places = Vec::new();
        for shelf in shelves {
            let directory = self.dirs.packages(&shelf.name);
            files::make_directories(self.dirs.root(), &directory).map_err(RepositoryError::file(&directory))?;
            for arrived in &shelf.came {
                let place = pool::path(&self.dirs, &shelf.name, &arrived.artifact.location)?;
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

    fn write_metadata(
        &self,
        shelf: &Shelf<'_>,
        before: Option<&Path>,
        generation: &Path,
        change: &Change,
        stamp: &Stamp,
    ) -> Result<Written, RepositoryError> {
        let directory = generation.join(shelf.name.as_str());
        files::make_directory(&directory).map_err(RepositoryError::file(&directory))?;
        let link = directory.join("packages");
        std::os::unix::fs::symlink(format!("../../../packages/{}", shelf.name), &link)
            .map_err(RepositoryError::file(&link))?;
        // An architecture that was configured since has nothing before.
        let before = before
            .map(|before| before.join(shelf.name.as_str()))
            .filter(|before| before.is_dir());
        let mut removed = BTreeSet::new();
        for package in &shelf.plan.removed {
            let artifact = package.artifact.as_ref().ok_or_else(|| {
                RepositoryError::Plan(format!(
                    "{} is to go, and it is not known which file it is",
                    package.nevra()
                ))
            })?;
            removed.insert(Removed {
                name: &package.name,
                pkgid: &artifact.sha256,
            });
        }
        let added = shelf.came.iter().map(|arrived| Entry {
            header: &arrived.header,
            artifact: &arrived.artifact,
            file_time: arrived.file_time,
        });
        let written = rpmmd::write(&Order {
            directory: &directory,
            before: before.as_deref(),
            added: added.collect(),
            removed,
            codec: self.settings.codec,
            revision: &stamp.generation.to_string(),
            time: stamp.now.as_second(),
            updateinfo: change
                .updateinfo
                .as_deref()
                .filter(|_| shelf.name != source_directory()),
        })?;
        Ok(written)
    }

    /// Takes the content-named files over of the generations that were the newest a short while ago: a client that read an old
    /// `repomd.xml` through `current` still finds what it names.
    fn carry(&self, newest: Generation, to: &Path, now: Timestamp) -> Result<(), RepositoryError> {
        // The newest one was so until now.
        let mut replaced_at = now;
        for generation in self
            .dirs
            .list()
            .map_err(RepositoryError::file(self.dirs.root()))?
            .into_iter()
            .rev()
        {
            if generation > newest {
                continue;
            }
            if now.duration_since(replaced_at) > self.settings.overlap.signed() {
                break;
            }
            let from = self.dirs.generation(generation);
            let manifest = Manifest::read(&from)?;
            for (name, directory) in &manifest.directories {
                if !to.join(name.as_str()).is_dir() {
                    continue;
                }
                for file in &directory.files {
                    link_unless_there(&from.join(name.as_str()).join(file), &to.join(name.as_str()).join(file))?;
                }
            }
            replaced_at = manifest.made_at;
        }
        for entry in std::fs::read_dir(to).map_err(RepositoryError::file(to))? {
            let repodata = entry.map_err(RepositoryError::file(to))?.path().join("repodata");
            files::sync_directory(&repodata).map_err(RepositoryError::file(&repodata))?;
        }
        Ok(())
    }

    fn manifest(
        &self,
        change: &Change,
        stamp: &Stamp,
        key: Fingerprint,
        written: &BTreeMap<ArchName, Written>,
    ) -> Manifest {
        let (came, went) = shipped(&change.plan);
        let directories: BTreeMap<ArchName, Directory> = written
            .iter()
            .map(|(name, written)| {
                let directory = Directory {
                    repomd: written.repomd_sha256.clone(),
                    packages: written.packages,
                    files: written.files.iter().map(|file| file.display().to_string()).collect(),
                };
                (name.clone(), directory)
            })
            .collect();
        Manifest {
            version: Manifest::VERSION,
            repository: self.name.clone(),
            generation: stamp.generation,
            cause: stamp.cause.clone(),
            made_at: stamp.now,
            seal: seal(
                directories
                    .iter()
                    .map(|(name, directory)| (name, directory.repomd.as_str())),
            ),
            journal: stamp.journal.to_string(),
            key,
            directories,
            came,
            went,
        }
    }

    fn write_manifest(
        &self,
        manifest: &Manifest,
        directory: &Path,
        signer: &Signer,
        now: Timestamp,
    ) -> Result<(), RepositoryError> {
        let path = directory.join(manifest::NAME);
        let mut text =
            serde_json::to_vec_pretty(manifest).map_err(|error| RepositoryError::file(&path)(error.into()))?;
        text.push(b'\n');
        files::write_new(&path, &text).map_err(RepositoryError::file(&path))?;
        sign_file(&path, signer, now)?;
        files::sync_directory(directory).map_err(RepositoryError::file(directory))
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
        let file_time = Timestamp::try_from(modified).map_or(0, |time| time.as_second());
        Ok(Self::of(header, artifact, None, file_time))
    }
}

/// Signs a file, armored, beside it.
fn sign_file(path: &Path, signer: &Signer, now: Timestamp) -> Result<(), RepositoryError> {
    let bytes = std::fs::read(path).map_err(RepositoryError::file(path))?;
    let signature = signer.sign_armored(&bytes, now)?;
    let beside = signature_path(path);
    files::write_new(&beside, &signature).map_err(RepositoryError::file(&beside))
}

fn link_unless_there(from: &Path, to: &Path) -> Result<(), RepositoryError> {
    match std::fs::hard_link(from, to) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(RepositoryError::file(from)(error)),
        Err(_) => std::fs::read(from)
            .and_then(|bytes| files::write_new(to, &bytes))
            .map_err(RepositoryError::file(to)),
    }
}

/// What the content is with the packages as they stand in the pool.
fn content_with(base: &Content, plan: &Plan, shelves: &[Shelf<'_>], generation: Generation) -> Content {
    let signed = |name: &ArchName, plan: &ArchPlan| ArchPlan {
        added: shelves
            .iter()
            .find(|shelf| shelf.name == *name)
            .map(|shelf| shelf.came.iter().map(|arrived| Arc::clone(&arrived.package)).collect())
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

/// The source packages that come, with all that was built from them, and those that go.
pub(super) fn shipped(plan: &Plan) -> (Vec<Shipped>, Vec<String>) {
    let mut came: BTreeMap<String, Shipped> = BTreeMap::new();
    for source in &plan.source.added {
        let change = plan
            .changes
            .iter()
            .find(|change| change.package.as_str() == source.name);
        let shipped = Shipped {
            name: source.name.clone(),
            evr: source.evr.to_string(),
            tag: change.and_then(|change| change.tag.clone()),
            binaries: BTreeMap::new(),
        };
        came.insert(source.file_name(), shipped);
    }
    for binary in plan.arches.values().flat_map(|arch| &arch.added) {
        let Some(source) = &binary.source_rpm else { continue };
        let evr = binary.evr.to_string();
        // Binary packages may come without their source, from elsewhere.
        let shipped = came.entry(source.clone()).or_insert_with(|| {
            let (name, version) = split_source(source);
            Shipped {
                name,
                evr: version,
                tag: None,
                binaries: BTreeMap::new(),
            }
        });
        let differs = (evr != shipped.evr).then_some(evr);
        shipped.binaries.insert(binary.name.clone(), differs);
    }
    let went = plan
        .source
        .removed
        .iter()
        .map(|source| format!("{}-{}", source.name, source.evr));
    (came.into_values().collect(), went.collect())
}

/// Name and version-release of a source package's file name.
fn split_source(file: &str) -> (String, String) {
    let stem = file
        .strip_suffix(".src.rpm")
        .or_else(|| file.strip_suffix(".nosrc.rpm"))
        .unwrap_or(file);
    let mut parts = stem.rsplitn(3, '-');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(release), Some(version), Some(name)) => (name.to_owned(), format!("{version}-{release}")),
        _ => (stem.to_owned(), String::new()),
    }
}
