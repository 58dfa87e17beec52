//! What one person can do to another: nothing. Request ids, waiting requests, tags that are not for building.

use windlass_core::push::TagPushed;
use windlass_tests::people::{ALICE, BOB};
use windlass_tests::{Clone, World, wait};

/// The id under which a push of this tag asks for its build: whoever has seen the tag can tell it beforehand.
fn id_of_push(clone: &Clone, tag: &str) -> anyhow::Result<String> {
    let pushed = TagPushed {
        source: clone.source.parse()?,
        tag: tag.parse()?,
        object: clone.resolve(&format!("refs/tags/{tag}"))?.parse()?,
        options: windlass_core::push::PushOptions::default(),
        pusher: clone.person.name.parse()?,
    };
    Ok(pushed.request_id().to_string())
}

#[test]
fn nobody_takes_the_id_of_somebody_elses_push() -> anyhow::Result<()> {
    let world = World::new()?;
    let hello = world.repository(&ALICE, "hello")?;
    hello.tag("1.0-alt1")?;
    let id = id_of_push(&hello, "1.0-alt1")?;
    world.ssh(&BOB, &["task", "new", "--request-id", &id])?.ok()?;
    let pushed = hello.push(&["-o", "build", "refs/tags/1.0-alt1"])?.ok()?;
    assert!(pushed.err().contains("task 2"), "{pushed}");
    assert_eq!(world.tasks()?[1]["owner"], "alice");
    Ok(())
}

#[test]
fn a_request_that_waits_is_not_replaced() -> anyhow::Result<()> {
    let mut world = World::new()?;
    let hello = world.repository(&ALICE, "hello")?;
    for tag in ["1.0-alt1", "1.0-alt2", "1.0-alt3"] {
        hello.tag(tag)?;
    }
    hello.push(&["refs/tags/1.0-alt2", "refs/tags/1.0-alt3"])?.ok()?;
    world.stop_bot()?;
    hello.push(&["-o", "build", "refs/tags/1.0-alt1"])?.ok()?;
    let of_push = id_of_push(&hello, "1.0-alt1")?;
    world
        .ssh(&BOB, &["build", "tool", "9-alt9", "--request-id", &of_push])?
        .refused(&["request_reused"])?;
    let own = "r-00112233445566778899";
    let build = |person, tag| world.ssh(person, &["build", "alice/hello", tag, "--request-id", own]);
    build(&ALICE, "1.0-alt2")?.ok()?;
    build(&ALICE, "1.0-alt2")?.ok()?;
    build(&ALICE, "1.0-alt3")?.refused(&["request_reused"])?;
    build(&BOB, "1.0-alt2")?.refused(&["request_reused"])?;
    assert_eq!(world.spooled()?.len(), 2);

    world.start_bot()?;
    wait::until("an empty spool", || Ok(world.spooled()?.is_empty().then_some(())))?;
    let tasks = world.tasks()?;
    assert_eq!(tasks.len(), 2, "{tasks:?}");
    for id in [&of_push, own] {
        let shown = world.ssh(&ALICE, &["task", "show", id, "--json"])?.ok()?.json()?;
        assert_eq!(shown["owner"], "alice", "{shown}");
    }
    Ok(())
}

#[test]
fn upstreams_tags_are_not_built_by_name_either() -> anyhow::Result<()> {
    let world = World::new()?;
    let hello = world.repository(&ALICE, "hello")?;
    hello.tag("v1")?;
    // Policy lets it in here and there: it is judged nowhere and claimed nowhere.
    hello.push(&["refs/tags/v1"])?.ok()?;
    world.ssh(&ALICE, &["init-repo", "copy"])?.ok()?;
    let there = "ssh://windlass/people/alice/packages/copy.git";
    hello
        .git(["push", "--quiet", there, "main", "refs/tags/v1"])
        .run()?
        .ok()?;
    for source in ["hello", "copy"] {
        world
            .ssh(&ALICE, &["build", source, "v1"])?
            .refused(&["not_a_build_tag"])?;
        world.ssh(&ALICE, &["task", "new"])?.ok()?;
        world
            .ssh(&ALICE, &["task", "add", "repo", source, "v1"])?
            .refused(&["not_a_build_tag"])?;
    }
    // What was pushed to be built has been judged and claimed, whatever it is called.
    hello.tag("v2")?;
    hello.push(&["-o", "build", "refs/tags/v2"])?.ok()?;
    world.ssh(&ALICE, &["build", "hello", "v2"])?.ok()?;
    assert_eq!(world.tasks()?.len(), 3);
    Ok(())
}
