//! What a generation consists of, read from its metadata.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use windlass_core::id::{ArchName, Generation};
use windlass_core::repository::{Content, Index};
use windlass_core::rpm::Package;

use super::dirs::source_directory;
use super::manifest::Manifest;
use super::{Repository, RepositoryError, pool, rpmmd, sign};

impl Repository {
    /// No packages, for every configured architecture.
    pub(super) fn empty(&self) -> Content {
        Content {
            arches: self
                .architectures
                .iter()
                .map(|arch| (arch.clone(), Index::default()))
                .collect(),
            ..Content::default()
        }
    }

    /// What a generation consists of. An architecture that is not configured any more is left out, one that was configured since
    /// is empty.
    ///
    /// # Errors
    /// Its metadata cannot be read.
    pub fn read_generation(&self, generation: Generation) -> Result<Content, RepositoryError> {
        let directory = self.dirs.generation(generation);
        let manifest = Manifest::read(&directory)?;
        let read = |name: &ArchName| -> Result<Index, RepositoryError> {
            if !manifest.directories.contains_key(name) {
                return Ok(Index::default());
            }
            let path = directory.join(name.as_str());
            let mut packages = Vec::new();
            for artifact in rpmmd::listed(&path, &mut BTreeSet::new())? {
                let header = sign::read_header(&pool::path(&self.dirs, name, &artifact.location)?)?;
                packages.push(Arc::new(Package {
                    artifact: Some(artifact),
                    ..Package::clone(&header.package)
                }));
            }
            Ok(Index::of(packages))
        };
        let arches: BTreeMap<_, _> = self
            .architectures
            .iter()
            .map(|arch| Ok((arch.clone(), read(arch)?)))
            .collect::<Result<_, RepositoryError>>()?;
        Ok(Content {
            generation,
            arches,
            source: read(&source_directory())?,
        })
    }
}
