//! Proves a repository from what lies on disk: all that metadata names is there and matches, all signatures are good, and
//! nothing else is in the pool.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use sequoia_openpgp::Cert;
use windlass_core::escape::escaped;
use windlass_core::id::{ArchName, Generation};
use windlass_core::repository::record::RepositoryRecord;
use windlass_core::rpm::Artifact;

use super::keys::{self, Keys, signature_path};
use super::manifest::{self, Manifest, seal_on_disk};
use super::{Repository, RepositoryError, files, pool, rpmmd, sign};
use crate::digest::sha256_of;

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The newest generation.
    Newest,
    /// Every one that is kept.
    All,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Verified {
    /// How many generations were looked at.
    pub generations: usize,
    /// How many package files.
    pub packages: usize,
    /// How many bytes of packages were read.
    pub bytes: u64,
    /// Everything that is wrong.
    pub findings: Vec<String>,
}

/// The most that is read of a `repomd.xml`.
const LARGEST: u64 = 1 << 20;

struct Checker<'a> {
    repository: &'a Repository,
    certificates: Vec<Cert>,
    verified: Verified,
    /// Files that were looked at, with what they are to be.
    seen: BTreeMap<(ArchName, String), String>,
}

impl Repository {
    /// Verifies generations and, with all of them, the pool. `told` hears how far it is.
    ///
    /// # Errors
    /// The disk cannot be read at all; what is wrong on it is no error but a finding.
    pub fn verify(
        &self,
        record: &RepositoryRecord,
        scope: Scope,
        told: &mut dyn FnMut(&str),
    ) -> Result<Verified, RepositoryError> {
        let Some(current) = self.current()? else {
            return Err(RepositoryError::NotMade(self.name.clone()));
        };
        let there = self.dirs.list().map_err(RepositoryError::file(self.dirs.root()))?;
        let mut checker = Checker {
            repository: self,
            certificates: Keys::of(&self.dirs).certificates()?,
            verified: Verified::default(),
            seen: BTreeMap::new(),
        };
        if let Err(error) = self.check_known(record) {
            checker.found(error.to_string().lines().next().unwrap_or_default());
        }
        for generation in &there {
            if scope == Scope::All || *generation == current {
                told(&format!("generation {generation}"));
                checker.generation(*generation, record);
                checker.verified.generations += 1;
            }
        }
        checker.published_keys();
        checker.pool(&there)?;
        Ok(checker.verified)
    }
}

impl Checker<'_> {
    fn found(&mut self, what: impl Into<String>) {
        self.verified.findings.push(what.into());
    }

    fn signed(&mut self, path: &Path) {
        let read = || -> Result<_, RepositoryError> {
            let signature = signature_path(path);
            let armored = std::fs::read(&signature).map_err(RepositoryError::file(&signature))?;
            let bytes = std::fs::read(path).map_err(RepositoryError::file(path))?;
            keys::verify(&self.certificates, &armored, &bytes)
        };
        if let Err(error) = read() {
            self.found(format!("{}: {error}", path.display()));
        }
    }

    fn generation(&mut self, generation: Generation, record: &RepositoryRecord) {
        let directory = self.repository.dirs.generation(generation);
        self.signed(&directory.join(manifest::NAME));
        let manifest = match Manifest::read(&directory) {
            Ok(manifest) => manifest,
            Err(error) => return self.found(error.to_string()),
        };
        let on_record = record.log.iter().find(|entry| entry.generation == generation);
        match seal_on_disk(&directory) {
            Ok(seal) if seal == manifest.seal => {}
            Ok(_) => self.found(format!("generation {generation}: its seal is not that of its metadata")),
            Err(error) => self.found(format!("generation {generation}: {error}")),
        }
        match on_record {
            None => self.found(format!("generation {generation} is not on record in the journal")),
            Some(entry) if entry.seal != manifest.seal => {
                self.found(format!("generation {generation} has another seal than the journal"));
            }
            Some(_) => {}
        }
        for name in manifest.directories.keys() {
            let path = directory.join(name.as_str());
            self.signed(&path.join("repodata/repomd.xml"));
            if let Err(error) = self.metadata(&path) {
                self.found(error.to_string());
            }
            // Every generation by itself: members that another one has too are not looked into again there.
            match rpmmd::listed(&path, &mut BTreeSet::new()) {
                Ok(listed) => listed.iter().for_each(|artifact| self.package(name, artifact)),
                Err(error) => self.found(error.to_string()),
            }
        }
    }

    /// The files that a `repomd.xml` names.
    fn metadata(&mut self, directory: &Path) -> Result<(), RepositoryError> {
        let path = directory.join("repodata/repomd.xml");
        let text = files::read_at_most(&path, LARGEST).map_err(RepositoryError::file(&path))?;
        for data in text.split("<data ").skip(1) {
            let between = |before: &str, after: char| Some(data.split_once(before)?.1.split_once(after)?.0);
            let parts = (
                between("<location href=\"", '"'),
                between("<checksum type=\"sha256\">", '<'),
            );
            let (Some(location), Some(wanted)) = parts else {
                self.found(format!("{}: an entry names no file or no digest", path.display()));
                continue;
            };
            let file = directory.join(location);
            match std::fs::File::open(&file).and_then(sha256_of) {
                Ok((digest, _)) if digest == wanted => {}
                Ok(_) => self.found(format!("{}: its content is not what repomd.xml says", file.display())),
                Err(error) => self.found(format!("{}: {error}", file.display())),
            }
        }
        Ok(())
    }

    fn package(&mut self, directory: &ArchName, artifact: &Artifact) {
        let key = (directory.clone(), artifact.location.clone());
        if self.seen.get(&key).is_some_and(|digest| *digest == artifact.sha256) {
            return;
        }
        self.seen.insert(key, artifact.sha256.clone());
        self.verified.packages += 1;
        if let Err(why) = self.package_file(directory, artifact) {
            self.found(format!("{directory}/{}: {why}", escaped(&artifact.location)));
        }
    }

    fn package_file(&mut self, directory: &ArchName, artifact: &Artifact) -> Result<(), String> {
        let path =
            pool::path(&self.repository.dirs, directory, &artifact.location).map_err(|error| error.to_string())?;
        let file = std::fs::File::open(&path).map_err(|error| error.to_string())?;
        let (digest, size) = sha256_of(file).map_err(|error| error.to_string())?;
        self.verified.bytes += size;
        if digest != artifact.sha256 || size != artifact.size {
            return Err("its content is not what the metadata says".to_owned());
        }
        let (signature, header) = sign::signature_of(&path).map_err(|error| error.to_string())?;
        keys::verify(&self.certificates, &signature, &header)
            .map(|_| ())
            .map_err(|error| error.to_string())
    }

    /// Clients can only check what they have the key for.
    fn published_keys(&mut self) {
        let path = self.repository.dirs.key_file();
        let text = match files::read_at_most(&path, LARGEST) {
            Ok(text) => text,
            Err(error) => return self.found(format!("{}: {error}", path.display())),
        };
        if let Ok(Some(key)) = self.repository.key_in_use() {
            let published = Keys::of(&self.repository.dirs).public(&key);
            if !published.is_ok_and(|key| text.contains(&key)) {
                self.found(format!("{}: it lacks the key in use, {key}", path.display()));
            }
        }
    }

    /// What no kept generation names does not belong into the pool.
    fn pool(&mut self, there: &[Generation]) -> Result<(), RepositoryError> {
        let repository = self.repository;
        let mut directories = repository.architectures.clone();
        directories.push(super::source_directory());
        for directory in directories {
            let pooled = pool::list(&repository.dirs, &directory)?;
            let named = match repository.named_by(there, &directory) {
                Ok(named) => named,
                Err(error) => {
                    self.found(error.to_string());
                    continue;
                }
            };
            for (location, path) in pooled {
                if !named.contains(&location) {
                    self.found(format!(
                        "{}: no generation names it (windlass repo gc removes it)",
                        escaped(&path.display().to_string())
                    ));
                }
            }
        }
        Ok(())
    }
}
