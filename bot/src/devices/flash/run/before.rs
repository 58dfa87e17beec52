//! What comes before anything is done to a device: its lock, what is to be installed, a look at it.

use std::sync::Arc;

use windlass_core::device::flash::{Event, FlashStep, Plan, reboot_limit};
use windlass_core::hex::hex;

use super::{Looked, Run, look_at};
use crate::devices::driver::{Delivery, DriverError};
use crate::devices::flash::goods::Goods;
use crate::devices::flash::host::Captured;
use crate::devices::flash::locks::{DeviceLock, NoLock};
use crate::devices::flash::log::UpdateLog;
use crate::devices::flash::records;
use crate::devices::ssh::Ssh;

impl Run<'_> {
    /// What comes before the device is asked anything.
    pub(super) async fn prepare(&mut self, step: FlashStep) -> Result<(), DriverError> {
        if step == FlashStep::Lock {
            return self.lock().await;
        }
        let (parcels, delivery) = (self.order.payload.clone(), self.driver.delivery());
        let goods = tokio::task::spawn_blocking(move || Goods::open(&parcels, delivery)).await;
        let goods = goods.map_err(|error| DriverError::lab(format!("a mistake of our own: {error}")))??;
        self.record.payload = Some(hex(&goods.payload.sha256()));
        self.goods = Some(Arc::new(goods));
        let address = self.order.address.clone();
        let mut ssh = Ssh::to(address, self.order.limits.patience())?;
        if let Some(told) = self.order.told.clone() {
            ssh = ssh.telling(told);
        }
        self.ssh = Some(ssh);
        Ok(())
    }

    async fn lock(&mut self) -> Result<(), DriverError> {
        let (records, device, id) = (self.order.records.clone(), &self.record.device, &self.record.id);
        let update_log = records::path(&records, device, id, "update.log");
        let console_log = records::path(&records, device, id, "console.log");
        let watch = self.watch;
        let waits = |holder: Option<u32>| {
            let by = holder.map_or_else(String::new, |id| format!(" by process {id}"));
            watch.say(&format!("it is being flashed{by}; waiting for that to end"));
        };
        let limits = self.order.limits;
        let lock = DeviceLock::take(&self.order.locks, &self.order.address, limits.lock, waits).await;
        self.lock = Some(lock.map_err(|error| match error {
            NoLock::Taken(_) => DriverError::lab(error.to_string()),
            NoLock::Io(_) => DriverError::lab(format!("{error} ({})", self.order.locks.display())),
        })?);
        // Written now, so that there is one whatever ends us.
        let unwritten =
            |error| DriverError::lab(format!("no record can be written to '{}': {error}", records.display()));
        records::write(&records, &self.record).map_err(unwritten)?;
        self.log = Some(UpdateLog::create(&update_log).map_err(unwritten)?);
        self.record.update_log = Some(update_log);
        if let Some(console) = &self.order.console {
            match Captured::begin(console, &console_log) {
                Ok(captured) => {
                    self.console = Some(captured);
                    self.record.console_log = Some(console_log);
                }
                // What is only looked at is no reason not to flash.
                Err(error) => self.watch.say(&format!("its console cannot be captured: {error}")),
            }
        }
        Ok(())
    }

    pub(super) fn plan(&self) -> Plan {
        let learned = || reboot_limit(&records::restarts(&self.order.records, &self.record.device));
        Plan {
            board: self.order.board.clone().or_else(|| self.order.payload.board.clone()),
            force_mismatch: self.order.force_mismatch,
            version: self.order.payload.version.clone(),
            serves: self.driver.delivery() == Delivery::Fetched,
            stateful: self.order.payload.stateful.is_some(),
            power: self.order.power_command.is_some(),
            reboot_limit: self.order.limits.reboot.unwrap_or_else(learned),
        }
    }

    pub(super) async fn look(&mut self) -> Result<Event, DriverError> {
        let Looked { look, updater } = look_at(self.ssh()?, self.driver.as_ref()).await?;
        Ok(Event::Looked {
            seen: look.seen,
            board: look.board,
            updater,
        })
    }
}
