//! `windlass hooks` on real repositories: what is planned, done, said, and taken out again.

use insta::assert_snapshot;

use crate::world::{World, mode};

#[test]
fn hooks_are_planned_installed_and_taken_out() {
    let world = World::new();
    let repository = world.repository("hello");
    assert_snapshot!(world.windlass(["hooks", "status"]).all(), @r"
    people/alice/packages/hello.git: OPEN
      pre-receive: missing: every push passes
      post-receive: missing: every push passes
      receive.fsckObjects: not set, to be true
      receive.fsck.extraHeaderEntry: not set, to be error
      receive.fsck.badTagName: not set, to be error
      receive.fsck.missingTaggerEntry: not set, to be error
      receive.maxInputSize: not set, to be 536870912
      receive.hideRefs: not set, to be refs/replace
      receive.advertisePushOptions: not set, to be true
    ---- stderr, exit code 1

    1 of 1 repositories are not as they are to be.

    hint: windlass hooks install --all
    ");
    assert_snapshot!(world.windlass(["hooks", "install", "alice/hello", "--dry-run"]).all(), @r"
    people/alice/packages/hello.git: write WORLD/home/windlass/git/people/alice/packages/hello.git/hooks/pre-receive
    people/alice/packages/hello.git: write WORLD/home/windlass/git/people/alice/packages/hello.git/hooks/post-receive
    people/alice/packages/hello.git: git config receive.fsckObjects true
    people/alice/packages/hello.git: git config receive.fsck.extraHeaderEntry error
    people/alice/packages/hello.git: git config receive.fsck.badTagName error
    people/alice/packages/hello.git: git config receive.fsck.missingTaggerEntry error
    people/alice/packages/hello.git: git config receive.maxInputSize 536870912
    people/alice/packages/hello.git: git config --add receive.hideRefs refs/replace
    people/alice/packages/hello.git: git config receive.advertisePushOptions true
    ---- stderr, exit code 0
    1 of 1 repositories would be changed (--dry-run).
    ");
    assert!(!repository.join("hooks").exists());
    world.done(["hooks", "install", repository.to_str().unwrap()]);
    assert_snapshot!(world.windlass(["hooks", "install", "--all"]).all(), @r"
    ---- stderr, exit code 0
    Nothing to do: 1 of 1 repositories are as they are to be.
    ");
    assert_snapshot!(world.windlass(["hooks", "status"]).all(), @r"
    people/alice/packages/hello.git: good
    ---- stderr, exit code 0
    ");
    assert_snapshot!(world.windlass(["hooks", "uninstall", "alice/hello"]).all(), @r"
    people/alice/packages/hello.git: remove WORLD/home/windlass/git/people/alice/packages/hello.git/hooks/pre-receive
    people/alice/packages/hello.git: remove WORLD/home/windlass/git/people/alice/packages/hello.git/hooks/post-receive
    ---- stderr, exit code 0
    1 of 1 repositories changed.
    ");
    assert_eq!(world.windlass(["hooks", "status"]).code, 1);
}

#[test]
fn a_hook_that_was_there_is_kept_and_comes_back() {
    let world = World::new();
    let repository = world.repository("hello");
    let theirs = repository.join("hooks/pre-receive");
    std::fs::create_dir(repository.join("hooks")).unwrap();
    std::fs::write(&theirs, "#!/bin/sh\necho theirs\n").unwrap();
    mode(&theirs, 0o755);
    world.done(["hooks", "install", "alice/hello"]);
    assert!(
        std::fs::read_to_string(&theirs)
            .unwrap()
            .contains("windlass-hook' --config")
    );
    world.done(["hooks", "uninstall", "--all"]);
    assert_eq!(std::fs::read_to_string(&theirs).unwrap(), "#!/bin/sh\necho theirs\n");
}

#[test]
fn one_directory_of_hooks_may_serve_all() {
    let world = World::new();
    let (one, other) = (world.repository("one"), world.repository("other"));
    let shared = world.path("hooks");
    let words = ["hooks", "install", "--all", "--hooks-path", shared.to_str().unwrap()];
    assert_snapshot!(world.windlass(words).all(), @r"
    write WORLD/hooks/pre-receive
    write WORLD/hooks/post-receive
    people/alice/packages/one.git: git config core.hooksPath WORLD/hooks
    people/alice/packages/one.git: lay hooks as a link to WORLD/hooks
    people/alice/packages/other.git: git config core.hooksPath WORLD/hooks
    people/alice/packages/other.git: lay hooks as a link to WORLD/hooks
    ---- stderr, exit code 0
    2 of 2 repositories to use WORLD/hooks, 0 failed.
    ");
    assert_eq!(
        world.done(["hooks", "status"]),
        "people/alice/packages/one.git: good\npeople/alice/packages/other.git: good\n"
    );
    let set = world.git(["--git-dir", one.to_str().unwrap(), "config", "core.hooksPath"]);
    assert_eq!(set.trim(), shared.to_str().unwrap());
    assert_eq!(other.join("hooks").read_link().unwrap(), shared);
    let again = world.windlass(words);
    assert_eq!((again.code, again.stdout.as_str()), (0, ""));
    // Taking out of one must not take out of all.
    let refused = world.windlass(["hooks", "uninstall", "alice/one"]);
    assert_eq!(refused.code, 3, "{}", refused.all());
    assert!(shared.join("pre-receive").exists());
}

#[test]
fn hooks_of_somebody_are_not_put_out_of_use() {
    let world = World::new();
    let repository = world.repository("hello");
    std::fs::create_dir(repository.join("hooks")).unwrap();
    std::fs::write(repository.join("hooks/update"), "#!/bin/sh\n").unwrap();
    let shared = world.path("hooks");
    let refused = world.windlass([
        "hooks",
        "install",
        "alice/hello",
        "--hooks-path",
        shared.to_str().unwrap(),
    ]);
    assert_snapshot!(refused.all(), @r"
    write WORLD/hooks/pre-receive
    write WORLD/hooks/post-receive
    ---- stderr, exit code 1
    windlass: refused: 'WORLD/home/windlass/git/people/alice/packages/hello.git/hooks/update' would no longer run [foreign_hook]

    hint: without --hooks-path it is kept and chained
    0 of 1 repositories to use WORLD/hooks, 1 failed.
    ");
    assert!(repository.join("hooks").is_dir() && !repository.join("hooks").is_symlink());
}
