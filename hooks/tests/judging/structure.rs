//! Forged structures: `git verify-tag` lets most of these by.

use rstest::rstest;

use crate::world::{SIGNED, World, codes, signer};

fn alice() -> World {
    let world = World::new();
    world.key("alice", "ed25519", &[]);
    world.enrol("alice");
    world
}

fn replaced(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    let at = bytes
        .windows(from.len())
        .position(|window| window == from.as_bytes())
        .unwrap();
    [&bytes[..at], to.as_bytes(), &bytes[at + from.len()..]].concat()
}

#[test]
fn a_good_tag_is_good_and_says_who_and_what() {
    let world = alice();
    let judgement = world.judge(&world.signed(SIGNED, &[]));
    let signer = signer(&judgement);
    assert_eq!(signer.owner.as_ref().unwrap().as_str(), "alice");
    assert_eq!(signer.fingerprint.as_str(), world.fingerprint("alice"));
    assert_eq!(signer.signed_at.unwrap().to_string(), "2026-06-01T11:59:00Z");
    let facts = judgement.facts.unwrap();
    assert_eq!(
        (facts.tag.as_str(), facts.commit.as_str()),
        ("1.0-alt1", world.commit.as_str())
    );
    assert_eq!(
        (facts.tagger_name.as_str(), facts.subject.as_str()),
        ("Alice", "1.0-alt1")
    );
}

/// Changes made *before* signing: the signature is good, the structure is not.
#[rstest]
#[case::duplicate("tagger ", "tag 1.0-alt1\ntagger ", &["duplicate_header"])]
#[case::extra("\n\n", "\nencoding latin1\n\n", &["extra_header"])]
#[case::gpgsig_sha256("\n\n", "\ngpgsig-sha256 -----BEGIN PGP\n x\n\n", &["extra_header", "extra_header"])]
#[case::continued("\n\n", "\n more\n\n", &["extra_header"])]
#[case::no_tagger("tagger Alice <alice@example.org> 1780315140 +0000\n", "", &["missing_header"])]
#[case::order("type commit\ntag 1.0-alt1\n", "tag 1.0-alt1\ntype commit\n", &["header_order"])]
#[case::tagger("<alice@example.org>", "alice@example.org", &["bad_tagger"])]
#[case::two_addresses("<alice@example.org>", "<eve@example.org> <alice@example.org>", &["bad_tagger"])]
#[case::date("1780315140 +0000", "yesterday", &["bad_tagger"])]
#[case::nested("type commit", "type tag", &["nested_tag"])]
#[case::tree("type commit", "type tree", &["not_a_commit"])]
#[case::nul("1.0-alt1\n", "1.0-alt1\0\n", &["nul_byte", "bad_name", "name_mismatch"])]
#[case::name("tag 1.0-alt1", "tag --upload-pack=touch", &["bad_name", "name_mismatch"])]
#[case::bidi("tag 1.0-alt1", "tag 1.0-\u{202e}alt1", &["bad_name", "name_mismatch"])]
#[case::other_name("tag 1.0-alt1", "tag 1.0-alt2", &["name_mismatch"])]
#[case::target("object ", "object 0", &["bad_target"])]
#[case::unknown_keyword("\n\n", "\n\n[windlass !colour=red]\n", &["unknown_keyword"])]
#[case::other_repository("\n\n", "\n\n[windlass repo=bob/hello]\n", &["bad_binding"])]
#[case::this_repository("\n\n", "\n\n[windlass repo=hello]\n", &[])]
fn a_forged_structure_is_refused_though_its_signature_is_good(
    #[case] from: &str,
    #[case] to: &str,
    #[case] expected: &[&str],
) {
    let world = alice();
    let payload = replaced(&world.plain(), from, to);
    let signature = world.sign("alice", SIGNED, &[], &payload);
    assert_eq!(world.codes(&[payload, signature].concat()), expected);
}

#[test]
fn a_target_that_is_not_there_is_refused() {
    let world = alice();
    let payload = replaced(&world.plain(), &world.commit, &"1".repeat(40));
    let signature = world.sign("alice", SIGNED, &[], &payload);
    assert_eq!(world.codes(&[payload, signature].concat()), ["missing_target"]);
}

#[test]
fn a_target_that_only_claims_to_be_a_commit_is_refused() {
    let world = alice();
    let tree = String::from_utf8(world.git(&["mktree"], b"")).unwrap();
    let payload = replaced(&world.plain(), &world.commit, tree.trim());
    let signature = world.sign("alice", SIGNED, &[], &payload);
    assert_eq!(world.codes(&[payload, signature].concat()), ["not_a_commit"]);
}

/// Changes made after signing, outside of what is signed.
#[test]
fn what_follows_the_signature_is_refused() {
    let world = alice();
    let good = world.signed(SIGNED, &[]);
    assert_eq!(world.codes(&[&good[..], b"\n"].concat()), ["trailing_bytes"]);
    assert_eq!(world.codes(&[&good[..], b"by the way\n"].concat()), ["trailing_bytes"]);
    let no_line_end = &good[..good.len() - 1];
    assert_eq!(world.codes(no_line_end), [""; 0]);
}

#[test]
fn two_signatures_are_refused() {
    let world = alice();
    let payload = world.plain();
    let one = world.sign("alice", SIGNED, &[], &payload);
    assert_eq!(
        world.codes(&[&payload[..], &one, &one].concat()),
        ["many_signatures", "trailing_bytes"]
    );
}

#[test]
fn two_packets_in_one_armor_are_refused() {
    let world = alice();
    let payload = world.plain();
    let binary = world.gpg(
        SIGNED,
        &["--batch", "--local-user", "<alice@example.org>", "--detach-sign"],
        &payload,
    );
    let both = world.gpg(SIGNED, &["--enarmor"], &[&binary[..], &binary[..]].concat());
    let both = String::from_utf8(both)
        .unwrap()
        .replace("PGP ARMORED FILE", "PGP SIGNATURE");
    assert_eq!(
        world.codes(&[&payload[..], both.as_bytes()].concat()),
        ["many_signatures"]
    );
}

/// Ten thousand cost `git verify-tag` a minute.
#[test]
fn very_many_signatures_cost_nothing() {
    let mut world = alice();
    world.policy.max_tag_size = 64 * 1024 * 1024;
    let payload = world.plain();
    let one = world.gpg(
        SIGNED,
        &["--batch", "--local-user", "<alice@example.org>", "--detach-sign"],
        &payload,
    );
    for (count, expected) in [(50, "many_signatures"), (10_000, "too_large")] {
        let packets = world.gpg(SIGNED, &["--enarmor"], &one.repeat(count));
        let armored = String::from_utf8(packets)
            .unwrap()
            .replace("PGP ARMORED FILE", "PGP SIGNATURE");
        let object = world.store(&[&payload[..], armored.as_bytes()].concat());
        let begin = std::time::Instant::now();
        assert_eq!(codes(&world.judge_object(&object, "refs/tags/1.0-alt1")), [expected]);
        assert!(
            begin.elapsed() < std::time::Duration::from_secs(1),
            "{:?}",
            begin.elapsed()
        );
    }
}

#[test]
fn a_tag_without_signature_is_refused() {
    let world = alice();
    assert_eq!(world.codes(&world.plain()), ["unsigned"]);
    let lightweight = world.judge_object(&world.commit.parse().unwrap(), "refs/tags/1.0-alt1");
    assert_eq!(codes(&lightweight), ["unsigned"]);
}

#[test]
fn an_object_that_is_not_there_is_refused() {
    let world = alice();
    let judgement = world.judge_object(&"2".repeat(40).parse().unwrap(), "refs/tags/1.0-alt1");
    assert_eq!(codes(&judgement), ["missing_object"]);
}

#[test]
fn replace_refs_change_nothing() {
    let world = alice();
    let good = world.store(&world.signed(SIGNED, &[]));
    let unsigned = world.store(&world.plain());
    world.git(&["update-ref", &format!("refs/replace/{unsigned}"), good.as_str()], b"");
    // Git itself shows the good one in its place.
    let shown = world.git(&["cat-file", "tag", unsigned.as_str()], b"");
    assert!(String::from_utf8_lossy(&shown).contains("BEGIN PGP SIGNATURE"));
    assert_eq!(
        codes(&world.judge_object(&unsigned, "refs/tags/1.0-alt1")),
        ["unsigned"]
    );
}

#[test]
fn any_bytes_may_be_in_names_and_messages() {
    let world = alice();
    let payload = world.payload(
        "1.0-alt1",
        b"J\xf6rg \xe2\x80\xae <alice@example.org>",
        b"\xff\xfe no UTF-8\n\n[not windlass]\n",
    );
    let signature = world.sign(
        "alice",
        SIGNED,
        &["--comment", "a header of the armor", "--emit-version"],
        &payload,
    );
    assert!(String::from_utf8_lossy(&signature).contains("Comment:"));
    let judgement = world.judge(&[payload, signature].concat());
    assert_eq!(codes(&judgement), [""; 0]);
    let facts = judgement.facts.unwrap();
    assert_eq!(facts.tagger_name, "J\\xf6rg \\u{202e}");
    assert_eq!(facts.subject, "\\xff\\xfe no UTF-8");
}

#[test]
fn sizes_are_limited_before_anything_is_inflated() {
    let world = alice();
    let large = vec![b'x'; 70_000];
    let payload = world.payload("1.0-alt1", b"Alice <alice@example.org>", &large);
    assert_eq!(world.codes(&payload), ["too_large"]);
    // Headers of the armor count as well.
    let signed = String::from_utf8(world.signed(SIGNED, &[])).unwrap();
    let header = format!("SIGNATURE-----\nComment: {}\n\n", "y".repeat(20_000));
    let large = signed.replacen("SIGNATURE-----\n\n", &header, 1);
    assert_eq!(world.codes(large.as_bytes()), ["too_large"]);
}

#[test]
fn a_bomb_costs_nothing() {
    let world = alice();
    // 256 MiB of the same byte, a few hundred kB when packed.
    let mut bomb = world.plain();
    bomb.resize(256 * 1024 * 1024, b'x');
    let object = world.store(&bomb);
    drop(bomb);
    world.git(&["update-ref", "refs/tags/bomb", object.as_str()], b"");
    world.git(&["-c", "core.bigFileThreshold=1g", "repack", "-adq"], b"");
    // Forget the peak that making the bomb was.
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = peak_memory();
    assert_eq!(codes(&world.judge_object(&object, "refs/tags/1.0-alt1")), ["too_large"]);
    assert!(
        peak_memory() - before < 8 * 1024,
        "judging a bomb took {} kB",
        peak_memory() - before
    );
}

/// The process's largest size so far, in kB.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn all_reasons_are_told() {
    let mut world = alice();
    world.pusher = Some("bob".parse().unwrap());
    let payload = replaced(&world.plain(), "tag 1.0-alt1", "tag 1.0-alt2\nx y");
    let payload = replaced(&payload, "alice@example.org", "carol@example.org");
    let signature = world.sign("alice", "20400101T000000", &["--textmode"], &payload);
    let expected = [
        "extra_header",
        "name_mismatch",
        "text_signature",
        "future_signature",
        "tagger_mismatch",
        "not_yours",
    ];
    assert_eq!(world.codes(&[payload, signature].concat()), expected);
}
