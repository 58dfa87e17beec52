//! Keys in files: the private one that signs, the public one that verifies.

use std::fmt;
use std::path::Path;

use rsa::pkcs1::{DecodeRsaPrivateKey as _, EncodeRsaPublicKey as _};
use rsa::pkcs8::DecodePrivateKey as _;
use rsa::rand_core::OsRng;
use rsa::traits::PublicKeyParts as _;
use rsa::{Pkcs1v15Sign, RsaPrivateKey};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use windlass_core::device::payload::Digest;
use windlass_core::device::payload::signature::{self, PublicKey};

use super::PayloadError;

/// The most bytes of a key's file.
const LARGEST: u64 = 64 << 10;

/// The fewest bits of a key's modulus; devices refuse shorter ones.
const LEAST_BITS: usize = 2048;

/// What stands before a digest of SHA-256 in what RSA signs: RFC 8017, section 9.2, note 1.
const SHA256: [u8; 19] = [
    0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20,
];

/// A key that signs payloads.
pub struct SigningKey {
    key: RsaPrivateKey,
    public: PublicKey,
}

impl SigningKey {
    /// Reads an RSA key in PEM, `BEGIN PRIVATE KEY` or `BEGIN RSA PRIVATE KEY`.
    ///
    /// # Errors
    /// The file cannot be read, or holds something else.
    pub fn read(path: &Path) -> Result<Self, PayloadError> {
        let bad = |why: String| PayloadError::Key {
            path: path.to_owned(),
            why,
        };
        let pem = text(path)?;
        let der = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|error| bad(error.to_string()))?;
        let key = if let PrivateKeyDer::Pkcs8(der) = &der {
            RsaPrivateKey::from_pkcs8_der(der.secret_pkcs8_der()).map_err(|error| bad(error.to_string()))?
        } else if let PrivateKeyDer::Pkcs1(der) = &der {
            RsaPrivateKey::from_pkcs1_der(der.secret_pkcs1_der()).map_err(|error| bad(error.to_string()))?
        } else {
            return Err(bad("it is not an RSA key".to_owned()));
        };
        let bits = key.size() * 8;
        if bits < LEAST_BITS {
            return Err(bad(format!("it has {bits} bits, and {LEAST_BITS} are the fewest")));
        }
        let public = key
            .to_public_key()
            .to_pkcs1_der()
            .map_err(|error| bad(error.to_string()))?;
        let public = PublicKey::from_pkcs1(public.as_bytes()).map_err(|error| bad(error.to_string()))?;
        Ok(Self { key, public })
    }

    /// The size of a signature's message by this key.
    pub fn message_size(&self) -> usize {
        signature::size(self.key.size())
    }

    /// Signs what has this digest. The signature is verified before it is given away, so that a processor's fault does not give the key away.
    ///
    /// # Errors
    /// The key cannot sign, or the signature came out wrong; in words.
    pub fn sign(&self, digest: &Digest) -> Result<Vec<u8>, String> {
        let padding = Pkcs1v15Sign {
            hash_len: Some(digest.bytes().len()),
            prefix: SHA256.into(),
        };
        let bytes = self
            .key
            .sign_with_rng(&mut OsRng, padding, digest.bytes())
            .map_err(|error| format!("the key could not sign: {error}"))?;
        if self.public.verifies(digest, &bytes) {
            Ok(signature::write(&bytes))
        } else {
            Err("the signature came out wrong".to_owned())
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey")
    }
}

/// Reads a public key in PEM.
///
/// # Errors
/// The file cannot be read, or holds something else.
pub fn public_key(path: &Path) -> Result<PublicKey, PayloadError> {
    PublicKey::from_pem(&text(path)?).map_err(|error| PayloadError::PublicKey {
        path: path.to_owned(),
        error,
    })
}

/// A small file's text.
pub(crate) fn text(path: &Path) -> Result<String, PayloadError> {
    use std::io::Read as _;
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(PayloadError::file(path))?;
    file.take(LARGEST)
        .read_to_string(&mut text)
        .map_err(PayloadError::file(path))?;
    Ok(text)
}
