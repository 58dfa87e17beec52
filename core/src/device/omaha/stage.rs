//! How far an update is, folded from what the device tells.

use serde::{Deserialize, Serialize};

use super::{Event, EventKind, EventResult};

/// How far a device is with its update.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "stage")]
pub enum Stage {
    /// Nothing was told yet.
    #[default]
    Silent,
    /// It downloads.
    Downloading,
    /// It has the whole download.
    Downloaded,
    /// It has installed the update, which counts from the next boot on.
    Updated,
    /// It runs the new system.
    Rebooted,
    /// It had installed the update and runs the old system again.
    RolledBack {
        /// The device's own number for why.
        error_code: Option<i64>,
    },
    /// It could not download or install the update.
    Failed {
        /// The device's own number for why.
        error_code: Option<i64>,
    },
}

impl Stage {
    /// The stage after an event.
    ///
    /// A failure (3/0) of an update that was complete is told after the reboot, by the old system: it was rolled back.
    #[must_use]
    pub fn after(self, event: &Event) -> Self {
        let error_code = event.error_code;
        if event.result == EventResult::Deferred {
            return self;
        }
        match (event.kind, event.result.is_good()) {
            (EventKind::DownloadStarted, true) => Self::Downloading,
            (EventKind::DownloadFinished, true) => Self::Downloaded,
            (EventKind::UpdateComplete, true) => Self::Updated,
            (EventKind::Rebooted, true) => Self::Rebooted,
            (EventKind::Rebooted, false) => Self::RolledBack { error_code },
            (EventKind::UpdateComplete, false) if self.was_complete() => Self::RolledBack { error_code },
            (EventKind::UpdateComplete | EventKind::DownloadStarted | EventKind::DownloadFinished, false) => {
                Self::Failed { error_code }
            }
            (EventKind::Other(_), _) => self,
        }
    }

    fn was_complete(self) -> bool {
        matches!(self, Self::Updated | Self::Rebooted | Self::RolledBack { .. })
    }
}
