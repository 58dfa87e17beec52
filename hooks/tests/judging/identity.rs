//! Pusher, tagger and owner of the key are one person.

use windlass_core::signing::Identity;

use crate::world::{SIGNED, World, codes};

const NONE: [&str; 0] = [];

fn two() -> World {
    let world = World::new();
    for name in ["alice", "bob"] {
        world.key(name, "ed25519", &[]);
        world.enrol(name);
    }
    world
}

fn by(world: &World, tagger: &str, key: &str) -> Vec<u8> {
    let payload = world.payload("1.0-alt1", tagger.as_bytes(), b"1.0-alt1\n");
    let signature = world.sign(key, SIGNED, &[], &payload);
    [payload, signature].concat()
}

#[test]
fn somebody_elses_tag_is_refused_with_all_three_named() {
    let world = two();
    let judgement = world.judge(&by(&world, "Bob <bob@example.org>", "bob"));
    assert_eq!(codes(&judgement), ["not_yours"]);
    let told = &judgement.verdict.reasons()[0].message;
    assert!(
        told.contains("pushed by alice, tagged by bob <bob@example.org>, signed with bob's key"),
        "{told}"
    );
}

#[test]
fn a_tagger_who_does_not_own_the_key_is_refused() {
    let world = two();
    let judgement = world.judge(&by(&world, "Bob <bob@example.org>", "alice"));
    assert_eq!(codes(&judgement), ["tagger_mismatch"]);
    let told = &judgement.verdict.reasons()[0].message;
    assert!(
        told.contains("pushed by alice, tagged by bob <bob@example.org>, signed with alice's key"),
        "{told}"
    );
    assert_eq!(
        world.codes(&by(&world, "Eve <eve@example.org>", "alice")),
        ["tagger_mismatch"]
    );
    assert_eq!(
        world.codes(&by(&world, "Eve <eve@example.org>", "bob")),
        ["tagger_mismatch", "not_yours"]
    );
}

#[test]
fn addresses_are_compared_without_case() {
    let world = two();
    assert_eq!(world.codes(&by(&world, "Alice <Alice@Example.ORG>", "alice")), NONE);
}

#[test]
fn a_bot_pushes_for_others_and_others_for_it() {
    let mut world = two();
    world.policy.bots = vec!["bob".parse().unwrap()];
    assert_eq!(world.codes(&by(&world, "Bob <bob@example.org>", "bob")), NONE);
    world.policy.bots = vec!["alice".parse().unwrap()];
    assert_eq!(world.codes(&by(&world, "Bob <bob@example.org>", "bob")), NONE);
    assert_eq!(
        world.codes(&by(&world, "Bob <bob@example.org>", "alice")),
        ["tagger_mismatch"]
    );
}

#[test]
fn identity_can_be_left_out() {
    let mut world = two();
    world.policy.identity = Identity::Ignored;
    assert_eq!(world.codes(&by(&world, "Eve <eve@example.org>", "bob")), NONE);
}

#[test]
fn without_a_pusher_tagger_and_key_are_compared() {
    let mut world = two();
    world.pusher = None;
    assert_eq!(world.codes(&by(&world, "Bob <bob@example.org>", "bob")), NONE);
    assert_eq!(
        world.codes(&by(&world, "Alice <alice@example.org>", "bob")),
        ["tagger_mismatch"]
    );
}

#[test]
fn a_key_with_two_owners_signs_for_neither() {
    let world = two();
    world.enrol_with("bob", &world.export("alice"));
    world.keyring().write_index().unwrap();
    assert_eq!(
        world.codes(&by(&world, "Alice <alice@example.org>", "alice")),
        ["two_owners"]
    );
}
