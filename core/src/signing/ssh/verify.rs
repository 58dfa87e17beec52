//! Verifies an SSH signature against the people's keys and the `allowed_signers` file.

use std::sync::Arc;

use jiff::Timestamp;
use ssh_key::{HashAlg, PublicKey};

use super::allowed_signers::{AllowedSigners, Entry};
use super::{NAMESPACE, SignerKey, SshSignature};
use crate::id::{Fingerprint, UserName};
use crate::people::{Person, SshKey, SshUse};
use crate::refusal::Refusal;
use crate::signing::openpgp::Outcome;
use crate::signing::policy::{Identity, Moment, Policy};
use crate::signing::reason;
use crate::signing::tag::Tagger;
use crate::signing::verdict::Signer;

/// What is known beside the signature.
pub(in crate::signing) struct Known<'a> {
    /// People who may have one of the signature's keys.
    pub(in crate::signing) people: &'a [Arc<Person>],
    /// The file, if there is one.
    pub(in crate::signing) allowed_signers: Option<&'a AllowedSigners>,
    /// Who made the tag, by the signed bytes.
    pub(in crate::signing) tagger: Option<Tagger<'a>>,
    /// The people to whom the tagger's address belongs.
    pub(in crate::signing) tagger_people: &'a [UserName],
}

/// The fingerprint of a public key as in a `.pub` file.
///
/// # Errors
/// Why the text is no public key.
pub fn fingerprint_of(public_key: &str) -> Result<Fingerprint, String> {
    let key = PublicKey::from_openssh(public_key.trim()).map_err(|why| why.to_string())?;
    key.fingerprint(HashAlg::Sha256)
        .to_string()
        .parse()
        .map_err(|_| "it has no SHA-256 fingerprint".to_owned())
}

/// Why a public key, as in a `.pub` file, is too weak to be taken.
pub fn weakness_of(public_key: &str) -> Option<&'static str> {
    let key = PublicKey::from_openssh(public_key.trim()).ok()?;
    super::weakness(key.key_data())
}

impl SshSignature {
    /// Verifies the signature over `payload`.
    pub(in crate::signing) fn verify(
        &self,
        payload: &[u8],
        known: &Known<'_>,
        policy: &Policy,
        now: Timestamp,
    ) -> Outcome {
        let mut outcome = Outcome::default();
        let name = self.fingerprint_text();
        // An old tag is rebuilt as of its own date: by the server's clock no key of that day need be valid any more.
        let at = match (policy.moment, known.tagger.and_then(|tagger| tagger.tagged_at())) {
            (Moment::AtTheTime, Some(tagged)) => tagged.min(now),
            (Moment::Now, _) | (Moment::AtTheTime, None) => now,
        };
        let owner = match self.owner(known, policy, &name, at) {
            Ok((owner, reasons)) => {
                outcome.reasons.extend(reasons);
                owner
            }
            Err(refusal) => {
                outcome.reasons.push(refusal);
                return outcome;
            }
        };
        if !self.holds(payload) {
            let whose = match &owner {
                Some(owner) => owner.to_string(),
                None => "the signer".to_owned(),
            };
            outcome
                .reasons
                .push(reason::bad_ssh_signature(&name, &whose, self.algorithm().as_str()));
            return outcome;
        }
        outcome.signer = self.fingerprint().map(|fingerprint| Signer {
            owner,
            fingerprint,
            subkey: None,
            signed_at: None,
        });
        outcome
    }

    /// Whose key it is, with what speaks against the key; or the one reason why it is nobody's.
    fn owner(
        &self,
        known: &Known<'_>,
        policy: &Policy,
        name: &str,
        at: Timestamp,
    ) -> Result<(Option<UserName>, Vec<Refusal>), Refusal> {
        let of_people: Vec<(&Arc<Person>, &SshKey)> = match self.signer {
            SignerKey::Plain => known
                .people
                .iter()
                .filter_map(|person| Some((person, person.ssh.iter().find(|key| self.is_key(&key.key))?)))
                .collect(),
            SignerKey::Certified(_) => Vec::new(),
        };
        if of_people.len() > 1 {
            let owners: Vec<&UserName> = of_people.iter().map(|(person, _)| &person.name).collect();
            return Err(reason::two_owners(name, &owners));
        }
        if let Some((person, key)) = of_people.first() {
            let mut reasons = Vec::new();
            if !key.uses.contains(&SshUse::Sign) {
                reasons.push(reason::ssh_key_not_for_signing(name, &person.name));
            }
            reasons.extend(window(
                name,
                &format!("{}'s", person.name),
                (key.valid_after, key.valid_before),
                at,
            ));
            return Ok((Some(person.name.clone()), reasons));
        }
        let entries: Vec<&Entry> = known
            .allowed_signers
            .iter()
            .flat_map(|file| &file.entries)
            .filter(|entry| self.is_of_entry(entry))
            .collect();
        let mut tried = Vec::new();
        for entry in &entries {
            let judged = self.judge_entry(entry, known, policy, name, at);
            if judged.1.is_empty() {
                return Ok(judged);
            }
            tried.push(judged);
        }
        // Of several lines with this key, the one that is closest to letting it in tells why none does.
        match tried.into_iter().min_by_key(|(_, reasons)| reasons.len()) {
            Some(judged) => Ok(judged),
            None => Err(reason::unknown_key(name)),
        }
    }

    fn is_key(&self, public_key: &str) -> bool {
        PublicKey::from_openssh(public_key.trim()).is_ok_and(|key| key.key_data() == self.signature.public_key())
    }

    fn is_of_entry(&self, entry: &Entry) -> bool {
        match &self.signer {
            SignerKey::Plain => !entry.authority && entry.key == *self.signature.public_key(),
            SignerKey::Certified(certificate) => entry.authority && entry.key == certificate.authority,
        }
    }

    fn judge_entry(
        &self,
        entry: &Entry,
        known: &Known<'_>,
        policy: &Policy,
        name: &str,
        at: Timestamp,
    ) -> (Option<UserName>, Vec<Refusal>) {
        let mut reasons = Vec::new();
        let address = known.tagger.map_or(&b""[..], |tagger| tagger.address);
        if !entry.is_for(NAMESPACE) {
            reasons.push(reason::namespace_not_allowed(name, entry.line));
        }
        let whose = format!("line {}'s", entry.line);
        reasons.extend(window(name, &whose, (entry.valid_after, entry.valid_before), at));
        if !entry.is_of(address) {
            reasons.push(reason::principal_mismatch(
                name,
                &String::from_utf8_lossy(address),
                &entry.principals,
            ));
        }
        if let SignerKey::Certified(certificate) = &self.signer {
            let faults = certificate.faults(address, at);
            reasons.extend(faults.iter().map(|why| reason::ssh_certificate(why)));
        }
        let owner = match known.tagger_people {
            [owner] => Some(owner.clone()),
            [] => {
                if policy.identity == Identity::Required {
                    reasons.push(reason::unknown_owner(name, &entry.principals));
                }
                None
            }
            several => {
                let several: Vec<&UserName> = several.iter().collect();
                reasons.push(reason::two_owners(&String::from_utf8_lossy(address), &several));
                None
            }
        };
        (owner, reasons)
    }
}

fn window(
    name: &str,
    whose: &str,
    (after, before): (Option<Timestamp>, Option<Timestamp>),
    at: Timestamp,
) -> Vec<Refusal> {
    let mut reasons = Vec::new();
    if let Some(begins) = after.filter(|begins| at < *begins) {
        reasons.push(reason::ssh_key_not_yet_valid(name, whose, begins));
    }
    if let Some(ended) = before.filter(|ended| at >= *ended) {
        reasons.push(reason::ssh_key_expired(name, whose, ended));
    }
    reasons
}
