//! What a task tells of itself while it runs, waits behind others, or has failed.

use super::*;
use crate::id::Generation;
use crate::task::{ArchOutcome, Counts, Failure, Fault, Note, Outcome, PlanSummary, PlannedChange, Stage, TaskEvent};

fn started(iteration: u32) -> TaskEvent {
    TaskEvent::BuildStarted {
        try_number: 1,
        iteration,
        base: Generation(7),
    }
}

fn begins(stage: Stage, arch: &str) -> TaskEvent {
    TaskEvent::StageStarted {
        try_number: 1,
        stage,
        arch: arch.parse().ok(),
    }
}

fn passes(stage: Stage, arch: &str, ms: u64) -> TaskEvent {
    TaskEvent::StageFinished {
        try_number: 1,
        stage,
        arch: arch.parse().ok(),
        ms: Some(ms),
    }
}

fn built(subtask: u32, arch: &str, reused: bool) -> TaskEvent {
    TaskEvent::Built {
        try_number: 1,
        subtask: SubtaskNumber(subtask),
        arch: arch.parse().unwrap(),
        outcome: ArchOutcome::Built {
            key: "0123456789abcdef".to_owned(),
            reused,
            packages: vec!["hello-1.0-alt1.src".to_owned(), format!("hello-1.0-alt1.{arch}")],
            log: "1/1.1/1/log".to_owned(),
            ms: 1500,
        },
    }
}

fn failure(fault: Fault, message: &str) -> Failure {
    Failure {
        stage: Stage::RepoUnmets,
        subtask: None,
        arch: None,
        fault,
        message: message.to_owned(),
        log: "1/1.1/repo-unmets.log".to_owned(),
        code: None,
        hint: Some("land what provides it first".to_owned()),
    }
}

#[test]
fn a_running_task_shows_each_architecture_the_plan_and_the_stages() {
    let mut town = Town::new();
    town.does("alice", "task new");
    town.does("alice", "task add repo hello 1.0-alt1");
    town.does("alice", "task add repo world 1.0-alt1");
    town.does("alice", "task run");
    town.happens(1, started(1));
    town.happens(1, begins(Stage::Pkgtar, ""));
    town.happens(1, passes(Stage::Pkgtar, "", 7));
    town.happens(1, begins(Stage::Build, "x86_64"));
    town.happens(1, begins(Stage::Build, "i586"));
    town.happens(1, built(1, "x86_64", true));
    let show = town.says("alice", "task show 1").out;
    let lines: Vec<&str> = show.lines().map(str::trim).collect();
    for line in [
        "its stages run on generation 7 (iteration 1), at build on x86_64, build on i586",
        "i586    building since 1 min",
        "x86_64  2 packages, built before (key 0123456789ab)",
        "i586    waits for those before it",
        "x86_64  building since 1 min",
        "stages: pkgtar 7 ms, build on x86_64 under way since 1 min, build on i586 under way since 1 min",
    ] {
        assert!(lines.contains(&line), "{line} in\n{show}");
    }
    town.happens(
        1,
        TaskEvent::Planned {
            try_number: 1,
            plan: PlanSummary {
                changes: vec![PlannedChange {
                    subtask: SubtaskNumber(1),
                    package: "hello".to_owned(),
                    before: Some("0.9-alt1".to_owned()),
                    after: Some("1.0-alt1".to_owned()),
                }],
                counts: [("x86_64".to_owned(), Counts { added: 2, removed: 1 })].into(),
                warnings: vec!["hello-tools goes".to_owned()],
            },
        },
    );
    town.happens(
        1,
        TaskEvent::Noted {
            try_number: 1,
            note: Note {
                stage: Stage::CheckBuild,
                subtask: Some(SubtaskNumber(2)),
                arch: None,
                text: "world differs a little".to_owned(),
            },
        },
    );
    let show = town.says("alice", "task show 1").out;
    for line in [
        "  the plan, on generation 7:\n     hello 0.9-alt1 → 1.0-alt1 (subtask 1)\n     packages: x86_64 +2 -1\n     warning: hello-tools goes\n",
        "  check-build, subtask 2: world differs a little\n",
    ] {
        assert!(show.contains(line), "{line} in\n{show}");
    }
}

#[test]
fn a_task_behind_others_names_them_and_its_failure_there_is_no_verdict() {
    let mut town = Town::new();
    for who in ["alice", "bob", "carol", "dave", "maria"] {
        town.does(who, "build hello 1.0-alt1");
    }
    let why = |town: &mut Town, id: u64| town.says("alice", &format!("task why {id}")).out;
    assert!(why(&mut town, 1).contains("  it waits for its turn\n"));
    assert!(why(&mut town, 2).contains("it waits for its turn; before it lands task 1\n"));
    assert!(why(&mut town, 5).contains("it waits for its turn; before it land the tasks 1, 2, 3 and 1 more\n"));
    town.happens(2, started(1));
    let failure = failure(Fault::Package, "world needs hello");
    town.happens(2, TaskEvent::Overtaken { try_number: 1, failure });
    assert_eq!(town.state(2), StateName::Awaiting);
    let text = why(&mut town, 2);
    assert!(
        text.contains("tested again when nobody is ahead of it") && text.contains("world needs hello"),
        "{text}"
    );
}

#[test]
fn trouble_says_when_it_is_tried_again_and_a_failure_how_to_mend_it() {
    let mut town = Town::new();
    town.does("alice", "build hello 1.0-alt1");
    let later = town.now + jiff::SignedDuration::from_mins(30);
    let ended = |failure, not_before| TaskEvent::RunEnded {
        try_number: 1,
        outcome: Outcome::Failed(failure),
        not_before,
    };
    town.happens(1, started(1));
    town.happens(
        1,
        ended(failure(Fault::Infrastructure, "the disk is full"), Some(later)),
    );
    let text = town.says("alice", "task why 1").out;
    assert!(
        text.contains("last time the infrastructure failed: repo-unmets: the disk is full")
            && text.contains("it is tried again after 2026-11-21 10:"),
        "{text}"
    );
    town.happens(1, started(2));
    town.happens(
        1,
        TaskEvent::RunEnded {
            try_number: 1,
            outcome: Outcome::Passed,
            not_before: None,
        },
    );
    // A commit that could not even begin waits, too.
    town.happens(
        1,
        TaskEvent::CommitFailed {
            try_number: 1,
            message: "the keyring cannot be read".to_owned(),
            not_before: Some(later),
        },
    );
    let text = town.says("alice", "task why 1").out;
    assert!(
        text.contains("the last commit did not happen: the keyring cannot be read")
            && text.contains("tried again after"),
        "{text}"
    );
    town.does("bob", "build world 1.0-alt1");
    town.happens(2, started(1));
    town.happens(2, ended(failure(Fault::Package, "world needs hello"), None));
    let text = town.says("bob", "task why 2").out;
    assert!(
        text.contains("world needs hello") && text.contains("hint: land what provides it first"),
        "{text}"
    );
}
