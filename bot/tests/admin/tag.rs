//! `windlass tag check` on a real repository, with a tag that gpg made.

use std::path::PathBuf;

use insta::assert_snapshot;

use crate::world::{World, fixture};

/// Alice's repository with the commit of the fixture, and its signed tag.
fn with_tag() -> (World, PathBuf) {
    let world = World::new();
    world.done([
        "people",
        "add",
        "alice",
        "--address",
        "alice@example.org",
        "--openpgp",
        &fixture("alice.asc"),
    ]);
    let repository = world.repository("hello");
    let git_dir = format!("--git-dir={}", repository.display());
    let tree = world.git([git_dir.as_str(), "hash-object", "-t", "tree", "-w", "/dev/null"]);
    let commit = world.git([git_dir.as_str(), "commit-tree", tree.trim(), "-m", "1.0"]);
    assert_eq!(commit.trim(), "9553eb59d6bab5e49a1ca1ac94479f40a7b19780");
    let tag = world.git([
        git_dir.as_str(),
        "hash-object",
        "-t",
        "tag",
        "-w",
        &fixture("1.0-alt1.tag"),
    ]);
    world.git([git_dir.as_str(), "update-ref", "refs/tags/1.0-alt1", tag.trim()]);
    world.git([git_dir.as_str(), "tag", "1.0-alt2", commit.trim()]);
    (world, repository)
}

#[test]
fn a_good_tag_is_told_with_its_signer() {
    let (world, repository) = with_tag();
    let checked = world.windlass(["tag", "check", "alice/hello", "1.0-alt1", "--as", "alice"]);
    assert_snapshot!(checked.all(), @r"
    good: tag 1.0-alt1
      object   cec588a6a09f938d4fce575108836d939e2ed1f3
      commit   9553eb59d6bab5e49a1ca1ac94479f40a7b19780
      tagger   Alice <alice@example.org>, 2025-01-02T00:00:00Z
      subject  Release 1.0
      signed   OpenPGP, SHA-256 of what is signed 9d892f0a78b5cb66127826fba53b4eee5b1988afb4500c5025b1b21c82fd6ca3
      signer   alice
      key      04A08501D0569514842CEAAE51957292C1FD1905
      at       2025-01-02T00:00:00Z
    ---- stderr, exit code 0
    ");
    let by_path = world.windlass(["tag", "check", repository.to_str().unwrap(), "1.0-alt1"]);
    assert_eq!(by_path.stdout, checked.stdout);
    let by_id = world.windlass([
        "tag",
        "check",
        "alice/hello",
        checked.stdout.lines().nth(1).unwrap().trim_start_matches("  object   "),
    ]);
    assert_eq!(by_id.stdout, checked.stdout);
}

#[test]
fn a_bad_one_is_refused_with_every_reason() {
    let (world, _) = with_tag();
    world.done([
        "people",
        "add",
        "bob",
        "--address",
        "bob@example.org",
        "--openpgp",
        &fixture("bob.asc"),
    ]);
    assert_snapshot!(world.windlass(["tag", "check", "alice/hello", "1.0-alt1", "--as", "bob", "--ref", "refs/tags/1.0-alt9"]).all(), @r"
    refused: tag 1.0-alt1
      object   cec588a6a09f938d4fce575108836d939e2ed1f3
      commit   9553eb59d6bab5e49a1ca1ac94479f40a7b19780
      tagger   Alice <alice@example.org>, 2025-01-02T00:00:00Z
      subject  Release 1.0
      signed   OpenPGP, SHA-256 of what is signed 9d892f0a78b5cb66127826fba53b4eee5b1988afb4500c5025b1b21c82fd6ca3
      reason   the reference is 'refs/tags/1.0-alt9', but the tag that was signed is named '1.0-alt1' [name_mismatch]
      reason   pushed by bob, tagged by alice <alice@example.org>, signed with alice's key: one cannot push what somebody else signed [not_yours]

    hint: push it under its own name: git push REMOTE refs/tags/1.0-alt1
    hint: let alice push it, or sign it yourself as bob: git tag -s -f 1.0-alt1 1.0-alt1^{}
    ---- stderr, exit code 1
    ");
    assert_snapshot!(world.windlass(["tag", "check", "alice/hello", "1.0-alt2"]).all(), @r"
    refused: tag 1.0-alt2
      reason   the tag points straight at commit 9553eb59d6bab5e49a1ca1ac94479f40a7b19780: it is lightweight, nobody signed it [unsigned]

    hint: replace it by a signed one: git tag -s -f NAME 9553eb59d6bab5e49a1ca1ac94479f40a7b19780
    ---- stderr, exit code 1
    ");
    assert_snapshot!(world.windlass(["tag", "check", "alice/hello", "1.0-alt1", "--at", "2024-06-01T00:00:00Z", "--json"]).all(), @r#"
    {
      "facts": {
        "commit": "9553eb59d6bab5e49a1ca1ac94479f40a7b19780",
        "object": "cec588a6a09f938d4fce575108836d939e2ed1f3",
        "payload_digest": "9d892f0a78b5cb66127826fba53b4eee5b1988afb4500c5025b1b21c82fd6ca3",
        "signature": "open-pgp",
        "subject": "Release 1.0",
        "tag": "1.0-alt1",
        "tagged_at": "2025-01-02T00:00:00Z",
        "tagger_address": "alice@example.org",
        "tagger_name": "Alice"
      },
      "object": "cec588a6a09f938d4fce575108836d939e2ed1f3",
      "reasons": [
        {
          "code": "future_signature",
          "hint": "set your clock right (timedatectl set-ntp true), then git tag -s -f 1.0-alt1 1.0-alt1^{}",
          "message": "the signature is dated 2025-01-02T00:00:00Z, and it is 2024-06-01T00:00:00Z here"
        }
      ],
      "signer": null,
      "verdict": "refused"
    }
    ---- stderr, exit code 1
    "#);
    assert_snapshot!(world.windlass(["tag", "check", "alice/hello", "1.0-alt3"]).all(), @r"
    ---- stderr, exit code 1
    windlass: refused: there is no tag '1.0-alt3' in 'WORLD/home/windlass/git/people/alice/packages/hello.git' [unknown_tag]

    hint: did you mean '1.0-alt2'?
    ");
    assert_snapshot!(world.windlass(["tag", "check", "alice/hullo", "1.0-alt1"]).all(), @r"
    ---- stderr, exit code 1
    windlass: refused: 'alice/hullo' is no git repository here, nor one below 'WORLD/home/windlass/git' [no_such_source]

    hint: as in `windlass tag check alice/hello 1.0-alt1`, or the path of a directory
    ");
}

#[test]
fn another_keyring_needs_no_configuration() {
    let (world, repository) = with_tag();
    let keyring = world.path("keyring");
    std::fs::create_dir(&keyring).unwrap();
    let words = [
        "tag",
        "check",
        repository.to_str().unwrap(),
        "1.0-alt1",
        "--keyring",
        keyring.to_str().unwrap(),
    ];
    let unknown = world.windlass(words);
    assert_eq!(unknown.code, 1);
    assert!(unknown.stdout.contains("[unknown_key]"), "{}", unknown.stdout);
    std::fs::copy(fixture("alice.asc"), keyring.join("alice.asc")).unwrap();
    std::fs::remove_file(world.root("windlass.toml")).unwrap();
    assert_eq!(world.windlass(words).code, 0);
    assert_eq!(world.windlass(words.into_iter().chain(["--no-identity"])).code, 0);
}
