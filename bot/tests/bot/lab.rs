//! The lab: what the bot does with devices that do not answer, with those that somebody has, and with what was made for them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::time::Instant;

use serde_json::Value;
use windlass::devices::stock::{Label, PAYLOAD, Stock};
use windlass::journal::Sqlite;
use windlass::writer::State;
use windlass_core::event::Event;
use windlass_core::id::{Generation, JobId};
use windlass_core::job::{JobEvent, JobKind, JobResult, MadePayload, PayloadBuild};

use crate::world::{DEADLINE, World, request_of};

/// A lab whose devices are at ports where nobody answers, and a payload for them that a job made before.
fn lab(devices: &[(&str, &str)]) -> World {
    let mut config = "[lab]\nat_once = 1\nleave_alone = '1h'\n[jobs]\nback_off = '1h'\n\
         [[payload]]\nname = 'kiosk'\nboard = 'kiosk'\narchitecture = 'x86_64'\nrepositories = ['main']\n\
         [[payload.partition]]\nname = 'root'\nsource = '/srv/images/kiosk.img'\n"
        .to_owned();
    for (name, tags) in devices {
        // A port that was free a moment ago.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let device = format!(
            "[[device]]\nname = '{name}'\naddress = '127.0.0.1'\nport = {port}\nboard = 'kiosk'\npayload = 'kiosk'\ntags = [{tags}]\n"
        );
        config.push_str(&device);
    }
    config.push_str("[[nightly]]\nname = 'all'\ncalendar = '0 0 1 1 *'\nstop_at = 100\n");
    let world = World::with(&config);
    let made = MadePayload {
        payload: "kiosk".parse().unwrap(),
        board: "kiosk".to_owned(),
        version: "1.0.2".to_owned(),
        number: 2,
        digest: "00".to_owned(),
        size: 33,
        reused: false,
        stateful: None,
        disk: None,
        delta: None,
        generations: BTreeMap::from([("main".parse().unwrap(), Generation(1))]),
        packages: Vec::new(),
    };
    let (id, attempt, now) = (JobId::FIRST, 1, jiff::Timestamp::now());
    let draft = Stock::below(&world.path("state")).begin(&made.payload).unwrap();
    std::fs::write(draft.path().join(PAYLOAD), b"no payload, and nobody will see it").unwrap();
    let label = Label {
        at: now,
        job: id,
        inputs: "00".to_owned(),
        made: made.clone(),
    };
    draft.finish(&label).unwrap();
    let build = PayloadBuild {
        payload: made.payload.clone(),
        repository: "main".parse().unwrap(),
        generation: Generation(1),
        because: Vec::new(),
        more: 0,
    };
    let mut state = State::load(Sqlite::open(&world.path("state/journal.sqlite")).unwrap()).unwrap();
    for event in [
        JobEvent::Queued {
            kind: JobKind::PayloadBuild(build),
            after: BTreeSet::new(),
            task: None,
        },
        JobEvent::Leased {
            attempt,
            until: "2100-01-01T00:00:00Z".parse().unwrap(),
        },
        JobEvent::Succeeded {
            attempt,
            result: JobResult::Payload(Box::new(made)),
        },
    ] {
        state.append(&[Event::Job { id, event }], now).unwrap();
    }
    world
}

impl World {
    fn json(&self, words: &[&str]) -> Value {
        let reply = self.ask(&[words, &["--json"]].concat());
        assert_eq!(reply.exit, Some(0), "{reply:?}");
        serde_json::from_str(&reply.out).unwrap()
    }

    /// Waits until a job is in this state.
    fn job_is(&self, id: u64, state: &str) -> Value {
        let until = Instant::now() + DEADLINE;
        loop {
            let job = self.json(&["job", "show", &id.to_string()]);
            if job["state"] == state {
                return job;
            }
            assert!(Instant::now() < until, "job {id} does not become {state}: {job}");
            std::thread::yield_now();
        }
    }
}

#[test]
fn a_dead_device_is_left_alone_and_delays_no_other() {
    let world = lab(&[("kiosk-1", ""), ("kiosk-2", ""), ("kiosk-3", "")]);
    let _bot = world.start();
    let kept = world.ask(&["device", "reserve", "kiosk-3", "--for", "2h", "-m", "it flickers"]);
    assert_eq!(kept.exit, Some(0), "{kept:?}");
    let run = world.ask(&["device", "nightly", "run", "all"]);
    assert!(
        run.out
            .contains("jobs 2, 3 flash 2 devices; kiosk-3 is left out: reserved by alice"),
        "{run:?}"
    );
    // One at a time, and neither waits for the other's next try.
    for id in [2, 3] {
        let job = world.job_is(id, "retrying");
        assert!(job["told"].to_string().contains("infrastructure"), "{job}");
    }
    let why = world.ask(&["device", "why", "kiosk-1"]).out;
    assert!(
        why.contains("it did not answer once, and is left alone until") && why.contains("job 2 waits for it"),
        "{why}"
    );
    let show = world.json(&["device", "show", "kiosk-2"]);
    assert_eq!(
        (&show["health"], &show["silent_in_a_row"], &show["job"]),
        (&"unknown".into(), &1.into(), &3.into())
    );
    let history = world.json(&["device", "history", "kiosk-2"]);
    assert_eq!(
        (&history[0]["outcome"], &history[0]["job"]),
        (&"failed".into(), &3.into()),
        "{history}"
    );
    let nightly = world.json(&["device", "nightly", "ls"]);
    assert_eq!(nightly[0]["last"]["told"], "2 under way", "{nightly}");
    // What is cancelled leaves its device free at once.
    assert_eq!(world.ask(&["job", "cancel", "2"]).exit, Some(0));
    let good = world.ask(&["device", "health", "kiosk-1", "good", "-m", "plugged in again"]);
    assert_eq!(good.out, "kiosk-1 is good: it may be flashed\n");
    assert!(world.ask(&["device", "why", "kiosk-1"]).out.contains("it is free"));
    // Somebody else's device is not taken, and whoever may do everything gives it back.
    let refused = world.send(&request_of(
        "bob",
        windlass_hooks::wire::random_request_id().unwrap(),
        &["device", "release", "kiosk-3"],
    ));
    assert!(refused.err.contains("not_yours"), "{refused:?}");
    assert_eq!(world.ask(&["device", "release", "kiosk-3"]).exit, Some(0));
    assert_eq!(world.count("device.judged"), 1);
}

#[test]
fn a_rollout_waits_for_its_canary_and_a_reservation_outlives_the_bot() {
    let world = lab(&[("kiosk-1", "'canary'"), ("kiosk-2", "")]);
    let bot = world.start();
    assert_eq!(world.ask(&["device", "nightly", "run", "all"]).exit, Some(0));
    world.job_is(2, "retrying");
    let why = world.ask(&["device", "why", "kiosk-2"]).out;
    assert!(
        why.contains("it waits for job 2, device kiosk-1, which is retrying"),
        "{why}"
    );
    assert_eq!(
        world.ask(&["device", "reserve", "kiosk-2", "-m", "it flickers"]).exit,
        Some(0)
    );
    bot.kill();
    let _bot = world.start();
    assert!(
        world
            .ask(&["device", "why", "kiosk-2"])
            .out
            .contains("reserved by alice")
    );
    // No canary is left: what waits for one is given up, and says so.
    assert_eq!(world.ask(&["job", "cancel", "2"]).exit, Some(0));
    let job = world.job_is(3, "cancelled");
    assert!(
        job["told"]
            .to_string()
            .contains("it was given up: no canary was flashed: kiosk-1 (job 2, cancelled)"),
        "{job}"
    );
}
