//! What `windlass keys lint` finds in a real keyring.

use std::time::Duration;

use windlass_core::signing::lint::{Finding, Measure, Severity};

use crate::world::{BIRTH, World};

const NONE: [&str; 0] = [];

fn findings(world: &World) -> Vec<Finding> {
    let measure = Measure {
        now: world.now,
        warn_before: Duration::from_hours(30 * 24),
        sha1_self_signatures_allowed: world.policy.allow_sha1_self_signatures,
    };
    world.keyring().lint(&measure).unwrap()
}

fn codes(world: &World) -> Vec<&'static str> {
    findings(world).iter().map(|finding| finding.code).collect()
}

/// Makes a key that ends so long after [`BIRTH`].
fn key_for(world: &World, name: &str, algorithm: &str, usage: &str, length: &str) {
    let id = format!("{name} <{name}@example.org>");
    world.gpg(
        BIRTH,
        &["--batch", "--quick-gen-key", &id, algorithm, usage, length],
        b"",
    );
    world.enrol(name);
}

#[test]
fn a_sound_keyring_has_no_findings() {
    let world = World::new();
    key_for(&world, "alice", "ed25519", "sign", "0");
    key_for(&world, "bob", "ed25519", "sign", "1y");
    assert_eq!(codes(&world), NONE);
}

#[test]
fn keys_near_and_past_their_end_are_found() {
    let world = World::new();
    // Born on 1 January, looked at on 1 June: 151 days later.
    key_for(&world, "alice", "ed25519", "sign", "160d");
    key_for(&world, "bob", "ed25519", "sign", "100d");
    let found = findings(&world);
    let told: Vec<_> = found
        .iter()
        .map(|finding| {
            (
                finding.code,
                finding.severity,
                finding.person.as_ref().unwrap().as_str(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("expires_soon", Severity::Warning, "alice"),
            ("expired_key", Severity::Error, "bob")
        ]
    );
    assert!(found[0].message.ends_with("ends in 8 days"), "{}", found[0].message);
}

#[test]
fn a_certificate_that_cannot_sign_is_found() {
    let world = World::new();
    key_for(&world, "alice", "ed25519", "cert", "0");
    assert_eq!(codes(&world), ["wrong_key_flags"]);
}

#[test]
fn sha1_self_signatures_are_found_and_only_warned_of_when_allowed() {
    let mut world = World::new();
    world.key("alice", "rsa2048", &["--cert-digest-algo", "SHA1"]);
    world.enrol("alice");
    assert_eq!(findings(&world)[0].severity, Severity::Error);
    world.policy.allow_sha1_self_signatures = true;
    let found = findings(&world);
    assert_eq!(
        (found.len(), found[0].code, found[0].severity),
        (1, "sha1_self_signature", Severity::Warning)
    );
}

#[test]
fn what_two_people_share_is_found() {
    let world = World::new();
    key_for(&world, "alice", "ed25519", "sign", "0");
    let armored = world.export("alice");
    let text = format!("addresses = ['ALICE@example.org']\ngithub = 'al'\nopenpgp = ['''\n{armored}''']\n");
    std::fs::write(world.people().join("bob.toml"), text).unwrap();
    std::fs::write(world.people().join("carol.toml"), "github = 'Al'\n").unwrap();
    assert_eq!(
        codes(&world),
        ["no_signing_key", "two_owners", "address_twice", "login_twice"]
    );
}

#[test]
fn files_that_do_not_count_are_found() {
    let world = World::new();
    std::fs::write(world.people().join("Alice.toml"), "").unwrap();
    std::fs::write(world.people().join("bob.toml"), "colour = 'red'").unwrap();
    std::fs::write(world.people().join("carol.asc"), "nothing").unwrap();
    std::fs::write(world.people().join("allowed_signers"), "alice").unwrap();
    assert_eq!(codes(&world), ["bad_file"; 4]);
    for finding in findings(&world) {
        assert!(!finding.message.contains('\n'), "{}", finding.message);
    }
}

#[test]
fn a_secret_key_in_a_file_is_found() {
    let world = World::new();
    world.key("alice", "ed25519", &[]);
    let secret = world.gpg(BIRTH, &["--batch", "--armor", "--export-secret-keys"], b"");
    world.enrol_with("alice", &String::from_utf8(secret).unwrap());
    assert_eq!(codes(&world), ["secret_key"]);
}

#[test]
fn ssh_keys_are_looked_at() {
    let world = World::new();
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";
    let text = format!(
        "[[ssh]]\nkey = '{key}'\nvalid_before = '2026-06-10T00:00:00Z'\n[[ssh]]\nkey = '{key} again'\nvalid_before = '2026-01-01T00:00:00Z'\n[[ssh]]\nkey = 'x'\n"
    );
    std::fs::write(world.people().join("alice.toml"), text).unwrap();
    assert_eq!(codes(&world), ["expires_soon", "expired_key", "bad_ssh_key"]);
}
