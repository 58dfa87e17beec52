//! The first 24 bytes of a payload.

use super::limits;
use super::problem::{Place, Problem};

/// How long the manifest and its signature are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The manifest's size in bytes.
    pub manifest_size: u64,
    /// The size in bytes of the metadata's signature; 0 where there is none.
    pub signature_size: u32,
}

impl Header {
    /// The header's own size.
    pub const LENGTH: usize = 24;
    const MAGIC: [u8; 4] = *b"CrAU";
    const VERSION: u64 = 2;

    /// Reads it.
    pub fn parse(bytes: &[u8; Self::LENGTH]) -> Result<Self, Problem> {
        let wrong = |what: String| Problem {
            place: Place::Header,
            what,
        };
        if bytes[..4] != Self::MAGIC {
            return Err(wrong("does not begin with CrAU: this is no update payload".to_owned()));
        }
        let number = |at: usize| {
            let mut eight = [0; 8];
            eight.copy_from_slice(&bytes[at..at + 8]);
            u64::from_be_bytes(eight)
        };
        let version = number(4);
        if version != Self::VERSION {
            return Err(wrong(format!("says version {version}, and only version 2 is known")));
        }
        let manifest_size = number(12);
        if manifest_size == 0 || manifest_size > limits::MANIFEST {
            return Err(wrong(format!(
                "says that the manifest has {manifest_size} bytes; it has 1 to {}",
                limits::MANIFEST
            )));
        }
        let signature_size = u32::from_be_bytes([bytes[20], bytes[21], bytes[22], bytes[23]]);
        if u64::from(signature_size) > limits::SIGNATURE {
            return Err(wrong(format!(
                "says that the metadata's signature has {signature_size} bytes; {} are the most",
                limits::SIGNATURE
            )));
        }
        Ok(Self {
            manifest_size,
            signature_size,
        })
    }

    /// Its bytes.
    pub fn write(&self) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        bytes[..4].copy_from_slice(&Self::MAGIC);
        bytes[4..12].copy_from_slice(&Self::VERSION.to_be_bytes());
        bytes[12..20].copy_from_slice(&self.manifest_size.to_be_bytes());
        bytes[20..].copy_from_slice(&self.signature_size.to_be_bytes());
        bytes
    }

    /// The size of header and manifest: what the metadata's hash and signature are over.
    pub fn metadata_size(&self) -> u64 {
        Self::LENGTH as u64 + self.manifest_size
    }

    /// Where the first blob begins.
    pub fn blobs(&self) -> u64 {
        self.metadata_size() + u64::from(self.signature_size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let header = Header {
            manifest_size: 0x1234,
            signature_size: 264,
        };
        let bytes = header.write();
        assert_eq!(&bytes, b"CrAU\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\x12\x34\0\0\x01\x08");
        assert_eq!(Header::parse(&bytes), Ok(header));
    }

    #[test]
    fn what_is_no_payload_is_told() {
        let good = Header {
            manifest_size: 1,
            signature_size: 0,
        };
        for (at, said) in [
            (0, "the header does not begin with CrAU: this is no update payload"),
            (
                4,
                "the header says version 72057594037927938, and only version 2 is known",
            ),
            (
                12,
                "the header says that the manifest has 72057594037927937 bytes; it has 1 to 33554432",
            ),
            (
                20,
                "the header says that the metadata's signature has 16777216 bytes; 65536 are the most",
            ),
        ] {
            let mut bytes = good.write();
            bytes[at] ^= 1;
            assert_eq!(Header::parse(&bytes).unwrap_err().to_string(), said);
        }
    }
}
