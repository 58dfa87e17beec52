//! How rows are chained: each digest covers the one before it and every column of its row.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

/// A SHA-256 digest, shown in hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest before the first row.
    pub const NONE: Self = Self([0; 32]);

    /// The digest of some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for Digest {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = BadHead;
    fn from_str(text: &str) -> Result<Self, BadHead> {
        if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(BadHead);
        }
        let mut bytes = [0; 32];
        for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| BadHead)?;
        }
        Ok(Self(bytes))
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The end of the journal: the last row's number (0 when there is none) and digest. Shown as `SEQ:DIGEST`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Head {
    /// The last row's number.
    pub seq: u64,
    /// The last row's digest.
    pub hash: Digest,
}

impl Head {
    /// The head of an empty journal.
    pub const EMPTY: Self = Self {
        seq: 0,
        hash: Digest::NONE,
    };

    /// The head after one more row.
    pub(super) fn chained(&self, columns: &Columns<'_>) -> Self {
        Self {
            seq: self.seq + 1,
            hash: columns.digest(self),
        }
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.seq, self.hash)
    }
}

/// A text that is no head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a head is written as NUMBER:DIGEST, the digest in 64 hexadecimal digits")]
pub struct BadHead;

impl FromStr for Head {
    type Err = BadHead;
    fn from_str(text: &str) -> Result<Self, BadHead> {
        let (seq, hash) = text.split_once(':').ok_or(BadHead)?;
        Ok(Self {
            seq: seq.parse().map_err(|_| BadHead)?,
            hash: hash.parse()?,
        })
    }
}

/// What a digest covers, as the columns hold it.
pub(super) struct Columns<'a> {
    pub(super) batch: u64,
    pub(super) at: &'a str,
    pub(super) version: u32,
    pub(super) kind: &'a str,
    pub(super) body: &'a str,
}

impl Columns<'_> {
    /// The digest after `before`. Texts carry their length, so that no two rows have the same bytes.
    fn digest(&self, before: &Head) -> Digest {
        let mut hasher = Sha256::new();
        hasher.update(b"windlass journal 1\n");
        hasher.update(before.hash.0);
        hasher.update((before.seq + 1).to_be_bytes());
        hasher.update(self.batch.to_be_bytes());
        hasher.update(self.version.to_be_bytes());
        for text in [self.at, self.kind, self.body] {
            hasher.update((text.len() as u64).to_be_bytes());
            hasher.update(text.as_bytes());
        }
        Digest(hasher.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_reads_back() {
        let head = Head {
            seq: 17,
            hash: Digest::of(b"x"),
        };
        assert_eq!(head.to_string().parse(), Ok(head));
        assert_eq!("17".parse::<Head>(), Err(BadHead));
        assert_eq!(format!("1:{}", "é".repeat(32)).parse::<Head>(), Err(BadHead));
    }

    #[test]
    fn moving_a_byte_between_columns_changes_the_digest() {
        let row = |kind, body| Columns {
            batch: 1,
            at: "t",
            version: 1,
            kind,
            body,
        };
        assert_ne!(row("ab", "c").digest(&Head::EMPTY), row("a", "bc").digest(&Head::EMPTY));
    }
}
