//! The ssh door, with a stand-in for sshd that sets what sshd sets and what a hostile client would like to get through.

use std::time::{Duration, Instant};

use crate::world::{World, refs, run};

#[test]
fn clone_and_push_go_through_the_door() {
    let world = World::new();
    let work = world.clone_of("alice", "a");
    work.tag("1.0-alt1");
    let ran = work
        .git_by_ssh(&["push", "-obuild", "host:hello", "main", "1.0-alt1"])
        .passed();
    assert!(
        ran.err.contains("remote: windlass: tag '1.0-alt1' waits as request r-"),
        "{}",
        ran.err
    );
    let spooled = world.spooled();
    assert_eq!(spooled[0].user.as_str(), "alice", "not whom the client named");
    let copy = world.path("copy");
    work.git_by_ssh(&[
        "clone",
        "--quiet",
        "ssh://host/alice/hello.git",
        &copy.display().to_string(),
    ])
    .passed();
    let bob = world.clone_of("bob", "b");
    bob.git_by_ssh(&["ls-remote", "host:alice/hello"]).passed();
    bob.git_by_ssh(&["push", "host:alice/hello", "main"])
        .refused("may_not_push");
    work.git_by_ssh(&[
        "archive",
        "--remote=host:hello",
        "--format=tar",
        "-o",
        "/dev/null",
        "main",
    ])
    .passed();
}

#[test]
fn the_clients_environment_does_not_switch_hooks_off() {
    let world = World::new();
    let work = world.clone_of("alice", "a");
    run(work.git().args(["tag", "1.0-alt1"])).passed();
    work.git_by_ssh(&["push", "host:hello", "1.0-alt1"]).refused("unsigned");
    assert!(refs(&world.hello()).is_empty());
}

#[test]
fn a_repository_without_hooks_takes_no_push() {
    let world = World::new();
    let work = world.clone_of("alice", "a");
    std::fs::remove_file(world.hello().join("hooks/pre-receive")).unwrap();
    work.git_by_ssh(&["push", "host:hello", "main"]).refused("no_hooks");
    work.git_by_ssh(&["ls-remote", "host:hello"]).passed();
}

#[test]
fn hostile_commands_do_nothing() {
    let world = World::new();
    let work = world.clone_of("alice", "a");
    let touched = world.path("touched");
    let touch = format!("touch {}", touched.display());
    let hostile = [
        "bash".to_owned(),
        "sh -c id".to_owned(),
        touch.clone(),
        format!("task ls; {touch}"),
        format!("task ls $({touch})"),
        format!("git-upload-pack 'hello'; {touch}"),
        format!("git-upload-pack `{touch}`"),
        format!("git-upload-pack --upload-pack='{touch}' hello"),
        "git-upload-pack '../../../../etc'".to_owned(),
        "git-upload-pack /etc".to_owned(),
        "git-upload-pack hello/../hello".to_owned(),
        "git-receive-pack 'people/alice/packages/hello.git/../../bob'".to_owned(),
        "git-shell".to_owned(),
        "git -c alias.x=!id x".to_owned(),
        "scp -t /tmp".to_owned(),
        "internal-sftp".to_owned(),
        "task show 'unclosed".to_owned(),
        "build\u{1b}[2J".to_owned(),
        "x".repeat(70_000),
        "init-repo ../x".to_owned(),
        "init-repo -x".to_owned(),
        "check ../x 1".to_owned(),
        "check hello '$(id)'".to_owned(),
        "windlass serve".to_owned(),
        "people add mallory".to_owned(),
    ];
    for line in hostile {
        let ran = work.ssh(&line);
        assert!(matches!(ran.code, Some(1 | 2)), "{line}: {ran:?}");
        assert!(!ran.err.is_empty() && !ran.err.contains('\u{1b}'), "{line}: {ran:?}");
        assert!(!touched.exists(), "{line}");
    }
    let log = std::fs::read_to_string(world.settings().paths.ssh_log()).unwrap();
    assert!(log.lines().count() >= 48 && log.lines().all(|line| line.starts_with('{') && line.ends_with('}')));
    assert!(log.contains("sh -c id") && !log.contains('\u{1b}'));
    assert!(
        log.lines().all(|line| line.len() < 6000),
        "a long command does not fill the disk"
    );
    assert!(log.contains("… and 65904 more bytes"));
}

#[test]
fn a_visitor_is_greeted_and_helped() {
    let world = World::new();
    let work = world.clone_of("alice", "a");
    let ran = work.ssh("").passed();
    assert!(ran.out.starts_with("Hello alice."), "{ran:?}");
    let ran = work.ssh("help").passed();
    assert!(ran.out.contains("init-repo") && ran.err.is_empty(), "{ran:?}");
    let ran = work.ssh("biuld hello 1.0-alt1");
    assert!(ran.code == Some(2) && ran.err.contains("build"), "{ran:?}");
}

#[test]
fn repositories_and_pushers_need_no_bot() {
    let world = World::new();
    let work = world.clone_of("alice", "a");
    assert_eq!(
        work.ssh("init-repo new --dry-run").passed().out,
        "people/alice/packages/new.git\n"
    );
    assert_eq!(
        work.ssh("init-repo new").passed().out,
        "people/alice/packages/new.git\n"
    );
    work.ssh("init-repo new").refused("source_exists");
    work.git_by_ssh(&["push", "host:new", "main"]).passed();
    assert_eq!(work.ssh("pushers new add bob").passed().out, "alice (owner)\nbob\n");
    work.ssh("pushers new add mallory").refused("unknown_user");
    let bob = world.clone_of("bob", "b");
    bob.ssh("pushers alice/new add bob").refused("not_owner");
    assert!(
        bob.ssh("pushers alice/new show --json")
            .passed()
            .out
            .contains("\"pushers\":[\"bob\"]")
    );
    work.tag("1.0-alt1");
    work.git_by_ssh(&["push", "host:new", "1.0-alt1"]).passed();
    assert!(
        work.ssh("check new 1.0-alt1")
            .passed()
            .out
            .starts_with("good: tag '1.0-alt1' is signed by alice")
    );
    assert_eq!(bob.ssh("check alice/new 1.0-alt1").code, Some(1));
    work.ssh("check new 9-9").refused("no_such_tag");
    let json = work.ssh("check new 1.0-alt1 --json").passed().out;
    assert!(json.contains("\"verdict\":\"good\""), "{json}");
}

#[test]
fn with_the_bot_away_build_waits_and_the_rest_says_so() {
    let world = World::new();
    let work = world.clone_of("alice", "a");
    let ran = work.ssh("build hello 1.0-alt1").passed();
    let spooled = world.spooled();
    assert_eq!(ran.out, format!("{}\n", spooled[0].id));
    assert!(ran.err.contains("the bot is away"), "{ran:?}");
    let id = "r-00112233445566778899";
    for _ in 0..2 {
        work.ssh(&format!("build hello 1.0-alt1 --request-id {id}")).passed();
    }
    assert_eq!(world.spooled().len(), 2, "repeated under one id it is one");
    for line in ["task ls", "task new", "build hello 1.0-alt1 --dry-run"] {
        let ran = work.ssh(line);
        assert!(
            ran.code == Some(3) && ran.err.contains("the bot is away") && ran.out.is_empty(),
            "{line}: {ran:?}"
        );
    }
}

#[test]
fn who_asks_too_often_is_told_when_to_come_back() {
    let world = World::with("[ssh]\ncommands_per_minute = 3\npushes_per_hour = 1");
    let work = world.clone_of("alice", "a");
    work.git_by_ssh(&["push", "host:hello", "main"]).passed();
    work.git_by_ssh(&["push", "host:hello", "main:x"]).refused("too_often");
    work.ssh("help").passed();
    let ran = work.ssh("help").refused("too_often");
    assert!(ran.err.contains("hint: the next is free in "), "{ran:?}");
    world.clone_of("bob", "b").ssh("help").passed();
}

#[test]
fn a_push_over_its_limits_is_stopped_and_told() {
    let world = World::with("[ssh]\nfile_size_limit = \"1MiB\"");
    let work = world.clone_of("alice", "a");
    // Not compressible: 4 MiB from a xorshift generator.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    })
    .take(1 << 19)
    .flatten()
    .collect();
    std::fs::write(work.dir.join("noise"), noise).unwrap();
    run(work.git().args(["add", "noise"])).passed();
    work.commit("noise");
    let ran = work.git_by_ssh(&["push", "host:hello", "main"]);
    assert_ne!(ran.code, Some(0), "{ran:?}");
    assert!(refs(&world.hello()).is_empty());
    assert!(ran.err.contains("files of 1MiB"), "{}", ran.err);
}

#[test]
fn a_tag_that_needs_too_much_memory_is_stopped() {
    let world = World::with("[ssh]\nmemory_limit = \"128MiB\"");
    let work = world.clone_of("alice", "a");
    work.git_by_ssh(&["push", "host:hello", "main"]).passed();
    let head = run(work.git().args(["rev-parse", "HEAD"])).passed().out;
    let mut bomb = format!(
        "object {}\ntype commit\ntag 1.0-alt1\ntagger a <a@example.org> 1 +0000\n\n",
        head.trim()
    )
    .into_bytes();
    // Packed it is a few hundred kilobytes, far below receive.maxInputSize.
    bomb.resize(256 << 20, b'a');
    let file = world.path("bomb");
    std::fs::write(&file, bomb).unwrap();
    let object = run(work.git().args(["hash-object", "-t", "tag", "-w"]).arg(&file))
        .passed()
        .out;
    run(work.git().args(["update-ref", "refs/tags/1.0-alt1", object.trim()])).passed();
    let ran = work.git_by_ssh(&["push", "host:hello", "1.0-alt1"]);
    assert_ne!(ran.code, Some(0), "{ran:?}");
    assert!(ran.err.to_lowercase().contains("out of memory"), "{}", ran.err);
    assert_eq!(refs(&world.hello()), ["refs/heads/main"]);
}

#[test]
fn a_push_that_takes_too_long_is_stopped_with_all_that_it_started() {
    let world = World::with("[ssh]\ntime_limit = \"1s\"");
    let work = world.clone_of("alice", "a");
    let dir = world.hello().join("hooks/pre-receive.d");
    std::fs::create_dir(&dir).unwrap();
    let pid = world.path("pid");
    std::fs::write(
        dir.join("slow"),
        format!("#!/bin/sh\necho $$ > '{}'\nexec sleep 600\n", pid.display()),
    )
    .unwrap();
    std::fs::set_permissions(dir.join("slow"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let ran = work.git_by_ssh(&["push", "host:hello", "main"]).refused("over_limit");
    assert!(ran.err.contains("git was stopped after 1s"), "{}", ran.err);
    assert!(refs(&world.hello()).is_empty());
    let pid = std::fs::read_to_string(pid).unwrap();
    let gone =
        || std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).map_or(true, |stat| stat.contains(") Z "));
    let patience = Instant::now() + Duration::from_secs(10);
    while !gone() && Instant::now() < patience {
        std::thread::yield_now();
    }
    assert!(gone(), "the hook is dead");
}
