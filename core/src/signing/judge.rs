//! The judgement: structure, signature, identity, all reasons together.

use std::sync::Arc;

use jiff::Timestamp;

use super::openpgp::{Certificates, Detached, Outcome};
use super::policy::{Identity, Policy};
use super::reason::{self, Three};
use super::ssh::allowed_signers::AllowedSigners;
use super::ssh::{Known, SshSignature};
use super::tag::Reading;
use super::verdict::{ObjectHeader, ObjectKind, SignatureKind, Signer, TagFacts, Verdict};
use super::{KeyHint, object_id};
use crate::id::{ObjectId, SourcePath, UserName};
use crate::people::Person;
use crate::refusal::Refusal;

/// A tag object that has been read, with its signature: what is needed to fetch keys for it, and then to judge it.
pub struct Case<'a> {
    object: &'a ObjectId,
    bytes: &'a [u8],
    reading: Reading<'a>,
    signature: Option<Signature>,
}

enum Signature {
    OpenPgp(Detached),
    Ssh(SshSignature),
}

/// How a tag came, and what was found out about it.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances<'a> {
    /// The reference's full name as git gave it, or the bare name of a tag; not compared when there is none.
    pub reference: Option<&'a [u8]>,
    /// What the object is that the tag points at; nothing if it is not there.
    pub target: Option<ObjectHeader>,
    /// The source repository, for tags that are bound to one.
    pub source: Option<&'a SourcePath>,
    /// Who pushes it; not compared when there is none.
    pub pusher: Option<&'a UserName>,
    /// The people to whom the tagger's address belongs.
    pub tagger_people: &'a [UserName],
    /// People who may have one of the keys that the signature names.
    pub people: &'a [Arc<Person>],
    /// Their certificates, as far as they were parsed before.
    pub certificates: &'a Certificates,
    /// Keys that are named apart from people.
    pub allowed_signers: Option<&'a AllowedSigners>,
    /// The server's time.
    pub now: Timestamp,
}

/// A verdict, and what the tag says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// Good, or refused and why.
    pub verdict: Verdict,
    /// What the tag says; there when its structure is good.
    pub facts: Option<TagFacts>,
}

impl<'a> Case<'a> {
    /// Takes a tag object's content apart: structure, id, and the signature's envelope.
    pub fn open(object: &'a ObjectId, bytes: &'a [u8], policy: &Policy) -> Self {
        let mut reading = Reading::of(bytes, policy);
        if let Err(refusal) = object_id::check_id(object, ObjectKind::Tag, bytes) {
            reading.reasons.push(refusal);
        }
        let signature = match reading.signature {
            None => Ok(None),
            Some((SignatureKind::OpenPgp, armor)) => Detached::parse(armor).map(|read| Some(Signature::OpenPgp(read))),
            Some((SignatureKind::Ssh, armor)) => SshSignature::parse(armor).map(|read| Some(Signature::Ssh(read))),
        };
        let signature = signature.unwrap_or_else(|wrong| {
            reading.reasons.extend(wrong);
            None
        });
        Self {
            object,
            bytes,
            reading,
            signature,
        }
    }

    /// The object that the tag points at, to be looked for.
    pub fn target(&self) -> Option<&ObjectId> {
        self.reading.target.as_ref()
    }

    /// The tagger's address, by which people are looked for.
    pub fn tagger_address(&self) -> Option<&'a [u8]> {
        self.reading.tagger.map(|tagger| tagger.address)
    }

    /// The keys that the signature names, by which people are looked for.
    pub fn hints(&self) -> Vec<KeyHint> {
        match &self.signature {
            None => Vec::new(),
            Some(Signature::OpenPgp(signature)) => signature.hints(),
            Some(Signature::Ssh(signature)) => signature.hints(),
        }
    }

    /// Judges the tag.
    pub fn judge(self, how: &Circumstances<'_>, policy: &Policy) -> Judgement {
        let structure_is_good = self.reading.reasons.is_empty();
        let facts = if structure_is_good { self.facts() } else { None };
        let mut reasons = self.reading.reasons.clone();
        reasons.extend(self.name(how));
        reasons.extend(self.target_is_a_commit(how));
        if let (Some(source), Some(bound)) = (how.source, &self.reading.keywords.repo)
            && !self.reading.keywords.allow(source)
        {
            reasons.push(reason::bad_binding(bound, source));
        }
        let outcome = self.signature_holds(how, policy);
        reasons.extend(outcome.reasons);
        if let (Identity::Required, Some(signer)) = (policy.identity, &outcome.signer) {
            reasons.extend(self.identity(signer, how, policy));
        }
        for reason in &mut reasons {
            self.fill_in(reason);
        }
        let verdict = match outcome.signer {
            Some(signer) if reasons.is_empty() => Verdict::Good(signer),
            Some(_) => Verdict::Refused(reasons),
            None => {
                if reasons.is_empty() {
                    reasons.push(reason::unsigned());
                }
                Verdict::Refused(reasons)
            }
        };
        Judgement { verdict, facts }
    }

    /// Hints say `NAME COMMIT` where the tag is to be made anew: this tag's, when it has a name that can be told.
    fn fill_in(&self, reason: &mut Refusal) {
        if let (Some(hint), Some(name)) = (&mut reason.hint, &self.reading.name) {
            *hint = hint
                .replace("-f NAME COMMIT", &format!("-f {name} {name}^{{}}"))
                .replace("-f NAME ", &format!("-f {name} "));
        }
    }

    fn name(&self, how: &Circumstances<'_>) -> Option<Refusal> {
        let reference = how.reference?;
        let name = self.reading.raw_name?;
        let bare = reference.strip_prefix(b"refs/tags/").unwrap_or(reference);
        (bare != name).then(|| reason::name_mismatch(reference, name))
    }

    fn target_is_a_commit(&self, how: &Circumstances<'_>) -> Option<Refusal> {
        let target = self.reading.target.as_ref()?;
        let declared_otherwise = |code: &str| self.reading.reasons.iter().any(|known| known.code == code);
        match how.target.map(|header| header.kind) {
            None => Some(reason::missing_target(target)),
            Some(ObjectKind::Commit) => None,
            Some(ObjectKind::Tag) if declared_otherwise("nested_tag") => None,
            Some(ObjectKind::Tag) => Some(reason::nested_tag(target.as_str())),
            Some(ObjectKind::Tree | ObjectKind::Blob) if declared_otherwise("not_a_commit") => None,
            Some(kind @ (ObjectKind::Tree | ObjectKind::Blob)) => {
                Some(reason::not_a_commit(kind.as_str(), target.as_str()))
            }
        }
    }

    fn signature_holds(&self, how: &Circumstances<'_>, policy: &Policy) -> Outcome {
        match &self.signature {
            None => Outcome::default(),
            Some(Signature::OpenPgp(signature)) => {
                signature.verify(self.reading.payload, (how.people, how.certificates), policy, how.now)
            }
            Some(Signature::Ssh(signature)) => {
                let known = Known {
                    people: how.people,
                    allowed_signers: how.allowed_signers,
                    tagger: self.reading.tagger,
                    tagger_people: how.tagger_people,
                };
                signature.verify(self.reading.payload, &known, policy, how.now)
            }
        }
    }

    /// Pusher, tagger and owner of the key are one person. A program's account may push what others signed.
    fn identity(&self, signer: &Signer, how: &Circumstances<'_>, policy: &Policy) -> Vec<Refusal> {
        let mut reasons = Vec::new();
        let (Some(owner), Some(tagger)) = (&signer.owner, self.reading.tagger) else {
            return reasons;
        };
        let three = Three {
            pusher: how.pusher,
            tagger_address: tagger.address,
            taggers: how.tagger_people,
            owner,
        };
        if !how.tagger_people.contains(owner) {
            reasons.push(reason::tagger_mismatch(&three));
        }
        if let Some(pusher) = how.pusher
            && pusher != owner
            && !policy.bots.contains(pusher)
            && !policy.bots.contains(owner)
        {
            reasons.push(reason::not_yours(&three, pusher));
        }
        reasons
    }

    fn facts(&self) -> Option<TagFacts> {
        let tag = self.reading.signed_tag(self.bytes)?;
        Some(TagFacts {
            object: self.object.clone(),
            commit: tag.commit,
            tag: tag.name,
            tagger_name: crate::escape::escaped_bytes(tag.tagger.name),
            tagger_address: crate::escape::escaped_bytes(tag.tagger.address),
            tagged_at: tag.tagger.tagged_at(),
            subject: self.reading.subject(),
            payload_digest: object_id::payload_digest(tag.payload),
            signature: tag.kind,
        })
    }
}

/// The judgement on what is no tag object, or not there, or too large to look at.
pub fn judge_header(object: &ObjectId, header: Option<ObjectHeader>, policy: &Policy) -> Option<Judgement> {
    let refusal = match header {
        None => reason::missing_object(object),
        Some(ObjectHeader {
            kind: ObjectKind::Tag,
            size,
        }) if size > policy.max_tag_size => reason::object_too_large(size, policy.max_tag_size),
        Some(ObjectHeader {
            kind: ObjectKind::Tag, ..
        }) => return None,
        Some(ObjectHeader {
            kind: ObjectKind::Commit,
            ..
        }) => reason::lightweight(object, ObjectKind::Commit),
        Some(ObjectHeader {
            kind: kind @ (ObjectKind::Tree | ObjectKind::Blob),
            ..
        }) => reason::not_a_commit(kind.as_str(), object.as_str()),
    };
    Some(Judgement {
        verdict: Verdict::Refused(vec![refusal]),
        facts: None,
    })
}

/// The judgement on a tag object whose storing asks for far more memory than the tag itself.
pub fn judge_bomb(object: &ObjectId) -> Judgement {
    Judgement {
        verdict: Verdict::Refused(vec![reason::bomb(object)]),
        facts: None,
    }
}
