//! Reasons in a signature and in the key that made it.

use jiff::Timestamp;

use super::{SIGN_AGAIN, detail, shown_lossy};
use crate::id::UserName;
use crate::refusal::Refusal;

pub(in crate::signing) fn weak_hash(algorithm: &str) -> Refusal {
    Refusal::new(
        "weak_hash",
        format!(
            "the signature is made over {}, which can be forged",
            shown_lossy(algorithm)
        ),
    )
    .hint("put 'digest-algo SHA256' into ~/.gnupg/gpg.conf in place of what is there, then git tag -s -f NAME COMMIT")
}

pub(in crate::signing) fn future_signature(made: Timestamp, now: Timestamp) -> Refusal {
    Refusal::new(
        "future_signature",
        format!("the signature is dated {made}, and it is {now} here"),
    )
    .hint("set your clock right (timedatectl set-ntp true), then git tag -s -f NAME COMMIT")
}

pub(in crate::signing) fn expired_signature(ended: &str) -> Refusal {
    Refusal::new(
        "expired_signature",
        format!("the signature itself was made to expire, and has: {ended}"),
    )
    .hint("take 'default-sig-expire' out of gpg.conf, then git tag -s -f NAME COMMIT")
}

pub(in crate::signing) fn unknown_key(named: &str) -> Refusal {
    Refusal::new(
        "unknown_key",
        format!("the signature names key {}, which is nobody's here", shown_lossy(named)),
    )
    .hint("have the key added on the server: windlass keys add USER FILE")
}

pub(in crate::signing) fn no_issuer() -> Refusal {
    Refusal::new("unknown_key", "the signature does not name the key that made it").hint(SIGN_AGAIN)
}

pub(in crate::signing) fn two_owners(key: &str, owners: &[&UserName]) -> Refusal {
    let owners: Vec<&str> = owners.iter().map(|owner| owner.as_str()).collect();
    Refusal::new(
        "two_owners",
        format!("key {key} belongs to more than one person here: {}", owners.join(", ")),
    )
    .hint("find and mend it on the server: windlass keys lint")
}

pub(in crate::signing) fn unreadable_certificate(key: &str, owner: &UserName, why: &str) -> Refusal {
    Refusal::new(
        "bad_certificate",
        format!("{owner}'s certificate for key {key} cannot be used: {}", detail(why)),
    )
    .hint(format!(
        "export it anew and have it replaced: windlass keys add {owner} FILE"
    ))
}

pub(in crate::signing) fn not_yet_valid(key: &str, owner: &UserName, why: &str) -> Refusal {
    Refusal::new(
        "key_not_yet_valid",
        format!("{owner}'s key {key} was not valid when the signature says it was made: {why}"),
    )
    .hint("sign anew, and look that your clock is right: git tag -s -f NAME COMMIT")
}

pub(in crate::signing) fn expired_key(key: &str, whole: &str, owner: &UserName, when: &str) -> Refusal {
    let subkeys = if key == whole {
        String::new()
    } else {
        format!(" && gpg --quick-set-expire {whole} 1y '*'")
    };
    Refusal::new("expired_key", format!("{owner}'s key {key} {when}")).hint(format!(
        "gpg --quick-set-expire {whole} 1y{subkeys} && gpg --armor --export {whole} > {owner}.asc; then, on the server: windlass keys add {owner} {owner}.asc"
    ))
}

pub(in crate::signing) fn revoked_key(key: &str, owner: &UserName, why: &str) -> Refusal {
    Refusal::new(
        "revoked_key",
        format!("{owner}'s key {key} is revoked: {}", detail(why)),
    )
    .hint(format!(
        "sign with another key, and have it added: windlass keys add {owner} FILE"
    ))
}

pub(in crate::signing) fn wrong_key_flags(key: &str, owner: &UserName) -> Refusal {
    Refusal::new(
        "wrong_key_flags",
        format!("{owner}'s key {key} is not one for signing data"),
    )
    .hint("add a subkey that signs: gpg --quick-add-key FINGERPRINT default sign 1y, then windlass keys add USER FILE")
}

pub(in crate::signing) fn sha1_self_signature(key: &str, whole: &str, owner: &UserName) -> Refusal {
    // The certificate is renewed by one command, its subkeys by one more.
    let subkeys = if key == whole {
        String::new()
    } else {
        format!(" && gpg --cert-digest-algo SHA512 --quick-set-expire {whole} 1y '*'")
    };
    Refusal::new(
        "sha1_self_signature",
        format!("{owner}'s key {key} is held together by signatures over SHA-1, which can be forged"),
    )
    .hint(format!(
        "renew them: gpg --cert-digest-algo SHA512 --quick-set-expire {whole} 1y{subkeys} && gpg --armor --export {whole} > {owner}.asc; on the server: windlass keys add {owner} {owner}.asc; then sign anew: git tag -s -f NAME COMMIT (an administrator may also set signing.allow_sha1_self_signatures)"
    ))
}

pub(in crate::signing) fn weak_key(key: &str, owner: &UserName, why: &str) -> Refusal {
    Refusal::new("weak_key", format!("{owner}'s key {key} is too weak: {}", detail(why))).hint(format!(
        "make a new one: gpg --quick-gen-key ADDRESS ed25519 sign 1y, then windlass keys add {owner} FILE"
    ))
}

pub(in crate::signing) fn bad_signature(key: &str, owner: &UserName) -> Refusal {
    Refusal::new(
        "bad_signature",
        format!("the signature was not made by {owner}'s key {key} over this tag: one of them was changed"),
    )
    .hint(SIGN_AGAIN)
}
