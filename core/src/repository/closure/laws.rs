//! What holds of every closure: it is closed, does not depend on the order in which packages are told, takes nothing that nobody
//! asks for, keeps to the precedence of repositories, and does not change by what has nothing to do with it.

use proptest::prelude::*;

use super::tests::{make, requirement, specs};
use super::*;
use crate::repository::solve::stands;
use crate::repository::tests::package;
use crate::repository::{Universe, uninstallable};
use crate::rpm::Dependency;

fn arch() -> ArchName {
    "x86_64".parse().unwrap()
}

fn parsed(wanted: &[String]) -> Vec<Requirement> {
    wanted.iter().map(|text| text.parse().unwrap()).collect()
}

/// What comes of it: the packages by name, or the reasons.
fn told(indexes: &[&Index], wanted: &[Requirement]) -> Result<Vec<String>, Unresolvable> {
    closure(indexes, &arch(), wanted).map(|packages| packages.iter().map(|package| package.nevra()).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_order_of_packages_does_not_matter(
        specs in specs(),
        wanted in proptest::collection::vec(requirement(), 1..3),
        turns in 0usize..10,
    ) {
        let wanted = parsed(&wanted);
        let index = make(&specs);
        let mut packages: Vec<_> = index.packages().cloned().collect();
        let first = told(&[&index], &wanted);
        prop_assert_eq!(&first, &told(&[&index], &wanted));
        let places = packages.len().max(1);
        packages.rotate_left(turns % places);
        packages.reverse();
        prop_assert_eq!(first, told(&[&Index::of(packages)], &wanted));
    }

    #[test]
    fn all_that_is_asked_for_is_met_and_nothing_else_is_there(
        specs in specs(),
        wanted in proptest::collection::vec(requirement(), 1..3),
    ) {
        let index = make(&specs);
        let wanted = parsed(&wanted);
        let Ok(chosen) = closure(&[&index], &arch(), &wanted) else { return Ok(()) };
        // By themselves they are a repository in which the same can be had.
        let alone = Index::of(chosen.iter().cloned());
        prop_assert!(closure(&[&alone], &arch(), &wanted).is_ok());
        let machine = arch();
        let pool = Pool::of(vec![&alone], &machine);
        let forms: Vec<Form> = wanted.iter().map(|requirement| pool.form(requirement)).collect();
        let all: std::collections::HashSet<_> = pool.of_layers(1).into_iter().collect();
        prop_assert!(stands(&pool, &[], &forms, &all));
        // Each of them is named by another one, or by what is wanted.
        for package in &chosen {
            let others = chosen.iter().filter(|other| *other != package);
            let asked = others.flat_map(|other| other.requires.iter().chain(&other.conflicts)).chain(&wanted);
            let is_named = asked.flat_map(Requirement::leaves).any(|leaf| {
                package.provides.iter().any(|provide| leaf.is_met_by(provide))
            });
            prop_assert!(is_named, "nobody asks for {}", package.nevra());
        }
    }

    #[test]
    fn a_later_repository_changes_nothing_by_names_that_are_there(
        specs in specs(),
        other in specs(),
        wanted in proptest::collection::vec(requirement(), 1..3),
    ) {
        let (index, other) = (make(&specs), make(&other));
        let wanted = parsed(&wanted);
        let both = closure(&[&index, &other], &arch(), &wanted);
        if let Ok(chosen) = &both {
            for package in chosen {
                let first = if index.named(&package.name).next().is_some() { &index } else { &other };
                prop_assert!(first.named(&package.name).any(|one| one == package), "{}", package.nevra());
            }
        }
        // What is hidden might as well not be there.
        let seen = Index::of(other.packages().filter(|one| index.named(&one.name).next().is_none()).cloned());
        prop_assert_eq!(both, closure(&[&index, &seen], &arch(), &wanted));
        // What can be had from the first alone can be had with more behind it. Only whether a boolean conflict is about the package
        // itself, and so is none, depends on what else could be meant by it.
        let mut conflicts = index.packages().flat_map(|package| &package.conflicts);
        let are_plain = conflicts.all(|conflict| matches!(conflict, Requirement::Plain(_)));
        if are_plain && told(&[&index], &wanted).is_ok() {
            prop_assert!(told(&[&index, &other], &wanted).is_ok());
        }
    }

    #[test]
    fn what_has_nothing_to_do_with_it_changes_nothing(
        specs in specs(),
        wanted in proptest::collection::vec(requirement(), 1..3),
        more in 1usize..6,
    ) {
        let index = make(&specs);
        let wanted = parsed(&wanted);
        let others = (0..more).map(|at| {
            let name = if at % 2 == 0 { "aaa" } else { "zzz" };
            package(&format!("{name}{at}-1-1")).provides("something-else").requires(&format!("{name}{}", at / 2)).arc()
        });
        let larger = Index::of(index.packages().cloned().chain(others));
        prop_assert_eq!(told(&[&index], &wanted), told(&[&larger], &wanted));
    }

    #[test]
    fn what_cannot_be_installed_has_no_closure(specs in specs()) {
        let index = make(&specs);
        let machine = arch();
        let universe = Universe { own: &index, bases: &[], arch: &machine };
        let bad: Vec<String> = uninstallable(&universe).into_iter().map(|one| one.wanted).collect();
        for package in index.packages() {
            let itself = Dependency::exactly(&package.name, package.evr.clone());
            let found = closure(&[&index], &machine, &[Requirement::Plain(itself)]);
            prop_assert_eq!(found.is_err(), bad.contains(&package.nevra()), "{}", package.nevra());
        }
    }
}
