//! The bot as a process: started, stopped in good order, killed.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, bail};
use rustix::process::Signal;

use crate::process::{Cmd, Group};
use crate::wait;

/// A running `windlass serve`; killed when dropped.
#[derive(Debug)]
pub struct Bot {
    group: Group,
    log: PathBuf,
}

impl Bot {
    /// Starts it and waits until it answers at its socket.
    pub fn start(serve: &Cmd, socket: &Path, log: &Path) -> anyhow::Result<Self> {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(log)?;
        let mut command = serve.command();
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let mut bot = Self {
            group: Group::of(command.spawn().context("cannot start the bot")?),
            log: log.to_owned(),
        };
        wait::until("the bot's socket", || {
            if let Some(status) = bot.group.ended()? {
                bail!("the bot ended with {status}:\n{}", std::fs::read_to_string(&bot.log)?);
            }
            Ok(UnixStream::connect(socket).is_ok().then_some(()))
        })?;
        Ok(bot)
    }

    /// Starts it and does not wait for anything.
    pub fn start_unseen(serve: &Cmd, log: &Path) -> anyhow::Result<Self> {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(log)?;
        let mut command = serve.command();
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        Ok(Self {
            group: Group::of(command.spawn().context("cannot start the bot")?),
            log: log.to_owned(),
        })
    }

    /// Asks it to end, and waits until it has.
    pub fn stop(mut self) -> anyhow::Result<()> {
        self.group.signal(Signal::TERM);
        let status = wait::until("the bot's end", || self.group.ended())?;
        if !status.success() {
            bail!("the bot ended with {status}:\n{}", std::fs::read_to_string(&self.log)?);
        }
        Ok(())
    }

    /// Waits until it has died, killed by itself.
    pub fn dies(mut self, limit: std::time::Duration) -> anyhow::Result<()> {
        let status = wait::until_within(limit, "the bot's death", || self.group.ended())?;
        if status.success() {
            bail!("the bot ended in good order");
        }
        Ok(())
    }

    /// Ends it in the middle of whatever it does.
    pub fn kill(mut self) {
        self.group.kill();
    }

    /// What it has said so far.
    pub fn said(&self) -> anyhow::Result<String> {
        Ok(std::fs::read_to_string(&self.log)?)
    }
}
