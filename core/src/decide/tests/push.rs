//! Pushed tags.

use super::*;

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
fn a_push_after_the_same_build_is_that_task() {
    let mut town = Town::new();
    town.does("alice", "build hello 1.0-alt1");
    let pushed = town.push("alice", "hello", "1.0-alt1", &["build"]);
    assert_eq!((pushed.reply.task, pushed.events.len()), (Some(task_id(1)), 1));
    assert_eq!(pushed.reply.notes, ["already task 1, awaiting"]);
    town.push("alice", "tool", "1.0-alt1", &["build"]);
    assert_eq!(
        town.says("alice", "build tool 1.0-alt1").err,
        "already task 2, awaiting\n"
    );
}
