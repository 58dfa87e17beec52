//! Every reason to refuse a tag: its stable code, what a person reads, and the command that mends it.
//!
//! One function a code, so that the texts stand beside each other; the values in them come escaped.

use jiff::Timestamp;

use super::verdict::ObjectKind;
use crate::escape::{escaped, escaped_bytes};
use crate::id::{ObjectId, SourcePath, UserName};
use crate::refusal::Refusal;

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

// The object

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

// Its structure

pub(super) fn nul_byte(at: usize) -> Refusal {
    Refusal::new(
        "nul_byte",
        format!("byte {at} of the tag object is NUL: programs would read it differently"),
    )
    .hint(SIGN_AGAIN)
}

pub(super) fn duplicate_header(name: &[u8]) -> Refusal {
    Refusal::new(
        "duplicate_header",
        format!("the tag object has the header '{}' more than once", shown(name)),
    )
    .hint(SIGN_AGAIN)
}

pub(super) fn extra_header(line: &[u8]) -> Refusal {
    Refusal::new(
        "extra_header",
        format!(
            "the tag object has the header '{}' beside object, type, tag and tagger",
            shown(line)
        ),
    )
    .hint(SIGN_AGAIN)
}

pub(super) fn missing_header(name: &str) -> Refusal {
    Refusal::new("missing_header", format!("the tag object has no header '{name}'")).hint(SIGN_AGAIN)
}

pub(super) fn header_order(name: &[u8]) -> Refusal {
    Refusal::new(
        "header_order",
        format!(
            "the header '{}' stands out of order: object, type, tag, tagger is the order",
            shown(name)
        ),
    )
    .hint(SIGN_AGAIN)
}

pub(super) fn bad_object_id(value: &[u8]) -> Refusal {
    Refusal::new(
        "bad_target",
        format!("the tag points at '{}', which is no object id", shown(value)),
    )
    .hint(SIGN_AGAIN)
}

pub(super) fn bad_name(why: &str) -> Refusal {
    Refusal::new("bad_name", why.to_owned()).hint("choose another name: git tag -s NEW-NAME OLD-NAME^{commit}")
}

pub(super) fn bad_tagger(value: &[u8]) -> Refusal {
    Refusal::new(
        "bad_tagger",
        format!("the tagger '{}' is not 'NAME <ADDRESS> SECONDS ZONE'", shown(value)),
    )
    .hint("git config user.name and user.email, then git tag -s -f NAME COMMIT")
}

pub(super) fn name_mismatch(reference: &[u8], name: &[u8]) -> Refusal {
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

pub(super) fn unsigned() -> Refusal {
    Refusal::new("unsigned", "the tag is annotated, but carries no signature")
        .hint("sign it: git tag -s -f NAME COMMIT")
}

pub(super) fn many_signatures(count: usize) -> Refusal {
    Refusal::new(
        "many_signatures",
        format!("the tag carries {count} signatures; exactly one is taken"),
    )
    .hint(SIGN_AGAIN)
}

pub(super) fn unsupported_armor(line: &[u8]) -> Refusal {
    Refusal::new(
        "unsupported_signature",
        format!(
            "'{}' is no signature that is understood: OpenPGP and SSH are",
            shown(line)
        ),
    )
    .hint("sign with OpenPGP or SSH: git config gpg.format openpgp (or ssh), then git tag -s -f NAME COMMIT")
}

pub(super) fn unsupported_signature(what: &str) -> Refusal {
    Refusal::new(
        "unsupported_signature",
        format!("the signature cannot be used: {}", detail(what)),
    )
    .hint(SIGN_AGAIN)
}

pub(super) fn trailing_bytes(count: usize) -> Refusal {
    Refusal::new(
        "trailing_bytes",
        format!("{count} bytes follow the signature, which nobody signed"),
    )
    .hint(SIGN_AGAIN)
}

pub(super) fn bad_armor(why: &str) -> Refusal {
    Refusal::new("bad_armor", format!("the signature cannot be read: {}", detail(why))).hint(SIGN_AGAIN)
}

pub(super) fn text_signature() -> Refusal {
    Refusal::new(
        "text_signature",
        "the signature is one over text, which also holds over changed line ends",
    )
    .hint("take 'textmode' out of gpg.conf, then git tag -s -f NAME COMMIT")
}

pub(super) fn wrong_signature_type(kind: &str) -> Refusal {
    Refusal::new(
        "wrong_signature_type",
        format!(
            "the signature is one of type '{}', not one over data",
            shown_lossy(kind)
        ),
    )
    .hint(SIGN_AGAIN)
}

// Keywords of the message

pub(super) fn bad_keyword(line: &[u8], why: &str) -> Refusal {
    Refusal::new(
        "bad_keyword",
        format!("the message's line '{}' is not understood: {why}", shown(line)),
    )
    .hint("write it as '[windlass repo=NAME]' on a line of its own")
}

pub(super) fn unknown_keyword(word: &str) -> Refusal {
    Refusal::new(
        "unknown_keyword",
        format!(
            "the message demands '{}', which this server does not know",
            shown_lossy(word)
        ),
    )
    .hint("leave it out, or leave out its '!' if it may be ignored: git tag -s -f NAME COMMIT")
}

pub(super) fn bad_binding(bound: &str, source: &SourcePath) -> Refusal {
    Refusal::new(
        "bad_binding",
        format!(
            "the tag is bound to the source repository '{}', and this is '{source}'",
            shown_lossy(bound)
        ),
    )
    .hint("push it there, or sign one for this repository: git tag -s -f NAME COMMIT")
}

// The signature

pub(super) fn weak_hash(algorithm: &str) -> Refusal {
    Refusal::new(
        "weak_hash",
        format!(
            "the signature is made over {}, which can be forged",
            shown_lossy(algorithm)
        ),
    )
    .hint("put 'digest-algo SHA256' into ~/.gnupg/gpg.conf in place of what is there, then git tag -s -f NAME COMMIT")
}

pub(super) fn future_signature(made: Timestamp, now: Timestamp) -> Refusal {
    Refusal::new(
        "future_signature",
        format!("the signature is dated {made}, and it is {now} here"),
    )
    .hint("set your clock right (timedatectl set-ntp true), then git tag -s -f NAME COMMIT")
}

pub(super) fn expired_signature(ended: &str) -> Refusal {
    Refusal::new(
        "expired_signature",
        format!("the signature itself was made to expire, and has: {ended}"),
    )
    .hint("take 'default-sig-expire' out of gpg.conf, then git tag -s -f NAME COMMIT")
}

pub(super) fn unknown_key(named: &str) -> Refusal {
    Refusal::new(
        "unknown_key",
        format!("the signature names key {}, which is nobody's here", shown_lossy(named)),
    )
    .hint("have the key added on the server: windlass keys add USER FILE")
}

pub(super) fn no_issuer() -> Refusal {
    Refusal::new("unknown_key", "the signature does not name the key that made it").hint(SIGN_AGAIN)
}

pub(super) fn two_owners(key: &str, owners: &[&UserName]) -> Refusal {
    let owners: Vec<&str> = owners.iter().map(|owner| owner.as_str()).collect();
    Refusal::new(
        "two_owners",
        format!("key {key} belongs to more than one person here: {}", owners.join(", ")),
    )
    .hint("find and mend it on the server: windlass keys lint")
}

pub(super) fn unreadable_certificate(key: &str, owner: &UserName, why: &str) -> Refusal {
    Refusal::new(
        "bad_certificate",
        format!("{owner}'s certificate for key {key} cannot be used: {}", detail(why)),
    )
    .hint(format!(
        "export it anew and have it replaced: windlass keys add {owner} FILE"
    ))
}

pub(super) fn not_yet_valid(key: &str, owner: &UserName, why: &str) -> Refusal {
    Refusal::new(
        "key_not_yet_valid",
        format!("{owner}'s key {key} was not valid when the signature says it was made: {why}"),
    )
    .hint("sign anew, and look that your clock is right: git tag -s -f NAME COMMIT")
}

pub(super) fn expired_key(key: &str, whole: &str, owner: &UserName, when: &str) -> Refusal {
    let subkeys = if key == whole {
        String::new()
    } else {
        format!(" && gpg --quick-set-expire {whole} 1y '*'")
    };
    Refusal::new("expired_key", format!("{owner}'s key {key} {when}")).hint(format!(
        "gpg --quick-set-expire {whole} 1y{subkeys} && gpg --armor --export {whole} > {owner}.asc; then, on the server: windlass keys add {owner} {owner}.asc"
    ))
}

pub(super) fn revoked_key(key: &str, owner: &UserName, why: &str) -> Refusal {
    Refusal::new(
        "revoked_key",
        format!("{owner}'s key {key} is revoked: {}", detail(why)),
    )
    .hint(format!(
        "sign with another key, and have it added: windlass keys add {owner} FILE"
    ))
}

pub(super) fn wrong_key_flags(key: &str, owner: &UserName) -> Refusal {
    Refusal::new(
        "wrong_key_flags",
        format!("{owner}'s key {key} is not one for signing data"),
    )
    .hint("add a subkey that signs: gpg --quick-add-key FINGERPRINT default sign 1y, then windlass keys add USER FILE")
}

pub(super) fn sha1_self_signature(key: &str, whole: &str, owner: &UserName) -> Refusal {
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

pub(super) fn weak_key(key: &str, owner: &UserName, why: &str) -> Refusal {
    Refusal::new("weak_key", format!("{owner}'s key {key} is too weak: {}", detail(why))).hint(format!(
        "make a new one: gpg --quick-gen-key ADDRESS ed25519 sign 1y, then windlass keys add {owner} FILE"
    ))
}

pub(super) fn bad_signature(key: &str, owner: &UserName) -> Refusal {
    Refusal::new(
        "bad_signature",
        format!("the signature was not made by {owner}'s key {key} over this tag: one of them was changed"),
    )
    .hint(SIGN_AGAIN)
}

// SSH signatures

pub(super) fn weak_ssh_key(key: &str) -> Refusal {
    Refusal::new(
        "weak_key",
        format!("SSH key {key} is too weak: an RSA key of less than 2048 bits"),
    )
    .hint("make a new one and have it added: ssh-keygen -t ed25519, then windlass keys add USER FILE")
}

pub(super) fn bad_ssh_signature(key: &str, whose: &str, algorithm: &str) -> Refusal {
    Refusal::new(
        "bad_signature",
        format!(
            "the {} signature was not made by {whose} with key {key} over this tag: one of them was changed",
            shown_lossy(algorithm)
        ),
    )
    .hint(SIGN_AGAIN)
}

pub(super) fn wrong_namespace(namespace: &str) -> Refusal {
    Refusal::new(
        "wrong_namespace",
        format!(
            "the SSH signature is made for '{}', not for 'git'",
            shown_lossy(namespace)
        ),
    )
    .hint(SIGN_AGAIN)
}

pub(super) fn namespace_not_allowed(key: &str, line: usize) -> Refusal {
    Refusal::new(
        "wrong_namespace",
        format!("key {key} stands on line {line} of allowed_signers, but not for the namespace 'git'"),
    )
    .hint("add git to the namespaces of that line on the server")
}

pub(super) fn ssh_key_not_for_signing(key: &str, owner: &UserName) -> Refusal {
    Refusal::new(
        "wrong_key_flags",
        format!("{owner}'s SSH key {key} is for logging in, not for signing"),
    )
    .hint(format!(
        "have it added for signing too: windlass keys add {owner} --ssh FILE --sign"
    ))
}

pub(super) fn ssh_key_expired(key: &str, whose: &str, ended: Timestamp) -> Refusal {
    Refusal::new(
        "expired_key",
        format!("{whose} SSH key {key} is not valid since {ended}"),
    )
    .hint("sign with another key, or have its time prolonged on the server: valid_before (valid-before)")
}

pub(super) fn ssh_key_not_yet_valid(key: &str, whose: &str, begins: Timestamp) -> Refusal {
    Refusal::new(
        "key_not_yet_valid",
        format!("{whose} SSH key {key} is valid only from {begins} on"),
    )
    .hint("wait until then, or have it changed on the server: valid_after (valid-after)")
}

pub(super) fn ssh_certificate(why: &str) -> Refusal {
    Refusal::new(
        "bad_certificate",
        format!("the SSH certificate that signed cannot be used: {}", detail(why)),
    )
    .hint("have a new certificate made by the authority: ssh-keygen -s CA-KEY -I ID -n PRINCIPAL -V +52w KEY.pub")
}

pub(super) fn principal_mismatch(key: &str, address: &str, principals: &str) -> Refusal {
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

pub(super) fn unknown_owner(key: &str, principals: &str) -> Refusal {
    Refusal::new(
        "unknown_owner",
        format!(
            "key {key} may sign as {}, which is nobody's address here",
            shown_lossy(principals)
        ),
    )
    .hint("have the person added on the server: windlass people add USER --address ADDRESS")
}

// Who is who

pub(super) fn tagger_mismatch(three: &Three<'_>) -> Refusal {
    Refusal::new("tagger_mismatch", format!("{three}: tagger and owner of the key must be one person")).hint(format!(
        "git config user.email ADDRESS with one of {}'s, then git tag -s -f NAME COMMIT; or have the address added on the server, in people/{}.toml",
        three.owner, three.owner
    ))
}

pub(super) fn not_yours(three: &Three<'_>, pusher: &UserName) -> Refusal {
    Refusal::new(
        "not_yours",
        format!("{three}: one cannot push what somebody else signed"),
    )
    .hint(format!(
        "let {} push it, or sign it yourself as {pusher}: git tag -s -f NAME COMMIT",
        three.owner
    ))
}

/// Pusher, tagger and owner of the key, as they are named in a refusal.
pub(super) struct Three<'a> {
    pub(super) pusher: Option<&'a UserName>,
    pub(super) tagger_address: &'a [u8],
    pub(super) taggers: &'a [UserName],
    pub(super) owner: &'a UserName,
}

impl std::fmt::Display for Three<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.pusher {
            Some(pusher) => write!(f, "pushed by {pusher}, ")?,
            None => f.write_str("pushed by nobody in particular, ")?,
        }
        let taggers: Vec<&str> = self.taggers.iter().map(UserName::as_str).collect();
        let tagger = if taggers.is_empty() {
            "nobody known".to_owned()
        } else {
            taggers.join(" and ")
        };
        let address = shown(self.tagger_address);
        write!(f, "tagged by {tagger} <{address}>, signed with {}'s key", self.owner)
    }
}
