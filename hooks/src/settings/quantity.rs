//! Durations and sizes as people write them: `"5m"`, `"64KiB"`.

use std::fmt;
use std::str::FromStr;
use std::time;

use serde::{Deserialize, Serialize};

/// Text that is no duration or size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{value}' is no {what}: a whole number and a unit ({units}), as in \"{example}\"")]
pub struct BadQuantity {
    value: String,
    what: &'static str,
    units: &'static str,
    example: &'static str,
}

/// A length of time, in whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Duration(u64);

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Size(u64);

const DURATIONS: [(&str, u64); 5] = [("w", 604_800), ("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)];
const SIZES: [(&str, u64); 5] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

impl Duration {
    /// So many seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds)
    }

    /// In seconds.
    pub const fn as_secs(self) -> u64 {
        self.0
    }

    /// For the standard library.
    pub const fn std(self) -> time::Duration {
        time::Duration::from_secs(self.0)
    }

    /// For arithmetic with timestamps; a length past its range becomes the longest that it has.
    pub fn signed(self) -> jiff::SignedDuration {
        jiff::SignedDuration::from_secs(i64::try_from(self.0).unwrap_or(i64::MAX))
    }
}

impl Size {
    /// So many bytes.
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// In bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

fn parse(value: &str, units: &[(&str, u64)]) -> Option<u64> {
    let end = value.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = value.split_at(end);
    let factor = units.iter().find(|(name, _)| *name == unit)?.1;
    number.parse::<u64>().ok()?.checked_mul(factor)
}

fn show(f: &mut fmt::Formatter<'_>, value: u64, units: &[(&str, u64)]) -> fmt::Result {
    let (unit, factor) = units
        .iter()
        .find(|(_, factor)| value >= *factor && value.is_multiple_of(*factor))
        .unwrap_or(&units[units.len() - 1]);
    write!(f, "{}{unit}", value / factor)
}

macro_rules! quantity {
    ($name:ident, $units:ident, $what:literal, $unit_names:literal, $example:literal) => {
        impl FromStr for $name {
            type Err = BadQuantity;
            fn from_str(value: &str) -> Result<Self, BadQuantity> {
                parse(value, &$units).map(Self).ok_or_else(|| BadQuantity {
                    value: windlass_core::escape::escaped(value),
                    what: $what,
                    units: $unit_names,
                    example: $example,
                })
            }
        }
        impl TryFrom<String> for $name {
            type Error = BadQuantity;
            fn try_from(value: String) -> Result<Self, BadQuantity> {
                value.parse()
            }
        }
        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.to_string()
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                show(f, self.0, &$units)
            }
        }
    };
}

quantity!(Duration, DURATIONS, "duration", "s, m, h, d, w", "5m");
quantity!(Size, SIZES, "size", "B, KiB, MiB, GiB, TiB", "64KiB");

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("5m", Some(300), "5m")]
    #[case("90s", Some(90), "90s")]
    #[case("120s", Some(120), "2m")]
    #[case("0s", Some(0), "0s")]
    #[case("5", None, "")]
    #[case("m", None, "")]
    #[case("-5m", None, "")]
    #[case("5 m", None, "")]
    #[case("99999999999999999999w", None, "")]
    fn durations(#[case] text: &str, #[case] seconds: Option<u64>, #[case] shown: &str) {
        let parsed = text.parse::<Duration>().ok();
        assert_eq!(parsed.map(Duration::as_secs), seconds);
        assert_eq!(parsed.map_or(String::new(), |d| d.to_string()), shown);
    }

    #[rstest]
    #[case("64KiB", Some(65536), "64KiB")]
    #[case("1536MiB", Some(1536 << 20), "1536MiB")]
    #[case("1kb", None, "")]
    fn sizes(#[case] text: &str, #[case] bytes: Option<u64>, #[case] shown: &str) {
        let parsed = text.parse::<Size>().ok();
        assert_eq!(parsed.map(Size::bytes), bytes);
        assert_eq!(parsed.map_or(String::new(), |s| s.to_string()), shown);
    }
}
