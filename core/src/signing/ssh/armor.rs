//! The envelope of an SSH signature (OpenSSH's `PROTOCOL.sshsig`), taken apart by hand.
//!
//! `ssh-key` reads it too, but not with a certificate in the place of the key, nor does it say which hash was refused.

use ssh_key::public::KeyData;
use ssh_key::{Certificate, HashAlg, PublicKey};

use super::SignerKey;
use crate::refusal::Refusal;
use crate::signing::reason;

const BEGIN: &[u8] = b"-----BEGIN SSH SIGNATURE-----";
const END: &[u8] = b"-----END SSH SIGNATURE-----";
const MAGIC: &[u8] = b"SSHSIG";
const CERTIFICATE: &[u8] = b"-cert-v01@openssh.com";

/// The fields of a signature, still in ssh's encoding.
pub(super) struct Envelope {
    pub(super) public_key: Vec<u8>,
    pub(super) namespace: Vec<u8>,
    pub(super) signature: Vec<u8>,
    hash: Vec<u8>,
}

impl Envelope {
    pub(super) fn from_armor(armored: &[u8]) -> Result<Self, &'static str> {
        let inner = armored
            .strip_prefix(BEGIN)
            .and_then(|rest| rest.trim_ascii_end().strip_suffix(END));
        let bytes = base64(inner.ok_or("it is not framed as one")?).ok_or("it is not base64")?;
        let rest = bytes.strip_prefix(MAGIC).ok_or("it does not begin with SSHSIG")?;
        let (version, mut rest) = rest.split_at_checked(4).ok_or("it is cut short")?;
        if version != [0, 0, 0, 1] {
            return Err("its version is not 1");
        }
        let mut field = || string(&mut rest).map(<[u8]>::to_vec).ok_or("it is cut short");
        let public_key = field()?;
        let namespace = field()?;
        let reserved = field()?;
        let hash = field()?;
        let signature = field()?;
        if !rest.is_empty() {
            return Err("bytes follow its last field");
        }
        if !reserved.is_empty() {
            return Err("its reserved field is not empty");
        }
        Ok(Self {
            public_key,
            namespace,
            signature,
            hash,
        })
    }

    pub(super) fn hash(&self) -> Option<HashAlg> {
        match self.hash.as_slice() {
            b"sha256" => Some(HashAlg::Sha256),
            b"sha512" => Some(HashAlg::Sha512),
            _ => None,
        }
    }

    pub(super) fn signature_algorithm(&self) -> Option<&[u8]> {
        string(&mut self.signature.as_slice())
    }

    /// The key that made the signature, and the certificate around it, if there is one.
    pub(super) fn signer(&self) -> Result<(KeyData, SignerKey), Refusal> {
        let algorithm = string(&mut self.public_key.as_slice()).unwrap_or_default();
        if algorithm.ends_with(CERTIFICATE) {
            let certificate = Certificate::from_bytes(&self.public_key)
                .map_err(|why| reason::ssh_certificate(&format!("it cannot be read: {why}")))?;
            return Ok((
                certificate.public_key().clone(),
                SignerKey::Certified(Box::new(certificate)),
            ));
        }
        let key = PublicKey::from_bytes(&self.public_key)
            .map_err(|why| reason::unsupported_signature(&format!("its key cannot be read: {why}")))?;
        Ok((key.key_data().clone(), SignerKey::Plain))
    }
}

/// One of ssh's strings: four bytes of length, and that many bytes.
fn string<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (value, after) = after.split_at_checked(length)?;
    *rest = after;
    Some(value)
}

/// Standard base64 with padding, over any lines.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count, mut padding) = (0u32, 0u32, 0u32);
    for byte in text.iter().filter(|byte| !matches!(byte, b'\n' | b'\r')) {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => {
                padding += 1;
                continue;
            }
            _ => return None,
        };
        if padding > 0 {
            return None;
        }
        bits = (bits << 6 | u32::from(value)) & 0x00ff_ffff;
        count += 1;
        if count == 4 {
            bytes.extend_from_slice(&bits.to_be_bytes()[1..]);
            (bits, count) = (0, 0);
        }
    }
    match (count, padding) {
        (0, 0) => {}
        (2, 2) => bytes.push((bits >> 4).to_be_bytes()[3]),
        (3, 1) => bytes.extend_from_slice(&(bits >> 2).to_be_bytes()[2..]),
        _ => return None,
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("", Some(""))]
    #[case("Zg==", Some("f"))]
    #[case("Zm8=", Some("fo"))]
    #[case("Zm9v\nYmFy", Some("foobar"))]
    #[case("Zg=", None)]
    #[case("Zg==Zg==", None)]
    #[case("Z", None)]
    #[case("Zm-v", None)]
    fn base64_is_strict(#[case] text: &str, #[case] bytes: Option<&str>) {
        assert_eq!(base64(text.as_bytes()).as_deref(), bytes.map(str::as_bytes));
    }
}
