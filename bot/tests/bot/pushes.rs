//! Pushes as the bot sees them: judged again, on record with their reasons, taken up once when nobody handed them over.

use std::process::Command;

use jiff::Timestamp;
use windlass_core::id::ObjectId;
use windlass_core::push::{BuildRequest, PushOptions, TagPushed};
use windlass_hooks::claims::{Claim, Ledger, Statement};
use windlass_hooks::wire::{Body, Request};

use crate::world::{World, request_of};

/// A source repository of alice's with an unsigned tag; the tag object.
fn unsigned(world: &World) -> Option<ObjectId> {
    let path = world.path("git/people/alice/packages/hello.git");
    std::fs::create_dir_all(&path).unwrap();
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        git.current_dir(&path)
            .env_clear()
            .env("PATH", std::env::var_os("PATH")?)
            .env("HOME", &path);
        git.args(["-c", "user.name=Alice", "-c", "user.email=alice@example.org"]);
        let output = git.args(arguments).output().ok()?;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Some(String::from_utf8(output.stdout).unwrap().trim().to_owned())
    };
    git(&["init", "--quiet", "--bare", "."])?;
    let tree = git(&["mktree"])?;
    let commit = git(&["commit-tree", "-m", "hello", &tree])?;
    git(&["tag", "-a", "-m", "hello 1.0", "1.0-alt1", &commit])?;
    git(&["rev-parse", "refs/tags/1.0-alt1"])?.parse().ok()
}

fn pushed(object: &ObjectId) -> TagPushed {
    TagPushed {
        source: "people/alice/packages/hello.git".parse().unwrap(),
        tag: "1.0-alt1".parse().unwrap(),
        object: object.clone(),
        options: PushOptions {
            build: Some(BuildRequest::Default),
            ..PushOptions::default()
        },
        pusher: "alice".parse().unwrap(),
    }
}

fn request_for(pushed: &TagPushed) -> Request {
    Request::new(
        pushed.request_id(),
        Timestamp::now(),
        pushed.pusher.clone(),
        Body::TagPushed(pushed.clone()),
    )
}

#[test]
fn what_a_hook_let_pass_is_judged_again() {
    let world = World::new();
    let Some(object) = unsigned(&world) else {
        println!("SKIPPED: there is no git");
        return;
    };
    let bot = world.start();
    let request = request_for(&pushed(&object));
    let reply = world.send(&request);
    assert_eq!((reply.exit, reply.task), (Some(1), None), "{reply:?}");
    assert!(reply.accepted.is_some() && reply.err.contains("unsigned"), "{reply:?}");
    assert_eq!(world.send(&request), reply);
    // One that is not what stands there, and one that is not there at all.
    let other: ObjectId = "1234567890123456789012345678901234567890".parse().unwrap();
    let reply = world.send(&request_for(&pushed(&other)));
    assert!(reply.exit == Some(1) && reply.err.contains("moved_tag"), "{reply:?}");
    let mut gone = pushed(&object);
    gone.tag = "2.0-alt1".parse().unwrap();
    let reply = world.send(&request_for(&gone));
    assert!(reply.exit == Some(1) && reply.err.contains("unknown_tag"), "{reply:?}");
    // Somebody else's name in the request, or an id of one's own choice.
    let mut forged = request.clone();
    forged.user = "bob".parse().unwrap();
    let reply = world.send(&forged);
    assert!(reply.exit == Some(1) && reply.err.contains("bad_request"), "{reply:?}");
    assert_eq!(bot.stop(), Some(0));
    assert_eq!(
        (
            world.count("tag-taken"),
            world.count("answered"),
            world.count("task.created")
        ),
        (3, 3, 0)
    );
}

#[test]
fn a_push_whose_hook_was_killed_is_taken_up_once() {
    let world = World::with("[server]\nreconcile_every = '1s'\n");
    let Some(object) = unsigned(&world) else {
        println!("SKIPPED: there is no git");
        return;
    };
    let ledger = Ledger::new(world.path("git/.windlass/claims"));
    let claim = |pushed: TagPushed, digit: &str| Claim {
        statement: Statement::new(&digit.repeat(64), &"A".repeat(40).parse().unwrap()),
        pushed,
        at: Timestamp::now(),
    };
    let mut never = pushed(&object);
    never.tag = "3.0-alt1".parse().unwrap();
    ledger
        .claim(&[claim(pushed(&object), "1"), claim(never.clone(), "2")])
        .unwrap()
        .unwrap();
    let mut bot = world.start();
    bot.log_line("it is taken up");
    assert_eq!(bot.stop(), Some(0));
    let open: Vec<TagPushed> = ledger
        .open_claims()
        .unwrap()
        .claims
        .into_iter()
        .map(|claim| claim.pushed)
        .collect();
    assert_eq!(open, [never]);
    // The hook was only slow, after all.
    let bot = world.start();
    assert!(world.send(&request_for(&pushed(&object))).accepted.is_some());
    assert_eq!(bot.stop(), Some(0));
    assert_eq!((world.count("tag-taken"), world.count("answered")), (1, 1));
}

#[test]
fn nobody_swallows_a_push_by_using_its_id_first() {
    let world = World::with("[server]\nreconcile_every = '1s'\n");
    let Some(object) = unsigned(&world) else {
        println!("SKIPPED: there is no git");
        return;
    };
    let bot = world.start();
    let request = request_for(&pushed(&object));
    let theirs = world.send(&request_of("bob", request.id.clone(), &["task", "new"]));
    assert_eq!(theirs.exit, Some(0), "{theirs:?}");
    let reply = world.send(&request);
    assert!(reply.accepted.is_some() && reply.err.contains("unsigned"), "{reply:?}");
    assert_eq!(bot.stop(), Some(0));
    assert_eq!(world.count("tag-taken"), 1);
}
