//! Which architectures are checked.

use rstest::rstest;
use windlass_core::rpm::Evr;

use super::gather::{Shelf, machines};
use super::*;
use windlass_core::rpm::Package;

fn package(arch: &str) -> Arc<Package> {
    Arc::new(Package {
        name: "a".to_owned(),
        evr: Evr::of_text("1-1"),
        arch: arch.to_owned(),
        source_rpm: None,
        provides: Vec::new(),
        requires: Vec::new(),
        conflicts: Vec::new(),
        obsoletes: Vec::new(),
        recommends: Vec::new(),
        files: Vec::new(),
        artifact: None,
    })
}

#[rstest]
#[case::one("x86_64 noarch", "", "", "x86_64")]
#[case::a_family("i386 i586 i686", "", "", "i686")]
#[case::two("i586 aarch64", "", "", "aarch64 i586")]
#[case::multilib("x86_64 i686 i686", "", "", "x86_64 (2 i686)")]
#[case::only_noarch("noarch", "", "", "noarch")]
#[case::nothing("", "", "", "noarch")]
#[case::said("x86_64 i686", "", "i686", "i686")]
#[case::by_place("noarch", "x86_64 i586", "", "i586 x86_64")]
#[case::by_place_and_free("ppc", "x86_64", "", "x86_64 (1 ppc)")]
fn architectures(#[case] free: &str, #[case] placed: &str, #[case] wanted: &str, #[case] expected: &str) {
    let wanted: Vec<ArchName> = wanted.split_whitespace().map(|name| name.parse().unwrap()).collect();
    let mut shelves = vec![Shelf {
        arch: None,
        packages: free.split_whitespace().map(package).collect(),
    }];
    for name in placed.split_whitespace() {
        shelves.push(Shelf {
            arch: Some(name.parse().unwrap()),
            packages: vec![package(name)],
        });
    }
    let mut notes = Vec::new();
    let machines = machines(&shelves, &wanted, &mut notes).unwrap();
    let mut found: Vec<String> = machines.iter().map(ToString::to_string).collect();
    found.extend(notes.iter().filter_map(|note| {
        let (_, rest) = note.split_once('(')?;
        Some(format!("({})", rest.split_once(')')?.0))
    }));
    assert_eq!(found.join(" "), expected);
}
