//! `windlass repo check` finds what dnf's repoclosure and libsolv's installcheck find.
//!
//! Random repositories are made, from a seed that a failure prints (`WINDLASS_SEED` sets another one), and all three are asked.
//! Where they differ on purpose the difference itself is held to a rule: see [`repoclosure_sees`].

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use sha2::{Digest as _, Sha256};
use windlass_core::repository::{Index, runs_on};
use windlass_core::rpm::{Comparison, Dependency, Evr, File, FileKind, Package, Requirement, Rich};
use windlass_tests::chance::Chance;
use windlass_tests::programs::Programs;
use windlass_tests::{Cmd, skipped};

/// How many small worlds of their own one repository consists of.
const WORLDS: u64 = 150;

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

/// What names and words a repository is made of.
struct Maker {
    chance: Chance,
    /// The architectures of its packages.
    arches: &'static [&'static str],
    world: u64,
    /// Whether every version has a release, and everything that is provided a version.
    is_full: bool,
}

impl Maker {
    fn new(seed: u64, arches: &'static [&'static str]) -> Self {
        Self {
            chance: Chance::seeded(seed),
            arches,
            world: 0,
            is_full: false,
        }
    }

    fn one_in(&mut self, number: u64) -> bool {
        self.chance.below(number) == 0
    }

    fn packages(&mut self) -> Vec<Package> {
        let mut packages = Vec::new();
        for world in 0..WORLDS {
            self.world = world;
            for number in 0..6 {
                if self.one_in(6) {
                    continue;
                }
                let versions = if self.one_in(4) { 2 } else { 1 };
                let first = 1 + self.chance.below(2);
                for version in first..first + versions {
                    packages.push(self.package(number, version));
                }
            }
        }
        packages
    }

    fn package(&mut self, number: u64, version: u64) -> Package {
        let name = format!("w{}-p{number}", self.world);
        let evr = Evr {
            epoch: u32::from(self.one_in(6)),
            version: version.to_string(),
            release: Some((1 + self.chance.below(2)).to_string()),
        };
        // One for all versions: see `an_inferior_architecture_is_as_good`.
        let arch = self.arches[usize::try_from(number + self.world).unwrap_or(0) % self.arches.len()].to_owned();
        let mut provides = vec![Dependency::exactly(&name, evr.clone())];
        while self.one_in(2) {
            let name = format!("w{}-v{}", self.world, self.chance.below(3));
            let mut versions = self.versions(&[Comparison::Equal, Comparison::Equal, Comparison::GreaterOrEqual]);
            if self.is_full {
                versions = Some((Comparison::Equal, versions.map_or_else(|| evr.clone(), |(_, evr)| evr)));
            }
            provides.push(Dependency { name, versions });
        }
        let mut files = Vec::new();
        while self.one_in(2) {
            let path = self.path();
            if files.iter().all(|file: &File| file.path != path) {
                let kind = if path.ends_with('d') {
                    FileKind::Directory
                } else {
                    FileKind::Plain
                };
                files.push(File { path, kind });
            }
        }
        let mut package = Package {
            name,
            evr,
            arch,
            source_rpm: None,
            provides,
            requires: Vec::new(),
            conflicts: Vec::new(),
            obsoletes: Vec::new(),
            recommends: Vec::new(),
            files,
            artifact: None,
        };
        for _ in 0..self.chance.below(3) {
            let one = self.requirement();
            if !package.requires.contains(&one) {
                package.requires.push(one);
            }
        }
        while self.one_in(5) {
            let one = if self.one_in(4) {
                self.requirement()
            } else {
                Requirement::Plain(self.plain())
            };
            package.conflicts.push(one);
        }
        while self.one_in(6) {
            let mut one = self.plain();
            if one.is_path() {
                one.name = format!("w{}-p0", self.world);
            }
            package.obsoletes.push(one);
        }
        package
    }

    fn versions(&mut self, signs: &[Comparison]) -> Option<(Comparison, Evr)> {
        if self.one_in(2) {
            return None;
        }
        let sign = self.chance.one_of(signs).copied()?;
        let evr = Evr {
            epoch: u32::from(self.one_in(8)),
            version: (1 + self.chance.below(3)).to_string(),
            release: (self.is_full || self.one_in(2)).then(|| (1 + self.chance.below(2)).to_string()),
        };
        Some((sign, evr))
    }

    fn path(&mut self) -> String {
        let world = self.world;
        let places = ["/usr/bin/w", "/etc/w", "/usr/share/w", "/usr/share/w", "/opt/w"];
        let place = self.chance.one_of(&places).copied().unwrap_or("/w");
        let what = self.chance.one_of(&["a", "b", "d"]).copied().unwrap_or("a");
        format!("{place}{world}/{what}")
    }

    /// A name, with a range of versions or without, or a file.
    fn plain(&mut self) -> Dependency {
        let world = self.world;
        match self.chance.below(20) {
            0 => Dependency::any(format!("w{world}-nobody")),
            1 | 2 => Dependency::any(self.path()),
            3..=8 => Dependency {
                name: format!("w{world}-v{}", self.chance.below(3)),
                versions: self.sign(),
            },
            _ => Dependency {
                name: format!("w{world}-p{}", self.chance.below(6)),
                versions: self.sign(),
            },
        }
    }

    fn sign(&mut self) -> Option<(Comparison, Evr)> {
        self.versions(&[
            Comparison::Less,
            Comparison::LessOrEqual,
            Comparison::Equal,
            Comparison::GreaterOrEqual,
            Comparison::GreaterOrEqual,
            Comparison::Greater,
        ])
    }

    fn requirement(&mut self) -> Requirement {
        if self.one_in(2) {
            return Requirement::Plain(self.plain());
        }
        Requirement::Rich(self.rich(0))
    }

    /// A boolean dependency such as rpmbuild takes.
    fn rich(&mut self, depth: u32) -> Rich {
        let mut part = |maker: &mut Self| {
            if depth < 1 && maker.one_in(3) {
                maker.rich(depth + 1)
            } else {
                Rich::Plain(maker.plain())
            }
        };
        match self.chance.below(6) {
            0 => Rich::And(self.some(&mut part)),
            1 => Rich::Or(self.some(&mut part)),
            2 | 3 => {
                let (then, condition) = (Box::new(part(self)), Box::new(part(self)));
                let other = self.one_in(3).then(|| Box::new(part(self)));
                if self.one_in(2) {
                    Rich::If(then, condition, other)
                } else {
                    Rich::Unless(then, condition, other)
                }
            }
            4 => Rich::With(self.some(&mut |maker| Rich::Plain(maker.plain()))),
            _ => {
                let one = Box::new(Rich::Plain(self.plain()));
                Rich::Without(one, Box::new(Rich::Plain(self.plain())))
            }
        }
    }

    fn some(&mut self, part: &mut dyn FnMut(&mut Self) -> Rich) -> Vec<Rich> {
        let count = 2 + self.chance.below(2);
        (0..count).map(|_| part(self)).collect()
    }
}

/// A text as XML has it.
fn xml(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

fn entry(name: &str, versions: Option<&(Comparison, Evr)>) -> String {
    let mut out = format!("<rpm:entry name=\"{}\"", xml(name));
    if let Some((sign, evr)) = versions {
        let sign = match sign {
            Comparison::Less => "LT",
            Comparison::LessOrEqual => "LE",
            Comparison::Equal => "EQ",
            Comparison::GreaterOrEqual => "GE",
            Comparison::Greater => "GT",
        };
        let _ = write!(out, " flags=\"{sign}\" epoch=\"{}\" ver=\"{}\"", evr.epoch, evr.version);
        if let Some(release) = &evr.release {
            let _ = write!(out, " rel=\"{release}\"");
        }
    }
    out + "/>"
}

fn section(name: &str, entries: impl Iterator<Item = String>) -> String {
    let entries: String = entries.collect();
    if entries.is_empty() {
        return entries;
    }
    format!("<rpm:{name}>{entries}</rpm:{name}>")
}

fn plain_entry(one: &Dependency) -> String {
    entry(&one.name, one.versions.as_ref())
}

fn any_entry(one: &Requirement) -> String {
    match one {
        Requirement::Plain(plain) => plain_entry(plain),
        Requirement::Rich(rich) => entry(&rich.to_string(), None),
    }
}

fn is_primary(path: &str) -> bool {
    path.starts_with("/etc/") || path.contains("bin/")
}

fn file_elements(package: &Package, wanted: impl Fn(&str) -> bool) -> String {
    let files = package.files.iter().filter(|file| wanted(&file.path));
    files
        .map(|file| match file.kind {
            FileKind::Directory => format!("<file type=\"dir\">{}</file>", file.path),
            FileKind::Plain | FileKind::Ghost => format!("<file>{}</file>", file.path),
        })
        .collect()
}

fn sha256(text: &[u8]) -> String {
    Sha256::digest(text).iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// Writes the metadata of packages, as `createrepo_c` would.
fn write(directory: &Path, packages: &[Package]) -> anyhow::Result<()> {
    let mut primary = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<metadata xmlns=\"http://linux.duke.edu/metadata/common\" \
         xmlns:rpm=\"http://linux.duke.edu/metadata/rpm\" packages=\"{}\">\n",
        packages.len()
    );
    let mut filelists = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<filelists xmlns=\"http://linux.duke.edu/metadata/filelists\" packages=\"{}\">\n",
        packages.len()
    );
    for package in packages {
        let (name, arch) = (&package.name, &package.arch);
        let pkgid = sha256(package.nevra().as_bytes());
        let release = package.evr.release.as_deref().unwrap_or_default();
        let version = format!(
            "<version epoch=\"{}\" ver=\"{}\" rel=\"{release}\"/>",
            package.evr.epoch, package.evr.version
        );
        writeln!(
            primary,
            "<package type=\"rpm\"><name>{name}</name><arch>{arch}</arch>{version}\
             <checksum type=\"sha256\" pkgid=\"YES\">{pkgid}</checksum><summary>x</summary><description>x</description>\
             <packager/><url/><time file=\"1\" build=\"1\"/><size package=\"1\" installed=\"1\" archive=\"1\"/>\
             <location href=\"{}\"/><format><rpm:license>MIT</rpm:license><rpm:sourcerpm>{name}-1-1.src.rpm</rpm:sourcerpm>\
             <rpm:header-range start=\"1\" end=\"2\"/>{}{}{}{}{}</format></package>",
            package.file_name(),
            section("provides", package.provides.iter().map(plain_entry)),
            section("requires", package.requires.iter().map(any_entry)),
            section("conflicts", package.conflicts.iter().map(any_entry)),
            section("obsoletes", package.obsoletes.iter().map(plain_entry)),
            file_elements(package, is_primary),
        )?;
        writeln!(
            filelists,
            "<package pkgid=\"{pkgid}\" name=\"{name}\" arch=\"{arch}\">{version}{}</package>",
            file_elements(package, |_| true)
        )?;
    }
    let repodata = directory.join("repodata");
    fs::create_dir_all(&repodata)?;
    let mut repomd = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<repomd xmlns=\"http://linux.duke.edu/metadata/repo\">\n<revision>1</revision>\n".to_owned();
    for (kind, text) in [
        ("primary", primary + "</metadata>\n"),
        ("filelists", filelists + "</filelists>\n"),
    ] {
        fs::write(repodata.join(format!("{kind}.xml")), &text)?;
        writeln!(
            repomd,
            "<data type=\"{kind}\"><checksum type=\"sha256\">{}</checksum><location href=\"repodata/{kind}.xml\"/><timestamp>1</timestamp><size>{}</size></data>",
            sha256(text.as_bytes()),
            text.len()
        )?;
    }
    fs::write(repodata.join("repomd.xml"), repomd + "</repomd>\n")?;
    Ok(())
}

/// What somebody found: packages with a requirement that is unmet; packages that cannot be installed.
#[derive(Debug, Default)]
struct Answer {
    unmets: BTreeSet<(String, Requirement)>,
    uninstallable: BTreeSet<String>,
}

fn ours(directory: &Path, arch: &str) -> anyhow::Result<Answer> {
    let ran = Cmd::new(Programs::built()?.windlass)
        .args(["repo", "check", "--json", "--arch", arch])
        .arg(directory)
        .run()?;
    if ran.code() > 1 {
        bail!("{ran:?}");
    }
    let answer = ran.json()?;
    let found = &answer["architectures"][0];
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let list = |value: &serde_json::Value| value.as_array().cloned().unwrap_or_default();
    let mut ours = Answer::default();
    for unmet in list(&found["unmets"]) {
        ours.unmets
            .insert((text(&unmet["package"]), flat(&text(&unmet["requirement"]))?));
    }
    for one in list(&found["uninstallable"]) {
        ours.uninstallable.insert(text(&one["wanted"]));
    }
    Ok(ours)
}

/// A requirement as everybody writes it: chains of one word are one chain.
fn flat(text: &str) -> anyhow::Result<Requirement> {
    fn flatten(rich: Rich) -> Rich {
        let all = |list: Vec<Rich>| list.into_iter().map(flatten);
        match rich {
            Rich::Plain(plain) => Rich::Plain(plain),
            Rich::And(list) => Rich::And(
                all(list)
                    .flat_map(|one| if let Rich::And(inner) = one { inner } else { vec![one] })
                    .collect(),
            ),
            Rich::Or(list) => Rich::Or(
                all(list)
                    .flat_map(|one| if let Rich::Or(inner) = one { inner } else { vec![one] })
                    .collect(),
            ),
            Rich::With(list) => Rich::With(
                all(list)
                    .flat_map(|one| if let Rich::With(inner) = one { inner } else { vec![one] })
                    .collect(),
            ),
            Rich::If(a, b, c) => Rich::If(
                Box::new(flatten(*a)),
                Box::new(flatten(*b)),
                c.map(|c| Box::new(flatten(*c))),
            ),
            Rich::Unless(a, b, c) => Rich::Unless(
                Box::new(flatten(*a)),
                Box::new(flatten(*b)),
                c.map(|c| Box::new(flatten(*c))),
            ),
            Rich::Without(a, b) => Rich::Without(Box::new(flatten(*a)), Box::new(flatten(*b))),
        }
    }
    let requirement: Requirement = text.parse().with_context(|| text.to_owned())?;
    Ok(match requirement {
        Requirement::Plain(plain) => Requirement::Plain(plain),
        Requirement::Rich(rich) => Requirement::Rich(flatten(rich)),
    })
}

/// How dnf is called with its repoclosure: the plugin may be installed, or lie unpacked somewhere, since Debian's package with it
/// cannot stand beside zypper.
fn repoclosure() -> Option<Cmd> {
    let bare = || Cmd::new("dnf").limit(Duration::from_mins(2));
    let help = |cmd: Cmd| {
        cmd.args(["-q", "repoclosure", "--help"])
            .run()
            .is_ok_and(|ran| ran.code() == 0)
    };
    if help(bare()) {
        return Some(bare());
    }
    let modules = unpacked_plugins().ok()?;
    let with = || {
        bare()
            .env("PYTHONPATH", &modules)
            .arg(format!("--setopt=pluginpath={}", modules.join("dnf-plugins").display()))
    };
    help(with()).then(with)
}

/// Fetches the package with dnf's plugins, without installing it.
fn unpacked_plugins() -> anyhow::Result<PathBuf> {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("dnf-plugins-core");
    let modules = place.join("usr/lib/python3/dist-packages");
    if modules.is_dir() {
        return Ok(modules);
    }
    let fetched = tempfile::tempdir()?;
    Cmd::new("apt-get")
        .args(["-qq", "-o", "APT::Sandbox::User=root", "download", "dnf-plugins-core"])
        .dir(fetched.path())
        .run()?
        .ok()?;
    let package = fs::read_dir(fetched.path())?
        .next()
        .context("nothing was fetched")??
        .path();
    let unpacked = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    Cmd::new("dpkg-deb")
        .arg("-x")
        .arg(package)
        .arg(unpacked.path())
        .run()?
        .ok()?;
    // Somebody else may have been quicker.
    if fs::rename(unpacked.path(), &place).is_ok() {
        let _ = unpacked.keep();
    }
    Ok(modules)
}

fn by_dnf(dnf: Cmd, directory: &Path, arch: &str, arches: &[&str]) -> anyhow::Result<BTreeSet<(String, Requirement)>> {
    let state = tempfile::tempdir()?;
    let set = |key: &str, place: &str| format!("--setopt={key}={}", state.path().join(place).display());
    let ran = dnf
        .args([
            "-q",
            "--releasever=1",
            "--setopt=gpgcheck=0",
            "--setopt=reposdir=/nonexistent",
        ])
        .args([set("cachedir", "c"), set("logdir", "l"), set("persistdir", "p")])
        .arg(format!("--forcearch={arch}"))
        .arg(format!("--repofrompath=made,{}", directory.display()))
        .args(["--repo=made", "repoclosure"])
        // Otherwise it also looks at packages for other machines.
        .args(arches.iter().map(|arch| format!("--arch={arch}")))
        .run()?;
    let mut found = BTreeSet::new();
    let mut package = None;
    for line in ran.out().lines() {
        if let Some(rest) = line.strip_prefix("package: ") {
            package = rest.strip_suffix(" from made").map(str::to_owned);
        } else if let Some(requirement) = line.strip_prefix("    ") {
            let package = package.clone().context("a requirement without a package")?;
            found.insert((package, flat(requirement)?));
        }
    }
    if found.is_empty() && ran.code() != 0 {
        bail!("{ran:?}");
    }
    Ok(found)
}

/// Which packages libsolv cannot install, asked by way of libdnf: one after the other, each into an empty root.
const INSTALL: &str = r#"
import os, sys, dnf, dnf.goal
directory, arch, state = sys.argv[1:4]
base = dnf.Base()
base.conf.arch = arch
base.conf.cachedir, base.conf.persistdir, base.conf.logdir = [state + "/" + name for name in ("c", "p", "l")]
os.mkdir(base.conf.logdir)
base.conf.installroot = state
base.conf.substitutions["releasever"] = "1"
base.repos.add_new_repo("made", base.conf, baseurl=["file://" + directory], gpgcheck=False)
base.fill_sack(load_system_repo=False)
for package in sorted(base.sack.query()):
    goal = dnf.goal.Goal(base.sack)
    goal.install(package)
    if not goal.run(ignore_weak_deps=True):
        print(package)
"#;

fn by_libdnf(directory: &Path, arch: &str) -> anyhow::Result<BTreeSet<String>> {
    let state = tempfile::tempdir()?;
    let ran = Cmd::new("/usr/bin/python3")
        .args(["-c", INSTALL])
        .arg(directory)
        .arg(arch)
        .arg(state.path())
        .limit(Duration::from_mins(3))
        .run()?
        .ok()?;
    Ok(ran.out().lines().map(str::to_owned).collect())
}

fn by_installcheck(directory: &Path, policy: &str) -> anyhow::Result<BTreeSet<String>> {
    let solv = directory.join("all.solv");
    Cmd::new("repo2solv")
        .args(["-F", "-o"])
        .arg(&solv)
        .arg(directory)
        .run()?
        .ok()?;
    let ran = Cmd::new("installcheck")
        .arg(policy)
        .arg(&solv)
        .limit(Duration::from_mins(2))
        .run()?;
    let found: BTreeSet<String> = ran
        .out()
        .lines()
        .filter_map(|line| {
            line.strip_prefix("can't install ")?
                .strip_suffix(':')
                .map(str::to_owned)
        })
        .collect();
    if found.is_empty() && ran.code() != 0 {
        bail!("{ran:?}");
    }
    Ok(found)
}

/// What repoclosure takes for met: it asks libsolv who provides a boolean dependency, and that means by all words but `with` and
/// `without` the providers of any part that may be asked for (`pool_whatprovides`). So of `(a and b)` one is enough, and `(a if b)`
/// asks for `a`, whether there is a `b` or not.
fn repoclosure_sees<'i>(index: &'i Index, rich: &Rich) -> Vec<&'i Arc<Package>> {
    let either = |lists: Vec<Vec<&'i Arc<Package>>>| lists.into_iter().flatten().collect::<Vec<_>>();
    match rich {
        Rich::Plain(plain) => index.providers(plain),
        Rich::And(all) | Rich::Or(all) => either(all.iter().map(|one| repoclosure_sees(index, one)).collect()),
        Rich::If(then, _, other) | Rich::Unless(then, _, other) => {
            let parts = std::iter::once(then).chain(other);
            either(parts.map(|one| repoclosure_sees(index, one)).collect())
        }
        Rich::With(all) => {
            let mut lists = all.iter().map(|one| repoclosure_sees(index, one));
            let mut found = lists.next().unwrap_or_default();
            for list in lists {
                found.retain(|package| list.iter().any(|one| Arc::ptr_eq(one, package)));
            }
            found
        }
        Rich::Without(one, not) => {
            let not = repoclosure_sees(index, not);
            let mut found = repoclosure_sees(index, one);
            found.retain(|package| !not.iter().any(|one| Arc::ptr_eq(one, package)));
            found
        }
    }
}

/// Whether both mean the same by a requirement.
fn is_agreed(requirement: &Requirement) -> bool {
    let Requirement::Rich(rich) = requirement else {
        return true;
    };
    let mut agreed = true;
    rich.walk(&mut |one| agreed &= !matches!(one, Rich::And(_) | Rich::If(..) | Rich::Unless(..)));
    agreed
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
