//! System packages: which programs are missing, the Debian packages that bring them, and installing those after asking.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::{process, say};

/// A program of the system and the Debian package that brings it.
pub(crate) struct Needed {
    /// The program's name.
    pub(crate) program: &'static str,
    /// The package.
    pub(crate) package: &'static str,
}

/// What the tests and the demonstration run.
pub(crate) const PROGRAMS: [Needed; 7] = [
    Needed {
        program: "git",
        package: "git",
    },
    Needed {
        program: "gpg",
        package: "gnupg",
    },
    Needed {
        program: "gpgconf",
        package: "gnupg",
    },
    Needed {
        program: "sshd",
        package: "openssh-server",
    },
    Needed {
        program: "ssh",
        package: "openssh-client",
    },
    Needed {
        program: "ssh-keygen",
        package: "openssh-client",
    },
    Needed {
        program: "cc",
        package: "gcc",
    },
];

/// Where a program is: in PATH or where the system keeps its daemons.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|dir| dir.join(program))
        .find(|file| file.is_file())
}

/// Installs what is missing of these. Asks first, unless `yes` or `CI=true`.
pub(crate) fn ensure(needed: &[Needed], yes: bool) -> anyhow::Result<()> {
    let mut packages: Vec<&str> = needed
        .iter()
        .filter(|n| find(n.program).is_none())
        .map(|n| n.package)
        .collect();
    packages.sort_unstable();
    packages.dedup();
    install(&packages, yes)
}

/// Installs Debian packages. Asks first, unless `yes` or `CI=true`.
pub(crate) fn install(packages: &[&str], yes: bool) -> anyhow::Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    let list = packages.join(" ");
    if find("apt-get").is_none() {
        bail!("these system packages are missing: {list}\n\nhint: install them with your system's package manager");
    }
    if !yes && !in_ci() && !asked(&list)? {
        bail!("these system packages are missing: {list}\n\nhint: apt-get install {list}");
    }
    let mut update = apt();
    update.args(["-qq", "update"]);
    process::run(&mut update)?;
    let mut install = apt();
    install
        .args(["-qq", "install", "-y", "--no-install-recommends"])
        .args(packages);
    if !process::run(&mut install)? {
        bail!("apt-get could not install {list}");
    }
    Ok(())
}

/// Whether a machine runs this, and nobody is there to be asked.
pub(crate) fn in_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| value == "true" || value == "1")
}

fn apt() -> Command {
    let root = Path::new("/proc/self").metadata().is_ok_and(|meta| {
        use std::os::unix::fs::MetadataExt as _;
        meta.uid() == 0
    });
    let mut command = Command::new(if root { "apt-get" } else { "sudo" });
    if !root {
        command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get"]);
    }
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command
}

fn asked(list: &str) -> anyhow::Result<bool> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Ok(false);
    }
    say::talk(format_args!("These system packages are missing: {list}"));
    let mut stderr = std::io::stderr().lock();
    write!(stderr, "Install them with apt-get? [y/N] ")?;
    stderr.flush()?;
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer).context("cannot read the answer")?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
