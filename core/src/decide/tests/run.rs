//! Running, waiting, stopping.

use super::*;
use crate::world::World;

#[test]
fn build_is_new_add_and_run() {
    let mut town = Town::new();
    let answer = town.says("alice", "build hello 1.0-alt1 shared/bar 2.0-alt1");
    assert_eq!(answer.out, "1\n");
    assert_eq!(
        answer.err,
        "task 1 for sisyphus: subtasks 1, 2; follow it: task why 1\n"
    );
    assert_eq!(town.state(1), StateName::Awaiting);
    assert_eq!(town.task(1).subtasks.len(), 2);
}

#[test]
fn build_is_whole_or_not_at_all() {
    let mut town = Town::new();
    assert_eq!(
        town.refuses("alice", "build hello 1.0-alt1 bob/tool 1.0-alt1"),
        "not_yours"
    );
    assert_eq!(town.world.tasks().count(), 0);
}

#[test]
fn the_same_build_twice_is_one_task() {
    let mut town = Town::new();
    town.does("alice", "build hello 1.0-alt1");
    let again = town.does("alice", "build hello.git 1.0-alt1");
    assert_eq!(again.events, []);
    assert_eq!(again.reply.render().err, "already task 1, awaiting\n");
    assert_eq!(again.reply.render().out, "1\n");
    // Another way of running it, other tags, an end in between: another task.
    assert_eq!(town.says("alice", "build --test-only hello 1.0-alt1").out, "2\n");
    assert_eq!(town.says("alice", "build hello 1.1-alt1").out, "3\n");
    town.does("alice", "task abort 1");
    assert_eq!(town.says("alice", "build hello 1.0-alt1").out, "4\n");
}

#[test]
fn a_tag_is_judged_again_when_the_task_is_run() {
    let mut town = Town::new();
    town.does("alice", "task new");
    town.does("alice", "task add repo hello 1.0-alt1");
    let tag = || {
        (
            "people/alice/packages/hello.git".parse().unwrap(),
            "1.0-alt1".parse().unwrap(),
        )
    };
    let revoked = Refusal::new("revoked_key", "the key was revoked");
    town.verdicts.insert(tag(), TagFacts::Refused(vec![revoked]));
    assert_eq!(town.refuses("alice", "task run"), "revoked_key");
    town.verdicts.insert(tag(), signed_by("alice", "another object"));
    assert_eq!(town.refuses("alice", "task run"), "moved_tag");
    town.verdicts.clear();
    town.does("alice", "task run");
}

#[test]
fn removing_and_rebuilding_need_a_reason() {
    let mut town = Town::new();
    town.does("alice", "task new");
    town.does("alice", "task add del libold");
    assert_eq!(
        town.says("alice", "task run").err,
        "windlass: refused: subtask 1 of task 1 removes libold: say why [reason_needed]\n\nhint: task run 1 -m 'REASON'\n"
    );
    town.does("alice", "task run -m 'unused since 2019'");
    assert_eq!(town.state(1), StateName::Awaiting);
}

#[test]
fn an_empty_task_is_not_run_and_a_waiting_one_not_twice() {
    let mut town = Town::new();
    town.does("alice", "task new");
    assert_eq!(town.refuses("alice", "task run"), "empty_task");
    town.does("alice", "task add repo hello 1.0-alt1");
    town.does("alice", "task run");
    assert_eq!(town.refuses("alice", "task run"), "already_scheduled");
}

#[rstest]
#[case("task add 1 repo tool 1.0-alt1")]
#[case("task delsub 1 1")]
#[case("task deps 1 clear")]
#[case("task rm 1")]
#[case("task run 1")]
fn a_running_task_is_neither_changed_nor_removed(#[case] line: &str) {
    let mut town = Town::new();
    town.does("alice", "build hello 1.0-alt1");
    let try_number = town.task(1).tries;
    let base = crate::id::Generation(3);
    town.happens(
        1,
        TaskEvent::BuildStarted {
            try_number,
            iteration: 1,
            base,
        },
    );
    assert_eq!(town.refuses("alice", line), "running");
    town.does("alice", "task abort 1");
    assert_eq!(town.state(1), StateName::Aborted);
}

#[test]
fn what_is_being_committed_cannot_be_stopped() {
    let mut town = Town::new();
    town.does("alice", "build hello 1.0-alt1");
    town.builds(1, Outcome::Passed);
    let generation = crate::id::Generation(8);
    town.happens(
        1,
        TaskEvent::CommitStarted {
            try_number: 1,
            generation,
        },
    );
    assert_eq!(town.refuses("alice", "task abort 1"), "committing");
    assert_eq!(town.refuses("root", "task rm 1"), "running");
}

#[test]
fn what_was_tested_lands_without_a_rebuild() {
    let mut town = Town::new();
    town.does("alice", "build --test-only hello 1.0-alt1");
    town.builds(1, Outcome::Passed);
    assert_eq!(town.state(1), StateName::Tested);
    town.does("alice", "task run 1 --commit");
    assert_eq!(town.state(1), StateName::Pending);
}

#[test]
fn a_postponed_task_never_sleeps_forever() {
    let mut town = Town::new();
    town.does("bob", "build tool 1.0-alt1");
    town.does("alice", "task new");
    town.does("alice", "task add repo hello 1.0-alt1");
    town.does("alice", "task deps add 1");
    town.does("alice", "task run");
    assert_eq!(town.state(2), StateName::Postponed);
    let why = town.says("alice", "task why").out;
    assert!(why.contains("task 1 has to land before it and is awaiting"), "{why}");
    // The other lands, whenever that is: nobody has to wake this one.
    town.builds(1, Outcome::Passed);
    town.lands(1);
    assert_eq!(town.state(2), StateName::Awaiting);
}

#[test]
fn a_task_that_waits_for_a_removed_one_says_so() {
    let mut town = Town::new();
    town.does("bob", "task new");
    town.does("alice", "task new");
    town.does("alice", "task add repo hello 1.0-alt1");
    town.does("alice", "task deps add 1");
    town.does("alice", "task run");
    let removed = town.says("bob", "task rm 1");
    assert_eq!(
        removed.err,
        "task 1 will never land now; waiting for it: 2 (task deps N del 1)\n"
    );
    let why = town.says("alice", "task why").out;
    assert!(
        why.contains("task 1, which has to land before it, was removed and never will\n"),
        "{why}"
    );
    assert!(why.contains("next: task deps 2 del 1\n"), "{why}");
}

#[test]
fn before_its_repository_is_made_a_task_waits_and_says_why() {
    let mut town = Town::new();
    town.world = World::default();
    let answer = town.says("alice", "build hello 1.0-alt1");
    assert!(
        answer
            .err
            .contains("repository sisyphus was not made yet: the task waits until it is\n"),
        "{}",
        answer.err
    );
    let why = town.says("alice", "task why").out;
    assert_eq!(
        why,
        "task 1 is awaiting since 2026-11-21 10:04 (1 min)\n\
         \x20 repository sisyphus was not made yet, so that nothing can run: it keeps its place until it is\n\
         waits for: the administrator\n\
         next: windlass repo init -b sisyphus\n\
         next: task abort 1\n\
         next: task show 1\n"
    );
    let show = town.says("alice", "task show").out;
    assert!(
        show.starts_with("task 1 for sisyphus: awaiting since 2026-11-21 10:04 (2 min)\n"),
        "{show}"
    );
    assert!(show.contains("was not made yet"), "{show}");
}

#[test]
fn waiting_ends_with_the_run_and_the_exit_code_tells_how() {
    let mut town = Town::new();
    town.does("alice", "build hello 1.0-alt1");
    assert_eq!(
        town.does("alice", "task wait 1").reply.wait,
        Some(Wait::End(task_id(1)))
    );
    town.builds(1, Outcome::Passed);
    assert_eq!(
        town.does("alice", "task wait 1").reply.wait,
        Some(Wait::End(task_id(1)))
    );
    town.lands(1);
    let ended = town.does("alice", "task wait 1").reply;
    assert_eq!((ended.wait, ended.exit), (None, 0));
    town.does("alice", "build tool 1.0-alt1");
    town.builds(2, eperm(&[(1, "tool")]));
    assert_eq!(town.does("alice", "task wait 2").reply.exit, 1);
}
