//! `windlass job`: shows what is done after tasks have landed, tries it again, gives it up, by the bot.

use windlass_core::command::JobCommand;

use super::remote::{Caller, ask};
use super::{Context, Run};
use crate::exit::Exit;

/// Arguments of `windlass job`: those of the one grammar, and for whom.
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true, disable_help_subcommand = true)]
pub struct Args {
    #[command(flatten)]
    caller: Caller,
    #[command(subcommand)]
    _command: JobCommand,
}

impl Run for Args {
    fn run(self, context: &mut Context) -> anyhow::Result<Exit> {
        ask(context, &self.caller)
    }
}
