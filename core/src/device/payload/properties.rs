//! What a server tells about a payload: sizes and digests, in `payload_properties.txt`'s words too.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::escape::escaped;
use crate::hex::hex;

/// A SHA-256. As text and in JSON it is base64, as in `payload_properties.txt`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

/// What a payload is known by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Properties {
    /// The file's size in bytes.
    pub file_size: u64,
    /// SHA-256 of the file.
    pub file_hash: Digest,
    /// SHA-1 of the file in base64, which the oldest updaters ask for; not in `payload_properties.txt`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_sha1: Option<String>,
    /// The size in bytes of header and manifest.
    pub metadata_size: u64,
    /// SHA-256 of header and manifest.
    pub metadata_hash: Digest,
}

/// A text that is no `payload_properties.txt`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the payload's properties have {0}\n\nhint: `windlass payload properties PAYLOAD` prints them: FILE_HASH, FILE_SIZE, METADATA_HASH, METADATA_SIZE"
)]
pub struct BadProperties(String);

impl Digest {
    /// SHA-256 of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// A digest that a message holds, if it has the right length.
    pub fn of_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// As hexadecimal digits.
    pub fn hex(&self) -> String {
        hex(&self.0)
    }

    /// In base64.
    pub fn base64(&self) -> String {
        STANDARD.encode(self.0)
    }
}

impl From<[u8; 32]> for Digest {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.base64())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hex())
    }
}

impl FromStr for Digest {
    type Err = BadProperties;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        STANDARD
            .decode(text)
            .ok()
            .and_then(|bytes| Self::of_bytes(&bytes))
            .ok_or_else(|| {
                let shown: String = text.chars().take(100).collect();
                BadProperties(format!("'{}', which is no SHA-256 in base64", escaped(&shown)))
            })
    }
}

impl TryFrom<String> for Digest {
    type Error = BadProperties;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.base64()
    }
}

impl fmt::Display for Properties {
    /// As `payload_properties.txt`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "FILE_HASH={}", self.file_hash)?;
        writeln!(f, "FILE_SIZE={}", self.file_size)?;
        writeln!(f, "METADATA_HASH={}", self.metadata_hash)?;
        writeln!(f, "METADATA_SIZE={}", self.metadata_size)
    }
}

impl FromStr for Properties {
    type Err = BadProperties;

    /// Reads a `payload_properties.txt`. Its other keys are for the device's updater.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let value = |key: &str| {
            let mut values = text.lines().filter_map(|line| {
                let (name, value) = line.split_once('=')?;
                (name.trim() == key).then(|| value.trim())
            });
            match (values.next(), values.next()) {
                (Some(value), None) => Ok(value),
                (None, _) => Err(BadProperties(format!("no {key}"))),
                (Some(_), Some(_)) => Err(BadProperties(format!("{key} twice"))),
            }
        };
        let size = |key: &str| {
            value(key)?
                .parse()
                .map_err(|_| BadProperties(format!("a {key} that is no number")))
        };
        Ok(Self {
            file_size: size("FILE_SIZE")?,
            file_hash: value("FILE_HASH")?.parse()?,
            file_sha1: None,
            metadata_size: size("METADATA_SIZE")?,
            metadata_hash: value("METADATA_HASH")?.parse()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_read() {
        let properties = Properties {
            file_size: 7,
            file_hash: Digest::of(b"file"),
            file_sha1: None,
            metadata_size: 3,
            metadata_hash: Digest::of(b"metadata"),
        };
        let text = properties.to_string();
        assert_eq!(text.lines().nth(1), Some("FILE_SIZE=7"));
        assert_eq!(text.parse(), Ok(properties.clone()));
        let with_more = format!("{text}SWITCH_SLOT_ON_REBOOT=1\n");
        assert_eq!(with_more.parse(), Ok(properties));
    }

    #[test]
    fn what_is_missing_or_doubtful_is_told() {
        let said = |text: &str| text.parse::<Properties>().unwrap_err().0;
        assert_eq!(said(""), "no FILE_SIZE");
        assert_eq!(said("FILE_SIZE=1\nFILE_SIZE=2"), "FILE_SIZE twice");
        assert_eq!(said("FILE_SIZE=-1"), "a FILE_SIZE that is no number");
        assert_eq!(
            said("FILE_SIZE=1\nFILE_HASH=abc"),
            "'abc', which is no SHA-256 in base64"
        );
    }

    #[test]
    fn a_digest_is_hex_here_and_base64_there() {
        let digest = Digest::of(b"");
        assert_eq!(digest.base64(), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
        assert_eq!(
            digest.hex(),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert_eq!(serde_json::to_string(&digest).unwrap(), format!("\"{digest}\""));
    }
}
