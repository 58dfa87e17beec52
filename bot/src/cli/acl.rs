//! `windlass acl`: who may touch a package, or who is in a group; by the bot.

use windlass_core::command::AclArgs;

use super::remote::{Caller, ask};
use super::{Context, Run};
use crate::exit::Exit;

/// Arguments of `windlass acl`: those of the one grammar, and for whom.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    caller: Caller,
    #[command(flatten)]
    _command: AclArgs,
}

impl Run for Args {
    fn run(self, context: &mut Context) -> anyhow::Result<Exit> {
        ask(context, &self.caller)
    }
}
