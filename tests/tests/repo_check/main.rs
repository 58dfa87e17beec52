//! `windlass repo check` finds what dnf's repoclosure and libsolv's installcheck find.
//!
//! Random repositories are made, from a seed that a failure prints (`WINDLASS_SEED` sets another one), and all three are asked.
//! Where they differ on purpose the difference itself is held to a rule: see [`repoclosure_sees`].

mod agreed;
mod answers;
mod maker;
mod metadata;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use anyhow::Context as _;
use windlass_core::repository::{Index, runs_on};
use windlass_core::rpm::{Dependency, Evr, Package, Requirement};
use windlass_tests::{Cmd, skipped};

use agreed::{is_agreed, repoclosure_sees};
use answers::{by_dnf, by_installcheck, by_libdnf, flat, ours, repoclosure};
use maker::Maker;
use metadata::write;

fn seed() -> u64 {
    let asked = std::env::var("WINDLASS_SEED").ok().and_then(|text| text.parse().ok());
    asked.unwrap_or(20_261_121)
}

/// All packages of a package's world, for a failure's message.
fn world(packages: &[Package], nevra: &str) -> String {
    let prefix = nevra.split_inclusive('-').next().unwrap_or_default();
    let texts = |list: Vec<String>| list.join(", ");
    let mut out = String::new();
    for package in packages.iter().filter(|package| package.name.starts_with(prefix)) {
        let _ = writeln!(
            out,
            "{}: provides {}; requires {}; conflicts {}; obsoletes {}; files {}",
            package.nevra(),
            texts(package.provides.iter().skip(1).map(ToString::to_string).collect()),
            texts(package.requires.iter().map(ToString::to_string).collect()),
            texts(package.conflicts.iter().map(ToString::to_string).collect()),
            texts(package.obsoletes.iter().map(ToString::to_string).collect()),
            texts(package.files.iter().map(|file| file.path.clone()).collect()),
        );
    }
    out
}

/// Fails where two found different things; `T`'s first word is a package.
fn differ<T: Ord + std::fmt::Debug>(
    what: &str,
    packages: &[Package],
    (ours, theirs): (&BTreeSet<T>, &BTreeSet<T>),
    name: impl Fn(&T) -> &str,
) {
    let only_ours: Vec<&T> = ours.difference(theirs).collect();
    let only_theirs: Vec<&T> = theirs.difference(ours).collect();
    let first = only_ours.last().or(only_theirs.first());
    if let Some(first) = first {
        panic!(
            "{what}:\nonly ours: {only_ours:#?}\nonly theirs: {only_theirs:#?}\n{}",
            world(packages, name(first))
        );
    }
}

/// Those architectures whose packages run on a machine.
fn on<'a>(arch: &str, arches: &[&'a str]) -> Vec<&'a str> {
    let machine = arch.parse().ok();
    let runs = |one: &&str| machine.as_ref().is_some_and(|machine| runs_on(one, machine));
    arches.iter().copied().filter(runs).collect()
}

fn made(mut maker: Maker) -> anyhow::Result<(tempfile::TempDir, Vec<Package>)> {
    let packages = maker.packages();
    let directory = tempfile::tempdir()?;
    write(directory.path(), &packages)?;
    Ok((directory, packages))
}

const MACHINES: [(&str, &[&str]); 2] = [
    ("x86_64", &["x86_64", "noarch"]),
    ("i586", &["i586", "i386", "noarch", "i686"]),
];

#[test]
fn unmets_are_those_of_repoclosure() -> anyhow::Result<()> {
    let Some(_) = repoclosure() else {
        skipped("there is no dnf with repoclosure here");
        return Ok(());
    };
    let seed = seed();
    for (arch, arches) in MACHINES {
        let (directory, packages) = made(Maker::new(seed, arches))?;
        let ours = ours(directory.path(), arch)?.unmets;
        let dnf = repoclosure().context("it was there")?;
        let theirs = by_dnf(dnf, directory.path(), arch, &on(arch, arches))?;
        let agreed = |found: &BTreeSet<(String, Requirement)>| {
            found
                .iter()
                .filter(|(_, one)| is_agreed(one))
                .cloned()
                .collect::<BTreeSet<_>>()
        };
        let what = format!("seed {seed}, {arch}");
        differ(&what, &packages, (&agreed(&ours), &agreed(&theirs)), |(name, _)| name);
        assert!(agreed(&ours).len() > 50, "{}", agreed(&ours).len());
        // All others: dnf's answer is what we say that it is.
        let machine = arch.parse()?;
        let counting = packages.iter().filter(|one| runs_on(&one.arch, &machine));
        let index: Index = counting.cloned().map(Arc::new).collect();
        let mut expected = BTreeSet::new();
        let mut meant = 0;
        for package in index.packages() {
            for requirement in &package.requires {
                let Requirement::Rich(rich) = requirement else { continue };
                if is_agreed(requirement) {
                    continue;
                }
                meant += 1;
                if repoclosure_sees(&index, rich).is_empty() {
                    expected.insert((package.nevra(), flat(&requirement.to_string())?));
                }
            }
        }
        let theirs: BTreeSet<_> = theirs.iter().filter(|(_, one)| !is_agreed(one)).cloned().collect();
        let what = format!("seed {seed}, {arch}: what repoclosure takes for met");
        differ(&what, &packages, (&expected, &theirs), |(name, _)| name);
        assert!(meant > 100, "{meant}");
    }
    Ok(())
}

#[test]
fn uninstallables_are_those_of_libdnf() -> anyhow::Result<()> {
    let dnf = Cmd::new("/usr/bin/python3").args(["-c", "import dnf"]).run();
    if !dnf.is_ok_and(|ran| ran.code() == 0) {
        skipped("there is no dnf for Python here");
        return Ok(());
    }
    let seed = seed();
    for (arch, arches) in MACHINES {
        let (directory, packages) = made(Maker::new(seed, arches))?;
        let ours = ours(directory.path(), arch)?.uninstallable;
        let on = on(arch, arches);
        let mut theirs = by_libdnf(directory.path(), arch)?;
        // It is asked for packages of other machines, too.
        theirs.retain(|nevra| on.iter().any(|arch| nevra.ends_with(&format!(".{arch}"))));
        differ(&format!("seed {seed}, {arch}"), &packages, (&ours, &theirs), |name| {
            name
        });
        assert!(
            ours.len() > 50 && ours.len() < packages.len() * 2 / 3,
            "{} of {}",
            ours.len(),
            packages.len()
        );
    }
    Ok(())
}

/// For libsolv a package is no choice where there is one of the same name for a nearer architecture (`foo.i586` before `foo.i386`). rpm
/// installs either, and so do we: in a repository of ours the second one would be there on purpose.
#[test]
fn an_inferior_architecture_is_as_good() -> anyhow::Result<()> {
    if Cmd::new("/usr/bin/python3").args(["-c", "import dnf"]).run()?.code() != 0 {
        skipped("there is no dnf for Python here");
        return Ok(());
    }
    let package = |name: &str, arch: &str, requires: &[&str]| -> anyhow::Result<Package> {
        let (name, version) = name.split_once('-').context("no version")?;
        let evr = Evr::of_text(&format!("{version}-1"));
        Ok(Package {
            name: name.to_owned(),
            provides: vec![Dependency::exactly(name, evr.clone())],
            evr,
            arch: arch.to_owned(),
            source_rpm: None,
            requires: requires.iter().map(|text| text.parse()).collect::<Result<_, _>>()?,
            conflicts: Vec::new(),
            obsoletes: Vec::new(),
            recommends: Vec::new(),
            files: Vec::new(),
            artifact: None,
        })
    };
    let packages = [
        package("foo-1", "i386", &[])?,
        package("foo-2", "i586", &["nobody"])?,
        package("bar-1", "i586", &["foo"])?,
    ];
    let directory = tempfile::tempdir()?;
    write(directory.path(), &packages)?;
    let ours = ours(directory.path(), "i586")?.uninstallable;
    let theirs = by_libdnf(directory.path(), "i586")?;
    assert_eq!(ours.into_iter().collect::<Vec<_>>(), ["foo-2-1.i586"]);
    assert_eq!(theirs.into_iter().collect::<Vec<_>>(), ["bar-1-1.i586", "foo-2-1.i586"]);
    Ok(())
}

#[test]
fn uninstallables_are_those_of_installcheck() -> anyhow::Result<()> {
    let there = |name: &str| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|dir| dir.join(name).is_file())
    };
    if !there("installcheck") || !there("repo2solv") {
        skipped("there is no installcheck here");
        return Ok(());
    }
    let seed = seed();
    for (arch, arches) in MACHINES {
        let (directory, packages) = made(Maker {
            is_full: true,
            ..Maker::new(seed, arches)
        })?;
        let ours = ours(directory.path(), arch)?.uninstallable;
        let theirs = by_installcheck(directory.path(), &on(arch, arches).join("="))?;
        differ(&format!("seed {seed}, {arch}"), &packages, (&ours, &theirs), |name| {
            name
        });
        assert!(
            ours.len() > 50 && ours.len() < packages.len() * 2 / 3,
            "{} of {}",
            ours.len(),
            packages.len()
        );
    }
    Ok(())
}
