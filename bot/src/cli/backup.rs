//! `windlass backup`: copies all that cannot be made again into one directory, and proves it whole.

use std::path::PathBuf;

use super::{Context, Run};
use crate::backup::Plan;
use crate::exit::Exit;

/// Arguments of `windlass backup`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The bot may run meanwhile. In the backup are the journal, the people, the configuration, the replay ledger and the
requests that wait in the spool; the source repositories are not, git's own tools copy those.

Examples:
  windlass backup /srv/backup/$(date +%F)
  windlass backup --dry-run /srv/backup/today")]
pub struct Args {
    /// The backup to be: a directory that does not exist, or is empty
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Print the plan and change nothing
    #[arg(long, short = 'n')]
    dry_run: bool,
}

impl Run for Args {
    fn run(self, context: &mut Context) -> anyhow::Result<Exit> {
        let config = context.config()?;
        let settings = context.settings(&config);
        let plan = Plan::new(&self.directory, &context.global.config, &settings)?;
        if self.dry_run {
            for line in plan.lines() {
                context.output.line(line)?;
            }
            return Ok(Exit::Done);
        }
        let done = plan.execute()?;
        context.output.line(done.directory.display().to_string())?;
        context.output.say(format!(
            "{} files, proven whole; the journal's head is {}",
            done.files, done.head
        ));
        Ok(Exit::Done)
    }
}
