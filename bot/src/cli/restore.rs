//! `windlass restore`: brings a backup back.

use std::path::PathBuf;

use super::{Context, Run};
use crate::backup::CONFIG;
use crate::backup::restore::{Existing, Plan};
use crate::config::Config;
use crate::exit::Exit;

/// Arguments of `windlass restore`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The bot must be stopped. The backup is proven whole before anything is touched. A configuration that is there stays as it
is; where there is none, the backup's is taken, also for where everything goes.

Examples:
  windlass restore --dry-run /srv/backup/2026-11-21
  windlass restore /srv/backup/2026-11-21
  windlass restore --force /srv/backup/2026-11-21     # what is there is moved aside")]
pub struct Args {
    /// A backup, as `windlass backup` made it
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Move a state that is there aside; nothing is removed
    #[arg(long)]
    force: bool,
    /// Check the backup, print the plan and change nothing
    #[arg(long, short = 'n')]
    dry_run: bool,
}

impl Run for Args {
    fn run(self, context: &mut Context) -> anyhow::Result<Exit> {
        let place = context.global.config.clone();
        let config = if place.exists() {
            context.config()?
        } else {
            let text = std::fs::read_to_string(self.directory.join(CONFIG))?;
            Config::parse(&text, &place)?
        };
        let settings = context.settings(&config);
        let existing = if self.force {
            Existing::MoveAside
        } else {
            Existing::Keep
        };
        let plan = Plan::new(&self.directory, &place, &settings, existing)?;
        for line in plan.lines() {
            context.output.line(line)?;
        }
        if self.dry_run {
            return Ok(Exit::Done);
        }
        plan.execute()?;
        context.output.say(format!(
            "restored; the journal's head is {}\n\nhint: windlass keys index; windlass keys authorized-keys --write; windlass doctor; then start the bot",
            plan.head()
        ));
        Ok(Exit::Done)
    }
}
