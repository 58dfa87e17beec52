//! What a header requires, provides, conflicts with, as repository metadata has it.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use super::read::shown;
use super::store::Store;
use super::{BadPackage, tags};
use crate::rpm::{Comparison, Dependency, Evr, File, Requirement, vercmp};

/// The most dependencies of one kind that are read.
const MOST: usize = 100_000;
/// The longest name of a capability, or version of one, in bytes; a boolean dependency is as long as `rich` reads.
const LONGEST: usize = 4096;

/// The three tags of one kind of dependency.
pub(super) struct Kind {
    name: u32,
    flags: u32,
    version: u32,
    what: &'static str,
}

macro_rules! kinds {
    ($($kind:ident = $name:ident, $flags:ident, $version:ident, $what:literal;)+) => {
        $(pub(super) const $kind: Kind = Kind {
            name: tags::$name,
            flags: tags::$flags,
            version: tags::$version,
            what: $what,
        };)+
    };
}

kinds! {
    PROVIDES = PROVIDE_NAME, PROVIDE_FLAGS, PROVIDE_VERSION, "what it provides";
    CONFLICTS = CONFLICT_NAME, CONFLICT_FLAGS, CONFLICT_VERSION, "what it conflicts with";
    OBSOLETES = OBSOLETE_NAME, OBSOLETE_FLAGS, OBSOLETE_VERSION, "what it obsoletes";
    RECOMMENDS = RECOMMEND_NAME, RECOMMEND_FLAGS, RECOMMEND_VERSION, "what it recommends";
    SUGGESTS = SUGGEST_NAME, SUGGEST_FLAGS, SUGGEST_VERSION, "what it suggests";
    SUPPLEMENTS = SUPPLEMENT_NAME, SUPPLEMENT_FLAGS, SUPPLEMENT_VERSION, "what it supplements";
    ENHANCES = ENHANCE_NAME, ENHANCE_FLAGS, ENHANCE_VERSION, "what it enhances";
}

const REQUIRES: Kind = Kind {
    name: tags::REQUIRE_NAME,
    flags: tags::REQUIRE_FLAGS,
    version: tags::REQUIRE_VERSION,
    what: "what it requires",
};

/// Something required.
pub(super) struct Required {
    pub(super) requirement: Requirement,
    /// Whether scriptlets need it.
    pub(super) pre: bool,
}

/// Dependencies that are never boolean.
pub(super) fn plain(main: &Store, kind: &Kind) -> Result<Vec<Dependency>, BadPackage> {
    let entries = entries(main, kind)?;
    Ok(entries.into_iter().map(|entry| entry.dependency).collect())
}

/// Dependencies that may be boolean.
pub(super) fn any(main: &Store, kind: &Kind) -> Result<Vec<Requirement>, BadPackage> {
    entries(main, kind)?
        .into_iter()
        .map(|entry| requirement(entry.dependency, kind))
        .collect()
}

/// What is required, as `createrepo_c` puts it into metadata, so that a package is the same one whether its header or the
/// repository is asked. Left out are: `rpmlib(…)`, which every installer has; what the package provides itself, and those of its
/// own files that metadata lists first; what stands there twice; and of `libc.so.6(…)` all but the newest.
pub(super) fn requires(main: &Store, files: &[File], provided: &BTreeSet<String>) -> Result<Vec<Required>, BadPackage> {
    let own: BTreeSet<&str> = files
        .iter()
        .map(|file| file.path.as_str())
        .filter(|path| is_primary(path))
        .collect();
    let mut seen = BTreeSet::new();
    let mut libc: Option<Required> = None;
    let mut all = Vec::new();
    for entry in entries(main, &REQUIRES)? {
        let name = &entry.dependency.name;
        if name.starts_with("rpmlib(")
            || own.contains(name.as_str())
            || provided.contains(&entry.dependency.to_string())
            || !seen.insert((entry.dependency.to_string(), entry.pre))
        {
            continue;
        }
        let is_libc = name.starts_with("libc.so.6");
        let required = Required {
            pre: entry.pre,
            requirement: requirement(entry.dependency, &REQUIRES)?,
        };
        if !is_libc {
            all.push(required);
        } else if libc.as_ref().is_none_or(|newest| is_newer_libc(&required, newest)) {
            libc = Some(required);
        }
    }
    all.extend(libc);
    Ok(all)
}

/// Whether a file's path is among those that `primary` lists: what dependencies on files mostly name.
pub fn is_primary(path: &str) -> bool {
    path.starts_with("/etc/") || path == "/usr/lib/sendmail" || path.contains("bin/")
}

fn is_newer_libc(one: &Required, other: &Required) -> bool {
    let version = |required: &Required| {
        let name = required.requirement.plain().map_or("", |plain| plain.name.as_str());
        let inside = name.split_once('(').and_then(|(_, rest)| rest.split_once(')'));
        inside.map_or(String::new(), |(symbol, _)| {
            symbol.trim_start_matches(|c: char| !c.is_ascii_digit()).to_owned()
        })
    };
    vercmp(&version(one), &version(other)) == Ordering::Greater
}

struct Entry {
    dependency: Dependency,
    pre: bool,
}

fn requirement(dependency: Dependency, kind: &Kind) -> Result<Requirement, BadPackage> {
    Requirement::of_parts(&dependency.name, dependency.versions).map_err(|bad| BadPackage::Wrong {
        what: kind.what,
        why: bad.to_string(),
    })
}

fn entries(main: &Store, kind: &Kind) -> Result<Vec<Entry>, BadPackage> {
    let wrong = |why: String| BadPackage::Wrong { what: kind.what, why };
    let names = main.texts(kind.name, kind.what, MOST)?;
    let flags = main.numbers(kind.flags, kind.what, MOST)?;
    let versions = main.texts(kind.version, kind.what, MOST)?;
    if flags.len() != versions.len() || !(flags.len() == names.len() || flags.is_empty()) {
        return Err(wrong(format!(
            "{} names, {} flags, {} versions",
            names.len(),
            flags.len(),
            versions.len()
        )));
    }
    let mut parts = flags.into_iter().zip(versions);
    names
        .into_iter()
        .map(|name| {
            let (flags, version) = parts.next().unwrap_or_default();
            if name.is_empty() {
                return Err(wrong("a name is empty".to_owned()));
            }
            let longest = if name.starts_with('(') {
                crate::rpm::rich::LONGEST
            } else {
                LONGEST
            };
            if name.len() > longest || version.len() > LONGEST {
                return Err(wrong(format!("'{}' is too long", shown(&name))));
            }
            Ok(Entry {
                pre: flags & tags::SENSE_PRE != 0,
                dependency: Dependency {
                    name,
                    versions: comparison(flags)
                        .filter(|_| !version.is_empty())
                        .map(|comparison| (comparison, Evr::of_text(&version))),
                },
            })
        })
        .collect()
}

fn comparison(flags: u64) -> Option<Comparison> {
    let has = |flag| flags & flag != 0;
    match (has(tags::SENSE_LESS), has(tags::SENSE_EQUAL), has(tags::SENSE_GREATER)) {
        (true, false, false) => Some(Comparison::Less),
        (true, true, false) => Some(Comparison::LessOrEqual),
        (false, true, false) => Some(Comparison::Equal),
        (false, true, true) => Some(Comparison::GreaterOrEqual),
        (false, false, true) => Some(Comparison::Greater),
        // All of them, none of them, or all but equal: no metadata can say these.
        (false, false, false) | (true, _, true) => None,
    }
}
