//! What must pass, however odd it looks.

use anyhow::Context as _;
use windlass_tests::gpg::GpgHome;
use windlass_tests::people::{ALICE, BOB};
use windlass_tests::{Clone, World};

fn passes(world: &World, clone: &Clone, bytes: &[u8], name: &str) -> anyhow::Result<()> {
    clone.make_tag(bytes, name)?;
    clone.push(&["-o", "build", &format!("refs/tags/{name}")])?.ok()?;
    let source = clone.source.trim_end_matches(".git");
    world.windlass(["tag", "check", source, name]).run()?.ok()?;
    Ok(())
}

#[test]
fn names_and_messages_are_any_bytes() -> anyhow::Result<()> {
    let world = World::new()?;
    let hello = world.repository(&ALICE, "hello")?;
    // Latin-1, in name and message; git's own checks have nothing against it.
    let tagger = b"Al\xefce \xc4rcher <alice@example.org> 1700000000 +0100";
    let draft = hello
        .draft("1.0-alt1")?
        .with("tagger", tagger)
        .saying(b"1.0-alt1: f\xfcr alle \x1b[31m\n");
    let payload = draft.payload();
    let signature = hello.signature(&payload, &[])?;
    passes(&world, &hello, &[payload, signature].concat(), "1.0-alt1")
}

#[test]
fn armor_may_have_headers() -> anyhow::Result<()> {
    let world = World::new()?;
    let hello = world.repository(&BOB, "hello")?;
    let payload = hello.draft("1.0-alt1")?.payload();
    let options = [
        "--emit-version",
        "--comment",
        "made on a laptop",
        "--comment",
        "in a train",
    ];
    let signature = hello.signature(&payload, &options)?;
    assert!(String::from_utf8_lossy(&signature).contains("\nComment: in a train\n"));
    passes(&world, &hello, &[payload, signature].concat(), "1.0-alt1")
}

#[test]
fn a_tag_may_be_bound_to_its_repository_and_say_what_is_unknown_politely() -> anyhow::Result<()> {
    let world = World::new()?;
    let hello = world.repository(&ALICE, "hello")?;
    let draft = hello
        .draft("1.0-alt1")?
        .saying("1.0-alt1\n\n[windlass repo=people/alice/packages/hello]\n[windlass mood=good]\n");
    let payload = draft.payload();
    let signature = hello.signature(&payload, &[])?;
    passes(&world, &hello, &[payload, signature].concat(), "1.0-alt1")
}

#[test]
fn upstreams_old_tags_pass_and_are_never_built() -> anyhow::Result<()> {
    let world = World::with(|world| world.set("push", "build", "\"always\""))?;
    let hello = world.repository(&ALICE, "hello")?;
    hello.git(["tag", "v0.1"]).run()?.ok()?;
    let old = "Old Upstream <old@example.com> 1100000000 +0000";
    let annotated = hello.draft("v0.2")?.with("tagger", old).payload();
    hello.make_tag(&annotated, "v0.2")?;
    // Signed by keys long gone, without a tagger, as tags of 2005 are.
    let stranger = GpgHome::at(world.dir().join("old"))?;
    let _agent = windlass_tests::gpg::Agent::of(&stranger);
    let key = stranger.make_key("Old Upstream <old@example.com>", "rsa1024", "20040101T000000", "1y")?;
    let payload = hello.draft("v0.3")?.with("tagger", old).payload();
    let signature = stranger.sign(
        &key,
        &payload,
        &["--faked-system-time", "20040601T000000!", "--digest-algo", "SHA1"],
    )?;
    hello.make_tag(&[payload, signature].concat(), "v0.3")?;
    hello.push(&["--tags"])?.ok()?;
    assert!(world.tasks()?.is_empty());
    // Asked for, they are judged like any other.
    let forced = hello.draft("v0.4")?.with("tagger", old).payload();
    hello.make_tag(&forced, "v0.4")?;
    hello.push(&["-o", "build", "refs/tags/v0.4"])?.refused(&["unsigned"])?;
    Ok(())
}

#[test]
fn one_of_a_thousand_certificates_is_found() -> anyhow::Result<()> {
    let world = World::new()?;
    windlass_tests::crowd::write_people(&world.root().join("people"), windlass_tests::crowd::CROWD)?;
    world.windlass(["keys", "index"]).run()?.ok()?;
    let hello = world.repository(&ALICE, "hello")?;
    hello.tag("1.0-alt1")?;
    let ran = hello.push(&["-o", "build", "refs/tags/1.0-alt1"])?.ok()?;
    assert!(ran.err().contains("task 1"), "{ran}");
    Ok(())
}

#[test]
fn ls_shows_what_was_pushed() -> anyhow::Result<()> {
    let world = World::new()?;
    let hello = world.repository(&ALICE, "hello")?;
    hello.tag("1.0-alt1")?;
    hello.push(&["refs/tags/1.0-alt1"])?.ok()?;
    let listed = hello.git(["ls-remote", "--tags", "origin"]).run()?.ok()?;
    listed
        .out()
        .lines()
        .find(|line| line.ends_with("refs/tags/1.0-alt1"))
        .context("the tag is there")?;
    Ok(())
}
