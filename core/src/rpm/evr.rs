//! Epoch, version and release.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::vercmp;
use crate::escape::escaped;

/// Epoch, version and release of a package, or the part of it that a dependency gives.
///
/// It is equal to another one only when the texts are; [`Evr::compare`] is rpm's order, in which `1.0` and `1.00` are equal.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Evr {
    /// The epoch; 0 where none is given.
    pub epoch: u32,
    /// The version.
    pub version: String,
    /// The release. A dependency may leave it out: then it fits every release.
    pub release: Option<String>,
}

/// A text that is no version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{value}' is no version: {rule}")]
pub struct BadEvr {
    /// The text, escaped and cut.
    pub value: String,
    /// What it breaks.
    pub rule: &'static str,
}

/// The longest text that [`Evr::from_str`] takes.
const LONGEST: usize = 512;

impl Evr {
    /// Reads any text as rpm does: digits and a colon at the start are the epoch, what follows the last `-` is the release.
    /// For what others wrote; what a person types goes through `FromStr`, which is strict.
    pub fn of_text(text: &str) -> Self {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (epoch, rest) = match text[digits..].strip_prefix(':') {
            // Nobody has such an epoch; what does not fit is the newest one.
            Some(rest) if digits > 0 => (text[..digits].parse().unwrap_or(u32::MAX), rest),
            Some(rest) => (0, rest),
            None => (0, text),
        };
        let (version, release) = match rest.rsplit_once('-') {
            Some((version, release)) => (version, Some(release)),
            None => (rest, None),
        };
        Self {
            epoch,
            version: version.to_owned(),
            release: release.map(str::to_owned),
        }
    }

    /// rpm's order of packages: epoch, then version, then release; one without a release is older than one with.
    pub fn compare(&self, other: &Self) -> Ordering {
        self.compare_without_release(other)
            .then_with(|| match (&self.release, &other.release) {
                (Some(one), Some(two)) => vercmp(one, two),
                (one, two) => one.is_some().cmp(&two.is_some()),
            })
    }

    /// rpm's order of epoch and version alone.
    pub fn compare_without_release(&self, other: &Self) -> Ordering {
        self.epoch
            .cmp(&other.epoch)
            .then_with(|| vercmp(&self.version, &other.version))
    }

    /// Version and release without the epoch, as file names have them.
    pub fn without_epoch(&self) -> String {
        match &self.release {
            Some(release) => format!("{}-{release}", self.version),
            None => self.version.clone(),
        }
    }
}

/// rpm's order, and where that says equal (`1.0` and `1.00`) the order of the texts, so that sorting has one outcome. Whether
/// something is *newer* is a question for [`Evr::compare`].
impl Ord for Evr {
    fn cmp(&self, other: &Self) -> Ordering {
        self.compare(other)
            .then_with(|| self.version.cmp(&other.version))
            .then_with(|| self.release.cmp(&other.release))
    }
}

impl PartialOrd for Evr {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Evr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.epoch != 0 {
            write!(f, "{}:", self.epoch)?;
        }
        f.write_str(&self.version)?;
        match &self.release {
            Some(release) => write!(f, "-{release}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Evr {
    type Err = BadEvr;

    /// Reads `[epoch:]version[-release]`, strictly: the characters that rpmbuild allows, no part empty, the epoch in 32 bits.
    fn from_str(text: &str) -> Result<Self, BadEvr> {
        let bad = |rule| BadEvr {
            value: escaped(&text.chars().take(80).collect::<String>()),
            rule,
        };
        if text.len() > LONGEST {
            return Err(bad("it is longer than 512 bytes"));
        }
        let (epoch, rest) = match text.split_once(':') {
            Some((epoch, rest)) => {
                if epoch.is_empty() || !epoch.bytes().all(|b| b.is_ascii_digit()) {
                    return Err(bad("the epoch, before ':', is a whole number"));
                }
                (epoch.parse().map_err(|_| bad("the epoch is above 4294967295"))?, rest)
            }
            None => (0, text),
        };
        let (version, release) = match rest.split_once('-') {
            Some((version, release)) => (version, Some(release)),
            None => (rest, None),
        };
        if version.is_empty() {
            return Err(bad(
                "the version is empty; write [epoch:]version[-release], as in 1:2.0-alt1",
            ));
        }
        if release.is_some_and(str::is_empty) {
            return Err(bad("the release, after '-', is empty"));
        }
        let parts = [Some(version), release];
        if !parts.iter().flatten().all(|part| part.bytes().all(is_version_byte)) {
            return Err(bad(
                "version and release are letters, digits and '._+~^', with one '-' between them",
            ));
        }
        Ok(Self {
            epoch,
            version: version.to_owned(),
            release: release.map(str::to_owned),
        })
    }
}

fn is_version_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._+~^".contains(&byte)
}
