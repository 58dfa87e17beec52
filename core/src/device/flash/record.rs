//! What stays of a flash: one record, whatever became of it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::outcome::{FlashStep, Outcome};
use crate::id::{DeviceName, JobId};

/// The name of one flash: when it began, and something to tell it from others. Names sort by time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FlashId(String);

/// A text that names no flash.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{}' names no flash\n\nhint: names look like f-20260131T120000Z-0a1b2c3d; `windlass device history` lists them", crate::escape::escaped(.0))]
pub struct NotAFlash(String);

impl FlashId {
    /// The name of a flash that begins now.
    pub fn new(now: Timestamp, chance: u32) -> Self {
        Self(format!("f-{}-{chance:08x}", now.strftime("%Y%m%dT%H%M%SZ")))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for FlashId {
    type Err = NotAFlash;

    fn from_str(text: &str) -> Result<Self, NotAFlash> {
        let parts: Vec<&str> = text.split('-').collect();
        let good = match parts.as_slice() {
            ["f", time, chance] => {
                let form = time.bytes().zip(b"00000000T000000Z".iter());
                let timely = form.fold(time.len() == 16, |good, (byte, form)| {
                    good && if *form == b'0' {
                        byte.is_ascii_digit()
                    } else {
                        byte == *form
                    }
                });
                timely && chance.len() == 8 && chance.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
            }
            _ => false,
        };
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotAFlash(text.to_owned()))
        }
    }
}

impl TryFrom<String> for FlashId {
    type Error = NotAFlash;

    fn try_from(text: String) -> Result<Self, NotAFlash> {
        text.parse()
    }
}

impl From<FlashId> for String {
    fn from(id: FlashId) -> Self {
        id.0
    }
}

impl fmt::Display for FlashId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// When a step was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepTime {
    /// Which.
    pub step: FlashStep,
    /// From when on.
    pub began: Timestamp,
    /// Until when.
    pub ended: Timestamp,
}

impl StepTime {
    /// How long it took.
    pub fn took(&self) -> Duration {
        Duration::try_from(self.ended.duration_since(self.began)).unwrap_or_default()
    }
}

/// What a device told the update server while it was flashed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// When.
    pub at: Timestamp,
    /// The protocol's number for what happened.
    pub event: u32,
    /// Its number for how that went.
    pub result: u32,
    /// The device's own number for what went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_code: Option<i64>,
}

/// All that is known of one flash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlashRecord {
    /// Its name.
    pub id: FlashId,
    /// Which device.
    pub device: DeviceName,
    /// The board that it says it has.
    pub board: Option<String>,
    /// What updates it.
    pub driver: String,
    /// Who wanted it.
    pub who: String,
    /// What for.
    pub why: String,
    /// The job that did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobId>,
    /// The lease under which it was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<String>,
    /// SHA-256 of the payload, in hexadecimal digits.
    pub payload: Option<String>,
    /// The version that ran before.
    pub from_version: Option<String>,
    /// The version that was to run; the one that came to run where nobody said which.
    pub to_version: Option<String>,
    /// The slot that it ran from.
    pub slot_before: Option<String>,
    /// The slot that it runs from.
    pub slot_after: Option<String>,
    /// The kernel's name for the boot before.
    pub boot_id_before: Option<String>,
    /// The kernel's name for the boot after.
    pub boot_id_after: Option<String>,
    /// When it began.
    pub began: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// When each step was done.
    pub steps: Vec<StepTime>,
    /// How many bytes went to the device.
    pub bytes_sent: u64,
    /// What its console said.
    pub console_log: Option<PathBuf>,
    /// What its updater said.
    pub update_log: Option<PathBuf>,
    /// How it ended.
    pub outcome: Outcome,
    /// What it told the update server.
    pub events: Vec<Told>,
}

impl FlashRecord {
    /// How long it took.
    pub fn took(&self) -> Duration {
        Duration::try_from(self.ended.duration_since(self.began)).unwrap_or_default()
    }

    /// How long the restart took, if it went well: what a limit is learned from.
    pub fn restart_took(&self) -> Option<Duration> {
        let step = self.steps.iter().rev().find(|step| step.step == FlashStep::Reboot)?;
        self.outcome.is_good().then(|| step.took())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_by_time_and_read_back() {
        let early = FlashId::new(Timestamp::from_second(1_000_000_000).unwrap(), 7);
        let late = FlashId::new(Timestamp::from_second(1_000_000_001).unwrap(), 3);
        assert_eq!(early.as_str(), "f-20010909T014640Z-00000007");
        assert!(early < late);
        assert_eq!(early.as_str().parse(), Ok(early.clone()));
        for wrong in [
            "",
            "f-",
            "f-20010909T014640Z-0000000",
            "f-20010909T014640Z-0000000/",
            "../../etc/passwd",
            "f-2001é909T01464Z-00000007",
        ] {
            assert!(wrong.parse::<FlashId>().is_err(), "{wrong}");
        }
    }
}
