use insta::assert_snapshot;
use proptest::prelude::*;

use super::*;
use crate::repository::tests::{Made, package};

fn index(packages: impl IntoIterator<Item = Made>) -> Index {
    packages.into_iter().map(Made::arc).collect()
}

fn solved(indexes: &[&Index], wanted: &[&str]) -> String {
    let wanted: Vec<Requirement> = wanted.iter().map(|text| text.parse().unwrap()).collect();
    match closure(indexes, &"x86_64".parse().unwrap(), &wanted) {
        Ok(packages) => {
            let names: Vec<String> = packages.iter().map(|package| package.nevra()).collect();
            names.join(" ")
        }
        Err(error) => error.to_string(),
    }
}

#[test]
fn takes_what_is_needed_and_the_newest_of_it() {
    let repository = index([
        package("gcc-12-1").requires("libc.so.6()(64bit)").requires("/bin/sh"),
        package("gcc-13-1").requires("libc.so.6()(64bit)"),
        package("glibc-2-1").provides("libc.so.6()(64bit)"),
        package("bash-5-1").file("/bin/sh").requires("glibc"),
        package("unrelated-1-1"),
    ]);
    assert_snapshot!(solved(&[&repository], &["gcc"]), @"gcc-13-1.x86_64 glibc-2-1.x86_64");
    assert_snapshot!(solved(&[&repository], &["gcc < 13"]), @"bash-5-1.x86_64 gcc-12-1.x86_64 glibc-2-1.x86_64");
    assert_snapshot!(solved(&[&repository], &["gcc", "/bin/sh"]), @"bash-5-1.x86_64 gcc-13-1.x86_64 glibc-2-1.x86_64");
    assert_snapshot!(solved(&[&repository], &[]), @"");
}

#[test]
fn the_first_index_that_has_a_package_wins() {
    let base = index([
        package("libfoo-3-1").provides("foo"),
        package("app-1-1").requires("foo"),
    ]);
    let repository = index([
        package("libfoo-2-1").provides("foo"),
        package("other-1-1").provides("foo"),
    ]);
    let task = index([package("libfoo-1-1").provides("foo")]);
    assert_snapshot!(solved(&[&task, &repository, &base], &["app"]), @"app-1-1.x86_64 libfoo-1-1.x86_64");
    assert_snapshot!(solved(&[&repository, &base], &["app"]), @"app-1-1.x86_64 libfoo-2-1.x86_64");
    assert_snapshot!(solved(&[&base], &["app"]), @"app-1-1.x86_64 libfoo-3-1.x86_64");
    assert_snapshot!(solved(&[&task, &repository, &base], &["libfoo >= 2"]), @r"
    libfoo >= 2 cannot be installed
      nothing provides libfoo >= 2
    ");
}

#[test]
fn conflicts_obsoletes_and_names() {
    let repository = index([
        package("mta-1-1").provides("smtp"),
        package("sendmail-1-1").provides("smtp").conflicts("mta"),
        package("list-1-1").requires("smtp").requires("sendmail"),
        package("old-1-1"),
        package("new-2-1").obsoletes("old < 2"),
        package("both-1-1").requires("old").requires("new"),
        package("twice-1-1").requires("old = 1").requires("old = 2"),
        package("old-2-1"),
        package("clash-1-1").requires("mta").requires("sendmail"),
        package("self-1-1").provides("server").conflicts("server"),
        package("pinned-1-1").requires("helper"),
        package("helper-1-1").requires("old = 1"),
        package("helper-2-1").requires("old = 2").conflicts("twice"),
    ]);
    assert_snapshot!(solved(&[&repository], &["list"]), @"list-1-1.x86_64 sendmail-1-1.x86_64");
    assert_snapshot!(solved(&[&repository], &["both"]), @"both-1-1.x86_64 new-2-1.x86_64 old-2-1.x86_64");
    assert_snapshot!(solved(&[&repository], &["both", "old < 2"]), @r"
    both, old < 2 cannot be installed
      old < 2 is wanted
      old-1-1.x86_64 provides it, but new-2-1.x86_64 obsoletes old < 2
        both is wanted
        both-1-1.x86_64 needs new
    ");
    assert_snapshot!(solved(&[&repository], &["twice"]), @r"
    twice cannot be installed
      twice is wanted
      twice-1-1.x86_64 needs old = 2
      old-2-1.x86_64 provides it, but old-1-1.x86_64 is needed: two versions of one package cannot be installed
        twice is wanted
        twice-1-1.x86_64 needs old = 1
    ");
    assert_snapshot!(solved(&[&repository], &["clash"]), @r"
    clash cannot be installed
      clash is wanted
      clash-1-1.x86_64 needs sendmail
      sendmail-1-1.x86_64 conflicts with mta
      but mta-1-1.x86_64 is needed
        clash is wanted
        clash-1-1.x86_64 needs mta
    ");
    assert_snapshot!(solved(&[&repository], &["self"]), @"self-1-1.x86_64");
    assert_snapshot!(solved(&[&repository], &["helper", "old < 2"]), @"helper-1-1.x86_64 old-1-1.x86_64");
    assert_snapshot!(solved(&[&repository], &["nothing"]), @r"
    nothing cannot be installed
      nothing provides nothing
    ");
}

#[test]
fn boolean_dependencies() {
    let repository = index([
        package("a-1-1").requires("(a-lang if lang)"),
        package("a-lang-1-1"),
        package("lang-1-1"),
        package("b-1-1").requires("(x or y)"),
        package("x-1-1").conflicts("lang"),
        package("y-1-1"),
        package("c-1-1").requires("(missing if lang)"),
        package("d-1-1").requires("(x unless lang else y)"),
        package("e-1-1").conflicts("(lang and y)"),
        package("f-1-1").requires("((x and y) or (lang and a))"),
        package("g-1-1").requires("(one with two)"),
        package("h-1-1").provides("one"),
        package("i-1-1").provides("one").provides("two"),
    ]);
    let solved = |wanted: &[&str]| solved(&[&repository], wanted);
    assert_snapshot!(solved(&["a"]), @"a-1-1.x86_64");
    assert_snapshot!(solved(&["a", "lang"]), @"a-1-1.x86_64 a-lang-1-1.x86_64 lang-1-1.x86_64");
    assert_snapshot!(solved(&["b"]), @"b-1-1.x86_64 x-1-1.x86_64");
    assert_snapshot!(solved(&["b", "lang"]), @"b-1-1.x86_64 lang-1-1.x86_64 y-1-1.x86_64");
    assert_snapshot!(solved(&["c"]), @"c-1-1.x86_64");
    assert_snapshot!(solved(&["c", "lang"]), @r"
    c, lang cannot be installed
      lang is wanted
      lang-1-1.x86_64 provides it, but c-1-1.x86_64 needs (missing if lang)
        c is wanted
    ");
    assert_snapshot!(solved(&["d"]), @"d-1-1.x86_64 x-1-1.x86_64");
    assert_snapshot!(solved(&["d", "lang"]), @"d-1-1.x86_64 lang-1-1.x86_64 y-1-1.x86_64");
    assert_snapshot!(solved(&["e", "lang"]), @"e-1-1.x86_64 lang-1-1.x86_64");
    assert_snapshot!(solved(&["e", "lang", "y"]), @r"
    e, lang, y cannot be installed
      e is wanted
      e-1-1.x86_64 conflicts with (lang and y)
    ");
    assert_snapshot!(solved(&["f"]), @"f-1-1.x86_64 x-1-1.x86_64 y-1-1.x86_64");
    assert_snapshot!(solved(&["f", "lang"]), @"a-1-1.x86_64 a-lang-1-1.x86_64 f-1-1.x86_64 lang-1-1.x86_64");
    assert_snapshot!(solved(&["g"]), @"g-1-1.x86_64 i-1-1.x86_64");
    assert_snapshot!(solved(&["(a if lang)", "(lang or missing)"]), @"a-1-1.x86_64 a-lang-1-1.x86_64 lang-1-1.x86_64");
}

#[test]
fn a_long_chain_is_told_to_its_end() {
    let repository = index([
        package("app-1-1").requires("libui"),
        package("libui-1-1").requires("libdraw >= 2"),
        package("libui-2-1").requires("libdraw >= 3"),
        package("libdraw-2-1").requires("\u{1b}[31mdriver"),
        package("cycle-1-1").requires("cycle2"),
        package("cycle2-1-1").requires("cycle").requires("gone"),
    ]);
    assert_snapshot!(solved(&[&repository], &["app"]), @r"
    app cannot be installed
      app is only in app-1-1.x86_64, which needs libui
        libui is in libui-2-1.x86_64, which needs libdraw >= 3
          nothing provides libdraw >= 3
        libui is in libui-1-1.x86_64, which needs libdraw >= 2
          libdraw >= 2 is only in libdraw-2-1.x86_64, which needs \u{1b}[31mdriver
            nothing provides \u{1b}[31mdriver
    ");
    assert_snapshot!(solved(&[&repository], &["cycle"]), @r"
    cycle cannot be installed
      cycle is only in cycle-1-1.x86_64, which needs cycle2
        cycle2 is only in cycle2-1-1.x86_64, which needs gone
          nothing provides gone
    ");
}

#[test]
fn a_choice_that_leads_nowhere_either_way() {
    let repository = index([
        package("app-1-1").requires("web").requires("base"),
        package("apache-1-1").provides("web").conflicts("base"),
        package("nginx-1-1").provides("web").requires("base = 2"),
        package("base-1-1").conflicts("base = 2"),
        package("base-2-1").conflicts("nginx"),
    ]);
    assert_snapshot!(solved(&[&repository], &["app"]), @r"
    app cannot be installed
      app is wanted
      app-1-1.x86_64 needs web
      with apache-1-1.x86_64:
        app is wanted
        app-1-1.x86_64 needs base
        base-2-1.x86_64 provides it, but apache-1-1.x86_64 conflicts with base
        base-1-1.x86_64 provides it, but apache-1-1.x86_64 conflicts with base
      with nginx-1-1.x86_64:
        nginx-1-1.x86_64 needs base = 2
        base-2-1.x86_64 conflicts with nginx
        but nginx-1-1.x86_64 is needed
    ");
}

/// Who would need two to the thirty-two parts is not worked out.
#[test]
fn nobody_conflicts_with_himself_alone() {
    let repository = index([
        package("a-1-1").provides("server").conflicts("server"),
        package("b-1-1").provides("server").conflicts("(server or other)"),
        package("c-1-1").conflicts("(c and other)"),
        package("d-1-1").conflicts("(d and d)"),
        package("e-1-1").conflicts("(other if e)"),
        package("f-1-1").conflicts("(nobody if other)"),
        package("other-1-1"),
    ]);
    let solved = |wanted: &[&str]| {
        solved(&[&repository], wanted)
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    assert_snapshot!(solved(&["a"]), @"a-1-1.x86_64");
    assert_snapshot!(solved(&["a", "b"]), @"a, b cannot be installed");
    assert_snapshot!(solved(&["b"]), @"b-1-1.x86_64");
    assert_snapshot!(solved(&["b", "other"]), @"b, other cannot be installed");
    assert_snapshot!(solved(&["c"]), @"c-1-1.x86_64");
    assert_snapshot!(solved(&["c", "other"]), @"c, other cannot be installed");
    assert_snapshot!(solved(&["d"]), @"d-1-1.x86_64");
    assert_snapshot!(solved(&["e"]), @"e-1-1.x86_64");
    assert_snapshot!(solved(&["e", "other"]), @"e, other cannot be installed");
    // Without the other one the condition asks for nothing, which is met: so it conflicts.
    assert_snapshot!(solved(&["f"]), @"f-1-1.x86_64 other-1-1.x86_64");
}

#[test]
fn nested_conditions_come_to_an_end() {
    let nested = (0..30).fold("a".to_owned(), |inner, at| format!("(x{at} if {inner} else y{at})"));
    let repository = index([
        package("a-1-1"),
        package("bad-1-1").requires(&nested),
        package("top-1-1").requires("(bad or a)"),
    ]);
    assert!(solved(&[&repository], &["bad"]).contains("cannot be installed"));
    assert_eq!(solved(&[&repository], &["top"]), "a-1-1.x86_64 top-1-1.x86_64");
}

pub(super) fn requirement() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        (0..7u8).prop_map(|name| format!("p{name}")),
        (0..7u8, 1..3u8).prop_map(|(name, version)| format!("p{name} = {version}")),
        (0..4u8).prop_map(|cap| format!("cap{cap}")),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        let word = proptest::sample::select(vec!["and", "or", "if", "unless"]);
        let else_word = proptest::sample::select(vec!["if", "unless"]);
        prop_oneof![
            (inner.clone(), word, inner.clone()).prop_map(|(a, word, b)| format!("({a} {word} {b})")),
            (inner.clone(), else_word, inner.clone(), inner)
                .prop_map(|(a, word, b, c)| format!("({a} {word} {b} else {c})")),
        ]
    })
}

pub(super) type Spec = (u8, u8, u8, Vec<String>, Option<String>, Option<u8>);

pub(super) fn specs() -> impl Strategy<Value = Vec<Spec>> {
    proptest::collection::vec(
        (
            0..7u8,
            1..3u8,
            0..4u8,
            proptest::collection::vec(requirement(), 0..3),
            proptest::option::weighted(0.25, requirement()),
            proptest::option::weighted(0.1, 0..7u8),
        ),
        1..10,
    )
}

pub(super) fn make(specs: &[Spec]) -> Index {
    let mut seen = std::collections::BTreeSet::new();
    (specs.iter())
        .filter(|(name, version, ..)| seen.insert((*name, *version)))
        .map(|(name, version, cap, requires, conflict, obsolete)| {
            let mut made = package(&format!("p{name}-{version}-1")).provides(&format!("cap{cap}"));
            for text in requires {
                made = made.requires(text);
            }
            if let Some(text) = conflict {
                made = made.conflicts(text);
            }
            if let Some(name) = obsolete {
                made = made.obsoletes(&format!("p{name} < 2"));
            }
            made.arc()
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// The solver says yes where, and only where, trying all sets of packages does; what it gives stands.
    #[test]
    fn the_solver_agrees_with_trying_everything(specs in specs(), wanted in proptest::collection::vec(requirement(), 1..3)) {
        let index = make(&specs);
        let arch: ArchName = "x86_64".parse().unwrap();
        let pool = Pool::of(vec![&index], &arch);
        let all = pool.of_layers(1);
        let forms: Vec<Form> = wanted.iter().map(|text| pool.form(&text.parse().unwrap())).collect();
        let possible = (0..1u32 << all.len()).any(|bits| {
            let set = all.iter().enumerate().filter(|(at, _)| bits & (1 << at) != 0).map(|(_, id)| *id).collect();
            crate::repository::solve::stands(&pool, &[], &forms, &set)
        });
        let found = choose(&pool, &[], &forms);
        prop_assert_eq!(found.is_some(), possible);
        if let Some(found) = &found {
            prop_assert!(crate::repository::solve::stands(&pool, &[], &forms, &found.iter().copied().collect()));
            let texts: Vec<Requirement> = wanted.iter().map(|text| text.parse().unwrap()).collect();
            let again = closure(&[&index], &arch, &texts).unwrap();
            let names: Vec<String> = found.iter().map(|id| pool.package(*id).nevra()).collect();
            prop_assert_eq!(again.iter().map(|package| package.nevra()).collect::<Vec<_>>(), names);
        } else {
            let texts: Vec<Requirement> = wanted.iter().map(|text| text.parse().unwrap()).collect();
            prop_assert!(closure(&[&index], &arch, &texts).is_err_and(|error| !error.reasons.is_empty()));
        }
        let universe = crate::repository::Universe { own: &index, bases: &[], arch: &arch };
        let bad: Vec<String> = crate::repository::uninstallable(&universe).into_iter().map(|one| one.wanted).collect();
        for id in &all {
            let possible = (0..1u32 << all.len()).any(|bits| {
                let set = all.iter().enumerate().filter(|(at, _)| bits & (1 << at) != 0).map(|(_, id)| *id).collect();
                crate::repository::solve::stands(&pool, &[*id], &[], &set)
            });
            prop_assert_eq!(bad.contains(&pool.package(*id).nevra()), !possible, "{}", pool.package(*id).nevra());
        }
    }
}
