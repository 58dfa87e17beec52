//! Verifies the one signature of a tag, and says everything that is wrong with it.

use std::sync::Arc;
use std::time::SystemTime;

use jiff::Timestamp;
use sequoia_openpgp::parse::Parse;
use sequoia_openpgp::parse::stream::{DetachedVerifierBuilder, MessageLayer, MessageStructure, VerificationHelper};
use sequoia_openpgp::policy::StandardPolicy;
use sequoia_openpgp::{Cert, Fingerprint, KeyHandle};

use super::standing::{FaultKind, Sha1SelfSignatures, Standing, moment, rules};
use super::{Certificates, Detached, fingerprint};
use crate::id::UserName;
use crate::people::Person;
use crate::refusal::Refusal;
use crate::signing::policy::{Moment, Policy};
use crate::signing::reason;
use crate::signing::verdict::Signer;

/// What came of a signature.
#[derive(Debug, Default)]
pub(in crate::signing) struct Outcome {
    /// Who made it, as far as the mathematics of it hold; good only without reasons.
    pub(in crate::signing) signer: Option<Signer>,
    /// Everything that is wrong with it.
    pub(in crate::signing) reasons: Vec<Refusal>,
}

impl Detached {
    /// Verifies the signature over `payload` with the people's certificates.
    pub(in crate::signing) fn verify(
        &self,
        payload: &[u8],
        (people, certificates): (&[Arc<Person>], &Certificates),
        policy: &Policy,
        now: Timestamp,
    ) -> Outcome {
        let mut outcome = Outcome {
            signer: None,
            reasons: self.form(),
        };
        let Some(made) = self.made_at() else {
            outcome
                .reasons
                .push(reason::unsupported_signature("it does not say when it was made"));
            return outcome;
        };
        let limit = now.checked_add(policy.future_tolerance).unwrap_or(now);
        if made > limit {
            outcome.reasons.push(reason::future_signature(made, now));
        }
        let issuers: Vec<KeyHandle> = self.issuers().collect();
        let Some((owner, cert)) = find(&issuers, people, certificates, &mut outcome.reasons) else {
            return outcome;
        };
        self.verify_with(payload, &owner, &cert, policy, (made, now), &mut outcome);
        outcome
    }

    fn verify_with(
        &self,
        payload: &[u8],
        owner: &UserName,
        cert: &Cert,
        policy: &Policy,
        (made, now): (Timestamp, Timestamp),
        outcome: &mut Outcome,
    ) {
        let sha1 = if policy.allow_sha1_self_signatures {
            Sha1SelfSignatures::Taken
        } else {
            Sha1SelfSignatures::Refused
        };
        let rules = rules(now.into(), sha1);
        // A signature, and a key made for it, may be as far in the future as the tolerance allows.
        let (then, now_or_then) = (SystemTime::from(made), SystemTime::from(made.max(now)));
        let (verify_at, moments) = match policy.moment {
            Moment::Now => (now_or_then, vec![then, now_or_then]),
            Moment::AtTheTime => (then, vec![then]),
        };
        let decision = self.ask_sequoia(payload, cert, &rules, verify_at);
        // The key to judge is the one that really signed, not one that the signature merely names.
        let Some(key) = decision
            .as_ref()
            .ok()
            .cloned()
            .or_else(|| self.signing_key(cert, payload))
        else {
            let key = self.named_key(cert).unwrap_or_else(|| cert.fingerprint());
            let faults = faults(cert, &key, owner, &moments, &rules);
            // Sequoia does not even try the mathematics with a key that is younger than the signature.
            if faults.iter().all(|fault| fault.code != "key_not_yet_valid") {
                outcome.reasons.push(reason::bad_signature(&key.to_hex(), owner));
            }
            outcome.reasons.extend(faults);
            return;
        };
        outcome.reasons.extend(faults(cert, &key, owner, &moments, &rules));
        if policy.moment == Moment::Now
            && let Some(end) = self.signature.signature_expiration_time()
            && end <= SystemTime::from(now)
        {
            outcome.reasons.push(reason::expired_signature(&moment(end)));
        }
        if let Err(why) = decision
            && outcome.reasons.is_empty()
        {
            outcome.reasons.push(reason::unsupported_signature(&why));
        }
        outcome.signer = fingerprint(&cert.fingerprint()).map(|whole| Signer {
            owner: Some(owner.clone()),
            subkey: fingerprint(&key).filter(|key| *key != whole),
            fingerprint: whole,
            signed_at: Some(made),
        });
    }

    /// The key of the certificate by which the signature's mathematics hold, whatever else is wrong.
    fn signing_key(&self, cert: &Cert, payload: &[u8]) -> Option<Fingerprint> {
        cert.keys()
            .filter(|part| {
                self.issuers()
                    .any(|issuer| issuer.aliases(KeyHandle::from(part.key().fingerprint())))
            })
            .find(|part| self.signature.verify_message(part.key(), payload).is_ok())
            .map(|part| part.key().fingerprint())
    }

    fn named_key(&self, cert: &Cert) -> Option<Fingerprint> {
        let keys = cert.keys().map(|part| part.key().fingerprint());
        keys.into_iter()
            .find(|key| self.issuers().any(|issuer| issuer.aliases(KeyHandle::from(key))))
    }

    /// The decision: Sequoia's, with the server's time, made inside its `check`.
    fn ask_sequoia(
        &self,
        payload: &[u8],
        cert: &Cert,
        rules: &StandardPolicy<'_>,
        at: SystemTime,
    ) -> Result<Fingerprint, String> {
        let helper = Judge { cert, good: None };
        let builder = DetachedVerifierBuilder::from_bytes(&self.bytes).map_err(|why| format!("{why:#}"))?;
        let mut verifier = builder
            .with_policy(rules, at, helper)
            .map_err(|why| format!("{why:#}"))?;
        verifier.verify_bytes(payload).map_err(|why| format!("{why:#}"))?;
        verifier
            .into_helper()
            .good
            .ok_or_else(|| "nothing was verified".to_owned())
    }
}

/// What is wrong with a key at any of the moments, each kind of fault once.
fn faults(
    cert: &Cert,
    key: &Fingerprint,
    owner: &UserName,
    at: &[SystemTime],
    rules: &StandardPolicy<'_>,
) -> Vec<Refusal> {
    let (name, whole) = (key.to_hex(), cert.fingerprint().to_hex());
    let mut reasons: Vec<Refusal> = Vec::new();
    for at in at {
        for fault in Standing::of(cert, key, *at, rules).faults {
            let refusal = match fault.kind {
                FaultKind::NotYetValid => reason::not_yet_valid(&name, owner, &fault.detail),
                FaultKind::Expired => reason::expired_key(&name, &whole, owner, &fault.detail),
                FaultKind::Retired | FaultKind::Compromised => reason::revoked_key(&name, owner, &fault.detail),
                FaultKind::NotForSigning => reason::wrong_key_flags(&name, owner),
                FaultKind::Sha1SelfSignature => reason::sha1_self_signature(&name, &whole, owner),
                FaultKind::WeakKey => reason::weak_key(&name, owner, &fault.detail),
                FaultKind::Broken => reason::unreadable_certificate(&name, owner, &fault.detail),
            };
            if !reasons.iter().any(|known| known.code == refusal.code) {
                reasons.push(refusal);
            }
        }
    }
    reasons
}

/// The certificate that the signature names, and whose it is.
fn find(
    issuers: &[KeyHandle],
    people: &[Arc<Person>],
    certificates: &Certificates,
    reasons: &mut Vec<Refusal>,
) -> Option<(UserName, Arc<Cert>)> {
    if issuers.is_empty() {
        reasons.push(reason::no_issuer());
        return None;
    }
    let mut found: Vec<(&UserName, Arc<Cert>)> = Vec::new();
    for person in people {
        match certificates.of(person, issuers) {
            Ok(None) => {}
            Ok(Some(cert)) => found.push((&person.name, cert)),
            Err(why) => reasons.push(reason::unreadable_certificate(&names(issuers), &person.name, &why)),
        }
    }
    let owners: Vec<&UserName> = found.iter().map(|(owner, _)| *owner).collect();
    if owners.len() > 1 {
        reasons.push(reason::two_owners(&names(issuers), &owners));
        return None;
    }
    if let Some((owner, cert)) = found.pop() {
        return Some((owner.clone(), cert));
    }
    if reasons.iter().all(|known| known.code != "bad_certificate") {
        reasons.push(reason::unknown_key(&names(issuers)));
    }
    None
}

/// The fingerprint if the signature has one, else the key id.
fn names(issuers: &[KeyHandle]) -> String {
    issuers
        .iter()
        .map(KeyHandle::to_hex)
        .max_by_key(String::len)
        .unwrap_or_default()
}

struct Judge<'a> {
    cert: &'a Cert,
    good: Option<Fingerprint>,
}

impl VerificationHelper for Judge<'_> {
    fn get_certs(&mut self, _: &[KeyHandle]) -> sequoia_openpgp::Result<Vec<Cert>> {
        Ok(vec![self.cert.clone()])
    }

    fn check(&mut self, structure: MessageStructure<'_>) -> sequoia_openpgp::Result<()> {
        let invalid = |why: String| sequoia_openpgp::Error::InvalidArgument(why);
        let mut results = Vec::new();
        for layer in structure {
            match layer {
                MessageLayer::SignatureGroup { results: group } => results.extend(group),
                MessageLayer::Compression { .. } | MessageLayer::Encryption { .. } => {
                    return Err(invalid("the signature is wrapped in something".to_owned()).into());
                }
            }
        }
        if results.len() != 1 {
            return Err(invalid(format!("{} signatures", results.len())).into());
        }
        for result in results {
            match result {
                Ok(good) => self.good = Some(good.ka.key().fingerprint()),
                Err(why) => return Err(invalid(why.to_string()).into()),
            }
        }
        Ok(())
    }
}
