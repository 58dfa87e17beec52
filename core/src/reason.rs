//! A reason that a person gives: for a run that removes something, for an approval, for a disapproval.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::escape::is_plain;

/// A reason: 1 to 1024 bytes, printable, with at least one letter.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reason(String);

/// Why a text is no reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadReason {
    /// It has no bytes.
    #[error("a reason cannot be empty")]
    Empty,
    /// It has more than 1024 bytes; how many.
    #[error("a reason has at most 1024 bytes, this one has {0}")]
    TooLong(usize),
    /// A control, line feed or invisible character is in it.
    #[error("a reason is one line of printable text")]
    NotPrintable,
    /// It says nothing.
    #[error("a reason has at least one letter")]
    NoLetter,
}

impl Reason {
    /// The most bytes that a reason may have.
    pub const MOST: usize = 1024;

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Reason {
    type Err = BadReason;
    fn from_str(text: &str) -> Result<Self, BadReason> {
        if text.is_empty() {
            Err(BadReason::Empty)
        } else if text.len() > Self::MOST {
            Err(BadReason::TooLong(text.len()))
        } else if !text.chars().all(is_plain) {
            Err(BadReason::NotPrintable)
        } else if !text.chars().any(char::is_alphabetic) {
            Err(BadReason::NoLetter)
        } else {
            Ok(Self(text.to_owned()))
        }
    }
}

impl TryFrom<String> for Reason {
    type Error = BadReason;
    fn try_from(text: String) -> Result<Self, BadReason> {
        text.parse()
    }
}

impl From<Reason> for String {
    fn from(reason: Reason) -> String {
        reason.0
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("unused since 2019", Ok(()))]
    #[case("ж", Ok(()))]
    #[case("", Err(BadReason::Empty))]
    #[case("2019", Err(BadReason::NoLetter))]
    #[case("a\nb", Err(BadReason::NotPrintable))]
    #[case("a\u{202e}b", Err(BadReason::NotPrintable))]
    fn reasons(#[case] text: &str, #[case] expected: Result<(), BadReason>) {
        assert_eq!(text.parse::<Reason>().map(|_| ()), expected);
    }

    #[test]
    fn the_limit_is_in_bytes() {
        assert!("x".repeat(1024).parse::<Reason>().is_ok());
        assert_eq!("é".repeat(513).parse::<Reason>(), Err(BadReason::TooLong(1026)));
    }
}
