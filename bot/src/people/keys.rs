//! Keys from files: OpenPGP certificates, armored or binary, and SSH public keys. Secret ones are refused.

use std::path::Path;

use anyhow::Context as _;
use windlass_core::escape::escaped;
use windlass_core::id::Fingerprint;
use windlass_core::people::{Person, SshKey, SshUse};
use windlass_core::refusal::Refusal;
use windlass_core::signing::openpgp::Outline;
use windlass_core::signing::openpgp::renew::holds_secret;
use windlass_core::signing::ssh::fingerprint_of;

/// The largest file of keys.
const LARGEST: u64 = 4 * 1024 * 1024;

/// One key of a person, for lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key<'p> {
    /// An OpenPGP certificate, and its text in the person's file.
    OpenPgp(Box<Outline>, &'p str),
    /// An SSH key.
    Ssh(Fingerprint, &'p SshKey),
}

impl Key<'_> {
    /// What the key is named by.
    pub fn fingerprint(&self) -> &Fingerprint {
        match self {
            Self::OpenPgp(outline, _) => &outline.fingerprint,
            Self::Ssh(fingerprint, _) => fingerprint,
        }
    }
}

impl Key<'_> {
    /// The key as JSON.
    pub fn as_value(&self) -> serde_json::Value {
        match self {
            Self::OpenPgp(outline, _) => serde_json::json!({
                "kind": "openpgp",
                "fingerprint": outline.fingerprint,
                "user_id_addresses": outline.addresses,
            }),
            Self::Ssh(fingerprint, key) => serde_json::json!({
                "kind": "ssh",
                "fingerprint": fingerprint,
                "key": key.key,
                "uses": key.uses,
                "valid_after": key.valid_after,
                "valid_before": key.valid_before,
            }),
        }
    }
}

/// All keys of a person that can be read; the others' reasons.
pub fn of(person: &Person) -> (Vec<Key<'_>>, Vec<String>) {
    let (mut keys, mut broken) = (Vec::new(), Vec::new());
    for text in &person.openpgp {
        match Outline::of_all(text.as_bytes()) {
            Ok(outlines) => keys.extend(
                outlines
                    .into_iter()
                    .map(|outline| Key::OpenPgp(Box::new(outline), text)),
            ),
            Err(why) => broken.push(format!("an OpenPGP certificate: {why}")),
        }
    }
    for key in &person.ssh {
        match fingerprint_of(&key.key) {
            Ok(fingerprint) => keys.push(Key::Ssh(fingerprint, key)),
            Err(why) => broken.push(format!("an SSH key: {why}")),
        }
    }
    (keys, broken)
}

/// Everything by which keys of a person may be named: two people may share none.
///
/// # Errors
/// A key cannot be read.
pub fn handles(person: &Person) -> Result<Vec<String>, Refusal> {
    let (keys, broken) = of(person);
    if let Some(why) = broken.into_iter().next() {
        return Err(Refusal::new("bad_key", format!("{} has {why}", person.name)));
    }
    let mut handles = Vec::new();
    for key in keys {
        match key {
            // Key ids are short enough to be made alike; fingerprints are not.
            Key::OpenPgp(outline, _) => handles.extend(outline.handles.into_iter().filter(|handle| handle.len() > 16)),
            Key::Ssh(fingerprint, _) => handles.push(fingerprint.to_string()),
        }
    }
    Ok(handles)
}

/// The certificates in a file.
///
/// # Errors
/// It cannot be read, holds a secret key, or nothing.
pub fn read_openpgp(path: &Path) -> anyhow::Result<Vec<Outline>> {
    let bytes = read(path)?;
    let shown = escaped(&path.display().to_string());
    if holds(&bytes, b"-----BEGIN PGP PRIVATE KEY") {
        return Err(secret(&shown, "gpg --armor --export KEY").into());
    }
    if holds(&bytes, b"-----BEGIN OPENSSH") || bytes.starts_with(b"ssh-") {
        return Err(Refusal::new("bad_key", format!("'{shown}' holds an SSH key"))
            .hint("SSH keys are given by --ssh")
            .into());
    }
    let outlines = Outline::of_all(&bytes).map_err(|why| {
        Refusal::new(
            "bad_key",
            format!("'{shown}' holds no OpenPGP certificate: {}", escaped(&why)),
        )
        .hint("`gpg --armor --export KEY > FILE` writes one")
    })?;
    if outlines.is_empty() {
        return Err(
            Refusal::new("bad_key", format!("'{shown}' holds no OpenPGP certificate"))
                .hint("`gpg --armor --export KEY > FILE` writes one")
                .into(),
        );
    }
    if holds_secret(&bytes) {
        return Err(secret(&shown, "gpg --armor --export KEY").into());
    }
    Ok(outlines)
}

/// Whether a file holds SSH keys, by what is in it; everything else is taken for OpenPGP.
///
/// # Errors
/// It cannot be read.
pub fn is_ssh(path: &Path) -> anyhow::Result<bool> {
    let bytes = read(path)?;
    let first = bytes
        .split(|byte| *byte == b'\n')
        .find(|line| !line.is_empty() && !line.starts_with(b"#"));
    Ok(first.is_some_and(|line| {
        let line = String::from_utf8_lossy(line);
        normal(&line).is_ok() || line.starts_with("-----BEGIN OPENSSH") || line.starts_with("ssh-")
    }))
}

/// The SSH public keys in a file, one a line.
///
/// # Errors
/// It cannot be read, holds a secret key, or nothing.
pub fn read_ssh(path: &Path, uses: &[SshUse]) -> anyhow::Result<Vec<SshKey>> {
    let bytes = read(path)?;
    let shown = escaped(&path.display().to_string());
    if holds(&bytes, b"PRIVATE KEY-----") {
        return Err(secret(&shown, "the file beside it that ends in .pub").into());
    }
    let text = String::from_utf8(bytes).map_err(|_| {
        Refusal::new("bad_key", format!("'{shown}' holds no SSH public key")).hint("it is the file that ends in .pub")
    })?;
    let mut keys = Vec::new();
    for line in text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let key = normal(line).map_err(|why| {
            Refusal::new(
                "bad_key",
                format!("'{shown}' holds a line that is no SSH public key: {why}"),
            )
            .hint("a key is one line: type, base64 and a comment, as in a file that ends in .pub")
        })?;
        keys.push(SshKey {
            key,
            uses: uses.to_vec(),
            valid_after: None,
            valid_before: None,
        });
    }
    if keys.is_empty() {
        return Err(Refusal::new("bad_key", format!("'{shown}' holds no SSH public key")).into());
    }
    Ok(keys)
}

/// A public key as type, base64 and a harmless comment.
pub(super) fn normal(line: &str) -> Result<String, String> {
    fingerprint_of(line).map_err(|why| escaped(&why))?;
    let mut words = line.split_whitespace();
    let (Some(kind), Some(base64)) = (words.next(), words.next()) else {
        return Err("it has one word only".to_owned());
    };
    let comment = words.collect::<Vec<_>>().join(" ");
    Ok(format!("{kind} {base64} {}", escaped(&comment)).trim_end().to_owned())
}

fn secret(shown: &str, instead: &str) -> Refusal {
    Refusal::new(
        "secret_key",
        format!("'{shown}' holds a secret key, which belongs on nobody's server"),
    )
    .hint(format!("give the public one: {instead}"))
}

fn holds(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|window| window == what)
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    use std::io::Read as _;
    let cannot = || format!("cannot read '{}'", path.display());
    let file = std::fs::File::open(path).with_context(cannot)?;
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes).with_context(cannot)?;
    if bytes.len() as u64 > LARGEST {
        return Err(Refusal::new("bad_key", format!("'{}' is larger than 4 MiB", path.display())).into());
    }
    Ok(bytes)
}
