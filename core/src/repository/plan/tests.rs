use proptest::prelude::*;

use super::*;
use crate::repository::bringing::{Built, arch, built, content, excluded, planned, removal};
use crate::repository::{Brought, Content, Problem};

fn refused(content: &Content, brought: &[Brought]) -> Vec<Problem> {
    plan(
        &"sisyphus".parse().unwrap(),
        &[arch("x86_64"), arch("i586")],
        content,
        brought,
    )
    .unwrap_err()
}

fn both(subtask: u32, source: &str, names: &[&str]) -> Built {
    let evr = source.split_once('-').unwrap().1;
    let packages = |arch: &str| -> Vec<String> { names.iter().map(|name| format!("{name}-{evr}.{arch}")).collect() };
    let mut built = built(subtask, source);
    for arch in ["i586", "x86_64"] {
        let packages = packages(arch);
        let packages: Vec<&str> = packages.iter().map(String::as_str).collect();
        built = built.on(arch, &packages);
    }
    built
}

fn names(packages: &[Arc<Package>]) -> Vec<String> {
    packages.iter().map(|package| package.nevra()).collect()
}

#[test]
fn a_new_version_replaces_the_old_one_with_all_that_was_built_from_it() {
    let now = content(&[both(1, "hello-1.0-alt1", &["hello", "libhello0"]).done()]);
    let plan = planned(&now, &[both(1, "hello-1.1-alt1", &["hello", "libhello1"]).done()]);
    let x86_64 = &plan.arches[&arch("x86_64")];
    assert_eq!(
        names(&x86_64.added),
        ["hello-1.1-alt1.x86_64", "libhello1-1.1-alt1.x86_64"]
    );
    assert_eq!(
        names(&x86_64.removed),
        ["hello-1.0-alt1.x86_64", "libhello0-1.0-alt1.x86_64"]
    );
    assert_eq!(names(&plan.source.removed), ["hello-1.0-alt1.src"]);
    assert_eq!(plan.warnings, []);
    assert_eq!(
        plan.view().to_string(),
        "sisyphus, on generation 7:\n   1  hello  1.0-alt1 → 1.1-alt1\n        i586, x86_64: hello, +libhello1, -libhello0\n"
    );
    let after = now.with(&plan);
    assert_eq!(after.arches[&arch("i586")].len(), 2);
    assert_eq!(after.source.len(), 1);
}

#[test]
fn who_loses_a_binary_package_goes_whole_and_is_named() {
    let now = content(&[
        both(1, "old-1.0-alt1", &["old", "tool", "old-devel"]).done(),
        both(2, "bystander-1.0-alt1", &["bystander"]).done(),
    ]);
    let new = both(4, "new-2.0-alt1", &["new"]).with("x86_64", "tool-2.0-alt1.x86_64");
    let plan = planned(&now, &[new.done()]);
    assert_eq!(
        plan.arches[&arch("i586")].removed.len(),
        3,
        "on the other architecture, too"
    );
    assert_eq!(names(&plan.source.removed), ["old-1.0-alt1.src"]);
    assert_eq!(
        plan.touches(),
        [
            (SubtaskNumber(4), "new".parse().unwrap(), Touch::Build),
            (SubtaskNumber(4), "old".parse().unwrap(), Touch::Remove)
        ]
    );
    insta::assert_snapshot!(plan.view(), @r"
    sisyphus, on generation 7:
       4  new  new → 2.0-alt1
            i586: +new
            x86_64: +new, +tool
       4  old  1.0-alt1 → gone  replaced by another source
            i586, x86_64: -old, -old-devel, -tool
    warning: tool is built from new now, no longer from old: all of old goes: old-1.0-alt1.i586, old-1.0-alt1.src, old-1.0-alt1.x86_64, old-devel-1.0-alt1.i586, old-devel-1.0-alt1.x86_64, tool-1.0-alt1.i586, tool-1.0-alt1.x86_64
    ");
}

#[test]
fn a_name_on_another_architecture_counts() {
    let old = built(1, "old-1.0-alt1").on("i586", &["old-1.0-alt1.i586", "tool-1.0-alt1.i586"]);
    let now = content(&[excluded(old, "x86_64").done()]);
    let new = built(1, "new-2.0-alt1").on("x86_64", &["tool-2.0-alt1.x86_64"]);
    let plan = planned(&now, &[excluded(new, "i586").done()]);
    assert_eq!(
        names(&plan.arches[&arch("i586")].removed),
        ["old-1.0-alt1.i586", "tool-1.0-alt1.i586"]
    );
}

#[test]
fn a_package_that_moves_within_a_task_is_told() {
    let now = content(&[both(1, "old-1.0-alt1", &["old", "tool"]).done()]);
    let task = [
        both(1, "old-1.1-alt1", &["old"]).done(),
        both(2, "new-2.0-alt1", &["tool"]).done(),
    ];
    let plan = planned(&now, &task);
    assert_eq!(plan.changes.len(), 2);
    assert_eq!(
        plan.warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["tool is built from new now, no longer from old"]
    );
}

#[test]
fn an_architecture_that_is_built_no_more_is_told() {
    let now = content(&[both(1, "a-1-1", &["a"]).done()]);
    let less = excluded(built(1, "a-2-1").on("x86_64", &["a-2-1.x86_64"]), "i586");
    let plan = planned(&now, &[less.done()]);
    assert_eq!(names(&plan.arches[&arch("i586")].removed), ["a-1-1.i586"]);
    assert_eq!(
        plan.warnings[0].to_string(),
        "a is not built for i586 any more (ExclusiveArch: none): there goes a-1-1.i586"
    );
}

#[test]
fn the_first_architectures_noarch_package_lands_everywhere() {
    let mut data = both(1, "a-1-1", &["a"])
        .with("i586", "data-1-1.noarch")
        .with("x86_64", "data-1-1.noarch");
    data.binary("x86_64", "data", |header| {
        Arc::make_mut(&mut header.package)
            .provides
            .push("first".parse().unwrap());
    });
    let plan = planned(&content(&[]), &[data.done()]);
    let found = |name: &str| {
        plan.arches[&arch(name)]
            .added
            .iter()
            .find(|one| one.name == "data")
            .cloned()
            .unwrap()
    };
    assert!(Arc::ptr_eq(&found("i586"), &found("x86_64")));
    assert_eq!(found("i586").provides.len(), 2, "x86_64 is configured first");
}

#[test]
fn what_cannot_be_planned() {
    let now = content(&[both(1, "hello-1.0-alt1", &["hello", "libhello"]).done()]);
    let text = |problems: Vec<Problem>| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!(text(refused(&now, &[])), @r"
    nothing in 'sisyphus' would change

    hint: add what is to be built, copied or removed: windlass task add
    ");
    insta::assert_snapshot!(text(refused(&now, &[removal(1, "hallo"), removal(2, "libhello")])), @r"
    subtask 1: there is no source package hallo in 'sisyphus' (generation 7)

    hint: did you mean hello?
    subtask 2: there is no source package libhello in 'sisyphus' (generation 7)

    hint: libhello is a binary package, built from hello; a source package goes with all that was built from it: windlass task add del hello
    ");
    let again = both(2, "hello-1.1-alt1", &["hello"]);
    assert_eq!(
        refused(&now, &[removal(1, "hello"), again.done()])[0].code,
        "source_twice"
    );
    assert_eq!(
        refused(&now, &[removal(1, "hello"), removal(2, "hello")])[0].code,
        "source_twice"
    );
    let nowhere = excluded(excluded(built(1, "x-1-1"), "i586"), "x86_64");
    assert_eq!(refused(&now, &[nowhere.done()])[0].code, "empty_plan");
}

#[test]
fn a_view_is_read_back_and_many_packages_are_counted() {
    let many: Vec<String> = (10..40).map(|number| format!("pkg{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let now = content(&[both(1, "all-1-1", &many[1..]).done()]);
    let view = planned(&now, &[both(1, "all-2-1", &many).done()]).view();
    assert!(view.to_string().contains("i586, x86_64: 29 packages, +pkg10"), "{view}");
    let json = serde_json::to_string(&view).unwrap();
    assert_eq!(serde_json::from_str::<PlanView>(&json).unwrap(), view);
}

/// Some source packages, each with some of a few binary names, on one of or both architectures.
fn sources() -> impl Strategy<Value = Vec<Brought>> {
    let one = (
        0..4_usize,
        1..4_u8,
        prop::collection::btree_set(0..6_usize, 1..4),
        0..3_u8,
    );
    prop::collection::vec(one, 0..4).prop_map(|all| {
        let mut seen = std::collections::BTreeSet::new();
        let mut brought = Vec::new();
        for (number, (source, version, names, arches)) in all.into_iter().enumerate() {
            if !seen.insert(source) {
                continue;
            }
            let mut one = built(u32::try_from(number + 1).unwrap(), &format!("s{source}-{version}-1"));
            for (arch, skipped) in [("i586", 1), ("x86_64", 2)] {
                if arches == skipped {
                    one = excluded(one, arch);
                    continue;
                }
                let packages: Vec<String> = names.iter().map(|name| format!("b{name}-{version}-1.{arch}")).collect();
                let packages: Vec<&str> = packages.iter().map(String::as_str).collect();
                one = one.on(arch, &packages);
            }
            brought.push(one.done());
        }
        brought
    })
}

proptest! {
    /// What is there after a plan was carried out is what was brought, and what it did not touch; doing it again changes nothing.
    #[test]
    fn a_plan_is_a_fixpoint(first in sources(), then in sources()) {
        let alone = |brought: &[Brought]| crate::repository::agree(brought).is_good();
        prop_assume!(alone(&first) && alone(&then));
        let now = content(&first);
        let name = "sisyphus".parse().unwrap();
        let arches = [arch("x86_64"), arch("i586")];
        let Ok(made) = plan(&name, &arches, &now, &then) else {
            prop_assert!(then.is_empty());
            return Ok(());
        };
        let after = now.with(&made);
        for (arch, index) in &after.arches {
            let mut seen = std::collections::BTreeSet::new();
            for package in index.packages() {
                prop_assert!(seen.insert(package.name.clone()), "two of one name on {arch}");
                let file = package.source_rpm.as_deref().unwrap();
                prop_assert!(after.source.packages().any(|source| source.file_name() == file), "its source is there");
            }
        }
        let again = plan(&name, &arches, &after, &then).unwrap();
        prop_assert_eq!(after.with(&again).arches, after.arches.clone());
        prop_assert_eq!(after.with(&again).source, after.source);
        prop_assert!(again.warnings.is_empty(), "nobody loses anything any more: {:?}", again.warnings);
    }

    /// No source package loses one of its binary packages without being named.
    #[test]
    fn nothing_goes_silently(first in sources(), then in sources()) {
        let now = content(&first);
        let name = "sisyphus".parse().unwrap();
        let Ok(made) = plan(&name, &[arch("i586"), arch("x86_64")], &now, &then) else { return Ok(()) };
        for package in made.arches.values().flat_map(|one| &one.removed) {
            let named = made.changes.iter().any(|change| change.package.as_str() == package.source_name());
            prop_assert!(named, "{}", package.nevra());
        }
    }
}
