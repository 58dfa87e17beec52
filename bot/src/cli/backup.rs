//! `windlass backup`: copies all that cannot be made again into one directory, and proves it whole.

use std::path::PathBuf;

use super::{Context, Run};
use crate::backup::{Keys, Plan};
use crate::exit::Exit;

/// Arguments of `windlass backup`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The bot may run meanwhile. In the backup are the journal, the people, the configuration, the replay ledger, the requests
that wait in the spool, and the secret keys that repositories are signed with: keep it as you keep those. Not in it are
the source repositories, which git's own tools copy, and packages and generations (rsync --archive --hard-links).

Examples:
  windlass backup /srv/backup/$(date +%F)
  windlass backup --without-keys /mnt/elsewhere/$(date +%F)
  windlass backup --dry-run /srv/backup/today")]
pub struct Args {
    /// The backup to be: a directory that does not exist, or is empty
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Leave the secret signing keys out; when they are lost, every client has to accept new ones
    #[arg(long)]
    without_keys: bool,
    /// Print the plan and change nothing
    #[arg(long, short = 'n')]
    dry_run: bool,
}

impl Run for Args {
    fn run(self, context: &mut Context) -> anyhow::Result<Exit> {
        let config = context.config()?;
        let settings = context.settings(&config);
        let keys = if self.without_keys { Keys::Out } else { Keys::In };
        let plan = Plan::new(&self.directory, &context.global.config, &settings, keys)?;
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
        context.output.say(match (done.keys_of.as_slice(), self.without_keys) {
            ([], false) => "there are no signing keys to keep: no repository was made yet".to_owned(),
            ([], true) => "it holds no signing keys: keep those apart, from lost ones nothing leads back".to_owned(),
            (repositories, _) => format!(
                "it holds the secret signing keys of {}: whoever reads it can sign as {}",
                repositories.join(", "),
                if repositories.len() == 1 { "it does" } else { "they do" }
            ),
        });
        Ok(Exit::Done)
    }
}
