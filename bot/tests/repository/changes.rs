//! Made, filled, brought back, signed anew.

use std::collections::BTreeSet;
use std::os::unix::fs::symlink;

use insta::assert_snapshot;

use crate::world::World;

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn a_repository_has_a_life() {
    let Some(world) = World::empty("") else { return };
    assert_snapshot!(world.fails(&["repo", "ls"], 1), @"
    windlass: repository main was not made yet

    hint: windlass repo init -b main
    ");
    for words in [
        &["repo", "log"][..],
        &["repo", "verify"],
        &["repo", "gc"],
        &["repo", "key", "show"],
    ] {
        assert!(world.fails(words, 1).contains("was not made yet"), "{words:?}");
    }
    assert!(
        world
            .fails(&["repo", "import", &world.tree("one")], 1)
            .contains("was not made yet")
    );
    assert_eq!(world.done(&["repo", "init"]), "main: generation 1, +0 -0\n");
    assert!(
        world
            .fails(&["repo", "init"], 1)
            .contains("is there already: generation 1")
    );
    world.is_whole("made");

    let tree = world.tree("one");
    let meant = world.done(&["repo", "import", &tree, "--dry-run"]);
    assert_eq!(meant, "would make a new generation of main from 1: +6 -0\n");
    assert_eq!(world.current(), 1);
    assert_eq!(world.done(&["repo", "import", &tree]), "main: generation 2, +6 -0\n");
    assert!(world.fails(&["repo", "import", &tree], 1).contains("nothing_new"));
    world.done(&["repo", "import", &world.tree("two")]);
    let newest = set(&[
        "i586/bread-1.0-1",
        "i586/cheese-1.0-1",
        "i586/wine-1.0-1",
        "source/bread-1.0-1",
        "source/cheese-1.1-1",
        "source/wine-1.0-1",
        "x86_64/bread-1.0-1",
        "x86_64/cheese-1.1-1",
        "x86_64/wine-1.0-1",
    ]);
    assert_eq!(world.listed(), newest);
    assert_snapshot!(world.done(&["repo", "diff", "2", "3"]), @"
    +  i586    wine    1.0-1
    ~  x86_64  cheese  1.0-1 → 1.1-1
    +  x86_64  wine    1.0-1
    ~  source  cheese  1.0-1 → 1.1-1
    +  source  wine    1.0-1
    ");
    // An older tree takes nothing back.
    assert!(world.fails(&["repo", "import", &tree], 1).contains("nothing_new"));

    let plan = world.run(&["repo", "try", &world.tree("large"), "--remove", "wine"]);
    assert_eq!(plan.code, Some(0), "{}", plan.err);
    assert_snapshot!(plan.out, @"
    main, on generation 3:
       1  wheel  new → 1.0-1   copied
            i586, x86_64: +wheel
       2  wine   1.0-1 → gone  removed
            i586, x86_64: -wine
    ");
    let backwards = world.run(&["repo", "try", &tree]);
    assert_eq!(backwards.code, Some(1));
    assert!(backwards.err.contains("1.0-1 is lower than 1.1-1"), "{}", backwards.err);
    world.done(&["repo", "rollback", "2"]);
    world.done(&["repo", "rollback", "3"]);
    assert_eq!(world.listed(), newest);
    let before = world.json(&["repo", "key", "show", "--json"]);
    assert_eq!(world.done(&["repo", "key", "rotate"]), "main: generation 6, +9 -9\n");
    let after = world.json(&["repo", "key", "show", "--json"]);
    assert_eq!(
        (before.as_array().unwrap().len(), after.as_array().unwrap().len()),
        (1, 2)
    );
    assert_eq!(after[1], before[0]);
    // What came back from before the key was changed is signed with the new one.
    world.done(&["repo", "rollback", "2"]);
    world.is_whole("after all");
    let log = world.done(&["repo", "log"]);
    let lines = log.lines().map(|line| match line.strip_prefix("       ") {
        Some(name) => format!("  {name}\n"),
        // Without the moment.
        None => format!("{} {}\n", line[..5].trim(), &line[28..]),
    });
    assert_snapshot!(lines.collect::<Vec<_>>().concat(), @"
    7 alice went back to generation 2  (current)
      + bread-1.0-1
      + cheese-1.0-1
      - bread-1.0-1
      - cheese-1.1-1
      - wine-1.0-1
    6 alice changed the key or the form
    5 alice went back to generation 3
      + cheese-1.1-1
      + wine-1.0-1
      - cheese-1.0-1
    4 alice went back to generation 2
      + cheese-1.0-1
      - cheese-1.1-1
      - wine-1.0-1
    3 alice imported packages
      + cheese-1.1-1
      + wine-1.0-1
      - cheese-1.0-1
    2 alice imported packages
      + bread-1.0-1
      + cheese-1.0-1
    1 alice made the repository
    ");
}

#[test]
fn the_daemon_does_the_same_and_a_repeated_request_has_no_second_effect() {
    let Some(world) = World::empty("") else { return };
    let bot = world.start();
    world.done(&["repo", "init"]);
    let words = [
        "repo",
        "import",
        &world.tree("one"),
        "--request-id",
        "r-0123456789abcdef",
    ];
    let first = world.done(&words);
    assert_eq!(first, "main: generation 2, +6 -0\n");
    assert_eq!(world.done(&words), first);
    assert_eq!(world.current(), 2);
    let other = ["repo", "rollback", "1", "--request-id", "r-0123456789abcdef"];
    assert!(world.fails(&other, 1).contains("request_reused"));
    assert_eq!(bot.stop(), Some(0));
    // The answer is on record, whoever is asked.
    assert_eq!(world.done(&words), first);
    world.is_whole("after all");
}

#[test]
fn what_is_no_package_is_not_taken_in() {
    let Some(world) = World::filled("") else { return };
    let tree = world.path("tree");
    std::fs::create_dir_all(tree.join("directory.rpm")).unwrap();
    let good = crate::world::the_file(world.tree("two").as_ref(), "wine-1.0-1.noarch");
    let bytes = std::fs::read(&good).unwrap();
    std::fs::write(tree.join("cut-off.rpm"), &bytes[..bytes.len() - 10]).unwrap();
    std::fs::write(tree.join("longer.rpm"), [&bytes[..], b"more"].concat()).unwrap();
    std::fs::write(tree.join("header.rpm"), &bytes[..600]).unwrap();
    std::fs::write(tree.join("garbage.rpm"), vec![0x55; 5000]).unwrap();
    std::fs::write(tree.join("empty.rpm"), "").unwrap();
    symlink(&good, tree.join("link.rpm")).unwrap();
    symlink("/dev/zero", tree.join("device.rpm")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        tree.join("fifo.rpm"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    std::fs::copy(&good, tree.join("wine.rpm")).unwrap();
    let tree = tree.display().to_string();
    let refused = world.fails(&["repo", "import", &tree], 1);
    assert!(refused.contains("8 of 9 files cannot be taken in"), "{refused}");
    for name in [
        "cut-off", "longer", "header", "garbage", "empty", "link", "device", "fifo",
    ] {
        assert!(refused.contains(&format!("/{name}.rpm: ")), "{name}: {refused}");
    }
    assert_eq!(world.current(), 2);
    world.is_whole("refused");
    assert_eq!(
        world.done(&["repo", "import", &tree, "--skip-bad"]),
        "main: generation 3, +2 -0\n"
    );
    world.is_whole("the rest");
}

#[test]
fn somebody_else_who_writes_there_is_noticed_and_can_be_put_aside() {
    let Some(world) = World::filled("") else { return };
    world.done(&["repo", "import", &world.tree("two")]);
    // An old backup of the repository was put back.
    std::fs::remove_file(world.repo("current")).unwrap();
    symlink("generations/2", world.repo("current")).unwrap();
    for words in [
        &["repo", "rollback", "1"][..],
        &["repo", "key", "rotate"],
        &["repo", "gc"],
    ] {
        let told = world.fails(words, 3);
        assert!(
            told.contains("somebody else writes to repository main"),
            "{words:?}: {told}"
        );
        assert!(told.contains("--take-over"), "{told}");
    }
    assert!(world.fails(&["repo", "verify"], 1).contains("the journal knows 3"));
    assert_eq!(
        world.done(&["repo", "rollback", "2", "--take-over"]),
        "main: generation 4, +0 -0\n"
    );
    world.is_whole("taken over");
    // A generation out of nowhere.
    let unknown = world.repo("generations/9");
    std::fs::create_dir(&unknown).unwrap();
    assert!(world.fails(&["repo", "rollback", "1"], 3).contains("generation 9"));
    let told = world.run(&["repo", "rollback", "4", "--take-over"]);
    assert_eq!(told.code, Some(0), "{}", told.err);
    assert!(told.err.contains("moved aside: "), "{}", told.err);
    assert!(!unknown.exists());
    world.is_whole("taken over again");
}
