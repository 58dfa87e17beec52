//! Signatures: RSA, PKCS#1 v1.5, over SHA-256; in a message that may hold several.
//!
//! The manifest says how long the payload's signature is, and the signature is over the manifest: its size has to be known before
//! there is one. [`size`] tells it.

use std::time::SystemTime;

use pkcs8::der::Decode as _;
use pkcs8::der::asn1::ObjectIdentifier;
use pkcs8::{Document, SubjectPublicKeyInfoRef};
use prost::Message as _;
use sequoia_openpgp::crypto::mpi::{MPI, PublicKey as Numbers, Signature as SignatureNumbers};
use sequoia_openpgp::packet::Key;
use sequoia_openpgp::packet::key::{Key4, PublicParts, UnspecifiedRole};
use sequoia_openpgp::types::{HashAlgorithm, PublicKeyAlgorithm};

use super::{Digest, limits};

/// rsaEncryption.
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// The version that signatures carry here, as older clients want it.
const VERSION: u32 = 1;

/// `Signatures` of `update_metadata.proto`.
#[derive(Clone, PartialEq, prost::Message)]
struct Signatures {
    #[prost(message, repeated, tag = "1")]
    signatures: Vec<Signature>,
}

/// One of them.
#[derive(Clone, PartialEq, prost::Message)]
struct Signature {
    #[prost(uint32, optional, tag = "1")]
    version: Option<u32>,
    #[prost(bytes = "vec", optional, tag = "2")]
    data: Option<Vec<u8>>,
    /// How much of the data counts, where some was added to fill it up.
    #[prost(fixed32, optional, tag = "3")]
    unpadded_size: Option<u32>,
}

/// A message with one signature.
pub fn write(signature: &[u8]) -> Vec<u8> {
    Signatures {
        signatures: vec![Signature {
            version: Some(VERSION),
            data: Some(signature.to_vec()),
            unpadded_size: None,
        }],
    }
    .encode_to_vec()
}

/// The size of the message for a key whose modulus has so many bytes.
pub fn size(modulus: usize) -> usize {
    write(&vec![0; modulus]).len()
}

/// The signatures of a message. Nothing in it can be other than it is read: a changed bit is seen, even one that no signature is over.
///
/// # Errors
/// What is wrong, as the rest of a sentence.
pub fn read(message: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    if message.len() as u64 > limits::SIGNATURE {
        return Err(format!("has more than {} bytes", limits::SIGNATURE));
    }
    let read = Signatures::decode(message).map_err(|error| format!("cannot be read: {error}"))?;
    if read.encode_to_vec() != message {
        return Err("holds something beside signatures".to_owned());
    }
    if read.signatures.is_empty() {
        return Err("holds no signature".to_owned());
    }
    read.signatures.into_iter().map(Signature::bytes).collect()
}

impl Signature {
    fn bytes(self) -> Result<Vec<u8>, String> {
        if self.version.is_some_and(|version| version != VERSION) {
            return Err(format!("has version {}; only {VERSION} is known", self.version()));
        }
        let mut data = self.data.unwrap_or_default();
        if let Some(size) = self.unpadded_size {
            let size = size as usize;
            if size > data.len() || data[size..].iter().any(|byte| *byte != 0) {
                return Err("is not filled up with zeros".to_owned());
            }
            data.truncate(size);
        }
        Ok(data)
    }
}

/// A key that payloads are verified with.
#[derive(Debug, Clone)]
pub struct PublicKey(Key<PublicParts, UnspecifiedRole>);

/// A text that is no such key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is no public key for payloads: {0}\n\nhint: `openssl rsa -in KEY.pem -pubout` prints one: RSA, 2048 to 4096 bits, in PEM"
)]
pub struct BadPublicKey(String);

impl PublicKey {
    /// The bits that a key may have.
    pub const BITS: std::ops::RangeInclusive<usize> = 2048..=4096;

    /// Reads `-----BEGIN PUBLIC KEY-----` or `-----BEGIN RSA PUBLIC KEY-----`.
    ///
    /// # Errors
    /// It is something else, or the key is not RSA or too small or too large.
    pub fn from_pem(pem: &str) -> Result<Self, BadPublicKey> {
        let (label, document) = Document::from_pem(pem).map_err(|error| BadPublicKey(error.to_string()))?;
        match label {
            "PUBLIC KEY" => {
                let info = SubjectPublicKeyInfoRef::from_der(document.as_bytes())
                    .map_err(|error| BadPublicKey(error.to_string()))?;
                if info.algorithm.oid != RSA {
                    return Err(BadPublicKey("it is not an RSA key".to_owned()));
                }
                let bits = info.subject_public_key.as_bytes();
                Self::from_pkcs1(bits.ok_or_else(|| BadPublicKey("its bits are no bytes".to_owned()))?)
            }
            "RSA PUBLIC KEY" => Self::from_pkcs1(document.as_bytes()),
            other => Err(BadPublicKey(format!("it says {other}"))),
        }
    }

    /// Reads an `RSAPublicKey` in DER.
    ///
    /// # Errors
    /// It is something else, or the key is too small or too large.
    pub fn from_pkcs1(der: &[u8]) -> Result<Self, BadPublicKey> {
        let key = pkcs1::RsaPublicKey::from_der(der).map_err(|error| BadPublicKey(error.to_string()))?;
        let numbers = Numbers::RSA {
            e: MPI::new(key.public_exponent.as_bytes()),
            n: MPI::new(key.modulus.as_bytes()),
        };
        let bits = numbers.bits().unwrap_or(0);
        if !Self::BITS.contains(&bits) {
            return Err(BadPublicKey(format!("it has {bits} bits")));
        }
        // The time belongs to OpenPGP, and no signature depends on it.
        Key4::new(SystemTime::UNIX_EPOCH, PublicKeyAlgorithm::RSAEncryptSign, numbers)
            .map(|key| Self(key.into()))
            .map_err(|error| BadPublicKey(error.to_string()))
    }

    /// Whether this is a signature by this key over something with this digest.
    pub fn verifies(&self, digest: &Digest, signature: &[u8]) -> bool {
        // Of the right length: zeros before it are not the same signature.
        let length = self.0.mpis().bits().unwrap_or(0).div_ceil(8);
        let numbers = SignatureNumbers::RSA { s: MPI::new(signature) };
        signature.len() == length && self.0.verify(&numbers, HashAlgorithm::SHA256, digest.bytes()).is_ok()
    }

    /// Judges a message: one of its signatures has to be by this key.
    ///
    /// # Errors
    /// What is wrong, as the rest of a sentence.
    pub fn judge(&self, digest: &Digest, message: &[u8]) -> Result<(), String> {
        let signatures = read(message)?;
        if signatures.iter().any(|signature| self.verifies(digest, signature)) {
            Ok(())
        } else {
            Err("is not by this key over these bytes".to_owned())
        }
    }
}

#[cfg(test)]
mod tests;
