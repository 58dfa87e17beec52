//! Commands that wait: they hear of what they wait for, and no more of the bot's stopping than that.

use std::io::{BufRead as _, BufReader, Write as _};

use windlass_hooks::wire::{Frame, random_request_id};

use crate::world::{World, read_reply, request, request_of};

/// A bot with task 1, which waits for stages.
fn scheduled(world: &World) {
    assert_eq!(world.ask(&["task", "new"]).exit, Some(0));
    assert_eq!(world.ask(&["task", "add", "1", "del", "old"]).exit, Some(0));
    assert_eq!(world.ask(&["task", "run", "1", "-m", "nobody needs it"]).exit, Some(0));
}

#[test]
fn a_followed_log_grows_until_the_run_has_an_end() {
    let world = World::new();
    let _bot = world.start();
    scheduled(&world);
    let mut stream = world.connect().unwrap();
    stream
        .write_all(&request(&["task", "log", "1", "--follow"]).to_line().unwrap())
        .unwrap();
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let Ok(Frame::Out(first)) = Frame::parse(lines.next().unwrap().unwrap().as_bytes()) else {
        panic!("a log first")
    };
    assert_eq!(first.lines().count(), 3, "{first}");
    let bob = random_request_id().unwrap();
    let vote = world.send(&request_of(
        "bob",
        bob,
        &["task", "approve", "1", "1", "-m", "looks fine"],
    ));
    assert_eq!(vote.exit, Some(0), "{vote:?}");
    let Ok(Frame::Out(second)) = Frame::parse(lines.next().unwrap().unwrap().as_bytes()) else {
        panic!("more of it")
    };
    assert!(second.contains("looks fine") && second.lines().count() == 1, "{second}");
    assert_eq!(world.ask(&["task", "abort", "1"]).exit, Some(0));
    let rest: Vec<Frame> = lines
        .map(|line| Frame::parse(line.unwrap().as_bytes()).unwrap())
        .collect();
    assert!(
        matches!(&rest[0], Frame::Out(text) if text.contains("aborted") || text.contains("stopped")),
        "{rest:?}"
    );
    assert_eq!(rest.last(), Some(&Frame::Exit(0)));
}

#[test]
fn whoever_waits_hears_the_end() {
    let world = World::new();
    let _bot = world.start();
    scheduled(&world);
    let mut stream = world.connect().unwrap();
    stream
        .write_all(&request(&["task", "wait", "1"]).to_line().unwrap())
        .unwrap();
    assert_eq!(world.ask(&["task", "abort", "1"]).exit, Some(0));
    let reply = read_reply(stream);
    assert_eq!(reply.exit, Some(1), "{reply:?}");
    assert!(reply.out.contains("aborted"), "{reply:?}");
}

#[test]
fn a_bot_that_stops_lets_nobody_hang() {
    let world = World::new();
    let bot = world.start();
    scheduled(&world);
    let waiting: Vec<_> = (0..5)
        .map(|_| {
            let mut stream = world.connect().unwrap();
            stream
                .write_all(&request(&["task", "wait", "1"]).to_line().unwrap())
                .unwrap();
            stream
        })
        .collect();
    // A follower who was answered once is waiting for certain.
    let mut follower = world.connect().unwrap();
    follower
        .write_all(&request(&["task", "log", "1", "--follow"]).to_line().unwrap())
        .unwrap();
    let mut lines = BufReader::new(follower).lines();
    assert!(lines.next().unwrap().is_ok());
    assert_eq!(bot.stop(), Some(0));
    let last = lines.map_while(Result::ok).last().unwrap();
    assert_eq!(Frame::parse(last.as_bytes()).unwrap(), Frame::Exit(3));
    for stream in waiting {
        let reply = read_reply(stream);
        assert!(matches!(reply.exit, Some(3) | None), "{reply:?}");
    }
}

#[test]
fn whoever_waited_and_hung_up_makes_room() {
    let world = World::with("[server]\nmax_connections = 1\n");
    let _bot = world.start();
    scheduled(&world);
    let mut stream = world.connect().unwrap();
    stream
        .write_all(&request(&["task", "log", "1", "--follow"]).to_line().unwrap())
        .unwrap();
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    assert!(lines.next().unwrap().is_ok());
    drop((lines, stream));
    // The only place is free again, though nothing was ever written to the one who left.
    assert_eq!(world.ask(&["task", "ls"]).exit, Some(0));
}
