//! One flash of a device at a time, whoever starts it: a locked file for its name, and one for its address, which may have two names.

use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use windlass_core::hex::hex;

use crate::devices::ssh::DeviceAddress;
use crate::images::build::filelock::FileLock;

/// The right to flash a device.
#[derive(Debug)]
pub(super) struct DeviceLock {
    _name: FileLock,
    _address: FileLock,
}

/// Why it cannot be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoLock {
    /// Somebody else has it.
    #[error("the device is being flashed{}", of(*.0))]
    Taken(Option<u32>),
    /// The locks' folder is of no use.
    #[error("its lock cannot be taken: {0}")]
    Io(#[from] io::Error),
}

fn of(holder: Option<u32>) -> String {
    holder.map_or_else(String::new, |id| format!(" by process {id}"))
}

/// The name of the file that is locked for an address.
pub fn address_lock(host: &str, port: u16) -> String {
    let digest = Sha256::digest(format!("{host}:{port}"));
    format!("at-{}.lock", hex(&digest[..8]))
}

impl DeviceLock {
    /// Waits so long for whoever has it; who that is is told.
    pub(super) async fn take(
        folder: &Path,
        address: &DeviceAddress,
        limit: Duration,
        waits: impl Fn(Option<u32>) + Sync,
    ) -> Result<Self, NoLock> {
        std::fs::create_dir_all(folder)?;
        let holder = Mutex::new(None);
        let take = async {
            let subject = format!("flash of {}", address.name);
            let heard = |id| {
                *holder.lock().unwrap_or_else(PoisonError::into_inner) = id;
                waits(id);
            };
            let name = FileLock::take(&folder.join(format!("{}.lock", address.name)), 0o600, &subject, heard).await?;
            let at = folder.join(address_lock(&address.host, address.port));
            let at = FileLock::take(&at, 0o600, &subject, heard).await?;
            Ok::<_, io::Error>(Self {
                _name: name,
                _address: at,
            })
        };
        match tokio::time::timeout(limit, take).await {
            Ok(taken) => Ok(taken?),
            Err(_) => Err(NoLock::Taken(*holder.lock().unwrap_or_else(PoisonError::into_inner))),
        }
    }
}
