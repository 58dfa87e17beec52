//! `SWUpdate`: the update is sent, `swupdate` verifies and installs it; which slot, and how it is started next, is said by commands.

use std::time::Duration;

use windlass_core::device::flash::driver::SwUpdate;
use windlass_core::device::flash::look::Questions;
use windlass_core::device::flash::{SlotRule, Updater, shell};
use windlass_core::escape::escaped;

use super::{Delivery, Doing, Driver, DriverError, Work, push};
use crate::devices::ssh::Ssh;

/// `SWUpdate`.
#[derive(Debug)]
pub(super) struct SwUpdateDriver(pub(super) SwUpdate);

impl Driver for SwUpdateDriver {
    fn questions(&self) -> Questions {
        Questions {
            slot: self.0.active.clone(),
            ..Questions::default()
        }
    }

    fn updater(&self, _status: &str) -> Updater {
        // It runs only while it installs, and then its lock is its own.
        Updater::Idle
    }

    fn spool(&self) -> Option<&str> {
        Some(&self.0.spool)
    }

    fn delivery(&self) -> Delivery {
        Delivery::Pushed
    }

    fn install<'a>(&'a self, work: &'a Work<'a>) -> Doing<'a, SlotRule> {
        Box::pin(async move {
            let slot = work.line(&self.0.other).await?;
            let update = push::file(work, &self.0.spool, ".swu").await?;
            let words = shell::filled(&self.0.install, &[("slot", &slot), ("file", &update)]);
            let mut error = None;
            let hear = |line: &str| {
                work.log.line(line);
                if line.contains("ERROR") && error.is_none() {
                    error = Some(escaped(line.trim()));
                }
            };
            let install = format!("{} 2>&1", shell::command(&words));
            let done = work.ssh.follow(&install, work.limits.install, hear).await;
            push::remove(work, &update).await;
            let (status, _) = done?;
            if status != 0 {
                let said = error.unwrap_or_else(|| format!("swupdate ended with {status}"));
                return Err(DriverError::product(said));
            }
            work.does(&shell::filled(&self.0.activate, &[("slot", &slot)])).await?;
            Ok(SlotRule::Is(slot))
        })
    }

    fn undo<'a>(&'a self, _ssh: &'a Ssh, _limit: Duration) -> Doing<'a, ()> {
        // The slot is made the next one only after all of it was installed.
        Box::pin(async { Ok(()) })
    }

    fn mark_good(&self) -> Option<String> {
        super::optional(&self.0.good)
    }

    fn reboot(&self) -> String {
        super::or_reboot(&self.0.reboot)
    }
}
