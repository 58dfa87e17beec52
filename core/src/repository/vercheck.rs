//! Versions only grow, and a file name never stands for two contents: what repo-vercheck says of a plan.
//!
//! It looks at what the plan replaces and at all that was ever in the repository. Each rule is looked at by itself, so that more
//! history never makes a problem disappear.

#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use super::record::RepositoryRecord;
use super::{Change, How, Plan, Problem};
use crate::escape::escaped;
use crate::id::{ArchName, ObjectId};
use crate::rpm::{Evr, Package};

/// All that is wrong with the versions of a plan, by what is on record of its repository.
///
/// * A replacement has a higher version, source and binary packages alike, wherever a binary package came from.
/// * No version is below one that was ever in the repository.
/// * The same version comes again only from the same tag object.
/// * A file name, in which the epoch is not, never comes with other content.
pub fn vercheck(plan: &Plan, record: &RepositoryRecord) -> Vec<Problem> {
    let mut problems = Vec::new();
    for change in &plan.changes {
        let Some(after) = &change.after else { continue };
        let name = change.package.as_str();
        let replaced: BTreeSet<&Evr> = plan
            .source
            .removed
            .iter()
            .filter(|package| package.name == name)
            .map(|package| &package.evr)
            .chain(&change.before)
            .collect();
        let ever = record.releases.get(name);
        let subject = Subject {
            what: format!("source package {}", escaped(name)),
            change,
            new: after,
        };
        subject.against_replaced(&replaced, &mut problems);
        let history: BTreeMap<Evr, Known<'_>> = ever
            .into_iter()
            .flatten()
            .map(|(evr, tag)| (Evr::of_text(evr), Known::Source(tag.as_ref())))
            .collect();
        subject.against_history(&history, &replaced, &mut problems);
    }
    binaries(plan, record, &mut problems);
    problems
}

/// The same for binary packages, each name and version once, with the architectures on which it comes.
fn binaries(plan: &Plan, record: &RepositoryRecord, problems: &mut Vec<Problem>) {
    let mut added: BTreeMap<(&str, &Evr), (&Package, Vec<&ArchName>)> = BTreeMap::new();
    for (arch, one) in &plan.arches {
        for package in &one.added {
            let (_, arches) = added
                .entry((&package.name, &package.evr))
                .or_insert_with(|| (package, Vec::new()));
            arches.push(arch);
        }
    }
    let mut removed: BTreeMap<&str, BTreeSet<&Evr>> = BTreeMap::new();
    for package in plan.arches.values().flat_map(|one| &one.removed) {
        removed.entry(&package.name).or_default().insert(&package.evr);
    }
    let nothing = BTreeSet::new();
    for ((name, evr), (package, arches)) in added {
        let owner = |change: &&Change| change.after.is_some() && change.package.as_str() == package.source_name();
        let Some(change) = plan.changes.iter().find(owner) else {
            continue;
        };
        let arches: Vec<&str> = arches.into_iter().map(ArchName::as_str).collect();
        let subject = Subject {
            what: format!("package {} ({})", escaped(name), arches.join(", ")),
            change,
            new: evr,
        };
        let replaced = removed.get(name).unwrap_or(&nothing);
        subject.against_replaced(replaced, problems);
        let again = comes_again(change, record);
        let history: BTreeMap<Evr, Known<'_>> = record
            .binaries
            .get(name)
            .into_iter()
            .flatten()
            .map(|evr| (Evr::of_text(evr), Known::Binary { again }))
            .collect();
        subject.against_history(&history, replaced, problems);
    }
}

/// Whether the very same source was in the repository before.
fn comes_again(change: &Change, record: &RepositoryRecord) -> bool {
    let tag = change
        .after
        .as_ref()
        .zip(record.releases.get(change.package.as_str()))
        .and_then(|(after, ever)| ever.get(&after.to_string()));
    matches!((tag, &change.tag), (Some(Some(then)), Some(now)) if then == now)
}

/// What is known of a version that was in the repository.
#[derive(Debug, Clone, Copy)]
enum Known<'a> {
    /// A source package's: from which tag object it was built.
    Source(Option<&'a ObjectId>),
    /// A binary package's: whether its source package is one that was there before, from the same tag.
    Binary { again: bool },
}

/// One package of the plan.
struct Subject<'a> {
    /// How it is called in texts.
    what: String,
    change: &'a Change,
    new: &'a Evr,
}

impl Subject<'_> {
    fn problem(&self, code: &'static str, message: &str) -> Problem {
        Problem::new(code, format!("{}: {message}", self.what)).of(self.change.subtask)
    }

    /// The way out where the version has to be higher than another one.
    fn hint(&self, old: &Evr) -> String {
        if self.change.how == How::Rebuild {
            return "a rebuild needs a release that grows by itself: end the spec's Release with %{?dist}, tag that, and build it"
                .to_owned();
        }
        if self.change.how == How::Copy {
            return "a copy keeps its version: build it from a tag with a higher one".to_owned();
        }
        if self.new.compare_without_release(old) == Ordering::Equal {
            let release = old.release.as_deref().unwrap_or("1");
            return format!("raise the release in the spec above {}, and tag that", escaped(release));
        }
        format!(
            "raise the version above {}; if the lower one is meant, say 'Epoch: {}' in the spec",
            escaped(&old.version),
            old.epoch.saturating_add(1)
        )
    }

    /// What it replaces has a lower version, and another file name.
    fn against_replaced(&self, replaced: &BTreeSet<&Evr>, problems: &mut Vec<Problem>) {
        let Some(old) = replaced.iter().max() else { return };
        if self.new.compare(old) != Ordering::Greater {
            let word = match self.new.compare(old) {
                Ordering::Less => "is lower than",
                Ordering::Equal | Ordering::Greater if self.new == *old => "is the same as",
                Ordering::Equal | Ordering::Greater => "is for rpm the same version as",
            };
            let message = format!("{} {word} {}, which it replaces", shown(self.new), shown(old));
            problems.push(self.problem("version_not_newer", &message).hint(self.hint(old)));
        }
    }

    /// No version that was ever there is higher, none has the same file name, and the same one was built from the same tag.
    fn against_history(
        &self,
        history: &BTreeMap<Evr, Known<'_>>,
        replaced: &BTreeSet<&Evr>,
        problems: &mut Vec<Problem>,
    ) {
        let new = self.new;
        // What is replaced was compared already.
        let newest = history.keys().max().filter(|newest| !replaced.contains(newest));
        if let Some(newest) = newest.filter(|newest| new.compare(newest) == Ordering::Less) {
            let message = format!(
                "{} is lower than {}, which was in the repository",
                shown(new),
                shown(newest)
            );
            problems.push(self.problem("version_below_history", &message).hint(self.hint(newest)));
        }
        for (old, known) in history {
            if old == new {
                self.again(*known, problems);
            } else if old.without_epoch() == new.without_epoch() {
                let message = format!(
                    "{} would have the file name of {}, which was in the repository: the epoch is not in file names",
                    shown(new),
                    shown(old)
                );
                problems.push(self.problem("file_name_taken", &message).hint("raise the release, too"));
            } else if new.compare(old) == Ordering::Equal && !replaced.contains(old) {
                let message = format!(
                    "{} is for rpm the same version as {}, which was in the repository",
                    shown(new),
                    shown(old)
                );
                problems.push(self.problem("version_not_newer", &message).hint(self.hint(old)));
            }
        }
    }

    /// The same version was there.
    fn again(&self, known: Known<'_>, problems: &mut Vec<Problem>) {
        let new = self.new;
        let message = match known {
            Known::Binary { again: true } => return,
            Known::Binary { again: false } => {
                format!(
                    "{} was in the repository already, built from another source",
                    shown(new)
                )
            }
            Known::Source(then) => match (then, &self.change.tag) {
                (Some(then), Some(now)) if then == now => return,
                (Some(then), Some(now)) => format!(
                    "{} was in the repository already, built from the tag object {then}; this is {now}",
                    shown(new)
                ),
                (Some(then), None) => format!(
                    "{} was in the repository already, built from the tag object {then}; this comes from none",
                    shown(new)
                ),
                (None, _) => format!("{} was in the repository already, and not from a tag", shown(new)),
            },
        };
        problems.push(self.problem("version_taken", &message).hint(self.hint(new)));
    }
}

fn shown(evr: &Evr) -> String {
    escaped(&evr.to_string())
}
