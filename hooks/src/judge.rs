//! Judges one tag of a repository: reads it raw, fetches the keys that it names, asks core.
//!
//! The hook, the bot and `windlass tag check` all come through here, so that they cannot differ.

use std::sync::Arc;

use jiff::Timestamp;
use windlass_core::id::{ObjectId, SourcePath, UserName};
use windlass_core::people::Person;
pub use windlass_core::signing::Judgement;
use windlass_core::signing::{Case, Circumstances, Policy, judge_bomb, judge_header};

use crate::keyring::{Keyring, KeyringError};
use crate::objects::{RawStore, StoreError};

/// The tag to judge, and how it came.
#[derive(Debug, Clone)]
pub struct TagToJudge<'a> {
    /// The id that the reference has, or is to have.
    pub object: &'a ObjectId,
    /// The reference's full name, `refs/tags/…`, as git gave it; not compared when there is none.
    pub reference: Option<&'a [u8]>,
    /// The source repository, for tags that are bound to one.
    pub source: Option<&'a SourcePath>,
    /// Who pushes it; not compared when there is none.
    pub pusher: Option<&'a UserName>,
}

/// Judging itself failed: this says nothing about the tag.
#[derive(Debug, thiserror::Error)]
pub enum JudgeError {
    /// The repository cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The keyring cannot be read.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
}

/// Judges the tag as of `now`.
///
/// # Errors
/// When the repository or the keyring cannot be read: no verdict.
pub fn judge_tag(
    store: &RawStore,
    keyring: &Keyring,
    policy: &Policy,
    tag: &TagToJudge<'_>,
    now: Timestamp,
) -> Result<Judgement, JudgeError> {
    let header = store.header(tag.object)?;
    if let Some(refused) = judge_header(tag.object, header, policy) {
        return Ok(refused);
    }
    let bytes = match store.read(tag.object, policy.max_tag_size) {
        Ok(bytes) => bytes,
        Err(StoreError::Bomb { object, .. }) => return Ok(judge_bomb(&object)),
        Err(error) => return Err(error.into()),
    };
    let case = Case::open(tag.object, &bytes, policy);
    let target = match case.target() {
        Some(target) => store.header(target)?,
        None => None,
    };
    let hints = case.hints();
    let people = if hints.is_empty() {
        Vec::new()
    } else {
        keyring.people_with_keys(&hints)?
    };
    let taggers = taggers(keyring, &people, case.tagger_address())?;
    // An authority's certificate is no person's key, even when the key that it certifies is.
    let ssh = hints.iter().filter(|hint| hint.as_str().starts_with("SHA256:")).count();
    let allowed_signers = if ssh > 1 || (ssh == 1 && people.is_empty()) {
        keyring.allowed_signers()?
    } else {
        None
    };
    let how = Circumstances {
        reference: tag.reference,
        target,
        source: tag.source,
        pusher: tag.pusher,
        tagger_people: &taggers,
        people: &people,
        certificates: keyring.certificates(),
        allowed_signers: allowed_signers.as_ref(),
        now,
    };
    Ok(case.judge(&how, policy))
}

/// The people with the tagger's address: the key's owner, nearly always, who has been read already.
fn taggers(keyring: &Keyring, people: &[Arc<Person>], address: Option<&[u8]>) -> Result<Vec<UserName>, KeyringError> {
    let Some(address) = address else { return Ok(Vec::new()) };
    let text = std::str::from_utf8(address).unwrap_or_default();
    let own: Vec<UserName> = people
        .iter()
        .filter(|person| person.has_address(text))
        .map(|person| person.name.clone())
        .collect();
    if !own.is_empty() {
        return Ok(own);
    }
    let others = keyring.people_with_address(address)?;
    Ok(others.iter().map(|person| person.name.clone()).collect())
}
