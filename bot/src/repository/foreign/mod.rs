//! Foreign repositories that one of ours is based on: they count for build roots and for unmet dependencies, and are never
//! changed.
//!
//! A base is a directory or a web address. Its `repomd.xml` is looked at whenever somebody asks ([`Foreign::index`]; a web
//! server not more often than once a minute), and only when that changed is anything read again. A package's file is brought here
//! when it is needed ([`Foreign::file`]), checked against the SHA-256 that the metadata has, and kept by it: what a build
//! root was made of cannot change under it.
//!
//! **Offline**: when a web server does not answer, the metadata that was last read from it counts, and that is logged. A package that
//! is not here yet cannot be had then; like a base that never answered, that is the infrastructure's failure, so the task
//! waits and is tried again.
//!
//! What proves metadata is its way here: a directory's owner, or the certificate of an `https` server.

mod place;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use sha2::{Digest as _, Sha256};
use windlass_core::escape::escaped;
use windlass_core::hex::hex;
use windlass_core::id::ArchName;
use windlass_core::repository::{Index, runs_on};
use windlass_core::rpm::{Artifact, Package};

use self::place::Place;
use super::files;
use super::rpmmd::read::Repomd;
use super::rpmmd::{self, Limits};

/// How often a web server is asked at the most.
const ASK_EVERY: Duration = Duration::from_mins(1);
/// How long a package's file is kept after it was last used.
const KEEP_UNUSED: Duration = Duration::from_hours(30 * 24);
/// The largest package that is fetched.
const LARGEST_PACKAGE: u64 = 16 << 30;

/// What is wrong with a base repository. Nobody who uses Windlass is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("repository {base}: {what}")]
pub struct ForeignError {
    /// Which one, as configured, for its architecture.
    base: String,
    /// What happened; may end with a hint.
    what: String,
}

/// The bases of a repository as they were at one moment, for each architecture in order of precedence.
#[derive(Debug, Clone, Default)]
pub struct Bases(BTreeMap<ArchName, Vec<Base>>);

/// One base for one architecture, as it was at one moment.
#[derive(Debug, Clone)]
pub struct Base {
    /// Its packages.
    pub index: Arc<Index>,
    /// Where their files come from.
    pub files: Arc<Foreign>,
}

impl Bases {
    /// Those of an architecture.
    pub fn of(&self, arch: &ArchName) -> &[Base] {
        self.0.get(arch).map_or(&[], Vec::as_slice)
    }

    /// Whether these are the same as others, package for package: read at another moment, and nothing was read anew since.
    pub fn are(&self, others: &Self) -> bool {
        let same = |(one, other): (&Vec<Base>, &Vec<Base>)| {
            one.len() == other.len()
                && one
                    .iter()
                    .zip(other)
                    .all(|(one, other)| Arc::ptr_eq(&one.index, &other.index))
        };
        self.0.keys().eq(others.0.keys()) && self.0.values().zip(others.0.values()).all(same)
    }

    /// The packages alone.
    pub fn indexes(&self) -> BTreeMap<ArchName, Vec<Arc<Index>>> {
        let indexes = |bases: &Vec<Base>| bases.iter().map(|base| Arc::clone(&base.index)).collect();
        self.0
            .iter()
            .map(|(arch, bases)| (arch.clone(), indexes(bases)))
            .collect()
    }
}

/// The bases that are configured for a repository.
#[derive(Debug, Default)]
pub(super) struct Configured(BTreeMap<ArchName, Vec<Arc<Foreign>>>);

impl Configured {
    /// Nothing is read yet.
    pub(super) fn new(bases: &[String], architectures: &[ArchName], cache: &Path) -> Result<Self, ForeignError> {
        let of = |arch: &ArchName| {
            bases
                .iter()
                .map(|base| Foreign::new(base, arch, cache).map(Arc::new))
                .collect::<Result<_, _>>()
        };
        architectures
            .iter()
            .map(|arch| Ok((arch.clone(), of(arch)?)))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// As they are now.
    pub(super) fn now(&self) -> Result<Bases, ForeignError> {
        let of = |foreign: &Arc<Foreign>| {
            Ok(Base {
                index: foreign.index()?,
                files: Arc::clone(foreign),
            })
        };
        self.0
            .iter()
            .map(|(arch, all)| Ok((arch.clone(), all.iter().map(of).collect::<Result<_, _>>()?)))
            .collect::<Result<_, _>>()
            .map(Bases)
    }
}

/// A foreign repository, for one architecture.
#[derive(Debug)]
pub struct Foreign {
    shown: String,
    arch: ArchName,
    place: Place,
    /// Where its metadata is kept, if it is not on this machine.
    metadata: PathBuf,
    /// Where packages of all bases are kept.
    packages: PathBuf,
    limits: Limits,
    known: Mutex<Option<Known>>,
}

/// What was last read.
#[derive(Debug)]
struct Known {
    /// The SHA-256 of `repomd.xml`.
    sha256: String,
    index: Arc<Index>,
    /// When it was last asked whether that is still so.
    asked: Option<Instant>,
}

impl Foreign {
    /// A repository as configured, `$arch` being replaced; nothing is read yet.
    ///
    /// # Errors
    /// It is no directory and no address.
    pub fn new(base: &str, arch: &ArchName, cache: &Path) -> Result<Self, ForeignError> {
        let base = base.replace("$arch", arch.as_str());
        let shown = escaped(&base);
        let place = Place::of(&base).map_err(|what| ForeignError {
            base: shown.clone(),
            what,
        })?;
        let name = hex(&Sha256::digest(base.as_bytes()));
        Ok(Self {
            shown,
            arch: arch.clone(),
            place,
            metadata: cache.join(&name[..32]),
            packages: cache.join("packages"),
            limits: Limits::default(),
            known: Mutex::new(None),
        })
    }

    /// What it is called in texts.
    pub fn name(&self) -> &str {
        &self.shown
    }

    /// Its packages for the architecture, as they are now.
    ///
    /// # Errors
    /// It cannot be read, and was not read before.
    pub fn index(&self) -> Result<Arc<Index>, ForeignError> {
        let mut known = self.known();
        match &self.place {
            Place::Directory(directory) => {
                let repomd = Repomd::load(directory, &self.limits).map_err(|error| self.error(&error))?;
                self.read(&mut known, directory, &repomd.sha256)
            }
            Place::Web(_) => {
                if let Some(known) = known.as_ref()
                    && known.asked.is_some_and(|asked| asked.elapsed() < ASK_EVERY)
                {
                    return Ok(Arc::clone(&known.index));
                }
                let error = match self.fetch_metadata() {
                    Ok(sha256) => match self.read(&mut known, &self.metadata, &sha256) {
                        Ok(index) => return Ok(index),
                        Err(error) => {
                            // What was kept is damaged: next time all of it is fetched.
                            let _ = fs::remove_dir_all(&self.metadata);
                            error
                        }
                    },
                    Err(error) => error,
                };
                self.offline(&mut known, error)
            }
        }
    }

    /// Its packages of the architectures that `takes` wants, read now and not kept.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read_once(&self, takes: &dyn Fn(&str) -> bool) -> Result<Vec<Arc<Package>>, ForeignError> {
        let directory = match &self.place {
            Place::Directory(directory) => directory,
            Place::Web(_) => {
                self.fetch_metadata()?;
                &self.metadata
            }
        };
        rpmmd::read_within(directory, takes, &self.limits).map_err(|error| self.error(&error))
    }

    /// A package's file on this machine, with the digest that the metadata has for it.
    ///
    /// # Errors
    /// It cannot be had, or is not what the metadata says.
    pub fn file(&self, package: &Package) -> Result<PathBuf, ForeignError> {
        let nevra = escaped(&package.nevra());
        let Some(artifact) = &package.artifact else {
            return Err(self.error(&format!(
                "{nevra} has no SHA-256 in the metadata, without which its file cannot be checked"
            )));
        };
        let is_digest = artifact.sha256.len() == 64 && artifact.sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_digest || artifact.size > LARGEST_PACKAGE {
            return Err(self.error(&format!("{nevra} is larger than 16 GiB, or has no digest")));
        }
        let file = self.packages.join(format!("{}.rpm", artifact.sha256));
        if fs::metadata(&file).is_ok_and(|meta| meta.is_file() && (artifact.size == 0 || meta.len() == artifact.size)) {
            // It is used, so it stays.
            if let Ok(open) = fs::File::open(&file) {
                let _ = open.set_modified(SystemTime::now());
            }
            return Ok(file);
        }
        let brought = self
            .place
            .open(&artifact.location)
            .and_then(|from| self.bring(from, artifact, &file));
        brought.map_err(|what| {
            // Perhaps it was replaced there: then the metadata says so.
            if let Some(known) = self.known().as_mut() {
                known.asked = None;
            }
            self.error(&format!("{nevra} cannot be fetched: {what}"))
        })?;
        Ok(file)
    }

    fn known(&self) -> MutexGuard<'_, Option<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn error(&self, what: &impl ToString) -> ForeignError {
        ForeignError {
            base: self.shown.clone(),
            what: what.to_string(),
        }
    }

    /// Reads the metadata in a directory, if it is not what is known.
    fn read(&self, known: &mut Option<Known>, directory: &Path, sha256: &str) -> Result<Arc<Index>, ForeignError> {
        let asked = Some(Instant::now());
        if let Some(known) = known.as_mut()
            && known.sha256 == sha256
        {
            known.asked = asked;
            return Ok(Arc::clone(&known.index));
        }
        let packages = rpmmd::read_within(directory, &|arch| runs_on(arch, &self.arch), &self.limits)
            .map_err(|error| self.error(&error))?;
        let index = Arc::new(Index::of(packages));
        tracing::info!(base = %self.shown, packages = index.len(), "read the base repository {}", self.shown);
        self.forget_unused();
        *known = Some(Known {
            sha256: sha256.to_owned(),
            index: Arc::clone(&index),
            asked,
        });
        Ok(index)
    }

    /// What counts when the server cannot be asked: what it said last.
    fn offline(&self, known: &mut Option<Known>, error: ForeignError) -> Result<Arc<Index>, ForeignError> {
        if known.is_none() {
            let Ok(repomd) = Repomd::load(&self.metadata, &self.limits) else {
                return Err(error);
            };
            self.read(known, &self.metadata, &repomd.sha256)
                .map_err(|_| error.clone())?;
        }
        match known.as_mut() {
            Some(known) => {
                tracing::warn!(base = %self.shown, %error, "{error}; what it said last counts");
                known.asked = Some(Instant::now());
                Ok(Arc::clone(&known.index))
            }
            None => Err(error),
        }
    }

    /// Fetches `repomd.xml`, and what it names and is not here yet. Gives its SHA-256.
    fn fetch_metadata(&self) -> Result<String, ForeignError> {
        let mut bytes = Vec::new();
        let from = self
            .place
            .open("repodata/repomd.xml")
            .map_err(|what| self.error(&format!("repomd.xml cannot be fetched: {what}")))?;
        from.take(self.limits.repomd + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| self.error(&error))?;
        let repomd = Repomd::parse(&bytes, &self.limits)
            .map_err(|what| self.error(&format!("its repomd.xml cannot be used: {what}")))?;
        let io = |error: io::Error| self.error(&format!("{}: {error}", self.metadata.display()));
        fs::create_dir_all(self.metadata.join("repodata")).map_err(io)?;
        let mut named = vec![self.metadata.join("repodata/repomd.xml")];
        for data in ["primary", "filelists"]
            .into_iter()
            .filter_map(|kind| repomd.data(kind))
        {
            let file = self.metadata.join(&data.location);
            named.push(file.clone());
            if file.is_file() && rpmmd::read::is_whole(&file, data, &self.limits) {
                continue;
            }
            let directory = file.parent().unwrap_or(&self.metadata);
            fs::create_dir_all(directory).map_err(io)?;
            let mut from = self
                .place
                .open(&data.location)
                .map_err(|what| self.error(&format!("{} cannot be fetched: {what}", data.location)))?
                .take(self.limits.file + 1);
            let mut temporary = tempfile::NamedTempFile::new_in(directory).map_err(io)?;
            io::copy(&mut from, &mut temporary)
                .map_err(|error| self.error(&format!("{} cannot be fetched: {error}", data.location)))?;
            if !rpmmd::read::is_whole(temporary.path(), data, &self.limits) {
                return Err(self.error(&format!(
                    "what the server gives as {} is not what its repomd.xml says",
                    data.location
                )));
            }
            temporary.persist(&file).map_err(|error| io(error.error))?;
        }
        files::replace(&self.metadata.join("repodata/repomd.xml"), &bytes, 0o644).map_err(io)?;
        forget_others(&self.metadata.join("repodata"), &named);
        Ok(repomd.sha256)
    }

    /// Copies a package's file here, checking it on the way.
    fn bring(&self, from: Box<dyn Read>, artifact: &Artifact, file: &Path) -> Result<(), String> {
        let io = |error: io::Error| error.to_string();
        fs::create_dir_all(&self.packages).map_err(io)?;
        let most = if artifact.size == 0 {
            LARGEST_PACKAGE
        } else {
            artifact.size
        };
        let mut from = from.take(most + 1);
        let mut temporary = tempfile::Builder::new()
            .prefix(".unverified-")
            .tempfile_in(&self.packages)
            .map_err(io)?;
        let mut digest = Sha256::new();
        let mut buffer = vec![0; 128 << 10];
        let mut size = 0;
        loop {
            let read = match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.to_string()),
            };
            digest.update(&buffer[..read]);
            size += read as u64;
            temporary.write_all(&buffer[..read]).map_err(io)?;
        }
        if artifact.size != 0 && size != artifact.size {
            let than = if size > most {
                "more".to_owned()
            } else {
                size.to_string()
            };
            return Err(format!("it has {than} bytes, and {} in the metadata", artifact.size));
        }
        let found = hex(&digest.finalize());
        if found != artifact.sha256 {
            return Err(format!(
                "its SHA-256 is {found}, and {} in the metadata",
                artifact.sha256
            ));
        }
        temporary.as_file().sync_all().map_err(io)?;
        temporary.persist(file).map_err(|error| error.error.to_string())?;
        Ok(())
    }

    /// Removes packages that nobody used for long. What cannot be removed now is the next time.
    fn forget_unused(&self) {
        let Ok(entries) = fs::read_dir(&self.packages) else {
            return;
        };
        for entry in entries.flatten() {
            let used = entry.metadata().and_then(|meta| meta.modified());
            if used.is_ok_and(|used| used.elapsed().is_ok_and(|unused| unused > KEEP_UNUSED)) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// Removes the files of a directory that are not named.
fn forget_others(directory: &Path, named: &[PathBuf]) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        if !named.contains(&entry.path()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}
