//! `windlass evr`: the order of versions at the command line.

use insta::assert_snapshot;

use crate::world::World;

#[test]
fn versions_are_compared_without_any_configuration() {
    let world = World::new();
    std::fs::remove_file(world.root("windlass.toml")).unwrap();
    for (a, b, sign) in [
        ("1.0-alt1", "1.0-alt2", "<"),
        ("1:0.9-alt1", "1.0-alt1", ">"),
        ("1.0~rc1", "1.0", "<"),
        ("1.0^git1", "1.0", ">"),
        ("1.01", "1.1", "="),
        ("1.0", "1.0-1", "<"),
    ] {
        assert_eq!(world.done(["evr", a, b]).trim(), sign, "{a} {b}");
    }
}

#[test]
fn what_is_no_version_is_said_and_is_bad_usage() {
    let world = World::new();
    assert_snapshot!(world.windlass(["evr", "1.0", "1.0-alt1-2"]).all(), @r"
    ---- stderr, exit code 2
    windlass: '1.0-alt1-2' is no version: version and release are letters, digits and '._+~^', with one '-' between them

    hint: windlass evr 1:2.0~rc1-alt1 1:2.0-alt1
    ");
    assert_eq!(world.windlass(["evr", "1.0"]).code, 2);
    assert_eq!(world.windlass(["evr", "", "1"]).code, 2);
}
