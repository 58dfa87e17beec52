//! An SSH certificate as a signer (OpenSSH's `PROTOCOL.certkeys`): what an authority says of a key, and until when.
//!
//! Read by hand: `ssh-key` cannot read one that is valid for ever, which is what `ssh-keygen` makes unless told otherwise.

use jiff::Timestamp;
use signature::Verifier as _;
use ssh_key::PublicKey;
use ssh_key::public::KeyData;

use super::wire::{number, string};

const SUFFIX: &str = "-cert-v01@openssh.com";
const USER: u32 = 1;

/// A certificate, read but not believed.
pub(super) struct Certificate {
    /// The key that it is about.
    pub(super) key: KeyData,
    /// The key of whoever made it.
    pub(super) authority: KeyData,
    for_user: bool,
    principals: Vec<Vec<u8>>,
    valid_after: u64,
    valid_before: u64,
    critical: Vec<Vec<u8>>,
    signed: Vec<u8>,
    signature: Vec<u8>,
}

impl Certificate {
    /// Whether a public key's bytes are those of a certificate.
    pub(super) fn is_one(blob: &[u8]) -> bool {
        string(&mut &*blob).is_some_and(|algorithm| algorithm.ends_with(SUFFIX.as_bytes()))
    }

    pub(super) fn parse(blob: &[u8]) -> Result<Self, &'static str> {
        Self::fields(blob)?.ok_or("it is cut short")
    }

    /// `Ok(None)` when it is cut short.
    fn fields(blob: &[u8]) -> Result<Option<Self>, &'static str> {
        let mut rest = blob;
        macro_rules! field {
            ($read:expr) => {
                match $read {
                    Some(value) => value,
                    None => return Ok(None),
                }
            };
        }
        let algorithm = field!(string(&mut rest));
        let algorithm = std::str::from_utf8(algorithm)
            .ok()
            .and_then(|name| name.strip_suffix(SUFFIX));
        let (plain, parts) = match algorithm {
            Some("ssh-ed25519") => ("ssh-ed25519", 1),
            Some("ssh-rsa") => ("ssh-rsa", 2),
            Some(curve @ ("ecdsa-sha2-nistp256" | "ecdsa-sha2-nistp384" | "ecdsa-sha2-nistp521")) => (curve, 2),
            Some("sk-ssh-ed25519") => ("sk-ssh-ed25519@openssh.com", 2),
            Some("sk-ecdsa-sha2-nistp256") => ("sk-ecdsa-sha2-nistp256@openssh.com", 3),
            Some(_) | None => return Err("its key is of a kind that is not taken"),
        };
        let _nonce = field!(string(&mut rest));
        let mut key = encoded(plain.as_bytes());
        for _ in 0..parts {
            key.extend(encoded(field!(string(&mut rest))));
        }
        let _serial = field!(number::<8>(&mut rest));
        let kind = u32::from_be_bytes(field!(number::<4>(&mut rest)));
        let _id = field!(string(&mut rest));
        let principals = field!(strings(field!(string(&mut rest))));
        let valid_after = u64::from_be_bytes(field!(number::<8>(&mut rest)));
        let valid_before = u64::from_be_bytes(field!(number::<8>(&mut rest)));
        // Names and values by turns.
        let critical = field!(strings(field!(string(&mut rest))))
            .into_iter()
            .step_by(2)
            .collect();
        let _extensions = field!(string(&mut rest));
        let _reserved = field!(string(&mut rest));
        let authority = field!(string(&mut rest));
        let signed = blob[..blob.len() - rest.len()].to_vec();
        let signature = field!(string(&mut rest)).to_vec();
        if !rest.is_empty() {
            return Err("bytes follow its last field");
        }
        let read = |bytes: &[u8]| PublicKey::from_bytes(bytes).map(|key| key.key_data().clone());
        Ok(Some(Self {
            key: read(&key).map_err(|_| "its key cannot be read")?,
            authority: read(authority).map_err(|_| "its authority's key cannot be read")?,
            for_user: kind == USER,
            principals,
            valid_after,
            valid_before,
            critical,
            signed,
            signature,
        }))
    }

    /// What speaks against it; that the authority may certify is the caller's knowledge.
    pub(super) fn faults(&self, identity: &[u8], at: Timestamp) -> Vec<String> {
        let mut faults = Vec::new();
        let signature = ssh_key::Signature::try_from(self.signature.as_slice());
        if !signature.is_ok_and(|signature| self.authority.verify(&self.signed, &signature).is_ok()) {
            faults.push("its authority did not sign it, or not in a way that is taken".to_owned());
        }
        let seconds = u64::try_from(at.as_second()).unwrap_or(0);
        if seconds < self.valid_after {
            faults.push(format!("it is valid only from {} on", moment(self.valid_after)));
        }
        if seconds >= self.valid_before {
            faults.push(format!("it has expired: it ended on {}", moment(self.valid_before)));
        }
        if !self.for_user {
            faults.push("it is for a host, not for a user".to_owned());
        }
        if let Some(option) = self.critical.first() {
            let option = String::from_utf8_lossy(option);
            faults.push(format!(
                "it has the critical option '{option}', which means nothing here"
            ));
        }
        if !self
            .principals
            .iter()
            .any(|principal| principal.eq_ignore_ascii_case(identity))
        {
            let named: Vec<_> = self
                .principals
                .iter()
                .map(|principal| String::from_utf8_lossy(principal))
                .collect();
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
}

fn encoded(value: &[u8]) -> Vec<u8> {
    let length = u32::try_from(value.len()).unwrap_or(u32::MAX);
    [&length.to_be_bytes()[..], value].concat()
}

fn strings(mut list: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut found = Vec::new();
    while !list.is_empty() {
        found.push(string(&mut list)?.to_vec());
    }
    Some(found)
}

fn moment(seconds: u64) -> String {
    let moment = i64::try_from(seconds)
        .ok()
        .and_then(|seconds| Timestamp::from_second(seconds).ok());
    moment.map_or_else(|| "a day out of range".to_owned(), |moment| moment.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From ssh-key's documentation: an Ed25519 key, certified by a P-256 one.
    const BASE64: &str = "AAAAIHNzaC1lZDI1NTE5LWNlcnQtdjAxQG9wZW5zc2guY29tAAAAIE7x9ln6uZLLkfXM8iatrnAAuytVHeCznU8VlEgx7TvLAAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqtiAAAAAAAAAAAAAAABAAAAFGVkMjU1MTktd2l0aC1wMjU2LWNhAAAAAAAAAABiUZm7AAAAAPTaMrsAAAAAAAAAggAAABVwZXJtaXQtWDExLWZvcndhcmRpbmcAAAAAAAAAF3Blcm1pdC1hZ2VudC1mb3J3YXJkaW5nAAAAAAAAABZwZXJtaXQtcG9ydC1mb3J3YXJkaW5nAAAAAAAAAApwZXJtaXQtcHR5AAAAAAAAAA5wZXJtaXQtdXNlci1yYwAAAAAAAAAAAAAAaAAAABNlY2RzYS1zaGEyLW5pc3RwMjU2AAAACG5pc3RwMjU2AAAAQQR8H9hzDOU0V76NkkCY7DZIgw+SqoojY6xlb91FIfpjE+UR8YkbTp5ar44ULQatFaZqQlfz8FHYTooOL5G6gHBHAAAAZAAAABNlY2RzYS1zaGEyLW5pc3RwMjU2AAAASQAAACEA/0Cwxhkac5AeNYE958j8GgvmkIESDH1TE7QYIqxsFsIAAAAgTEw8WVjlz8AnvyaKGOUELMpyFFJagtD2JFAIAJvilrc=";

    fn blob() -> Vec<u8> {
        super::super::wire::base64(BASE64.as_bytes()).unwrap()
    }

    #[test]
    fn a_certificate_is_read_and_its_authority_believed() {
        let certificate = Certificate::parse(&blob()).unwrap();
        let at = "2023-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(certificate.faults(b"alice", at), ["it is for nobody, not for alice"]);
    }

    #[test]
    fn any_changed_byte_is_noticed() {
        let at = "2023-01-01T00:00:00Z".parse().unwrap();
        let good = blob();
        for place in 0..good.len() {
            let mut changed = good.clone();
            changed[place] ^= 1;
            // Either it cannot be read, or the authority's signature does not hold.
            if let Ok(certificate) = Certificate::parse(&changed) {
                assert!(
                    certificate.faults(b"alice", at)[0].starts_with("its authority"),
                    "byte {place}"
                );
            }
        }
    }

    #[test]
    fn fuzz_certificates_never_panic() {
        let seed = blob();
        bolero::check!()
            .with_iterations(3_000)
            .with_type::<Vec<(u16, u8)>>()
            .for_each(|changes| {
                let mut bytes = seed.clone();
                for (place, value) in changes {
                    let place = usize::from(*place) % bytes.len();
                    bytes[place] = *value;
                }
                if let Ok(certificate) = Certificate::parse(&bytes) {
                    certificate.faults(b"alice", Timestamp::UNIX_EPOCH);
                }
            });
    }
}
