//! Reasons in a tag object's structure and in the keywords of its message.

use super::{SIGN_AGAIN, detail, shown, shown_lossy};
use crate::id::SourcePath;
use crate::refusal::Refusal;

pub(in crate::signing) fn nul_byte(at: usize) -> Refusal {
    Refusal::new(
        "nul_byte",
        format!("byte {at} of the tag object is NUL: programs would read it differently"),
    )
    .hint(SIGN_AGAIN)
}

pub(in crate::signing) fn duplicate_header(name: &[u8]) -> Refusal {
    Refusal::new(
        "duplicate_header",
        format!("the tag object has the header '{}' more than once", shown(name)),
    )
    .hint(SIGN_AGAIN)
}

pub(in crate::signing) fn extra_header(line: &[u8]) -> Refusal {
    Refusal::new(
        "extra_header",
        format!(
            "the tag object has the header '{}' beside object, type, tag and tagger",
            shown(line)
        ),
    )
    .hint(SIGN_AGAIN)
}

pub(in crate::signing) fn missing_header(name: &str) -> Refusal {
    Refusal::new("missing_header", format!("the tag object has no header '{name}'")).hint(SIGN_AGAIN)
}

pub(in crate::signing) fn header_order(name: &[u8]) -> Refusal {
    Refusal::new(
        "header_order",
        format!(
            "the header '{}' stands out of order: object, type, tag, tagger is the order",
            shown(name)
        ),
    )
    .hint(SIGN_AGAIN)
}

pub(in crate::signing) fn bad_object_id(value: &[u8]) -> Refusal {
    Refusal::new(
        "bad_target",
        format!("the tag points at '{}', which is no object id", shown(value)),
    )
    .hint(SIGN_AGAIN)
}

pub(in crate::signing) fn bad_name(why: &str) -> Refusal {
    Refusal::new("bad_name", why.to_owned()).hint("choose another name: git tag -s NEW-NAME OLD-NAME^{commit}")
}

pub(in crate::signing) fn bad_tagger(value: &[u8]) -> Refusal {
    Refusal::new(
        "bad_tagger",
        format!("the tagger '{}' is not 'NAME <ADDRESS> SECONDS ZONE'", shown(value)),
    )
    .hint("git config user.name and user.email, then git tag -s -f NAME COMMIT")
}

pub(in crate::signing) fn name_mismatch(reference: &[u8], name: &[u8]) -> Refusal {
    Refusal::new(
        "name_mismatch",
        format!(
            "the reference is '{}', but the tag that was signed is named '{}'",
            shown(reference),
            shown(name)
        ),
    )
    .hint(format!(
        "push it under its own name: git push REMOTE refs/tags/{}",
        shown(name)
    ))
}

pub(in crate::signing) fn unsigned() -> Refusal {
    Refusal::new("unsigned", "the tag is annotated, but carries no signature")
        .hint("sign it: git tag -s -f NAME COMMIT")
}

pub(in crate::signing) fn many_signatures(count: usize) -> Refusal {
    Refusal::new(
        "many_signatures",
        format!("the tag carries {count} signatures; exactly one is taken"),
    )
    .hint(SIGN_AGAIN)
}

pub(in crate::signing) fn unsupported_armor(line: &[u8]) -> Refusal {
    Refusal::new(
        "unsupported_signature",
        format!(
            "'{}' is no signature that is understood: OpenPGP and SSH are",
            shown(line)
        ),
    )
    .hint("sign with OpenPGP or SSH: git config gpg.format openpgp (or ssh), then git tag -s -f NAME COMMIT")
}

pub(in crate::signing) fn unsupported_signature(what: &str) -> Refusal {
    Refusal::new(
        "unsupported_signature",
        format!("the signature cannot be used: {}", detail(what)),
    )
    .hint(SIGN_AGAIN)
}

pub(in crate::signing) fn trailing_bytes(count: usize) -> Refusal {
    Refusal::new(
        "trailing_bytes",
        format!("{count} bytes follow the signature, which nobody signed"),
    )
    .hint(SIGN_AGAIN)
}

pub(in crate::signing) fn bad_armor(why: &str) -> Refusal {
    Refusal::new("bad_armor", format!("the signature cannot be read: {}", detail(why))).hint(SIGN_AGAIN)
}

pub(in crate::signing) fn text_signature() -> Refusal {
    Refusal::new(
        "text_signature",
        "the signature is one over text, which also holds over changed line ends",
    )
    .hint("take 'textmode' out of gpg.conf, then git tag -s -f NAME COMMIT")
}

pub(in crate::signing) fn wrong_signature_type(kind: &str) -> Refusal {
    Refusal::new(
        "wrong_signature_type",
        format!(
            "the signature is one of type '{}', not one over data",
            shown_lossy(kind)
        ),
    )
    .hint(SIGN_AGAIN)
}

pub(in crate::signing) fn bad_keyword(line: &[u8], why: &str) -> Refusal {
    Refusal::new(
        "bad_keyword",
        format!("the message's line '{}' is not understood: {why}", shown(line)),
    )
    .hint("write it as '[windlass repo=NAME]' on a line of its own")
}

pub(in crate::signing) fn unknown_keyword(word: &str) -> Refusal {
    Refusal::new(
        "unknown_keyword",
        format!(
            "the message demands '{}', which this server does not know",
            shown_lossy(word)
        ),
    )
    .hint("leave it out, or leave out its '!' if it may be ignored: git tag -s -f NAME COMMIT")
}

pub(in crate::signing) fn bad_binding(bound: &str, source: &SourcePath) -> Refusal {
    Refusal::new(
        "bad_binding",
        format!(
            "the tag is bound to the source repository '{}', and this is '{source}'",
            shown_lossy(bound)
        ),
    )
    .hint("push it there, or sign one for this repository: git tag -s -f NAME COMMIT")
}
