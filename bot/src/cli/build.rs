//! `windlass build`: a new task with these tags, and run it; by the bot.

use windlass_core::command::BuildArgs;

use super::remote::{Caller, ask};
use super::{Context, Run};
use crate::exit::Exit;

/// Arguments of `windlass build`: those of the one grammar, and for whom.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    caller: Caller,
    #[command(flatten)]
    _command: BuildArgs,
}

impl Run for Args {
    fn run(self, context: &mut Context) -> anyhow::Result<Exit> {
        ask(context, &self.caller)
    }
}
