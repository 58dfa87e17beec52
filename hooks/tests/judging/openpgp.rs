//! OpenPGP signatures that hold, and keys that do not.

use rstest::rstest;
use windlass_core::signing::{Case, Circumstances, Moment, ObjectHeader, ObjectKind, Verdict};

use crate::world::{BIRTH, SIGNED, World, codes, signer};

const NONE: [&str; 0] = [];

fn with(algorithm: &str, extra: &[&str]) -> World {
    let world = World::new();
    world.key("alice", algorithm, extra);
    world.enrol("alice");
    world
}

#[rstest]
#[case("ed25519")]
#[case("rsa4096")]
#[case("rsa2048")]
#[case("nistp256")]
#[case("nistp521")]
fn every_common_algorithm_is_taken(#[case] algorithm: &str) {
    let world = with(algorithm, &[]);
    assert_eq!(world.codes(&world.signed(SIGNED, &[])), NONE);
}

#[test]
fn a_short_rsa_key_is_refused() {
    let world = with("rsa1024", &[]);
    assert_eq!(world.codes(&world.signed(SIGNED, &[])), ["weak_key"]);
}

#[test]
fn a_subkey_that_signs_is_named() {
    let world = with("ed25519", &[]);
    let whole = world.fingerprint("alice");
    world.gpg(
        BIRTH,
        &["--batch", "--quick-add-key", &whole, "ed25519", "sign", "0"],
        b"",
    );
    world.enrol("alice");
    let judgement = world.judge(&world.signed(SIGNED, &[]));
    let signer = signer(&judgement);
    assert_eq!(signer.fingerprint.as_str(), whole);
    assert!(
        signer
            .subkey
            .as_ref()
            .is_some_and(|subkey| *subkey != signer.fingerprint)
    );
}

#[test]
fn a_key_that_is_nobodys_is_unknown() {
    let world = World::new();
    world.key("alice", "ed25519", &[]);
    assert_eq!(world.codes(&world.signed(SIGNED, &[])), ["unknown_key"]);
}

#[test]
fn any_changed_byte_is_noticed() {
    let world = with("ed25519", &[]);
    let good = world.signed(SIGNED, &[]);
    let alice = world.keyring().person(&"alice".parse().unwrap()).unwrap().unwrap();
    let judge = |bytes: &[u8]| {
        let id = gix::objs::compute_hash(gix::hash::Kind::Sha1, gix::objs::Kind::Tag, bytes).unwrap();
        let object = id.to_string().parse().unwrap();
        let how = Circumstances {
            reference: None,
            target: Some(ObjectHeader {
                kind: ObjectKind::Commit,
                size: 200,
            }),
            source: None,
            pusher: None,
            tagger_people: &["alice".parse().unwrap()],
            people: &[std::sync::Arc::clone(&alice)],
            certificates: &windlass_core::signing::openpgp::Certificates::default(),
            allowed_signers: None,
            now: world.now,
        };
        Case::open(&object, bytes, &world.policy)
            .judge(&how, &world.policy)
            .verdict
    };
    assert!(matches!(judge(&good), Verdict::Good(_)));
    let signed = good.windows(11).position(|window| window == b"-----BEGIN ").unwrap();
    for at in 0..signed {
        for mask in [1, 0x20, 0x80, 0xff] {
            let mut changed = good.clone();
            changed[at] ^= mask;
            assert!(
                matches!(judge(&changed), Verdict::Refused(_)),
                "byte {at} with {mask:x}"
            );
        }
    }
    let mut message = good;
    message[signed - 2] ^= 1;
    assert_eq!(world.codes(&message), ["bad_signature"]);
}

#[rstest]
#[case::a_laptop_a_minute_ahead("20260601T120100", &[])]
#[case::five_minutes("20260601T120500", &[])]
#[case::six_minutes("20260601T120600", &["future_signature"])]
#[case::in_2040("20400101T000000", &["future_signature"])]
fn the_future_is_refused_but_for_a_little(#[case] time: &str, #[case] expected: &[&str]) {
    let world = with("ed25519", &[]);
    assert_eq!(world.codes(&world.signed(time, &[])), expected);
}

#[test]
fn a_key_made_on_that_laptop_just_now_is_taken() {
    let world = World::new();
    world.gpg(
        "20260601T120030",
        &[
            "--batch",
            "--quick-gen-key",
            "alice <alice@example.org>",
            "ed25519",
            "sign",
            "0",
        ],
        b"",
    );
    world.enrol("alice");
    assert_eq!(world.codes(&world.signed("20260601T120100", &[])), NONE);
}

#[test]
fn a_signature_older_than_its_key_is_refused() {
    let world = with("ed25519", &["--ignore-time-conflict"]);
    let signed = world.signed("20251201T000000", &["--ignore-time-conflict", "--ignore-valid-from"]);
    assert_eq!(world.codes(&signed), ["key_not_yet_valid"]);
}

#[test]
fn a_certificate_that_lost_its_older_self_signatures_is_told_as_such() {
    let world = with("ed25519", &[]);
    let before = world.signed("20260201T000000", &[]);
    let renew = ["--batch", "--quick-set-expire", &world.fingerprint("alice"), "1y"];
    world.gpg("20260301T000000", &renew, b"");
    let armored = world.gpg(
        BIRTH,
        &["--batch", "--armor", "--export-options", "export-minimal", "--export"],
        b"",
    );
    world.enrol_with("alice", &String::from_utf8(armored).unwrap());
    let judgement = world.judge(&before);
    assert_eq!(codes(&judgement), ["key_not_yet_valid"]);
    assert!(
        judgement.verdict.reasons()[0]
            .message
            .contains("renewed on 2026-03-01T00:00:00Z")
    );
    assert_eq!(world.codes(&world.signed(SIGNED, &[])), NONE);
}

/// Sequoia, asked as of the signature's time alone, calls the last one good.
#[rstest]
#[case::fresh("20260201T000000", "2026-02-01T01:00:00Z", &[])]
#[case::expired("20260601T115900", "2026-06-01T12:00:00Z", &["expired_key"])]
#[case::backdated("20260201T000000", "2026-06-01T12:00:00Z", &["expired_key"])]
fn an_expired_key_is_refused_even_when_backdated(#[case] signed: &str, #[case] now: &str, #[case] expected: &[&str]) {
    let mut world = World::new();
    world.gpg(
        BIRTH,
        &[
            "--batch",
            "--quick-gen-key",
            "alice <alice@example.org>",
            "ed25519",
            "sign",
            "3m",
        ],
        b"",
    );
    world.enrol("alice");
    // The thief's gpg does not mind; with its own clock it does, so that the clock stands in the key's life.
    let tag = if signed == SIGNED {
        let longer = world.export("alice");
        world.gpg(
            "20260102T000000",
            &["--batch", "--quick-set-expire", &world.fingerprint("alice"), "0"],
            b"",
        );
        let tag = world.signed(signed, &[]);
        world.enrol_with("alice", &longer);
        tag
    } else {
        world.signed(signed, &[])
    };
    world.now = now.parse().unwrap();
    assert_eq!(world.codes(&tag), expected);
}

/// Revokes Alice's key on 1 April, for a reason of gpg's list.
fn revoke(world: &World, reason: &str, extra: &[&str]) {
    let answers = format!("y\n{reason}\nwhy\n\ny\n");
    let fingerprint = world.fingerprint("alice");
    let mut arguments = extra.to_vec();
    arguments.extend(["--armor", "--command-fd", "0", "--gen-revoke", &fingerprint]);
    let certificate = world.gpg("20260401T000000", &arguments, answers.as_bytes());
    world.gpg("20260401T000000", &["--batch", "--import"], &certificate);
    world.enrol("alice");
}

const COMPROMISED: &str = "1";
const SUPERSEDED: &str = "2";

#[rstest]
#[case::hard(COMPROMISED, &[])]
#[case::soft(SUPERSEDED, &[])]
#[case::over_sha1(COMPROMISED, &["--digest-algo", "SHA1", "--cert-digest-algo", "SHA1"])]
#[case::soft_over_sha1(SUPERSEDED, &["--digest-algo", "SHA1", "--cert-digest-algo", "SHA1"])]
fn a_revoked_key_is_refused_even_when_backdated(#[case] reason: &str, #[case] extra: &[&str]) {
    let world = with("ed25519", &[]);
    let backdated = world.signed("20260201T000000", &[]);
    assert_eq!(world.codes(&backdated), NONE);
    let later = world.signed(SIGNED, &[]);
    revoke(&world, reason, extra);
    assert_eq!(world.codes(&backdated), ["revoked_key"]);
    assert_eq!(world.codes(&later), ["revoked_key"]);
}

/// Somebody whom the owner named may revoke, too.
#[test]
fn a_key_revoked_by_its_designated_revoker_is_refused() {
    let world = with("ed25519", &[]);
    world.key("carol", "ed25519", &[]);
    let signed = world.signed(SIGNED, &[]);
    let (alice, carol) = (world.fingerprint("alice"), world.fingerprint("carol"));
    let answers = format!("addrevoker\n{carol}\ny\nsave\n");
    world.gpg(
        "20260102T000000",
        &["--command-fd", "0", "--edit-key", &alice],
        answers.as_bytes(),
    );
    world.enrol("alice");
    assert_eq!(world.codes(&signed), NONE);
    let revoke = ["--armor", "--command-fd", "0", "--desig-revoke", &alice];
    let certificate = world.gpg("20260401T000000", &revoke, b"y\n1\nwhy\n\ny\n");
    world.gpg("20260401T000000", &["--batch", "--import"], &certificate);
    world.enrol("alice");
    let judgement = world.judge(&signed);
    assert_eq!(codes(&judgement), ["revoked_key"]);
    assert!(
        judgement.verdict.reasons()[0]
            .message
            .contains("a revoker whom its owner named")
    );
}

#[test]
fn a_rebuild_takes_what_was_good_then_unless_the_key_is_compromised() {
    let mut world = with("ed25519", &[]);
    let before = world.signed("20260201T000000", &[]);
    let after = world.signed(SIGNED, &[]);
    world.policy.moment = Moment::AtTheTime;
    revoke(&world, SUPERSEDED, &[]);
    assert_eq!(world.codes(&before), NONE);
    assert_eq!(world.codes(&after), ["revoked_key"]);

    let mut world = with("ed25519", &[]);
    let before = world.signed("20260201T000000", &[]);
    world.policy.moment = Moment::AtTheTime;
    revoke(&world, COMPROMISED, &[]);
    assert_eq!(world.codes(&before), ["revoked_key"]);

    let mut world = World::new();
    world.gpg(
        BIRTH,
        &[
            "--batch",
            "--quick-gen-key",
            "alice <alice@example.org>",
            "ed25519",
            "sign",
            "3m",
        ],
        b"",
    );
    world.enrol("alice");
    let expired_since = world.signed("20260201T000000", &[]);
    assert_eq!(world.codes(&expired_since), ["expired_key"]);
    world.policy.moment = Moment::AtTheTime;
    assert_eq!(world.codes(&expired_since), NONE);
}

#[rstest]
#[case("SHA1")]
#[case("RIPEMD160")]
fn a_weak_hash_is_refused_whatever_the_settings(#[case] hash: &str) {
    let mut world = with("rsa2048", &[]);
    let signed = world.signed(SIGNED, &["--digest-algo", hash, "--allow-weak-digest-algos"]);
    assert_eq!(world.codes(&signed), ["weak_hash"]);
    world.policy.allow_sha1_self_signatures = true;
    assert_eq!(world.codes(&signed), ["weak_hash"]);
}

#[test]
fn sha1_self_signatures_are_refused_unless_switched_on() {
    let mut world = with("rsa2048", &["--cert-digest-algo", "SHA1", "--digest-algo", "SHA1"]);
    let signed = world.signed(SIGNED, &["--digest-algo", "SHA256"]);
    assert_eq!(world.codes(&signed), ["sha1_self_signature"]);
    world.policy.allow_sha1_self_signatures = true;
    assert_eq!(world.codes(&signed), NONE);
}

/// What the hint says, done.
#[test]
fn renewed_self_signatures_are_taken() {
    let world = with("rsa2048", &["--cert-digest-algo", "SHA1"]);
    let whole = world.fingerprint("alice");
    let refused = world.judge(&world.signed(SIGNED, &["--digest-algo", "SHA256"]));
    assert_eq!(codes(&refused), ["sha1_self_signature"]);
    let hint = refused.verdict.reasons()[0].hint.clone().unwrap();
    let renew = [
        "--batch",
        "--cert-digest-algo",
        "SHA512",
        "--quick-set-expire",
        &whole,
        "1y",
    ];
    assert!(hint.contains(&format!("gpg {} &&", renew[1..].join(" "))), "{hint}");
    world.gpg("20260301T000000", &renew, b"");
    world.enrol("alice");
    assert_eq!(world.codes(&world.signed(SIGNED, &[])), NONE);
}

#[test]
fn a_signature_over_text_is_refused() {
    let world = with("ed25519", &[]);
    assert_eq!(world.codes(&world.signed(SIGNED, &["--textmode"])), ["text_signature"]);
}

#[test]
fn a_signature_that_expired_is_refused() {
    let mut world = with("ed25519", &[]);
    let signed = world.signed(SIGNED, &["--default-sig-expire", "1d"]);
    assert_eq!(world.codes(&signed), NONE);
    world.now = "2026-06-03T00:00:00Z".parse().unwrap();
    assert_eq!(world.codes(&signed), ["expired_signature"]);
}

#[test]
fn a_key_that_may_not_sign_any_more_is_refused() {
    let world = with("ed25519", &[]);
    let signed = world.signed(SIGNED, &[]);
    let fingerprint = world.fingerprint("alice");
    world.gpg(
        "20260301T000000",
        &["--command-fd", "0", "--edit-key", &fingerprint],
        b"change-usage\nS\nQ\nsave\n",
    );
    world.enrol("alice");
    assert_eq!(world.codes(&signed), ["wrong_key_flags"]);
}

#[test]
fn what_is_no_signature_is_refused() {
    let world = with("ed25519", &[]);
    let plain = String::from_utf8(world.plain()).unwrap();
    let framed = |inner: &str| format!("{plain}-----BEGIN PGP SIGNATURE-----\n{inner}-----END PGP SIGNATURE-----\n");
    assert_eq!(world.codes(framed("").as_bytes()), ["bad_armor"]);
    assert_eq!(world.codes(framed("\n!!!!\n").as_bytes()), ["bad_armor"]);
    let cut = format!("{plain}-----BEGIN PGP SIGNATURE-----\n\niHUEABYKAB0\n");
    assert_eq!(world.codes(cut.as_bytes()), ["bad_armor"]);
    let other = format!("{plain}-----BEGIN SIGNED MESSAGE-----\n\nMII\n-----END SIGNED MESSAGE-----\n");
    assert_eq!(world.codes(other.as_bytes()), ["unsupported_signature"]);
    // A certificate in the place of a signature.
    let certificate = world.export("alice").replace("PUBLIC KEY BLOCK", "SIGNATURE");
    assert_eq!(
        world.codes(format!("{plain}{certificate}").as_bytes()),
        ["unsupported_signature"]
    );
}

#[test]
fn a_broken_file_says_nothing_of_others() {
    let world = with("ed25519", &[]);
    std::fs::write(world.people().join("bob.toml"), "colour = 'red'").unwrap();
    std::fs::write(world.people().join("carol.asc"), "no certificate").unwrap();
    assert_eq!(world.codes(&world.signed(SIGNED, &[])), NONE);
    let unknown = World::new();
    unknown.key("alice", "ed25519", &[]);
    std::fs::write(unknown.people().join("alice.toml"), "colour = 'red'").unwrap();
    assert_eq!(codes(&unknown.judge(&unknown.signed(SIGNED, &[]))), ["unknown_key"]);
}
