//! Reasons that only SSH signatures, their keys and certificates have.

use jiff::Timestamp;

use super::{SIGN_AGAIN, detail, shown_lossy};
use crate::id::UserName;
use crate::refusal::Refusal;

pub(in crate::signing) fn weak_ssh_key(key: &str) -> Refusal {
    Refusal::new(
        "weak_key",
        format!("SSH key {key} is too weak: an RSA key of less than 2048 bits"),
    )
    .hint("make a new one and have it added: ssh-keygen -t ed25519, then windlass keys add USER FILE")
}

pub(in crate::signing) fn bad_ssh_signature(key: &str, whose: &str, algorithm: &str) -> Refusal {
    Refusal::new(
        "bad_signature",
        format!(
            "the {} signature was not made by {whose} with key {key} over this tag: one of them was changed",
            shown_lossy(algorithm)
        ),
    )
    .hint(SIGN_AGAIN)
}

pub(in crate::signing) fn wrong_namespace(namespace: &str) -> Refusal {
    Refusal::new(
        "wrong_namespace",
        format!(
            "the SSH signature is made for '{}', not for 'git'",
            shown_lossy(namespace)
        ),
    )
    .hint(SIGN_AGAIN)
}

pub(in crate::signing) fn namespace_not_allowed(key: &str, line: usize) -> Refusal {
    Refusal::new(
        "wrong_namespace",
        format!("key {key} stands on line {line} of allowed_signers, but not for the namespace 'git'"),
    )
    .hint("add git to the namespaces of that line on the server")
}

pub(in crate::signing) fn ssh_key_not_for_signing(key: &str, owner: &UserName) -> Refusal {
    Refusal::new(
        "wrong_key_flags",
        format!("{owner}'s SSH key {key} is for logging in, not for signing"),
    )
    .hint(format!(
        "have it added for signing too: windlass keys add {owner} --ssh FILE --sign"
    ))
}

pub(in crate::signing) fn ssh_key_expired(key: &str, whose: &str, ended: Timestamp) -> Refusal {
    Refusal::new(
        "expired_key",
        format!("{whose} SSH key {key} is not valid since {ended}"),
    )
    .hint("sign with another key, or have its time prolonged on the server: valid_before (valid-before)")
}

pub(in crate::signing) fn ssh_key_not_yet_valid(key: &str, whose: &str, begins: Timestamp) -> Refusal {
    Refusal::new(
        "key_not_yet_valid",
        format!("{whose} SSH key {key} is valid only from {begins} on"),
    )
    .hint("wait until then, or have it changed on the server: valid_after (valid-after)")
}

pub(in crate::signing) fn ssh_certificate(why: &str) -> Refusal {
    Refusal::new(
        "bad_certificate",
        format!("the SSH certificate that signed cannot be used: {}", detail(why)),
    )
    .hint("have a new certificate made by the authority: ssh-keygen -s CA-KEY -I ID -n PRINCIPAL -V +52w KEY.pub")
}

pub(in crate::signing) fn principal_mismatch(key: &str, address: &str, principals: &str) -> Refusal {
    Refusal::new(
        "tagger_mismatch",
        format!(
            "the tagger is <{}>, but key {key} may sign as {} only",
            shown_lossy(address),
            shown_lossy(principals)
        ),
    )
    .hint("git config user.email ADDRESS with the right one, then git tag -s -f NAME COMMIT")
}

pub(in crate::signing) fn unknown_owner(key: &str, principals: &str) -> Refusal {
    Refusal::new(
        "unknown_owner",
        format!(
            "key {key} may sign as {}, which is nobody's address here",
            shown_lossy(principals)
        ),
    )
    .hint("have the person added on the server: windlass people add USER --address ADDRESS")
}
