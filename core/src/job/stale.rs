//! Which images and payloads a commit makes stale, and why: exactly those that hold a package that came or went, then whatever stands on them.
//!
//! What one holds is known from the last time that it was made: what its package database says. Before that it is the closure of the packages
//! that it declares. A closure that differs makes it stale in any case: with the same packages in it, another one may be
//! preferred now. A payload stands on the images that it takes file systems from, as an image does on its bases.

use std::collections::{BTreeMap, BTreeSet};

use super::{Because, ImageBuild, JobKind, Jobs, PayloadBuild, Subject, Wanted};
use crate::id::{ArchName, Generation, ImageId, PayloadName, RepositoryName};
use crate::repository::{Content, Index};

/// How many reasons a job tells one by one.
const TOLD: usize = 20;

/// What holds packages, and is made again when they change.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Product {
    /// A configured image.
    Image(ImageId),
    /// A configured payload.
    Payload(PayloadName),
}

/// What is known of a configured image or payload at the moment of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProductFacts {
    /// Which.
    pub product: Product,
    /// The repositories from which it installs.
    pub repositories: Vec<RepositoryName>,
    /// The architecture that it is for.
    pub arch: ArchName,
    /// The packages that it declares.
    pub packages: Vec<String>,
    /// The configured images that it stands on, or takes file systems from.
    pub bases: Vec<ImageId>,
    /// What the closure of the packages that it declares was before the commit, by name; nothing where there was none.
    pub before: Option<BTreeSet<String>>,
    /// What it is after it.
    pub after: Option<BTreeSet<String>>,
}

/// A generation that was made, and what it changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// The repository.
    pub repository: RepositoryName,
    /// The generation.
    pub generation: Generation,
    /// What it changes on each architecture: [`changes`].
    pub changes: BTreeMap<ArchName, Changes>,
}

/// Packages by name, with what came and what went of each.
pub type Changes = BTreeMap<String, PackageChange>;

/// What becomes of all packages of one name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PackageChange {
    /// Those that are no more, as name-epoch:version-release.architecture, each with its epoch:version-release.
    pub went: BTreeMap<String, String>,
    /// Those that came, in the same form.
    pub came: BTreeMap<String, String>,
}

/// What differs between two generations. A package that was only signed anew is the same package.
pub fn changes(before: &Content, after: &Content) -> BTreeMap<ArchName, Changes> {
    let arches: BTreeSet<&ArchName> = before.arches.keys().chain(after.arches.keys()).collect();
    let nevras = |content: &Content, arch: &ArchName| -> BTreeMap<String, (String, String)> {
        let packages = content.arches.get(arch).into_iter().flat_map(Index::packages);
        packages
            .map(|package| (package.nevra(), (package.name.clone(), package.evr.to_string())))
            .collect()
    };
    let one = |arch: &ArchName| {
        let (old, new) = (nevras(before, arch), nevras(after, arch));
        let mut changes = Changes::new();
        for (nevra, (name, evr)) in old.iter().filter(|(nevra, _)| !new.contains_key(*nevra)) {
            let change = changes.entry(name.clone()).or_default();
            change.went.insert(nevra.clone(), evr.clone());
        }
        for (nevra, (name, evr)) in new.iter().filter(|(nevra, _)| !old.contains_key(*nevra)) {
            let change = changes.entry(name.clone()).or_default();
            change.came.insert(nevra.clone(), evr.clone());
        }
        changes
    };
    arches.into_iter().map(|arch| (arch.clone(), one(arch))).collect()
}

/// The builds that a generation causes, bases before what stands on them.
pub fn stale(products: &[ProductFacts], jobs: &Jobs, moved: &Moved) -> Vec<Wanted> {
    let mut because: BTreeMap<&Product, BTreeSet<Because>> = BTreeMap::new();
    for one in products {
        let reasons = of_packages(one, jobs, moved);
        if !reasons.is_empty() {
            because.insert(&one.product, reasons);
        }
    }
    let order = bases_first(products);
    for one in &order {
        for base in &one.bases {
            let image = Product::Image(base.clone());
            if image != one.product && because.contains_key(&image) {
                let reasons = because.entry(&one.product).or_default();
                reasons.insert(Because::Base { image: base.clone() });
            }
        }
    }
    let wanted = |one: &&ProductFacts| {
        let reasons = because.get(&one.product)?;
        let more = u32::try_from(reasons.len().saturating_sub(TOLD)).unwrap_or(u32::MAX);
        let because = reasons.iter().take(TOLD).cloned().collect();
        Some(Wanted {
            kind: one
                .product
                .build(moved.repository.clone(), moved.generation, because, more),
            after: one.bases.iter().cloned().map(Subject::Image).collect(),
        })
    };
    order.iter().filter_map(wanted).collect()
}

impl Product {
    /// The job that makes it, for these reasons and so many more.
    pub fn build(
        &self,
        repository: RepositoryName,
        generation: Generation,
        because: Vec<Because>,
        more: u32,
    ) -> JobKind {
        match self.clone() {
            Self::Image(image) => JobKind::ImageBuild(ImageBuild {
                image,
                repository,
                generation,
                because,
                more,
            }),
            Self::Payload(payload) => JobKind::PayloadBuild(PayloadBuild {
                payload,
                repository,
                generation,
                because,
                more,
            }),
        }
    }

    /// What such a job is about.
    pub fn subject(&self) -> Subject {
        match self.clone() {
            Self::Image(image) => Subject::Image(image),
            Self::Payload(payload) => Subject::Payload(payload),
        }
    }

    /// What it held when it was made last; nothing where it never was.
    fn held<'a>(&self, jobs: &'a Jobs) -> Option<&'a [String]> {
        match self {
            Self::Image(image) => Some(&jobs.image(image)?.last.as_ref()?.packages),
            Self::Payload(payload) => Some(&jobs.payload(payload)?.last.as_ref()?.packages),
        }
    }
}

/// Why the packages of an image or a payload make it stale.
fn of_packages(one: &ProductFacts, jobs: &Jobs, moved: &Moved) -> BTreeSet<Because> {
    if !one.repositories.contains(&moved.repository) {
        return BTreeSet::new();
    }
    let nothing = Changes::new();
    let changes = moved.changes.get(&one.arch).unwrap_or(&nothing);
    let last = one.product.held(jobs);
    let held: BTreeSet<&str> = match (last, &one.before, &one.after) {
        (Some(packages), _, _) => packages.iter().map(String::as_str).collect(),
        // What it would have held, and what it would hold.
        (None, before, after) => before.iter().chain(after).flatten().map(String::as_str).collect(),
    };
    let mut names: BTreeSet<&str> = held.iter().map(|nevra| name_of(nevra)).collect();
    if last.is_none() && one.after.is_none() {
        // No closure: at least what it names is looked at.
        names.extend(one.packages.iter().map(String::as_str));
    }
    let is_other = |change: &PackageChange| {
        let gone = change.went.keys().any(|nevra| held.contains(nevra.as_str()));
        let new = change.came.keys().any(|nevra| !held.contains(nevra.as_str()));
        gone || new || last.is_none()
    };
    let mut reasons: BTreeSet<Because> = names
        .iter()
        .filter_map(|name| Some((*name, changes.get(*name)?)))
        .filter(|(_, change)| is_other(change))
        .map(|(name, change)| because(name, change))
        .collect();
    if one.before != one.after {
        let empty = BTreeSet::new();
        let (before, after) = (
            one.before.as_ref().unwrap_or(&empty),
            one.after.as_ref().unwrap_or(&empty),
        );
        let differs = before.symmetric_difference(after).map(|nevra| name_of(nevra));
        let differs: BTreeSet<&str> = differs.collect();
        reasons.extend(differs.into_iter().map(|name| {
            changes.get(name).map_or_else(
                || {
                    let evr = |set: &BTreeSet<String>| {
                        set.iter()
                            .find(|nevra| name_of(nevra) == name)
                            .map(|nevra| evr_of(nevra))
                    };
                    Because::Package {
                        package: name.to_owned(),
                        before: evr(before),
                        after: evr(after),
                    }
                },
                |change| because(name, change),
            )
        }));
    }
    reasons
}

fn because(name: &str, change: &PackageChange) -> Because {
    Because::Package {
        package: name.to_owned(),
        before: change.went.values().next_back().cloned(),
        after: change.came.values().next_back().cloned(),
    }
}

/// Products so that each comes after those that it stands on; in a circle somebody comes first.
fn bases_first(products: &[ProductFacts]) -> Vec<&ProductFacts> {
    let mut order: Vec<&ProductFacts> = Vec::with_capacity(products.len());
    let mut placed: BTreeSet<&Product> = BTreeSet::new();
    let known: BTreeSet<&Product> = products.iter().map(|one| &one.product).collect();
    while order.len() < products.len() {
        let before = order.len();
        for one in products {
            let is_ready = |base: &ImageId| {
                let base = Product::Image(base.clone());
                placed.contains(&base) || !known.contains(&base) || base == one.product
            };
            if !placed.contains(&one.product) && one.bases.iter().all(is_ready) {
                order.push(one);
                placed.insert(&one.product);
            }
        }
        if order.len() == before {
            let Some(first) = products.iter().find(|one| !placed.contains(&one.product)) else {
                break;
            };
            order.push(first);
            placed.insert(&first.product);
        }
    }
    order
}

/// The name in name-epoch:version-release.architecture.
pub fn name_of(nevra: &str) -> &str {
    match nevra.rmatch_indices('-').nth(1) {
        Some((end, _)) if end > 0 => &nevra[..end],
        _ => nevra,
    }
}

/// The epoch:version-release in the same.
fn evr_of(nevra: &str) -> String {
    let rest = nevra.get(name_of(nevra).len() + 1..).unwrap_or_default();
    rest.rsplit_once('.').map_or(rest, |(evr, _)| evr).to_owned()
}

#[cfg(test)]
mod tests;
