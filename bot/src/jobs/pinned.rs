//! What an attempt builds from: the newest generation of each repository that an image installs from, pinned for the attempt.
//!
//! It is the newest one and not the one that caused the job: an attempt that is late never brings older packages back.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use windlass_core::id::{ArchName, Generation, RepositoryName};
use windlass_core::job::ImageBuild;
use windlass_core::repository::{Content, Index, closure};
use windlass_core::rpm::{Dependency, Requirement};

use super::Trouble;
use crate::config::{Config, Image};
use crate::repository::Repositories;

/// The generations that an attempt takes.
#[derive(Debug)]
pub(super) struct Pinned {
    arch: ArchName,
    packages: Vec<String>,
    repositories: Vec<Source>,
}

/// One repository at one generation.
#[derive(Debug)]
struct Source {
    name: RepositoryName,
    content: Arc<Content>,
    dir: PathBuf,
    url: String,
}

impl Pinned {
    /// Those of an image now.
    pub(super) fn of(config: &Config, repositories: &Repositories, image: &Image) -> Result<Self, Trouble> {
        let arch = image
            .arch(config)
            .ok_or_else(|| Trouble::lasting(format!("image {} is for no architecture", image.name)))?;
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
                content,
                dir,
                url,
            })
        };
        Ok(Self {
            packages: image.packages.iter().map(ToString::to_string).collect(),
            repositories: image
                .repositories(config)
                .into_iter()
                .map(source)
                .collect::<Result<_, _>>()?,
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
            ("WINDLASS_PACKAGES", self.packages.join(" ")),
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
        let wanted: Vec<Requirement> = self
            .packages
            .iter()
            .map(|package| Requirement::Plain(Dependency::any(package.as_str())))
            .collect();
        let mut lines = vec![format!("generation {} of {}", build.generation, build.repository)];
        if let Ok(chosen) = closure(&indexes, &self.arch, &wanted) {
            lines.extend(chosen.iter().map(|package| package.nevra()));
        }
        lines.join("\n")
    }
}
