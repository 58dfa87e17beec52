//! SSH signatures, as `ssh-keygen -Y sign` makes them for git: whose they are and whether they hold.
//!
//! Keys come from the people's files and from an `allowed_signers` file. Such a signature says nothing of when it was
//! made, so that it is judged by the server's time alone.

pub mod allowed_signers;
mod armor;
mod certificate;
mod verify;
mod wire;

use ssh_key::public::KeyData;
use ssh_key::{Algorithm, HashAlg, SshSig};

use super::KeyHint;
use super::reason;
use crate::id::Fingerprint;
use crate::refusal::Refusal;
use armor::Envelope;
use certificate::Certificate;

pub(super) use verify::Known;
pub use verify::{fingerprint_of, weakness_of};

/// The namespace in which git signs.
const NAMESPACE: &str = "git";

/// RSA keys shorter than this are refused, as OpenPGP's are.
const SHORTEST_RSA: usize = 2048;

/// A signature over a tag's bytes, read but not verified.
pub(super) struct SshSignature {
    signature: SshSig,
    signer: SignerKey,
}

/// What made the signature.
enum SignerKey {
    /// A key by itself.
    Plain,
    /// A key that an authority certified.
    Certified(Box<Certificate>),
}

impl SshSignature {
    /// Reads the armored signature.
    pub(super) fn parse(armored: &[u8]) -> Result<Self, Vec<Refusal>> {
        let one = |refusal| vec![refusal];
        let envelope = Envelope::from_armor(armored).map_err(|why| one(reason::bad_armor(why)))?;
        let mut reasons = Vec::new();
        if envelope.namespace != NAMESPACE.as_bytes() {
            reasons.push(reason::wrong_namespace(&String::from_utf8_lossy(&envelope.namespace)));
        }
        if envelope.signature_algorithm() == Some(b"ssh-rsa") {
            reasons.push(reason::weak_hash("SHA-1 (ssh-rsa)"));
        }
        if envelope.signature_algorithm() == Some(b"ssh-dss") {
            reasons.push(reason::weak_hash("SHA-1 (ssh-dss)"));
        }
        if !reasons.is_empty() {
            return Err(reasons);
        }
        let (key, signer) = envelope.signer().map_err(one)?;
        if weakness(&key).is_some() {
            return Err(one(reason::weak_ssh_key(&key.fingerprint(HashAlg::Sha256).to_string())));
        }
        let unsupported = |why: &ssh_key::Error| one(reason::unsupported_signature(&why.to_string()));
        let hash = envelope
            .hash()
            .ok_or_else(|| one(reason::unsupported_signature("its hash is not sha256 or sha512")))?;
        let raw = ssh_key::Signature::try_from(envelope.signature.as_slice()).map_err(|why| unsupported(&why))?;
        let signature = SshSig::new(key, NAMESPACE, hash, raw).map_err(|why| unsupported(&why))?;
        Ok(Self { signature, signer })
    }

    /// The keys by which whoever may sign is looked up: the signing key's, and the authority's that certified it.
    pub(super) fn hints(&self) -> Vec<KeyHint> {
        let mut hints = vec![KeyHint(self.fingerprint_text())];
        if let SignerKey::Certified(certificate) = &self.signer {
            hints.push(KeyHint(certificate.authority.fingerprint(HashAlg::Sha256).to_string()));
        }
        hints
    }

    fn fingerprint_text(&self) -> String {
        self.signature.public_key().fingerprint(HashAlg::Sha256).to_string()
    }

    fn fingerprint(&self) -> Option<Fingerprint> {
        self.fingerprint_text().parse().ok()
    }

    /// Whether the mathematics hold.
    fn holds(&self, payload: &[u8]) -> bool {
        let key = ssh_key::PublicKey::from(self.signature.public_key().clone());
        key.verify(NAMESPACE, payload, &self.signature).is_ok()
    }

    fn algorithm(&self) -> Algorithm {
        self.signature.algorithm()
    }
}

/// Why a key is not taken, if it is too weak.
fn weakness(key: &KeyData) -> Option<&'static str> {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the enum is not ours and open; two of its kinds can be weak"
    )]
    match key {
        KeyData::Rsa(rsa) if rsa.n.as_positive_bytes().map_or(0, <[u8]>::len) * 8 < SHORTEST_RSA => {
            Some("an RSA key of less than 2048 bits")
        }
        KeyData::Dsa(_) => Some("a DSA key"),
        _ => None,
    }
}
