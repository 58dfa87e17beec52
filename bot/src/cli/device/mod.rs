//! `windlass device`: the devices of the lab. What the bot knows of them it is asked for; the commands are those of the one grammar.

use windlass_core::command::DeviceCommand;

use super::remote::{Caller, ask};
use super::{Context, Run};
use crate::exit::Exit;

/// Arguments of `windlass device`.
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true, disable_help_subcommand = true)]
pub struct Args {
    #[command(flatten)]
    caller: Caller,
    #[command(subcommand)]
    command: Command,
}

/// What can be done with devices.
#[derive(Debug, clap::Subcommand)]
enum Command {
    /// What the bot carries out.
    #[command(flatten)]
    Bot(DeviceCommand),
}

impl Run for Args {
    fn run(self, context: &mut Context) -> anyhow::Result<Exit> {
        match self.command {
            Command::Bot(_) => ask(context, &self.caller),
        }
    }
}
