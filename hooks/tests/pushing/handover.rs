//! What was asked for reaches the bot or the spool, whatever is away, hangs up or is killed.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};
use std::time::Duration;

use windlass_hooks::wire::{Body, Request, TagPushed};

use crate::world::{HOOK, World, run};

/// A bot that takes every request on record and makes a task of it.
fn bot(world: &World, requests: usize) -> std::thread::JoinHandle<Vec<Request>> {
    let listener = UnixListener::bind(world.settings().paths.socket()).unwrap();
    std::thread::spawn(move || {
        let mut taken = Vec::new();
        for (stream, number) in listener.incoming().take(requests).zip(1..) {
            let mut stream = stream.unwrap();
            let mut line = Vec::new();
            BufReader::new(stream.try_clone().unwrap())
                .read_until(b'\n', &mut line)
                .unwrap();
            let request = Request::parse(&line).unwrap();
            let id = &request.id;
            write!(stream, "{{\"accepted\":{{\"request\":\"{id}\",\"task\":{number}}}}}\n{{\"out\":\"{number}\\n\"}}\n{{\"exit\":0}}\n")
                .unwrap();
            taken.push(request);
        }
        taken
    })
}

#[test]
fn the_bot_gets_it_and_its_answer_is_shown() {
    let world = World::new();
    let work = world.clone_of("alice", "a");
    work.tag("1.0-alt1");
    work.tag("1.0-alt2");
    let bot = bot(&world, 2);
    let ran = work
        .push(["-obuild=sid", "-otest-only", "1.0-alt1", "1.0-alt2"])
        .passed();
    assert!(
        ran.err.contains("remote: windlass: tag '1.0-alt1' is in task 1")
            && ran.err.contains("remote: windlass: tag '1.0-alt2' is in task 2"),
        "{}",
        ran.err
    );
    let requests = bot.join().unwrap();
    let Body::TagPushed(pushed) = &requests[0].body else {
        panic!("{requests:?}")
    };
    assert_eq!(pushed.options.words(), ["build=sid", "test-only"]);
    assert_eq!(requests[0].id, pushed.request_id());
    assert_eq!(
        (requests[0].user.as_str(), pushed.source.as_str()),
        ("alice", "people/alice/packages/hello.git")
    );
    assert!(world.spooled().is_empty() && world.ledger().open_claims().unwrap().claims.is_empty());
}

#[test]
fn with_the_bot_away_it_waits_and_the_request_id_is_printed() {
    let world = World::new();
    let work = world.clone_of("alice", "a");
    work.tag("1.0-alt1");
    let ran = work.push(["-obuild", "1.0-alt1"]).passed();
    let spooled = world.spooled();
    assert_eq!(spooled.len(), 1);
    assert!(
        ran.err.contains(&format!(
            "remote: windlass: tag '1.0-alt1' waits as request {}",
            spooled[0].id
        )),
        "{}",
        ran.err
    );
    assert!(ran.err.contains("the bot is away"), "{}", ran.err);
    assert!(world.ledger().open_claims().unwrap().claims.is_empty());
}

#[test]
fn policy_can_ask_for_every_version() {
    let world = World::with("[push]\nbuild = \"always\"");
    let work = world.clone_of("alice", "a");
    work.tag("1.0-alt1");
    run(work.git().args(["tag", "v1.0"])).passed();
    work.push(["1.0-alt1", "v1.0", "main"]).passed();
    let spooled = world.spooled();
    assert_eq!(spooled.len(), 1);
    assert!(
        matches!(&spooled[0].body, Body::TagPushed(pushed) if pushed.tag.as_str() == "1.0-alt1" && pushed.options.build.is_some())
    );
}

#[test]
fn with_neither_bot_nor_spool_it_stays_open_for_the_bot() {
    let world = World::new();
    let work = world.clone_of("alice", "a");
    work.tag("1.0-alt1");
    std::fs::remove_dir(world.path("spool")).unwrap();
    let ran = work.push(["-obuild", "1.0-alt1"]).passed();
    assert!(ran.err.contains("could not be handed over"), "{}", ran.err);
    assert_eq!(world.ledger().open_claims().unwrap().claims.len(), 1);
}

#[test]
fn what_the_bot_answers_and_does_not_take_on_record_stays_open() {
    let world = World::new();
    let work = world.clone_of("alice", "a");
    work.tag("1.0-alt1");
    // As a bot of another version does, or one that does not trust who asks.
    let listener = UnixListener::bind(world.settings().paths.socket()).unwrap();
    let bot = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut line = Vec::new();
        BufReader::new(stream.try_clone().unwrap())
            .read_until(b'\n', &mut line)
            .unwrap();
        stream
            .write_all(b"{\"err\":\"windlass: another version\\n\"}\n{\"exit\":2}\n")
            .unwrap();
    });
    let ran = work.push(["-obuild", "1.0-alt1"]).passed();
    bot.join().unwrap();
    assert!(
        ran.err.contains("could not be handed over") && ran.err.contains("another version"),
        "{}",
        ran.err
    );
    assert_eq!(world.ledger().open_claims().unwrap().claims.len(), 1);
}

/// A push whose refs are written and whose `post-receive` has not run: as after a kill just before it.
fn claimed(world: &World, name: &str) -> (TagPushed, String) {
    let hello = world.hello();
    let stub = hello.join("hooks/post-receive");
    let aside = hello.join("post-receive-aside");
    std::fs::rename(&stub, &aside).unwrap();
    let work = world.clone_of("alice", name);
    work.tag(name);
    work.push(["-obuild", name]).passed();
    std::fs::rename(&aside, &stub).unwrap();
    let mut open = world.ledger().open_claims().unwrap().claims;
    open.retain(|claim| claim.pushed.tag.as_str() == name);
    let pushed = open.pop().expect("it is open").pushed;
    let line = format!("{} {} refs/tags/{name}\n", "0".repeat(40), pushed.object);
    (pushed, line)
}

fn hook(world: &World, name: &str, source: &std::path::Path) -> Command {
    let mut command = Command::new(HOOK);
    command
        .arg("--config")
        .arg(world.path("windlass.toml"))
        .arg(name)
        .current_dir(source);
    command
        .env("GIT_DIR", ".")
        .env("WINDLASS_USER", "alice")
        .stdin(Stdio::piped());
    command
}

fn post_receive(world: &World) -> Command {
    hook(world, "post-receive", &world.hello())
}

#[test]
fn a_client_that_hangs_up_changes_nothing() {
    let world = World::new();
    let (pushed, line) = claimed(&world, "1.0-alt1");
    // Nobody reads: the first write fails with EPIPE, as when a connection is gone.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut hook = post_receive(&world).stderr(writer).spawn().unwrap();
    hook.stdin.take().unwrap().write_all(line.as_bytes()).unwrap();
    assert!(hook.wait().unwrap().success());
    assert_eq!(world.spooled()[0].id, pushed.request_id());
}

#[test]
fn a_hangup_signal_does_not_stop_the_stub() {
    let world = World::new();
    let (pushed, line) = claimed(&world, "1.0-alt1");
    let mut stub = Command::new(world.hello().join("hooks/post-receive"));
    stub.current_dir(world.hello())
        .env("GIT_DIR", ".")
        .env("WINDLASS_USER", "alice")
        .stdin(Stdio::piped());
    let mut stub = stub.stderr(Stdio::null()).spawn().unwrap();
    let comm = format!("/proc/{}/comm", stub.id());
    while std::fs::read_to_string(&comm).unwrap().trim() != "windlass-hook" {
        std::thread::yield_now();
    }
    run(Command::new("kill").args(["-HUP", &stub.id().to_string()])).passed();
    stub.stdin.take().unwrap().write_all(line.as_bytes()).unwrap();
    assert!(stub.wait().unwrap().success());
    assert_eq!(world.spooled()[0].id, pushed.request_id());
}

/// Runs a hook, feeds it, and kills it so long after.
fn killed_after(mut hook: Command, line: &str, time: Duration) {
    let mut hook = hook.stderr(Stdio::null()).spawn().unwrap();
    let _ = hook.stdin.take().unwrap().write_all(line.as_bytes());
    let until = std::time::Instant::now() + time;
    while std::time::Instant::now() < until {
        std::hint::spin_loop();
    }
    let _ = hook.kill();
    hook.wait().unwrap();
}

#[test]
fn a_push_killed_while_it_is_judged_may_be_repeated() {
    let world = World::new();
    let work = world.clone_of("alice", "a");
    let hook = |source: &std::path::Path| {
        let mut command = hook(&world, "pre-receive", source);
        command.env("GIT_OBJECT_DIRECTORY", work.dir.join(".git/objects"));
        command
    };
    let other = world.source("people/alice/packages/other.git");
    for round in 0..40_u32 {
        let name = format!("1.{round}-alt1");
        work.tag(&name);
        let object = run(work.git().args(["rev-parse", &name])).passed().out;
        let line = format!("{} {} refs/tags/{name}\n", "0".repeat(40), object.trim());
        killed_after(
            hook(&world.hello()),
            &line,
            Duration::from_micros(u64::from(round) * 250),
        );
        killed_after(
            hook(&world.hello()),
            &line,
            Duration::from_micros(u64::from(round) * 125),
        );
        let code = |source: &std::path::Path| {
            let mut hook = hook(source).stderr(Stdio::null()).spawn().unwrap();
            hook.stdin.take().unwrap().write_all(line.as_bytes()).unwrap();
            hook.wait().unwrap().code()
        };
        assert_eq!(code(&world.hello()), Some(0), "round {round}: the repeated push passes");
        assert_eq!(code(&other), Some(1), "round {round}: elsewhere it is a replay");
    }
}

#[test]
fn killed_at_any_moment_nothing_is_lost_and_nothing_is_twice() {
    let world = World::new();
    for round in 0..40_u32 {
        let name = format!("1.{round}-alt1");
        let (pushed, line) = claimed(&world, &name);
        let id = pushed.request_id();
        // Spread over the few milliseconds that it lives.
        killed_after(
            post_receive(&world),
            &line,
            Duration::from_micros(u64::from(round) * 150),
        );
        let spooled = world.spooled().iter().any(|request| request.id == id);
        let open = world.ledger().open_claim(&id).unwrap();
        assert!(spooled || open.is_some(), "round {round}: lost");
        // What the bot does then: it takes the open one up under the very same id, so that both are one.
        assert!(open.is_none_or(|claim| claim.pushed == pushed));
        let others = world
            .spooled()
            .iter()
            .filter(|request| matches!(&request.body, Body::TagPushed(other) if other.tag == pushed.tag))
            .count();
        assert!(others <= 1, "round {round}");
    }
}
