//! Programs that check Rust code: found in PATH, in cargo's folder or in a cache of our own; installed into the cache once.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::{packages, process};

/// Where tools are kept between runs.
fn cache() -> anyhow::Result<PathBuf> {
    let home = std::env::var_os("HOME").context("HOME is not set")?;
    let base = std::env::var_os("XDG_CACHE_HOME").map_or_else(|| PathBuf::from(home).join(".cache"), PathBuf::from);
    Ok(base.join("windlass-tools"))
}

/// Where a tool is, if it is there.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let home = std::env::var_os("HOME").map(PathBuf::from)?;
    let cargo = std::env::var_os("CARGO_HOME").map_or_else(|| home.join(".cargo"), PathBuf::from);
    packages::find(name)
        .or_else(|| Some(cargo.join("bin").join(name)).filter(|file| file.is_file()))
        .or_else(|| Some(cache().ok()?.join("bin").join(name)).filter(|file| file.is_file()))
}

/// A tool from crates.io; built without optimising it, which is quicker than what its optimised build would save.
pub(crate) fn crate_tool(name: &str) -> anyhow::Result<PathBuf> {
    if let Some(found) = find(name) {
        return Ok(found);
    }
    let root = cache()?;
    let mut install = Command::new("cargo");
    install
        .args(["install", "--locked", "--debug", "--root"])
        .arg(&root)
        .arg(name);
    if !process::run(&mut install)? {
        bail!("cargo could not install {name}");
    }
    Ok(root.join("bin").join(name))
}

/// `typos`: its wheel from `PyPI` holds the program itself; where there is no Python, from crates.io.
pub(crate) fn typos(yes: bool) -> anyhow::Result<PathBuf> {
    if let Some(found) = find("typos") {
        return Ok(found);
    }
    let venv = cache()?.join("typos");
    let program = venv.join("bin/typos");
    if program.is_file() {
        return Ok(program);
    }
    if packages::find("apt-get").is_some() && !process_quiet("python3", &["-c", "import ensurepip"]) {
        packages::install(&["python3-venv"], yes)?;
    }
    let mut make = Command::new("python3");
    make.args(["-m", "venv"]).arg(&venv);
    let mut fetch = Command::new(venv.join("bin/pip"));
    fetch.args(["install", "--quiet", "--disable-pip-version-check", "typos"]);
    if process::run(&mut make).unwrap_or(false) && process::run(&mut fetch).unwrap_or(false) && program.is_file() {
        return Ok(program);
    }
    let root = cache()?;
    let mut install = Command::new("cargo");
    install
        .args(["install", "--locked", "--debug", "--root"])
        .arg(&root)
        .arg("typos-cli");
    if !process::run(&mut install)? {
        bail!("neither pip nor cargo could install typos");
    }
    Ok(root.join("bin/typos"))
}

/// Programs that read payloads and that this project did not write: one in Python, one in Rust. Both in the versions that were tried.
pub(crate) fn payload_readers(yes: bool) -> anyhow::Result<()> {
    let venv = cache()?.join("payload-dumper");
    if !venv.join("bin/payload-dumper").is_file() {
        if packages::find("apt-get").is_some() && !process_quiet("python3", &["-c", "import ensurepip"]) {
            packages::install(&["python3-venv"], yes)?;
        }
        let mut make = Command::new("python3");
        make.args(["-m", "venv"]).arg(&venv);
        let mut fetch = Command::new(venv.join("bin/pip"));
        fetch.args([
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "android-payload-dumper==2.3.0",
        ]);
        if !(process::run(&mut make)? && process::run(&mut fetch)?) {
            bail!("pip could not install android-payload-dumper");
        }
    }
    if find("payload_dumper").is_none() {
        let mut install = Command::new("cargo");
        install
            .args(["install", "--locked", "--debug", "--root"])
            .arg(cache()?)
            .args([
                "payload_dumper@0.8.4",
                "--no-default-features",
                "--features",
                "diff_ota,local_zip",
            ]);
        if !process::run(&mut install)? {
            bail!("cargo could not install payload_dumper");
        }
    }
    Ok(())
}

/// The components of the toolchain that format and lint.
pub(crate) fn components() -> anyhow::Result<()> {
    for (component, subcommand) in [("rustfmt", "fmt"), ("clippy", "clippy")] {
        if !process_quiet("cargo", &[subcommand, "--version"]) {
            let mut add = Command::new("rustup");
            add.args(["component", "add", component]);
            if !process::run(&mut add)? {
                bail!("cargo {subcommand} is missing, and rustup could not add {component}");
            }
        }
    }
    Ok(())
}

fn process_quiet(program: &str, args: &[&str]) -> bool {
    Command::new(program)
        .args(args)
        .output()
        .is_ok_and(|output| output.status.success())
}
