//! `windlass repo plan`: what a task would do to its repository, package by package.
//!
//! It is read from the directory of the task's newest run that came to a plan; the daemon need not run.

use std::path::{Path, PathBuf};

use windlass_core::id::TaskId;
use windlass_core::repository::PlanView;

use crate::cli::Context;
use crate::exit::{Broken, Exit};

/// The largest plan that is read.
const LARGEST: u64 = 256 << 20;

/// Arguments of `windlass repo plan`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  windlass repo plan 42
  windlass repo plan 42 --json | jq -r '.changes[].package'")]
pub struct PlanArgs {
    /// The task
    #[arg(value_name = "TASK")]
    task: TaskId,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn plan(context: &mut Context, args: &PlanArgs) -> anyhow::Result<Exit> {
    let config = context.config()?;
    let tasks = context.settings(&config).paths.tasks();
    let Some((run, path)) = newest(&tasks.join(args.task.to_string()))? else {
        anyhow::bail!(
            "task {task} has no plan\n\nhint: it was not run, or failed before it came to one: windlass task why {task}",
            task = args.task
        );
    };
    let view = read(&path)?;
    if args.json {
        context.output.json(&view)?;
    } else {
        for line in view.to_string().lines() {
            context.output.line(line)?;
        }
    }
    context.output.say(format!(
        "the plan of task {} (try and iteration {run}) for {}, on generation {}",
        args.task, view.repository, view.base
    ));
    Ok(Exit::Done)
}

/// The newest run that came to a plan: its name, and the plan's file.
fn newest(dir: &Path) -> anyhow::Result<Option<(String, PathBuf)>> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(Broken::new(format!("{}: {error}", dir.display()))
                .hint("run it as root or as the daemon's user")
                .into());
        }
    };
    let number = |name: &str| -> Option<(u32, u32)> {
        let (try_number, iteration) = name.split_once('.')?;
        Some((try_number.parse().ok()?, iteration.parse().ok()?))
    };
    let runs = entries.flatten().filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let path = entry.path().join("plan.json");
        path.is_file().then_some((number(&name)?, name, path))
    });
    Ok(runs
        .max_by_key(|(number, ..)| *number)
        .map(|(_, name, path)| (name, path)))
}

fn read(path: &Path) -> anyhow::Result<PlanView> {
    let cannot = |error: &dyn std::fmt::Display| Broken::new(format!("{}: {error}", path.display()));
    let file = std::fs::File::open(path).map_err(|error| cannot(&error))?;
    let bounded = std::io::Read::take(std::io::BufReader::new(file), LARGEST);
    Ok(serde_json::from_reader(bounded).map_err(|error| cannot(&error))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_run_with_a_plan_counts() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(newest(&dir.path().join("7")).unwrap(), None);
        for (run, planned) in [
            ("1.1", true),
            ("2.9", true),
            ("2.10", true),
            ("3.1", false),
            ("notes", true),
        ] {
            let run = dir.path().join(run);
            std::fs::create_dir(&run).unwrap();
            if planned {
                std::fs::write(run.join("plan.json"), "{}").unwrap();
            }
        }
        let (run, path) = newest(dir.path()).unwrap().unwrap();
        assert_eq!(run, "2.10");
        assert!(read(&path).is_err(), "what is no plan is not taken for one");
    }
}
