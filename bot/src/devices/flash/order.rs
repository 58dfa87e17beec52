//! What is to be flashed where, by whom, and how long each part of it may take.

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use windlass_core::device::flash::DriverChoice;
use windlass_core::id::JobId;

use super::host::Console;
use crate::devices::server::Budget;
use crate::devices::ssh::{DeviceAddress, Patience};

/// One flash that is wanted.
#[derive(Debug, Clone)]
pub struct FlashOrder {
    /// The device.
    pub address: DeviceAddress,
    /// What updates it.
    pub driver: DriverChoice,
    /// The board that it has to have; the payload's where nothing is said.
    pub board: Option<String>,
    /// Whether another board is no reason to stop.
    pub force_mismatch: bool,
    /// What it is flashed with.
    pub payload: Parcels,
    /// Who wants it.
    pub who: String,
    /// What for.
    pub why: String,
    /// The job that does it.
    pub job: Option<JobId>,
    /// The lease under which it is done.
    pub lease: Option<String>,
    /// How long things may take.
    pub limits: Limits,
    /// How fast may be sent, shared with whoever has the same budget.
    pub budget: Budget,
    /// The port here and on the device; any that is free where nothing is said.
    pub port: Option<u16>,
    /// Cuts the device's power and gives it back, run on this machine.
    pub power_command: Option<Vec<String>>,
    /// Says what the device's console says.
    pub console: Option<Console>,
    /// Where records are.
    pub records: PathBuf,
    /// Where locks are, one for each device.
    pub locks: PathBuf,
    /// Is told each command line, for people who want to see them.
    pub told: Option<UnboundedSender<String>>,
}

/// What a device is flashed with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parcels {
    /// The payload, bundle, update or image, as the driver wants it.
    pub payload: PathBuf,
    /// The archive of the stateful partition.
    pub stateful: Option<PathBuf>,
    /// The version that it brings, where that is known.
    pub version: Option<String>,
    /// The board that it is for, where that is known.
    pub board: Option<String>,
    /// Whether it needs what runs on the device.
    pub is_delta: bool,
}

impl Parcels {
    /// A payload of which nothing more is known.
    pub fn of(payload: impl Into<PathBuf>) -> Self {
        Self {
            payload: payload.into(),
            stateful: None,
            version: None,
            board: None,
            is_delta: false,
        }
    }
}

/// How long things may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// All of it, but for clearing up.
    pub total: Duration,
    /// Somebody else who flashes the same device.
    pub lock: Duration,
    /// A connection.
    pub connect: Duration,
    /// A short command.
    pub command: Duration,
    /// The installation.
    pub install: Duration,
    /// An installation during which nothing is sent and the device is no further.
    pub stall: Duration,
    /// The stateful archive.
    pub stateful: Duration,
    /// The restart; learned from the device's history where nothing is said.
    pub reboot: Option<Duration>,
    /// What is cleared away on the device.
    pub clean: Duration,
    /// The power command.
    pub power: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            total: Duration::from_hours(2),
            lock: Duration::ZERO,
            connect: Duration::from_secs(15),
            command: Duration::from_mins(1),
            install: Duration::from_hours(1),
            stall: Duration::from_mins(3),
            stateful: Duration::from_mins(15),
            reboot: None,
            clean: Duration::from_mins(1),
            power: Duration::from_mins(1),
        }
    }
}

impl Limits {
    /// Those of one connection.
    pub(super) fn patience(&self) -> Patience {
        Patience {
            connect: self.connect,
            command: self.command,
        }
    }
}
