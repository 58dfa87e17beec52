//! Signatures that `ssh-keygen -Y sign` made.

use std::process::Command;

use rstest::rstest;
use windlass_core::signing::{Identity, Moment};

use crate::world::{World, codes, run, signer};

const NONE: [&str; 0] = [];

struct Ssh(World);

impl Ssh {
    fn new(kind: &str, bits: &str) -> Self {
        let ssh = Self(World::new());
        ssh.make("id", kind, bits);
        ssh
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.dir.path().join(name)
    }

    fn make(&self, name: &str, kind: &str, bits: &str) {
        let mut keygen = Command::new("ssh-keygen");
        keygen
            .args(["-q", "-N", "", "-C", "", "-t", kind])
            .arg("-f")
            .arg(self.path(name));
        if !bits.is_empty() {
            keygen.args(["-b", bits]);
        }
        run(&mut keygen, b"");
    }

    fn public(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(&format!("{name}.pub")))
            .unwrap()
            .trim()
            .to_owned()
    }

    /// Writes Alice's file with the key, and what else is said of it.
    fn enrol(&self, more: &str) {
        let text = format!(
            "addresses = ['alice@example.org']\n[[ssh]]\nkey = '{}'\n{more}\n",
            self.public("id")
        );
        std::fs::write(self.0.people().join("alice.toml"), text).unwrap();
    }

    /// Writes Alice's file without a key, and the lines of an `allowed_signers` file.
    fn allow(&self, lines: &str) {
        std::fs::write(
            self.0.people().join("alice.toml"),
            "addresses = ['alice@example.org']\n",
        )
        .unwrap();
        std::fs::write(self.0.people().join("allowed_signers"), lines).unwrap();
    }

    fn sign(&self, extra: &[&str], key: &str, namespace: &str, payload: &[u8]) -> Vec<u8> {
        let mut keygen = Command::new("ssh-keygen");
        keygen
            .args(["-q", "-Y", "sign", "-n", namespace])
            .args(extra)
            .arg("-f")
            .arg(self.path(key));
        run(&mut keygen, payload)
    }

    fn tag(&self, extra: &[&str]) -> Vec<u8> {
        let payload = self.0.plain();
        let signature = self.sign(extra, "id", "git", &payload);
        [payload, signature].concat()
    }

    /// Has the key certified by an authority for a principal.
    fn certify(&self, principal: &str, more: &[&str]) {
        let mut keygen = Command::new("ssh-keygen");
        keygen
            .args(["-q", "-s"])
            .arg(self.path("authority"))
            .args(["-I", "test", "-n", principal])
            .args(more);
        run(keygen.arg(self.path("id.pub")), b"");
    }

    fn certified_tag(&self) -> Vec<u8> {
        let payload = self.0.plain();
        let signature = self.sign(&[], "id-cert.pub", "git", &payload);
        [payload, signature].concat()
    }
}

#[rstest]
#[case("ed25519", "", &[])]
#[case("rsa", "3072", &["-Ohashalg=sha512"])]
#[case("rsa", "2048", &["-Ohashalg=sha256"])]
#[case("ecdsa", "256", &[])]
#[case("ecdsa", "384", &[])]
#[case("ecdsa", "521", &[])]
fn every_common_algorithm_is_taken(#[case] kind: &str, #[case] bits: &str, #[case] extra: &[&str]) {
    let ssh = Ssh::new(kind, bits);
    ssh.enrol("");
    let judgement = ssh.0.judge(&ssh.tag(extra));
    let signer = signer(&judgement);
    assert_eq!(signer.owner.as_ref().unwrap().as_str(), "alice");
    assert!(signer.fingerprint.as_str().starts_with("SHA256:"));
}

#[test]
fn a_short_rsa_key_is_refused() {
    let ssh = Ssh::new("rsa", "1024");
    ssh.enrol("");
    assert_eq!(ssh.0.codes(&ssh.tag(&[])), ["weak_key"]);
}

#[test]
fn git_itself_signs_what_is_taken() {
    let ssh = Ssh::new("ed25519", "");
    ssh.enrol("");
    let key = ssh.path("id");
    let key = format!("user.signingkey={}", key.display());
    let tagger = ["-c", "user.name=Alice", "-c", "user.email=alice@example.org"];
    let sign = [
        "-c",
        "gpg.format=ssh",
        "-c",
        &key,
        "tag",
        "-s",
        "-m",
        "1.0-alt1",
        "1.0-alt1",
        &ssh.0.commit,
    ];
    ssh.0.git(&[&tagger[..], &sign[..]].concat(), b"");
    let object = String::from_utf8(ssh.0.git(&["rev-parse", "refs/tags/1.0-alt1"], b"")).unwrap();
    let judgement = ssh
        .0
        .judge_object(&object.trim().parse().unwrap(), "refs/tags/1.0-alt1");
    assert_eq!(codes(&judgement), NONE);
}

#[test]
fn a_changed_tag_is_refused() {
    let ssh = Ssh::new("ed25519", "");
    ssh.enrol("");
    let tag = String::from_utf8(ssh.tag(&[])).unwrap();
    assert_eq!(
        ssh.0.codes(tag.replace("\n1.0-alt1\n", "\n1.0-alt2\n").as_bytes()),
        ["bad_signature"]
    );
}

#[test]
fn another_namespace_is_refused() {
    let ssh = Ssh::new("ed25519", "");
    ssh.enrol("");
    let payload = ssh.0.plain();
    let signature = ssh.sign(&[], "id", "file", &payload);
    assert_eq!(ssh.0.codes(&[payload, signature].concat()), ["wrong_namespace"]);
}

#[rstest]
#[case::login("uses = ['login']", &["wrong_key_flags"])]
#[case::sign("uses = ['sign']", &[])]
#[case::over("valid_before = '2026-06-01T12:00:00Z'", &["expired_key"])]
#[case::not_yet("valid_after = '2026-06-01T12:00:01Z'", &["key_not_yet_valid"])]
#[case::inside("valid_after = '2026-06-01T12:00:00Z'\nvalid_before = '2026-06-01T12:00:01Z'", &[])]
fn a_persons_key_has_uses_and_times(#[case] more: &str, #[case] expected: &[&str]) {
    let ssh = Ssh::new("ed25519", "");
    ssh.enrol(more);
    assert_eq!(ssh.0.codes(&ssh.tag(&[])), expected);
}

#[rstest]
#[case::plain("alice@example.org", &[])]
#[case::pattern("*@example.org", &[])]
#[case::but("*@example.org,!alice@*", &["tagger_mismatch"])]
#[case::other("bob@example.org", &["tagger_mismatch"])]
#[case::for_git("alice@example.org namespaces=\"file,git\"", &[])]
#[case::for_files("alice@example.org namespaces=\"file\"", &["wrong_namespace"])]
#[case::over("alice@example.org valid-before=\"20260601Z\"", &["expired_key"])]
#[case::not_yet("alice@example.org valid-after=20260602", &["key_not_yet_valid"])]
#[case::authority("alice@example.org cert-authority", &["unknown_key"])]
fn allowed_signers_are_judged_by_their_line(#[case] line: &str, #[case] expected: &[&str]) {
    let ssh = Ssh::new("ed25519", "");
    ssh.allow(&format!("{line} {}\n", ssh.public("id")));
    assert_eq!(ssh.0.codes(&ssh.tag(&[])), expected);
}

#[test]
fn a_key_that_is_nobodys_is_unknown() {
    let ssh = Ssh::new("ed25519", "");
    assert_eq!(ssh.0.codes(&ssh.tag(&[])), ["unknown_key"]);
}

#[test]
fn a_principal_who_is_nobody_here_is_good_only_without_identity() {
    let mut ssh = Ssh::new("ed25519", "");
    let line = format!("alice@example.org {}\n", ssh.public("id"));
    std::fs::write(ssh.0.people().join("allowed_signers"), line).unwrap();
    let tag = ssh.tag(&[]);
    assert_eq!(ssh.0.codes(&tag), ["unknown_owner"]);
    ssh.0.policy.identity = Identity::Ignored;
    let judgement = ssh.0.judge(&tag);
    assert_eq!(signer(&judgement).owner, None);
}

#[rstest]
#[case::other("bob@example.org", &["-V", "20260101:20270101"], &["bad_certificate"])]
#[case::over("alice@example.org", &["-V", "20250101:20260101"], &["bad_certificate"])]
#[case::not_yet("alice@example.org", &["-V", "20260701:20270101"], &["bad_certificate"])]
#[case::host("alice@example.org", &["-h"], &["bad_certificate"])]
#[case::critical("alice@example.org", &["-O", "force-command=id"], &["bad_certificate"])]
fn a_certified_key_is_judged_with_its_certificate(#[case] who: &str, #[case] more: &[&str], #[case] expected: &[&str]) {
    let ssh = Ssh::new("ed25519", "");
    ssh.make("authority", "ed25519", "");
    ssh.certify(who, more);
    ssh.allow(&format!("*@example.org cert-authority {}\n", ssh.public("authority")));
    assert_eq!(ssh.0.codes(&ssh.certified_tag()), expected);
}

#[rstest]
#[case("ed25519", "rsa")]
#[case("rsa", "ecdsa")]
#[case("ecdsa", "ed25519")]
fn certified_keys_of_every_kind_are_taken(#[case] kind: &str, #[case] authority: &str) {
    let ssh = Ssh::new(kind, "");
    ssh.make("authority", authority, "");
    ssh.certify("alice@example.org", &["-V", "20260101:20270101"]);
    ssh.allow(&format!("*@example.org cert-authority {}\n", ssh.public("authority")));
    assert_eq!(ssh.0.codes(&ssh.certified_tag()), NONE);
}

#[test]
fn a_certificate_of_another_authority_is_unknown() {
    let ssh = Ssh::new("ed25519", "");
    ssh.make("authority", "ed25519", "");
    ssh.make("other", "ed25519", "");
    ssh.certify("alice@example.org", &[]);
    ssh.allow(&format!("*@example.org cert-authority {}\n", ssh.public("other")));
    assert_eq!(ssh.0.codes(&ssh.certified_tag()), ["unknown_key"]);
    // The bare key on a line of its own does not make the certificate good either.
    ssh.allow(&format!("*@example.org {}\n", ssh.public("id")));
    assert_eq!(ssh.0.codes(&ssh.certified_tag()), ["unknown_key"]);
}

#[test]
fn a_certificate_counts_beside_the_persons_own_key() {
    let ssh = Ssh::new("ed25519", "");
    ssh.make("authority", "ed25519", "");
    ssh.certify("alice@example.org", &[]);
    ssh.enrol("");
    // Her key signs; a certificate for it only with a line for its authority.
    assert_eq!(ssh.0.codes(&ssh.tag(&[])), NONE);
    assert_eq!(ssh.0.codes(&ssh.certified_tag()), ["unknown_key"]);
    let line = format!("*@example.org cert-authority {}\n", ssh.public("authority"));
    std::fs::write(ssh.0.people().join("allowed_signers"), line).unwrap();
    assert_eq!(ssh.0.codes(&ssh.certified_tag()), NONE);
}

#[test]
fn a_rebuild_takes_a_key_whose_time_is_over() {
    let mut ssh = Ssh::new("ed25519", "");
    ssh.enrol("valid_before = '2026-06-01T12:00:00Z'");
    let tag = ssh.tag(&[]);
    ssh.0.policy.moment = Moment::AtTheTime;
    assert_eq!(ssh.0.codes(&tag), NONE);
}
