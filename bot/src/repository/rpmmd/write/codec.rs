//! The two codecs of a repository's metadata, and digests.

use std::io::{self, Read as _, Write as _};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use windlass_core::hex::hex;

/// How metadata is compressed. One a repository: two forms of the same data in one `repomd.xml` make dnf 4.14 refuse it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Codec {
    /// Zstandard.
    #[default]
    Zstd,
    /// gzip, for old clients.
    Gzip,
}

/// zstd's level: well past it, time grows faster than files shrink.
const ZSTD_LEVEL: i32 = 9;

impl Codec {
    /// How a file name ends.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Zstd => "zst",
            Self::Gzip => "gz",
        }
    }

    /// One frame, or one member. The same bytes give the same bytes.
    pub(super) fn compress(self, text: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::Zstd => zstd::bulk::compress(text, ZSTD_LEVEL),
            Self::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
                encoder.write_all(text)?;
                encoder.finish()
            }
        }
    }

    /// The text of one or more frames or members, of at most so many bytes.
    pub(super) fn decompress(self, bytes: &[u8], most: u64) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        let read = match self {
            Self::Zstd => zstd::Decoder::new(bytes)?.take(most + 1).read_to_end(&mut text)?,
            Self::Gzip => flate2::read::MultiGzDecoder::new(bytes)
                .take(most + 1)
                .read_to_end(&mut text)?,
        };
        if read as u64 > most {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "it is larger than it may be",
            ));
        }
        Ok(text)
    }
}

/// The SHA-256 in hexadecimal digits.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_members_read_as_one() {
        for codec in [Codec::Zstd, Codec::Gzip] {
            let mut row = codec.compress(b"one").unwrap();
            row.extend(codec.compress(b"two").unwrap());
            assert_eq!(codec.decompress(&row, 6).unwrap(), b"onetwo");
            assert!(codec.decompress(&row, 5).is_err());
            assert_eq!(codec.compress(b"one").unwrap(), codec.compress(b"one").unwrap());
        }
    }
}
