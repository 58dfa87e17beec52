//! Builds: done only when a look confirms it; everything that may go wrong told, once, with whether it may pass.

use std::io::Write as _;

use rstest::rstest;
use serde_json::{Value, json};
use windlass::images::engine::{Builder, Cause, EngineBuild, EngineError, ImageFacts};
use windlass::images::runtime;
use windlass::stop;

use crate::fake::{Answer, Fake, lines};

const DONE: &str = "sha256:1111111111111111111111111111111111111111111111111111111111111111";

fn image(labels: &Value) -> Answer {
    Answer::Json(
        200,
        json!({"Id": DONE, "RepoTags": ["localhost/x:1"], "Config": {"Labels": labels}}),
    )
}

fn good() -> Vec<Value> {
    vec![
        json!({"stream": "Step 1/1 : FROM scratch\n"}),
        json!({"aux": {"ID": DONE}}),
        json!({"stream": "Successfully built 111111111111\n"}),
    ]
}

fn order(context_size: usize) -> EngineBuild {
    let mut context = tempfile::tempfile().expect("a file");
    context.write_all(&vec![0; context_size]).expect("room");
    let mut build = EngineBuild::new("localhost/x:1", context, "Dockerfile");
    build.labels.insert("org.windlass.checksum".into(), "sha256:1".into());
    build.builder = Builder::Classic;
    build
}

fn build(fake: &Fake, mut order: EngineBuild) -> (Result<ImageFacts, EngineError>, Vec<String>) {
    let engine = fake.engine();
    let mut said = Vec::new();
    let (_stop, mut stopping) = stop::channel();
    let mut log = |line: &str| said.push(line.to_owned());
    let result = runtime()
        .expect("a runtime")
        .block_on(engine.build(&mut order, &mut log, &mut stopping));
    (result, said)
}

#[test]
fn a_build_is_done_when_the_image_carries_our_labels() {
    let fake = Fake::start().on("POST /build", [Answer::messages(&good())]).on(
        "GET /images/localhost/x:1/json",
        [image(&json!({"org.windlass.checksum": "sha256:1"}))],
    );
    let (result, said) = build(&fake, order(1024));
    assert_eq!(result.expect("it is built").id, DONE);
    assert_eq!(said, ["Step 1/1 : FROM scratch", "Successfully built 111111111111"]);
    let asked = &fake.asked("POST /build")[0];
    assert_eq!(asked.body.len(), 1024);
    assert!(!asked.line.contains("version=2"));
    let kinds: Vec<_> = asked.head.iter().filter(|(name, _)| name == "content-type").collect();
    assert_eq!(kinds.len(), 1);
    assert_eq!(kinds[0].1, "application/x-tar");
}

/// What the engine answers to the build, what it then says of the image, and what becomes of it: the kind of error, whether it may pass,
/// words that are shown.
#[rstest]
#[case::error_alone(Answer::messages(&[json!({"error": "no space left on device"})]), "Said", false, "no space left on device")]
#[case::error_after_success(Answer::messages(&[good(), vec![json!({"error": "and then it broke"})]].concat()), "Said", false, "and then it broke")]
#[case::error_without_line_end(Answer::Pieces(vec![br#"{"errorDetail":{"message":"bad"},"error":"bad"}"#.to_vec()]), "Said", false, "bad")]
#[case::names_do_not_resolve(Answer::messages(&[json!({"error": "dial tcp: lookup r: Temporary failure in name resolution"})]), "Said", true, "name resolution")]
#[case::a_step_fails(Answer::messages(&[json!({"errorDetail": {"code": 28, "message": "The command '/bin/sh -c curl' returned a non-zero code: 28"}, "error": "x"})]), "Step", false, "non-zero code: 28")]
#[case::cut_in_the_stream(Answer::Cut(lines(&good()[..1])), "Cut", true, "hung up in the middle")]
#[case::cut_in_a_message(Answer::Pieces(vec![b"{\"stream\":\"Step 1\\n\"}\r\n{\"str".to_vec()]), "Cut", true, "middle of a message")]
#[case::ended_before_anything(Answer::Pieces(vec![]), "Cut", true, "ended before the build did")]
#[case::ended_after_a_step(Answer::messages(&good()[..1]), "Cut", true, "ended before the build did")]
#[case::reset(Answer::Reset, "Connection|Cut", true, "")]
#[case::silent_at_once(Answer::Nothing, "TimedOut", true, "did not answer within 1 seconds")]
#[case::silent_after_a_step(Answer::Silent(lines(&good()[..1])), "TimedOut", true, "did not answer within 1 seconds")]
#[case::not_found(Answer::Json(404, json!({"message": "no such base"})), "Status", false, "no such base")]
#[case::broken(Answer::Json(500, json!({"message": "device or resource busy"})), "Status", true, "device or resource busy")]
#[case::broken_for_good(Answer::Json(500, json!({"message": "dockerfile parse error line 1: unknown instruction: FORM"})), "Status", false, "FORM")]
#[case::overloaded(Answer::Json(503, json!({})), "Status", true, "503")]
#[case::no_login(Answer::Json(401, json!({"message": "unauthorized: authentication required"})), "Status", false, "docker login")]
#[case::no_login_said(Answer::messages(&[json!({"error": "pull access denied for r/x, repository does not exist"})]), "Said", false, "docker login")]
#[case::early_refusal(Answer::Early(400, json!({"message": "invalid platform"})), "Status", false, "invalid platform")]
#[case::no_json(Answer::Pieces(vec![b"<html>proxy</html>\n".to_vec()]), "Garbage", false, "not one of the Docker API")]
#[case::other_json(Answer::Pieces(vec![b"[1,2]\n".to_vec()]), "Garbage", false, "not one of the Docker API")]
#[case::no_http(Answer::Bytes(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()), "Garbage", false, "not one of the Docker API")]
#[case::endless_message(Answer::Endless(vec![b'"'; 1]), "Garbage", false, "not one of the Docker API")]
#[case::endless_string(Answer::Endless([b"{\"stream\":\"".to_vec(), vec![b'a'; 4000]].concat()), "Garbage", false, "")]
fn what_goes_wrong_with_a_build_is_told(
    #[case] answer: Answer,
    #[case] cause: &str,
    #[case] transient: bool,
    #[case] words: &str,
) {
    let fake = Fake::start().on("POST /build", [answer]);
    let (result, _) = build(&fake, order(4 << 20));
    let error = result.expect_err("it is not built");
    let found = format!("{:?}", error.cause());
    assert!(
        cause.split('|').any(|cause| found.starts_with(cause)),
        "{found}: {error}"
    );
    assert_eq!(error.is_transient(), transient, "{error}");
    let text = error.to_string();
    assert!(text.starts_with("cannot build localhost/x:1: "), "{text}");
    assert!(text.contains(words), "{text}");
}

#[rstest]
#[case::no_image(Answer::Json(404, json!({"message": "No such image"})), "there is no localhost/x:1")]
#[case::no_labels(image(&Value::Null), "does not carry our label")]
#[case::older_labels(image(&json!({"org.windlass.checksum": "sha256:0"})), "does not carry our label")]
fn a_success_that_is_none_is_an_error(#[case] looked: Answer, #[case] words: &str) {
    let fake = Fake::start()
        .on("POST /build", [Answer::messages(&good())])
        .on("GET /images/localhost/x:1/json", [looked]);
    let (result, _) = build(&fake, order(10));
    let error = result.expect_err("it is not done");
    assert_eq!(*error.cause(), Cause::NotDone);
    assert!(!error.is_transient());
    assert!(error.to_string().contains(words), "{error}");
}

#[test]
fn pieces_may_be_cut_anywhere() {
    let bytes = lines(&good()).concat();
    let pieces: Vec<Vec<u8>> = bytes.iter().map(|byte| vec![*byte]).collect();
    let fake = Fake::start().on("POST /build", [Answer::Pieces(pieces)]).on(
        "GET /images/localhost/x:1/json",
        [image(&json!({"org.windlass.checksum": "sha256:1"}))],
    );
    let (result, said) = build(&fake, order(10));
    assert!(result.is_ok());
    assert_eq!(said.len(), 2);
}

#[test]
fn where_buildkit_needs_a_session_the_classic_builder_is_taken() {
    let refused =
        json!({"errorDetail": {"message": "no active session for abc: context deadline exceeded"}, "error": "x"});
    let fake = Fake::start()
        .on("POST /build", [Answer::messages(&[refused]), Answer::messages(&good())])
        .on(
            "GET /images/localhost/x:1/json",
            [image(&json!({"org.windlass.checksum": "sha256:1"}))],
        );
    let mut order = order(100);
    order.builder = Builder::Auto;
    let (result, said) = build(&fake, order);
    assert!(result.is_ok());
    assert!(
        said[0].contains("no active session") && said[0].contains("classic builder"),
        "{said:?}"
    );
    let asked = fake.asked("POST /build");
    assert!(asked[0].line.contains("version=2") && !asked[1].line.contains("version=2"));
    assert_eq!(
        (asked[0].body.len(), asked[1].body.len()),
        (100, 100),
        "the context is sent again from its beginning"
    );
}

#[test]
fn a_failed_step_is_not_tried_by_another_builder() {
    let failed =
        json!({"errorDetail": {"message": "executor failed running [/bin/sh -c false]: exit code: 1"}, "error": "x"});
    let fake = Fake::start().on("POST /build", [Answer::messages(&[failed])]);
    let mut order = order(100);
    order.builder = Builder::Auto;
    let (result, _) = build(&fake, order);
    assert_eq!(*result.expect_err("the step fails").cause(), Cause::Step);
    assert_eq!(fake.asked("POST /build").len(), 1);
}

#[test]
fn when_we_are_told_to_stop_the_engine_sees_us_hang_up() {
    let fake = Fake::start().on("POST /build", [Answer::Silent(lines(&good()[..1]))]);
    let engine = fake.engine();
    let (stop, mut stopping) = stop::channel();
    let result = std::thread::scope(|scope| {
        scope.spawn(|| {
            fake.was_asked("POST /build");
            stop.now();
        });
        let mut order = order(10);
        let mut log = |_: &str| ();
        let build = engine.build(&mut order, &mut log, &mut stopping);
        runtime().expect("a runtime").block_on(build)
    });
    let error = result.expect_err("it was stopped");
    assert!(error.is_stopped() && !error.is_transient(), "{error}");
    fake.hung_up("POST /build");
}

#[test]
fn parameters_reach_the_engine_as_they_are() {
    let fake = Fake::start().on("POST /build", [Answer::messages(&good())]).on(
        "GET /images/localhost/x:1/json",
        [image(&json!({"org.windlass.checksum": "sha256:1"}))],
    );
    let mut order = order(10);
    order.build_args.insert("A".into(), "b&c=d\u{e4}".into());
    order.network = Some("none".into());
    order.no_cache = true;
    order.pull = true;
    order.cache_from = vec!["r.example.org/x:1".into()];
    order.target = Some("final".into());
    assert!(build(&fake, order).0.is_ok());
    let line = fake.asked("POST /build")[0].line.clone();
    for part in [
        "t=localhost%2Fx%3A1",
        "buildargs=%7B%22A%22%3A%22b%26c%3Dd%C3%A4%22%7D",
        "networkmode=none",
        "nocache=1",
        "pull=1",
        "cachefrom=%5B%22r.example.org%2Fx%3A1%22%5D",
        "target=final",
        "forcerm=1",
    ] {
        assert!(line.contains(part), "{part}: {line}");
    }
}
