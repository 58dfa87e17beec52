//! OpenPGP signatures: what one says, and whether it holds.
//!
//! `Detached::parse` reads the one signature that a tag may carry; `Detached::verify` lets Sequoia decide as of
//! the signature's own time, and then asks once more as of now, since by its own time alone a backdated signature
//! of a key that has expired or was revoked since would pass.

mod certificates;
pub mod renew;
mod standing;
mod verify;

use std::io::Read as _;

use jiff::Timestamp;
use sequoia_openpgp::armor;
use sequoia_openpgp::cert::raw::{RawCert, RawCertParser};
use sequoia_openpgp::packet::Signature;
use sequoia_openpgp::parse::{PacketParser, PacketParserResult, Parse};
use sequoia_openpgp::types::{HashAlgorithm, SignatureType};
use sequoia_openpgp::{Cert, KeyHandle, Packet};

use super::KeyHint;
use super::reason;
use crate::id::Fingerprint;
use crate::refusal::Refusal;

pub use certificates::Certificates;
pub use standing::{Fault, FaultKind, Standing};
pub(super) use standing::{SigningKey, signing_keys};
pub(super) use verify::Outcome;

/// A signature that names more keys than this is looked up by the first ones only.
const MOST_ISSUERS: usize = 8;

/// A signature over a tag's bytes, read but not verified.
pub(super) struct Detached {
    signature: Signature,
    bytes: Vec<u8>,
}

impl Detached {
    /// Reads the armored signature: exactly one packet, a signature over data, version 4 or later.
    pub(super) fn parse(armored: &[u8]) -> Result<Self, Vec<Refusal>> {
        let unreadable = |why: &dyn std::fmt::Display| vec![reason::bad_armor(&why.to_string())];
        let mut bytes = Vec::new();
        let mode = armor::ReaderMode::Tolerant(Some(armor::Kind::Signature));
        armor::Reader::from_bytes(armored, mode)
            .read_to_end(&mut bytes)
            .map_err(|why| unreadable(&why))?;
        let (mut signatures, others) = packets(&bytes).map_err(|why| unreadable(&why))?;
        if let Some(other) = others.first() {
            return Err(vec![reason::unsupported_signature(&format!(
                "it holds a packet of type '{other}'"
            ))]);
        }
        let count = signatures.len();
        let Some(signature) = signatures.pop() else {
            return Err(unreadable(&"it is empty"));
        };
        if count > 1 {
            return Err(vec![reason::many_signatures(count)]);
        }
        Ok(Self { signature, bytes })
    }

    /// The keys that the signature names.
    pub(super) fn hints(&self) -> Vec<KeyHint> {
        self.issuers().map(|issuer| hint(&issuer)).collect()
    }

    fn issuers(&self) -> impl Iterator<Item = KeyHandle> {
        self.signature.get_issuers().into_iter().take(MOST_ISSUERS)
    }

    /// When the signature says that it was made.
    pub(super) fn made_at(&self) -> Option<Timestamp> {
        self.signature
            .signature_creation_time()
            .and_then(|time| Timestamp::try_from(time).ok())
    }

    /// What is wrong with the signature itself, whoever made it.
    fn form(&self) -> Vec<Refusal> {
        let mut reasons = Vec::new();
        if self.signature.version() < 4 {
            reasons.push(reason::unsupported_signature(&format!(
                "it is of version {}",
                self.signature.version()
            )));
        }
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "Sequoia's enum has every type there is; two matter here"
        )]
        match self.signature.typ() {
            SignatureType::Binary => {}
            SignatureType::Text => reasons.push(reason::text_signature()),
            other => reasons.push(reason::wrong_signature_type(&other.to_string())),
        }
        if is_weak(self.signature.hash_algo()) {
            reasons.push(reason::weak_hash(&self.signature.hash_algo().to_string()));
        }
        reasons
    }
}

/// The signatures in a stream of packets, and the names of whatever else is in it.
fn packets(bytes: &[u8]) -> sequoia_openpgp::Result<(Vec<Signature>, Vec<String>)> {
    let mut signatures = Vec::new();
    let mut others = Vec::new();
    let mut parser = PacketParser::from_bytes(bytes)?;
    while let PacketParserResult::Some(packet) = parser {
        let (packet, rest) = packet.next()?;
        parser = rest;
        if let Packet::Signature(signature) = packet {
            signatures.push(signature);
        } else {
            others.push(packet.tag().to_string());
        }
    }
    Ok((signatures, others))
}

/// Hashes over which a forged signature can be made: they are refused for data whatever the settings say.
fn is_weak(hash: HashAlgorithm) -> bool {
    matches!(hash, HashAlgorithm::MD5 | HashAlgorithm::SHA1 | HashAlgorithm::RipeMD)
}

fn hint(handle: &KeyHandle) -> KeyHint {
    KeyHint(handle.to_hex())
}

/// Sequoia's fingerprint as ours; it has only kinds that ours has, or unknown ones, which have no name here.
fn fingerprint(theirs: &sequoia_openpgp::Fingerprint) -> Option<Fingerprint> {
    theirs.to_hex().parse().ok()
}

/// The certificate that has a key, if one of these armored (or binary) texts holds it. Only that one is parsed whole.
pub(super) fn certificate_with(texts: &[String], wanted: &[KeyHandle]) -> Result<Option<Cert>, String> {
    for text in texts {
        let Ok(parser) = RawCertParser::from_bytes(text.as_bytes()) else {
            continue;
        };
        for raw in parser.flatten() {
            let has_it = raw.keys().any(|key| {
                let handle = KeyHandle::from(key.fingerprint());
                wanted.iter().any(|issuer| issuer.aliases(&handle))
            });
            if has_it {
                return Cert::try_from(raw).map(Some).map_err(|why| format!("{why:#}"));
            }
        }
    }
    Ok(None)
}

/// Every certificate in a text, armored or binary, without parsing any of them whole: what an index needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    /// The certificate's fingerprint.
    pub fingerprint: Fingerprint,
    /// Fingerprints of the certificate and its subkeys, and their key ids, in upper-case hexadecimal digits.
    pub handles: Vec<String>,
    /// Addresses in its user ids. Nothing vouches for them: who put the certificate there does.
    pub addresses: Vec<String>,
    /// The certificate in armor.
    pub armored: String,
}

impl Outline {
    /// Reads the outlines of all certificates in a file's bytes.
    ///
    /// # Errors
    /// Why the bytes, or one of the certificates, cannot be read.
    pub fn of_all(bytes: &[u8]) -> Result<Vec<Self>, String> {
        let parser = RawCertParser::from_bytes(bytes).map_err(|why| format!("{why:#}"))?;
        let mut outlines = Vec::new();
        for raw in parser {
            let raw = raw.map_err(|why| format!("{why:#}"))?;
            let handles = handles(&raw);
            let addresses = raw
                .userids()
                .filter_map(|id| id.email().ok().flatten().map(str::to_owned))
                .collect();
            let Some(fingerprint) = fingerprint(&raw.fingerprint()) else {
                return Err("a certificate of an unknown version".to_owned());
            };
            let armored = armored(raw.as_bytes()).map_err(|why| why.to_string())?;
            outlines.push(Self {
                fingerprint,
                handles,
                addresses,
                armored,
            });
        }
        Ok(outlines)
    }
}

/// The [`Outline::handles`] of all certificates in a file's bytes, and nothing else of them.
///
/// # Errors
/// Why the bytes, or one of the certificates, cannot be read.
pub fn handles_of_all(bytes: &[u8]) -> Result<Vec<String>, String> {
    let parser = RawCertParser::from_bytes(bytes).map_err(|why| format!("{why:#}"))?;
    let mut all = Vec::new();
    for raw in parser {
        all.extend(handles(&raw.map_err(|why| format!("{why:#}"))?));
    }
    Ok(all)
}

fn handles(raw: &RawCert<'_>) -> Vec<String> {
    raw.keys()
        .flat_map(|key| [key.fingerprint().to_hex(), key.keyid().to_hex()])
        .collect()
}

fn armored(bytes: &[u8]) -> std::io::Result<String> {
    use std::io::Write as _;
    let mut writer = armor::Writer::new(Vec::new(), armor::Kind::PublicKey)?;
    writer.write_all(bytes)?;
    String::from_utf8(writer.finalize()?).map_err(std::io::Error::other)
}
