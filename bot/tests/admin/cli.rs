//! The command line itself: exit codes, help whose examples parse, pages and completions of the whole grammar.

use insta::assert_snapshot;

use crate::world::World;

#[test]
fn exit_codes_say_what_kind_of_trouble_it_is() {
    let world = World::new();
    assert_eq!(world.windlass(["config", "check"]).code, 0);
    assert_eq!(world.windlass(["people", "show", "nobody"]).code, 1);
    assert_eq!(world.windlass(["people", "shwo", "nobody"]).code, 2);
    std::fs::remove_file(world.root("windlass.toml")).unwrap();
    assert_snapshot!(world.windlass(["people", "ls"]).all(), @r"
    ---- stderr, exit code 3
    windlass: cannot read the configuration 'WORLD/home/windlass/windlass.toml': No such file or directory (os error 2)

    hint: `windlass init` writes one; --config FILE or WINDLASS_CONFIG names another
    ");
}

#[test]
fn a_wrong_configuration_is_told_whole() {
    let world = World::new();
    std::fs::write(
        world.root("windlass.toml"),
        "[paths]\nroot = \"relative\"\n[signing]\nmax_refs = 0\n",
    )
    .unwrap();
    assert_snapshot!(world.windlass(["config", "check"]).all(), @r#"
    ---- stderr, exit code 1
    windlass: WORLD/home/windlass/windlass.toml:2:8: 'root' is no absolute path: 'relative'
      2 | root = "relative"
        |        ^^^^^^^^^^
    hint: write it from '/' on: hooks, ssh door and daemon start in different directories

    WORLD/home/windlass/windlass.toml:4:12: 'max_refs' is 0: nothing could be pushed
      4 | max_refs = 0
        |            ^
    "#);
    assert_snapshot!(world.windlass(["config", "check", "--json"]).all(), @r#"
    {
      "file": "WORLD/home/windlass/windlass.toml",
      "problems": [
        {
          "column": 8,
          "hint": "write it from '/' on: hooks, ssh door and daemon start in different directories",
          "line": 2,
          "message": "'root' is no absolute path: 'relative'",
          "width": 10
        },
        {
          "column": 12,
          "hint": null,
          "line": 4,
          "message": "'max_refs' is 0: nothing could be pushed",
          "width": 1
        }
      ]
    }
    ---- stderr, exit code 1
    "#);
}

#[test]
fn there_is_a_page_for_every_command() {
    let world = World::new();
    let pages = world.path("man");
    world.done(["man", pages.to_str().unwrap()]);
    let page = std::fs::read_to_string(pages.join("windlass-people-add.1")).unwrap();
    assert!(
        page.contains("windlass people add alice") && page.contains("windlass 0."),
        "{page}"
    );
    assert!(world.done(["man"]).contains("windlass"));
    for shell in ["bash", "zsh", "fish"] {
        assert!(
            world.done(["completions", shell]).contains("authorized-keys"),
            "{shell}"
        );
    }
}

#[test]
fn the_examples_of_every_help_parse() {
    let mut count = 0;
    examples(&windlass::cli::grammar(), &mut count);
    assert!(count > 40, "{count} examples were found");
}

/// Parses the lines of a command's help that begin with `windlass`, up to a comment, a pipe or another command.
fn examples(command: &clap::Command, count: &mut usize) {
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    for line in help.lines() {
        let Some(at) = line.find("windlass ").filter(|at| *at <= 2) else {
            continue;
        };
        // What the shell puts in stands for one word.
        let (before, rest) = line[at..].split_once("$(").unwrap_or((&line[at..], ""));
        let line_of_one = format!("{before}{}", rest.split_once(')').map_or("", |(_, after)| after));
        let words: Vec<String> = line_of_one
            .split(" #")
            .next()
            .unwrap_or_default()
            .split(" 2>")
            .next()
            .unwrap_or_default()
            .split(['|', '>', '&'])
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .map(|word| word.trim_matches(['\'', '"']).to_owned())
            .collect();
        let is_example = line.starts_with("  ") && words.iter().all(|word| !word.contains('…'));
        if !is_example {
            continue;
        }
        if let Err(error) = windlass::cli::grammar().try_get_matches_from(&words) {
            panic!("{words:?}: {error}");
        }
        *count += 1;
    }
    for inner in command.get_subcommands() {
        examples(inner, count);
    }
}
