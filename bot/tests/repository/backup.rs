//! A backup says what of signing keys it holds, and brings them back.

use std::os::unix::fs::PermissionsExt as _;

use crate::world::{World, files};

#[test]
fn keys_are_in_a_backup_unless_they_are_left_out_and_it_says_so() {
    let Some(world) = World::filled("") else { return };
    let (with, without) = (world.path("with"), world.path("without"));
    let (with, without) = (with.to_str().unwrap(), without.to_str().unwrap());
    let told = world.run(&["backup", with]);
    assert_eq!(told.code, Some(0), "{}", told.err);
    assert!(
        told.err.contains("it holds the secret signing keys of main"),
        "{}",
        told.err
    );
    let told = world.run(&["backup", "--without-keys", without]);
    assert!(told.err.contains("it holds no signing keys"), "{}", told.err);
    assert!(
        files(without.as_ref())
            .iter()
            .all(|path| path.extension().is_none_or(|end| end != "key"))
    );
    assert!(
        !world
            .done(&["backup", "--without-keys", "--dry-run", "/nonexistent/x"])
            .contains("keys")
    );

    // The state is lost; packages and generations are there.
    std::fs::remove_dir_all(world.path("state")).unwrap();
    std::fs::create_dir(world.path("state")).unwrap();
    world.done(&["restore", "--force", with]);
    for file in files(&world.path("state/keys")) {
        assert_eq!(
            file.metadata().unwrap().permissions().mode() & 0o7777,
            0o600,
            "{}",
            file.display()
        );
    }
    world.is_whole("restored");
    world.done(&["repo", "import", &world.tree("two")]);
    world.is_whole("and it goes on");

    // Without the key nothing can be signed, and a new one is the way out.
    std::fs::remove_dir_all(world.path("state/keys")).unwrap();
    let told = world.fails(&["repo", "rollback", "2"], 3);
    assert!(
        told.contains("the signing key ") && told.contains("hint: a backup has it"),
        "{told}"
    );
    world.done(&["repo", "key", "rotate"]);
    assert_eq!(world.run(&["repo", "verify"]).code, Some(0));
}
