//! What is to be checked: which packages, on which architectures.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use windlass_core::escape::escaped;
use windlass_core::id::ArchName;
use windlass_core::repository::{Index, runs_on};
use windlass_core::rpm::Package;

use super::super::{failure, open};
use crate::cli::Context;
use crate::commands::repo::Which;
use crate::exit::{Broken, Usage};
use crate::repository::{Bases, Foreign, Repository};
use crate::sandbox::{Builder, Sweeps};

/// What is to be checked.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) architectures: Vec<On>,
    /// What the caller should know of what is left out.
    pub(super) notes: Vec<String>,
}

/// What is to be checked on one architecture.
#[derive(Debug)]
pub(super) struct On {
    pub(super) arch: ArchName,
    pub(super) own: Index,
    pub(super) bases: Vec<Arc<Index>>,
}

/// Architectures whose machines also run packages of another one. Here each is a repository of its own, so where packages of both
/// lie in one repository, the second ones are left out.
const BOTH: [(&str, &[&str]); 5] = [
    ("x86_64", &["i386", "i486", "i586", "i686", "athlon"]),
    ("aarch64", &["armv7l", "armv7hl", "armv7hnl", "armv8l"]),
    ("ppc64", &["ppc"]),
    ("s390x", &["s390"]),
    ("sparc64", &["sparc", "sparcv9"]),
];

impl Gathered {
    /// The configured repository as it is now.
    pub(super) fn configured(context: &Context, which: &Which, wanted: &[ArchName]) -> anyhow::Result<Self> {
        let repository = open(context, which)?;
        for arch in wanted {
            super::super::read::checked_arch(&repository, arch)?;
        }
        let present = repository.content();
        let bases = Beside::of(context, &repository)?;
        let mut gathered = Self::default();
        for (arch, own) in &present.arches {
            if !wanted.is_empty() && !wanted.contains(arch) {
                continue;
            }
            gathered.architectures.push(On {
                arch: arch.clone(),
                own: own.clone(),
                bases: bases.on(arch, &mut gathered.notes),
            });
        }
        Ok(gathered)
    }

    /// Any repositories.
    pub(super) fn named(repositories: &[String], bases: &[String], wanted: &[ArchName]) -> anyhow::Result<Self> {
        let cache = tempfile::tempdir()?;
        let mut own = Vec::new();
        for text in repositories {
            own.extend(Shelf::all_of(text, wanted, cache.path())?);
        }
        let mut provide = Vec::new();
        for text in bases {
            provide.push(Shelf::all_of(text, wanted, cache.path())?);
        }
        let mut gathered = Self::default();
        for arch in machines(&own, wanted, &mut gathered.notes)? {
            let packages = own.iter().flat_map(|shelf| shelf.packages_for(&arch));
            let bases = provide.iter().map(|shelves| {
                let packages = shelves.iter().flat_map(|shelf| shelf.packages_for(&arch));
                Arc::new(Index::of(packages))
            });
            gathered.architectures.push(On {
                own: Index::of(packages),
                bases: bases.collect(),
                arch,
            });
        }
        Ok(gathered)
    }
}

/// What counts beside a configured repository: its bases, and what the build host stands for.
pub(in super::super) struct Beside {
    bases: Bases,
    builder: Builder,
}

impl Beside {
    /// That of a repository.
    pub(in super::super) fn of(context: &Context, repository: &Repository) -> anyhow::Result<Self> {
        let config = context.config()?;
        Ok(Self {
            bases: repository.bases().map_err(failure)?,
            builder: Builder::of_this_program(&config, &context.settings(&config).paths, Sweeps::No)?,
        })
    }

    /// The same on one architecture.
    pub(in super::super) fn on(&self, arch: &ArchName, notes: &mut Vec<String>) -> Vec<Arc<Index>> {
        let bases = self.bases.of(arch).iter();
        let mut indexes: Vec<Arc<Index>> = bases.map(|base| Arc::clone(&base.index)).collect();
        match self.builder.host(arch) {
            Ok(host) => indexes.push(Arc::clone(&host.index)),
            Err(error) => notes.push(format!(
                "{arch}: what the build host stands for does not count: {error}"
            )),
        }
        indexes
    }
}

/// The packages of one directory with metadata.
#[derive(Debug)]
pub(super) struct Shelf {
    /// The architecture that it is for, where its place says so.
    pub(super) arch: Option<ArchName>,
    pub(super) packages: Vec<Arc<Package>>,
}

impl Shelf {
    /// All that a word of the command line names.
    fn all_of(text: &str, wanted: &[ArchName], cache: &Path) -> anyhow::Result<Vec<Self>> {
        if text.contains("$arch") {
            if wanted.is_empty() {
                return Err(Usage::new(format!("'{}' is for any architecture", escaped(text)))
                    .hint("say for which: --arch x86_64")
                    .into());
            }
            return wanted
                .iter()
                .map(|arch| Self::read(text, Some(arch.clone()), cache))
                .collect();
        }
        let directory = Path::new(text);
        if directory.is_dir() && !directory.join("repodata/repomd.xml").exists() {
            let below = Self::below(directory, wanted)?;
            if !below.is_empty() {
                return below
                    .into_iter()
                    .map(|(path, arch)| Self::read(&path, arch, cache))
                    .collect();
            }
        }
        Ok(vec![Self::read(text, None, cache)?])
    }

    /// The directories of architectures in a directory.
    fn below(directory: &Path, wanted: &[ArchName]) -> anyhow::Result<Vec<(String, Option<ArchName>)>> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(directory)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            let (Some(name), Some(text)) = (name, path.to_str()) else {
                continue;
            };
            if !path.join("repodata/repomd.xml").exists() || matches!(name, "source" | "src" | "SRPMS") {
                continue;
            }
            match name.parse::<ArchName>() {
                Ok(_) if name == "noarch" => found.push((text.to_owned(), None)),
                Ok(arch) if wanted.is_empty() || wanted.contains(&arch) => found.push((text.to_owned(), Some(arch))),
                Ok(_) | Err(_) => {}
            }
        }
        found.sort();
        Ok(found)
    }

    fn read(text: &str, arch: Option<ArchName>, cache: &Path) -> anyhow::Result<Self> {
        let any: ArchName = "noarch".parse()?;
        let foreign = Foreign::new(text, arch.as_ref().unwrap_or(&any), cache)
            .map_err(|error| Usage::new(error.to_string()).hint("give a directory, or an address as in https://…"))?;
        let packages = match &arch {
            Some(arch) => foreign.read_once(&|one| runs_on(one, arch)),
            None => foreign.read_once(&|one| !matches!(one, "src" | "nosrc")),
        };
        Ok(Self {
            arch,
            packages: packages.map_err(|error| Broken::new(error.to_string()))?,
        })
    }

    fn packages_for(&self, arch: &ArchName) -> impl Iterator<Item = Arc<Package>> {
        let counts = self.arch.as_ref().is_none_or(|own| own == arch);
        let packages = self.packages.iter().filter(move |_| counts);
        packages.filter(|package| runs_on(&package.arch, arch)).map(Arc::clone)
    }
}

/// The architectures to check: those that are wanted, else those of the places, else those of the packages.
pub(super) fn machines(
    shelves: &[Shelf],
    wanted: &[ArchName],
    notes: &mut Vec<String>,
) -> anyhow::Result<BTreeSet<ArchName>> {
    let mut machines: BTreeSet<ArchName> = wanted.iter().cloned().collect();
    if machines.is_empty() {
        machines.extend(shelves.iter().filter_map(|shelf| shelf.arch.clone()));
    }
    let is_said = !machines.is_empty();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let free = shelves.iter().filter(|shelf| shelf.arch.is_none());
    for package in free.flat_map(|shelf| &shelf.packages) {
        *counts.entry(&package.arch).or_default() += 1;
    }
    counts.remove("noarch");
    if !is_said {
        for name in counts.keys() {
            machines.insert(name.parse()?);
        }
        // The newest of a family runs the packages of all of it.
        let all = machines.clone();
        machines.retain(|one| !all.iter().any(|other| other != one && runs_on(one.as_str(), other)));
        for (wide, narrow) in BOTH {
            if machines.iter().any(|one| one.as_str() == wide) {
                machines.retain(|one| !narrow.contains(&one.as_str()));
            }
        }
    }
    if machines.is_empty() {
        machines.insert("noarch".parse()?);
    }
    counts.retain(|name, _| !machines.iter().any(|machine| runs_on(name, machine)));
    if !counts.is_empty() && wanted.is_empty() {
        let counts: Vec<String> = counts
            .iter()
            .map(|(name, count)| format!("{count} {}", escaped(name)))
            .collect();
        notes.push(format!(
            "not looked at: packages for other machines ({}); --arch ARCH does",
            counts.join(", ")
        ));
    }
    Ok(machines)
}
