//! Laws of the state machine and of the aggregate.

use proptest::prelude::*;
use rstest::rstest;

use super::strategies::{action, event, events};
use super::*;
use crate::id::Generation;

fn now() -> Timestamp {
    "2026-11-21T10:00:00Z".parse().unwrap()
}

fn task() -> Task {
    Task::new(
        TaskId::FIRST,
        "sisyphus".parse().unwrap(),
        "alice".parse().unwrap(),
        now(),
    )
}

fn run(mode: Mode) -> Run {
    Run {
        try_number: 1,
        by: "alice".parse().unwrap(),
        at: now(),
        mode,
        on_failure: OnFailure::Early,
        reason: None,
    }
}

/// Applies events so that more of them fit: votes are bound to what is there, runs and commits are the current ones.
fn apply_fitted(task: &mut Task, events: &[TaskEvent]) {
    for event in events {
        let mut event = event.clone();
        let current = task.state.run().map_or(task.tries + 1, |run| run.try_number);
        match &mut event {
            TaskEvent::Voted { kind, subtask, of, .. } => {
                if let Some(subtask) = task.subtask(*subtask) {
                    *of = task.bound(*kind, subtask);
                }
            }
            TaskEvent::RunAsked { run } => run.try_number = task.tries + 1,
            TaskEvent::BuildStarted { try_number, .. }
            | TaskEvent::StageStarted { try_number, .. }
            | TaskEvent::StageFinished { try_number, .. }
            | TaskEvent::Archived { try_number, .. }
            | TaskEvent::Built { try_number, .. }
            | TaskEvent::Planned { try_number, .. }
            | TaskEvent::Noted { try_number, .. }
            | TaskEvent::SubtaskFailed { try_number, .. }
            | TaskEvent::Overtaken { try_number, .. }
            | TaskEvent::RunEnded { try_number, .. }
            | TaskEvent::CommitStarted { try_number, .. }
            | TaskEvent::CommitFailed { try_number, .. } => *try_number = current,
            TaskEvent::Landed { try_number, generation } => {
                *try_number = current;
                if let State::Committing { generation: to_be, .. } = &task.state {
                    *generation = *to_be;
                }
            }
            TaskEvent::SubtaskAdded { number, action, .. } => {
                if task.subtasks.iter().any(|subtask| subtask.action == *action) {
                    continue;
                }
                *number = task.next_subtask;
            }
            TaskEvent::Created { .. }
            | TaskEvent::SubtaskRemoved { .. }
            | TaskEvent::Shared { .. }
            | TaskEvent::DepsChanged { .. }
            | TaskEvent::VoteRevoked { .. }
            | TaskEvent::Permitted
            | TaskEvent::Aborted { .. }
            | TaskEvent::Removed { .. } => {}
        }
        task.apply(&event, now());
    }
}

/// Every edge of the state graph: where a task may come to be in one step.
fn goes_to(from: StateName) -> &'static [StateName] {
    use StateName as S;
    match from {
        S::New => &[S::Awaiting, S::Removed],
        S::Awaiting => &[S::New, S::Building, S::Aborted, S::Removed],
        S::Building => &[S::Awaiting, S::Tested, S::Failed, S::Eperm, S::Pending, S::Aborted],
        S::Tested => &[S::New, S::Awaiting, S::Pending, S::Removed],
        S::Failed | S::Aborted => &[S::New, S::Awaiting, S::Removed],
        S::Eperm => &[S::New, S::Awaiting, S::Tested, S::Pending, S::Removed],
        S::Pending => &[
            S::New,
            S::Building,
            S::Committing,
            S::Failed,
            S::Eperm,
            S::Aborted,
            S::Removed,
        ],
        S::Committing => &[S::Pending, S::Done],
        S::Postponed | S::Done | S::Removed => &[],
    }
}

proptest! {
    #[test]
    fn a_task_stays_in_its_state_graph(events in events()) {
        let mut task = task();
        for event in &events {
            let before = task.state.name();
            let (state, _) = step(&task.state, event, now());
            task.apply(event, now());
            prop_assert!(state == task.state || event.changes_content(), "apply and step agree");
            let after = task.state.name();
            prop_assert!(after == before || goes_to(before).contains(&after), "{before} -> {after} by {event:?}");
        }
    }

    #[test]
    fn what_has_landed_or_is_removed_never_changes(events in events(), more in events()) {
        let mut task = task();
        apply_fitted(&mut task, &events);
        if task.state.is_final() {
            let before = task.clone();
            for event in &more {
                prop_assert_eq!(task.apply(event, now()), Vec::new());
            }
            prop_assert_eq!(task, before);
        }
    }

    #[test]
    fn what_runs_is_what_was_started(events in events()) {
        let mut task = task();
        for event in &events {
            let before = task.clone();
            task.apply(event, now());
            if before.state.is_running() {
                prop_assert_eq!(before.digest(), task.digest());
            }
        }
    }

    #[test]
    fn approvals_never_survive_a_change(events in events(), change in event()) {
        let mut task = task();
        apply_fitted(&mut task, &events);
        let digest = task.digest();
        task.apply(&change, now());
        if task.digest() != digest {
            for subtask in &task.subtasks {
                prop_assert!(task.votes_on(subtask).all(|vote| vote.kind == VoteKind::Disapprove));
            }
        }
    }

    #[test]
    fn no_two_contents_of_a_task_have_one_digest(events in events()) {
        let mut task = task();
        let mut seen = BTreeSet::from([task.digest()]);
        for event in &events {
            let before = task.version;
            task.apply(event, now());
            prop_assert_eq!(task.version != before, seen.insert(task.digest()), "a new version has a new digest");
        }
    }

    #[test]
    fn a_vote_of_something_else_does_not_hold(events in events(), action in action()) {
        let mut task = task();
        apply_fitted(&mut task, &events);
        for subtask in &task.subtasks {
            for vote in task.votes_on(subtask) {
                let bound = task.bound(vote.kind, subtask);
                prop_assert_eq!(&vote.of, &bound);
            }
            let other = Subtask { action: action.clone(), ..subtask.clone() };
            if other.action != subtask.action {
                let both = |vote: &CastVote| task.holds(vote, subtask) && task.holds(vote, &other);
                let against = |vote: &&CastVote| vote.kind == VoteKind::Disapprove;
                prop_assert!(!task.votes.iter().filter(against).any(both));
            }
        }
    }

    #[test]
    fn one_person_has_one_vote_on_a_subtask(events in events()) {
        let mut task = task();
        apply_fitted(&mut task, &events);
        for subtask in &task.subtasks {
            let by: Vec<&UserName> = task.votes_on(subtask).map(|vote| &vote.by).collect();
            prop_assert_eq!(by.len(), by.iter().collect::<BTreeSet<_>>().len());
        }
    }

    #[test]
    fn events_survive_the_journal(event in event()) {
        let text = serde_json::to_string(&event).unwrap();
        prop_assert_eq!(serde_json::from_str::<TaskEvent>(&text).unwrap(), event);
    }

    #[test]
    fn an_end_is_told_and_nothing_else_is(events in events()) {
        let mut task = task();
        for event in &events {
            let before = task.state.name();
            let effects = task.apply(event, now());
            let ended = before != task.state.name()
                && matches!(task.state.name().phase(), Phase::Ret)
                && !matches!(task.state, State::Removed { .. });
            let told = effects.contains(&Effect::TellResult);
            prop_assert_eq!(told, ended, "{} -> {} by {:?}", before, task.state.name(), event);
        }
    }
}

/// Walks a task through events and says where it comes to.
fn walk(events: &[TaskEvent]) -> Task {
    let mut task = task();
    for event in events {
        task.apply(event, now());
    }
    task
}

fn asked(mode: Mode) -> TaskEvent {
    TaskEvent::RunAsked { run: run(mode) }
}

fn started() -> TaskEvent {
    TaskEvent::BuildStarted {
        try_number: 1,
        iteration: 1,
        base: Generation(4),
    }
}

fn ended(outcome: Outcome) -> TaskEvent {
    TaskEvent::RunEnded {
        try_number: 1,
        outcome,
        not_before: None,
    }
}

fn failure(fault: Fault) -> Outcome {
    Outcome::Failed(Failure {
        stage: Stage::Build,
        subtask: Some(SubtaskNumber(1)),
        arch: Some("x86_64".parse().unwrap()),
        fault,
        message: "no space left".to_owned(),
        log: "logs/1/1".to_owned(),
        code: None,
        hint: None,
    })
}

#[rstest]
#[case(vec![], StateName::New)]
#[case(vec![asked(Mode::Commit)], StateName::Awaiting)]
#[case(vec![asked(Mode::Commit), started()], StateName::Building)]
#[case(vec![asked(Mode::Commit), started(), ended(Outcome::Passed)], StateName::Pending)]
#[case(vec![asked(Mode::TestOnly), started(), ended(Outcome::Passed)], StateName::Tested)]
#[case::tested_is_not_built_again(
    vec![asked(Mode::TestOnly), started(), ended(Outcome::Passed), asked(Mode::Commit)], StateName::Pending)]
#[case(vec![asked(Mode::Commit), started(), ended(failure(Fault::Package))], StateName::Failed)]
#[case(vec![asked(Mode::Commit), started(), ended(failure(Fault::Policy))], StateName::Failed)]
#[case::infrastructure_is_no_failure(
    vec![asked(Mode::Commit), started(), ended(failure(Fault::Infrastructure))], StateName::Awaiting)]
#[case(vec![asked(Mode::Commit), started(), ended(Outcome::Eperm { denied: vec![] })], StateName::Eperm)]
#[case::votes_suffice(
    vec![asked(Mode::Commit), started(), ended(Outcome::Eperm { denied: vec![] }), TaskEvent::Permitted], StateName::Pending)]
#[case::votes_suffice_for_a_test(
    vec![asked(Mode::TestOnly), started(), ended(Outcome::Eperm { denied: vec![] }), TaskEvent::Permitted], StateName::Tested)]
#[case::not_yet_started(vec![started()], StateName::New)]
#[case::a_late_message_of_a_stopped_run(
    vec![asked(Mode::Commit), started(), TaskEvent::Aborted { by: "alice".parse().unwrap() }, ended(Outcome::Passed)],
    StateName::Aborted)]
#[case::nothing_to_permit(vec![asked(Mode::Commit), TaskEvent::Permitted], StateName::Awaiting)]
fn walks(#[case] events: Vec<TaskEvent>, #[case] expected: StateName) {
    assert_eq!(walk(&events).state.name(), expected);
}

#[test]
fn a_task_keeps_its_place_when_the_infrastructure_fails() {
    let task = walk(&[asked(Mode::Commit), started(), ended(failure(Fault::Infrastructure))]);
    let State::Awaiting {
        run: kept,
        trouble,
        iteration,
        ..
    } = &task.state
    else {
        panic!("{:?}", task.state);
    };
    assert_eq!((kept, *iteration), (&run(Mode::Commit), 1));
    assert_eq!(
        trouble.as_ref().map(|failure| failure.message.as_str()),
        Some("no space left")
    );
}

#[test]
fn it_lands_only_as_the_generation_that_was_begun() {
    let commit = |generation| TaskEvent::CommitStarted {
        try_number: 1,
        generation: Generation(generation),
    };
    let landed = |generation| TaskEvent::Landed {
        try_number: 1,
        generation: Generation(generation),
    };
    let begun = [asked(Mode::Commit), started(), ended(Outcome::Passed), commit(5)];
    let mut task = walk(&begun);
    task.apply(&landed(6), now());
    assert_eq!(task.state.name(), StateName::Committing);
    let effects = task.apply(&landed(5), now());
    assert_eq!(task.state.name(), StateName::Done);
    assert_eq!(effects, [Effect::TellResult, Effect::LookAtDependents]);
}

#[test]
fn a_disapproval_comes_back_with_what_it_was_about() {
    let action = |tag: &str| Action::Build {
        source: "people/alice/packages/hello.git".parse().unwrap(),
        tag: tag.parse().unwrap(),
        object: "1".repeat(40).parse().unwrap(),
        commit: "2".repeat(40).parse().unwrap(),
        signer: SignedBy {
            owner: "alice".parse().unwrap(),
            fingerprint: "A".repeat(40).parse().unwrap(),
        },
        package: "hello".parse().unwrap(),
    };
    let alice: UserName = "alice".parse().unwrap();
    let add = |number, tag: &str| TaskEvent::SubtaskAdded {
        number: SubtaskNumber(number),
        by: alice.clone(),
        action: action(tag),
    };
    let remove = |number| TaskEvent::SubtaskRemoved {
        number: SubtaskNumber(number),
        by: alice.clone(),
    };
    let mut task = walk(&[add(1, "1.0-alt1")]);
    task.apply(
        &TaskEvent::Voted {
            kind: VoteKind::Disapprove,
            subtask: SubtaskNumber(1),
            of: Digest::of_action(&action("1.0-alt1")),
            by: "bob".parse().unwrap(),
            reason: "it breaks libfoo".parse().unwrap(),
        },
        now(),
    );
    let against = |task: &Task| task.subtasks.iter().flat_map(|subtask| task.votes_on(subtask)).count();
    assert_eq!(against(&task), 1);
    for (event, expected) in [
        (remove(1), 0),
        (add(2, "1.0-alt1"), 1),
        (remove(2), 0),
        (add(3, "1.1-alt1"), 0),
    ] {
        task.apply(&event, now());
        assert_eq!(against(&task), expected, "{event:?}");
    }
}

/// The laws above say something only if the arbitrary events reach the states that they are about.
#[test]
fn arbitrary_events_reach_every_state() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut seen = BTreeSet::new();
    let mut approvals = 0;
    for _ in 0..300 {
        let events = events().new_tree(&mut runner).unwrap().current();
        let mut task = task();
        for event in &events {
            apply_fitted(&mut task, std::slice::from_ref(event));
            seen.insert(task.state.name());
        }
        approvals += task.subtasks.iter().flat_map(|subtask| task.votes_on(subtask)).count();
    }
    let never: Vec<&StateName> = StateName::ALL.iter().filter(|name| !seen.contains(name)).collect();
    assert_eq!(never, [&StateName::Postponed], "postponed is derived");
    assert!(approvals > 20, "{approvals}");
}
