//! The index is a help, never an authority.

use std::time::Instant;

use crate::world::{SIGNED, World, codes};

const NONE: [&str; 0] = [];

fn alice() -> (World, Vec<u8>) {
    let world = World::new();
    world.key("alice", "ed25519", &[]);
    world.enrol("alice");
    let tag = world.signed(SIGNED, &[]);
    (world, tag)
}

fn index(world: &World) -> String {
    std::fs::read_to_string(world.people().join(".index")).unwrap()
}

#[test]
fn an_index_is_made_where_there_is_none() {
    let (world, tag) = alice();
    assert_eq!(world.codes(&tag), NONE);
    let index = index(&world);
    assert!(index.contains(&format!("{}\talice\n", world.fingerprint("alice"))));
    assert!(index.contains("@alice@example.org\talice\n"));
}

#[test]
fn a_key_added_since_is_found() {
    let world = World::new();
    world.keyring().write_index().unwrap();
    world.key("alice", "ed25519", &[]);
    let tag = world.signed(SIGNED, &[]);
    assert_eq!(world.codes(&tag), ["unknown_key"]);
    world.enrol("alice");
    assert_eq!(world.codes(&tag), NONE);
}

#[test]
fn a_key_removed_since_is_unknown_whatever_the_index_says() {
    let (world, tag) = alice();
    world.keyring().write_index().unwrap();
    std::fs::write(world.people().join("alice.toml"), "addresses = ['alice@example.org']\n").unwrap();
    assert_eq!(world.codes(&tag), ["unknown_key"]);
    std::fs::remove_file(world.people().join("alice.toml")).unwrap();
    assert_eq!(world.codes(&tag), ["unknown_key"]);
}

#[test]
fn an_index_that_lies_gives_nobody_a_key() {
    let (world, tag) = alice();
    std::fs::write(world.people().join("bob.toml"), "addresses = ['alice@example.org']\n").unwrap();
    world.keyring().write_index().unwrap();
    let lies = index(&world).replace("\talice\n", "\tbob\n");
    std::fs::write(world.people().join(".index"), lies).unwrap();
    // Bob's file does not have the key; and since the index claims to be fresh, nobody has.
    assert_eq!(world.codes(&tag), ["unknown_key"]);
}

#[test]
fn a_broken_index_is_made_anew() {
    let (world, tag) = alice();
    for broken in [
        "",
        "windlass people index 1\n",
        "\u{0}",
        "windlass people index 2\n\nX\talice\n",
    ] {
        std::fs::write(world.people().join(".index"), broken).unwrap();
        assert_eq!(world.codes(&tag), NONE, "{broken:?}");
    }
}

#[test]
fn files_that_cannot_be_read_lock_nobody_else_out() {
    let (world, tag) = alice();
    let people = world.people();
    std::fs::write(people.join("mallory.toml"), "addresses = [").unwrap();
    std::fs::create_dir(people.join("directory.toml")).unwrap();
    for (target, name) in [
        ("circle.toml", "circle.toml"),
        ("/no/such", "dangling.toml"),
        ("alice.toml/x", "below.toml"),
    ] {
        std::os::unix::fs::symlink(target, people.join(name)).unwrap();
    }
    for _ in 0..2 {
        assert_eq!(world.codes(&tag), NONE);
        let _ = std::fs::remove_file(people.join(".index"));
    }
    let (everybody, problems) = world.keyring().everybody().unwrap();
    assert_eq!(everybody.len(), 1, "{everybody:?}");
    let mut found: Vec<_> = problems.iter().filter_map(|problem| problem.path.file_stem()).collect();
    found.sort();
    assert_eq!(found, ["below", "circle", "mallory"]);
}

#[test]
fn a_store_that_stays_open_sees_changes() {
    let (world, tag) = alice();
    let keyring = world.keyring();
    let store = windlass_hooks::objects::RawStore::at(&world.repository()).unwrap();
    let object = world.store(&tag);
    let judge = || codes(&world.judge_in(&store, &keyring, &object, "refs/tags/1.0-alt1"));
    assert_eq!(judge(), NONE);
    std::fs::write(world.people().join("alice.toml"), "addresses = ['alice@example.org']\n").unwrap();
    assert_eq!(judge(), ["unknown_key"]);
    world.enrol("alice");
    assert_eq!(judge(), NONE);
}

#[test]
fn a_directory_of_certificates_will_do() {
    let (world, tag) = alice();
    let armored = world.export("alice");
    std::fs::remove_file(world.people().join("alice.toml")).unwrap();
    std::fs::write(world.people().join("alice.asc"), armored).unwrap();
    assert_eq!(world.codes(&tag), NONE);
    std::fs::remove_file(world.people().join("alice.asc")).unwrap();
    let binary = world.gpg(SIGNED, &["--batch", "--export", "<alice@example.org>"], b"");
    std::fs::write(world.people().join("alice.gpg"), binary).unwrap();
    assert_eq!(world.codes(&tag), NONE);
}

#[test]
fn a_thousand_people_cost_little_more_than_three() {
    let (world, tag) = alice();
    let object = world.store(&tag);
    let armored = world.export("alice");
    let few = cost(&world, &object);
    // The same certificate under other subkeys would need gpg a thousand times: text of the same size does as well, since
    // only the index and one person's file are read.
    for number in 0..1000 {
        let text = format!(
            "addresses = [\"p{number}@example.org\"]\n# {}\n",
            armored.replace('\n', "\n# ")
        );
        std::fs::write(world.people().join(format!("p{number}.toml")), text).unwrap();
    }
    world.keyring().write_index().unwrap();
    let many = cost(&world, &object);
    assert!(many < few + 2.0, "3: {few} ms, 1000: {many} ms");
}

/// Milliseconds to open everything and judge a tag; the best of several.
fn cost(world: &World, object: &windlass_core::id::ObjectId) -> f64 {
    let once = || {
        let begin = Instant::now();
        assert_eq!(codes(&world.judge_object(object, "refs/tags/1.0-alt1")), NONE);
        begin.elapsed().as_secs_f64() * 1000.0
    };
    (0..40).map(|_| once()).fold(f64::INFINITY, f64::min)
}
