//! `windlass repo ls|log|diff|verify`: what is there.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use windlass_core::id::{ArchName, Generation};
use windlass_core::repository::record::RepositoryRecord;

use super::{failure, open, show, unread};
use crate::cli::Context;
use crate::cli::keys::counted;
use crate::commands::repo::{Which, generation};
use crate::exit::{Broken, Exit, Usage};
use crate::journal::Sqlite;
use crate::repository::{Repository, RepositoryError, Scope, differences, source_directory};
use crate::writer::State;

/// How often a repository is verified once more that is changed meanwhile.
const TRIES: usize = 20;

/// Arguments of `windlass repo ls`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  windlass repo ls
  windlass repo ls --arch source -g 41
  windlass repo ls --json | jq -r '.[].name'")]
pub struct LsArgs {
    #[command(flatten)]
    which: Which,
    /// Only this architecture, or 'source'
    #[arg(long, value_name = "ARCH")]
    arch: Option<ArchName>,
    /// This generation, not the newest
    #[arg(short = 'g', long, value_name = "N", value_parser = generation)]
    generation: Option<Generation>,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

/// Arguments of `windlass repo log`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  windlass repo log
  windlass repo log -b sisyphus --json | jq '.[0].came'")]
pub struct LogArgs {
    #[command(flatten)]
    which: Which,
    /// How many generations, newest first; 0 is all
    #[arg(short = 'n', long, default_value_t = 20, value_name = "N")]
    number: usize,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

/// Arguments of `windlass repo diff`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  windlass repo diff 41 42
  windlass repo diff 41 42 --arch x86_64 --json")]
pub struct DiffArgs {
    /// From this generation
    #[arg(value_name = "N", value_parser = generation)]
    from: Generation,
    /// To this one; the newest when left out
    #[arg(value_name = "M", value_parser = generation)]
    to: Option<Generation>,
    #[command(flatten)]
    which: Which,
    /// Only this architecture, or 'source'
    #[arg(long, value_name = "ARCH")]
    arch: Option<ArchName>,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

/// Arguments of `windlass repo verify`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  windlass repo verify
  windlass repo verify --all --json")]
pub struct VerifyArgs {
    #[command(flatten)]
    which: Which,
    /// Every generation that is kept, not the newest alone
    #[arg(long)]
    all: bool,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

/// Refuses what is no architecture of a repository.
pub(super) fn checked_arch(repository: &Repository, arch: &ArchName) -> Result<(), Usage> {
    if *arch == source_directory() || repository.architectures().contains(arch) {
        return Ok(());
    }
    let names: Vec<&str> = repository.architectures().iter().map(ArchName::as_str).collect();
    Err(
        Usage::new(format!("repository {} has no architecture '{arch}'", repository.name()))
            .hint(format!("it has: {}, source", names.join(", "))),
    )
}

pub(super) fn ls(context: &mut Context, args: &LsArgs) -> anyhow::Result<Exit> {
    let repository = open(context, &args.which)?;
    args.arch.iter().try_for_each(|arch| checked_arch(&repository, arch))?;
    let wanted = args.generation.unwrap_or(repository.content().generation);
    let listed = repository.kept(wanted).map_err(failure)?;
    let source = source_directory();
    let shelves = listed.arches.iter().chain([(&source, &listed.source)]);
    let rows: Vec<_> = shelves
        .filter(|(directory, _)| args.arch.as_ref().is_none_or(|arch| arch == *directory))
        .flat_map(|(directory, index)| index.packages().map(move |package| (directory, package)))
        .collect();
    if args.json {
        let value: Vec<_> = rows
            .iter()
            .map(|(directory, package)| show::package(directory, package))
            .collect();
        context.output.json(&value)?;
        return Ok(Exit::Done);
    }
    for line in show::table(rows.iter().map(|(directory, package)| {
        [
            directory.to_string(),
            package.name.clone(),
            package.evr.to_string(),
            package.arch.clone(),
        ]
    })) {
        context.output.line(line)?;
    }
    let names: BTreeSet<&str> = rows.iter().map(|(_, package)| package.name.as_str()).collect();
    context.output.say(format!(
        "generation {wanted} of {}: {}, {}",
        repository.name(),
        counted(rows.len(), "package file"),
        counted(names.len(), "name")
    ));
    Ok(Exit::Done)
}

/// What the journal has of a repository.
pub(super) fn record(context: &Context, repository: &Repository) -> anyhow::Result<RepositoryRecord> {
    let config = context.config()?;
    let path = context.settings(&config).paths.journal();
    if let Err(error) = std::fs::metadata(&path) {
        if error.kind() == std::io::ErrorKind::NotFound {
            return Err(failure(RepositoryError::NotMade(repository.name().clone())));
        }
        return Err(Broken::new(format!("{}: {error}", path.display()))
            .hint("run it as root or as the daemon's user")
            .into());
    }
    let state = State::load(Sqlite::open_read_only(&path)?)?;
    Ok(state.world().repository(repository.name()).cloned().unwrap_or_default())
}

pub(super) fn log(context: &mut Context, args: &LogArgs) -> anyhow::Result<Exit> {
    let repository = open(context, &args.which)?;
    let record = record(context, &repository)?;
    let number = if args.number == 0 { usize::MAX } else { args.number };
    let entries: Vec<_> = record.log.iter().rev().take(number).collect();
    if args.json {
        context.output.json(&entries)?;
        return Ok(Exit::Done);
    }
    for entry in &entries {
        for line in show::generation(entry, entry.generation == record.generation) {
            context.output.line(line)?;
        }
    }
    if let Some(changing) = &record.changing {
        context.output.say(format!(
            "generation {} is being made since {}: {}",
            changing.generation,
            changing.since.strftime("%Y-%m-%d %H:%M:%S"),
            changing.cause
        ));
    }
    if record.log.is_empty() {
        return Err(failure(RepositoryError::NotMade(repository.name().clone())));
    }
    if record.log.len() > entries.len() {
        context.output.say(format!(
            "{}: windlass repo log -n 0",
            counted(record.log.len() - entries.len(), "older generation")
        ));
    }
    Ok(Exit::Done)
}

pub(super) fn diff(context: &mut Context, args: &DiffArgs) -> anyhow::Result<Exit> {
    let repository = open(context, &args.which)?;
    args.arch.iter().try_for_each(|arch| checked_arch(&repository, arch))?;
    let to = args.to.unwrap_or(repository.content().generation);
    let before = repository.kept(args.from).map_err(failure)?;
    let after = repository.kept(to).map_err(failure)?;
    let mut found = differences(&before, &after);
    found.retain(|one| args.arch.as_ref().is_none_or(|arch| *arch == one.directory));
    if args.json {
        context
            .output
            .json(&json!({"repository": repository.name(), "from": args.from, "to": to, "changes": found}))?;
        return Ok(Exit::Done);
    }
    for line in show::differences(&found) {
        context.output.line(line)?;
    }
    context.output.say(format!(
        "{} from {} to {to}",
        counted(found.len(), "difference"),
        args.from
    ));
    Ok(Exit::Done)
}

pub(super) fn verify(context: &mut Context, args: &VerifyArgs) -> anyhow::Result<Exit> {
    let repository = unread(context, &args.which)?;
    let scope = if args.all { Scope::All } else { Scope::Newest };
    let mut before = record(context, &repository)?;
    let mut tries = 0;
    let verified = loop {
        let verified = repository
            .verify(&before, scope, &mut |line| context.output.say(line))
            .map_err(failure)?;
        // What looks odd may be a commit that was under way: then it is looked at once more.
        let after = record(context, &repository)?;
        let is_still = after == before && before.changing.is_none();
        if verified.findings.is_empty() || is_still || tries == TRIES {
            break verified;
        }
        context.output.say("the repository was changed meanwhile: once more");
        std::thread::sleep(Duration::from_millis(500));
        (before, tries) = (after, tries + 1);
    };
    let whole = verified.findings.is_empty();
    if args.json {
        context
            .output
            .json(&json!({"repository": repository.name(), "whole": whole, "verified": verified}))?;
    } else {
        for finding in &verified.findings {
            context.output.say(format!("windlass: {finding}"));
        }
        context.output.line(format!(
            "{}: {}, {}, {}",
            if whole { "whole" } else { "NOT whole" },
            counted(verified.generations, "generation"),
            counted(verified.packages, "package file"),
            crate::commands::repo::size(verified.bytes)
        ))?;
    }
    Ok(if whole { Exit::Done } else { Exit::Failed })
}
