//! What happens to a device.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::{BadId, JobId, UserName};
use crate::reason::Reason;

/// What happened to a device. Facts: nothing here can be refused any more.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum DeviceEvent {
    /// A flash came to its end.
    Flashed(FlashEnd),
    /// It does not answer, and nobody tries before this moment.
    LeftAlone {
        /// Until when.
        until: Timestamp,
    },
    /// Somebody has it for himself.
    Reserved {
        /// Who.
        by: UserName,
        /// Until when, unless it is released before.
        until: Timestamp,
        /// What for.
        reason: Reason,
    },
    /// Whoever had it needs it no more.
    Released {
        /// Who said so.
        by: UserName,
    },
    /// It is said how it is.
    Judged {
        /// How.
        health: Health,
        /// Why.
        why: String,
        /// Who said so; nobody where the lab did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<UserName>,
    },
}

/// How a device is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// Nobody knows: it was never flashed, or did not answer the last time.
    #[default]
    Unknown,
    /// It answers, and runs what it should, or its system of before.
    Good,
    /// A new system went onto it, and it does not come back.
    Looping,
    /// It is at fault: nothing is flashed onto it until somebody says that it is good.
    Bad,
    /// Somebody works on it: nothing is flashed onto it.
    Maintenance,
    /// It is no more.
    Retired,
}

/// What is on record of the end of a flash.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FlashEnd {
    /// Its record's name.
    pub flash: String,
    /// The job that did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobId>,
    /// The version that the device ran before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The version that it was to run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// How it ended.
    pub ending: Ending,
    /// The same in a line.
    pub told: String,
}

/// How a flash ended, as far as it says something of the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// It runs what was meant.
    Succeeded,
    /// The product is at fault: it was refused, or did not come up. The device works.
    Product,
    /// The product is at fault, and the device does not come back.
    Looping,
    /// The lab or the device is at fault, though the device answers.
    Trouble,
    /// The device does not answer.
    Silent,
    /// Who answers there is not the device: its host key is another one, or one that nobody agreed to.
    Stranger,
    /// It says nothing of the device: nobody wanted it any more, or it never came to it.
    Nothing,
}

impl Health {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::Unknown,
        Self::Good,
        Self::Looping,
        Self::Bad,
        Self::Maintenance,
        Self::Retired,
    ];

    /// The name as text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Good => "good",
            Self::Looping => "looping",
            Self::Bad => "bad",
            Self::Maintenance => "maintenance",
            Self::Retired => "retired",
        }
    }

    /// Whether nothing is flashed onto such a device, until somebody says otherwise.
    pub fn is_out(self) -> bool {
        match self {
            Self::Bad | Self::Maintenance | Self::Retired => true,
            Self::Unknown | Self::Good | Self::Looping => false,
        }
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Health {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        let found = Self::ALL.iter().find(|health| health.as_str() == text);
        found.copied().ok_or_else(|| BadId {
            what: "device's state",
            value: crate::escape::escaped(text),
            rule: "unknown, good, looping, bad, maintenance, retired",
        })
    }
}
