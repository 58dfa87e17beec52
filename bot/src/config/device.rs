//! `[[device]]`, `[lab]` and `[[nightly]]`: the devices that are flashed, what they share, and when that is done by itself.

use std::path::PathBuf;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use windlass_core::decide::{DeviceFacts, Facts, LabFacts, NightlyFacts};
use windlass_core::device::flash::DriverChoice;
use windlass_core::device::lab::{Calendar, Limits};
use windlass_core::escape::escaped;
use windlass_core::id::{DeviceName, NightlyName, PayloadName};
use windlass_hooks::settings::{Duration, Size};

use super::Config;
use crate::devices::flash;

/// One `[[device]]` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// Its name.
    pub name: DeviceName,
    /// Where it answers: a host's name or its IP address.
    pub address: String,
    /// The port of its ssh server.
    #[serde(default = "ssh_port")]
    pub port: u16,
    /// Who logs in there.
    #[serde(default = "root")]
    pub user: String,
    /// The private key to log in with; whichever ssh finds for the daemon's user where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<PathBuf>,
    /// Its host key, as in `ssh-ed25519 AAAA…`; that of the lab's file of known hosts where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_key: Option<String>,
    /// What updates it: a name, or a table with the name as `kind` and settings.
    #[serde(default)]
    pub driver: DriverChoice,
    /// The board that it has to have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub board: Option<String>,
    /// What it is chosen by.
    #[serde(default)]
    pub tags: Vec<String>,
    /// The payload that it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<PayloadName>,
    /// Whether it takes it whenever a commit made a new one.
    #[serde(default)]
    pub after_merge: bool,
    /// A command of this machine that cuts its power and gives it back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub power: Vec<String>,
    /// A command of this machine that says what its console says, for as long as it runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub console: Vec<String>,
}

fn ssh_port() -> u16 {
    22
}

fn root() -> String {
    "root".to_owned()
}

/// `[lab]`: what the devices share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lab {
    /// How many devices are flashed at once.
    pub at_once: usize,
    /// How many bytes go out in a second, to all devices that are flashed together; without a limit where it is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bandwidth: Option<Size>,
    /// So many flashes in a row that failed by the device's own fault make it bad.
    pub bad_in_a_row: u32,
    /// How long a device is left alone that did not answer; each further time doubles it.
    pub leave_alone: Duration,
    /// The longest that this grows to.
    pub longest_leave_alone: Duration,
    /// The longest that somebody may have a device for himself.
    pub longest_reservation: Duration,
    /// The tag of the devices that are flashed before the others.
    pub canary: String,
    /// How long one flash may take.
    pub timeout: Duration,
    /// How long its parts may take.
    pub timeouts: FlashTimeouts,
}

/// `[lab.timeouts]`: how long the parts of a flash may take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FlashTimeouts {
    /// A connection to a device.
    pub connect: Duration,
    /// A short command there.
    pub command: Duration,
    /// The installation.
    pub install: Duration,
    /// An installation during which nothing is sent and the device is no further.
    pub stall: Duration,
    /// The stateful archive.
    pub stateful: Duration,
    /// The restart; learned from the device's history where it is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reboot: Option<Duration>,
    /// What is cleared away on a device.
    pub clean: Duration,
    /// The command that cuts its power.
    pub power: Duration,
}

impl Default for FlashTimeouts {
    fn default() -> Self {
        let usual = flash::Limits::default();
        let setting = |limit: std::time::Duration| Duration::from_secs(limit.as_secs());
        Self {
            connect: setting(usual.connect),
            command: setting(usual.command),
            install: setting(usual.install),
            stall: setting(usual.stall),
            stateful: setting(usual.stateful),
            reboot: usual.reboot.map(setting),
            clean: setting(usual.clean),
            power: setting(usual.power),
        }
    }
}

impl Default for Lab {
    fn default() -> Self {
        Self {
            at_once: 4,
            bandwidth: None,
            bad_in_a_row: 3,
            leave_alone: Duration::from_secs(60),
            longest_leave_alone: Duration::from_secs(3600),
            longest_reservation: Duration::from_secs(7 * 86_400),
            canary: "canary".to_owned(),
            timeout: Duration::from_secs(3600),
            timeouts: FlashTimeouts::default(),
        }
    }
}

impl Lab {
    /// When a device is left alone, and when it is bad.
    pub fn limits(&self) -> Limits {
        Limits {
            bad_in_a_row: self.bad_in_a_row,
            leave_alone: self.leave_alone.signed(),
            longest: self.longest_leave_alone.signed(),
        }
    }

    /// How long a flash and its parts may take.
    pub fn flash_limits(&self) -> flash::Limits {
        let each = &self.timeouts;
        flash::Limits {
            total: self.timeout.std(),
            lock: std::time::Duration::ZERO,
            connect: each.connect.std(),
            command: each.command.std(),
            install: each.install.std(),
            stall: each.stall.std(),
            stateful: each.stateful.std(),
            reboot: each.reboot.map(Duration::std),
            clean: each.clean.std(),
            power: each.power.std(),
        }
    }

    /// The same for deciding commands.
    pub fn facts(&self) -> LabFacts {
        LabFacts {
            longest_reservation: self.longest_reservation.signed(),
            at_once: self.at_once,
            canary: self.canary.clone(),
        }
    }
}

impl Device {
    /// The same for deciding commands.
    pub fn facts(&self) -> DeviceFacts {
        let host = if self.address.contains(':') {
            format!("[{}]", self.address)
        } else {
            self.address.clone()
        };
        DeviceFacts {
            board: self.board.clone(),
            address: format!("{}@{host}:{}", self.user, self.port),
            driver: self.driver.name().to_owned(),
            tags: self.tags.iter().cloned().collect(),
            payload: self.payload.clone(),
            after_merge: self.after_merge,
        }
    }
}

impl Config {
    /// The device of this name.
    pub fn device(&self, name: &DeviceName) -> Option<&Device> {
        self.devices.iter().find(|device| device.name == *name)
    }
}

/// One `[[nightly]]` of the configuration: devices that are flashed at set times.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nightly {
    /// Its name.
    pub name: NightlyName,
    /// When: a cron expression.
    pub calendar: String,
    /// The time zone of that, as in `Europe/Berlin`.
    #[serde(default = "utc")]
    pub zone: String,
    /// The devices with all these tags; all where none is named.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Those with this board.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub board: Option<String>,
    /// The payload; each device's own where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<PayloadName>,
    /// The tag of those that come first; that of `[lab]` where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<String>,
    /// So many of them at most; all where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canaries: Option<u32>,
    /// What is left is given up once so many of a hundred flashes have failed.
    #[serde(default = "stop_at")]
    pub stop_at: u8,
    /// How often a flash is tried again after a failure that may pass.
    #[serde(default = "retries")]
    pub retries: u32,
}

fn utc() -> String {
    "UTC".to_owned()
}

fn stop_at() -> u8 {
    30
}

fn retries() -> u32 {
    2
}

impl Nightly {
    /// Its calendar.
    ///
    /// # Errors
    /// It is none, never comes, or its time zone is not known on this machine: in words.
    pub fn calendar(&self, now: Timestamp) -> Result<Calendar, String> {
        let zone = TimeZone::get(&self.zone)
            .map_err(|_| format!("'{}' is no time zone that this machine knows", escaped(&self.zone)))?;
        Calendar::parse(&self.calendar, zone, now).map_err(|error| error.to_string())
    }

    /// The same for deciding; nothing where its calendar is none: the configuration was checked.
    pub fn facts(&self, now: Timestamp) -> Option<NightlyFacts> {
        Some(NightlyFacts {
            calendar: self.calendar(now).ok()?,
            tags: self.tags.iter().cloned().collect(),
            board: self.board.clone(),
            payload: self.payload.clone(),
            canary_tag: self.canary.clone(),
            canaries: self.canaries,
            stop_at: self.stop_at,
            retries: self.retries,
        })
    }
}

impl Config {
    /// All that is said of the lab, for deciding.
    pub fn lab_facts(&self, now: Timestamp) -> Facts {
        let nightlies = self.nightlies.iter();
        Facts {
            devices: self
                .devices
                .iter()
                .map(|device| (device.name.clone(), device.facts()))
                .collect(),
            lab: self.lab.facts(),
            nightlies: nightlies
                .filter_map(|nightly| Some((nightly.name.clone(), nightly.facts(now)?)))
                .collect(),
            ..Facts::default()
        }
    }
}
