use proptest::prelude::*;

use super::*;
use crate::repository::bringing::{Built, arch, built, excluded, header, removal};
use crate::repository::tests::package;
use crate::rpm::header::TagDigest;

fn codes(problems: &[Problem]) -> Vec<&str> {
    problems.iter().map(|problem| &*problem.code).collect()
}

fn told(brought: &[Brought]) -> Vec<String> {
    agree(brought).problems.iter().map(ToString::to_string).collect()
}

fn hello() -> Built {
    built(1, "hello-1.0-alt1")
        .on("i586", &["hello-1.0-alt1.i586", "hello-data-1.0-alt1.noarch"])
        .on("x86_64", &["hello-1.0-alt1.x86_64", "hello-data-1.0-alt1.noarch"])
}

#[test]
fn what_agrees_is_good() {
    let other = built(2, "other-1.0-alt1").on("x86_64", &["other-1.0-alt1.x86_64"]);
    let agreement = agree(&[hello().done(), excluded(other, "i586").done(), removal(3, "old")]);
    assert_eq!(agreement, Agreement::default());
    assert!(agreement.is_good());
}

#[test]
fn two_sources_give_one_name_where_each_architecture_alone_looks_fine() {
    let a = built(1, "a-1.0-alt1")
        .on("i586", &["a-1.0-alt1.i586", "tool-1.0-alt1.i586"])
        .on("x86_64", &["a-1.0-alt1.x86_64"]);
    let b = built(2, "b-2.0-alt1")
        .on("i586", &["b-2.0-alt1.i586"])
        .on("x86_64", &["b-2.0-alt1.x86_64", "tool-2.0-alt1.x86_64"]);
    assert_eq!(
        told(&[a.done(), b.done()]),
        [
            "the package tool is built from a (subtask 1; i586) and from b (subtask 2; x86_64)\n\nhint: one source package gives a name, \
             whichever the architecture: rename it in one of them, or leave it out there"
        ]
    );
}

#[test]
fn a_source_comes_once() {
    let again = built(2, "hello-1.1-alt1").on("x86_64", &["hello2-1.1-alt1.x86_64"]);
    assert_eq!(
        codes(&agree(&[hello().done(), again.done()]).problems),
        ["source_twice"]
    );
    assert_eq!(
        codes(&agree(&[hello().done(), removal(2, "hello")]).problems),
        ["removed_and_brought"]
    );
}

#[test]
fn each_subtask_gives_something() {
    let nowhere = excluded(excluded(built(1, "hello-1.0-alt1"), "i586"), "x86_64");
    assert_eq!(
        told(&[nowhere.done()]),
        [
            "subtask 1: it is not built for any architecture: i586 (ExclusiveArch: none), x86_64 (ExclusiveArch: none)\n\nhint: look at \
             ExclusiveArch and ExcludeArch in the spec"
        ]
    );
    let nothing = built(1, "hello-1.0-alt1")
        .on("i586", &["hello-1.0-alt1.i586"])
        .on("x86_64", &[]);
    assert_eq!(codes(&agree(&[nothing.done()]).problems), ["no_binaries"]);
}

#[test]
fn what_a_build_may_not_claim() {
    let mut lies = built(1, "hello-1.0-alt1").on("x86_64", &["hello-1.0-alt1.x86_64"]);
    for bad in [
        package("gcc-9-alt1.x86_64").from("gcc-9-alt1.src.rpm"),
        package("orphan-1-alt1.x86_64"),
        package("hello-1.0-alt1.x86_64").from("hello-1.0-alt1.src.rpm"),
        package("a:b-1.0-alt1.x86_64").from("hello-1.0-alt1.src.rpm"),
        package("odd-1%-alt1.x86_64").from("hello-1.0-alt1.src.rpm"),
        package("small-1.0-alt1.i586").from("hello-1.0-alt1.src.rpm"),
        package("second-1.0-alt1.src"),
    ] {
        lies.push("x86_64", header(bad.arc()));
    }
    let problems = agree(&[lies.done()]).problems;
    assert_eq!(
        codes(&problems),
        [
            "foreign_source",
            "foreign_source",
            "binary_twice",
            "bad_name",
            "bad_version",
            "wrong_architecture",
            "two_source_packages"
        ]
    );
    assert_eq!(
        problems[0].to_string(),
        "subtask 1, x86_64: gcc-9-alt1.x86_64 says that it was built from gcc-9-alt1.src.rpm, and not from hello-1.0-alt1.src.rpm"
    );
}

#[test]
fn the_source_is_the_same_everywhere() {
    let other = built(1, "hello-1.1-alt1")
        .on("x86_64", &["hello-1.1-alt1.x86_64"])
        .done();
    let mut mixed = built(1, "hello-1.0-alt1").on("i586", &["hello-1.0-alt1.i586"]);
    mixed.insert("x86_64", other.results().unwrap()[&arch("x86_64")].clone());
    assert_eq!(
        told(&[mixed.done()])[0].split("\n\n").next().unwrap(),
        "subtask 1: the source package hello-1.0-alt1 is not the same: hello-1.0-alt1 on i586 / hello-1.1-alt1 on x86_64"
    );

    for (tag, count) in [
        (1004, 1),
        (1006, 0),
        (1094, 0),
        (1022, 0),
        (1047, 0),
        (5099, 0),
        (4711, 1),
    ] {
        let mut changed = hello();
        changed.source("x86_64", |header| {
            header.about.tags.insert(tag, TagDigest([9; 16]));
        });
        let agreement = agree(&[changed.done()]);
        assert_eq!((agreement.problems.len(), agreement.notes.len()), (count, 0), "{tag}");
    }
    let mut needs = hello();
    needs.source("i586", |header| {
        header.about.tags.insert(1049, TagDigest([9; 16]));
    });
    let agreement = agree(&[needs.done()]);
    assert_eq!(agreement.problems, []);
    assert_eq!(
        agreement.notes[0].to_string(),
        "subtask 1: the source package hello-1.0-alt1 is not quite the same: i586 / x86_64; what differs: what its build needs. That of \
         the first architecture lands"
    );
}

#[test]
fn noarch_packages_are_the_same_everywhere() {
    let mut scriptlet = hello();
    scriptlet.binary("x86_64", "hello-data", |header| {
        header.about.tags.insert(1024, TagDigest([9; 16]));
        header.about.tags.insert(1122, TagDigest([9; 16]));
    });
    assert_eq!(
        told(&[scriptlet.done()]),
        [
            "subtask 1: the package for all architectures hello-data-1.0-alt1 is not the same: i586 / x86_64; what differs: %post\n\nhint: make \
             the build give the same on every architecture, or drop BuildArch: noarch"
        ]
    );
    let mut mode = hello();
    mode.binary("i586", "hello-data", |header| {
        header.about.files[0].mode = 0o104_755;
        header.about.tags.insert(1030, TagDigest([9; 16]));
    });
    assert!(told(&[mode.done()])[0].contains("what differs: files (/usr/share/hello-data)"));
    let mut digest = hello();
    digest.binary("i586", "hello-data", |header| {
        "00".clone_into(&mut header.about.files[0].digest);
    });
    assert_eq!(codes(&agree(&[digest.done()]).problems), ["noarch_differs"]);
    let mut compiled = hello();
    compiled.binary("i586", "hello-data", |header| {
        "00".clone_into(&mut header.about.files[1].digest);
    });
    let agreement = agree(&[compiled.done()]);
    assert_eq!((agreement.problems.len(), agreement.notes.len()), (0, 1));
    let missing = built(1, "hello-1.0-alt1")
        .on("i586", &["hello-1.0-alt1.i586"])
        .on("x86_64", &["hello-1.0-alt1.x86_64", "hello-data-1.0-alt1.noarch"]);
    assert_eq!(codes(&agree(&[missing.done()]).problems), ["noarch_missing"]);
}

proptest! {
    /// Which of the architectures comes first makes no difference: the same problems, under the other names.
    #[test]
    fn the_order_of_architectures_does_not_matter(
        sets in prop::collection::vec(prop::collection::btree_set(0..6_usize, 0..4), 3),
        odd in prop::collection::btree_set(0..3_usize, 0..3),
        turn in 0..3_usize,
    ) {
        const ARCHES: [&str; 3] = ["aarch64", "i586", "x86_64"];
        const NAMES: [&str; 6] = ["a", "a", "b", "c", "d", "e"];
        let made = |turn: usize| {
            let mut all = built(1, "a-1.0-alt1");
            for (place, set) in sets.iter().enumerate() {
                let at = ARCHES[(place + turn) % 3];
                all = all.on(at, &[]);
                for number in set {
                    let kind = if *number > 3 { "noarch" } else { "x86_64" };
                    let made = package(&format!("{}-1.0-alt1.{kind}", NAMES[*number])).from("a-1.0-alt1.src.rpm").arc();
                    all.push(at, header(made));
                }
                if odd.contains(&place) {
                    all.source(at, |header| {
                        header.about.tags.insert(1004, TagDigest([9; 16]));
                    });
                }
            }
            let mut codes: Vec<String> = agree(&[all.done()])
                .problems
                .iter()
                .filter(|problem| problem.code != "wrong_architecture")
                .map(|problem| problem.code.to_string())
                .collect();
            codes.sort();
            codes
        };
        prop_assert_eq!(made(0), made(turn));
    }
}
