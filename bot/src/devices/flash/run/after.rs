//! What comes after: the restart, the wait for an answer, the mark, and clearing away.

use std::time::Duration;

use tokio::time::Instant;
use windlass_core::device::flash::{Event, Outcome, State};

use super::{Looked, Run, seen};
use crate::devices::driver::DriverError;
use crate::devices::flash::host;
use crate::devices::greeting::greets;
use crate::devices::ssh::{Patience, SshError};

/// How long is waited before a device that restarts is asked again.
const BREATH: Duration = Duration::from_millis(500);

/// How long one question to a device that restarts may take, and its connection.
const KNOCK: Patience = Patience {
    connect: Duration::from_secs(5),
    command: Duration::from_secs(20),
};

/// How long a device that restarts may take to greet, before it is asked anything.
const GREETING: Duration = Duration::from_secs(1);

/// So many times at most it is asked again only if it greets: one that greets late is asked, too.
const UNASKED: u32 = 5;

/// How often it is tried to say that what runs is good.
const MARKS: u32 = 3;

impl Run<'_> {
    pub(super) async fn restart(&mut self) -> Result<Event, DriverError> {
        // What was fetched was fetched; the device is about to close the tunnel anyway.
        self.close_server().await;
        let command = self.driver.reboot();
        match self.ssh()?.run(&command, self.order.limits.command).await {
            Ok(said) if said.status == 0 => Ok(Event::RestartAsked),
            Ok(said) => Err(DriverError::lab(format!(
                "'{command}' ended with {} on the device: {}",
                said.status, said.err
            ))),
            // A device that goes down need not say good-bye; whether it does is seen by whether it comes back in another boot.
            Err(SshError::Unreachable(_) | SshError::TimedOut { .. }) => Ok(Event::RestartAsked),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) async fn listen(&mut self) -> Event {
        tokio::time::sleep(BREATH).await;
        let address = &self.order.address;
        // With a configuration of ssh's own only ssh knows the way.
        if address.config.is_none() && self.unasked < UNASKED && !greets(address, GREETING).await {
            self.unasked += 1;
            return Event::Silent;
        }
        self.unasked = 0;
        let Ok(ssh) = self.ssh() else { return Event::Silent };
        match seen(ssh, self.driver.as_ref(), KNOCK).await {
            Ok(looked) => Event::Answered(looked.look.seen),
            Err(error) => {
                tracing::debug!(device.id = %self.record.device, "{} does not answer: {error}", self.record.device);
                Event::Silent
            }
        }
    }

    pub(super) async fn cycle_power(&mut self) -> Result<(), DriverError> {
        let Some(command) = &self.order.power_command else {
            return Err(DriverError::lab("nothing is said of how its power is cut"));
        };
        self.watch.say("it does not come back: its power is cut and given back");
        host::run(command, self.order.limits.power)
            .await
            .map_err(DriverError::lab)
    }

    pub(super) async fn mark_good(&mut self) -> Result<Event, DriverError> {
        let Some(command) = self.driver.mark_good() else {
            return Ok(Event::Marked);
        };
        let ssh = self.ssh()?;
        let mut tries = 1;
        loop {
            match ssh.says(&command).await {
                Ok(_) => return Ok(Event::Marked),
                Err(error) if tries == MARKS => return Err(error.into()),
                Err(_) => tries += 1,
            }
            tokio::time::sleep(BREATH).await;
        }
    }

    /// Clears away what is left: here, and on the device where something was begun.
    pub(super) async fn clean(&mut self, state: &State) -> Event {
        self.close_server().await;
        let good = matches!(state, State::Cleaning(Outcome::Succeeded));
        if good || self.ssh.is_none() {
            return Event::Cleaned(good.then_some(true));
        }
        let mut looked = self.look_again().await;
        if looked.is_none() && self.touched && self.cycle_power().await.is_ok() {
            // It was in the middle of something; whatever that was, it starts a system.
            let limit = self.plan().reboot_limit;
            let end = Instant::now() + limit;
            while looked.is_none() && Instant::now() < end {
                tokio::time::sleep(BREATH).await;
                looked = self.look_again().await;
            }
        }
        let Some(looked) = looked else {
            return Event::Cleaned(Some(false));
        };
        // Only what does not run may be thrown away.
        let runs_the_old = self.before.as_ref().is_some_and(|before| match &before.slot {
            Some(_) => before.slot == looked.look.seen.slot,
            None => before.boot_id == looked.look.seen.boot_id,
        });
        if self.touched
            && runs_the_old
            && let Ok(ssh) = self.ssh()
        {
            let limit = self.order.limits.clean;
            let undone = tokio::time::timeout(2 * limit, self.driver.undo(ssh, limit)).await;
            let why = match undone {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error.why),
                Err(_) => Some(format!("it was not over after {} s", 2 * limit.as_secs())),
            };
            if let Some(why) = why {
                self.watch
                    .say(&format!("what was begun on the device could not be taken back: {why}"));
            }
        }
        Event::Cleaned(Some(true))
    }

    async fn look_again(&self) -> Option<Looked> {
        let ssh = self.ssh.as_ref()?;
        seen(ssh, self.driver.as_ref(), KNOCK).await.ok()
    }
}
