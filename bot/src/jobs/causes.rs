//! What a new generation causes: builds of the images that it makes stale. Looked up before `current` moves, on record with it.
//!
//! Which images there are is configured, which stands on which is read from their Dockerfiles as they are now, what changes is the
//! difference of two generations. What an image holds is known to the world, at the moment of the record.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::sync::Arc;

use windlass_core::escape::escaped;
use windlass_core::event::Event;
use windlass_core::id::{ArchName, Generation, ImageId};
use windlass_core::image::dockerfile::{Arguments, Platform};
use windlass_core::image::{Dockerfile, ImageName};
use windlass_core::job::{Moved, Product, ProductFacts, changes, queue, stale};
use windlass_core::repository::record::Cause;
use windlass_core::repository::{Content, Index, closure};
use windlass_core::rpm::{Dependency, Requirement};
use windlass_core::world::World;

use crate::config::{Config, Image};
use crate::repository::Repository;

/// The most that is read of a Dockerfile.
const LARGEST: u64 = 1 << 20;

/// What is configured to follow from a commit.
#[derive(Debug)]
pub struct Causes {
    config: Config,
}

/// What a generation changes, and whom that may concern.
#[derive(Debug, Clone)]
pub struct Consequences {
    products: Vec<ProductFacts>,
    moved: Moved,
}

impl Causes {
    /// What a configuration says.
    pub fn of(config: &Config) -> Self {
        Self { config: config.clone() }
    }

    /// What follows when a repository's content becomes another; nothing where nothing can.
    pub fn look(
        &self,
        repository: &Repository,
        before: &Content,
        after: &Content,
        generation: Generation,
    ) -> Option<Consequences> {
        let concerned = |image: &&Image| image.repositories(&self.config).contains(&repository.name());
        let first = self.config.images.iter().find(concerned)?;
        let changes = changes(before, after);
        if changes.values().all(BTreeMap::is_empty) {
            return None;
        }
        tracing::debug!(image = %first.name, "a generation is looked at for what it makes stale");
        let bases = match repository.bases() {
            Ok(bases) => bases.indexes(),
            Err(error) => {
                let name = repository.name();
                tracing::warn!(repository = %name, %error, "what images would hold is told without base repositories: {error}");
                BTreeMap::new()
            }
        };
        let names = self.names();
        let images = self.config.images.iter().filter_map(|image| {
            let arch = image.arch(&self.config)?;
            let is_touched = changes.get(&arch).is_some_and(|changes| !changes.is_empty());
            let (before, after) = if is_touched && concerned(&image) {
                let foreign = bases.get(&arch).map_or(&[][..], Vec::as_slice);
                (held(image, before, foreign, &arch), held(image, after, foreign, &arch))
            } else {
                (None, None)
            };
            Some(ProductFacts {
                product: Product::Image(image.name.clone()),
                repositories: image.repositories(&self.config).into_iter().cloned().collect(),
                arch,
                packages: image.packages.iter().map(ToString::to_string).collect(),
                bases: bases_of(image, &names),
                before,
                after,
            })
        });
        Some(Consequences {
            products: images.collect(),
            moved: Moved {
                repository: repository.name().clone(),
                generation,
                changes,
            },
        })
    }

    /// The configured images by their names in full.
    fn names(&self) -> BTreeMap<ImageName, ImageId> {
        let named = |image: &Image| Some((ImageName::local(&image.reference()).ok()?, image.name.clone()));
        self.config.images.iter().filter_map(named).collect()
    }
}

impl Consequences {
    /// The jobs that it causes, as events.
    pub fn events(&self, world: &World, cause: &Cause) -> Vec<Event> {
        let task = match cause {
            Cause::Task { task } => Some(*task),
            Cause::Init { .. } | Cause::Import { .. } | Cause::Rollback { .. } | Cause::Resign { .. } => None,
        };
        queue(world.jobs(), &stale(&self.products, world.jobs(), &self.moved), task)
    }
}

/// What the packages that an image declares would bring with them; nothing where they cannot be installed together, or where it
/// declares none.
fn held(image: &Image, content: &Content, foreign: &[Arc<Index>], arch: &ArchName) -> Option<BTreeSet<String>> {
    if image.packages.is_empty() {
        return None;
    }
    let own = content.arches.get(arch)?;
    let indexes: Vec<&Index> = std::iter::once(own).chain(foreign.iter().map(AsRef::as_ref)).collect();
    let wanted: Vec<Requirement> = image
        .packages
        .iter()
        .map(|package| Requirement::Plain(Dependency::any(package.as_str())))
        .collect();
    let chosen = closure(&indexes, arch, &wanted).ok()?;
    Some(chosen.iter().map(|package| package.nevra()).collect())
}

/// The configured images that one stands on. What is wrong with its Dockerfile its build will tell.
fn bases_of(image: &Image, names: &BTreeMap<ImageName, ImageId>) -> Vec<ImageId> {
    let read = || -> anyhow::Result<Vec<ImageId>> {
        let mut bytes = Vec::new();
        std::fs::File::open(&image.dockerfile)?
            .take(LARGEST)
            .read_to_end(&mut bytes)?;
        let file = Dockerfile::from_bytes(&bytes)?;
        let platform = match &image.platform {
            Some(platform) => platform.parse()?,
            None => Platform::linux(std::env::consts::ARCH),
        };
        let arguments = image
            .build_args
            .iter()
            .fold(Arguments::native(&platform), |arguments, (name, value)| {
                arguments.with(name, value)
            });
        let mut bases: Vec<ImageId> = Vec::new();
        for base in file.bases(&arguments)? {
            if let Some(id) = base.image().and_then(|name| names.get(name))
                && *id != image.name
                && !bases.contains(id)
            {
                bases.push(id.clone());
            }
        }
        Ok(bases)
    };
    read().unwrap_or_else(|error| {
        let why = escaped(&error.to_string());
        tracing::warn!(image = %image.name, "what image {} stands on cannot be told: {}: {why}", image.name, image.dockerfile.display());
        Vec::new()
    })
}
