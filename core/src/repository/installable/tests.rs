use super::*;
use crate::repository::Index;
use crate::repository::tests::{Made, package};

#[test]
fn each_package_by_itself() {
    let own: Index = [
        package("a-1-1").requires("b"),
        package("b-1-1").conflicts("c"),
        package("c-1-1"),
        package("needs-both-1-1").requires("b").requires("c"),
        package("needs-none-1-1").requires("nowhere"),
        package("above-1-1").requires("needs-none"),
    ]
    .into_iter()
    .map(Made::arc)
    .collect();
    let arch = "x86_64".parse().unwrap();
    let universe = Universe {
        own: &own,
        bases: &[],
        arch: &arch,
    };
    let told: Vec<String> = uninstallable(&universe).iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(told.join("\n"), @r"
    above-1-1.x86_64 cannot be installed
      above-1-1.x86_64 needs needs-none
        needs-none is only in needs-none-1-1.x86_64, which needs nowhere
          nothing provides nowhere
    needs-both-1-1.x86_64 cannot be installed
      needs-both-1-1.x86_64 needs c
      c-1-1.x86_64 provides it, but b-1-1.x86_64 conflicts with c
        needs-both-1-1.x86_64 needs b
    needs-none-1-1.x86_64 cannot be installed
      needs-none-1-1.x86_64 needs nowhere
        nothing provides nowhere
    ");
}
