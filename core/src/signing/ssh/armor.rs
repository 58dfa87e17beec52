//! The envelope of an SSH signature (OpenSSH's `PROTOCOL.sshsig`), taken apart by hand.
//!
//! `ssh-key` reads it too, but not with a certificate in the place of the key, nor does it say which hash was refused.

use ssh_key::public::KeyData;
use ssh_key::{HashAlg, PublicKey};

use super::SignerKey;
use super::certificate::Certificate;
use super::wire::{base64, string};
use crate::refusal::Refusal;
use crate::signing::reason;

const BEGIN: &[u8] = b"-----BEGIN SSH SIGNATURE-----";
const END: &[u8] = b"-----END SSH SIGNATURE-----";
const MAGIC: &[u8] = b"SSHSIG";

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
        if Certificate::is_one(&self.public_key) {
            let certificate = Certificate::parse(&self.public_key)
                .map_err(|why| reason::ssh_certificate(&format!("it cannot be read: {why}")))?;
            return Ok((certificate.key.clone(), SignerKey::Certified(Box::new(certificate))));
        }
        let key = PublicKey::from_bytes(&self.public_key)
            .map_err(|why| reason::unsupported_signature(&format!("its key cannot be read: {why}")))?;
        Ok((key.key_data().clone(), SignerKey::Plain))
    }
}
