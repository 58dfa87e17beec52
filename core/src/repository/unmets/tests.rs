use insta::assert_snapshot;
use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::id::ArchName;
use crate::repository::tests::{Made, package};
use crate::repository::{Index, unmet_problems};

fn arch() -> ArchName {
    "x86_64".parse().unwrap()
}

fn index(packages: impl IntoIterator<Item = Made>) -> Index {
    packages.into_iter().map(Made::arc).collect()
}

fn told(own: &Index, bases: &[Arc<Index>]) -> Vec<String> {
    let arch = arch();
    let universe = Universe {
        own,
        bases,
        arch: &arch,
    };
    unmets(&universe).iter().map(ToString::to_string).collect()
}

/// Whether a package that requires this has an unmet beside `a-1`, `b-2`, and `ab` that provides `x` and `y`.
#[rstest]
#[case("a", false)]
#[case("nothing", true)]
#[case("a = 1", false)]
#[case("a > 1", true)]
#[case("/usr/bin/ab", false)]
#[case("/usr/bin/none", true)]
#[case("/usr/lib/ab.d", false)]
#[case("(a and b)", false)]
#[case("(a and nothing)", true)]
#[case("(nothing or b >= 2)", false)]
#[case("(nothing or b >= 3)", true)]
#[case("(nothing if a)", true)]
#[case("(nothing if none)", false)]
#[case("(nothing if none else a)", false)]
#[case("(a if none else none2)", true)]
#[case("(a if b else none)", false)]
#[case("(a unless b)", false)]
#[case("(nothing unless b)", true)]
#[case("(nothing unless b else a)", false)]
#[case("(x with y)", false)]
#[case("(x with a)", true)]
#[case("(x without y)", true)]
#[case("(x without a)", false)]
#[case("((a or nothing) and (nothing2 or (x with y)))", false)]
#[case("((x or a) with y)", false)]
fn requirements(#[case] requirement: &str, #[case] unmet: bool) {
    let own = index([
        package("a-1-1"),
        package("b-2-1"),
        package("ab-1-1")
            .provides("x")
            .provides("y")
            .file("/usr/bin/ab")
            .file("/usr/lib/ab.d"),
        package("top-1-1").requires(requirement),
    ]);
    assert_eq!(!told(&own, &[]).is_empty(), unmet, "{:?}", told(&own, &[]));
}

#[test]
fn bases_provide_and_are_shadowed() {
    let base = Arc::new(index([
        package("libfoo-1-1").provides("libfoo.so.1()(64bit)"),
        package("broken-1-1").requires("nowhere"),
        package("sh-1-1").file("/bin/sh"),
    ]));
    let app = || package("app-1-1").requires("libfoo.so.1()(64bit)").requires("/bin/sh");
    assert!(told(&index([app()]), std::slice::from_ref(&base)).is_empty());
    let shadowing = index([app(), package("libfoo-2-1").provides("libfoo.so.2()(64bit)")]);
    assert_snapshot!(told(&shadowing, &[base]).join("\n"), @"app-1-1.x86_64 needs libfoo.so.1()(64bit): nothing provides it; libfoo-2-1.x86_64 provides libfoo.so.2()(64bit)");
}

#[test]
fn other_machines_do_not_count() {
    let own = index([
        package("libfoo-1-1.i586").provides("libfoo.so.1"),
        package("data-1-1.noarch").provides("data"),
        package("app-1-1").requires("libfoo.so.1").requires("data"),
    ]);
    assert_snapshot!(told(&own, &[]).join("\n"), @"app-1-1.x86_64 needs libfoo.so.1: nothing provides it");
}

struct Change {
    before: Index,
    after: Index,
    plan: ArchPlan,
}

fn change(before: Vec<Arc<Package>>, removed: &[&str], added: Vec<Made>) -> Change {
    let before = Index::of(before);
    let removed = before
        .packages()
        .filter(|package| removed.contains(&package.name.as_str()))
        .cloned()
        .collect();
    let plan = ArchPlan {
        added: added.into_iter().map(Made::arc).collect(),
        removed,
    };
    Change {
        after: before.with(&plan),
        before,
        plan,
    }
}

impl Change {
    fn told(&self) -> String {
        let problems = unmet_problems(&arch(), &self.found());
        let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
        texts.join("\n---\n")
    }

    fn found(&self) -> Vec<Unmet> {
        let arch = arch();
        let at = |own| Universe {
            own,
            bases: &[],
            arch: &arch,
        };
        new_unmets(&at(&self.before), &at(&self.after), &self.plan)
    }
}

fn library(version: &str, soname: u8) -> Made {
    package(&format!("libfoo-{version}-1"))
        .provides(&format!("libfoo.so.{soname}()(64bit)"))
        .from(&format!("foo-{version}-1.src.rpm"))
}

#[test]
fn a_library_that_changes_its_soname() {
    let user = |name: &str| {
        package(&format!("{name}-1.0-1"))
            .requires("libfoo.so.1()(64bit)")
            .from(&format!("{name}-1.0-1.src.rpm"))
    };
    let before = vec![library("1.0", 1).arc(), user("app").arc(), user("tool").arc()];
    let alone = change(before.clone(), &["libfoo"], vec![library("2.0", 2)]);
    assert_snapshot!(alone.told(), @r"
    x86_64: libfoo-1.0-1.x86_64 provides libfoo.so.1()(64bit) until now, and this task puts libfoo-2.0-1.x86_64 in its place, which provides libfoo.so.2()(64bit); needed by app-1.0-1.x86_64, tool-1.0-1.x86_64

    hint: rebuild what needs it in this task: `task add rebuild app tool`
    ");
    let one = change(before.clone(), &["libfoo", "tool"], vec![library("2.0", 2)]);
    assert_snapshot!(one.told(), @r"
    x86_64: app-1.0-1.x86_64 needs libfoo.so.1()(64bit): libfoo-1.0-1.x86_64 provides it until now, and this task puts libfoo-2.0-1.x86_64 in its place, which provides libfoo.so.2()(64bit)

    hint: rebuild what needs it in this task: `task add rebuild app`
    ");
    let removal = change(before.clone(), &["libfoo"], vec![]);
    assert_snapshot!(removal.told(), @r"
    x86_64: libfoo-1.0-1.x86_64 provides libfoo.so.1()(64bit) until now, and this task removes that package; needed by app-1.0-1.x86_64, tool-1.0-1.x86_64

    hint: keep it, add another package that provides it, or remove what needs it too: `task add del app tool`
    ");
    let rebuilt = |name: &str| package(&format!("{name}-1.0-2")).requires("libfoo.so.2()(64bit)");
    let whole = change(
        before,
        &["libfoo", "app", "tool"],
        vec![library("2.0", 2), rebuilt("app"), rebuilt("tool")],
    );
    assert_snapshot!(whole.told(), @"");
}

#[test]
fn an_updated_package_answers_for_its_old_unmets() {
    let old = || package("app-1.0-1").requires("helper >= 2").from("app-1.0-1.src.rpm");
    let before = vec![old().arc(), package("helper-1.0-1").arc(), package("other-1.0-1").arc()];
    let same = package("app-1.1-1").requires("helper >= 2").from("app-1.1-1.src.rpm");
    assert_snapshot!(change(before.clone(), &["app"], vec![same]).told(), @r"
    x86_64: app-1.1-1.x86_64 needs helper >= 2: nothing provides it; helper-1.0-1.x86_64 provides helper = 1.0-1

    hint: add a version that fits to the task (there is helper-1.0-1.x86_64), or change what app requires
    ");
    // It stays as it is, and nobody minds, when something else changes.
    let unrelated = change(before, &["other"], vec![package("other-1.1-1")]);
    assert_snapshot!(unrelated.told(), @"");
}

#[test]
fn what_was_never_there() {
    let told = change(
        vec![library("2.0", 2).arc()],
        &[],
        vec![
            package("new-1.0-1")
                .requires("perl(No::Such)")
                .from("new-1.0-1.src.rpm"),
            package("stale-1.0-1")
                .requires("libfoo.so.1()(64bit)")
                .from("stale-1.0-1.src.rpm"),
            package("rich-1.0-1").requires("((libfoo < 2 or none) and \u{1b}[31mred)"),
        ],
    )
    .told();
    assert_snapshot!(told, @r"
    x86_64: new-1.0-1.x86_64 needs perl(No::Such): nothing provides it

    hint: add a package that provides perl(No::Such) to the task, or let new do without it
    ---
    x86_64: rich-1.0-1.x86_64 needs ((libfoo < 2 or none) and \u{1b}[31mred): nothing provides libfoo < 2; libfoo-2.0-1.x86_64 provides libfoo = 2.0-1; nothing provides none; nothing provides \u{1b}[31mred

    hint: add a version that fits to the task (there is libfoo-2.0-1.x86_64), or change what rich requires
    ---
    x86_64: stale-1.0-1.x86_64 needs libfoo.so.1()(64bit): nothing provides it; libfoo-2.0-1.x86_64 provides libfoo.so.2()(64bit)

    hint: stale was built with another version: build it after what provides it now, in this task
    ");
}

fn made(name: u8, version: u8, requires: &[(u8, u8)]) -> Made {
    let text = |(kind, at): &(u8, u8)| match kind % 8 {
        0 => format!("p{at} >= 1"),
        1 => format!("cap{}", at % 4),
        2 => format!("(cap{} if p{at})", at % 4),
        3 => format!("(p{at} or cap{})", at % 4),
        4 => format!("(p{at} unless cap{})", at % 4),
        5 => format!("(cap{} with p{at})", at % 4),
        6 => format!("/usr/share/f{at}"),
        _ => format!("p{at}"),
    };
    let made = package(&format!("p{name}-{version}-1"))
        .provides(&format!("cap{}", (name + version) % 5))
        .file(&format!("/usr/share/f{}", name + version));
    requires.iter().fold(made, |made, one| made.requires(&text(one)))
}

type Spec = (u8, u8, Vec<(u8, u8)>);

fn specs(most: usize) -> impl Strategy<Value = Vec<Spec>> {
    let requires = proptest::collection::vec((0..8u8, 0..8u8), 0..4);
    proptest::collection::vec((0..8u8, 0..3u8, requires), 0..most)
}

proptest! {
    /// Looking only at what a plan touches finds the same as comparing two whole repositories.
    #[test]
    fn by_the_plan_or_by_the_whole(before in specs(12), base in specs(6), added in specs(4), removed in proptest::collection::vec(0..12usize, 0..4)) {
        let make = |specs: &[Spec]| specs.iter().map(|(n, v, r)| made(*n, *v, r).arc()).collect::<Vec<_>>();
        let mut before = make(&before);
        before.sort_by_key(|package| package.nevra());
        before.dedup_by_key(|package| package.nevra());
        let mut added = make(&added);
        added.sort_by_key(|package| package.nevra());
        added.dedup_by_key(|package| package.nevra());
        let mut gone: Vec<Arc<Package>> = removed.iter().filter_map(|at| before.get(*at).cloned()).collect();
        gone.extend(before.iter().filter(|one| added.iter().any(|new| new.name == one.name)).cloned());
        let plan = ArchPlan { added, removed: gone };
        let before = Index::of(before);
        let after = before.with(&plan);
        let bases = [Arc::new(Index::of(make(&base)))];
        let arch = arch();
        let before = Universe { own: &before, bases: &bases, arch: &arch };
        let after = Universe { own: &after, bases: &bases, arch: &arch };
        let key = |unmet: &Unmet| (unmet.package.clone(), unmet.requirement.clone());
        let old: BTreeSet<_> = unmets(&before).iter().map(key).collect();
        let comes: BTreeSet<String> = plan.added.iter().map(|package| package.nevra()).collect();
        let whole: BTreeSet<_> = unmets(&after)
            .iter()
            .filter(|unmet| comes.contains(&unmet.package) || !old.contains(&key(unmet)))
            .map(key)
            .collect();
        let quick: BTreeSet<_> = new_unmets(&before, &after, &plan).iter().map(key).collect();
        prop_assert_eq!(quick, whole);
    }
}
