//! How a key stands at a moment: whether it is held together by sound signatures, alive, meant for signing, not revoked.
//!
//! Used twice for a tag (as of the signature's time and as of now) and by the keyring's lint.

use std::time::SystemTime;

use jiff::Timestamp;
use sequoia_openpgp::cert::amalgamation::key::{ErasedKeyAmalgamation, ValidErasedKeyAmalgamation};
use sequoia_openpgp::cert::amalgamation::{ValidAmalgamation as _, ValidateAmalgamation as _};
use sequoia_openpgp::packet::{Signature, key::PublicParts};
use sequoia_openpgp::policy::{HashAlgoSecurity, Policy as Rules, StandardPolicy};
use sequoia_openpgp::types::{HashAlgorithm, ReasonForRevocation, RevocationStatus, RevocationType};
use sequoia_openpgp::{Cert, Fingerprint, KeyHandle, Packet};

/// What is wrong with a key at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Which kind of fault.
    pub kind: FaultKind,
    /// What about it, for people.
    pub detail: String,
}

/// The kinds of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// The certificate or the key did not exist, or was not bound, yet.
    NotYetValid,
    /// The certificate or the key has expired.
    Expired,
    /// It was revoked in a way that leaves older signatures good: superseded, retired.
    Retired,
    /// It was revoked as compromised, or without a reason.
    Compromised,
    /// It is not for signing data.
    NotForSigning,
    /// It is held together by signatures over SHA-1.
    Sha1SelfSignature,
    /// Its algorithm or size is too weak.
    WeakKey,
    /// The certificate is broken.
    Broken,
}

/// The faults of one key at one moment; none is good.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing {
    /// Every fault found.
    pub faults: Vec<Fault>,
    /// When the key, or its certificate, ends: the earlier of the two.
    pub expires: Option<SystemTime>,
}

/// Accepts everything. Revocations are looked at with this too: one that is made over a weak hash, or that carries a critical
/// part which nobody knows, is still the owner's word that the key is not to be used.
#[derive(Debug)]
struct Lenient;

impl Rules for Lenient {
    fn signature(&self, _: &Signature, _: HashAlgoSecurity) -> sequoia_openpgp::Result<()> {
        Ok(())
    }

    fn key(&self, _: &ValidErasedKeyAmalgamation<'_, PublicParts>) -> sequoia_openpgp::Result<()> {
        Ok(())
    }

    fn packet(&self, _: &Packet) -> sequoia_openpgp::Result<()> {
        Ok(())
    }
}

/// The rules for certificates and signatures as of the server's time.
///
/// SHA-1 is refused whatever the date; with the switch, taken in what holds certificates together, never over data.
pub(super) fn rules(now: SystemTime, sha1_self_signatures: Sha1SelfSignatures) -> StandardPolicy<'static> {
    let mut rules = StandardPolicy::at(now);
    for hash in [HashAlgorithm::MD5, HashAlgorithm::RipeMD, HashAlgorithm::SHA1] {
        rules.reject_hash(hash);
    }
    if sha1_self_signatures == Sha1SelfSignatures::Taken {
        rules.accept_hash_property(HashAlgorithm::SHA1, HashAlgoSecurity::SecondPreImageResistance);
    }
    rules
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sha1SelfSignatures {
    Taken,
    Refused,
}

impl Standing {
    /// Judges one key of a certificate as of `at`, by `rules` made for the server's time `now`.
    pub(super) fn of(cert: &Cert, key: &Fingerprint, at: SystemTime, rules: &StandardPolicy<'_>) -> Self {
        let mut standing = Self::default();
        let wanted = KeyHandle::from(key.clone());
        let Some(part) = cert.keys().key_handle(wanted).next() else {
            standing.fault(FaultKind::Broken, "the certificate does not have this key".to_owned());
            return standing;
        };
        standing.revocations(cert, key, at, rules);
        match valid(&part, rules, at) {
            Ok(key) => standing.alive(&key, at),
            Err(why) => standing.unbound(cert, &part, at, rules, &why),
        }
        standing
    }

    fn fault(&mut self, kind: FaultKind, detail: String) {
        if !self.faults.iter().any(|fault| fault.kind == kind) {
            self.faults.push(Fault { kind, detail });
        }
    }

    fn alive(&mut self, key: &ValidErasedKeyAmalgamation<'_, PublicParts>, at: SystemTime) {
        let whole = key.valid_cert().primary_key();
        let ends = [
            ("its certificate", whole.key_expiration_time()),
            ("it", key.key_expiration_time()),
        ];
        for (what, end) in ends {
            let Some(end) = end else { continue };
            self.expires = Some(self.expires.map_or(end, |other| other.min(end)));
            if end <= at {
                self.fault(
                    FaultKind::Expired,
                    format!("has expired: {what} ended on {}", moment(end)),
                );
            }
        }
        let dead = key.valid_cert().alive().and_then(|()| key.alive());
        if let Err(why) = dead
            && !self.faults.iter().any(|fault| fault.kind == FaultKind::Expired)
        {
            if key.key().creation_time() > at || whole.key().creation_time() > at {
                self.fault(
                    FaultKind::NotYetValid,
                    format!("it was made on {}", moment(key.key().creation_time())),
                );
            } else {
                self.fault(FaultKind::Expired, format!("is not alive: {why:#}"));
            }
        }
        if !key.for_signing() {
            self.fault(FaultKind::NotForSigning, "its flags do not allow signing".to_owned());
        }
    }

    /// The rules found nothing that binds the key: says why, by asking again with fewer rules.
    fn unbound(
        &mut self,
        cert: &Cert,
        key: &ErasedKeyAmalgamation<'_, PublicParts>,
        at: SystemTime,
        rules: &StandardPolicy<'_>,
        why: &str,
    ) {
        let made = key.key().creation_time().max(cert.primary_key().key().creation_time());
        if made > at {
            self.fault(FaultKind::NotYetValid, format!("it was made on {}", moment(made)));
            return;
        }
        if let Ok(bound) = valid(key, &Lenient, at) {
            let mut with_sha1 = rules.clone();
            with_sha1.accept_hash_property(HashAlgorithm::SHA1, HashAlgoSecurity::SecondPreImageResistance);
            if valid(key, &with_sha1, at).is_ok() {
                self.fault(FaultKind::Sha1SelfSignature, why.to_owned());
            } else {
                self.fault(FaultKind::WeakKey, why.to_owned());
            }
            self.alive(&bound, at);
            return;
        }
        let first = cert
            .keys()
            .filter(|part| part.key().fingerprint() == key.key().fingerprint())
            .filter_map(|part| {
                part.bundle()
                    .self_signatures()
                    .filter_map(|signature| signature.signature_creation_time())
                    .min()
            })
            .min();
        let direct = cert.userids().flat_map(|id| {
            id.bundle()
                .self_signatures()
                .filter_map(|signature| signature.signature_creation_time())
                .collect::<Vec<_>>()
        });
        match first.into_iter().chain(direct.min()).max() {
            Some(bound) if bound > at => {
                self.fault(
                    FaultKind::NotYetValid,
                    format!(
                        "its certificate here was renewed on {}, and what bound it before is not there",
                        moment(bound)
                    ),
                );
            }
            Some(_) | None => self.fault(FaultKind::Broken, why.to_owned()),
        }
    }

    fn revocations(&mut self, cert: &Cert, key: &Fingerprint, at: SystemTime, rules: &StandardPolicy<'_>) {
        let both: [&dyn Rules; 2] = [rules, &Lenient];
        for rules in both {
            self.revoked(cert, "its certificate", &cert.revocation_status(rules, at));
            for subkey in cert.keys().subkeys().filter(|part| part.key().fingerprint() == *key) {
                self.revoked(cert, "it", &subkey.revocation_status(rules, at));
            }
        }
    }

    fn revoked(&mut self, cert: &Cert, what: &str, status: &RevocationStatus<'_>) {
        let (signatures, by_whom) = match status {
            RevocationStatus::NotAsFarAsWeKnow => return,
            RevocationStatus::Revoked(signatures) => (signatures.clone(), "by its owner"),
            RevocationStatus::CouldBe(signatures) => (
                designated(cert, signatures),
                "in the name of a revoker whom its owner named",
            ),
        };
        for signature in signatures {
            let when = signature
                .signature_creation_time()
                .map_or_else(|| "an unknown day".to_owned(), moment);
            let (reason, text) = signature
                .reason_for_revocation()
                .map_or((ReasonForRevocation::Unspecified, &b""[..]), |(reason, text)| {
                    (reason, text)
                });
            let kind = match reason.revocation_type() {
                RevocationType::Hard => FaultKind::Compromised,
                RevocationType::Soft => FaultKind::Retired,
            };
            let text = crate::escape::escaped_bytes(text);
            let text = if text.is_empty() { text } else { format!(" ('{text}')") };
            self.fault(kind, format!("{what} was revoked {by_whom} on {when}: {reason}{text}"));
        }
    }
}

/// A key of a certificate that is there to sign, and how it stands.
pub(in crate::signing) struct SigningKey {
    pub(in crate::signing) fingerprint: Fingerprint,
    pub(in crate::signing) made: SystemTime,
    pub(in crate::signing) standing: Standing,
}

/// All keys of a certificate that are meant for signing, by whatever binds them; expired, revoked and weak ones too.
pub(in crate::signing) fn signing_keys(cert: &Cert, now: SystemTime) -> Vec<SigningKey> {
    let strict = rules(now, Sha1SelfSignatures::Refused);
    cert.keys()
        .filter(|part| valid(part, &Lenient, now).is_ok_and(|key| key.for_signing()))
        .map(|part| SigningKey {
            fingerprint: part.key().fingerprint(),
            made: part.key().creation_time(),
            standing: Standing::of(cert, &part.key().fingerprint(), now, &strict),
        })
        .collect()
}

/// Of revocations that others made, those by a revoker whom the owner named. Their signatures are not verified (that would take the
/// revoker's certificate): a claim is enough to stop.
fn designated<'a>(cert: &Cert, signatures: &[&'a Signature]) -> Vec<&'a Signature> {
    let revokers: Vec<KeyHandle> = cert
        .revocation_keys(&Lenient)
        .map(|revoker| KeyHandle::from(revoker.revoker().1.clone()))
        .collect();
    let by_revoker = |signature: &&&Signature| {
        signature
            .get_issuers()
            .iter()
            .any(|issuer| revokers.iter().any(|revoker| revoker.aliases(issuer)))
    };
    signatures.iter().filter(by_revoker).copied().collect()
}

fn valid<'a>(
    key: &ErasedKeyAmalgamation<'a, PublicParts>,
    rules: &'a dyn Rules,
    at: SystemTime,
) -> Result<ValidErasedKeyAmalgamation<'a, PublicParts>, String> {
    key.clone().with_policy(rules, at).map_err(|why| format!("{why:#}"))
}

/// A moment as it is shown: to the second, in UTC.
pub(super) fn moment(time: SystemTime) -> String {
    Timestamp::try_from(time).map_or_else(|_| "a day out of range".to_owned(), |time| time.to_string())
}
