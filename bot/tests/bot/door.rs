//! The socket: clients that hang up, talk nonsense, say too much or too little; other bots; the orderly end.

use std::io::Write as _;
use std::net::Shutdown;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;

use rstest::rstest;
use windlass_hooks::wire::{Frame, MAX_LINE};

use crate::world::{World, names, read_all, read_reply, request};

#[test]
fn a_client_that_hangs_up_in_its_line_has_said_nothing() {
    let world = World::new();
    let bot = world.start();
    let line = request(&["task", "new"]).to_line().unwrap();
    for length in [0, 1, line.len() / 2, line.len() - 1] {
        let mut stream = world.connect().unwrap();
        stream.write_all(&line[..length]).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        // The bot closes without a word.
        assert_eq!(read_all(stream), "");
    }
    assert_eq!(bot.stop(), Some(0));
    assert_eq!(world.verify(), 0);
}

#[test]
fn a_client_that_hangs_up_after_its_line_has_said_all() {
    let world = World::new();
    let bot = world.start();
    let request = request(&["task", "new"]);
    let mut stream = world.connect().unwrap();
    stream.write_all(&request.to_line().unwrap()).unwrap();
    drop(stream);
    // Stopped in order: whatever was begun is finished first, and a second bot would find it.
    assert_eq!(world.ask(&["task", "ls"]).exit, Some(0));
    assert_eq!(bot.stop(), Some(0));
    let _bot = world.start();
    let reply = world.send(&request);
    assert_eq!(reply.exit, Some(0));
    assert_eq!(world.count("task.created"), 1);
}

#[test]
fn a_client_that_only_stops_sending_is_answered() {
    let world = World::new();
    let _bot = world.start();
    let mut stream = world.connect().unwrap();
    stream.write_all(&request(&["task", "new"]).to_line().unwrap()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_reply(stream).out, "1\n");
}

#[rstest]
#[case::garbage(b"\x00\xff\xfe GET / HTTP/1.1\n", 2, "not understood")]
#[case::empty(b"\n", 2, "not understood")]
#[case::version(b"{\"version\":9}\n", 2, "version 9")]
#[case::fields(b"{\"version\":1,\"id\":\"r-0123456789abcdef\",\"more\":1}\n", 2, "unknown field")]
fn nonsense_is_answered_and_hurts_nobody(#[case] line: &[u8], #[case] code: u8, #[case] text: &str) {
    let world = World::new();
    let bot = world.start();
    let mut stream = world.connect().unwrap();
    stream.write_all(line).unwrap();
    let reply = read_reply(stream);
    assert_eq!(reply.exit, Some(code), "{reply:?}");
    assert!(reply.err.contains(text), "{}", reply.err);
    assert_eq!(world.ask(&["task", "new"]).exit, Some(0));
    assert_eq!(bot.stop(), Some(0));
    world.verify();
}

#[test]
fn a_line_that_never_ends_is_cut_off_with_a_word() {
    let world = World::new();
    let _bot = world.start();
    let mut stream = world.connect().unwrap();
    let chunk = vec![b'x'; 64 << 10];
    // The bot may have closed before everything is sent.
    for _ in 0..=(MAX_LINE / chunk.len()) + 4 {
        if stream.write_all(&chunk).is_err() {
            break;
        }
    }
    let reply = read_reply(stream);
    assert_eq!(reply.exit, Some(2), "{reply:?}");
    assert!(reply.err.contains("longer than"), "{}", reply.err);
    assert_eq!(world.ask(&["task", "new"]).exit, Some(0));
}

#[test]
fn a_client_that_says_nothing_is_sent_away() {
    let world = World::with("[server]\nrequest_timeout = '1s'\n");
    let _bot = world.start();
    let mut stream = world.connect().unwrap();
    stream.write_all(b"{\"version\":1,").unwrap();
    let reply = read_reply(stream);
    assert_eq!(reply.exit, Some(3), "{reply:?}");
}

#[test]
fn more_clients_than_places_wait_for_their_turn() {
    let world = World::with("[server]\nmax_connections = 2\nrequest_timeout = '1s'\n");
    let _bot = world.start();
    let idle: Vec<_> = (0..3).map(|_| world.connect().unwrap()).collect();
    assert_eq!(world.ask(&["task", "new"]).exit, Some(0));
    drop(idle);
}

#[test]
fn only_the_known_users_may_speak_for_others() {
    if !rustix::process::geteuid().is_root() {
        println!("SKIPPED: only root can play another user");
        return;
    }
    let world = World::new();
    let bot = world.start();
    let socket = world.path("run/bot.sock");
    let meta = std::fs::metadata(&socket).unwrap();
    assert_eq!(meta.mode() & 0o777, 0o660);
    // Even where the socket's mode lets him in.
    for (path, mode) in [
        (world.path(""), 0o755),
        (world.path("run"), 0o755),
        (socket.clone(), 0o666),
    ] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    let line = String::from_utf8(request(&["task", "new"]).to_line().unwrap()).unwrap();
    let script = "import socket,sys;s=socket.socket(socket.AF_UNIX);s.connect(sys.argv[1]);s.sendall(sys.argv[2].encode());\
                  print(s.makefile().read(),end='')";
    let output = std::process::Command::new("python3")
        .args(["-c", script])
        .arg(&socket)
        .arg(&line)
        .uid(65534)
        .gid(65534)
        .output();
    let Ok(output) = output else {
        println!("SKIPPED: there is no python3 to play another user");
        return;
    };
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("[not_trusted]"),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(
        Frame::parse(text.lines().last().unwrap().as_bytes()).unwrap(),
        Frame::Exit(1)
    );
    assert_eq!(bot.stop(), Some(0));
    assert_eq!(world.verify(), 0);
}

#[test]
fn nobody_and_nonsense_are_refused_and_leave_no_trace() {
    let world = World::new();
    let bot = world.start();
    let reply = world.send(&crate::world::request_of(
        "zed",
        windlass_hooks::wire::random_request_id().unwrap(),
        &["task", "new"],
    ));
    assert!(
        reply.err.contains("[unknown_user]") && reply.exit == Some(1),
        "{reply:?}"
    );
    let reply = world.ask(&["task", "nwe"]);
    assert!(reply.err.contains("'nwe'") && reply.exit == Some(2), "{reply:?}");
    let reply = world.ask(&["task", "--help"]);
    assert!(reply.out.contains("approve") && reply.exit == Some(0), "{reply:?}");
    let reply = world.ask(&["init-repo", "hello"]);
    assert!(reply.err.contains("[not_here]") && reply.exit == Some(1), "{reply:?}");
    let reply = world.ask(&["task", "new", "--dry-run"]);
    assert!(reply.exit == Some(0) && reply.accepted.is_none(), "{reply:?}");
    assert_eq!(bot.stop(), Some(0));
    assert_eq!(world.verify(), 0);
}

#[test]
fn there_is_one_bot_to_a_state() {
    let world = World::new();
    let bot = world.start();
    let (code, log) = world.start_unchecked().ended();
    assert_eq!(code, Some(3));
    assert!(log.contains("another bot"), "{log}");
    // The first one was not disturbed.
    assert_eq!(world.ask(&["task", "new"]).exit, Some(0));
    bot.kill();
    // Its socket is stale now, its lock went with it.
    assert!(world.path("run/bot.sock").exists());
    let bot = world.start();
    assert_eq!(world.ask(&["task", "ls"]).exit, Some(0));
    assert_eq!(bot.stop(), Some(0));
    assert_eq!(names(&world.path("run")), Vec::<String>::new());
}

#[test]
fn the_command_line_says_when_the_bot_is_away() {
    let world = World::new();
    let output = world.command(&["task", "ls"]).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(err.contains("does not answer") && err.contains("\n\nhint: "), "{err}");
    let _bot = world.start();
    let output = world
        .command(&["task", "new", "--as", "bob", "--json"])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "{\"task\":1}\n");
    let output = world.command(&["task", "show", "1"]).output().unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().contains("owner bob"));
}
