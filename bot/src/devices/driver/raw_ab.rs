//! A device without an updater: the image goes over ssh into the slot that does not run, is read back, and is started next.
//!
//! The slot is disabled before the first byte is written and enabled after the last one was read back: a device whose power goes in between
//! starts what it ran.

use std::time::Duration;

use windlass_core::device::flash::driver::RawAb;
use windlass_core::device::flash::look::Questions;
use windlass_core::device::flash::{SlotRule, Updater, shell};
use windlass_core::hex::hex;

use super::push::Counted;
use super::{Delivery, Doing, Driver, DriverError, Work};
use crate::devices::ssh::Ssh;

/// Slots written by hand.
#[derive(Debug)]
pub(super) struct RawAbDriver(pub(super) RawAb);

impl Driver for RawAbDriver {
    fn questions(&self) -> Questions {
        Questions {
            slot: self.0.active.clone(),
            ..Questions::default()
        }
    }

    fn updater(&self, _status: &str) -> Updater {
        // There is none that could be busy.
        Updater::Idle
    }

    fn delivery(&self) -> Delivery {
        Delivery::PushedImage
    }

    fn install<'a>(&'a self, work: &'a Work<'a>) -> Doing<'a, SlotRule> {
        Box::pin(async move {
            let slot = work.line(&self.0.other).await?;
            if work.before.slot.as_ref() == Some(&slot) {
                return Err(DriverError::lab(format!(
                    "the device says that slot {slot} runs, and that it does not"
                )));
            }
            let values = [("slot", slot.as_str())];
            let device = work.line(&shell::filled(&self.0.device, &values)).await?;
            if !device.starts_with('/') {
                return Err(DriverError::lab(format!("'{device}' is no block device")));
            }
            work.does(&shell::filled(&self.0.disable, &values)).await?;
            let content = work
                .goods
                .content
                .ok_or_else(|| DriverError::lab("the payload is no image of a slot"))?;
            let quoted = shell::quote(&device);
            work.log.line(&format!("writing slot {slot}, {device}"));
            let payload = tokio::fs::File::open(work.goods.payload.path()).await;
            let payload = payload.map_err(|error| DriverError::lab(format!("the payload cannot be read: {error}")))?;
            let mut payload = Counted::new(payload, work);
            // Whether all of it arrived is not asked of the pipe: what was written is read back.
            let write = format!("gunzip -c | dd of={quoted} bs=1048576 conv=fsync,notrunc 2>&1");
            let hear = |line: &str| work.log.line(line);
            let (status, complaints) = work.ssh.feed(&write, &mut payload, work.limits.install, hear).await?;
            complaints.lines().for_each(|line| work.log.line(line));
            if status != 0 {
                return Err(DriverError::product(format!(
                    "slot {slot} cannot be written: {complaints}"
                )));
            }
            let digest = format!("head -c {} {quoted} | sha256sum", content.size);
            let said = work.ssh.run(&digest, work.limits.install).await?.out;
            if said.split_whitespace().next() != Some(hex(&content.sha256).as_str()) {
                return Err(DriverError::product(format!(
                    "slot {slot} does not hold what was sent: {complaints}"
                )));
            }
            work.does(&shell::filled(&self.0.activate, &values)).await?;
            Ok(SlotRule::Is(slot))
        })
    }

    fn undo<'a>(&'a self, ssh: &'a Ssh, _limit: Duration) -> Doing<'a, ()> {
        Box::pin(async move {
            let slot = ssh.says(&shell::command(&self.0.other)).await?.line();
            let disable = shell::filled(&self.0.disable, &[("slot", &slot)]);
            if !disable.is_empty() {
                ssh.says(&shell::command(&disable)).await?;
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
