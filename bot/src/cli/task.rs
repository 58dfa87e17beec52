//! `windlass task`: makes, fills, runs and explains tasks, by the bot.

use windlass_core::command::TaskCommand;

use super::remote::{Caller, ask};
use super::{Context, Run};
use crate::exit::Exit;

/// Arguments of `windlass task`: those of the one grammar, and for whom.
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true, disable_help_subcommand = true)]
pub struct Args {
    #[command(flatten)]
    caller: Caller,
    #[command(subcommand)]
    _command: TaskCommand,
}

impl Run for Args {
    fn run(self, context: &mut Context) -> anyhow::Result<Exit> {
        ask(context, &self.caller)
    }
}
