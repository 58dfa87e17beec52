//! What is let in and what is refused, and how it reads.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::PermissionsExt as _;

use crate::world::{World, refs, run};

#[test]
fn a_good_tag_is_let_in_and_it_is_said_how_to_build_it() {
    let world = World::new();
    let work = world.clone_of("alice", "a");
    work.tag("1.0-alt1");
    let ran = work.push(["main", "1.0-alt1"]).passed();
    assert!(
        ran.err.contains("remote: windlass: tag '1.0-alt1' is good"),
        "{}",
        ran.err
    );
    assert!(
        ran.err
            .contains("remote: hint: to have it built: ssh HOST build hello 1.0-alt1"),
        "{}",
        ran.err
    );
    assert_eq!(refs(&world.hello()), ["refs/heads/main", "refs/tags/1.0-alt1"]);
    assert!(world.spooled().is_empty(), "nothing was asked for");
}

#[test]
fn a_refusal_reads_well() {
    let world = World::new();
    let work = world.clone_of("alice", "a");
    run(work.git().args(["tag", "-a", "-m", "x", "1.0-alt1"])).passed();
    let ran = work.push(["main", "1.0-alt1"]).refused("unsigned");
    let lines: Vec<&str> = ran.err.lines().map(str::trim_end).collect();
    let at = lines
        .iter()
        .position(|line| line.starts_with("remote: windlass: refused: tag '1.0-alt1': "))
        .unwrap();
    assert!(lines[at].ends_with(" [unsigned]"), "{lines:#?}");
    assert_eq!(lines[at + 1], "remote:", "{lines:#?}");
    assert!(lines[at + 2].starts_with("remote: hint: "), "{lines:#?}");
    assert!(ran.err.contains("nothing of this push was taken"), "{lines:#?}");
    assert_eq!(refs(&world.hello()), Vec::<String>::new(), "all or nothing");
}

#[test]
fn hostile_names_are_refused() {
    let world = World::new();
    let work = world.clone_of("alice", "a");
    work.tag("1.0-alt1");
    let names: [&[u8]; 8] = [
        b"refs/tags/-x",
        b"refs/tags/--upload-pack=touch",
        b"refs/tags/$(id)",
        b"refs/tags/a\xff\xfe-1",
        "refs/tags/a\u{202e}b-1".as_bytes(),
        b"refs/tags/refs/tags/x",
        b"refs/heads/-x",
        b"refs/heads/$(id)",
    ];
    for name in names {
        let refspec = OsString::from_vec([b"1.0-alt1^{}:", name].concat());
        // git's own client shows the name as it is in its last lines: those are not ours.
        let output = work
            .git()
            .arg("push")
            .arg(world.hello())
            .arg(&refspec)
            .output()
            .unwrap();
        let ours: Vec<String> = output
            .stderr
            .split(|byte| *byte == b'\n')
            .filter(|line| line.starts_with(b"remote: "))
            .map(|line| String::from_utf8(line.to_vec()).expect("what we say is UTF-8"))
            .collect();
        let shown = String::from_utf8_lossy(name);
        assert!(!output.status.success(), "{shown}");
        assert!(
            ours.iter().any(|line| line.contains("[bad_name]")),
            "{shown}: {ours:#?}"
        );
        assert!(!ours.iter().any(|line| line.contains('\u{202e}')), "{shown}: {ours:#?}");
    }
    work.push(["main:refs/notes/commits"]).refused("forbidden_ref");
    let ran = work.push([format!("main:refs/replace/{}", "0123456789".repeat(4))]);
    assert!(ran.err.contains("hidden ref") && ran.code != Some(0), "{ran:?}");
    assert_eq!(refs(&world.hello()), Vec::<String>::new());
}

#[test]
fn a_tag_never_moves_and_is_never_deleted() {
    let world = World::new();
    let work = world.clone_of("alice", "a");
    work.tag("1.0-alt1");
    run(work.git().args(["tag", "v1.0"])).passed();
    work.push(["1.0-alt1", "v1.0"]).passed();
    work.push([":1.0-alt1"]).refused("tag_deleted");
    work.push([":v1.0"]).refused("tag_deleted");
    work.commit("second");
    run(work.git().args(["tag", "-f", "-s", "-m", "x", "1.0-alt1"])).passed();
    work.push(["--force", "1.0-alt1"]).refused("tag_moved");
    work.push(["main"]).passed();
}

#[test]
fn others_may_push_when_the_owner_says_so() {
    let world = World::with("[signing]\nother_tags = \"allow\"");
    world.person("carol", "roles = [\"superuser\"]");
    let bob = world.clone_of("bob", "b");
    bob.push(["main"]).refused("may_not_push");
    let alice = world.clone_of("alice", "a");
    alice.ssh("pushers hello add bob").passed();
    bob.push(["main"]).passed();
    alice.ssh("pushers hello del bob").passed();
    bob.push(["main:other"]).refused("may_not_push");
    world.clone_of("carol", "c").push(["main:carols"]).passed();
    let mut nobody = bob.git();
    nobody
        .env("WINDLASS_USER", "mallory")
        .arg("push")
        .arg(world.hello())
        .arg("main:nobodys");
    run(&mut nobody).refused("unknown_user");
}

#[test]
fn upstreams_tags_follow_the_policy() {
    let world = World::new();
    let work = world.clone_of("alice", "a");
    run(work.git().args(["tag", "v1.0"])).passed();
    work.push(["v1.0"]).passed();
    run(work.git().args(["tag", "v1.1"])).passed();
    work.push(["-obuild", "v1.1"]).refused("unsigned");
    let world = World::with("[signing]\nother_tags = \"refuse\"");
    let work = world.clone_of("alice", "a");
    run(work.git().args(["tag", "v1.0"])).passed();
    work.push(["v1.0"]).refused("other_tag");
    let world = World::with("[signing]\nother_tags = \"signed\"");
    let work = world.clone_of("alice", "a");
    run(work.git().args(["tag", "-a", "-m", "x", "v1.0"])).passed();
    work.push(["v1.0"]).refused("unsigned");
    work.tag("v1.1");
    work.push(["v1.1"]).passed();
}

#[test]
fn too_many_refs_and_bad_options_are_refused() {
    let world = World::with("[signing]\nmax_refs = 3");
    let work = world.clone_of("alice", "a");
    work.push(["main:a", "main:b", "main:c", "main:d"])
        .refused("too_many_refs");
    work.push(["main:a", "main:b", "main:c"]).passed();
    for option in [
        "-ox",
        "-obuild=../x",
        "-otask=$(id)",
        "-otest-only=1",
        "-obuild=\u{1b}[2J",
    ] {
        let ran = work.push([option, "main:e"]).refused("bad_push_option");
        assert!(!ran.err.contains("\u{1b}[2J"), "{ran:?}");
    }
}

#[test]
fn observing_tells_and_lets_pass() {
    let world = World::with("[signing]\nmode = \"observe\"");
    let work = world.clone_of("alice", "a");
    run(work.git().args(["tag", "-a", "-m", "x", "1.0-alt1"])).passed();
    work.tag("1.0-alt2");
    let ran = work.push(["-obuild", "1.0-alt1", "1.0-alt2"]).passed();
    assert!(
        ran.err.contains("windlass: would be refused: tag '1.0-alt1': ") && ran.err.contains("[unsigned]"),
        "{}",
        ran.err
    );
    let spooled = world.spooled();
    assert_eq!(spooled.len(), 1, "what would be refused is not built: {spooled:?}");
    let log = std::fs::read_to_string(world.settings().paths.hook_log()).unwrap();
    assert!(
        log.contains("\"outcome\":\"observed\"") && log.contains("\"code\":\"unsigned\""),
        "{log}"
    );
    world.clone_of("bob", "b").push(["main"]).refused("may_not_push");
}

#[test]
fn other_hooks_are_chained() {
    let world = World::new();
    let work = world.clone_of("alice", "a");
    let dir = world.hello().join("hooks/pre-receive.d");
    std::fs::create_dir(&dir).unwrap();
    let hook = dir.join("10-no-secrets");
    std::fs::write(
        &hook,
        "#!/bin/sh\ngrep -q refs/heads/secret && { echo 'no secrets here'; exit 1; }\nexit 0\n",
    )
    .unwrap();
    work.push(["main"]).refused("chained_hook");
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    work.push(["main"]).passed();
    let ran = work.push(["main:secret"]).refused("chained_hook");
    assert!(ran.err.contains("remote: no secrets here"), "{}", ran.err);
    work.tag("1.0-alt1");
    work.push(["main:secret", "1.0-alt1"]).refused("chained_hook");
    assert!(
        world.ledger().open_claims().unwrap().claims.is_empty(),
        "nothing is claimed for a push that is refused"
    );
}

#[test]
fn whatever_is_broken_refuses() {
    let world = World::new();
    let work = world.clone_of("alice", "a");
    work.tag("1.0-alt1");
    let pushed = || work.push(["1.0-alt1"]);
    let breaks: [(&str, &str); 3] = [
        ("windlass.toml", "[signing]\nmod = 1\n"),
        ("people", ""),
        ("git/.windlass", ""),
    ];
    for (path, text) in breaks {
        let path = world.path(path);
        let aside = world.path("aside");
        if path.exists() {
            std::fs::rename(&path, &aside).unwrap();
        }
        std::fs::write(&path, text).unwrap();
        let ran = pushed();
        assert_ne!(ran.code, Some(0), "{}: {ran:?}", path.display());
        std::fs::remove_file(&path).unwrap();
        if aside.exists() {
            std::fs::rename(&aside, &path).unwrap();
        }
    }
    let stub = world.hello().join("hooks/pre-receive");
    let text = std::fs::read_to_string(&stub).unwrap();
    std::fs::write(&stub, text.replace(crate::world::HOOK, "/no/such/windlass-hook")).unwrap();
    assert_ne!(pushed().code, Some(0));
    std::fs::write(&stub, text).unwrap();
    pushed().passed();
}
