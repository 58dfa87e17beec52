//! What a person is told when something is refused: a stable code, one line, and the command that mends it.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// One reason why something is refused.
///
/// Shown as the message and, after a blank line, `hint: …`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
pub struct Refusal {
    /// A stable word for programs, as in `expired_key`.
    pub code: Cow<'static, str>,
    /// One line for people: what happened, and the value.
    pub message: String,
    /// The next command or step, when there is one.
    pub hint: Option<String>,
}

impl Refusal {
    /// A refusal without a hint.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code: Cow::Borrowed(code),
            message: message.into(),
            hint: None,
        }
    }

    /// The same refusal with the way out.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// The name among those known that a mistyped one was probably meant to be.
pub fn nearest<'a, T: AsRef<str>>(typed: &str, known: impl IntoIterator<Item = &'a T>) -> Option<&'a T> {
    known
        .into_iter()
        .map(|name| (strsim::jaro_winkler(name.as_ref(), typed), name))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, "\n\nhint: {hint}")?;
        }
        Ok(())
    }
}
