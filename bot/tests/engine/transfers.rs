//! Pulls, pushes, lists, archives.

use std::io::{Seek as _, Write as _};

use rstest::rstest;
use serde_json::{Value, json};
use windlass::images::engine::{Cause, EngineError};
use windlass::images::logins::{Login, Logins};
use windlass::images::runtime;
use windlass::stop;

use crate::fake::{Answer, Fake};

const NAME: &str = "r.example.org:5000/team/x:1";

fn logins() -> Logins {
    let login = Login {
        user: "alice".into(),
        // Its base64 has signs that differ between the two alphabets.
        password: "\u{ff}\u{fe}?>~".into(),
    };
    Logins::default().with("r.example.org:5000", login)
}

fn pull(fake: &Fake) -> Result<String, EngineError> {
    let engine = fake.engine();
    let (_stop, mut stopping) = stop::channel();
    let mut log = |_: &str| ();
    let logins = logins();
    let pulled = engine.pull(NAME, Some("linux/arm64"), &logins, &mut log, &mut stopping);
    runtime().expect("a runtime").block_on(pulled).map(|facts| facts.id)
}

fn push(fake: &Fake) -> Result<Option<String>, EngineError> {
    let engine = fake.engine();
    let (_stop, mut stopping) = stop::channel();
    let mut log = |_: &str| ();
    runtime()
        .expect("a runtime")
        .block_on(engine.push(NAME, &logins(), &mut log, &mut stopping))
}

#[test]
fn a_pull_is_done_when_the_image_is_there() {
    let fake = Fake::start()
        .on(
            "POST /images/create",
            [Answer::messages(&[
                json!({"status": "Pulling"}),
                json!({"status": "Done", "id": "a"}),
            ])],
        )
        .on(
            &format!("GET /images/{NAME}/json"),
            [Answer::Json(200, json!({"Id": "sha256:1"}))],
        );
    assert_eq!(pull(&fake).expect("it is there"), "sha256:1");
    let asked = &fake.asked("POST /images/create")[0];
    assert!(
        asked
            .line
            .contains("fromImage=r.example.org%3A5000%2Fteam%2Fx&tag=1&platform=linux%2Farm64"),
        "{asked:?}"
    );
    let header = asked
        .head
        .iter()
        .find(|(name, _)| name == "x-registry-auth")
        .expect("a login");
    assert!(
        !header.1.contains(['+', '/']),
        "engines read the other alphabet: {}",
        header.1
    );
}

#[rstest]
#[case::said(Answer::messages(&[json!({"status": "Pulling"}), json!({"error": "manifest for x not found: manifest unknown"})]), "Said", false)]
#[case::registry_away(Answer::messages(&[json!({"errorDetail": {"message": "dial tcp 10.0.0.1:443: i/o timeout"}, "error": "x"})]), "Said", true)]
#[case::registry_overloaded(Answer::messages(&[json!({"error": "received unexpected HTTP status: 503 Service Unavailable"})]), "Said", true)]
#[case::denied(Answer::Json(500, json!({"message": "unauthorized: authentication required"})), "Status", false)]
#[case::success_of_nothing(Answer::messages(&[json!({"status": "Done"})]), "NotDone", false)]
#[case::cut(Answer::Cut(vec![b"{\"status\":\"Pulling\"}\n".to_vec()]), "Cut", true)]
#[case::empty(Answer::Pieces(vec![]), "NotDone", false)]
fn a_pull_that_fails_says_so(#[case] answer: Answer, #[case] cause: &str, #[case] transient: bool) {
    let fake = Fake::start().on("POST /images/create", [answer]);
    let error = pull(&fake).expect_err("it is not pulled");
    assert!(format!("{:?}", error.cause()).starts_with(cause), "{error}");
    assert_eq!(error.is_transient(), transient, "{error}");
}

#[test]
fn a_push_gives_the_digest_in_either_form() {
    let digest = format!("sha256:{}", "a".repeat(64));
    let forms: [Value; 2] = [
        json!({"progressDetail": {}, "aux": {"Tag": "1", "Digest": digest, "Size": 528}}),
        json!({"status": format!("1: digest: {digest} size: 528")}),
    ];
    for form in forms {
        let fake = Fake::start().on(
            "POST /images/r.example.org:5000/team/x/push?tag=1",
            [Answer::messages(&[form])],
        );
        assert_eq!(push(&fake).expect("it is pushed"), Some(digest.clone()));
    }
    let fake = Fake::start().on(
        "POST /images/",
        [Answer::messages(&[
            json!({"error": "denied: requested access to the resource is denied"}),
        ])],
    );
    assert!(!push(&fake).expect_err("denied").is_transient());
}

#[rstest]
#[case::endless(Answer::Endless(vec![b' '; 4000]), "Garbage", false)]
#[case::garbage(Answer::Pieces(vec![b"{\"Id\": 5}".to_vec()]), "Garbage", false)]
#[case::without_id(Answer::Json(200, json!({})), "Garbage", false)]
#[case::slow(Answer::Nothing, "TimedOut", true)]
#[case::slow_in_the_middle(Answer::Silent(vec![b"{".to_vec()]), "TimedOut", true)]
#[case::broken(Answer::Json(500, json!({"message": "layer store is locked"})), "Status", true)]
#[case::cut(Answer::Cut(vec![b"{\"Id\":".to_vec()]), "Cut", true)]
fn a_look_at_an_image_believes_nothing(#[case] answer: Answer, #[case] cause: &str, #[case] transient: bool) {
    let fake = Fake::start().on("GET /images/localhost/x:1/json", [answer]);
    let engine = fake.engine();
    let error = runtime()
        .expect("a runtime")
        .block_on(engine.inspect("localhost/x:1"))
        .expect_err("no answer");
    assert!(
        format!("{:?}", error.cause()).starts_with(cause),
        "{:?} {error}",
        error.cause()
    );
    assert_eq!(error.is_transient(), transient, "{error}");
}

#[test]
fn what_is_absent_is_no_error_and_names_lead_nowhere() {
    let fake = Fake::start();
    let engine = fake.engine();
    let runtime = runtime().expect("a runtime");
    assert_eq!(
        runtime.block_on(engine.inspect("localhost/x:1")).expect("no error"),
        None
    );
    assert!(
        !runtime
            .block_on(engine.remove_image("localhost/x:1"))
            .expect("no error")
    );
    let before = fake.asked("").len();
    for name in ["../containers/json", "x?force=1", "", "a/../../b", "a b"] {
        let error = runtime.block_on(engine.inspect(name)).expect_err("it is no name");
        assert_eq!(*error.cause(), Cause::Local);
    }
    assert_eq!(fake.asked("").len(), before, "nothing was asked");
}

#[test]
fn an_archive_counts_as_loaded_when_the_engine_names_what_it_held() {
    let runtime = runtime().expect("a runtime");
    let archive = || {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(b"tar").expect("room");
        file.rewind().expect("a file");
        file
    };
    let fake = Fake::start().on(
        "POST /images/load",
        [Answer::messages(&[json!({"stream": "Loaded image: localhost/x:1\n"})])],
    );
    assert_eq!(
        runtime.block_on(fake.engine().load(archive())).expect("loaded"),
        ["localhost/x:1"]
    );
    let fake = Fake::start().on("POST /images/load", [Answer::messages(&[json!({"stream": ""})])]);
    let error = runtime
        .block_on(fake.engine().load(archive()))
        .expect_err("nothing was");
    assert_eq!(*error.cause(), Cause::NotDone);
    let fake = Fake::start().on("GET /images/localhost/x:1/get", [Answer::Cut(vec![b"half".to_vec()])]);
    let error = runtime
        .block_on(fake.engine().save("localhost/x:1", &mut archive()))
        .expect_err("cut");
    assert!(error.is_transient(), "{error}");
}
