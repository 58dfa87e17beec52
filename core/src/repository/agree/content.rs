//! Content: that the source package, and packages for all architectures, are the same wherever they were built.
//!
//! Whole headers are compared, tag by tag, so that nothing is forgotten; left aside is what says when, where and for which machine
//! something was built.

use std::collections::{BTreeMap, BTreeSet};

use super::{Agreement, built};
use crate::escape::escaped;
use crate::id::ArchName;
use crate::repository::{Brought, Problem};
use crate::rpm::Header;
use crate::rpm::header::tags;

/// Tags that may differ: when, where, with what and for which machine it was built, and digests over that.
const ASIDE: &[u32] = &[
    100,  // the locales of texts
    269,  // digests and signatures over the header
    273,  //
    261,  //
    1000, // name, version, release, epoch: compared first
    1001, //
    1002, //
    1003, //
    1006, // build time
    1007, // build host
    1034, // times of files
    1064, // rpm's version
    1094, // cookie
    1095, // device and inode numbers
    1096, //
    1122, // compiler's flags
    1131, // platform
    1132, //
    1146, // digest of the source package
    5092, // digests of the payload, which has times of files in it
    5097, //
    5112, // its sizes
    5113, //
];

/// Of a source package moreover: the machine that made it, which packages the spec gives there, the spec as it was read there.
const ASIDE_OF_SOURCE: &[u32] = &[1021, 1022, 1047, 1112, 1113, 5099];

/// Of a source package: what its build needs, which a spec may say for one architecture only.
const NEEDS: &[u32] = &[1048, 1049, 1050, 1053, 1054, 1055];

/// What is said of files one by one; where files are named, these are not named beside them.
const OF_FILES: &[u32] = &[
    1009, 1028, 1030, 1033, 1035, 1036, 1037, 1039, 1040, 1045, 1097, 1116, 1117, 1118, 1140, 1141, 1142, 1143, 1144,
    1145, 5008, 5009, 5010,
];

/// Compares what one subtask brings across architectures.
pub(super) fn across(brought: &Brought, agreement: &mut Agreement) {
    let built = built(brought);
    let sources: Vec<(&ArchName, &Header)> = built.iter().map(|(arch, source, _)| (*arch, *source)).collect();
    same("source package", &sources, true, brought, agreement);
    let mut common: BTreeMap<&str, Vec<(&ArchName, &Header)>> = BTreeMap::new();
    for (arch, _, binaries) in &built {
        for header in binaries.iter().filter(|header| header.package.arch == "noarch") {
            common.entry(&header.package.name).or_default().push((arch, header));
        }
    }
    for (name, headers) in common {
        let there: BTreeSet<&ArchName> = headers.iter().map(|(arch, _)| *arch).collect();
        let missing: Vec<&str> = built
            .iter()
            .filter(|(arch, ..)| !there.contains(arch))
            .map(|(arch, ..)| arch.as_str())
            .collect();
        if !missing.is_empty() {
            let there: Vec<&str> = there.into_iter().map(ArchName::as_str).collect();
            let message = format!(
                "{}.noarch is there on {} and not on {}",
                escaped(name),
                there.join(", "),
                missing.join(", ")
            );
            agreement.problems.push(
                Problem::new("noarch_missing", message)
                    .of(brought.subtask)
                    .hint("a noarch package is built on every architecture: look for %ifarch around it in the spec"),
            );
        }
        same("package for all architectures", &headers, false, brought, agreement);
    }
}

/// Tells how headers that should be the same differ.
fn same(what: &str, headers: &[(&ArchName, &Header)], is_source: bool, brought: &Brought, agreement: &mut Agreement) {
    // Architectures whose headers are the same stand together.
    let mut classes: Vec<(&Header, Vec<&ArchName>)> = Vec::new();
    for (arch, header) in headers {
        match classes
            .iter_mut()
            .find(|(one, _)| differences(one, header, is_source).is_empty())
        {
            Some((_, arches)) => arches.push(arch),
            None => classes.push((header, vec![arch])),
        }
    }
    let [(first, _), rest @ ..] = classes.as_slice() else {
        return;
    };
    let mut differing = Differences::default();
    for (other, _) in rest {
        differing.add(differences(first, other, is_source));
    }
    if differing.is_empty() {
        return;
    }
    let name = |header: &Header| {
        let package = &header.package;
        escaped(&format!("{}-{}", package.name, package.evr))
    };
    let told: Vec<String> = classes
        .iter()
        .map(|(header, arches)| {
            let arches: Vec<&str> = arches.iter().map(|arch| arch.as_str()).collect();
            if differing.is_named {
                format!("{} on {}", name(header), arches.join(", "))
            } else {
                arches.join(", ")
            }
        })
        .collect();
    let list = |words: &BTreeSet<String>| words.iter().cloned().collect::<Vec<_>>().join(", ");
    if differing.is_named || !differing.hard.is_empty() {
        let (code, hint) = if is_source {
            (
                "source_differs",
                "a spec says the same on every architecture: look for %ifarch around what differs",
            )
        } else {
            (
                "noarch_differs",
                "make the build give the same on every architecture, or drop BuildArch: noarch",
            )
        };
        let mut message = format!("the {what} {} is not the same: {}", name(first), told.join(" / "));
        if !differing.hard.is_empty() {
            message.push_str("; what differs: ");
            message.push_str(&list(&differing.hard));
        }
        agreement
            .problems
            .push(Problem::new(code, message).of(brought.subtask).hint(hint));
    } else {
        let message = format!(
            "the {what} {} is not quite the same: {}; what differs: {}. That of the first architecture lands",
            name(first),
            told.join(" / "),
            list(&differing.soft)
        );
        agreement
            .notes
            .push(Problem::new("differs", message).of(brought.subtask));
    }
}

/// In what two headers differ.
#[derive(Debug, Default)]
struct Differences {
    /// In name or version.
    is_named: bool,
    /// What is a problem.
    hard: BTreeSet<String>,
    /// What is worth a note.
    soft: BTreeSet<String>,
}

impl Differences {
    fn is_empty(&self) -> bool {
        !self.is_named && self.hard.is_empty() && self.soft.is_empty()
    }

    fn add(&mut self, other: Self) {
        self.is_named |= other.is_named;
        self.hard.extend(other.hard);
        self.soft.extend(other.soft);
    }
}

fn differences(one: &Header, other: &Header, is_source: bool) -> Differences {
    let mut found = Differences {
        is_named: (&one.package.name, &one.package.evr) != (&other.package.name, &other.package.evr),
        ..Differences::default()
    };
    let (a, b) = (&one.about.tags, &other.about.tags);
    let tags: BTreeSet<u32> = a
        .keys()
        .chain(b.keys())
        .copied()
        .filter(|tag| a.get(tag) != b.get(tag))
        .collect();
    let lists = files(one, other, &mut found);
    for tag in tags {
        if ASIDE.contains(&tag) || is_source && ASIDE_OF_SOURCE.contains(&tag) || lists && OF_FILES.contains(&tag) {
            continue;
        }
        if is_source && NEEDS.contains(&tag) {
            found.soft.insert("what its build needs".to_owned());
        } else {
            found.hard.insert(tags::name(tag));
        }
    }
    found
}

/// Names the files that differ, and says whether there are any. Python's compiled files hold the time of what they were compiled
/// from: they are only noted.
fn files(one: &Header, other: &Header, found: &mut Differences) -> bool {
    const SHOWN: usize = 3;
    let (a, b) = (described(one), described(other));
    let paths: BTreeSet<&str> = a.keys().chain(b.keys()).copied().collect();
    let differing = paths.into_iter().filter(|path| a.get(path) != b.get(path));
    let (soft, hard): (Vec<&str>, Vec<&str>) = differing.partition(|path| {
        let ending = std::path::Path::new(path).extension();
        let is_compiled = ending.is_some_and(|ending| ending == "pyc" || ending == "pyo");
        is_compiled && a.get(path).map(|file| &file.kind) == b.get(path).map(|file| &file.kind)
    });
    if !soft.is_empty() {
        found.soft.insert("compiled Python files".to_owned());
    }
    if !hard.is_empty() {
        let mut shown: Vec<String> = hard.iter().take(SHOWN).map(|path| escaped(path)).collect();
        if hard.len() > SHOWN {
            shown.push(format!("{} more", hard.len() - SHOWN));
        }
        found.hard.insert(format!("files ({})", shown.join(", ")));
    }
    !(soft.is_empty() && hard.is_empty())
}

/// A file, for comparing.
#[derive(PartialEq, Eq)]
struct Described<'a> {
    digest: &'a str,
    /// All but the content.
    kind: (u16, u32, [&'a str; 4]),
}

fn described(header: &Header) -> BTreeMap<&str, Described<'_>> {
    let details = header.package.files.iter().zip(&header.about.files);
    details
        .map(|(file, detail)| {
            let texts = [&detail.link, &detail.user, &detail.owner_group, &detail.capabilities];
            let described = Described {
                digest: &detail.digest,
                kind: (detail.mode, detail.flags, texts.map(String::as_str)),
            };
            (file.path.as_str(), described)
        })
        .collect()
}
