//! From what subtasks bring to a plan.
//!
//! A source package and all that was built from it come and go together, on all architectures. Who is replaced: packages of the
//! same source name, and whoever had a binary package of the same name, on whichever architecture.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{ArchPlan, Change, How, Plan, PlanWarning};
use crate::escape::escaped;
use crate::id::{ArchName, ObjectId, PackageName, RepositoryName, SubtaskNumber};
use crate::refusal::nearest;
use crate::repository::brought::{ArchResult, Brought, BroughtBy};
use crate::repository::{Content, Problem};
use crate::rpm::{Evr, Package};

/// What a repository would become with what these subtasks bring. `arches` are the configured architectures in their order:
/// the source package, and packages for all architectures, are those of the first that built them.
///
/// # Errors
/// All that keeps it from being one plan: a package to remove that is not there, one that comes twice, nothing to do at all.
pub fn plan(
    repository: &RepositoryName,
    arches: &[ArchName],
    content: &Content,
    brought: &[Brought],
) -> Result<Plan, Vec<Problem>> {
    let now = Tuples::of(content);
    let mut problems = Vec::new();
    let mut coming: BTreeMap<PackageName, Coming> = BTreeMap::new();
    let mut removals: BTreeMap<PackageName, SubtaskNumber> = BTreeMap::new();
    for one in brought {
        match &one.action {
            BroughtBy::Removal { package } => match now.missing(repository, package) {
                Some(problem) => problems.push(problem.of(one.subtask)),
                None if removals.insert(package.clone(), one.subtask).is_some() => {
                    problems.push(twice(package).of(one.subtask));
                }
                None => {}
            },
            BroughtBy::Build { .. } | BroughtBy::Copy { .. } => match Coming::of(one, arches) {
                Ok(Some((name, new))) => {
                    if coming.insert(name.clone(), new).is_some() {
                        problems.push(twice(&name).of(one.subtask));
                    }
                }
                Ok(None) => {}
                Err(problem) => problems.push(problem.of(one.subtask)),
            },
        }
    }
    for (package, subtask) in &removals {
        if coming.contains_key(package) {
            problems.push(twice(package).of(*subtask));
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let made = Making {
        now: &now,
        coming: &coming,
        removals: &removals,
    }
    .plan(repository, arches, content)?;
    if made.is_empty() {
        return Err(vec![
            Problem::new("empty_plan", format!("nothing in '{repository}' would change"))
                .hint("add what is to be built, copied or removed: windlass task add"),
        ]);
    }
    Ok(made)
}

fn twice(package: &PackageName) -> Problem {
    Problem::new(
        "source_twice",
        format!("the source package {package} comes or goes by two subtasks of this task"),
    )
    .hint("windlass task delsub: keep one of the two")
}

/// A source package that comes, with all that was built from it.
struct Coming {
    subtask: SubtaskNumber,
    how: How,
    tag: Option<ObjectId>,
    source: Arc<Package>,
    binaries: BTreeMap<ArchName, Vec<Arc<Package>>>,
    excluded: BTreeMap<ArchName, String>,
}

impl Coming {
    /// What a subtask brings; nothing where it was built for no architecture.
    fn of(brought: &Brought, arches: &[ArchName]) -> Result<Option<(PackageName, Self)>, Problem> {
        let Some(results) = brought.results() else {
            return Ok(None);
        };
        let mut source: Option<&Arc<Package>> = None;
        let mut common: BTreeMap<&str, &Arc<Package>> = BTreeMap::new();
        let mut binaries: BTreeMap<ArchName, Vec<Arc<Package>>> = BTreeMap::new();
        let mut excluded = BTreeMap::new();
        // In the configured order; what is built for an architecture that is configured no more does not come.
        for arch in arches {
            match results.get(arch) {
                Some(ArchResult::Built {
                    source: built,
                    binaries: found,
                }) => {
                    source.get_or_insert(&built.package);
                    let found = found.iter().map(|header| {
                        let package = &header.package;
                        if package.arch == "noarch" {
                            Arc::clone(common.entry(&package.name).or_insert(package))
                        } else {
                            Arc::clone(package)
                        }
                    });
                    let list = binaries.entry(arch.clone()).or_default();
                    list.extend(found);
                    list.sort_by(|one, two| one.name.cmp(&two.name));
                }
                Some(ArchResult::Excluded { why }) => {
                    excluded.insert(arch.clone(), why.clone());
                }
                None => {}
            }
        }
        let Some(source) = source else { return Ok(None) };
        let new = Self {
            subtask: brought.subtask,
            how: match &brought.action {
                BroughtBy::Build { tag: Some(_), .. } => How::Build,
                BroughtBy::Build { tag: None, .. } => How::Rebuild,
                BroughtBy::Copy { .. } => How::Copy,
                BroughtBy::Removal { .. } => How::Removal,
            },
            tag: brought.tag().cloned(),
            source: Arc::clone(source),
            binaries,
            excluded,
        };
        Ok(Some((name(&source.name)?, new)))
    }
}

fn name(text: &str) -> Result<PackageName, Problem> {
    text.parse()
        .map_err(|bad: crate::id::BadId| Problem::new("bad_name", bad.to_string()))
}

/// What is there now, by the name of the source package.
struct Tuples<'a> {
    content: &'a Content,
    /// Every binary package's name → the source packages that have it, on any architecture.
    owners: BTreeMap<&'a str, BTreeSet<&'a str>>,
    by_source: BTreeMap<&'a str, Tuple<'a>>,
}

/// A source package that is there, with all that was built from it.
#[derive(Default)]
struct Tuple<'a> {
    sources: Vec<&'a Arc<Package>>,
    binaries: BTreeMap<&'a ArchName, Vec<&'a Arc<Package>>>,
}

impl<'a> Tuples<'a> {
    fn of(content: &'a Content) -> Self {
        let mut tuples: BTreeMap<&str, Tuple<'_>> = BTreeMap::new();
        let mut owners: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for package in content.source.packages() {
            tuples.entry(&package.name).or_default().sources.push(package);
        }
        for (arch, index) in &content.arches {
            for package in index.packages() {
                let source = package.source_name();
                let tuple = tuples.entry(source).or_default();
                tuple.binaries.entry(arch).or_default().push(package);
                owners.entry(&package.name).or_default().insert(source);
            }
        }
        Self {
            content,
            owners,
            by_source: tuples,
        }
    }

    /// What is wrong with removing a source package, if it is not there.
    fn missing(&self, repository: &RepositoryName, package: &PackageName) -> Option<Problem> {
        if self.by_source.contains_key(package.as_str()) {
            return None;
        }
        let problem = Problem::new(
            "not_there",
            format!(
                "there is no source package {package} in '{repository}' (generation {})",
                self.content.generation
            ),
        );
        if let Some(owner) = self.owners.get(package.as_str()).and_then(BTreeSet::first) {
            let owner = escaped(owner);
            return Some(problem.hint(format!(
                "{package} is a binary package, built from {owner}; a source package goes with all that was built from it: \
                 windlass task add del {owner}"
            )));
        }
        Some(match nearest(package.as_str(), self.by_source.keys()) {
            Some(near) => problem.hint(format!("did you mean {}?", escaped(near))),
            None => problem,
        })
    }
}

impl Tuple<'_> {
    /// Its newest version; of one whose source package is not there, what its binary packages say.
    fn evr(&self) -> Option<Evr> {
        let sources = self.sources.iter().map(|package| &package.evr);
        let binaries = self.binaries.values().flatten().map(|package| &package.evr);
        sources.max().or_else(|| binaries.max()).cloned()
    }

    fn nevras(&self) -> Vec<String> {
        let all = self.sources.iter().chain(self.binaries.values().flatten());
        let names: BTreeSet<String> = all.map(|package| escaped(&package.nevra())).collect();
        names.into_iter().collect()
    }
}

/// What is known when the plan is put together.
struct Making<'a> {
    now: &'a Tuples<'a>,
    coming: &'a BTreeMap<PackageName, Coming>,
    removals: &'a BTreeMap<PackageName, SubtaskNumber>,
}

impl Making<'_> {
    fn plan(&self, repository: &RepositoryName, arches: &[ArchName], content: &Content) -> Result<Plan, Vec<Problem>> {
        let mut warnings = Vec::new();
        let mut changes = Vec::new();
        for (package, new) in self.coming {
            changes.push(Change {
                subtask: new.subtask,
                package: package.clone(),
                how: new.how,
                before: self.evr(package),
                after: Some(new.source.evr.clone()),
                tag: new.tag.clone(),
            });
            self.not_built(package, new, &mut warnings);
        }
        for (package, subtask) in self.removals {
            changes.push(self.going(package.clone(), *subtask, How::Removal));
        }
        for (package, subtask) in self.taken_over(&mut warnings)? {
            changes.push(self.going(package, subtask, How::TakenOver));
        }
        changes.sort_by(|one, two| (one.subtask, &one.package).cmp(&(two.subtask, &two.package)));
        let touched: BTreeSet<&str> = changes.iter().map(|change| change.package.as_str()).collect();
        let mut plans: BTreeMap<ArchName, ArchPlan> = arches
            .iter()
            .chain(content.arches.keys())
            .map(|arch| (arch.clone(), ArchPlan::default()))
            .collect();
        let mut source = ArchPlan::default();
        for new in self.coming.values() {
            source.added.push(Arc::clone(&new.source));
            for (arch, packages) in &new.binaries {
                plans
                    .entry(arch.clone())
                    .or_default()
                    .added
                    .extend(packages.iter().cloned());
            }
        }
        for tuple in touched.iter().filter_map(|name| self.now.by_source.get(name)) {
            source.removed.extend(tuple.sources.iter().copied().cloned());
            for (arch, packages) in &tuple.binaries {
                let removed = &mut plans.entry((*arch).clone()).or_default().removed;
                removed.extend(packages.iter().copied().cloned());
            }
        }
        Ok(Plan {
            repository: repository.clone(),
            base: content.generation,
            arches: plans,
            source,
            changes,
            warnings,
        })
    }

    fn evr(&self, package: &PackageName) -> Option<Evr> {
        self.now.by_source.get(package.as_str()).and_then(Tuple::evr)
    }

    fn going(&self, package: PackageName, subtask: SubtaskNumber, how: How) -> Change {
        Change {
            subtask,
            before: self.evr(&package),
            package,
            how,
            after: None,
            tag: None,
        }
    }

    /// The source packages that lose a binary package to one that comes, with the first subtask that takes it.
    fn taken_over(
        &self,
        warnings: &mut Vec<PlanWarning>,
    ) -> Result<BTreeMap<PackageName, SubtaskNumber>, Vec<Problem>> {
        let mut taken: BTreeMap<PackageName, SubtaskNumber> = BTreeMap::new();
        let mut problems = Vec::new();
        for (by, new) in self.coming {
            let names: BTreeSet<&str> = new
                .binaries
                .values()
                .flatten()
                .map(|package| package.name.as_str())
                .collect();
            for binary in names {
                let owners = self.now.owners.get(binary).into_iter().flatten();
                for owner in owners.filter(|owner| **owner != by.as_str()) {
                    let from = match name(owner) {
                        Ok(from) => from,
                        Err(problem) => {
                            problems.push(problem.of(new.subtask));
                            continue;
                        }
                    };
                    let binary = escaped(binary);
                    if self.coming.contains_key(&from) || self.removals.contains_key(&from) {
                        warnings.push(PlanWarning::Moved {
                            binary,
                            from,
                            by: by.clone(),
                        });
                        continue;
                    }
                    warnings.push(PlanWarning::TakenOver {
                        binary,
                        from: from.clone(),
                        by: by.clone(),
                        going: self.now.by_source.get(owner).map(Tuple::nevras).unwrap_or_default(),
                    });
                    let first = taken.entry(from).or_insert(new.subtask);
                    *first = (*first).min(new.subtask);
                }
            }
        }
        if problems.is_empty() { Ok(taken) } else { Err(problems) }
    }

    /// Architectures on which a source package gave something and gives nothing now.
    fn not_built(&self, package: &PackageName, new: &Coming, warnings: &mut Vec<PlanWarning>) {
        let Some(old) = self.now.by_source.get(package.as_str()) else {
            return;
        };
        for (arch, gone) in &old.binaries {
            if new.binaries.contains_key(*arch) {
                continue;
            }
            let why = new
                .excluded
                .get(*arch)
                .map_or("there is no result for it", String::as_str);
            warnings.push(PlanWarning::NotBuilt {
                package: package.clone(),
                arch: (*arch).clone(),
                why: why.to_owned(),
                going: gone.iter().map(|package| escaped(&package.nevra())).collect(),
            });
        }
    }
}
