//! Setting up: the plan, what it makes, a second run, files that were edited.

use insta::assert_snapshot;

use crate::world::{World, mode, mode_of, squeezed};

const ONE_USER: [&str; 6] = ["init", "--yes", "--one-user", "alice", "--architecture", "x86_64"];

#[test]
fn one_user_is_set_up_and_told_what_comes_next() {
    let world = World::bare();
    assert_snapshot!(squeezed(&world.windlass(ONE_USER).all()), @r"
    Windlass for one user, below WORLD/home/windlass:
      create  0755  ME  WORLD/home/windlass/  everything
      create  0750  ME  WORLD/home/windlass/people/  one file a person
      create  0750  ME  WORLD/home/windlass/git/  the source repositories
      create  0750  ME  WORLD/home/windlass/git/people/  people's own
      create  0750  ME  WORLD/home/windlass/git/shared/  shared ones
      create  0700  ME  WORLD/home/windlass/git/.ssh/  authorized_keys
      create  0750  ME  WORLD/home/windlass/git/.windlass/  what hooks and ssh door keep
      create  0750  ME  WORLD/home/windlass/git/.windlass/claims/  the replay ledger
      create  1730  ME  WORLD/home/windlass/spool/  requests that wait
      create  0750  ME  WORLD/home/windlass/run/  the socket
      create  0700  ME  WORLD/home/windlass/state/  the journal
      create  0700  ME  WORLD/home/windlass/state/keys/  the repositories' signing keys
      create  0755  ME  WORLD/home/windlass/repos/  packages and generations
      create  0644  ME  WORLD/home/windlass/windlass.toml  the configuration

    Next:
      export WINDLASS_CONFIG='WORLD/home/windlass/windlass.toml'  # this set-up, not the machine's
      windlass people add alice --address … --openpgp FILE  # who you are
      windlass serve  # the daemon, in another terminal
      windlass init-repo hello  # a source repository to push to
      windlass doctor  # whether all is well
    ---- stderr, exit code 0

    Done: 14 of 14 steps.
    ");
    assert_eq!(mode_of(&world.root("spool")), 0o1730);
    assert_eq!(mode_of(&world.root("state")), 0o700);
    assert_snapshot!(world.windlass(["config", "check"]).all(), @r"
    WORLD/home/windlass/windlass.toml: good; repository main
    ---- stderr, exit code 0
    ");
}

#[test]
fn a_second_run_changes_nothing_and_says_so() {
    let world = World::new();
    let before = std::fs::metadata(world.root("windlass.toml"))
        .unwrap()
        .modified()
        .unwrap();
    let again = world.windlass(ONE_USER);
    assert_eq!(again.code, 0);
    assert!(
        again.stdout.lines().skip(1).all(|line| line.starts_with("  same ")),
        "{}",
        again.stdout
    );
    assert_eq!(again.stderr, "\nNothing to do: everything is as it is to be.\n");
    assert_eq!(
        std::fs::metadata(world.root("windlass.toml"))
            .unwrap()
            .modified()
            .unwrap(),
        before
    );
}

#[test]
fn what_was_edited_is_shown_and_stays() {
    let world = World::new();
    let file = world.root("windlass.toml");
    let edited = std::fs::read_to_string(&file)
        .unwrap()
        .replace("#mode = \"enforce\"", "mode = \"observe\"");
    std::fs::write(&file, &edited).unwrap();
    std::fs::remove_dir(world.root("spool")).unwrap();
    let refused = world.windlass(ONE_USER);
    assert_eq!(refused.code, 1);
    let difference = refused.stdout.split("\n\n").nth(1).unwrap();
    assert_snapshot!(format!("{difference}---- stderr\n{}", refused.stderr), @r#"
    WORLD/home/windlass/windlass.toml was edited ('-' is there, '+' would be written):
      [signing]
      # "enforce" refuses what is not good; "observe" tells and records it and lets it pass (it is never built).
    - mode = "observe"
    + #mode = "enforce"
      # Tags with such names are versions to be built, and always judged. '*' is any characters but '/', '?' one of them.
      #build_tags = "*-*"
    ---- stderr
    windlass: refused: not overwritten, since it was edited: 'WORLD/home/windlass/windlass.toml' [edited]

    hint: nothing was changed; `--keep-edited` keeps it and does the rest, or move it away
    "#);
    assert!(!world.root("spool").exists(), "nothing was changed");

    let kept = world.windlass(ONE_USER.into_iter().chain(["--keep-edited"]));
    assert_eq!(kept.code, 0, "{}", kept.all());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), edited);
    assert_eq!(mode_of(&world.root("spool")), 0o1730);
}

#[test]
fn permissions_are_mended() {
    let world = World::new();
    mode(&world.root("state"), 0o755);
    let mended = world.windlass(ONE_USER);
    assert!(mended.stdout.contains("mend    0700  "), "{}", mended.stdout);
    assert!(mended.stdout.contains("(now 0755 ME)"), "{}", mended.stdout);
    assert_eq!(mode_of(&world.root("state")), 0o700);
}

#[test]
fn a_server_is_planned_with_units_and_printed_without_a_change() {
    let world = World::bare();
    let (units, sshd) = (world.path("units"), world.path("sshd"));
    let words = [
        "init",
        "--dry-run",
        "--git-user",
        "w-git",
        "--bot-user",
        "w-bot",
        "--repository",
        "sisyphus",
        "--repository",
        "p11",
        "--unit-dir",
        units.to_str().unwrap(),
        "--sshd-dir",
        sshd.to_str().unwrap(),
        "--dir",
        "/srv/windlass",
    ];
    let planned = world.windlass(words);
    let planned = squeezed(&planned.all()).replace("ME", "root:root");
    assert_snapshot!(planned, @r"
    Windlass for a server, below /srv/windlass:
      create  user  w-git  home /srv/windlass/git
      create  user  w-bot  home /srv/windlass/state, in the group of w-git
      create  0755  root:root  /srv/windlass/  everything
      create  0750  w-bot:w-git  /srv/windlass/people/  one file a person
      create  0750  w-git:w-git  /srv/windlass/git/  the source repositories
      create  0750  w-git:w-git  /srv/windlass/git/people/  people's own
      create  0750  w-git:w-git  /srv/windlass/git/shared/  shared ones
      create  0700  w-git:w-git  /srv/windlass/git/.ssh/  authorized_keys
      create  0750  w-git:w-git  /srv/windlass/git/.windlass/  what hooks and ssh door keep
      create  0750  w-git:w-git  /srv/windlass/git/.windlass/claims/  the replay ledger
      create  1730  w-bot:w-git  /srv/windlass/spool/  requests that wait
      create  0750  w-bot:w-git  /srv/windlass/run/  the socket
      create  0700  w-bot:w-bot  /srv/windlass/state/  the journal
      create  0700  w-bot:w-bot  /srv/windlass/state/keys/  the repositories' signing keys
      create  0755  w-bot:w-bot  /srv/windlass/repos/  packages and generations
      create  0644  root:root  WORLD/home/windlass/windlass.toml  the configuration
      create  0644  root:root  WORLD/units/windlass.service  the daemon's unit
      create  0644  root:root  WORLD/sshd/50-windlass.conf  the ssh door
    ---- stderr, exit code 0

    Nothing was changed (--dry-run).
    ");
    assert!(!units.exists() && !sshd.exists());
}

#[test]
fn what_cannot_be_asked_has_to_be_given() {
    let world = World::bare();
    assert_snapshot!(world.windlass(["init"]).all(), @r"
    ---- stderr, exit code 2
    windlass: this is no terminal, so nothing can be asked

    hint: `windlass init --yes …` takes the answers from the flags, `--dry-run` prints the plan
    ");
    assert_snapshot!(world.windlass(["init", "--yes", "--one-user", "Alice"]).all(), @r"
    ---- stderr, exit code 2
    error: invalid value 'Alice' for '--one-user <NAME>': 'Alice' is no user name: lower-case letters, digits, '_' and '-', a letter first, at most 32 characters

    For more information, try '--help'.
    ");
}
