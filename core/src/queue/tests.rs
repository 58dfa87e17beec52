//! The policy, case by case.

use jiff::Timestamp;
use rstest::rstest;

use super::{Action, RepositoryView, Snapshot, Standing, TaskView, plan};
use crate::id::{Generation, TaskId};
use crate::task::Mode;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn id(number: u64) -> TaskId {
    number.to_string().parse().unwrap()
}

const WAITS: Standing = Standing::Waiting {
    iterations: 0,
    not_before: None,
    overtaken: false,
};

const OVERTAKEN: Standing = Standing::Waiting {
    iterations: 1,
    not_before: None,
    overtaken: true,
};

fn passed(base: u64) -> Standing {
    Standing::Passed {
        iterations: 1,
        base: Generation(base),
        not_before: None,
    }
}

/// Tasks of one repository at generation 7, run in the order of their numbers, at second 100.
fn snapshot(standings: &[Standing]) -> Snapshot {
    let tasks = (1..)
        .zip(standings)
        .map(|(number, standing)| TaskView {
            id: id(number),
            repository: "sid".parse().unwrap(),
            run_at: at(number.cast_signed()),
            mode: Mode::Commit,
            postponed: false,
            standing: *standing,
        })
        .collect();
    let view = RepositoryView {
        generation: Generation(7),
        changing: false,
    };
    Snapshot {
        now: at(100),
        most_runs: 2,
        repositories: [("sid".parse().unwrap(), view)].into(),
        tasks,
    }
}

fn start(task: u64, iteration: u32) -> Action {
    Action::Start {
        task: id(task),
        iteration,
        base: Generation(7),
    }
}

fn commit(task: u64) -> Action {
    Action::Commit {
        task: id(task),
        base: Generation(7),
    }
}

#[rstest]
#[case::nobody_is_there(&[], &[])]
#[case::who_waits_starts(&[WAITS], &[start(1, 1)])]
#[case::as_many_as_there_is_room_for(&[WAITS, WAITS, WAITS], &[start(1, 1), start(2, 1)])]
#[case::those_under_way_take_room(&[Standing::Running, WAITS, WAITS], &[start(2, 1)])]
#[case::all_room_is_taken(&[Standing::Running, Standing::Running, WAITS], &[])]
#[case::who_passed_lands(&[passed(7)], &[commit(1)])]
#[case::who_passed_on_an_older_generation_is_tested_again(&[passed(6)], &[start(1, 2)])]
#[case::nobody_lands_before_who_was_run_before(&[Standing::Running, passed(7)], &[])]
#[case::nor_is_tested_again_before_his_turn(&[Standing::Running, passed(6)], &[])]
#[case::one_commit_at_a_time(&[Standing::Committing, passed(7)], &[])]
#[case::who_failed_behind_others_waits_for_them(&[Standing::Running, OVERTAKEN], &[])]
#[case::and_is_tested_again_when_they_are_gone(&[OVERTAKEN, WAITS], &[start(1, 2), start(2, 1)])]
#[case::others_build_meanwhile(&[Standing::Committing, passed(7), WAITS], &[start(3, 1)])]
fn one_line(#[case] standings: &[Standing], #[case] expected: &[Action]) {
    assert_eq!(plan(&snapshot(standings)), expected);
}

#[test]
fn who_backs_off_holds_nobody_up_and_is_asked_again_in_time() {
    let later = Standing::Waiting {
        iterations: 3,
        not_before: Some(at(160)),
        overtaken: false,
    };
    let mut snapshot = snapshot(&[later, passed(7)]);
    assert_eq!(plan(&snapshot), [commit(2), Action::Wake { at: at(160) }]);
    snapshot.now = at(160);
    // It has its old place again: whoever was run after it waits.
    assert_eq!(plan(&snapshot), [start(1, 4)]);
}

#[test]
fn a_commit_that_failed_waits_and_holds_nobody_up() {
    let failed = Standing::Passed {
        iterations: 1,
        base: Generation(7),
        not_before: Some(at(130)),
    };
    let mut snapshot = snapshot(&[failed, passed(7)]);
    assert_eq!(plan(&snapshot), [commit(2), Action::Wake { at: at(130) }]);
    snapshot.now = at(131);
    assert_eq!(plan(&snapshot), [commit(1)]);
}

#[test]
fn who_is_postponed_holds_nobody_up() {
    let mut snapshot = snapshot(&[WAITS, passed(7)]);
    snapshot.tasks[0].postponed = true;
    assert_eq!(plan(&snapshot), [commit(2)]);
}

#[test]
fn a_test_run_holds_no_landing_up_and_is_held_up_by_none() {
    let mut snapshot = snapshot(&[Standing::Running, passed(7), WAITS]);
    snapshot.tasks[0].mode = Mode::TestOnly;
    snapshot.tasks[2].mode = Mode::TestOnly;
    assert_eq!(plan(&snapshot), [commit(2), start(3, 1)]);
}

#[test]
fn while_an_administrator_changes_the_repository_nobody_lands() {
    let mut snapshot = snapshot(&[passed(7), WAITS]);
    for view in snapshot.repositories.values_mut() {
        view.changing = true;
    }
    assert_eq!(plan(&snapshot), [start(2, 1)]);
}

#[test]
fn a_repository_that_is_not_there_keeps_its_tasks_waiting() {
    let mut snapshot = snapshot(&[WAITS, passed(7)]);
    snapshot.repositories.clear();
    assert_eq!(plan(&snapshot), []);
}

#[test]
fn the_first_of_each_repository_goes_before_the_second_of_any() {
    let mut snapshot = snapshot(&[WAITS, WAITS, WAITS]);
    let view = RepositoryView {
        generation: Generation(2),
        changing: false,
    };
    snapshot.repositories.insert("p11".parse().unwrap(), view);
    snapshot.tasks[2].repository = "p11".parse().unwrap();
    let third = Action::Start {
        task: id(3),
        iteration: 1,
        base: Generation(2),
    };
    assert_eq!(plan(&snapshot), [start(1, 1), third]);
}
