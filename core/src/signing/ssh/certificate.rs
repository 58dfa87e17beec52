//! An SSH certificate as a signer (OpenSSH's `PROTOCOL.certkeys`): what an authority says of a key, and until when.

use jiff::Timestamp;
use ssh_key::certificate::CertType;
use ssh_key::{Certificate, HashAlg};

use super::allowed_signers::Entry;

/// What speaks against a certificate, of which the authority is already known to be the entry's.
pub(super) fn faults(certificate: &Certificate, entry: &Entry, identity: &[u8], at: Timestamp) -> Vec<String> {
    let mut faults = Vec::new();
    let authority = entry.key.fingerprint(HashAlg::Sha256);
    // The window is asked about apart, so that the one refusal can tell of it.
    let inside = certificate.valid_after();
    if certificate.validate_at(inside, [&authority]).is_err() {
        faults.push("the authority did not sign it, or its time is empty".to_owned());
    }
    let seconds = u64::try_from(at.as_second()).unwrap_or(0);
    if seconds < certificate.valid_after() {
        faults.push(format!(
            "it is valid only from {} on",
            moment(certificate.valid_after())
        ));
    }
    if seconds >= certificate.valid_before() {
        faults.push(format!(
            "it has expired: it ended on {}",
            moment(certificate.valid_before())
        ));
    }
    if certificate.cert_type() != CertType::User {
        faults.push("it is for a host, not for a user".to_owned());
    }
    if let Some((option, _)) = certificate.critical_options().iter().next() {
        faults.push(format!(
            "it has the critical option '{option}', which means nothing here"
        ));
    }
    let named = certificate.valid_principals();
    if !named
        .iter()
        .any(|principal| principal.as_bytes().eq_ignore_ascii_case(identity))
    {
        let named = if named.is_empty() {
            "nobody".to_owned()
        } else {
            named.join(", ")
        };
        faults.push(format!(
            "it is for {named}, not for {}",
            String::from_utf8_lossy(identity)
        ));
    }
    faults
}

fn moment(seconds: u64) -> String {
    let moment = i64::try_from(seconds)
        .ok()
        .and_then(|seconds| Timestamp::from_second(seconds).ok());
    moment.map_or_else(|| "a day out of range".to_owned(), |moment| moment.to_string())
}
