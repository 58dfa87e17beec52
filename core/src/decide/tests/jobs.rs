//! Jobs: who sees them, who may try one again or give it up, and what a landed task says of what it caused.

use std::collections::BTreeSet;

use super::super::town::{Town, task_id};
use crate::event::Event;
use crate::id::JobId;
use crate::job::strategies::{build_of, image_with};
use crate::job::{Action, Floor, JobEvent, Policy, Subject, Wanted, plan, queue};
use crate::task::Outcome;

fn job(id: u64) -> JobId {
    id.to_string().parse().unwrap()
}

/// alice's task 1 landed, and made base and what stands on it stale.
fn landed() -> Town {
    let mut town = Town::new();
    town.does("alice", "build hello 1.0-alt1");
    town.builds(1, Outcome::Passed);
    town.lands(1);
    let image = |name: &str| Subject::Image(name.parse().unwrap());
    let wanted = [
        Wanted {
            kind: build_of("base", 8),
            after: Vec::new(),
        },
        Wanted {
            kind: build_of("web", 8),
            after: vec![image("base")],
        },
    ];
    let events = queue(town.world.jobs(), &wanted, Some(task_id(1)));
    town.record(&events);
    town
}

impl Town {
    fn of_job(&mut self, id: u64, event: JobEvent) {
        self.record(&[Event::Job { id: job(id), event }]);
    }

    fn begins(&mut self) -> Vec<Action> {
        let busy = BTreeSet::new();
        let floor = Floor {
            jobs: self.world.jobs(),
            devices: self.world.devices(),
            busy: &busy,
        };
        let actions = plan(&floor, &Policy::default(), self.now);
        for action in &actions {
            if let Action::Start { id, attempt } = *action {
                let until = Policy::default().until(self.now);
                self.record(&[Event::Job {
                    id,
                    event: JobEvent::Leased { attempt, until },
                }]);
            }
        }
        actions
    }
}

#[test]
fn a_landed_task_says_what_it_caused() {
    let mut town = landed();
    town.begins();
    let why = town.says("bob", "task why 1").out;
    assert!(why.contains("it caused job 1, image base: running"), "{why}");
    assert!(why.contains("it caused job 2, image web: waiting"), "{why}");
    assert!(why.contains("job ls --task=1"), "{why}");
    let show = town.says("bob", "task show 1").out;
    assert!(show.contains("it caused job 2, image web: waiting"), "{show}");
    let json: serde_json::Value = serde_json::from_str(&town.says("bob", "task show 1 --json").out).unwrap();
    assert_eq!(json["jobs"][1], serde_json::json!({"job": 2, "state": "waiting"}));
}

#[test]
fn jobs_are_listed_and_shown_to_everybody() {
    let mut town = landed();
    let list = town.says("carol", "job ls").out;
    insta::assert_snapshot!(list, @"
    JOB  STATE    SINCE (UTC)       WHAT        TASKS
    2    waiting  2026-11-21 10:04  image web   1      it waits for job 1, image base, which is queued
    1    queued   2026-11-21 10:04  image base  1      it waits for its turn
    ");
    town.begins();
    let show = town.says("carol", "job show 2").out;
    for line in [
        "job 2: build image web with generation 8 of sisyphus: waiting since 2026-11-21 10:04 (",
        "  it waits for job 1, image base, which is running\n",
        "  queued 2026-11-21 10:04, caused by task 1\n",
        "  after job 1 (image base, running)\n",
    ] {
        assert!(show.contains(line), "{line} in\n{show}");
    }
    town.of_job(
        1,
        JobEvent::Succeeded {
            attempt: 1,
            result: image_with(&["hello-1.0-alt1.x86_64"]),
        },
    );
    let json: serde_json::Value = serde_json::from_str(&town.says("carol", "job show 1 --json").out).unwrap();
    assert_eq!(json["job"], "image-build");
    assert_eq!(json["image"], "base");
    assert_eq!(json["state"], "done");
    assert_eq!(json["image_built"]["packages"][0], "hello-1.0-alt1.x86_64");
    assert!(!town.says("carol", "job ls").out.contains("base"), "it is over");
    assert!(town.says("carol", "job ls --image=base").out.contains("base"));
    assert!(town.says("carol", "job ls --state=done").out.contains("base"));
    assert_eq!(town.says("carol", "job ls --state=failed").err, "no jobs\n");
    assert_eq!(town.refuses("carol", "job show 9"), "no_job");
}

#[test]
fn the_tasks_owner_and_administrators_rule_its_jobs() {
    let mut town = landed();
    assert_eq!(town.refuses("bob", "job cancel 2"), "not_yours");
    assert_eq!(town.refuses("bob", "job retry 2"), "not_yours");
    assert_eq!(town.refuses("alice", "job retry 2"), "waiting");
    assert_eq!(town.refuses("alice", "job retry 1"), "queued");
    town.begins();
    assert_eq!(town.refuses("alice", "job retry 1"), "running");
    town.does("alice", "job cancel 1");
    assert_eq!(town.refuses("alice", "job cancel 1"), "over");
    assert!(
        town.begins().is_empty(),
        "web waits for a base that nobody builds: somebody has to say so"
    );
    let show = town.says("alice", "job show 2").out;
    assert!(
        show.contains("it waits for job 1, image base, which is cancelled; hint: job retry 1"),
        "{show}"
    );
    town.does("root", "job retry 1");
    assert!(matches!(town.begins()[0], Action::Start { .. }));
}

#[test]
fn what_is_asked_for_again_never_stands_beside_what_does_the_same() {
    let mut town = landed();
    town.begins();
    let wanted = [Wanted {
        kind: build_of("base", 9),
        after: Vec::new(),
    }];
    let events = queue(town.world.jobs(), &wanted, None);
    town.record(&events);
    town.of_job(
        1,
        JobEvent::Failed {
            attempt: 1,
            message: "step 2 fails\nthe log's last line".to_owned(),
            transient: false,
            retry_at: None,
        },
    );
    assert_eq!(town.refuses("alice", "job retry 1"), "queued");
    assert_eq!(
        town.refuses("alice", "job cancel 3"),
        "not_yours",
        "no task of hers caused it"
    );
    town.does("root", "job cancel 3");
    let dry = town.says("alice", "job retry 1 --dry-run");
    assert_eq!(dry.out, "job 1: alice wants it to be tried once more\n");
    let said = town.says("alice", "job retry 1");
    assert_eq!(said.out, "job 1 is tried once more\n");
}

#[test]
fn an_administrator_has_an_image_built_that_nothing_has_touched() {
    let mut town = landed();
    let sisyphus = || vec!["sisyphus".parse().unwrap()];
    town.facts.images = [
        ("base", sisyphus()),
        ("tools", sisyphus()),
        ("far", vec!["unmade".parse().unwrap()]),
    ]
    .map(|(image, repositories)| (image.parse().unwrap(), repositories))
    .into();
    town.facts.payloads = [("kiosk".parse().unwrap(), sisyphus())].into();
    let hint = town.says("root", "job build nothing").err;
    assert!(
        hint.contains("no image and no payload 'nothing' is configured")
            && hint.contains("there are: base, far, tools, kiosk"),
        "{hint}"
    );
    assert_eq!(town.refuses("alice", "job build tools"), "not_yours");
    assert_eq!(
        town.refuses("root", "job build base"),
        "queued",
        "a change has it built already"
    );
    assert_eq!(town.refuses("root", "job build far"), "no_generation");
    let said = town.says("root", "job build tools");
    assert_eq!(said.out, "job 3 builds image tools\n");
    let show = town.says("carol", "job show 3").out;
    assert!(show.contains("root asked for it"), "{show}");
    let said = town.says("root", "job build kiosk");
    assert_eq!(said.out, "job 4 builds payload kiosk\n");
    assert_eq!(town.refuses("root", "job build kiosk"), "queued");
    let list = town.says("carol", "job ls --payload=kiosk").out;
    assert!(list.contains("payload kiosk") && !list.contains("image"), "{list}");
    town.facts.images.clear();
    assert_eq!(town.refuses("root", "job build tools"), "no_image");
}
