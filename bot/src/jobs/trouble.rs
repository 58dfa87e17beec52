//! Why an attempt at a job came to nothing, and whether the same may succeed later: decided once, lasting by default.

use windlass_core::escape::escaped_lines;

/// The longest message that goes on record, in bytes: the log has all of it.
const LONGEST: usize = 4096;

/// Why an attempt came to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// For people; safe to show line by line.
    pub message: String,
    /// Whether the same may succeed later.
    pub transient: bool,
}

impl Trouble {
    /// One that stays as long as nothing is changed.
    pub fn lasting(message: impl AsRef<str>) -> Self {
        Self {
            message: escaped_lines(message.as_ref(), LONGEST),
            transient: false,
        }
    }

    /// One that may pass: something is away, full or slow.
    pub fn transient(message: impl AsRef<str>) -> Self {
        Self {
            message: escaped_lines(message.as_ref(), LONGEST),
            transient: true,
        }
    }

    /// One of which somebody else has decided whether it may pass.
    pub fn of(message: &impl ToString, transient: bool) -> Self {
        let message = message.to_string();
        if transient {
            Self::transient(message)
        } else {
            Self::lasting(message)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_on_record_is_safe_to_show_and_not_long() {
        let trouble = Trouble::lasting(format!("one\n\u{1b}[2J{}", "é".repeat(4000)));
        assert!(trouble.message.starts_with("one\n\\u{1b}[2Jé"));
        assert!(trouble.message.len() <= LONGEST + 4 && trouble.message.ends_with('…'));
    }
}
