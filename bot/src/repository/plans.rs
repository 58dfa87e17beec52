//! Plans that no task makes: the difference between what a repository has and what it is to have.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use windlass_core::id::ArchName;
use windlass_core::repository::{ArchPlan, Content, Index, Plan};
use windlass_core::rpm::Package;

use super::dirs::source_directory;
use super::{Files, Repository, RepositoryError, pool};

/// How the files of what comes back get into the new generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signatures {
    /// They have the right signatures.
    Good,
    /// They are signed anew.
    Renewed,
}

impl Repository {
    /// A plan that changes nothing.
    pub(super) fn no_plan(&self) -> Plan {
        Plan {
            repository: self.name.clone(),
            base: self.content().generation,
            arches: self
                .architectures
                .iter()
                .map(|arch| (arch.clone(), ArchPlan::default()))
                .collect(),
            source: ArchPlan::default(),
            changes: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// The plan that makes of what there is what is wanted, all of which is in the pool.
    pub(super) fn plan_to(&self, wanted: &Content, signatures: Signatures) -> Result<(Plan, Files), RepositoryError> {
        let base = self.content();
        let mut plan = self.no_plan();
        let mut files = Files::default();
        let nothing = Index::default();
        for (arch, changes) in &mut plan.arches {
            let before = base.arches.get(arch).unwrap_or(&nothing);
            let after = wanted.arches.get(arch).unwrap_or(&nothing);
            *changes = difference(before, after, signatures);
        }
        plan.source = difference(&base.source, &wanted.source, signatures);
        let source = source_directory();
        let shelves = plan.arches.iter().chain([(&source, &plan.source)]);
        for (directory, changes) in shelves {
            for package in &changes.added {
                match signatures {
                    Signatures::Good => files.insert_pooled(directory.clone(), package),
                    Signatures::Renewed => {
                        files.insert(directory.clone(), package, self.in_pool(directory, package)?);
                    }
                }
            }
        }
        Ok((plan, files))
    }

    /// The file of a package in the pool.
    pub(super) fn in_pool(
        &self,
        directory: &ArchName,
        package: &Package,
    ) -> Result<std::path::PathBuf, RepositoryError> {
        let missing = || RepositoryError::Plan(format!("{} is not in the pool", package.nevra()));
        let artifact = package.artifact.as_ref().ok_or_else(missing)?;
        pool::path(&self.dirs, directory, &artifact.location)
    }
}

/// What comes and goes; where everything is signed anew, all goes and all comes.
fn difference(before: &Index, after: &Index, signatures: Signatures) -> ArchPlan {
    let none = BTreeSet::new();
    let (had, has) = (files_of(before), files_of(after));
    let (had, has) = match signatures {
        Signatures::Good => (&had, &has),
        Signatures::Renewed => (&none, &none),
    };
    let only = |index: &Index, other: &BTreeSet<String>| -> Vec<Arc<Package>> {
        index
            .packages()
            .filter(|package| !file_of(package).is_some_and(|file| other.contains(file)))
            .cloned()
            .collect()
    };
    ArchPlan {
        added: only(after, had),
        removed: only(before, has),
    }
}

fn file_of(package: &Package) -> Option<&str> {
    package.artifact.as_ref().map(|artifact| artifact.sha256.as_str())
}

fn files_of(index: &Index) -> BTreeSet<String> {
    index
        .packages()
        .filter_map(|package| file_of(package).map(str::to_owned))
        .collect()
}

/// How many packages a plan adds and removes, all directories together.
pub(super) fn counts(plan: &Plan) -> (usize, usize) {
    let arches = plan.arches.values().chain([&plan.source]);
    arches.fold((0, 0), |(added, removed), arch| {
        (added + arch.added.len(), removed + arch.removed.len())
    })
}

/// What changed between two generations of one directory, by package name: versions before and after.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Difference {
    /// The architecture, or `source`.
    pub directory: ArchName,
    /// The package's name.
    pub package: String,
    /// Its versions before; none where it came.
    pub before: Vec<String>,
    /// Its versions after; none where it went.
    pub after: Vec<String>,
}

/// What changed between two contents, by directory and name. The same version with other bytes is a change too.
pub fn differences(before: &Content, after: &Content) -> Vec<Difference> {
    let nothing = Index::default();
    let source = source_directory();
    let names: BTreeSet<&ArchName> = before.arches.keys().chain(after.arches.keys()).collect();
    let mut shelves: Vec<(&ArchName, &Index, &Index)> = names
        .into_iter()
        .map(|arch| {
            let of = |content: &'_ Content| content.arches.contains_key(arch);
            let one = if of(before) { &before.arches[arch] } else { &nothing };
            let two = if of(after) { &after.arches[arch] } else { &nothing };
            (arch, one, two)
        })
        .collect();
    shelves.push((&source, &before.source, &after.source));
    let mut found = Vec::new();
    for (directory, one, two) in shelves {
        let (one, two) = (by_name(one), by_name(two));
        let all: BTreeSet<&String> = one.keys().chain(two.keys()).collect();
        for name in all {
            let (had, has) = (one.get(name), two.get(name));
            if had == has {
                continue;
            }
            let versions = |files: Option<&Versions>| -> Vec<String> {
                files.into_iter().flatten().map(|(evr, _)| evr.clone()).collect()
            };
            found.push(Difference {
                directory: directory.clone(),
                package: name.clone(),
                before: versions(had),
                after: versions(has),
            });
        }
    }
    found
}

/// Versions with their files, oldest first.
type Versions = Vec<(String, Option<String>)>;

fn by_name(index: &Index) -> BTreeMap<String, Versions> {
    let mut names: BTreeMap<String, Versions> = BTreeMap::new();
    for package in index.packages() {
        let version = (package.evr.to_string(), file_of(package).map(str::to_owned));
        names.entry(package.name.clone()).or_default().push(version);
    }
    names
}
