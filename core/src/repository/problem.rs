//! Why a task cannot land as it is: what all checks of built packages and plans answer with.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::{ArchName, SubtaskNumber};

/// One reason, in the packager's words.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Problem {
    /// A stable word for programs, as in `version_not_newer`.
    pub code: Cow<'static, str>,
    /// The subtask that it is about, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subtask: Option<SubtaskNumber>,
    /// The architecture that it is about, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arch: Option<ArchName>,
    /// What is wrong, with names and values; what others wrote is escaped.
    pub message: String,
    /// The way out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Problem {
    /// One that is about the whole task, without a hint.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code: Cow::Borrowed(code),
            subtask: None,
            arch: None,
            message: message.into(),
            hint: None,
        }
    }

    /// The same one, about a subtask.
    #[must_use]
    pub fn of(mut self, subtask: SubtaskNumber) -> Self {
        self.subtask = Some(subtask);
        self
    }

    /// The same one, about an architecture.
    #[must_use]
    pub fn on(mut self, arch: &ArchName) -> Self {
        self.arch = Some(arch.clone());
        self
    }

    /// The same one, with the way out.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Problem {
    /// `subtask 1, x86_64: message`, and after a blank line the hint.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.subtask, &self.arch) {
            (Some(subtask), Some(arch)) => write!(f, "subtask {subtask}, {arch}: ")?,
            (Some(subtask), None) => write!(f, "subtask {subtask}: ")?,
            (None, Some(arch)) => write!(f, "{arch}: ")?,
            (None, None) => {}
        }
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\n\nhint: {hint}"),
            None => Ok(()),
        }
    }
}
