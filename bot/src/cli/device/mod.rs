//! `windlass device`: the devices of the lab. What the bot knows of them it is asked for, in the words of the one grammar; what talks to a device
//! is done here.

mod add;
mod check;
mod flash;
mod holds;
mod hostkey;
mod image;
mod place;
mod reach;
mod screen;
mod section;
mod serve;

use windlass_core::command::DeviceCommand;

use super::remote::{Caller, ask};
use super::{Context, Run};
use crate::exit::Exit;

/// The commands that are carried out here, and not by the bot.
pub(super) const OWN: [&str; 3] = ["flash", "add", "check"];

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
    /// Flash a device: update it, restart it, and prove that it runs what was written
    Flash(Box<flash::Args>),
    /// Try a device, show its host key, and put it into the configuration with that key pinned
    Add(Box<add::Args>),
    /// Go through every step of a flash that changes nothing, and say how each went
    Check(Box<check::Args>),
    /// What the bot carries out.
    #[command(flatten)]
    Bot(DeviceCommand),
}

impl Run for Args {
    fn run(self, context: &mut Context) -> anyhow::Result<Exit> {
        match self.command {
            Command::Flash(args) => args.run(context, &self.caller),
            Command::Add(args) => args.run(context),
            Command::Check(args) => args.run(context),
            Command::Bot(_) => ask(context, &self.caller),
        }
    }
}
