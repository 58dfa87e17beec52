//! The names of partitions.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::escape::escaped;

/// A partition's name, without the slot: `root`, `kernel`.
///
/// It becomes a file's name wherever a payload is unpacked, so that it has letters, digits, `_`, `-`, `.` and begins with a
/// letter or a digit; 36 at most, as in a GPT.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PartitionName(String);

/// A text that is no partition's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is no partition's name\n\nhint: letters, digits, '_', '-' and '.', a letter or a digit first, 36 at most, as in 'root'"
)]
pub struct BadPartitionName(String);

impl PartitionName {
    /// The most characters.
    pub const LONGEST: usize = 36;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PartitionName {
    type Err = BadPartitionName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let first = text.bytes().next();
        let good = text.len() <= Self::LONGEST
            && first.is_some_and(|first| first.is_ascii_alphanumeric())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadPartitionName(escaped(&text.chars().take(100).collect::<String>())))
        }
    }
}

impl TryFrom<String> for PartitionName {
    type Error = BadPartitionName;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<PartitionName> for String {
    fn from(name: PartitionName) -> Self {
        name.0
    }
}

impl fmt::Display for PartitionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("root")]
    #[case("KERN-A")]
    #[case("vendor_boot")]
    #[case("0")]
    #[case("a.b")]
    fn a_name(#[case] name: &str) {
        assert_eq!(name.parse::<PartitionName>().unwrap().as_str(), name);
    }

    #[rstest]
    #[case("")]
    #[case("..")]
    #[case("-rf")]
    #[case("a/b")]
    #[case("a b")]
    #[case("root\u{202e}")]
    #[case("a234567890123456789012345678901234567")]
    fn no_name(#[case] name: &str) {
        let error = name.parse::<PartitionName>().unwrap_err().to_string();
        assert!(error.contains("hint: "), "{error}");
        assert!(!error.contains('\u{202e}'));
    }
}
