//! `windlass init-repo`, `pushers`, `check`: the ssh door's commands on source repositories, for who sits at the machine. The bot is not
//! needed; the repositories are the git user's, as whom root runs them.

use std::io::Write as _;

use jiff::Timestamp;
use windlass_core::command::{CheckArgs, Command, InitRepoArgs, PushersArgs};
use windlass_hooks::caller::{Caller as Known, Unknown};
use windlass_hooks::keyring::Keyring;
use windlass_hooks::shell::{Desk, DeskError};

use super::hooks::as_git;
use super::remote::{Caller, who};
use super::{Context, Run};
use crate::exit::{Broken, Exit};

/// Arguments of one of these commands: those of the one grammar, and for whom.
#[derive(Debug, clap::Args)]
pub struct Args<A: clap::Args> {
    #[command(flatten)]
    caller: Caller,
    #[command(flatten)]
    command: A,
}

/// Arguments of `windlass init-repo`.
pub type InitRepo = Args<InitRepoArgs>;
/// Arguments of `windlass pushers`.
pub type Pushers = Args<PushersArgs>;
/// Arguments of `windlass check`.
pub type Check = Args<CheckArgs>;

impl Run for InitRepo {
    fn run(self, context: &mut Context) -> anyhow::Result<Exit> {
        carry_out(context, &self.caller, &Command::InitRepo(self.command))
    }
}

impl Run for Pushers {
    fn run(self, context: &mut Context) -> anyhow::Result<Exit> {
        carry_out(context, &self.caller, &Command::Pushers(self.command))
    }
}

impl Run for Check {
    fn run(self, context: &mut Context) -> anyhow::Result<Exit> {
        carry_out(context, &self.caller, &Command::Check(self.command))
    }
}

fn carry_out(context: &mut Context, caller: &Caller, command: &Command) -> anyhow::Result<Exit> {
    let config = context.config()?;
    if let Some(exit) = as_git(context, &config)? {
        return Ok(exit);
    }
    let settings = context.settings(&config);
    let broken = |error: &dyn std::fmt::Display| Broken::new(error.to_string());
    let keyring = Keyring::configured(&settings).map_err(|error| broken(&error))?;
    let known = Known::person(who(caller, &settings)?, &keyring).map_err(|unknown| match unknown {
        Unknown::Refused(refusal) => anyhow::Error::from(refusal),
        Unknown::Keyring(error) => broken(&error).into(),
    })?;
    let file = std::path::absolute(&context.global.config)?;
    let root = settings.paths.git();
    let desk = Desk {
        settings: &settings,
        config: &file,
        keyring: &keyring,
        caller: &known,
        now: Timestamp::now(),
        address: &|source| root.join(source.as_str()).display().to_string(),
    };
    let (mut data, mut talk) = (Vec::new(), Vec::new());
    let done = desk.carry_out(command, &mut data, &mut talk);
    data.flush()?;
    context.output.data(&data)?;
    context.output.talk(String::from_utf8_lossy(&talk));
    match done {
        Some(Ok(code)) => Ok(Exit::from_code(code)),
        Some(Err(DeskError::Refused(refusal))) => Err(refusal.into()),
        Some(Err(DeskError::Broken(error))) => Err(broken(&format!("{error:#}")).into()),
        None => unreachable!("the three commands of this file are the desk's"),
    }
}
