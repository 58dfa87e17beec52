//! Keys in files: the private one that signs, the public one that verifies.

use std::fmt;
use std::path::Path;

use ring::rand::SystemRandom;
use ring::rsa::KeyPair;
use ring::signature::RSA_PKCS1_SHA256;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use windlass_core::device::payload::Digest;
use windlass_core::device::payload::signature::{self, PublicKey};

use super::PayloadError;

/// The most bytes of a key's file.
const LARGEST: u64 = 64 << 10;

/// A key that signs payloads.
pub struct SigningKey {
    pair: KeyPair,
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
        let pair = if let PrivateKeyDer::Pkcs8(der) = &der {
            KeyPair::from_pkcs8(der.secret_pkcs8_der())
        } else if let PrivateKeyDer::Pkcs1(der) = &der {
            KeyPair::from_der(der.secret_pkcs1_der())
        } else {
            return Err(bad("it is not an RSA key".to_owned()));
        };
        let pair = pair.map_err(|error| bad(error.to_string()))?;
        let public = PublicKey::from_pkcs1(pair.public().as_ref()).map_err(|error| bad(error.to_string()))?;
        Ok(Self { pair, public })
    }

    /// The size of a signature's message by this key.
    pub fn message_size(&self) -> usize {
        signature::size(self.pair.public().modulus_len())
    }

    /// Signs; what was signed is verified before it is given away, so that a processor's fault does not give the key away.
    ///
    /// # Errors
    /// There is no randomness, or the signature came out wrong; in words.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, String> {
        let mut bytes = vec![0; self.pair.public().modulus_len()];
        self.pair
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut bytes)
            .map_err(|_| "the key could not sign".to_owned())?;
        if self.public.verifies(&Digest::of(message), &bytes) {
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
