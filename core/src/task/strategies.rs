//! Arbitrary events of a task, sensible or not, for laws.

use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::access::Touch;
use crate::id::Generation;

fn user() -> BoxedStrategy<UserName> {
    select(vec!["alice", "bob", "carol"])
        .prop_map(|name| name.parse().unwrap())
        .boxed()
}

fn number() -> BoxedStrategy<SubtaskNumber> {
    (1..4u32).prop_map(SubtaskNumber).boxed()
}

fn reason() -> Reason {
    "because".parse().unwrap()
}

/// Any action; packages, tags and objects are few, so that they meet.
pub(crate) fn action() -> BoxedStrategy<Action> {
    let package = || select(vec!["hello", "libfoo"]).prop_map(|name| name.parse().unwrap());
    prop_oneof![
        (package(), 0..3u8).prop_map(|(package, n): (crate::id::PackageName, u8)| Action::Build {
            source: format!("people/alice/packages/{package}.git").parse().unwrap(),
            tag: format!("1.{n}-alt1").parse().unwrap(),
            object: format!("{n:040}").parse().unwrap(),
            commit: format!("{n:040}").parse().unwrap(),
            signer: SignedBy {
                owner: "alice".parse().unwrap(),
                fingerprint: "A".repeat(40).parse().unwrap(),
            },
            package,
        }),
        package().prop_map(|package| Action::Remove { package }),
        package().prop_map(|package| Action::Rebuild { package }),
        package().prop_map(|package| Action::Copy {
            package,
            from: "p11".parse().unwrap()
        }),
    ]
    .boxed()
}

fn run() -> BoxedStrategy<Run> {
    let mode = prop_oneof![3 => Just(Mode::Commit), 1 => Just(Mode::TestOnly)];
    let on_failure = prop_oneof![Just(OnFailure::Early), Just(OnFailure::Late)];
    (1..3u32, user(), mode, on_failure)
        .prop_map(|(try_number, by, mode, on_failure)| Run {
            try_number,
            by,
            at: Timestamp::UNIX_EPOCH,
            mode,
            on_failure,
            reason: None,
        })
        .boxed()
}

fn failure() -> BoxedStrategy<Failure> {
    let fault = prop_oneof![Just(Fault::Package), Just(Fault::Policy), Just(Fault::Infrastructure)];
    let code = option::of(Just("broken".to_owned()));
    (select(Stage::ALL), option::of(number()), fault, code)
        .prop_map(|(stage, subtask, fault, code)| Failure {
            stage,
            subtask,
            arch: None,
            fault,
            message: "it broke".to_owned(),
            log: "logs/1".to_owned(),
            hint: code.clone(),
            code,
        })
        .boxed()
}

/// What stages find.
fn found() -> BoxedStrategy<TaskEvent> {
    let try_number = || 1..3u32;
    let archive = option::of(Just("1.0-alt1".to_owned())).prop_map(|evr| Archive {
        sha256: "0".repeat(64),
        package: Some("hello".to_owned()),
        evr,
    });
    let outcome = any::<bool>().prop_map(|reused| {
        if reused {
            let why = "ExclusiveArch: x86_64".to_owned();
            return ArchOutcome::Excluded { why };
        }
        ArchOutcome::Built {
            key: "0".repeat(64),
            reused,
            packages: vec!["hello-1.0-alt1.src".to_owned()],
            log: "1/1.1/1/x86_64/log".to_owned(),
            ms: 7,
        }
    });
    let plan = (number(), option::of(Just("1.0-alt1".to_owned()))).prop_map(|(subtask, after)| PlanSummary {
        changes: vec![PlannedChange {
            subtask,
            package: "hello".to_owned(),
            before: None,
            after,
        }],
        counts: [("source".to_owned(), Counts { added: 1, removed: 0 })].into(),
        warnings: Vec::new(),
    });
    let note = (select(Stage::ALL), option::of(number())).prop_map(|(stage, subtask)| Note {
        stage,
        subtask,
        arch: None,
        text: "look here".to_owned(),
    });
    prop_oneof![
        (try_number(), number(), archive).prop_map(|(try_number, subtask, archive)| TaskEvent::Archived {
            try_number,
            subtask,
            archive
        }),
        (try_number(), number(), outcome).prop_map(|(try_number, subtask, outcome)| TaskEvent::Built {
            try_number,
            subtask,
            arch: "x86_64".parse().unwrap(),
            outcome
        }),
        (try_number(), plan).prop_map(|(try_number, plan)| TaskEvent::Planned { try_number, plan }),
        (try_number(), note).prop_map(|(try_number, note)| TaskEvent::Noted { try_number, note }),
        (try_number(), failure()).prop_map(|(try_number, failure)| TaskEvent::SubtaskFailed { try_number, failure }),
    ]
    .boxed()
}

fn outcome() -> BoxedStrategy<Outcome> {
    let failure = failure().prop_map(Outcome::Failed);
    let denied = number().prop_map(|subtask| Outcome::Eperm {
        denied: vec![Denied {
            subtask,
            package: "hello".parse().unwrap(),
            touch: Touch::Build,
        }],
    });
    prop_oneof![2 => Just(Outcome::Passed), 2 => failure, 2 => denied].boxed()
}

/// Any event, whether or not it fits.
pub(crate) fn event() -> BoxedStrategy<TaskEvent> {
    let try_number = || 1..3u32;
    let kind = || prop_oneof![Just(VoteKind::Approve), Just(VoteKind::Disapprove)];
    let generation = || (1..3u64).prop_map(Generation);
    let deps = btree_set((1..4u64).prop_map(|id| id.to_string().parse::<TaskId>().unwrap()), 0..2);
    let of = action().prop_map(|action| Digest::of_action(&action));
    prop_oneof![
        4 => (number(), user(), action()).prop_map(|(number, by, action)| TaskEvent::SubtaskAdded { number, by, action }),
        1 => (number(), user()).prop_map(|(number, by)| TaskEvent::SubtaskRemoved { number, by }),
        1 => (any::<bool>(), user()).prop_map(|(on, by)| TaskEvent::Shared { on, by }),
        1 => (deps, user()).prop_map(|(deps, by)| TaskEvent::DepsChanged { deps, by }),
        8 => (kind(), number(), of, user()).prop_map(|(kind, subtask, of, by)| TaskEvent::Voted {
            kind,
            subtask,
            of,
            by,
            reason: reason()
        }),
        1 => (kind(), number(), user()).prop_map(|(kind, subtask, by)| TaskEvent::VoteRevoked { kind, subtask, by }),
        4 => run().prop_map(|run| TaskEvent::RunAsked { run }),
        1 => Just(TaskEvent::Permitted),
        1 => user().prop_map(|by| TaskEvent::Aborted { by }),
        1 => user().prop_map(|by| TaskEvent::Removed { by }),
        4 => (try_number(), generation()).prop_map(|(try_number, base)| TaskEvent::BuildStarted {
            try_number,
            iteration: 1,
            base
        }),
        1 => (try_number(), select(Stage::ALL)).prop_map(|(try_number, stage)| TaskEvent::StageStarted {
            try_number,
            stage,
            arch: None
        }),
        1 => (try_number(), select(Stage::ALL)).prop_map(|(try_number, stage)| TaskEvent::StageFinished {
            try_number,
            stage,
            arch: None,
            ms: Some(3)
        }),
        3 => found(),
        2 => (try_number(), failure()).prop_map(|(try_number, failure)| TaskEvent::Overtaken { try_number, failure }),
        4 => (try_number(), outcome()).prop_map(|(try_number, outcome)| TaskEvent::RunEnded {
            try_number,
            outcome,
            not_before: None
        }),
        4 => (try_number(), generation())
            .prop_map(|(try_number, generation)| TaskEvent::CommitStarted { try_number, generation }),
        1 => try_number().prop_map(|try_number| TaskEvent::CommitFailed {
            try_number,
            message: "disk full".to_owned(),
            not_before: None
        }),
        4 => (try_number(), generation()).prop_map(|(try_number, generation)| TaskEvent::Landed { try_number, generation }),
    ]
    .boxed()
}

/// Many events.
pub(crate) fn events() -> BoxedStrategy<Vec<TaskEvent>> {
    vec(event(), 0..60).boxed()
}
