//! What an attempt builds from: the newest generation of each repository that an image or a payload installs from, pinned for the attempt.
//!
//! It is the newest one and not the one that caused the job: an attempt that is late never brings older packages back.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use windlass_core::id::PackageName;
use windlass_core::id::{ArchName, Generation, RepositoryName};
use windlass_core::job::ImageBuild;
use windlass_core::repository::{Content, Index, closure};
use windlass_core::rpm::Package;

use super::Trouble;
use super::causes::requirements;
use crate::config::Config;
use crate::repository::{Repositories, Repository};
use crate::stages::StageError;
use crate::stages::build::{Layer, PackageFiles};

/// What is to be installed, and from where.
#[derive(Debug)]
pub(super) struct Wish<'a> {
    /// For what, as in "image web".
    pub(super) what: String,
    pub(super) arch: Option<ArchName>,
    pub(super) packages: Vec<PackageName>,
    pub(super) from: Vec<&'a RepositoryName>,
}

/// The generations that an attempt takes.
#[derive(Debug)]
pub(super) struct Pinned {
    arch: ArchName,
    packages: Vec<PackageName>,
    repositories: Vec<Source>,
}

/// One repository at one generation.
#[derive(Debug)]
struct Source {
    name: RepositoryName,
    repository: Arc<Repository>,
    content: Arc<Content>,
    dir: PathBuf,
    url: String,
}

impl Pinned {
    /// Those of what installs these packages from these repositories, now.
    pub(super) fn of(config: &Config, repositories: &Repositories, wish: Wish<'_>) -> Result<Self, Trouble> {
        let arch = wish
            .arch
            .ok_or_else(|| Trouble::lasting(format!("{} is for no architecture", wish.what)))?;
        let source = |name: &RepositoryName| {
            let repository = repositories
                .get(name)
                .ok_or_else(|| Trouble::lasting(format!("there is no repository {name}")))?;
            let content = repository.content();
            let dir = repository.dirs().generation(content.generation).join(arch.as_str());
            if !dir.is_dir() {
                return Err(Trouble::transient(format!(
                    "generation {} of {name} is not at {}",
                    content.generation,
                    dir.display()
                )));
            }
            let url = config.url_of(name).map_or_else(
                || format!("file://{}", dir.display()),
                |url| format!("{url}/generations/{}/{arch}", content.generation),
            );
            Ok(Source {
                name: name.clone(),
                repository: Arc::clone(repository),
                content,
                dir,
                url,
            })
        };
        Ok(Self {
            packages: wish.packages,
            repositories: wish.from.into_iter().map(source).collect::<Result<_, _>>()?,
            arch,
        })
    }

    /// The generations by repository.
    pub(super) fn generations(&self) -> BTreeMap<RepositoryName, Generation> {
        let pair = |source: &Source| (source.name.clone(), source.content.generation);
        self.repositories.iter().map(pair).collect()
    }

    /// What a script beside the Dockerfile is told; of several repositories each has a word.
    pub(super) fn environment(&self) -> BTreeMap<String, String> {
        let words = |word: &dyn Fn(&Source) -> String| self.repositories.iter().map(word).collect::<Vec<_>>().join(" ");
        [
            ("WINDLASS_REPOSITORY_URL", words(&|source| source.url.clone())),
            (
                "WINDLASS_REPOSITORY_DIR",
                words(&|source| source.dir.display().to_string()),
            ),
            (
                "WINDLASS_GENERATION",
                words(&|source| source.content.generation.to_string()),
            ),
            (
                "WINDLASS_PACKAGES",
                self.packages.iter().map(AsRef::as_ref).collect::<Vec<&str>>().join(" "),
            ),
            ("WINDLASS_ARCH", self.arch.to_string()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
    }

    /// What the repositories would install now for the packages that the image declares, a line each, below the generation that made it
    /// stale: an input of its build. An image may hold more than it declares, so that the first line alone makes it another input.
    pub(super) fn wanted(&self, build: &ImageBuild) -> String {
        let indexes: Vec<&Index> = self
            .repositories
            .iter()
            .filter_map(|source| source.content.arches.get(&self.arch))
            .collect();
        let mut lines = vec![format!("generation {} of {}", build.generation, build.repository)];
        if let Ok(chosen) = closure(&indexes, &self.arch, &requirements(&self.packages)) {
            lines.extend(chosen.iter().map(|package| package.nevra()));
        }
        lines.join("\n")
    }

    /// The architecture.
    pub(super) fn arch(&self) -> &ArchName {
        &self.arch
    }

    /// The newest generation of the first repository, where there is one.
    pub(super) fn first(&self) -> Option<Generation> {
        self.repositories.first().map(|source| source.content.generation)
    }

    /// What packages may be taken from: each repository, and after it its bases.
    pub(super) fn layers(&self) -> Result<Vec<Layer>, Trouble> {
        let mut layers = Vec::new();
        for source in &self.repositories {
            layers.push(Layer {
                index: source.content.arches.get(&self.arch).cloned().unwrap_or_default(),
                files: Arc::new(InGeneration(source.dir.clone())),
            });
            let bases = source.repository.bases();
            let bases = bases.map_err(|error| Trouble::transient(format!("{}: {error}", source.name)))?;
            layers.extend(bases.of(&self.arch).iter().map(|base| Layer {
                index: Index::clone(&base.index),
                files: Arc::clone(&base.files) as Arc<dyn PackageFiles>,
            }));
        }
        Ok(layers)
    }
}

/// The packages of one generation on one architecture: they are there as long as it is.
#[derive(Debug)]
struct InGeneration(PathBuf);

impl PackageFiles for InGeneration {
    fn path(&self, package: &Package) -> Result<PathBuf, StageError> {
        let artifact = package.artifact.as_ref();
        let artifact =
            artifact.ok_or_else(|| StageError::infrastructure(format!("{} has no file", package.nevra())))?;
        Ok(self.0.join(&artifact.location))
    }
}
