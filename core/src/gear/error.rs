//! Why there is no pkg.tar: the package's fault, or the machine's.

use std::fmt::Display;
use std::io;

use crate::gear::objects::ObjectFault;
use crate::refusal::Refusal;

/// Why there is no pkg.tar.
#[derive(Debug, thiserror::Error)]
pub enum GearError {
    /// What was tagged cannot be exported; another attempt ends the same way.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The repository cannot be read: this says nothing about the package.
    #[error(transparent)]
    Objects(ObjectFault),
    /// The archive or something on the way to it cannot be written.
    #[error("cannot write: {0}")]
    Io(#[from] io::Error),
}

impl From<ObjectFault> for GearError {
    fn from(fault: ObjectFault) -> Self {
        match fault {
            ObjectFault::TooLarge { .. } => Self::Refused(
                Refusal::new("too_large", fault.to_string()).hint("leave it out with exclude=, or make it smaller"),
            ),
            ObjectFault::Missing(_) | ObjectFault::Unreadable(_) | ObjectFault::Stopped => Self::Objects(fault),
        }
    }
}

/// A refusal with what was being looked at before its message.
pub(super) fn at(place: impl Display, mut refusal: Refusal) -> Refusal {
    refusal.message = format!("{place}: {}", refusal.message);
    refusal
}
