//! `cargo xtask test`: everything that has to pass before a change lands, and one table that says what ran.
//!
//! One profile, one target folder. What cannot run says `SKIPPED: why`; with `CI=true` a skip is a failure.

mod outcome;
mod runner;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::Context as _;

use self::outcome::{Outcome, Report};
use crate::{packages, process, say, tools};

/// Arguments of `cargo xtask test`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask test             everything; asks before it installs system packages
  cargo xtask test --yes       installs without asking
  cargo xtask test --quick     without the programs that have to be fetched: cargo-deny, typos, payload readers")]
pub(crate) struct Args {
    /// Install what is missing without asking
    #[arg(long)]
    yes: bool,
    /// Leave out cargo-deny and typos, and do not fetch readers of payloads
    #[arg(long)]
    quick: bool,
}

/// Runs everything, prints the table; whether all is well is the exit code.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    packages::ensure(
        packages::DEMO.iter().chain(&packages::MACHINES).chain(&packages::TESTS),
        args.yes,
    )?;
    tools::components()?;
    if !args.quick {
        tools::payload_readers(args.yes)?;
    }
    let root = workspace()?;
    let logs = root.join("target/xtask-test");
    std::fs::create_dir_all(&logs)?;
    let mut report = Report::default();

    report.add(check("format", &root, &["fmt", "--all", "--check"])?);
    report.add(check(
        "lints",
        &root,
        &[
            "clippy",
            "--workspace",
            "--all-targets",
            "--locked",
            "--quiet",
            "--",
            "-D",
            "warnings",
        ],
    )?);
    // Programs and tests from one build: the stories run the programs as they are in target/debug.
    let compiled = check(
        "build",
        &root,
        &["build", "--workspace", "--all-targets", "--locked", "--quiet"],
    )?;
    let usable = compiled.failed == 0;
    report.add(compiled);
    if usable {
        for outcome in runner::tests(&root, &logs)? {
            report.add(outcome);
        }
        report.add(runner::doc_tests(&root, &logs)?);
        report.add(demonstration(&root, &logs)?);
    } else {
        report.add(Outcome::skipped("tests", "the workspace does not build"));
    }
    if args.quick {
        report.add(Outcome::skipped("licences and sources", "--quick"));
        report.add(Outcome::skipped("spelling", "--quick"));
    } else {
        report.add(licences(&root)?);
        report.add(spelling(&root, args.yes)?);
    }
    say::data(&report);
    let skips_fail = packages::in_ci() && report.skipped() > 0;
    if skips_fail {
        say::talk("error: CI=true, and something was skipped");
    }
    Ok(if report.failed() > 0 || skips_fail {
        ExitCode::from(1)
    } else {
        ExitCode::SUCCESS
    })
}

fn workspace() -> anyhow::Result<PathBuf> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    Ok(manifest.parent().context("xtask lies in the workspace")?.to_owned())
}

/// One cargo command that passes or fails as a whole.
fn check(name: &str, root: &Path, args: &[&str]) -> anyhow::Result<Outcome> {
    let started = Instant::now();
    let success = process::run(Command::new("cargo").args(args).current_dir(root))?;
    Ok(Outcome::check(name, success, started.elapsed()))
}

/// The first thing that a newcomer sees, start to end.
fn demonstration(root: &Path, logs: &Path) -> anyhow::Result<Outcome> {
    let started = Instant::now();
    let mut demo = Command::new(root.join("target/debug/xtask"));
    demo.args(["demo", "--json"]).current_dir(root);
    let ran = process::logged(&mut demo, &logs.join("demo.log"), |line| line.starts_with("error: "))?;
    Ok(Outcome::check("the demonstration", ran.success, started.elapsed()))
}

/// cargo-deny: licences, bans and sources always; advisories where their database can be reached.
fn licences(root: &Path) -> anyhow::Result<Outcome> {
    let name = "licences and sources";
    let deny = match tools::crate_tool("cargo-deny") {
        Ok(deny) => deny,
        Err(error) => return Ok(Outcome::skipped(name, format!("{error:#}"))),
    };
    let started = Instant::now();
    let reachable = advisories_are_reachable();
    let mut command = Command::new(deny);
    command
        .current_dir(root)
        .args(["--log-level", "warn", "check", "licenses", "bans", "sources"]);
    if reachable {
        command.arg("advisories");
    }
    let success = process::run(&mut command)?;
    let mut outcome = Outcome::check(name, success, started.elapsed());
    outcome.note = if reachable {
        "with advisories".to_owned()
    } else {
        "without advisories: https://github.com/rustsec/advisory-db cannot be reached from here".to_owned()
    };
    Ok(outcome)
}

fn advisories_are_reachable() -> bool {
    Command::new("timeout")
        .args([
            "15",
            "git",
            "ls-remote",
            "--quiet",
            "https://github.com/rustsec/advisory-db",
            "HEAD",
        ])
        .env("GIT_TERMINAL_PROMPT", "0")
        .output()
        .is_ok_and(|output| output.status.success())
}

fn spelling(root: &Path, yes: bool) -> anyhow::Result<Outcome> {
    let typos = match tools::typos(yes) {
        Ok(typos) => typos,
        Err(error) => return Ok(Outcome::skipped("spelling", format!("{error:#}"))),
    };
    let started = Instant::now();
    let success = process::run(Command::new(typos).current_dir(root).arg("--format=brief"))?;
    Ok(Outcome::check("spelling", success, started.elapsed()))
}
