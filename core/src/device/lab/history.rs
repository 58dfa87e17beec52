//! What a list of flashes says of each.

use jiff::Timestamp;
use serde::Serialize;

use crate::id::{DeviceName, JobId};

/// One flash in a list.
///
/// JSON: `flash`, `device`, `began`, `ended`, `who`, `why`, `job`, `driver`, `payload` (the SHA-256), `from_version`, `to_version`,
/// `slot_before`, `slot_after`, `bytes_sent`, `outcome` (a word), `told` (a line), `restart_seconds` (where it restarted).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FlashLine {
    /// The record's name.
    pub flash: String,
    /// The device.
    pub device: DeviceName,
    /// When it began.
    pub began: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// Who wanted it.
    pub who: String,
    /// What for.
    pub why: String,
    /// The job that did it.
    pub job: Option<JobId>,
    /// What updated it.
    pub driver: String,
    /// The SHA-256 of the payload, in hexadecimal digits.
    pub payload: Option<String>,
    /// The version before.
    pub from_version: Option<String>,
    /// The version that was meant.
    pub to_version: Option<String>,
    /// The slot before.
    pub slot_before: Option<String>,
    /// The slot after.
    pub slot_after: Option<String>,
    /// How many bytes went to it.
    pub bytes_sent: u64,
    /// How it ended, in a word.
    pub outcome: String,
    /// How it ended, in a line.
    pub told: String,
    /// How long the restart took.
    pub restart_seconds: Option<u64>,
}
