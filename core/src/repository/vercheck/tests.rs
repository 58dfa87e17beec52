use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::repository::bringing::{Built, built, content, planned};
use crate::repository::record::Shipped;
use crate::repository::{Content, plan};

const NEW: &str = "1111111111111111111111111111111111111111";
const OLD: &str = "2222222222222222222222222222222222222222";

/// What a record is after these came, each as name-version-release, with the binary packages of the same name and version.
fn record(came: &[(&str, &str, Option<&str>)]) -> RepositoryRecord {
    let mut record = RepositoryRecord::default();
    for (name, evr, tag) in came {
        let shipped = Shipped {
            name: (*name).to_owned(),
            evr: (*evr).to_owned(),
            tag: tag.map(|tag| tag.parse().unwrap()),
            binaries: [((*name).to_owned(), None)].into(),
        };
        record.apply(
            &crate::repository::record::RepositoryEvent::Moved {
                generation: crate::id::Generation(1),
                cause: crate::repository::record::Cause::Import {
                    by: "root".parse().unwrap(),
                },
                seal: String::new(),
                came: vec![shipped],
                went: Vec::new(),
            },
            jiff::Timestamp::UNIX_EPOCH,
        );
    }
    record
}

fn of(name: &str, evr: &str) -> Built {
    built(1, &format!("{name}-{evr}")).on("x86_64", &[&format!("{name}-{evr}.x86_64")])
}

/// The problems when hello at a version is built over what is there, after what came before.
fn verdict(before: Option<&str>, after: &str, history: &[(&str, &str, Option<&str>)]) -> Vec<Problem> {
    let now = before.map_or_else(Content::default, |before| content(&[of("hello", before).done()]));
    let plan = planned(&now, &[of("hello", after).done()]);
    vercheck(&plan, &record(history))
}

fn codes(problems: &[Problem]) -> Vec<&str> {
    let mut codes: Vec<&str> = problems.iter().map(|problem| &*problem.code).collect();
    codes.dedup();
    codes
}

#[rstest]
#[case(None, "1.0-alt1", &[], &[])]
#[case(Some("1.0-alt1"), "1.0-alt2", &[("hello", "1.0-alt1", None)], &[])]
#[case(Some("1.0-alt1"), "1.0-alt1", &[], &["version_not_newer"])]
#[case(Some("1.0-alt1"), "0.9-alt9", &[], &["version_not_newer"])]
#[case(Some("1.0-alt1"), "1.0~rc1-alt1", &[], &["version_not_newer"])]
#[case(Some("1.0-alt1"), "1.0^git1-alt1", &[], &[])]
#[case(Some("1.0-alt1"), "1.00-alt1", &[], &["version_not_newer"])]
#[case(Some("1.0-alt1"), "1:0.1-alt1", &[], &[])]
// Removed, and what comes is older, the same, newer.
#[case(None, "1.0-alt1", &[("hello", "2.0-alt1", None)], &["version_below_history"])]
#[case(None, "2.0-alt1", &[("hello", "2.0-alt1", None)], &["version_taken"])]
#[case(None, "2.0-alt1", &[("hello", "2.0-alt1", Some(OLD))], &["version_taken"])]
#[case(None, "2.0-alt1", &[("hello", "2.0-alt1", Some(NEW))], &[])]
#[case(None, "2.00-alt1", &[("hello", "2.0-alt1", Some(NEW))], &["version_not_newer"])]
#[case(None, "2.0-alt2", &[("hello", "2.0-alt1", None)], &[])]
// After a rollback, what was there before it still counts.
#[case(Some("1.0-alt1"), "1.5-alt1", &[("hello", "1.0-alt1", None), ("hello", "2.0-alt1", None)], &["version_below_history"])]
#[case(Some("1.0-alt1"), "2.0-alt1", &[("hello", "1.0-alt1", None), ("hello", "2.0-alt1", Some(NEW))], &[])]
// The epoch is not in the name of the file.
#[case(Some("1.0-alt1"), "1:1.0-alt1", &[("hello", "1.0-alt1", None)], &["file_name_taken"])]
#[case(None, "1:1.0-alt1", &[("hello", "1.0-alt1", Some(NEW))], &["file_name_taken"])]
fn versions_only_grow(
    #[case] before: Option<&str>,
    #[case] after: &str,
    #[case] history: &[(&str, &str, Option<&str>)],
    #[case] expected: &[&str],
) {
    let problems = verdict(before, after, history);
    let found: BTreeSet<&str> = codes(&problems).into_iter().collect();
    let source: Vec<&Problem> = problems
        .iter()
        .filter(|one| one.message.starts_with("source"))
        .collect();
    assert_eq!(found, expected.iter().copied().collect(), "{problems:?}");
    assert_eq!(
        source.len(),
        expected.len(),
        "the source package by itself: {problems:?}"
    );
}

#[test]
fn texts_name_both_versions_and_the_way_out() {
    let problems = verdict(Some("1.0-alt1"), "1.0-alt1", &[]);
    assert_eq!(
        problems[0].to_string(),
        "subtask 1: source package hello: 1.0-alt1 is the same as 1.0-alt1, which it replaces\n\nhint: raise the release in the spec \
         above alt1, and tag that"
    );
    let problems = verdict(Some("1.0-alt1"), "0.9-alt1", &[]);
    assert_eq!(
        problems[1].to_string(),
        "subtask 1: package hello (x86_64): 0.9-alt1 is lower than 1.0-alt1, which it replaces\n\nhint: raise the version above 1.0; if the \
         lower one is meant, say 'Epoch: 1' in the spec"
    );
    let rebuild = of("hello", "1.0-alt1").untagged();
    let plan = planned(&content(&[of("hello", "1.0-alt1").done()]), &[rebuild.done()]);
    let hint = vercheck(&plan, &RepositoryRecord::default())[0].hint.clone().unwrap();
    assert!(hint.contains("%{?dist}"), "{hint}");
}

#[test]
fn a_binary_package_grows_too_wherever_it_comes_from() {
    let old = built(1, "old-3.0-alt1").on("x86_64", &["old-3.0-alt1.x86_64", "libx-3.0-alt1.x86_64"]);
    let now = content(&[old.done()]);
    let new = built(1, "new-1.0-alt1").on("x86_64", &["new-1.0-alt1.x86_64", "libx-1.0-alt1.x86_64"]);
    let problems = vercheck(&planned(&now, &[new.done()]), &RepositoryRecord::default());
    assert_eq!(problems.len(), 1);
    assert!(
        problems[0]
            .message
            .starts_with("package libx (x86_64): 1.0-alt1 is lower than 3.0-alt1")
    );

    // A subpackage that keeps its own version while the source grows would keep its file's name.
    let first = built(1, "a-1.0-alt1").on("x86_64", &["a-1.0-alt1.x86_64", "plug-7-1.x86_64"]);
    let then = built(1, "a-1.1-alt1").on("x86_64", &["a-1.1-alt1.x86_64", "plug-7-1.x86_64"]);
    let problems = vercheck(
        &planned(&content(&[first.done()]), &[then.done()]),
        &RepositoryRecord::default(),
    );
    assert_eq!(codes(&problems), ["version_not_newer"]);

    // The same where it was removed in between.
    let mut ever = record(&[("a", "1.0-alt1", None)]);
    ever.binaries.insert("plug".to_owned(), vec!["7-1".to_owned()]);
    let problems = vercheck(&planned(&Content::default(), &[then.done()]), &ever);
    assert_eq!(codes(&problems), ["version_taken"]);
    assert!(problems[0].message.contains("built from another source"));
}

#[test]
fn a_binary_package_that_comes_from_two_architectures_is_told_once() {
    let both = |evr: &str| {
        built(1, &format!("a-{evr}"))
            .on("i586", &[&format!("a-{evr}.i586")])
            .on("x86_64", &[&format!("a-{evr}.x86_64")])
    };
    let problems = vercheck(
        &planned(&content(&[both("2-1").done()]), &[both("1-1").done()]),
        &RepositoryRecord::default(),
    );
    let told: Vec<&str> = problems
        .iter()
        .map(|problem| problem.message.split(':').next().unwrap())
        .collect();
    assert_eq!(told, ["source package a", "package a (i586, x86_64)"]);
}

fn evr() -> impl Strategy<Value = String> {
    ("[0-2]", "[0-3](\\.[0-2])?(~rc|\\^g)?", "[1-3]")
        .prop_map(|(epoch, version, release)| Evr::of_text(&format!("{epoch}:{version}-{release}")).to_string())
}

proptest! {
    /// More history never makes a problem disappear; only that a version is below the history need not be told where it is told to be
    /// no newer than what it replaces.
    #[test]
    fn vercheck_is_monotone(
        before in prop::option::of(evr()),
        after in evr(),
        history in prop::collection::vec((evr(), 0..3_u8), 0..5),
        more in prop::collection::vec((evr(), 0..3_u8), 0..3),
    ) {
        let entry = |(evr, tag): &(String, u8)| {
            (evr.clone(), match tag { 0 => None, 1 => Some(NEW), _ => Some(OLD) })
        };
        let all: Vec<_> = history.iter().chain(&more).map(entry).collect();
        let all: Vec<_> = all.iter().map(|(evr, tag)| ("hello", evr.as_str(), *tag)).collect();
        let key = |problems: &[Problem]| -> BTreeSet<(String, bool)> {
            let told: BTreeSet<_> =
                problems.iter().map(|problem| (problem.code.to_string(), problem.message.starts_with("source"))).collect();
            let is_older = |of_source| told.contains(&("version_not_newer".to_owned(), of_source));
            told.iter().filter(|(code, of_source)| code != "version_below_history" || !is_older(*of_source)).cloned().collect()
        };
        let few = key(&verdict(before.as_deref(), &after, &all[..history.len()]));
        let many = key(&verdict(before.as_deref(), &after, &all));
        prop_assert!(few.is_subset(&many), "{few:?} {many:?}");
    }

    /// Whatever is allowed is really newer than what it replaces, and than all that was ever there but itself.
    #[test]
    fn what_passes_is_newer(before in prop::option::of(evr()), after in evr(), history in prop::collection::vec(evr(), 0..5)) {
        let ever: Vec<_> = history.iter().map(|evr| ("hello", evr.as_str(), Some(NEW))).collect();
        if verdict(before.as_deref(), &after, &ever).is_empty() {
            let new = Evr::of_text(&after);
            if let Some(before) = before {
                prop_assert_eq!(new.compare(&Evr::of_text(&before)), Ordering::Greater);
            }
            for old in &history {
                prop_assert!(*old == after || new.compare(&Evr::of_text(old)) == Ordering::Greater);
            }
        }
    }

    /// What has landed does not land again.
    #[test]
    fn planning_what_has_landed_is_refused(before in prop::option::of(evr()), after in evr()) {
        let now = before.map_or_else(Content::default, |before| content(&[of("hello", &before).done()]));
        let brought = [of("hello", &after).done()];
        let landed = now.with(&planned(&now, &brought));
        let name = "sisyphus".parse().unwrap();
        let again = plan(&name, &["x86_64".parse().unwrap()], &landed, &brought).unwrap();
        prop_assert_eq!(landed.with(&again).arches, landed.arches.clone(), "it is a fixpoint");
        prop_assert!(!vercheck(&again, &RepositoryRecord::default()).is_empty());
    }
}
