use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::repository::tests::package;

fn names(found: &[&Arc<Package>]) -> Vec<String> {
    found.iter().map(|package| package.nevra()).collect()
}

fn wanted(text: &str) -> Dependency {
    text.parse().unwrap()
}

#[test]
fn looks_up_by_name_capability_path_and_source() {
    let index = Index::of([
        package("libfoo-1.0-1")
            .provides("libfoo.so.1()(64bit)")
            .from("foo-1.0-1.src.rpm")
            .arc(),
        package("foo-1.0-1")
            .file("/usr/bin/foo")
            .provides("editor = 2")
            .from("foo-1.0-1.src.rpm")
            .arc(),
        package("bar-2.0-1")
            .provides("editor = 3")
            .provides("/usr/bin/foo")
            .arc(),
    ]);
    assert_eq!(
        names(&index.providers(&wanted("libfoo.so.1()(64bit)"))),
        ["libfoo-1.0-1.x86_64"]
    );
    assert_eq!(
        names(&index.providers(&wanted("editor"))),
        ["bar-2.0-1.x86_64", "foo-1.0-1.x86_64"]
    );
    assert_eq!(names(&index.providers(&wanted("editor < 3"))), ["foo-1.0-1.x86_64"]);
    assert_eq!(
        names(&index.providers(&wanted("/usr/bin/foo"))),
        ["bar-2.0-1.x86_64", "foo-1.0-1.x86_64"]
    );
    assert_eq!(
        names(&index.providers(&wanted("/usr/bin/foo > 1"))),
        ["bar-2.0-1.x86_64"]
    );
    assert_eq!(
        names(&index.built_from("foo-1.0-1.src.rpm")),
        ["foo-1.0-1.x86_64", "libfoo-1.0-1.x86_64"]
    );
    assert_eq!(index.named("bar").count(), 1);
    assert_eq!(index.named("b").count(), 0);
}

#[test]
fn a_plan_replaces() {
    let old = package("foo-1.0-1").provides("x").arc();
    let index = Index::of([old.clone(), package("zoo-1-1").requires("x").arc()]);
    let after = index.with(&ArchPlan {
        added: vec![package("foo-2.0-1").arc()],
        removed: vec![old],
    });
    assert_eq!(names(&index.providers(&wanted("x"))), ["foo-1.0-1.x86_64"]);
    assert!(after.providers(&wanted("x")).is_empty());
    assert_eq!(names(&after.requirers("x")), ["zoo-1-1.x86_64"]);
    let all: Vec<String> = after.packages().map(|package| package.nevra()).collect();
    assert_eq!(all, ["foo-2.0-1.x86_64", "zoo-1-1.x86_64"]);
    assert_eq!(after.len(), 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// However a content came about, it is the same as one that was made at once.
    #[test]
    fn changed_step_by_step_or_made_at_once(steps in proptest::collection::vec(
        (proptest::collection::vec((0..20u8, 0..3u8), 0..6), proptest::collection::vec(0..40usize, 0..4)), 0..120)
    ) {
        let mut index = Index::default();
        let mut flat: Vec<Arc<Package>> = Vec::new();
        for (come, go) in steps {
            let removed: Vec<Arc<Package>> = go.iter().filter_map(|at| flat.get(*at).cloned()).collect();
            flat.retain(|one| !removed.iter().any(|gone| gone.nevra() == one.nevra()));
            let mut added = Vec::new();
            for (name, version) in come {
                let one = package(&format!("p{name}-{version}-1")).provides(&format!("cap{}", name % 7)).arc();
                if !flat.iter().any(|known| known.nevra() == one.nevra()) {
                    flat.push(one.clone());
                    added.push(one);
                }
            }
            index = index.with(&ArchPlan { added, removed });
            let fresh = Index::of(flat.iter().cloned());
            prop_assert_eq!(&index, &fresh);
            prop_assert_eq!(index.len(), flat.len());
            for cap in 0..7 {
                let dependency = wanted(&format!("cap{cap}"));
                prop_assert_eq!(index.providers(&dependency), fresh.providers(&dependency));
            }
        }
    }
}
