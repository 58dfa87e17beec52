//! What a device tells of an update.

use serde::{Deserialize, Serialize};

/// Something that happened on a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// What.
    pub kind: EventKind,
    /// How it went.
    pub result: EventResult,
    /// The device's own number for what went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_code: Option<i64>,
    /// The version that was there before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_version: Option<String>,
    /// The version that is to be there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_version: Option<String>,
    /// How long the download took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub download_ms: Option<u64>,
}

/// What happened, by the protocol's numbers (`eventtype`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "u32", into = "u32")]
pub enum EventKind {
    /// 3: the update was installed, or was not.
    UpdateComplete,
    /// 13: the download began.
    DownloadStarted,
    /// 14: the download ended.
    DownloadFinished,
    /// 54: the device runs the new system.
    Rebooted,
    /// Another one, which does not matter here.
    Other(u32),
}

/// How it went, by the protocol's numbers (`eventresult`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "u32", into = "u32")]
pub enum EventResult {
    /// 0: it failed.
    Error,
    /// 1: it is done.
    Success,
    /// 2: it is done, and counts from the next boot on.
    SuccessReboot,
    /// 4: it was given up.
    Cancelled,
    /// 9: it is put off.
    Deferred,
    /// Another one.
    Other(u32),
}

impl From<u32> for EventKind {
    fn from(number: u32) -> Self {
        match number {
            3 => Self::UpdateComplete,
            13 => Self::DownloadStarted,
            14 => Self::DownloadFinished,
            54 => Self::Rebooted,
            other => Self::Other(other),
        }
    }
}

impl From<EventKind> for u32 {
    fn from(kind: EventKind) -> Self {
        match kind {
            EventKind::UpdateComplete => 3,
            EventKind::DownloadStarted => 13,
            EventKind::DownloadFinished => 14,
            EventKind::Rebooted => 54,
            EventKind::Other(other) => other,
        }
    }
}

impl From<u32> for EventResult {
    fn from(number: u32) -> Self {
        match number {
            0 => Self::Error,
            1 => Self::Success,
            2 => Self::SuccessReboot,
            4 => Self::Cancelled,
            9 => Self::Deferred,
            other => Self::Other(other),
        }
    }
}

impl From<EventResult> for u32 {
    fn from(result: EventResult) -> Self {
        match result {
            EventResult::Error => 0,
            EventResult::Success => 1,
            EventResult::SuccessReboot => 2,
            EventResult::Cancelled => 4,
            EventResult::Deferred => 9,
            EventResult::Other(other) => other,
        }
    }
}

impl EventResult {
    /// Whether what happened went well. Numbers that are not known here are failures, but for 3: the app wants to be started anew.
    pub fn is_good(self) -> bool {
        matches!(self, Self::Success | Self::SuccessReboot | Self::Other(3))
    }
}
