//! What describes a generation: the metadata of each directory, its signature, and the manifest over all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use jiff::Timestamp;
use windlass_core::id::{ArchName, Fingerprint, Generation};
use windlass_core::repository::record::Cause;

use super::dirs::source_directory;
use super::incoming::Section;
use super::keys::{Signer, signature_path};
use super::manifest::{self, Directory, Manifest, seal};
use super::rpmmd::{self, Entry, Order, Removed, Written};
use super::shipped::shipped;
use super::{Change, Repository, RepositoryError, Stamp, files};

impl Repository {
    pub(super) fn write_metadata(
        &self,
        section: &Section<'_>,
        before: Option<&Path>,
        generation: &Path,
        change: &Change,
        stamp: &Stamp,
    ) -> Result<Written, RepositoryError> {
        let directory = generation.join(section.name.as_str());
        files::make_directory(&directory).map_err(RepositoryError::file(&directory))?;
        let link = directory.join("packages");
        std::os::unix::fs::symlink(format!("../../../packages/{}", section.name), &link)
            .map_err(RepositoryError::file(&link))?;
        // An architecture that was configured since has nothing before.
        let before = before
            .map(|before| before.join(section.name.as_str()))
            .filter(|before| before.is_dir());
        let mut removed = BTreeSet::new();
        for package in &section.plan.removed {
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
        let added = section.came.iter().map(|arrived| Entry {
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
                .filter(|_| section.name != source_directory()),
        })?;
        Ok(written)
    }

    /// Takes the content-named files over of the generations that were the newest a short while ago: a client that read an old
    /// `repomd.xml` through `current` still finds what it names.
    pub(super) fn carry(&self, newest: Generation, to: &Path, now: Timestamp) -> Result<(), RepositoryError> {
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

    pub(super) fn manifest(
        &self,
        change: &Change,
        stamp: &Stamp,
        key: Fingerprint,
        written: &BTreeMap<ArchName, Written>,
    ) -> Manifest {
        let (came, went) = match stamp.cause {
            // The same packages in another form: nothing came, and nothing went.
            Cause::Resign { .. } => (Vec::new(), Vec::new()),
            Cause::Init { .. } | Cause::Task { .. } | Cause::Import { .. } | Cause::Rollback { .. } => {
                shipped(&change.plan)
            }
        };
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
}

/// Signs a file, armored, beside it.
pub(super) fn sign_file(path: &Path, signer: &Signer, now: Timestamp) -> Result<(), RepositoryError> {
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

/// Writes and signs the manifest.
pub(super) fn write_manifest(
    manifest: &Manifest,
    directory: &Path,
    signer: &Signer,
    now: Timestamp,
) -> Result<(), RepositoryError> {
    let path = directory.join(manifest::NAME);
    let mut text = serde_json::to_vec_pretty(manifest).map_err(|error| RepositoryError::file(&path)(error.into()))?;
    text.push(b'\n');
    files::write_new(&path, &text).map_err(RepositoryError::file(&path))?;
    sign_file(&path, signer, now)?;
    files::sync_directory(directory).map_err(RepositoryError::file(directory))
}
