//! Finding an engine: what each candidate that is none is said to be.

use rstest::rstest;
use serde_json::json;
use windlass::images::engine::{Choice, Engine, Environment, Kind, Where};
use windlass::images::runtime;

use crate::fake::{Answer, Fake, quick, version};

#[test]
fn an_engine_says_what_it_is() {
    let docker = Fake::start().on(
        "GET /info",
        [Answer::Json(
            200,
            json!({"SecurityOptions": ["name=seccomp", "name=rootless"]}),
        )],
    );
    // A socket of root's is no rootless engine's.
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&docker.socket, Some(1), Some(1)).expect("we are root");
    }
    let engine = docker.engine();
    let probed = engine.probed();
    assert_eq!(
        (probed.kind, probed.rootless, probed.buildkit),
        (Kind::Docker, true, true)
    );
    let old = Fake::start().on("GET /version", [Answer::Json(200, version("1.38"))]);
    assert!(!old.engine().probed().buildkit);
    let podman = json!({"Version": "4.3.1", "ApiVersion": "1.41", "Os": "linux", "Components": [{"Name": "Podman Engine", "Version": "4.3.1"}]});
    let podman = Fake::start().on("GET /version", [Answer::Json(200, podman)]);
    let engine = podman.engine();
    assert_eq!((engine.probed().kind, engine.probed().buildkit), (Kind::Podman, false));
}

#[rstest]
#[case::silent(Answer::Nothing, "did not answer within")]
#[case::garbage(Answer::Bytes(b"220 mail ESMTP\r\n".to_vec()), "not one of the Docker API")]
#[case::a_web_server(Answer::Pieces(vec![b"<html>".to_vec()]), "not one of the Docker API")]
#[case::refuses(Answer::Json(403, json!({"message": "no client certificate"})), "no client certificate")]
#[case::hangs_up(Answer::Reset, "")]
#[case::endless(Answer::Endless(vec![b' '; 4000]), "longer than")]
fn what_is_no_engine_is_said_to_be_none(#[case] answer: Answer, #[case] words: &str) {
    let fake = Fake::start().on("GET /version", [answer]);
    let place = Where {
        host: Some(format!("unix://{}", fake.socket.display())),
        ..Where::default()
    };
    let mut limits = quick();
    limits.probe_last = std::time::Duration::from_millis(500);
    let environment = Environment::of(|_| None);
    let found = Engine::find_within(Choice::Auto, &place, &environment, limits);
    let none = runtime().expect("a runtime").block_on(found).expect_err("it is none");
    assert_eq!(none.tried.len(), 1, "what is named is the only one");
    let text = none.to_string();
    assert!(
        text.contains("--host, unix://") && text.contains(words) && text.contains("\n\nhint: "),
        "{text}"
    );
}

#[test]
fn the_search_goes_on_past_what_was_not_named_and_says_why() {
    let fake = Fake::start();
    let dir = tempfile::tempdir().expect("a directory");
    let mut environment = Environment::of(|name| match name {
        "XDG_RUNTIME_DIR" | "HOME" => Some(dir.path().display().to_string()),
        _ => None,
    });
    environment.podman_socket = dir.path().join("podman.sock");
    std::fs::write(&environment.podman_socket, "no socket").expect("room");
    environment.docker_socket.clone_from(&fake.socket);
    let place = Where::default();
    let runtime = runtime().expect("a runtime");
    let engine = runtime
        .block_on(Engine::find(Choice::Auto, &place, &environment))
        .expect("docker answers");
    assert_eq!(engine.probed().address, format!("unix://{}", fake.socket.display()));
    // Podman was asked for, and it is not there: four reasons.
    let none = runtime
        .block_on(Engine::find(Choice::Podman, &place, &environment))
        .expect_err("no podman");
    let tried: Vec<&str> = none.tried.iter().map(|tried| tried.known_by.as_str()).collect();
    assert_eq!(
        tried,
        [
            "podman's socket of this user",
            "podman's socket of the system",
            "podman without a socket"
        ]
    );
    assert!(none.tried[0].why.contains("No such file"), "{none}");
    assert!(none.tried[1].why.contains("refused"), "{none}");
    assert!(none.tried[2].why.contains("no program podman"), "{none}");
}

#[test]
fn a_named_engine_that_is_away_is_not_replaced() {
    let fake = Fake::start();
    let mut environment =
        Environment::of(|name| (name == "DOCKER_HOST").then(|| "unix:///nonexistent/docker.sock".to_owned()));
    environment.docker_socket.clone_from(&fake.socket);
    let place = Where::default();
    let found = Engine::find(Choice::Auto, &place, &environment);
    let none = runtime().expect("a runtime").block_on(found).expect_err("it is away");
    assert_eq!(none.tried.len(), 1);
    assert!(none.hint.contains("DOCKER_HOST names an engine"), "{none}");
    assert!(fake.asked("GET").is_empty());
}

#[test]
fn a_podman_program_that_does_not_serve_says_so() {
    let dir = tempfile::tempdir().expect("a directory");
    let program = dir.path().join("podman");
    std::fs::write(&program, "#!/bin/sh\necho 'cannot serve: no subuids' >&2\nexit 125\n").expect("room");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&program, mode).expect("it is ours");
    let path = format!("{}:/usr/bin:/bin", dir.path().display());
    let environment = Environment::of(|name| match name {
        "PATH" => Some(path.clone()),
        "XDG_RUNTIME_DIR" => Some(dir.path().display().to_string()),
        _ => None,
    });
    let place = Where::default();
    let found = Engine::find(Choice::Podman, &place, &environment);
    let none = runtime()
        .expect("a runtime")
        .block_on(found)
        .expect_err("it does not serve");
    let last = none.tried.last().expect("it was tried");
    assert!(last.why.contains("cannot serve: no subuids"), "{none}");
}
