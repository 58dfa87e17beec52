//! One signed statement is taken once.

use std::process::Command;

use crate::world::{World, refs, run};

#[test]
fn under_another_repository_it_is_a_replay() {
    let world = World::new();
    let other = world.source("people/alice/packages/other.git");
    let work = world.clone_of("alice", "a");
    work.tag("1.0-alt1");
    work.push(["1.0-alt1"]).passed();
    let ran = work.push_to(&other, ["1.0-alt1"]).refused("replayed");
    assert!(ran.err.contains("people/alice/packages/hello.git"), "{}", ran.err);
    assert!(refs(&other).is_empty());
}

#[test]
fn after_a_deletion_it_is_a_replay() {
    let world = World::new();
    let work = world.clone_of("alice", "a");
    work.tag("1.0-alt1");
    work.push(["1.0-alt1"]).passed();
    run(Command::new("git")
        .arg("--git-dir")
        .arg(world.hello())
        .args(["update-ref", "-d", "refs/tags/1.0-alt1"]))
    .passed();
    work.push(["1.0-alt1"]).refused("replayed");
}

#[test]
fn a_push_that_failed_after_claiming_may_be_repeated() {
    let world = World::new();
    let work = world.clone_of("alice", "a");
    work.tag("1.0-alt1");
    // git's own refusal comes after pre-receive: the tag is claimed, and with --atomic not written.
    run(Command::new("git")
        .arg("--git-dir")
        .arg(world.hello())
        .args(["config", "receive.denyDeletes", "true"]))
    .passed();
    work.push(["main:x"]).passed();
    let ran = work.push(["--atomic", ":x", "1.0-alt1"]);
    assert_ne!(ran.code, Some(0));
    assert_eq!(refs(&world.hello()), ["refs/heads/x"]);
    assert_eq!(world.ledger().open_claims().unwrap().claims.len(), 1);
    work.push(["1.0-alt1"]).passed();
    assert!(world.ledger().open_claims().unwrap().claims.is_empty());
}

#[test]
fn a_push_that_is_refused_claims_nothing() {
    let world = World::new();
    let other = world.source("people/alice/packages/other.git");
    let work = world.clone_of("alice", "a");
    work.tag("1.0-alt1");
    run(work.git().args(["tag", "1.0-alt2"])).passed();
    assert_ne!(work.push(["1.0-alt1", "1.0-alt2"]).code, Some(0));
    work.push_to(&other, ["1.0-alt1"]).passed();
}

#[test]
fn of_pushes_to_many_repositories_at_once_one_wins() {
    let world = World::new();
    let sources: Vec<_> = (0..6)
        .map(|n| world.source(&format!("people/alice/packages/p{n}.git")))
        .collect();
    let work = world.clone_of("alice", "a");
    work.tag("1.0-alt1");
    let passed = std::thread::scope(|scope| {
        let pushes: Vec<_> = sources
            .iter()
            .map(|source| scope.spawn(|| work.push_to(source, ["-obuild", "1.0-alt1"])))
            .collect();
        pushes
            .into_iter()
            .map(|push| push.join().unwrap())
            .filter(|ran| ran.code == Some(0))
            .count()
    });
    assert_eq!(passed, 1);
    assert_eq!(world.spooled().len(), 1);
    assert_eq!(sources.iter().filter(|source| !refs(source).is_empty()).count(), 1);
}

#[test]
fn of_two_pushes_of_one_tag_at_once_one_request_comes() {
    let world = World::new();
    let work = world.clone_of("alice", "a");
    work.tag("1.0-alt1");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| work.push(["-obuild", "1.0-alt1"]));
        }
    });
    assert_eq!(refs(&world.hello()), ["refs/tags/1.0-alt1"]);
    assert_eq!(world.spooled().len(), 1);
}
