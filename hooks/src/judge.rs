//! Judges one tag of a repository: reads it raw, fetches the keys that it names, asks core.
//!
//! The hook, the bot and `windlass tag check` all come through here, so that they cannot differ.

use jiff::Timestamp;
use windlass_core::id::{ObjectId, SourcePath, UserName};
use windlass_core::signing::{Policy, TagFacts, Verdict};

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

/// What came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// Good, or refused and why.
    pub verdict: Verdict,
    /// What the tag says; there when its structure is good.
    pub facts: Option<TagFacts>,
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
    let _ = (store, keyring, policy, tag, now);
    Ok(Judgement {
        verdict: Verdict::Refused(vec![windlass_core::refusal::Refusal::new(
            "unsigned",
            "judging comes with the next commit",
        )]),
        facts: None,
    })
}
