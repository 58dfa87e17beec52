//! `windlass repo try`: what would become of the repository if these packages landed, and what stands against it.

use std::path::{Path, PathBuf};

use serde::Serialize;
use windlass_core::escape::escaped;
use windlass_core::id::PackageName;
use windlass_core::repository::{
    Index, PlanView, Problem, Universe, agree, new_unmets, plan, unmet_problems, vercheck,
};

use super::check::Beside;
use super::read::record;
use super::{failure, open};
use crate::cli::Context;
use crate::cli::keys::counted;
use crate::commands::repo::Which;
use crate::exit::{Broken, Exit, Usage};
use crate::repository::brought;

/// How many files one plan is made of at the most.
const MOST: usize = 100_000;

/// Arguments of `windlass repo try`.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
Nothing is changed. The files are taken as if they came from another repository, each source package with all that was
built from it; they are checked as a task is: they agree, versions grow, and no dependency becomes unmet. Exit code 1 where one does.

Examples:
  windlass repo try RPMS/ SRPMS/
  windlass repo try libfoo-2.0-alt1.src.rpm libfoo-2.0-alt1.x86_64.rpm libfoo-2.0-alt1.i586.rpm
  windlass repo try --remove libfoo --json")]
pub struct TryArgs {
    /// Packages, or directories with packages
    #[arg(value_name = "FILE|DIR", required_unless_present = "remove")]
    files: Vec<PathBuf>,
    /// A source package that would go, with all that was built from it; may be given several times
    #[arg(long, value_name = "SOURCE")]
    remove: Vec<PackageName>,
    #[command(flatten)]
    which: Which,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

/// What was found.
#[derive(Debug, Default, Serialize)]
struct Found {
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<PlanView>,
    problems: Vec<Problem>,
}

pub(super) fn show(context: &mut Context, args: &TryArgs) -> anyhow::Result<Exit> {
    let repository = open(context, &args.which)?;
    let record = record(context, &repository)?;
    let files = package_files(&args.files)?;
    let brought = brought(&files, &args.remove, repository.architectures()).map_err(failure)?;
    let present = repository.content();
    let mut found = Found {
        problems: agree(&brought).problems,
        ..Found::default()
    };
    match plan(repository.name(), repository.architectures(), &present, &brought) {
        Err(problems) => found.problems.extend(problems),
        Ok(plan) => {
            found.problems.extend(vercheck(&plan, &record));
            let after = present.with(&plan);
            let nothing = Index::default();
            let beside = Beside::of(context, &repository)?;
            let mut notes = Vec::new();
            for (arch, changes) in &plan.arches {
                let bases = beside.on(arch, &mut notes);
                let universe = |own| Universe {
                    own,
                    bases: &bases,
                    arch,
                };
                let of = |content: &'_ windlass_core::repository::Content| {
                    content.arches.get(arch).cloned().unwrap_or_else(|| nothing.clone())
                };
                let (before, then) = (of(&present), of(&after));
                let unmets = new_unmets(&universe(&before), &universe(&then), changes);
                found.problems.extend(unmet_problems(arch, &unmets));
            }
            for note in notes {
                context.output.say(note);
            }
            found.plan = Some(plan.view());
        }
    }
    let exit = if found.problems.is_empty() {
        Exit::Done
    } else {
        Exit::Failed
    };
    if args.json {
        context.output.json(&found)?;
        return Ok(exit);
    }
    if let Some(plan) = &found.plan {
        context.output.data(plan.to_string())?;
    }
    for problem in &found.problems {
        context.output.say(format!("windlass: {problem}"));
    }
    context.output.say(match found.problems.len() {
        0 => "nothing stands against it".to_owned(),
        count => format!("it could not land: {}", counted(count, "problem")),
    });
    Ok(exit)
}

/// The files that are named, and those in the directories that are named.
fn package_files(named: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in named {
        let shown = || escaped(&path.display().to_string());
        let meta = std::fs::metadata(path).map_err(|error| Broken::new(format!("{}: {error}", shown())))?;
        if !meta.is_dir() {
            found.push(path.clone());
            continue;
        }
        let before = found.len();
        below(path, &mut found, 0)?;
        if found.len() == before {
            return Err(Usage::new(format!("there is no package below {}", shown())).into());
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

fn below(directory: &Path, found: &mut Vec<PathBuf>, depth: usize) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        if kind.is_dir() && depth < 8 {
            below(&path, found, depth + 1)?;
        } else if kind.is_file() && path.extension().is_some_and(|extension| extension == "rpm") {
            found.push(path);
        }
        if found.len() > MOST {
            return Err(Usage::new(format!("there are more than {MOST} packages")).into());
        }
    }
    Ok(())
}
