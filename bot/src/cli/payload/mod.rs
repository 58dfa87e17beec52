//! `windlass payload`: what devices are updated with.

mod apply;
mod delta;
mod generate;
mod read;
mod stateful;
pub(super) mod terminal;
mod words;

use clap::Subcommand;

use super::{Context, Run};
use crate::devices::payload::PayloadError;
use crate::exit::{Broken, Exit};

/// Arguments of `windlass payload`.
#[derive(Debug, clap::Args)]
#[command(
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_help = "\
Payloads have the format of update_engine, major version 2. A full one holds all of its
partitions; a delta holds what differs, and needs a device that holds the rest.

Exit codes: 0 done, 1 the payload is not in order, 2 usage, 3 a file cannot be read or written,
130 interrupted."
)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

/// What to do with payloads.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Make a full payload from images
    Generate(generate::Args),
    /// Make a payload of what differs between old and new images
    Delta(delta::Args),
    /// Show what a payload says about itself
    Inspect(read::InspectArgs),
    /// Verify form, digests and signatures of a payload
    Verify(read::VerifyArgs),
    /// Print what a payload is known by, as `payload_properties.txt`
    Properties(read::PropertiesArgs),
    /// Apply a payload, verifying everything on the way
    Apply(apply::Args),
    /// Archive the partition of a disk image that stays over updates
    Stateful(stateful::Args),
}

impl Run for Args {
    fn run(self, context: &mut Context) -> anyhow::Result<Exit> {
        match self.action {
            Action::Generate(args) => args.run(context),
            Action::Delta(args) => args.run(context),
            Action::Inspect(args) => args.run(context),
            Action::Verify(args) => args.run(context),
            Action::Properties(args) => args.run(context),
            Action::Apply(args) => args.run(context),
            Action::Stateful(args) => args.run(context),
        }
    }
}

/// What went wrong, as an exit code: 3 where the machine failed, 1 where the payload is not in order.
fn failure(error: PayloadError) -> anyhow::Error {
    if error.is_environment() {
        Broken::new(error.to_string()).into()
    } else {
        error.into()
    }
}
