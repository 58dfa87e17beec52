//! What updates a device, behind one trait: each driver knows what to ask of its device and how to have it install.
//!
//! A driver that fetches does so from our server through the tunnel ([`Delivery::Fetched`]); to one that cannot, the file is sent over ssh.
//! Nothing here decides: what comes of it is judged by `core::device::flash`.

mod command;
mod push;
mod rauc;
mod raw_ab;
mod swupdate;
mod update_engine;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use windlass_core::device::flash::look::Questions;
use windlass_core::device::flash::{DriverChoice, Fault, Seen, SlotRule, Updater, shell};

use super::flash::{Goods, Limits, UpdateLog};
use super::server::Budget;
use super::ssh::{Ssh, SshError};

/// Something that takes a while.
pub type Doing<'a, T> = BoxFuture<'a, Result<T, DriverError>>;

/// Why a driver could not do something.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub struct DriverError {
    /// What happened.
    pub why: String,
    /// Whose fault it is.
    pub fault: Fault,
}

impl DriverError {
    /// The lab's fault.
    pub fn lab(why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            fault: Fault::Infrastructure,
        }
    }

    /// The update's fault.
    pub fn product(why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            fault: Fault::Product,
        }
    }
}

impl From<SshError> for DriverError {
    fn from(error: SshError) -> Self {
        Self {
            fault: error.fault(),
            why: error.to_string(),
        }
    }
}

/// How the payload comes to the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// It fetches it from our server.
    Fetched,
    /// It is sent as it is.
    Pushed,
    /// It is sent as the content of a slot, compressed.
    PushedImage,
}

/// What a driver has to work with while it installs.
pub struct Work<'a> {
    /// The way to the device.
    pub ssh: &'a Ssh,
    /// How long things may take.
    pub limits: &'a Limits,
    /// What is to be installed.
    pub goods: &'a Goods,
    /// Where our server is for the device, without a slash at the end; nothing where the driver does not fetch.
    pub base: Option<&'a str>,
    /// What the device was.
    pub before: &'a Seen,
    /// What the updater says goes there.
    pub log: &'a UpdateLog,
    /// How fast may be sent.
    pub budget: &'a Budget,
    /// How far it is.
    pub meter: &'a Meter,
}

impl Work<'_> {
    /// Where our server is for the device.
    fn base(&self) -> Result<&str, DriverError> {
        self.base
            .ok_or_else(|| DriverError::lab("there is no server for the device"))
    }

    /// What a command says in one line, which has to work and to say something.
    async fn line(&self, words: &[String]) -> Result<String, DriverError> {
        let command = shell::command(words);
        let line = self.ssh.says(&command).await?.line();
        if line.is_empty() {
            return Err(DriverError::lab(format!("'{command}' says nothing")));
        }
        Ok(line)
    }

    /// Has a command carried out that has to work; an empty one is none.
    async fn does(&self, words: &[String]) -> Result<(), DriverError> {
        if !words.is_empty() {
            self.ssh.says(&shell::command(words)).await?;
        }
        Ok(())
    }
}

/// How far an installation is, from both ends.
#[derive(Debug, Default)]
pub struct Meter {
    /// What was sent over ssh; what the server sent is counted there.
    sent: AtomicU64,
    /// How far the device says that it is, in thousandths, and one more; 0 where it says nothing.
    device: AtomicU64,
}

impl Meter {
    /// More bytes were sent.
    pub fn add_sent(&self, bytes: u64) {
        self.sent.fetch_add(bytes, Ordering::Relaxed);
    }

    /// How many bytes were sent.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// The device says how far it is, in thousandths.
    pub fn device_is_at(&self, thousandths: u64) {
        self.device.store(thousandths.min(1000) + 1, Ordering::Relaxed);
    }

    /// How far the device says that it is, in thousandths.
    pub fn device(&self) -> Option<u64> {
        self.device.load(Ordering::Relaxed).checked_sub(1)
    }
}

/// What updates a device.
pub trait Driver: fmt::Debug + Send + Sync {
    /// What the device is asked when it is looked at: board, version and slot where the release files do not say them, and what the updater does.
    fn questions(&self) -> Questions;

    /// What its updater does, by what it said to that.
    fn updater(&self, status: &str) -> Updater;

    /// How the payload comes to it.
    fn delivery(&self) -> Delivery;

    /// The folder on the device that takes the update before it is installed, where there is one.
    fn spool(&self) -> Option<&str> {
        None
    }

    /// Has it install; the slot from which what was installed is to run comes back.
    fn install<'a>(&'a self, work: &'a Work<'a>) -> Doing<'a, SlotRule>;

    /// Has it take the stateful archive.
    fn add_stateful<'a>(&'a self, work: &'a Work<'a>) -> Doing<'a, ()> {
        let _ = work;
        Box::pin(async { Err(DriverError::lab("this driver takes no stateful archive")) })
    }

    /// Takes back what was begun, so that the device goes on with what it runs. Whether it was needed is not known.
    fn undo<'a>(&'a self, ssh: &'a Ssh, limit: Duration) -> Doing<'a, ()>;

    /// The command that says that what runs is good; nothing where none is needed.
    fn mark_good(&self) -> Option<String>;

    /// The command that restarts the device.
    fn reboot(&self) -> String;
}

/// The driver of a choice.
pub fn of(choice: &DriverChoice) -> Box<dyn Driver> {
    match choice {
        DriverChoice::UpdateEngine(settings) => Box::new(update_engine::UpdateEngineDriver(settings.clone())),
        DriverChoice::RawAb(settings) => Box::new(raw_ab::RawAbDriver(settings.clone())),
        DriverChoice::Rauc(settings) => Box::new(rauc::RaucDriver(settings.clone())),
        DriverChoice::SwUpdate(settings) => Box::new(swupdate::SwUpdateDriver(settings.clone())),
        DriverChoice::Command(settings) => Box::new(command::CommandDriver(settings.clone())),
    }
}

/// An empty list of words is no command.
fn optional(words: &[String]) -> Option<String> {
    (!words.is_empty()).then(|| shell::command(words))
}

/// The command, or `reboot` where none is said.
fn or_reboot(words: &[String]) -> String {
    optional(words).unwrap_or_else(|| "reboot".to_owned())
}
