//! What a new generation causes: builds of the images and payloads that it makes stale. Looked up before `current` moves, on record with it.
//!
//! Which images there are is configured, which stands on which is read from their Dockerfiles as they are now, what changes is the
//! difference of two generations. What an image holds is known to the world, at the moment of the record.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::sync::Arc;

use windlass_core::escape::escaped;
use windlass_core::event::Event;
use windlass_core::id::{ArchName, Generation, ImageId, PackageName, RepositoryName};
use windlass_core::image::dockerfile::{Arguments, Platform};
use windlass_core::image::{Dockerfile, ImageName};
use windlass_core::job::{Moved, Product, ProductFacts, changes, queue, stale};
use windlass_core::repository::record::Cause;
use windlass_core::repository::{Content, Index, closure};
use windlass_core::rpm::{Dependency, Requirement};
use windlass_core::world::World;

use crate::config::{Config, Image, Payload};
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
        let products = self.products();
        let concerned = |product: &Declared<'_>| product.repositories.contains(&repository.name());
        let first = products.iter().find(|product| concerned(product))?;
        let changes = changes(before, after);
        if changes.values().all(BTreeMap::is_empty) {
            return None;
        }
        tracing::debug!(what = %first.product.subject(), "a generation is looked at for what it makes stale");
        let bases = match repository.bases() {
            Ok(bases) => bases.indexes(),
            Err(error) => {
                let name = repository.name();
                tracing::warn!(repository = %name, %error, "what images and payloads would hold is told without base repositories: {error}");
                BTreeMap::new()
            }
        };
        let facts = products.into_iter().filter_map(|product| {
            let arch = product.arch.clone()?;
            let is_touched = changes.get(&arch).is_some_and(|changes| !changes.is_empty());
            let (before, after) = if is_touched && concerned(&product) {
                let foreign = bases.get(&arch).map_or(&[][..], Vec::as_slice);
                let held = |content| held(&product.roots, content, foreign, &arch);
                (held(before), held(after))
            } else {
                (None, None)
            };
            Some(ProductFacts {
                repositories: product.repositories.into_iter().cloned().collect(),
                packages: product.roots.concat().iter().map(ToString::to_string).collect(),
                product: product.product,
                arch,
                bases: product.bases,
                before,
                after,
            })
        });
        Some(Consequences {
            products: facts.collect(),
            moved: Moved {
                repository: repository.name().clone(),
                generation,
                changes,
            },
        })
    }

    /// Everything that is configured to be made of packages.
    fn products(&self) -> Vec<Declared<'_>> {
        let names = self.names();
        let images = self.config.images.iter().map(|one| Declared {
            product: Product::Image(one.name.clone()),
            repositories: one.repositories(&self.config),
            arch: one.arch(&self.config),
            roots: vec![one.packages.clone()],
            bases: bases_of(one, &names),
        });
        let payloads = self.config.payloads.iter().map(|one: &Payload| Declared {
            product: Product::Payload(one.name.clone()),
            repositories: one.repositories(&self.config),
            arch: one.arch(&self.config),
            roots: one
                .all_partitions()
                .map(|partition| partition.packages.clone())
                .collect(),
            bases: one.images(),
        });
        images.chain(payloads).collect()
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

/// What the configuration says of an image or a payload.
struct Declared<'a> {
    product: Product,
    repositories: Vec<&'a RepositoryName>,
    arch: Option<ArchName>,
    /// The packages that are installed together, of each file system by itself.
    roots: Vec<Vec<PackageName>>,
    bases: Vec<ImageId>,
}

/// What the packages that something declares would bring with them; nothing where they cannot be installed together, or where it
/// declares none.
fn held(
    roots: &[Vec<PackageName>],
    content: &Content,
    foreign: &[Arc<Index>],
    arch: &ArchName,
) -> Option<BTreeSet<String>> {
    let own = content.arches.get(arch)?;
    let indexes: Vec<&Index> = std::iter::once(own).chain(foreign.iter().map(AsRef::as_ref)).collect();
    let mut all: Option<BTreeSet<String>> = None;
    for packages in roots.iter().filter(|packages| !packages.is_empty()) {
        let chosen = closure(&indexes, arch, &requirements(packages)).ok()?;
        all.get_or_insert_default()
            .extend(chosen.iter().map(|package| package.nevra()));
    }
    all
}

/// That packages are to be there, in whatever version.
pub(super) fn requirements(packages: &[PackageName]) -> Vec<Requirement> {
    let any = |package: &PackageName| Requirement::Plain(Dependency::any(package.as_str()));
    packages.iter().map(any).collect()
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
