//! `cargo xtask demo`: a server, a person with keys, a refused and an accepted push, and the task that came of it.
//!
//! Every command is run for real and shown with what it printed. Everything lies in one folder, which goes at the end.

mod steps;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};

use crate::{packages, process, say};

/// Arguments of `cargo xtask demo`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask demo                          in a temporary folder, which is removed at the end
  cargo xtask demo --dir /tmp/w --keep      leaves everything there, to look at
  cargo xtask demo --json | jq -r '.[].command'")]
pub(crate) struct Args {
    /// Where everything lies; the path must be short, sockets lie below it [default: a temporary folder]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Leave everything there at the end
    #[arg(long)]
    keep: bool,
    /// Print the commands and what came of them as JSON
    #[arg(long)]
    json: bool,
    /// Install what is missing without asking
    #[arg(long)]
    yes: bool,
}

/// Plays it.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    packages::ensure(&packages::DEMO, args.yes)?;
    let mut build = std::process::Command::new("cargo");
    build.args(["build", "--quiet", "-p", "windlass", "-p", "windlass-hooks"]);
    if !process::run(build.current_dir(windlass_tests::programs::workspace()?))? {
        bail!("the programs do not build");
    }
    let (dir, temporary) = folder(args)?;
    let played = steps::play(&dir, !args.json)?;
    if args.json {
        say::data(serde_json::to_string_pretty(&played.shown)?);
    } else {
        say::data("\nThe tag that nobody had signed was refused; the signed one became task 1.");
    }
    if args.keep {
        let dir = temporary.map_or(dir, tempfile::TempDir::keep);
        say::talk(format_args!("Everything is left in {}.", dir.display()));
    } else if temporary.is_none() {
        for name in steps::FOLDERS {
            std::fs::remove_dir_all(dir.join(name)).with_context(|| format!("cannot remove {name}"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The folder for all of it: the one that was named, or a temporary one that goes when it is dropped.
fn folder(args: &Args) -> anyhow::Result<(PathBuf, Option<tempfile::TempDir>)> {
    let Some(dir) = &args.dir else {
        let temporary = tempfile::Builder::new().prefix("windlass-").tempdir()?;
        return Ok((temporary.path().to_owned(), Some(temporary)));
    };
    if let Some(there) = steps::FOLDERS.iter().find(|name| dir.join(name).exists()) {
        bail!(
            "'{there}' is in {} already\n\nhint: remove it, or name another folder",
            dir.display()
        );
    }
    std::fs::create_dir_all(dir)?;
    Ok((dir.canonicalize()?, None))
}
