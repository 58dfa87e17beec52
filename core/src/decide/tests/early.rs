//! What is refused before a build: versions that would never be taken.

use std::collections::BTreeMap;

use super::*;
use crate::id::Generation;
use crate::repository::record::{Cause, RepositoryEvent, Shipped};

/// hello, of which 1.0-alt1 and 1.2-alt1 were in the repository.
fn with_history() -> Town {
    let mut town = Town::new();
    let came = ["1.0-alt1", "1.2-alt1"].map(|evr| Shipped {
        name: "hello".to_owned(),
        evr: evr.to_owned(),
        tag: Some(object(&format!("hello {evr}"))),
        binaries: BTreeMap::new(),
    });
    town.record(&[Event::Repository {
        repository: "sisyphus".parse().unwrap(),
        event: RepositoryEvent::Moved {
            generation: Generation(1),
            cause: Cause::Task { task: task_id(90) },
            seal: "0".repeat(64),
            came: came.to_vec(),
            went: Vec::new(),
        },
    }]);
    town
}

/// What the tag's spec certainly says.
fn saying(tag: &str, package: Option<&str>, evr: Option<&str>) -> TagFacts {
    match signed_by("alice", tag) {
        TagFacts::Good(good) => TagFacts::Good(GoodTag {
            package: package.map(|name| name.parse().unwrap()),
            evr: evr.map(|evr| evr.parse().unwrap()),
            ..good
        }),
        other @ (TagFacts::Refused(_) | TagFacts::Other) => other,
    }
}

#[rstest]
#[case::lower(Some("1.1-alt1"), Some("version_below_history"))]
#[case::the_same_from_another_tag(Some("1.2-alt1"), Some("version_taken"))]
#[case::the_same_file_name(Some("2:1.2-alt1"), Some("file_name_taken"))]
#[case::higher(Some("1.10-alt1"), None)]
#[case::not_known_before_the_build(None, None)]
fn a_version_that_cannot_come_is_refused_before_a_build(#[case] evr: Option<&str>, #[case] code: Option<&str>) {
    let mut town = with_history();
    let tag = (
        "people/alice/packages/greeter.git".parse().unwrap(),
        "v9".parse().unwrap(),
    );
    // The spec says whose history counts, not the name of the source repository.
    town.verdicts.insert(tag, saying("greeter v9", Some("hello"), evr));
    town.does("alice", "task new");
    if let Some(code) = code {
        assert_eq!(town.refuses("alice", "task add repo greeter v9"), code);
    } else {
        town.does("alice", "task add repo greeter v9");
        assert_eq!(town.task(1).subtasks[0].action.package().as_str(), "hello");
    }
}

#[test]
fn a_version_that_somebody_else_landed_meanwhile_is_refused_at_the_run() {
    let mut town = with_history();
    let tag = (
        "people/alice/packages/hello.git".parse().unwrap(),
        "1.3-alt1".parse().unwrap(),
    );
    town.verdicts
        .insert(tag, saying("hello 1.3-alt1", None, Some("1.3-alt1")));
    town.does("alice", "task new");
    town.does("alice", "task add repo hello 1.3-alt1");
    town.record(&[Event::Repository {
        repository: "sisyphus".parse().unwrap(),
        event: RepositoryEvent::Moved {
            generation: Generation(2),
            cause: Cause::Task { task: task_id(91) },
            seal: "1".repeat(64),
            came: vec![Shipped {
                name: "hello".to_owned(),
                evr: "1.4-alt1".to_owned(),
                tag: Some(object("another")),
                binaries: BTreeMap::new(),
            }],
            went: Vec::new(),
        },
    }]);
    assert_eq!(
        town.says("alice", "task run").err,
        "windlass: refused: subtask 1: source package hello: 1.3-alt1 is lower than 1.4-alt1, which was in the repository \
         [version_below_history]\n\nhint: raise the version above 1.4; if the lower one is meant, say 'Epoch: 1' in the spec\n"
    );
}
