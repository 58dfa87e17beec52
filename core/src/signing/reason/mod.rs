//! Every reason to refuse a tag: its stable code, what a person reads, and the command that mends it.
//!
//! One function a code, so that the texts stand beside each other; the values in them come escaped.

mod identity;
mod signature;
mod ssh;
mod structure;

use super::verdict::ObjectKind;
use crate::escape::{escaped, escaped_bytes};
use crate::id::ObjectId;
use crate::refusal::Refusal;

pub(super) use identity::*;
pub(super) use signature::*;
pub(super) use ssh::*;
pub(super) use structure::*;

const SIGN_AGAIN: &str = "make the tag anew, with git itself: git tag -s -f NAME COMMIT";

/// At most this much of a hostile value is shown.
const SHOWN: usize = 80;

/// A value as it is shown: escaped, and cut when it is long.
pub(super) fn shown(bytes: &[u8]) -> String {
    let text = escaped_bytes(&bytes[..bytes.len().min(4 * SHOWN)]);
    if text.chars().count() <= SHOWN && bytes.len() <= 4 * SHOWN {
        return text;
    }
    let mut cut: String = text.chars().take(SHOWN).collect();
    cut.push('…');
    cut
}

fn shown_lossy(text: &str) -> String {
    shown(text.as_bytes())
}

/// What a library says of a failure, on one line.
fn detail(text: &str) -> String {
    let mut text = escaped(&text.split_whitespace().collect::<Vec<_>>().join(" "));
    if text.chars().count() > 3 * SHOWN {
        text = text.chars().take(3 * SHOWN).collect();
        text.push('…');
    }
    text
}

pub(super) fn missing_object(object: &ObjectId) -> Refusal {
    Refusal::new(
        "missing_object",
        format!("there is no object {object} in this repository"),
    )
    .hint("push the tag itself: git push REMOTE TAG")
}

pub(super) fn lightweight(object: &ObjectId, kind: ObjectKind) -> Refusal {
    let kind = kind.as_str();
    Refusal::new(
        "unsigned",
        format!("the tag points straight at {kind} {object}: it is lightweight, nobody signed it"),
    )
    .hint(format!("replace it by a signed one: git tag -s -f NAME {object}"))
}

pub(super) fn object_too_large(size: u64, limit: u64) -> Refusal {
    Refusal::new(
        "too_large",
        format!("the tag object is {size} bytes long; {limit} is the most that is taken"),
    )
    .hint("shorten its message and sign anew: git tag -s -f NAME COMMIT")
}

pub(super) fn bomb(object: &ObjectId) -> Refusal {
    Refusal::new(
        "too_large",
        format!("tag {object} was sent as a change to something far larger: it is not unpacked"),
    )
    .hint("push it with git itself; if git made it so: git -c pack.depth=0 push REMOTE TAG")
}

pub(super) fn signature_too_large(size: usize, limit: u64) -> Refusal {
    Refusal::new(
        "too_large",
        format!("the signature is {size} bytes long; {limit} is the most that is taken"),
    )
    .hint(SIGN_AGAIN)
}

pub(super) fn id_mismatch(object: &ObjectId, real: &str) -> Refusal {
    Refusal::new(
        "id_mismatch",
        format!("the content stored as {object} has the id {real}: the repository is broken or forged"),
    )
    .hint("look into it on the server: git fsck --full")
}

pub(super) fn collision(object: &ObjectId) -> Refusal {
    Refusal::new(
        "sha1_collision",
        format!("object {object} is made to have the SHA-1 id of another one"),
    )
    .hint("do not use this repository; tell whoever runs the server")
}

pub(super) fn missing_target(target: &ObjectId) -> Refusal {
    Refusal::new(
        "missing_target",
        format!("the tag points at {target}, which is not in this repository"),
    )
    .hint("push the commit with its tag: git push REMOTE BRANCH TAG")
}

pub(super) fn nested_tag(target: &str) -> Refusal {
    Refusal::new("nested_tag", format!("the tag points at another tag, {target}"))
        .hint("tag the commit: git tag -s -f NAME COMMIT")
}

pub(super) fn not_a_commit(kind: &str, target: &str) -> Refusal {
    Refusal::new(
        "not_a_commit",
        format!("the tag points at a {kind}, {target}; only commits are built"),
    )
    .hint("tag a commit: git tag -s -f NAME HEAD")
}
