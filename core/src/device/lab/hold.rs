//! What keeps a device from being flashed.

use std::fmt;

use jiff::Timestamp;

use super::{Device, Health};
use crate::id::UserName;

/// Why nothing is flashed onto a device now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hold {
    /// It is bad, or worked on, or gone.
    Out {
        /// Which of these.
        health: Health,
        /// Why.
        why: String,
        /// Who said so; nobody where the lab did.
        by: Option<UserName>,
    },
    /// Somebody has it.
    Reserved {
        /// Who.
        by: UserName,
        /// Until when.
        until: Timestamp,
        /// What for.
        reason: String,
    },
    /// It did not answer, and is left alone.
    LeftAlone {
        /// Until when.
        until: Timestamp,
        /// How many times in a row it did not answer.
        times: u32,
    },
}

impl Hold {
    /// When it ends by itself, where it does.
    pub fn until(&self) -> Option<Timestamp> {
        match self {
            Self::Out { .. } => None,
            Self::Reserved { until, .. } | Self::LeftAlone { until, .. } => Some(*until),
        }
    }
}

impl Device {
    /// What keeps it from being flashed at this moment: what lasts longest comes first.
    pub fn hold(&self, now: Timestamp) -> Option<Hold> {
        let standing = &self.standing;
        if standing.health.is_out() {
            return Some(Hold::Out {
                health: standing.health,
                why: standing.why.clone(),
                by: standing.by.clone(),
            });
        }
        if let Some(held) = self.reservation(now) {
            return Some(Hold::Reserved {
                by: held.by.clone(),
                until: held.until,
                reason: held.reason.as_str().to_owned(),
            });
        }
        self.left_alone
            .filter(|until| *until > now)
            .map(|until| Hold::LeftAlone {
                until,
                times: self.silent_in_a_row,
            })
    }
}

/// A moment as people read it, in UTC.
fn moment_to_the_second(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Out { health, why, by } => {
                let state = match health {
                    Health::Maintenance => "in maintenance",
                    Health::Unknown | Health::Good | Health::Looping | Health::Bad | Health::Retired => health.as_str(),
                };
                match by {
                    Some(by) => write!(f, "{state}, says {by}: {why}"),
                    None => write!(f, "{state}: {why}"),
                }
            }
            Self::Reserved { by, until, reason } => {
                write!(f, "reserved by {by} until {}: {reason}", moment_to_the_second(*until))
            }
            Self::LeftAlone { until, times } => {
                let times = if *times == 1 {
                    "once".to_owned()
                } else {
                    format!("{times} times in a row")
                };
                write!(
                    f,
                    "it did not answer {times}, and is left alone until {}",
                    moment_to_the_second(*until)
                )
            }
        }
    }
}
