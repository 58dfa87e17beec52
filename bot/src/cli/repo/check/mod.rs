//! `windlass repo check`: requirements that nothing meets, and packages that cannot be installed, in any repositories.
//!
//! All repositories that are named count together; those behind `--base` only provide. Without any it is the configured
//! repository as it is now, with its bases and what the build host stands for: what stage repo-unmets sees.

mod gather;
mod show;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use windlass_core::id::ArchName;
use windlass_core::repository::{Index, Universe, Unmet, Unresolvable, uninstallable_with, unmets};

pub(super) use self::gather::Beside;
use self::gather::Gathered;
use crate::cli::Context;
use crate::commands::repo::Which;
use crate::exit::Exit;

/// Arguments of `windlass repo check`.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
A repository is the directory or address that holds 'repodata', with '$arch' for the architecture if need be; or a
directory with one such directory for each architecture. All that are named count together, in all their versions;
those after --base only provide, and a package of theirs is hidden by one of the same name before it. Without any,
the configured repository is checked as tasks are: with its bases, and what the build host stands for.

A requirement is unmet if nothing provides it; a package cannot be installed if there is no set of packages in which
it and all that they require stand together without a conflict. Exit code 1 where there is either.

Examples:
  windlass repo check
  windlass repo check /srv/repos/sisyphus/current
  windlass repo check ./built --base 'https://mirror.example.org/os/$arch/' --arch x86_64
  windlass repo check ./built --json | jq -r '.architectures[].unmets[].package'")]
pub struct CheckArgs {
    /// Directories or addresses of repositories; the configured one when left out
    #[arg(value_name = "DIR|URL")]
    repositories: Vec<String>,
    /// A repository that only provides; may be given several times, the first that has a package counts
    #[arg(long, value_name = "DIR|URL", requires = "repositories")]
    base: Vec<String>,
    /// Only this architecture; may be given several times. Otherwise all that there are packages for
    #[arg(long, value_name = "ARCH")]
    arch: Vec<ArchName>,
    /// The configured repository to check
    #[arg(short = 'b', long, value_name = "REPOSITORY", conflicts_with = "repositories")]
    repository: Option<windlass_core::id::RepositoryName>,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

/// What was found.
#[derive(Debug, Serialize)]
struct Found {
    /// Whether there is nothing to find fault with.
    whole: bool,
    architectures: Vec<FoundOn>,
}

/// What was found on one architecture.
#[derive(Debug, Serialize)]
struct FoundOn {
    arch: ArchName,
    /// How many packages were looked at.
    packages: usize,
    unmets: BTreeSet<Unmet>,
    uninstallable: Vec<Unresolvable>,
}

impl FoundOn {
    fn is_whole(&self) -> bool {
        self.unmets.is_empty() && self.uninstallable.is_empty()
    }
}

/// How often it is told how far the check is.
const TELL_EVERY: Duration = Duration::from_secs(2);

pub(super) fn check(context: &mut Context, args: &CheckArgs) -> anyhow::Result<Exit> {
    let gathered = if args.repositories.is_empty() {
        let which = Which {
            repository: args.repository.clone(),
        };
        Gathered::configured(context, &which, &args.arch)?
    } else {
        Gathered::named(&args.repositories, &args.base, &args.arch)?
    };
    for note in &gathered.notes {
        context.output.say(note);
    }
    let mut architectures = Vec::new();
    for one in &gathered.architectures {
        architectures.push(look(context, &one.arch, &one.own, &one.bases));
    }
    let found = Found {
        whole: architectures.iter().all(FoundOn::is_whole),
        architectures,
    };
    if args.json {
        context.output.json(&found)?;
    } else {
        for line in found.architectures.iter().flat_map(show::lines) {
            context.output.line(line)?;
        }
    }
    Ok(if found.whole { Exit::Done } else { Exit::Failed })
}

fn look(context: &mut Context, arch: &ArchName, own: &Index, bases: &[Arc<Index>]) -> FoundOn {
    let universe = Universe { own, bases, arch };
    let mut told = Instant::now();
    let mut tell = |done: usize, all: usize| {
        if done < all && told.elapsed() >= TELL_EVERY {
            told = Instant::now();
            context
                .output
                .say(format!("{arch}: {done} of {all} packages can be judged so far"));
        }
    };
    FoundOn {
        packages: universe.own_packages().count(),
        unmets: unmets(&universe),
        uninstallable: uninstallable_with(&universe, &mut tell),
        arch: arch.clone(),
    }
}
