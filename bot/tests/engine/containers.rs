//! Containers: exit codes as `inspect` has them, removal on every way out.

use serde_json::{Value, json};
use windlass::images::engine::{Afterwards, Console, Ended, EngineError, RunOrder};
use windlass::images::runtime;
use windlass::stop;

use crate::fake::{Answer, Fake};

fn state(status: &str, code: i64) -> Answer {
    let running = status == "running";
    Answer::Json(
        200,
        json!({"Id": "c1", "State": {"Status": status, "Running": running, "ExitCode": code, "OOMKilled": false, "Error": ""}}),
    )
}

fn made() -> Fake {
    Fake::start().on(
        "POST /containers/create",
        [Answer::Json(201, json!({"Id": "c1", "Warnings": []}))],
    )
}

fn upgraded(frames: &[u8]) -> Answer {
    let mut bytes =
        b"HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n".to_vec();
    bytes.extend_from_slice(frames);
    Answer::Bytes(bytes)
}

fn frame(stream: u8, text: &str) -> Vec<u8> {
    let length = u32::try_from(text.len()).expect("short").to_be_bytes();
    [&[stream, 0, 0, 0], length.as_slice(), text.as_bytes()].concat()
}

fn run(fake: &Fake) -> (Result<Ended, EngineError>, String, String) {
    let engine = fake.engine();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let (_stop, mut stopping) = stop::channel();
    let mut order = RunOrder::new("localhost/x:1", ["true"]);
    order.labels.insert("org.windlass.instance".into(), "i1".into());
    let console = Console {
        out: &mut out,
        err: &mut err,
        input: None,
        sizes: None,
    };
    let ended = engine.run(&order, console, Afterwards::Remove, &mut stopping);
    let ended = runtime().expect("a runtime").block_on(ended);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (ended, text(out), text(err))
}

#[test]
fn the_exit_code_is_the_one_of_inspect() {
    // What `wait` says is wrong in every way that was seen; a negative code too.
    let lies: [Value; 4] = [
        json!({"StatusCode": 0}),
        json!({"StatusCode": -1, "Error": null}),
        json!({"StatusCode": 137, "Error": {"Message": "killed"}}),
        json!({"StatusCode": 3, "Error": null}),
    ];
    for lie in lies {
        let fake = made()
            .on(
                "POST /containers/c1/attach",
                [upgraded(&[frame(1, "out\n"), frame(2, "err\n")].concat())],
            )
            .on("POST /containers/c1/start", [Answer::Json(204, json!({}))])
            .on("POST /containers/c1/wait", [Answer::Json(200, lie)])
            .on("GET /containers/c1/json", [state("exited", 3)]);
        let (ended, out, err) = run(&fake);
        let Ok(Ended::Exited(exited)) = ended else {
            panic!("{ended:?}")
        };
        assert_eq!((exited.code, out.as_str(), err.as_str()), (3, "out\n", "err\n"));
        assert_eq!(fake.asked("DELETE /containers/c1?").len(), 1);
    }
}

#[test]
fn whatever_fails_the_container_is_removed() {
    let exited = || Answer::Json(200, json!({"StatusCode": 0}));
    let scripts = [
        made().on(
            "POST /containers/c1/attach",
            [Answer::Json(500, json!({"message": "cannot attach"}))],
        ),
        made().on("POST /containers/c1/attach", [upgraded(&[])]).on(
            "POST /containers/c1/start",
            [Answer::Json(
                400,
                json!({"message": "exec: \"x\": executable file not found in $PATH"}),
            )],
        ),
        // Frames that are none.
        made()
            .on("POST /containers/c1/attach", [upgraded(b"plain text, no frames\n")])
            .on("POST /containers/c1/start", [Answer::Json(204, json!({}))])
            .maybe("POST /containers/c1/wait", Answer::Nothing),
        // Output that ends in the middle of a frame.
        made()
            .on("POST /containers/c1/attach", [upgraded(&frame(1, "out\n")[..9])])
            .on("POST /containers/c1/start", [Answer::Json(204, json!({}))])
            .maybe("POST /containers/c1/wait", Answer::Nothing),
        // A container that somebody else removes meanwhile.
        made()
            .on("POST /containers/c1/attach", [upgraded(&[])])
            .on("POST /containers/c1/start", [Answer::Json(204, json!({}))])
            .on("POST /containers/c1/wait", [exited()])
            .on(
                "GET /containers/c1/json",
                [Answer::Json(404, json!({"message": "No such container: c1"}))],
            ),
    ];
    for fake in scripts {
        let (ended, ..) = run(&fake);
        let error = ended.expect_err("it fails");
        assert_eq!(fake.asked("DELETE /containers/c1?").len(), 1, "{error}");
    }
}

#[test]
fn a_container_whose_id_never_came_is_found_by_its_label() {
    let left = json!([{"Id": "c9", "Image": "x", "Labels": {"org.windlass.instance": "i1"}, "State": "created"},
        {"Id": "c8", "Image": "x", "Labels": {"org.windlass.instance": "another"}, "State": "created"}]);
    let fake = Fake::start()
        .on("POST /containers/create", [Answer::Nothing])
        .on("GET /containers/json", [Answer::Json(200, left)]);
    let (ended, ..) = run(&fake);
    assert!(ended.expect_err("no answer came").is_transient());
    assert_eq!(fake.asked("DELETE /containers/c9?").len(), 1);
    assert!(
        fake.asked("DELETE /containers/c8?").is_empty(),
        "the engine's filter is not believed"
    );
}

#[test]
fn a_word_to_stop_removes_the_container() {
    let fake = made()
        .on("POST /containers/c1/attach", [upgraded(&[])])
        .on("POST /containers/c1/start", [Answer::Json(204, json!({}))])
        .on("POST /containers/c1/wait", [Answer::Nothing]);
    let engine = fake.engine();
    let (stop, mut stopping) = stop::channel();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let console = Console {
        out: &mut out,
        err: &mut err,
        input: None,
        sizes: None,
    };
    let order = RunOrder::new("localhost/x:1", ["true"]);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            fake.was_asked("POST /containers/c1/wait");
            stop.now();
        });
        let ended = engine.run(&order, console, Afterwards::Remove, &mut stopping);
        let ended = runtime().expect("a runtime").block_on(ended).expect("it stops");
        assert_eq!(ended, Ended::Stopped);
    });
    fake.hung_up("POST /containers/c1/wait");
    assert_eq!(fake.asked("DELETE /containers/c1?").len(), 1);
}

#[test]
fn a_container_that_is_gone_is_as_good_as_removed() {
    let runtime = runtime().expect("a runtime");
    let fake = Fake::start().on(
        "DELETE /containers/c1",
        [Answer::Json(404, json!({"message": "No such container"}))],
    );
    runtime
        .block_on(fake.engine().container("c1").remove())
        .expect("it is gone");
    let fake = Fake::start()
        .on(
            "DELETE /containers/c1",
            [Answer::Json(
                409,
                json!({"message": "removal of container c1 is already in progress"}),
            )],
        )
        .on(
            "POST /containers/c1/wait",
            [Answer::Json(404, json!({"message": "No such container"}))],
        );
    runtime
        .block_on(fake.engine().container("c1").remove())
        .expect("somebody else does it");
    let fake = Fake::start().on(
        "DELETE /containers/c1",
        [Answer::Json(500, json!({"message": "driver: device busy"}))],
    );
    assert!(
        runtime
            .block_on(fake.engine().container("c1").remove())
            .expect_err("busy")
            .is_transient()
    );
}
