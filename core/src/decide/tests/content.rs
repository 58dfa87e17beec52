//! Making and filling tasks, sharing, dependencies, quotas.

use super::*;

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
fn superusers_stop_and_remove_but_do_not_fill_or_run() {
    let mut town = Town::new();
    town.does("alice", "build hello 1.0-alt1");
    assert_eq!(town.refuses("root", "task add 1 repo tool 1.0-alt1"), "not_shared");
    town.does("root", "task abort 1");
    assert_eq!(town.refuses("root", "task run 1"), "not_owner");
    town.does("root", "task rm 1");
    assert!(matches!(town.task(1).state, State::Removed { .. }));
}
