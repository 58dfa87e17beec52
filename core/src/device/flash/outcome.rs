//! How a flash ends, and where.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The steps of a flash, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FlashStep {
    /// Nobody else flashes this device.
    Lock,
    /// The payload is read.
    Payload,
    /// The device is looked at: its board, its versions, its updater.
    Look,
    /// The server and the tunnel to it.
    Serve,
    /// The device installs.
    Install,
    /// It takes the stateful archive.
    Stateful,
    /// It restarts, and is waited for.
    Reboot,
    /// What runs now is told to be good.
    MarkGood,
    /// What is left is cleared away.
    Clean,
}

impl FlashStep {
    /// All of them, in their order.
    pub const ALL: [Self; 9] = [
        Self::Lock,
        Self::Payload,
        Self::Look,
        Self::Serve,
        Self::Install,
        Self::Stateful,
        Self::Reboot,
        Self::MarkGood,
        Self::Clean,
    ];

    /// What is done in it, in words for people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Lock => "waiting for the device",
            Self::Payload => "reading the payload",
            Self::Look => "looking at the device",
            Self::Serve => "opening the tunnel",
            Self::Install => "installing",
            Self::Stateful => "updating the stateful partition",
            Self::Reboot => "restarting",
            Self::MarkGood => "marking it good",
            Self::Clean => "clearing up",
        }
    }
}

impl fmt::Display for FlashStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Lock => "lock",
            Self::Payload => "payload",
            Self::Look => "look",
            Self::Serve => "serve",
            Self::Install => "install",
            Self::Stateful => "stateful",
            Self::Reboot => "reboot",
            Self::MarkGood => "mark-good",
            Self::Clean => "clean",
        })
    }
}

/// Whose fault a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// The lab's: a device that cannot be reached, a tunnel, a host key, a full disk. The same may go well another time.
    Infrastructure,
    /// Who answers is not the device, by its host key: neither the lab nor the update is tried any further.
    Identity,
    /// The update's: a payload that is refused, a system that does not come up, another version than was asked for.
    Product,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Infrastructure => "infrastructure",
            Self::Identity => "identity",
            Self::Product => "product",
        })
    }
}

/// How a flash ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "is")]
pub enum Outcome {
    /// It restarted, runs from the slot that was written, in the version that was meant.
    Succeeded,
    /// The new system did not come up; the device runs the old one.
    RolledBack {
        /// What was seen.
        why: String,
    },
    /// It did not come to that.
    Failed {
        /// In which step.
        step: FlashStep,
        /// What happened.
        why: String,
        /// Whose fault it is.
        fault: Fault,
        /// Whether the device answers and runs a system; nothing where nobody could find out.
        device_works: Option<bool>,
    },
    /// Somebody wanted it to stop.
    Cancelled {
        /// In which step it was.
        step: FlashStep,
        /// As for a failure.
        device_works: Option<bool>,
    },
}

impl Outcome {
    /// Whether it is the one that was wanted.
    pub fn is_good(&self) -> bool {
        matches!(self, Self::Succeeded)
    }

    /// Whose fault it is, where it is anybody's. A system that does not come up is the update's.
    pub fn fault(&self) -> Option<Fault> {
        match self {
            Self::Succeeded | Self::Cancelled { .. } => None,
            Self::RolledBack { .. } => Some(Fault::Product),
            Self::Failed { fault, .. } => Some(*fault),
        }
    }

    /// One word for a list.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::RolledBack { .. } => "rolled back",
            Self::Failed { .. } => "failed",
            Self::Cancelled { .. } => "cancelled",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let works = |works: &Option<bool>| match works {
            Some(true) => "; the device works",
            Some(false) => "; THE DEVICE DOES NOT ANSWER",
            None => "; nobody knows how the device is",
        };
        match self {
            // What answers there says nothing of the device.
            Self::Failed {
                step,
                why,
                fault: fault @ Fault::Identity,
                ..
            } => write!(f, "failed at {step} ({fault}): {why}"),
            Self::Succeeded => f.write_str("succeeded"),
            Self::RolledBack { why } => write!(f, "rolled back: {why}; the device runs its old system"),
            Self::Failed {
                step,
                why,
                fault,
                device_works,
            } => write!(f, "failed at {step} ({fault}): {why}{}", works(device_works)),
            Self::Cancelled { step, device_works } => write!(f, "cancelled at {step}{}", works(device_works)),
        }
    }
}
