//! All packages of one architecture in one generation, and who provides what among them.
//!
//! An [`Index`] never changes: [`Index::with`] makes another one that shares nearly everything with it, so that trying a plan costs
//! by what the plan changes and not by the size of the repository. What it looks up by is sorted hashes, made at the first question.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash as _, Hasher as _};
use std::iter::Peekable;
use std::sync::{Arc, OnceLock};

use super::ArchPlan;
use crate::rpm::{Dependency, Package, Requirement};

/// The packages of one architecture in one generation. Cheap to clone.
#[derive(Clone, Default)]
pub struct Index {
    /// What most of it is.
    base: Arc<Table>,
    /// Which packages of `base` are not here any more, by their place; empty where all are.
    gone: Arc<Places>,
    /// What came since.
    came: Arc<Table>,
}

/// From how many changes on everything is put into one table again, at the least.
const FEWEST_CHANGES: usize = 256;

impl Index {
    /// The index of these packages. One that is given twice is there once.
    pub fn of(packages: impl IntoIterator<Item = Arc<Package>>) -> Self {
        Self {
            base: Arc::new(Table::of(packages.into_iter().collect())),
            ..Self::default()
        }
    }

    /// What it would be with a plan: what the plan removes is known by name, version and architecture.
    #[must_use]
    pub fn with(&self, plan: &ArchPlan) -> Self {
        let mut gone = Places::clone(&self.gone);
        let mut came = self.came.packages.clone();
        for package in &plan.removed {
            for place in self.base.same(package) {
                gone.add(place);
            }
            came.retain(|one| order(one, package) != Ordering::Equal);
        }
        came.extend(plan.added.iter().cloned());
        let index = Self {
            base: Arc::clone(&self.base),
            gone: Arc::new(gone),
            came: Arc::new(Table::of(came)),
        };
        let changes = index.gone.count + index.came.packages.len();
        if changes > FEWEST_CHANGES.max(index.base.packages.len() / 8) {
            return Self::of(index.packages().cloned());
        }
        index
    }

    /// All of them, by name, then version, then architecture.
    pub fn packages(&self) -> impl Iterator<Item = &Arc<Package>> {
        Merged {
            one: self.kept(0..self.base.packages.len()).peekable(),
            two: self.came.packages.iter().peekable(),
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.base.packages.len() - self.gone.count + self.came.packages.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Those of one name, oldest version first.
    pub fn named(&self, name: &str) -> impl Iterator<Item = &Arc<Package>> {
        Merged {
            one: self.kept(self.base.named(name)).peekable(),
            two: self.came.packages[self.came.named(name)].iter().peekable(),
        }
    }

    /// Those built from one source package, given by its file name.
    pub fn built_from(&self, source_rpm: &str) -> Vec<&Arc<Package>> {
        self.found(Kind::Source, source_rpm, |package, _| {
            package.source_rpm.as_deref() == Some(source_rpm)
        })
    }

    /// Those that meet a dependency: by what they provide or, for a path without a version, by their files.
    pub fn providers(&self, wanted: &Dependency) -> Vec<&Arc<Package>> {
        let mut found = self.found(Kind::Provide, &wanted.name, |package, at| {
            wanted.is_met_by(&package.provides[at])
        });
        if wanted.is_path() && wanted.versions.is_none() {
            let by_file = self.found(Kind::File, &wanted.name, |package, at| {
                package.files[at].path == wanted.name
            });
            merge(&mut found, by_file);
        }
        found
    }

    /// Whether anybody whom a test takes meets a dependency. Cheaper than all who do.
    pub fn any_provider(&self, wanted: &Dependency, takes: impl Fn(&Package) -> bool) -> bool {
        let by_capability = self
            .places(Kind::Provide, &wanted.name)
            .any(|(package, at)| wanted.is_met_by(&package.provides[at]) && takes(package));
        by_capability
            || (wanted.is_path()
                && wanted.versions.is_none()
                && self
                    .places(Kind::File, &wanted.name)
                    .any(|(package, at)| package.files[at].path == wanted.name && takes(package)))
    }

    /// Whoever provides a name in any version, with what it provides. Files are not looked at.
    pub fn providers_of_name<'a>(&'a self, name: &str) -> Vec<(&'a Arc<Package>, &'a Dependency)> {
        let mut found = Vec::new();
        for (package, at) in self.places(Kind::Provide, name) {
            if package.provides[at].name == name {
                found.push((package, &package.provides[at]));
            }
        }
        found
    }

    /// Those that name a capability or path in what they require, alone or in a boolean dependency.
    pub fn requirers(&self, name: &str) -> Vec<&Arc<Package>> {
        self.found(Kind::Require, name, |package, at| {
            package.requires[at].leaves().iter().any(|leaf| leaf.name == name)
        })
    }

    /// Those with a boolean dependency among what they require or conflict with.
    pub(super) fn with_rich_dependencies(&self) -> impl Iterator<Item = &Arc<Package>> {
        let base = self.base.rich().iter().filter(|place| !self.gone.has(**place as usize));
        let base = base.map(|place| &self.base.packages[*place as usize]);
        base.chain(
            self.came
                .rich()
                .iter()
                .map(|place| &self.came.packages[*place as usize]),
        )
    }

    /// Those that a test takes among what a key's hash leads to, each once.
    fn found(&self, kind: Kind, key: &str, takes: impl Fn(&Package, usize) -> bool) -> Vec<&Arc<Package>> {
        let mut found: Vec<&Arc<Package>> = Vec::new();
        for (package, at) in self.places(kind, key) {
            if takes(package, at) && !found.last().is_some_and(|last| Arc::ptr_eq(last, package)) {
                found.push(package);
            }
        }
        // Both halves are sorted by place, which is the packages' order.
        found.sort_by(|one, two| order(one, two));
        found
    }

    /// Where a key's hash leads to: package and position within it.
    fn places(&self, kind: Kind, key: &str) -> impl Iterator<Item = (&Arc<Package>, usize)> {
        let base = self
            .base
            .places(kind, key)
            .filter(|(place, _)| !self.gone.has(*place))
            .map(|(place, at)| (&self.base.packages[place], at));
        let came = self
            .came
            .places(kind, key)
            .map(|(place, at)| (&self.came.packages[place], at));
        base.chain(came)
    }

    /// Those of a range of the table that are still here.
    fn kept(&self, range: std::ops::Range<usize>) -> impl Iterator<Item = &Arc<Package>> {
        range
            .filter(|place| !self.gone.has(*place))
            .map(|place| &self.base.packages[place])
    }
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.packages().map(|package| package.nevra()))
            .finish()
    }
}

impl PartialEq for Index {
    fn eq(&self, other: &Self) -> bool {
        self.packages().eq(other.packages())
    }
}

impl FromIterator<Arc<Package>> for Index {
    fn from_iter<T: IntoIterator<Item = Arc<Package>>>(packages: T) -> Self {
        Self::of(packages)
    }
}

/// The order of packages in an index.
pub(super) fn order(one: &Package, two: &Package) -> Ordering {
    (&one.name, &one.evr, &one.arch).cmp(&(&two.name, &two.evr, &two.arch))
}

/// Adds what is not there yet, and keeps the order.
fn merge<'a>(found: &mut Vec<&'a Arc<Package>>, more: Vec<&'a Arc<Package>>) {
    if more.is_empty() {
        return;
    }
    found.extend(more);
    found.sort_by(|one, two| order(one, two));
    found.dedup_by(|one, two| Arc::ptr_eq(one, two));
}

/// Two sorted sequences as one.
struct Merged<A: Iterator, B: Iterator> {
    one: Peekable<A>,
    two: Peekable<B>,
}

impl<'a, A, B> Iterator for Merged<A, B>
where
    A: Iterator<Item = &'a Arc<Package>>,
    B: Iterator<Item = &'a Arc<Package>>,
{
    type Item = &'a Arc<Package>;

    fn next(&mut self) -> Option<Self::Item> {
        match (self.one.peek(), self.two.peek()) {
            (Some(one), Some(two)) if order(one, two) == Ordering::Greater => self.two.next(),
            (Some(_), _) => self.one.next(),
            (None, _) => self.two.next(),
        }
    }
}

/// What packages are found by.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Provide,
    File,
    Require,
    Source,
}

/// Packages in order, with what they are found by.
#[derive(Default)]
struct Table {
    packages: Vec<Arc<Package>>,
    provides: OnceLock<Keys>,
    files: OnceLock<Keys>,
    requires: OnceLock<Keys>,
    sources: OnceLock<Keys>,
    rich: OnceLock<Vec<u32>>,
}

/// A key's hash, a package's place, a position within the package; sorted.
type Keys = Vec<(u64, u32, u32)>;

impl Table {
    fn of(mut packages: Vec<Arc<Package>>) -> Self {
        packages.sort_by(|one, two| order(one, two));
        packages.dedup_by(|one, two| Arc::ptr_eq(one, two) || one == two);
        Self {
            packages,
            ..Self::default()
        }
    }

    /// The places of one name.
    fn named(&self, name: &str) -> std::ops::Range<usize> {
        let start = self.packages.partition_point(|package| package.name.as_str() < name);
        let length = self.packages[start..].partition_point(|package| package.name == name);
        start..start + length
    }

    /// The places of a package of the same name, version and architecture.
    fn same(&self, wanted: &Package) -> std::ops::Range<usize> {
        let before = |package: &Arc<Package>| order(package, wanted) == Ordering::Less;
        let start = self.packages.partition_point(before);
        let length = self.packages[start..].partition_point(|package| order(package, wanted) == Ordering::Equal);
        start..start + length
    }

    fn places(&self, kind: Kind, key: &str) -> impl Iterator<Item = (usize, usize)> {
        let keys = self.keys(kind);
        let hash = hash(key);
        let start = keys.partition_point(|(known, _, _)| *known < hash);
        keys[start..]
            .iter()
            .take_while(move |(known, _, _)| *known == hash)
            .map(|(_, place, at)| (*place as usize, *at as usize))
    }

    fn keys(&self, kind: Kind) -> &Keys {
        match kind {
            Kind::Provide => self.provides.get_or_init(|| {
                self.sorted(|package, add| {
                    for (at, provide) in package.provides.iter().enumerate() {
                        add(&provide.name, at);
                    }
                })
            }),
            Kind::File => self.files.get_or_init(|| {
                self.sorted(|package, add| {
                    for (at, file) in package.files.iter().enumerate() {
                        add(&file.path, at);
                    }
                })
            }),
            Kind::Require => self.requires.get_or_init(|| {
                self.sorted(|package, add| {
                    for (at, requirement) in package.requires.iter().enumerate() {
                        for leaf in requirement.leaves() {
                            add(&leaf.name, at);
                        }
                    }
                })
            }),
            Kind::Source => self.sources.get_or_init(|| {
                self.sorted(|package, add| {
                    if let Some(source) = &package.source_rpm {
                        add(source, 0);
                    }
                })
            }),
        }
    }

    fn rich(&self) -> &[u32] {
        self.rich.get_or_init(|| {
            let is_rich = |requirement: &Requirement| matches!(requirement, Requirement::Rich(_));
            let has = |package: &Package| package.requires.iter().chain(&package.conflicts).any(is_rich);
            (0..)
                .zip(&self.packages)
                .filter(|(_, package)| has(package))
                .map(|(place, _)| place)
                .collect()
        })
    }

    fn sorted(&self, each: impl Fn(&Package, &mut dyn FnMut(&str, usize))) -> Keys {
        let mut keys = Keys::new();
        for (place, package) in self.packages.iter().enumerate() {
            each(package, &mut |key, at| {
                // A package with more than four thousand million entries cannot be read in the first place.
                if let (Ok(place), Ok(at)) = (u32::try_from(place), u32::try_from(at)) {
                    keys.push((hash(key), place, at));
                }
            });
        }
        keys.sort_unstable();
        keys.dedup();
        keys
    }
}

fn hash(key: &str) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

/// A set of places, one bit each.
#[derive(Clone, Default)]
struct Places {
    bits: Vec<u64>,
    count: usize,
}

impl Places {
    fn has(&self, place: usize) -> bool {
        self.bits
            .get(place / 64)
            .is_some_and(|bits| bits & (1 << (place % 64)) != 0)
    }

    fn add(&mut self, place: usize) {
        if self.has(place) {
            return;
        }
        let word = place / 64;
        if self.bits.len() <= word {
            self.bits.resize(word + 1, 0);
        }
        self.bits[word] |= 1 << (place % 64);
        self.count += 1;
    }
}

#[cfg(test)]
mod tests;
