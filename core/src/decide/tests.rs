//! Commands and pushes in small stories.

use rstest::rstest;

use super::town::{Town, eperm, object, signed_by, task_id};
use super::*;
use crate::event::Taken;
use crate::reply::Wait;
use crate::task::{Failure, Fault, Outcome, Stage, State, StateName, TaskEvent};

#[test]
fn a_task_is_made_filled_and_run() {
    let mut town = Town::new();
    assert_eq!(town.says("alice", "task new").out, "1\n");
    assert_eq!(
        town.says("alice", "task add repo hello 1.0-alt1").out,
        "task 1: subtask 1: build people/alice/packages/hello.git 1.0-alt1\n"
    );
    assert_eq!(town.says("alice", "task run").out, "task 1: awaiting\n");
    town.builds(1, Outcome::Passed);
    assert_eq!(town.state(1), StateName::Pending);
    town.lands(1);
    let again = town.says("alice", "task run 1");
    assert_eq!(
        again.err,
        "windlass: refused: task 1 has landed: it made generation 8 of sisyphus [landed]\n\nhint: what has landed stays; make another task: task new\n"
    );
    assert_eq!(again.exit, 1);
}

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

#[rstest]
#[case::unknown_repository("task new sisypus", "unknown_repository")]
#[case::unknown_task("task add 77 repo hello 1.0-alt1", "no_task")]
#[case::same_tag("task add 1 repo hello 1.0-alt1", "same_tag")]
#[case::same_package_other_tag("task add 1 repo hello 1.1-alt1", "same_package")]
#[case::same_package_removed("task add 1 del hello", "same_package")]
#[case::same_package_in_one_command("task add 1 del old old", "same_package")]
#[case::somebody_elses_tag("task add 1 repo bob/tool 1.0-alt1", "not_yours")]
#[case::copy_from_nowhere("task add 1 copy tool nowhere", "unknown_repository")]
#[case::copy_from_itself("task add 1 copy tool sisyphus", "same_repository")]
#[case::no_such_subtask("task delsub 1 9", "no_subtask")]
#[case::depends_on_itself("task deps 1 add 1", "cycle")]
#[case::depends_on_nothing("task deps 1 add 77", "no_task")]
#[case::not_a_dependency("task deps 1 del 77", "not_a_dependency")]
#[case::nothing_to_stop("task abort 1", "not_scheduled")]
#[case::nothing_to_wait_for("task wait 1", "not_scheduled")]
#[case::own_approval("task approve 1 1 -m mine", "own_subtask")]
#[case::own_approval_of_all("task approve 1 all -m mine", "own_subtask")]
#[case::no_vote("task approve 1 1 --revoke", "no_vote")]
#[case::no_such_vote_target("task disapprove 1 9 -m no", "no_subtask")]
#[case::unknown_request("task show r-0123456789abcdef", "unknown_request")]
#[case::unknown_user("task ls --user=zoe", "unknown_user")]
#[case::at_the_door("init-repo hello", "not_here")]
fn refused(#[case] line: &str, #[case] code: &str) {
    let mut town = Town::new();
    town.does("alice", "task new");
    town.does("alice", "task add repo hello 1.0-alt1");
    let before = town.world.clone();
    assert_eq!(town.refuses("alice", line), code);
    assert_eq!(town.world, before);
}

#[test]
fn an_unknown_repository_is_met_with_a_near_one() {
    let mut town = Town::new();
    let answer = town.says("alice", "task new sisypus");
    assert_eq!(
        answer.err,
        "windlass: refused: there is no repository 'sisypus' [unknown_repository]\n\nhint: did you mean 'sisyphus'?\n"
    );
}

#[test]
fn an_unknown_person_is_met_with_a_near_one() {
    let mut town = Town::new();
    for line in ["acl sisyphus hello add carl", "task ls --user=carl"] {
        let answer = town.says("alice", line);
        assert!(
            answer
                .err
                .ends_with("nobody here is called carl [unknown_user]\n\nhint: did you mean 'carol'?\n"),
            "{}",
            answer.err
        );
    }
}

#[test]
fn a_batch_that_is_refused_adds_nothing() {
    let mut town = Town::new();
    town.does("alice", "task new");
    assert_eq!(town.refuses("alice", "task add 1 del a b c a"), "same_package");
    assert!(town.task(1).subtasks.is_empty());
}

#[test]
fn an_omitted_id_is_the_callers_newest_that_has_not_landed() {
    let mut town = Town::new();
    assert_eq!(town.refuses("alice", "task show"), "no_task");
    town.does("alice", "build hello 1.0-alt1");
    town.does("bob", "task new");
    town.does("alice", "task new");
    assert_eq!(town.does("alice", "task show").reply.task, Some(task_id(3)));
    town.does("alice", "task rm 3");
    assert_eq!(town.does("alice", "task show").reply.task, Some(task_id(1)));
    town.builds(1, Outcome::Passed);
    town.lands(1);
    assert_eq!(town.refuses("alice", "task show"), "no_task");
}

#[test]
fn a_bad_tag_is_refused_with_all_reasons() {
    let mut town = Town::new();
    let reasons = vec![
        Refusal::new("expired_key", "the key AAAA expired on 2026-01-01").hint("windlass keys add"),
        Refusal::new("name_mismatch", "the object names another tag"),
    ];
    let tag = (
        "people/alice/packages/hello.git".parse().unwrap(),
        "1.0-alt1".parse().unwrap(),
    );
    town.verdicts.insert(tag, TagFacts::Refused(reasons));
    assert_eq!(
        town.says("alice", "build hello 1.0-alt1").err,
        "windlass: refused: people/alice/packages/hello.git 1.0-alt1: the key AAAA expired on 2026-01-01; \
         the object names another tag [expired_key]\n\nhint: windlass keys add\n"
    );
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

#[test]
fn a_change_puts_a_task_back_to_new() {
    let mut town = Town::new();
    town.does("alice", "build hello 1.0-alt1");
    town.builds(1, Outcome::Passed);
    assert_eq!(town.state(1), StateName::Pending);
    town.does("alice", "task add 1 repo tool 1.0-alt1");
    assert_eq!(town.state(1), StateName::New);
    town.does("alice", "task run 1");
    town.does("alice", "task delsub 1 2");
    assert_eq!(town.state(1), StateName::New);
    town.does("alice", "task run 1");
    town.does("alice", "task new");
    town.does("alice", "task deps 1 add 2");
    assert_eq!(town.state(1), StateName::New);
    // Sharing changes nothing of what it does.
    town.does("alice", "task run 1");
    town.does("alice", "task share 1");
    assert_eq!(town.state(1), StateName::Postponed);
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
fn others_add_their_tags_to_a_shared_task_and_nothing_else() {
    let mut town = Town::new();
    town.does("alice", "task new");
    assert_eq!(town.refuses("bob", "task add 1 repo tool 1.0-alt1"), "not_shared");
    assert_eq!(town.refuses("bob", "task share 1"), "not_owner");
    town.does("alice", "task share");
    town.does("bob", "task add 1 repo tool 1.0-alt1");
    assert_eq!(town.task(1).subtasks[0].by.as_str(), "bob");
    assert_eq!(town.refuses("bob", "task add 1 repo alice/hello 1.0-alt1"), "not_yours");
    assert_eq!(town.refuses("bob", "task add 1 del libold"), "not_owner");
    assert_eq!(town.refuses("bob", "task run 1"), "not_owner");
    assert_eq!(town.refuses("bob", "task rm 1"), "not_owner");
    assert_eq!(town.refuses("carol", "task delsub 1 1"), "not_owner");
    town.does("bob", "task delsub 1 1");
    assert_eq!(town.says("alice", "task share off").out, "task 1 is not shared\n");
    assert_eq!(
        town.says("alice", "task share off").out,
        "task 1 is already not shared\n"
    );
    assert_eq!(town.refuses("bob", "task add 1 repo tool 1.0-alt1"), "not_shared");
}

#[test]
fn each_subtask_of_a_shared_task_is_judged_by_who_added_it() {
    let mut town = Town::new();
    town.does("root", "acl sisyphus tool replace dave");
    town.does("alice", "task new");
    town.does("alice", "task share");
    town.does("alice", "task add repo hello 1.0-alt1");
    town.does("bob", "task add 1 repo tool 1.0-alt1");
    let task = town.task(1);
    let allowed = |package: &str, subtask: usize| {
        let package = package.parse().unwrap();
        ruling(
            &town.world,
            &town.facts,
            task,
            &task.subtasks[subtask],
            &package,
            Touch::Build,
        )
        .is_allowed()
    };
    assert!(allowed("hello", 0), "alice leads hello");
    assert!(allowed("hello", 1), "bob is on its list too");
    assert!(!allowed("tool", 0) && !allowed("tool", 1), "dave alone may touch tool");
}

#[test]
fn an_approval_that_suffices_lets_it_go_on_without_a_rebuild() {
    let mut town = Town::new();
    town.does("carol", "build hello 1.0-alt1");
    town.builds(1, eperm(&[(1, "hello")]));
    assert_eq!(town.state(1), StateName::Eperm);
    town.does("dave", "task approve 1 1 -m 'looks good'");
    assert_eq!(town.state(1), StateName::Eperm, "dave has no rights");
    town.does("bob", "task disapprove 1 1 -m 'not yet'");
    town.does("alice", "task approve 1 all -m 'agreed'");
    assert_eq!(town.state(1), StateName::Eperm, "somebody with rights is against it");
    let answer = town.says("bob", "task disapprove 1 all --revoke");
    assert_eq!(
        answer.out,
        "task 1: subtask 1 disapproval taken back\ntask 1 is pending\n"
    );
    assert_eq!(town.state(1), StateName::Pending);
    town.lands(1);
    assert_eq!(town.refuses("alice", "task approve 1 all -m 'late'"), "landed");
}

#[test]
fn every_package_denied_has_to_be_allowed() {
    let mut town = Town::new();
    town.does("root", "acl sisyphus tool replace dave");
    town.does("carol", "build hello 1.0-alt1 tool 1.0-alt1");
    town.builds(1, eperm(&[(1, "hello"), (2, "tool")]));
    town.does("alice", "task approve 1 all -m 'mine is fine'");
    assert_eq!(town.state(1), StateName::Eperm);
    town.does("dave", "task approve 1 2 -m 'mine too'");
    assert_eq!(town.state(1), StateName::Pending);
}

#[test]
fn an_approval_does_not_hold_for_a_changed_task() {
    let mut town = Town::new();
    town.does("carol", "build hello 1.0-alt1");
    town.builds(1, eperm(&[(1, "hello")]));
    let digest = town.task(1).digest();
    town.does("carol", "task add 1 repo tool 1.0-alt1");
    assert_eq!(
        town.refuses(
            "alice",
            &format!("task approve 1 all -m ok --digest {}", digest.short())
        ),
        "changed"
    );
    town.does(
        "alice",
        &format!("task approve 1 1 -m ok --digest {}", town.task(1).digest().short()),
    );
    town.does("carol", "task delsub 1 2");
    town.does("carol", "task run 1");
    town.builds(1, eperm(&[(1, "hello")]));
    assert_eq!(town.state(1), StateName::Eperm);
    assert!(!town.says("carol", "task show 1").out.contains("approved"));
}

#[test]
fn required_groups_have_to_approve_too() {
    let mut town = Town::new();
    let sisyphus = "sisyphus".parse().unwrap();
    let groups = ["maint", "tester"].map(|group| group.parse().unwrap());
    town.facts.repositories.get_mut(&sisyphus).unwrap().required_approvals = groups.to_vec();
    town.does("alice", "build hello 1.0-alt1");
    town.builds(1, eperm(&[(1, "hello")]));
    town.does("tom", "task approve 1 1 -m tested");
    assert_eq!(town.state(1), StateName::Eperm);
    assert!(
        town.says("alice", "task why 1")
            .out
            .contains("needs approvals of @maint")
    );
    town.does("maria", "task approve 1 1 -m fine");
    assert_eq!(town.state(1), StateName::Pending);
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
fn dependencies_make_no_circle() {
    let mut town = Town::new();
    for _ in 0..3 {
        town.does("alice", "task new");
    }
    town.does("alice", "task deps 1 add 2");
    town.does("alice", "task deps 2 add 3");
    let answer = town.says("alice", "task deps 3 add 1");
    assert!(
        answer
            .err
            .contains("they would wait for each other (3 -> 1 -> 2 -> 3) [cycle]"),
        "{}",
        answer.err
    );
    town.does("alice", "task deps 2 clear");
    town.does("alice", "task deps 3 add 1");
    assert_eq!(town.says("alice", "task deps 3 show").out, "1  new\n");
    assert_eq!(town.says("alice", "task deps 3 set 2 2").out, "task 3 depends on 2\n");
    assert_eq!(
        town.says("alice", "task deps 3 del 2").out,
        "task 3 depends on no task\n"
    );
}

#[test]
fn one_person_has_so_many_tasks_and_no_more() {
    let mut town = Town::new();
    town.facts.limits.open_tasks_per_user = 2;
    town.does("alice", "task new");
    town.does("alice", "task new");
    assert_eq!(town.refuses("alice", "task new"), "too_many_tasks");
    assert_eq!(town.refuses("alice", "build hello 1.0-alt1"), "too_many_tasks");
    town.does("bob", "task new");
    town.does("alice", "task rm 1");
    town.does("alice", "task new");
}

#[test]
fn a_dry_run_says_what_would_be_and_changes_nothing() {
    let mut town = Town::new();
    let before = town.world.clone();
    let answer = town.says("alice", "build hello 1.0-alt1 --dry-run");
    assert_eq!(
        answer.out,
        "task 1: alice made it, for sisyphus\n\
         task 1: alice added subtask 1: build people/alice/packages/hello.git 1.0-alt1\n\
         task 1: alice asked for try 1: to land\n"
    );
    assert!(answer.err.ends_with("dry run: nothing was changed\n"));
    assert_eq!(town.world, before);
    assert_eq!(
        town.refuses("alice", "task new nowhere --dry-run"),
        "unknown_repository"
    );
}

#[test]
fn without_stages_a_task_waits_and_says_why() {
    let mut town = Town::new();
    town.facts.stages = Stages::NoneConfigured;
    let answer = town.says("alice", "build hello 1.0-alt1");
    assert!(
        answer
            .err
            .contains("no stages are configured: the task waits until there are some\n"),
        "{}",
        answer.err
    );
    let why = town.says("alice", "task why").out;
    assert_eq!(
        why,
        "task 1 is awaiting since 2026-11-21 10:04 (1 min)\n\
         \x20 no stages are configured here, so that nothing can run: it keeps its place until there are some\n\
         waits for: the administrator\n\
         next: task abort 1\n\
         next: task show 1\n"
    );
    let show = town.says("alice", "task show").out;
    assert!(
        show.starts_with("task 1 for sisyphus: awaiting since 2026-11-21 10:04 (2 min)\n"),
        "{show}"
    );
    assert!(show.contains("no stages are configured"), "{show}");
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

#[test]
fn a_log_is_told_from_events_and_followed_to_the_end() {
    let mut town = Town::new();
    town.does("alice", "build hello 1.0-alt1");
    let reply = town.does("alice", "task log --follow").reply;
    assert_eq!(
        reply.render().out,
        "2026-11-21 10:04:00  alice made it, for sisyphus\n\
         2026-11-21 10:04:00  alice added subtask 1: build people/alice/packages/hello.git 1.0-alt1\n\
         2026-11-21 10:04:00  alice asked for try 1: to land\n"
    );
    assert_eq!(
        reply.wait,
        Some(Wait::Log {
            task: task_id(1),
            after: 3
        })
    );
    let failure = Failure {
        stage: Stage::Build,
        subtask: Some(SubtaskNumber(1)),
        arch: Some("x86_64".parse().unwrap()),
        fault: Fault::Package,
        message: "hello.c does not compile".to_owned(),
        log: "logs/1/build.x86_64.log".to_owned(),
    };
    town.builds(1, Outcome::Failed(failure));
    let (view, seen) = log_after(&town.world, task_id(1), 3, LogFilter::default());
    assert_eq!((view.lines.len(), seen), (2, 5));
    let text = "try 1 failed: build on x86_64, subtask 1: hello.c does not compile (the package's fault; log: logs/1/build.x86_64.log)";
    assert_eq!(view.lines[1].text, text);
    let only = town.says("alice", "task log 1 --stage build --arch x86_64").out;
    assert_eq!(only, format!("2026-11-21 10:05:00  {text}\n"));
    assert_eq!(town.says("alice", "task log 1 --stage build --arch aarch64").out, "");
    assert!(has_ended(town.task(1)));
}

#[test]
fn tasks_are_listed_by_state_person_and_repository() {
    let mut town = Town::new();
    town.does("alice", "build hello 1.0-alt1");
    town.does("bob", "task new p11");
    town.does("bob", "task new");
    town.does("bob", "task rm 3");
    assert_eq!(
        town.says("alice", "task ls").out,
        "TASK  STATE     SINCE (UTC)       OWNER  REPOSITORY  WHAT\n\
         2     new       2026-11-21 10:05  bob    p11\n\
         1     awaiting  2026-11-21 10:04  alice  sisyphus    hello=1.0-alt1\n"
    );
    assert!(
        town.says("alice", "task ls --state=removed,done")
            .out
            .contains("3     removed")
    );
    assert!(!town.says("alice", "task ls --user=alice").out.contains("p11"));
    assert!(!town.says("alice", "task ls --repository=p11").out.contains("alice"));
    let none = town.says("alice", "task ls --state=failed");
    assert_eq!((none.out.as_str(), none.err.as_str()), ("", "no tasks\n"));
    assert_eq!(town.says("alice", "task ls --state=failed --json").out, "[]\n");
}

#[test]
fn lists_are_changed_by_their_leaders_and_shown() {
    let mut town = Town::new();
    assert_eq!(
        town.says("alice", "acl sisyphus hello show").out,
        "hello in sisyphus: alice bob\n"
    );
    assert_eq!(
        town.says("alice", "acl sisyphus hello add carol @maint").out,
        "hello in sisyphus: alice bob carol @maint\n"
    );
    assert_eq!(town.refuses("bob", "acl sisyphus hello add dave"), "not_leader");
    assert_eq!(
        town.says("bob", "acl sisyphus hello del bob").out,
        "hello in sisyphus: alice carol @maint\n"
    );
    assert_eq!(
        town.says("alice", "acl sisyphus hello leader @nobody").out,
        "hello in sisyphus: @nobody alice carol @maint\n  an orphan: whoever builds it leads it\n"
    );
    assert_eq!(
        town.says("dave", "acl sisyphus new show").out,
        "new in sisyphus: no list; whoever lands it first leads it\n"
    );
    assert_eq!(
        town.says("dave", "acl p11 new show").out,
        "new in p11: no list; packages without one are closed here\n"
    );
    assert_eq!(town.refuses("dave", "acl nowhere new show"), "unknown_repository");
    let json: serde_json::Value =
        serde_json::from_str(&town.says("dave", "acl sisyphus @tester show --json").out).unwrap();
    assert_eq!(
        json,
        serde_json::json!({
            "repository": "sisyphus", "subject": "@tester", "listed": true, "leader": "tom", "members": ["maria"],
            "open_to_new": false
        })
    );
}

#[test]
fn a_pushed_tag_becomes_a_task() {
    let mut town = Town::new();
    let noted = town.push("alice", "hello", "1.0-alt1", &[]);
    assert_eq!((noted.reply.task, noted.reply.render().out.as_str()), (None, ""));
    let built = town.push("alice", "hello", "1.0-alt1", &["build"]);
    assert_eq!(built.reply.task, Some(task_id(1)));
    assert_eq!(town.state(1), StateName::Awaiting);
    assert_eq!(
        built.reply.render().err,
        "task 1 for sisyphus: subtask 1 builds people/alice/packages/hello.git 1.0-alt1\n"
    );
    // Once more, whoever hands it over: nothing.
    let again = town.push("alice", "hello", "1.0-alt1", &["build"]);
    assert_eq!((again.events.len(), again.reply.task), (0, Some(task_id(1))));
}

#[test]
fn push_options_choose_repository_task_and_end() {
    let mut town = Town::new();
    town.push("alice", "hello", "1.0-alt1", &["build=p11", "test-only"]);
    assert_eq!(town.task(1).repository.as_str(), "p11");
    assert_eq!(town.task(1).state.run().map(|run| run.mode), Some(Mode::TestOnly));
    town.does("alice", "task new");
    town.does("alice", "task share");
    town.push("bob", "tool", "1.0-alt1", &["task=2"]);
    assert_eq!((town.state(2), town.task(2).subtasks.len()), (StateName::New, 1));
    let foreign = town.push("bob", "other", "1.0-alt1", &["task=2", "build"]);
    assert_eq!((town.state(2), town.task(2).subtasks.len()), (StateName::New, 2));
    assert!(
        foreign
            .reply
            .notes
            .iter()
            .any(|note| note.starts_with("not run: task 2 is alice's")),
        "{foreign:?}"
    );
    town.push("alice", "hello", "1.1-alt1", &["task=2", "build"]);
    assert_eq!((town.state(2), town.task(2).subtasks.len()), (StateName::Awaiting, 3));
}

#[rstest]
#[case::not_shared("bob", "tool", &["task=1"], "not_shared")]
#[case::no_task("bob", "tool", &["task=77"], "no_task")]
#[case::other_repository("alice", "tool", &["task=1", "build=p11"], "other_repository")]
#[case::unknown_repository("alice", "tool", &["build=nowhere"], "unknown_repository")]
#[case::same_package("alice", "hello", &["task=1"], "same_package")]
fn a_push_that_makes_no_subtask_is_on_record(
    #[case] user: &str,
    #[case] source: &str,
    #[case] options: &[&str],
    #[case] code: &str,
) {
    let mut town = Town::new();
    town.does("alice", "task new");
    town.does("alice", "task add repo hello 1.0-alt1");
    let decision = town.push(user, source, "1.9-alt1", options);
    assert_eq!(decision.reply.exit, 1);
    let source = SourcePath::resolve(source, &user.parse().unwrap()).unwrap();
    let known = town.world.tag(&source, &"1.9-alt1".parse().unwrap()).unwrap();
    let Taken::Refused { refusals } = &known.taken else {
        panic!("{known:?}");
    };
    assert_eq!(refusals[0].code, code);
    assert_eq!(town.task(1).subtasks.len(), 1);
}

#[test]
fn policy_builds_every_push_but_for_tags_that_are_not_for_building() {
    let mut town = Town::new();
    town.facts.build_every_push = true;
    let source: SourcePath = "people/alice/packages/hello.git".parse().unwrap();
    town.verdicts
        .insert((source.clone(), "v1.0".parse().unwrap()), TagFacts::Other);
    town.push("alice", "hello", "v1.0", &[]);
    assert_eq!(
        town.world.tag(&source, &"v1.0".parse().unwrap()).unwrap().taken,
        Taken::Noted
    );
    town.push("alice", "hello", "1.0-alt1", &[]);
    assert_eq!(town.state(1), StateName::Awaiting);
    let asked = town.push("alice", "hello", "v1.0", &["build"]);
    assert!(asked.reply.notes[0].contains("[not_a_build_tag]"), "{asked:?}");
}

#[test]
fn a_moved_tag_is_not_taken() {
    let mut town = Town::new();
    town.push("alice", "hello", "1.0-alt1", &[]);
    let tag = (
        "people/alice/packages/hello.git".parse().unwrap(),
        "1.0-alt1".parse().unwrap(),
    );
    town.verdicts.insert(tag, signed_by("alice", "moved"));
    assert_ne!(object("moved"), object("hello 1.0-alt1"));
    assert_eq!(town.refuses("alice", "build hello 1.0-alt1"), "moved_tag");
}

#[test]
fn a_programs_tag_may_be_pushed_by_others() {
    let mut town = Town::new();
    let tag = (
        "people/alice/packages/hello.git".parse().unwrap(),
        "1.0-alt1".parse().unwrap(),
    );
    town.verdicts.insert(tag, signed_by("ci", "hello 1.0-alt1"));
    town.push("alice", "hello", "1.0-alt1", &["build"]);
    assert_eq!(town.task(1).subtasks[0].by.as_str(), "alice");
}

#[test]
fn a_program_pushes_what_people_signed_and_they_answer_for_it() {
    let mut town = Town::new();
    town.push("ci", "alice/hello", "1.0-alt1", &["build"]);
    assert_eq!(
        (town.task(1).owner.as_str(), town.task(1).subtasks[0].by.as_str()),
        ("ci", "alice")
    );
    let refused = town.push("bob", "alice/tool", "1.0-alt1", &["build"]);
    assert!(refused.reply.notes[0].contains("[not_yours]"), "{refused:?}");
}

#[test]
fn a_dry_change_of_a_list_says_whom_it_concerns() {
    let mut town = Town::new();
    let answer = town.says("alice", "acl sisyphus hello add carol dave --dry-run");
    assert_eq!(answer.out, "alice put carol, dave on the list of hello in sisyphus\n");
    assert_eq!(
        town.says("alice", "acl sisyphus hello show").out,
        "hello in sisyphus: alice bob\n"
    );
}

#[test]
fn a_task_is_found_by_the_request_that_made_it() {
    let mut town = Town::new();
    let decision = town.does("alice", "build hello 1.0-alt1");
    let request = "r-0123456789abcdef";
    let rendered = decision.reply.render();
    town.record(&[Event::Answered(crate::event::Answered {
        request: request.parse().unwrap(),
        user: "alice".parse().unwrap(),
        words: vec!["build".into()],
        task: decision.reply.task,
        out: rendered.out,
        err: rendered.err,
        exit: rendered.exit,
    })]);
    assert_eq!(
        town.does("bob", &format!("task show {request}")).reply.task,
        Some(task_id(1))
    );
}

#[test]
fn every_state_is_explained_with_a_next_step() {
    let mut town = Town::new();
    let lines = |town: &mut Town| town.says("alice", "task why 1").out;
    town.does("alice", "task new");
    assert!(lines(&mut town).contains("it has no subtasks yet\nwaits for: alice\nnext: task add 1 repo SOURCE TAG\n"));
    town.does("alice", "task add repo hello 1.0-alt1");
    assert!(lines(&mut town).contains("nobody has run it yet\nwaits for: alice\nnext: task run 1\n"));
    town.does("alice", "task run");
    assert!(lines(&mut town).contains("it waits for its turn\n"));
    let base = crate::id::Generation(3);
    town.happens(
        1,
        TaskEvent::BuildStarted {
            try_number: 1,
            iteration: 1,
            base,
        },
    );
    town.happens(
        1,
        TaskEvent::StageStarted {
            try_number: 1,
            stage: Stage::Build,
            arch: Some("x86_64".parse().unwrap()),
        },
    );
    assert!(lines(&mut town).contains("its stages run on generation 3 (iteration 1), at build on x86_64\n"));
    town.happens(
        1,
        TaskEvent::RunEnded {
            try_number: 1,
            outcome: eperm(&[(1, "other")]),
            not_before: None,
        },
    );
    town.does("root", "acl sisyphus other replace dave @maint");
    assert_eq!(
        lines(&mut town),
        "task 1 is eperm since 2026-11-21 10:10 (2 min)\n\
         \x20 all other checks passed\n\
         \x20 alice may not touch other (subtask 1): it needs an approval of somebody who may\n\
         waits for: @maint, dave\n\
         next: acl sisyphus other show\n\
         next: task approve 1 1 -m 'REASON' (by one of those it waits for)\n\
         next: task show 1\n"
    );
    town.does("root", "acl sisyphus other add alice");
    assert!(lines(&mut town).contains("the access lists allow it by now: run it again\n"));
    town.does("alice", "task run 1");
    town.builds(1, Outcome::Passed);
    assert!(lines(&mut town).contains("all checks passed; it waits for its commit\n"));
    town.lands(1);
    assert!(lines(&mut town).contains("it has landed: it made generation 8 of sisyphus\n"));
}

#[test]
fn json_says_what_the_text_says() {
    let mut town = Town::new();
    town.does("carol", "build hello 1.0-alt1");
    town.builds(1, eperm(&[(1, "hello")]));
    town.does("dave", "task approve 1 1 -m 'fine'");
    let json =
        |town: &mut Town, line: &str| serde_json::from_str::<serde_json::Value>(&town.says("carol", line).out).unwrap();
    let show = json(&mut town, "task show 1 --json");
    assert_eq!(show["state"], "eperm");
    assert_eq!(show["phase"], "ret");
    assert_eq!(show["subtasks"][0]["action"], "build");
    assert_eq!(show["subtasks"][0]["tag"], "1.0-alt1");
    assert_eq!(show["subtasks"][0]["votes"][0]["by"], "dave");
    assert_eq!(show["result"]["stage"], "check-acl");
    assert_eq!(show["result"]["fault"], "policy");
    assert_eq!(show["result"]["subtask"], 1);
    assert_eq!(show["run"]["try"], 1);
    assert_eq!(
        json(&mut town, "task why 1 --json")["waits_on"],
        serde_json::json!(["alice", "bob"])
    );
    assert_eq!(json(&mut town, "task new --json"), serde_json::json!({"task": 2}));
    let refused = json(&mut town, "task run 2 --json");
    assert_eq!(refused["refused"]["code"], "empty_task");
}

#[test]
fn superusers_stop_and_remove_but_do_not_fill_or_run() {
    let mut town = Town::new();
    town.does("alice", "build hello 1.0-alt1");
    assert_eq!(town.refuses("root", "task add 1 repo tool 1.0-alt1"), "not_shared");
    town.does("root", "task abort 1");
    assert_eq!(town.refuses("root", "task run 1"), "not_owner");
    town.does("root", "task rm 1");
    assert!(matches!(town.task(1).state, State::Removed { .. }));
}

/// The names in each JSON form: programs hold on to them. One may be added, none goes.
#[test]
fn json_forms_keep_their_names() {
    let mut town = Town::new();
    town.does("carol", "build hello 1.0-alt1");
    town.builds(1, eperm(&[(1, "hello")]));
    town.does("dave", "task approve 1 1 -m fine");
    town.does("carol", "task new");
    town.does("carol", "task deps 2 add 1");
    let mut names = |line: &str, path: &str| {
        let value: serde_json::Value = serde_json::from_str(&town.says("carol", line).out).unwrap();
        let object = value.pointer(path).and_then(serde_json::Value::as_object);
        let mut names: Vec<String> = object
            .unwrap_or_else(|| panic!("{line}: {value}"))
            .keys()
            .cloned()
            .collect();
        names.sort();
        names.join(" ")
    };
    for (line, path, expected) in [
        (
            "task show 1 --json",
            "",
            "because created deps digest owner phase repository result run shared since state subtasks task",
        ),
        ("task show 1 --json", "/run", "at by mode on_failure try"),
        (
            "task show 1 --json",
            "/result",
            "arch denied fault generation log message outcome stage subtask",
        ),
        ("task show 1 --json", "/result/denied/0", "package subtask touch"),
        (
            "task show 1 --json",
            "/subtasks/0",
            "action at by commit number object package signer source tag votes",
        ),
        ("task show 1 --json", "/subtasks/0/votes/0", "at by kind reason"),
        ("task show 2 --json", "/deps/0", "state task"),
        ("task deps 2 show --json", "", "deps task"),
        (
            "task ls --json",
            "/0",
            "owner phase repository shared since state subtasks task",
        ),
        (
            "task why 1 --json",
            "",
            "because for_seconds next phase since state task waits_for waits_on",
        ),
        ("task log 1 --json", "", "lines task"),
        ("task log 1 --json", "/lines/0", "at text"),
        ("task log 1 --stage check-acl --json", "/lines/0", "at stage text"),
        ("task share 2 --json", "", "done task"),
        ("task new --dry-run --json", "", "would"),
        ("task new --json", "", "task"),
        (
            "acl sisyphus hello show --json",
            "",
            "leader listed members open_to_new repository subject",
        ),
        ("task run 2 --json", "/refused", "code hint message"),
    ] {
        assert_eq!(names(line, path), expected, "{line} {path}");
    }
}
