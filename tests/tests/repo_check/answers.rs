//! What each of them says of a repository: we, dnf's repoclosure, libsolv by way of libdnf, installcheck.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use windlass_core::rpm::{Requirement, Rich};
use windlass_tests::Cmd;
use windlass_tests::programs::Programs;

/// What somebody found: packages with a requirement that is unmet; packages that cannot be installed.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) unmets: BTreeSet<(String, Requirement)>,
    pub(crate) uninstallable: BTreeSet<String>,
}

pub(crate) fn ours(directory: &Path, arch: &str) -> anyhow::Result<Answer> {
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
pub(crate) fn flat(text: &str) -> anyhow::Result<Requirement> {
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
pub(crate) fn repoclosure() -> Option<Cmd> {
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

pub(crate) fn by_dnf(
    dnf: Cmd,
    directory: &Path,
    arch: &str,
    arches: &[&str],
) -> anyhow::Result<BTreeSet<(String, Requirement)>> {
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

pub(crate) fn by_libdnf(directory: &Path, arch: &str) -> anyhow::Result<BTreeSet<String>> {
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

pub(crate) fn by_installcheck(directory: &Path, policy: &str) -> anyhow::Result<BTreeSet<String>> {
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
