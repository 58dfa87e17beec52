//! Any updater that a command starts: what it fetches is on our server.

use std::time::Duration;

use windlass_core::device::flash::driver::Templates;
use windlass_core::device::flash::look::Questions;
use windlass_core::device::flash::{SlotRule, Updater, shell};
use windlass_core::escape::escaped;

use super::{Delivery, Doing, Driver, DriverError, Work};
use crate::devices::server::PAYLOAD;
use crate::devices::ssh::Ssh;

/// Commands.
#[derive(Debug)]
pub(super) struct CommandDriver(pub(super) Templates);

impl Driver for CommandDriver {
    fn questions(&self) -> Questions {
        Questions {
            slot: self.0.active.clone(),
            status: self.0.status.clone(),
            version: self.0.version.clone(),
            board: self.0.board.clone(),
        }
    }

    fn updater(&self, status: &str) -> Updater {
        if self.0.status.is_empty() {
            return Updater::Idle;
        }
        match status.trim().lines().next().unwrap_or_default() {
            "idle" => Updater::Idle,
            "reboot" => Updater::NeedsReboot,
            "" => Updater::Unknown("nothing".to_owned()),
            other => Updater::Busy(escaped(other)),
        }
    }

    fn delivery(&self) -> Delivery {
        Delivery::Fetched
    }

    fn install<'a>(&'a self, work: &'a Work<'a>) -> Doing<'a, SlotRule> {
        Box::pin(async move {
            if self.0.install.is_empty() {
                return Err(DriverError::lab("nothing is said of how this device installs"));
            }
            let base = work.base()?;
            let slot = if self.0.other.is_empty() {
                None
            } else {
                Some(work.line(&self.0.other).await?)
            };
            let url = format!("{base}/{PAYLOAD}");
            let values = [
                ("url", url.as_str()),
                ("base", base),
                ("version", work.goods.version.as_deref().unwrap_or_default()),
                ("slot", slot.as_deref().unwrap_or_default()),
            ];
            let mut last = String::new();
            let hear = |line: &str| {
                work.log.line(line);
                escaped(line.trim()).clone_into(&mut last);
            };
            let install = format!("{} 2>&1", shell::command(&shell::filled(&self.0.install, &values)));
            let (status, _) = work.ssh.follow(&install, work.limits.install, hear).await?;
            if status != 0 {
                return Err(DriverError::product(format!("it ended with {status}: {last}")));
            }
            Ok(match (slot, &work.before.slot) {
                (Some(slot), _) => SlotRule::Is(slot),
                (None, Some(before)) => SlotRule::OtherThan(before.clone()),
                (None, None) => SlotRule::Any,
            })
        })
    }

    fn undo<'a>(&'a self, ssh: &'a Ssh, _limit: Duration) -> Doing<'a, ()> {
        Box::pin(async move {
            if let Some(undo) = super::optional(&self.0.undo) {
                ssh.says(&undo).await?;
            }
            Ok(())
        })
    }

    fn mark_good(&self) -> Option<String> {
        super::optional(&self.0.good)
    }

    fn reboot(&self) -> String {
        super::or_reboot(&self.0.reboot)
    }
}
