//! What is amiss with people's keys and addresses before a push fails on it: keys about to expire, certificates held together
//! by SHA-1, keys with two owners.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use sequoia_openpgp::cert::raw::RawCertParser;
use sequoia_openpgp::parse::Parse as _;
use sequoia_openpgp::{Cert, Fingerprint};
use serde::Serialize;

use super::openpgp::{Fault, FaultKind, Outline, SigningKey, signing_keys};
use super::ssh;
use crate::escape::escaped;
use crate::id::UserName;
use crate::people::{Person, SshUse};

/// One thing that is amiss.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// A stable word for programs, as in `expires_soon`; where a push would be refused, the refusal's code.
    pub code: &'static str,
    /// Whom it concerns; nobody alone when it is a file that cannot be read.
    pub person: Option<UserName>,
    /// The key, if it is about one.
    pub key: Option<String>,
    /// One line for people.
    pub message: String,
    /// The next command or step.
    pub hint: Option<String>,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// It works, and should be looked into.
    Warning,
    /// A tag signed so is refused.
    Error,
}

impl Finding {
    /// A finding about nobody in particular yet.
    pub fn new(severity: Severity, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            severity,
            code,
            person: None,
            key: None,
            message: message.into(),
            hint: None,
        }
    }

    fn of(mut self, person: &UserName) -> Self {
        self.person = Some(person.clone());
        self
    }

    fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// The same finding with the way out.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// What the findings are measured by.
#[derive(Debug, Clone, Copy)]
pub struct Measure {
    /// The server's time.
    pub now: Timestamp,
    /// Keys that end within this time are told of.
    pub warn_before: Duration,
    /// Whether `allow_sha1_self_signatures` is set: then those are a warning, not an error.
    pub sha1_self_signatures_allowed: bool,
}

/// Everything that is amiss with these people, in their order.
pub fn lint(people: &[Person], measure: &Measure) -> Vec<Finding> {
    let mut findings = Vec::new();
    for person in people {
        for text in &person.openpgp {
            match Outline::of_all(text.as_bytes()) {
                Ok(outlines) if outlines.is_empty() => findings.push(bad_certificate(person, "there is none in it")),
                Ok(_) => findings.extend(certificates(person, text, measure)),
                Err(why) => findings.push(bad_certificate(person, &why)),
            }
        }
        findings.extend(ssh_keys(person, measure));
        let signs = !person.openpgp.is_empty() || person.ssh.iter().any(|key| key.uses.contains(&SshUse::Sign));
        if !signs {
            findings.push(
                Finding::new(
                    Severity::Warning,
                    "no_signing_key",
                    format!("{} has no key to sign with", person.name),
                )
                .of(&person.name)
                .hint(format!("windlass keys add {} FILE", person.name)),
            );
        }
    }
    findings.extend(shared(people));
    findings
}

fn bad_certificate(person: &Person, why: &str) -> Finding {
    let message = format!("a certificate of {} cannot be read: {}", person.name, escaped(why));
    Finding::new(Severity::Error, "bad_certificate", message)
        .of(&person.name)
        .hint(format!(
            "export it anew: gpg --armor --export FINGERPRINT > FILE, windlass keys add {} FILE",
            person.name
        ))
}

fn certificates(person: &Person, text: &str, measure: &Measure) -> Vec<Finding> {
    let mut findings = Vec::new();
    let Ok(parser) = RawCertParser::from_bytes(text.as_bytes()) else {
        return findings;
    };
    for raw in parser.flatten() {
        let key = raw.fingerprint().to_hex();
        match Cert::try_from(raw) {
            Ok(cert) => findings.extend(
                certificate(person, &cert, measure)
                    .into_iter()
                    .map(|finding| finding.of(&person.name)),
            ),
            Err(why) => findings.push(bad_certificate(person, &format!("{why:#}")).key(key)),
        }
    }
    findings
}

fn certificate(person: &Person, cert: &Cert, measure: &Measure) -> Vec<Finding> {
    let owner = &person.name;
    let whole = cert.fingerprint().to_hex();
    let mut findings = Vec::new();
    if cert.is_tsk() {
        findings.push(
            Finding::new(
                Severity::Error,
                "secret_key",
                format!("{owner}'s file holds the secret part of key {whole}"),
            )
            .key(whole.clone())
            .hint(format!(
                "take it out at once, and revoke it: whoever reads the server's files can sign as {owner}"
            )),
        );
    }
    let keys = signing_keys(cert, measure.now.into());
    let Some(newest) = keys.iter().max_by_key(|key| key.made) else {
        findings.push(
            Finding::new(
                Severity::Error,
                "wrong_key_flags",
                format!("{owner}'s certificate {whole} has no key that signs"),
            )
            .key(whole.clone())
            .hint(format!(
                "gpg --quick-add-key {whole} default sign 1y, then windlass keys add {owner} FILE"
            )),
        );
        return findings;
    };
    let good: Vec<&SigningKey> = keys.iter().filter(|key| key.standing.faults.is_empty()).collect();
    if good.is_empty() {
        // With the switch set, SHA-1 alone does not stop a push.
        for fault in &newest.standing.faults {
            findings.push(fault_found(owner, &newest.fingerprint, fault, measure));
        }
    }
    let sound = |key: &&SigningKey| {
        key.standing
            .faults
            .iter()
            .all(|fault| fault.kind == FaultKind::Sha1SelfSignature)
    };
    let ends: Option<Vec<SystemTime>> = keys.iter().filter(sound).map(|key| key.standing.expires).collect();
    // With one that has no end, nothing ends soon.
    if let Some(end) = ends.and_then(|ends| ends.into_iter().max())
        && let Some(left) = soon(end, measure)
    {
        findings.push(expires_soon(owner, &whole, left).hint(format!(
            "gpg --quick-set-expire {whole} 1y (and once more with '*' for subkeys), then windlass keys add {owner} FILE"
        )));
    }
    findings
}

fn soon(end: SystemTime, measure: &Measure) -> Option<u64> {
    let left = end.duration_since(measure.now.into()).ok()?;
    (left <= measure.warn_before).then_some(left.as_secs() / 86_400)
}

fn expires_soon(owner: &UserName, key: &str, days: u64) -> Finding {
    let when = match days {
        0 => "within a day".to_owned(),
        1 => "in 1 day".to_owned(),
        days => format!("in {days} days"),
    };
    Finding::new(
        Severity::Warning,
        "expires_soon",
        format!("{owner}'s key {key} ends {when}"),
    )
    .key(key)
}

fn fault_found(owner: &UserName, key: &Fingerprint, fault: &Fault, measure: &Measure) -> Finding {
    let key = key.to_hex();
    let (severity, code, what) = match fault.kind {
        FaultKind::NotYetValid => (
            Severity::Error,
            "key_not_yet_valid",
            format!("is not valid yet: {}", fault.detail),
        ),
        FaultKind::Expired => (Severity::Error, "expired_key", fault.detail.clone()),
        FaultKind::Retired | FaultKind::Compromised => {
            (Severity::Error, "revoked_key", format!("is revoked: {}", fault.detail))
        }
        FaultKind::NotForSigning => (Severity::Error, "wrong_key_flags", "is not for signing".to_owned()),
        FaultKind::Sha1SelfSignature => {
            let severity = if measure.sha1_self_signatures_allowed {
                Severity::Warning
            } else {
                Severity::Error
            };
            (
                severity,
                "sha1_self_signature",
                "is held together by signatures over SHA-1".to_owned(),
            )
        }
        FaultKind::WeakKey => (Severity::Error, "weak_key", format!("is too weak: {}", fault.detail)),
        FaultKind::Broken => (
            Severity::Error,
            "bad_certificate",
            format!("cannot be used: {}", fault.detail),
        ),
    };
    let hint = match fault.kind {
        FaultKind::Expired => format!("gpg --quick-set-expire {key} 1y, then windlass keys add {owner} FILE"),
        FaultKind::Sha1SelfSignature => {
            format!("gpg --cert-digest-algo SHA512 --quick-set-expire {key} 1y, then windlass keys add {owner} FILE")
        }
        FaultKind::NotYetValid
        | FaultKind::Retired
        | FaultKind::Compromised
        | FaultKind::NotForSigning
        | FaultKind::WeakKey
        | FaultKind::Broken => format!("have another key added: windlass keys add {owner} FILE"),
    };
    Finding::new(severity, code, format!("{owner}'s key {key} {}", escaped(&what)))
        .key(key)
        .hint(hint)
}

fn ssh_keys(person: &Person, measure: &Measure) -> Vec<Finding> {
    let owner = &person.name;
    let mut findings = Vec::new();
    for key in &person.ssh {
        let print = match ssh::fingerprint_of(&key.key) {
            Ok(print) => print.to_string(),
            Err(why) => {
                let message = format!("an SSH key of {owner} cannot be read: {}", escaped(&why));
                let hint = format!("windlass keys add {owner} FILE, with the .pub file");
                findings.push(
                    Finding::new(Severity::Error, "bad_ssh_key", message)
                        .of(owner)
                        .hint(hint),
                );
                continue;
            }
        };
        if let Some(why) = ssh::weakness_of(&key.key) {
            findings.push(
                Finding::new(
                    Severity::Error,
                    "weak_key",
                    format!("{owner}'s SSH key {print} is too weak: {why}"),
                )
                .of(owner)
                .key(print.clone())
                .hint(format!("ssh-keygen -t ed25519, then windlass keys add {owner} FILE")),
            );
        }
        let Some(end) = key.valid_before else { continue };
        if end <= measure.now {
            findings.push(
                Finding::new(
                    Severity::Error,
                    "expired_key",
                    format!("{owner}'s SSH key {print} ended on {end}"),
                )
                .of(owner)
                .key(print)
                .hint(format!("prolong valid_before, or: windlass keys rm {owner} KEY")),
            );
        } else if let Some(days) = soon(end.into(), measure) {
            findings.push(
                expires_soon(owner, &print, days)
                    .of(owner)
                    .hint("prolong valid_before in the person's file"),
            );
        }
    }
    findings
}

/// Keys, addresses and logins that more than one person has.
fn shared(people: &[Person]) -> Vec<Finding> {
    let mut keys: BTreeMap<String, Vec<&UserName>> = BTreeMap::new();
    let mut addresses: BTreeMap<String, Vec<&UserName>> = BTreeMap::new();
    let mut logins: BTreeMap<String, Vec<&UserName>> = BTreeMap::new();
    for person in people {
        for text in &person.openpgp {
            for outline in Outline::of_all(text.as_bytes()).unwrap_or_default() {
                // Key ids may collide by chance; fingerprints do not.
                for print in outline.handles.into_iter().filter(|handle| handle.len() > 16) {
                    keys.entry(print).or_default().push(&person.name);
                }
            }
        }
        for print in person.ssh.iter().filter_map(|key| ssh::fingerprint_of(&key.key).ok()) {
            keys.entry(print.into()).or_default().push(&person.name);
        }
        for address in &person.addresses {
            addresses
                .entry(address.to_ascii_lowercase())
                .or_default()
                .push(&person.name);
        }
        if let Some(login) = &person.github {
            logins.entry(login.to_ascii_lowercase()).or_default().push(&person.name);
        }
    }
    let mut findings = Vec::new();
    for (key, owners) in keys {
        if let Some(owners) = several(owners) {
            let message = format!("key {key} belongs to {owners}: what it signs is refused");
            findings.push(
                Finding::new(Severity::Error, "two_owners", message)
                    .key(key)
                    .hint("windlass keys rm USER KEY, for all but one"),
            );
        }
    }
    for (what, code, shared) in [
        ("address", "address_twice", addresses),
        ("GitHub login", "login_twice", logins),
    ] {
        for (value, owners) in shared {
            if let Some(owners) = several(owners) {
                let message = format!("the {what} {} belongs to {owners}", escaped(&value));
                findings.push(Finding::new(Severity::Error, code, message).hint("take it out of all files but one"));
            }
        }
    }
    findings
}

fn several(mut owners: Vec<&UserName>) -> Option<String> {
    owners.sort();
    owners.dedup();
    (owners.len() > 1).then(|| {
        owners
            .iter()
            .map(|owner| owner.as_str())
            .collect::<Vec<_>>()
            .join(" and ")
    })
}
