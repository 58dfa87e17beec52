//! Names: whose packages these are, and that no two sources give the same one.

use std::collections::{BTreeMap, BTreeSet};

use super::{Agreement, built};
use crate::escape::escaped;
use crate::id::{ArchName, PackageName, SubtaskNumber};
use crate::repository::{ArchResult, Brought, BroughtBy, Problem, runs_on};
use crate::rpm::{Evr, Package};

/// What one subtask brings, by itself.
pub(super) fn within(brought: &Brought, agreement: &mut Agreement) {
    let Some(results) = brought.results() else { return };
    let subtask = brought.subtask;
    let mut tell = |problem: Problem| agreement.problems.push(problem.of(subtask));
    let built = built(brought);
    if built.is_empty() {
        let mut why: Vec<String> = results
            .iter()
            .filter_map(|(arch, result)| match result {
                ArchResult::Excluded { why } => Some(format!("{arch} ({})", escaped(why))),
                ArchResult::Built { .. } => None,
            })
            .collect();
        if why.is_empty() {
            why.push("there is no result at all".to_owned());
        }
        tell(
            Problem::new(
                "excluded_everywhere",
                format!("it is not built for any architecture: {}", why.join(", ")),
            )
            .hint("look at ExclusiveArch and ExcludeArch in the spec"),
        );
    }
    for (arch, source, binaries) in built {
        let source = &source.package;
        let file = source.file_name();
        if !source.is_source() {
            tell(Problem::new("no_source_package", format!("{} is no source package", nevra(source))).on(arch));
        }
        if binaries.is_empty() {
            tell(
                Problem::new("no_binaries", format!("{} gives no binary package", nevra(source)))
                    .on(arch)
                    .hint("a %files section makes one; if it is not for this architecture, say so by ExcludeArch"),
            );
        }
        let mut seen = BTreeSet::new();
        well_named(source, arch, &mut tell);
        for package in binaries.iter().map(|header| &header.package) {
            well_named(package, arch, &mut tell);
            if package.is_source() {
                tell(
                    Problem::new(
                        "two_source_packages",
                        format!("{} is a source package, too", nevra(package)),
                    )
                    .on(arch),
                );
                continue;
            }
            if !seen.insert(&package.name) {
                tell(
                    Problem::new(
                        "binary_twice",
                        format!("there are two binary packages {}", escaped(&package.name)),
                    )
                    .on(arch),
                );
            }
            if !names_source(package, &file) {
                tell(
                    Problem::new(
                        "foreign_source",
                        format!(
                            "{} says that it was built from {}, and not from {}",
                            nevra(package),
                            escaped(package.source_rpm.as_deref().unwrap_or("nothing")),
                            escaped(&file)
                        ),
                    )
                    .on(arch),
                );
            }
            if !runs_on(&package.arch, arch) {
                tell(
                    Problem::new("wrong_architecture", format!("{} is not for {arch}", nevra(package)))
                        .on(arch)
                        .hint("look at BuildArch in the spec"),
                );
            }
        }
    }
}

/// Whether a package says that it was built from this file; sources that may not be passed on have another ending.
fn names_source(package: &Package, file: &str) -> bool {
    let Some(said) = package.source_rpm.as_deref() else {
        return false;
    };
    let stem = |file: &str| {
        let stem = file
            .strip_suffix(".src.rpm")
            .or_else(|| file.strip_suffix(".nosrc.rpm"));
        stem.map(str::to_owned)
    };
    stem(said).is_some_and(|said| Some(said) == stem(file))
}

/// The name can be one of ours, and the version can be typed.
fn well_named(package: &Package, arch: &ArchName, tell: &mut impl FnMut(Problem)) {
    if let Err(bad) = package.name.parse::<PackageName>() {
        tell(Problem::new("bad_name", bad.to_string()).on(arch));
    }
    let text = package.evr.to_string();
    if let Err(bad) = text.parse::<Evr>() {
        tell(Problem::new("bad_version", format!("{}: {bad}", escaped(&package.name))).on(arch));
    }
}

/// What subtasks bring, compared with each other.
pub(super) fn between(brought: &[Brought], agreement: &mut Agreement) {
    let mut sources: BTreeMap<&str, BTreeSet<SubtaskNumber>> = BTreeMap::new();
    let mut removals: BTreeMap<&str, BTreeSet<SubtaskNumber>> = BTreeMap::new();
    // Binary name → source name → where it is built from that, and by which subtask.
    let mut binaries: BTreeMap<&str, BTreeMap<&str, Givers<'_>>> = BTreeMap::new();
    for one in brought {
        if let BroughtBy::Removal { package } = &one.action {
            removals.entry(package.as_str()).or_default().insert(one.subtask);
        }
        for (arch, source, packages) in built(one) {
            let source = source.package.name.as_str();
            sources.entry(source).or_default().insert(one.subtask);
            for package in packages.iter().map(|header| &header.package) {
                let givers = binaries.entry(&package.name).or_default().entry(source).or_default();
                givers.arches.insert(arch);
                givers.subtasks.insert(one.subtask);
            }
        }
    }
    for (source, subtasks) in &sources {
        if subtasks.len() > 1 {
            agreement.problems.push(
                Problem::new(
                    "source_twice",
                    format!(
                        "the source package {} is built by the subtasks {}",
                        escaped(source),
                        list(subtasks)
                    ),
                )
                .hint("windlass task delsub: keep one of them"),
            );
        }
        if let Some(removing) = removals.get(source) {
            agreement.problems.push(
                Problem::new(
                    "removed_and_brought",
                    format!(
                        "the source package {} is built by subtask {} and removed by subtask {}",
                        escaped(source),
                        list(subtasks),
                        list(removing)
                    ),
                )
                .hint("windlass task delsub: keep one of the two; a build replaces the old package by itself"),
            );
        }
    }
    for (binary, givers) in binaries.iter().filter(|(_, givers)| givers.len() > 1) {
        let told: Vec<String> = givers
            .iter()
            .map(|(source, where_)| {
                let arches: Vec<&str> = where_.arches.iter().map(|arch| arch.as_str()).collect();
                format!(
                    "{} (subtask {}; {})",
                    escaped(source),
                    list(&where_.subtasks),
                    arches.join(", ")
                )
            })
            .collect();
        agreement.problems.push(
            Problem::new(
                "binary_of_two_sources",
                format!("the package {} is built from {}", escaped(binary), told.join(" and from ")),
            )
            .hint("one source package gives a name, whichever the architecture: rename it in one of them, or leave it out there"),
        );
    }
}

/// Who gives a binary package.
#[derive(Default)]
struct Givers<'a> {
    arches: BTreeSet<&'a ArchName>,
    subtasks: BTreeSet<SubtaskNumber>,
}

fn list(subtasks: &BTreeSet<SubtaskNumber>) -> String {
    let texts: Vec<String> = subtasks.iter().map(ToString::to_string).collect();
    texts.join(" and ")
}

fn nevra(package: &Package) -> String {
    escaped(&package.nevra())
}
