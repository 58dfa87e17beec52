//! Requirements that nothing in a repository meets, and why not.
//!
//! Judged are the repository's own packages; those of its bases only provide, since no task could mend them. How they are told to
//! people is in [`super::explain`].

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::index::order;
use super::meeting::{Lacking, Meeting, is_met, missing};
use super::{ArchPlan, Universe};
use crate::rpm::{Dependency, Package, Requirement};

/// A requirement that no package meets.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Unmet {
    /// The package that requires it, as name-[epoch:]version-release.architecture.
    pub package: String,
    /// The package's name alone.
    pub name: String,
    /// The name of the source package that it was built from, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Whether the package comes with the plan; false where only what it needs changes.
    #[serde(default)]
    pub comes: bool,
    /// The requirement as the package has it.
    pub requirement: String,
    /// What of it is not there; for a plain requirement, itself.
    pub missing: Vec<Missing>,
}

/// A dependency that nobody provides.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Missing {
    /// The dependency.
    pub dependency: String,
    /// Why.
    #[serde(flatten)]
    pub why: Why,
}

/// Why nobody provides something.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "kebab-case")]
pub enum Why {
    /// There is nothing of that name.
    Nobody,
    /// There is nothing of that name, but of one that differs in its digits only, as libraries have.
    Similar {
        /// Who provides that.
        package: String,
        /// What it provides.
        provides: String,
    },
    /// It is there in other versions only.
    OtherVersion {
        /// The package that comes nearest.
        package: String,
        /// What it provides.
        provides: String,
    },
    /// Its parts are there, but no one package has them as they are wanted.
    NotByOne,
    /// A package provides it until now, and goes.
    Goes {
        /// The package.
        package: String,
        /// The package of the same name that comes for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        replaced_by: Option<String>,
        /// What that one provides instead, if anything like it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        provides: Option<String>,
    },
}

/// All requirements of the repository's own packages that nothing meets.
pub fn unmets(universe: &Universe<'_>) -> BTreeSet<Unmet> {
    let mut meeting = Meeting::of(universe);
    let mut similar = Similar::of(universe);
    let mut found = BTreeSet::new();
    for package in universe.own_packages() {
        for requirement in &package.requires {
            if !meeting.is_met(requirement) {
                let why = |wanted: &Dependency| why_not(universe, &mut similar, wanted);
                found.insert(unmet(universe, package, requirement, false, why));
            }
        }
    }
    found
}

/// The unmets that a repository has with a plan and did not have before it. A package that comes with the plan answers for all of its
/// unmets, also for those that its older version had.
///
/// Only what the plan touches is looked at: packages that come, and those that name what packages that come or go provide.
pub fn new_unmets(before: &Universe<'_>, after: &Universe<'_>, plan: &ArchPlan) -> Vec<Unmet> {
    let mut found = BTreeSet::new();
    let mut similar = Similar::of(after);
    let mut judge = |package: &Arc<Package>, requirement: &Requirement, comes: bool| {
        let why = |wanted: &Dependency| {
            goes(before, after, plan, wanted).unwrap_or_else(|| why_not(after, &mut similar, wanted))
        };
        found.insert(unmet(after, package, requirement, comes, why));
    };
    let comes = |package: &Package| plan.added.iter().any(|added| order(added, package) == Ordering::Equal);
    for package in &plan.added {
        for requirement in &package.requires {
            if !is_met(after, requirement) {
                judge(package, requirement, true);
            }
        }
    }
    for (package, requirements) in touched(after, plan) {
        if comes(package) {
            continue;
        }
        for requirement in requirements {
            if !is_met(after, requirement) && is_met(before, requirement) {
                judge(package, requirement, false);
            }
        }
    }
    found.into_iter().collect()
}

/// The requirements that name something that comes or goes with a plan, by package.
fn touched<'a>(after: &Universe<'a>, plan: &ArchPlan) -> Vec<(&'a Arc<Package>, Vec<&'a Requirement>)> {
    let mut names: BTreeSet<&str> = BTreeSet::new();
    for package in plan.removed.iter().chain(&plan.added) {
        names.extend(package.provides.iter().map(|provide| provide.name.as_str()));
        names.extend(package.files.iter().map(|file| file.path.as_str()));
        // What a base's package of the same name provides is shadowed, or comes to light.
        for base in after.bases {
            for shadowed in base.named(&package.name) {
                names.extend(shadowed.provides.iter().map(|provide| provide.name.as_str()));
                names.extend(shadowed.files.iter().map(|file| file.path.as_str()));
            }
        }
    }
    let mut found: BTreeMap<*const Package, (&'a Arc<Package>, Vec<&'a Requirement>)> = BTreeMap::new();
    for name in names {
        for package in after.own.requirers(name) {
            if !super::runs_on(&package.arch, after.arch) || found.contains_key(&Arc::as_ptr(package)) {
                continue;
            }
            found.insert(Arc::as_ptr(package), (package, package.requires.iter().collect()));
        }
    }
    let mut found: Vec<_> = found.into_values().collect();
    found.sort_by(|(one, _), (two, _)| order(one, two));
    found
}

fn unmet(
    universe: &Universe<'_>,
    package: &Arc<Package>,
    requirement: &Requirement,
    comes: bool,
    mut why: impl FnMut(&Dependency) -> Why,
) -> Unmet {
    let missing = missing(universe, requirement)
        .into_iter()
        .map(|lacking| match lacking {
            Lacking::Plain(wanted) => Missing {
                dependency: wanted.to_string(),
                why: why(wanted),
            },
            Lacking::OnePackage(rich) => Missing {
                dependency: rich.to_string(),
                why: Why::NotByOne,
            },
        })
        .collect();
    Unmet {
        package: package.nevra(),
        name: package.name.clone(),
        source: package.source_rpm.as_deref().and_then(source_name).map(str::to_owned),
        comes,
        requirement: requirement.to_string(),
        missing,
    }
}

/// `name` of `name-version-release.src.rpm`.
pub(super) fn source_name(file: &str) -> Option<&str> {
    let (rest, _release) = file.rsplit_once('-')?;
    let (name, _version) = rest.rsplit_once('-')?;
    Some(name).filter(|name| !name.is_empty())
}

/// Who provided it until now, if somebody did.
fn goes(before: &Universe<'_>, after: &Universe<'_>, plan: &ArchPlan, wanted: &Dependency) -> Option<Why> {
    let providers = before.providers(wanted);
    let package = providers
        .iter()
        .find(|package| plan.removed.iter().any(|gone| order(gone, package) == Ordering::Equal))
        .or(providers.first())?;
    let new = after.own.named(&package.name).last();
    Some(Why::Goes {
        package: package.nevra(),
        replaced_by: new.map(|new| new.nevra()),
        provides: new.and_then(|new| nearest(new, wanted)),
    })
}

/// What of a package comes nearest to what is wanted.
fn nearest(package: &Package, wanted: &Dependency) -> Option<String> {
    let same = package.provides.iter().find(|provide| provide.name == wanted.name);
    let shape = shape(&wanted.name);
    same.or_else(|| {
        package
            .provides
            .iter()
            .find(|provide| self::shape(&provide.name) == shape)
    })
    .map(Dependency::to_string)
}

fn why_not(universe: &Universe<'_>, similar: &mut Similar<'_>, wanted: &Dependency) -> Why {
    let newest = universe
        .providers_of_name(&wanted.name)
        .into_iter()
        .max_by(|(one, _), (two, _)| one.evr.cmp(&two.evr).then_with(|| two.name.cmp(&one.name)));
    if let Some((package, provide)) = newest {
        return Why::OtherVersion {
            package: package.nevra(),
            provides: provide.to_string(),
        };
    }
    match similar.to(&wanted.name) {
        Some((package, provide)) => Why::Similar {
            package: package.nevra(),
            provides: provide.to_string(),
        },
        None => Why::Nobody,
    }
}

/// A name without its digits and dots: what `libfoo.so.1()(64bit)` and `libfoo.so.2.1()(64bit)` share. None for what has no digits.
fn shape(name: &str) -> Option<String> {
    let is_digit = |c: char| c.is_ascii_digit() || c == '.';
    (name.contains(|c: char| c.is_ascii_digit()) && name.contains(".so")).then(|| {
        let bare = name.replace("(64bit)", "(wide)");
        bare.chars().filter(|c| !is_digit(*c)).collect()
    })
}

/// Everything that is provided, by shape; made when the first question comes.
struct Similar<'a> {
    universe: Universe<'a>,
    known: Option<BTreeMap<String, (&'a Arc<Package>, &'a Dependency)>>,
}

impl<'a> Similar<'a> {
    fn of(universe: &Universe<'a>) -> Self {
        Self {
            universe: *universe,
            known: None,
        }
    }

    fn to(&mut self, name: &str) -> Option<(&'a Arc<Package>, &'a Dependency)> {
        let shape = shape(name)?;
        let universe = &self.universe;
        let known = self.known.get_or_insert_with(|| {
            let mut known = BTreeMap::new();
            for package in universe.packages() {
                for provide in &package.provides {
                    if let Some(shape) = self::shape(&provide.name) {
                        known.insert(shape, (package, provide));
                    }
                }
            }
            known
        });
        known.get(&shape).copied()
    }
}

#[cfg(test)]
mod tests;
