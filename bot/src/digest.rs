//! SHA-256 of what is read, as hexadecimal digits.

use std::io::{self, Read};

use sha2::{Digest as _, Sha256};
use windlass_core::hex::hex;

/// The digest and the length of all that can be read.
pub(crate) fn sha256_of(mut from: impl Read) -> io::Result<(String, u64)> {
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 128 << 10];
    let mut size = 0;
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok((hex(&digest.finalize()), size)),
            Ok(read) => {
                digest.update(&buffer[..read]);
                size += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
