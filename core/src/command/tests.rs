//! Tests of the grammar.

use proptest::prelude::*;
use rstest::rstest;

use super::*;

fn parse(line: &str) -> Result<Command, Usage> {
    Command::parse(split::split(line.as_bytes()).unwrap())
}

/// The lines under "Examples:" of a help text, without what is said beside them.
fn examples(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != "Examples:").skip(1);
    let lines = lines.take_while(|line| line.starts_with("  "));
    lines
        .map(|line| line.trim_start().split("  ").next().unwrap_or_default().to_owned())
        .collect()
}

fn help_texts(command: &clap::Command, found: &mut Vec<(String, String)>) {
    let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let name = command.get_bin_name().unwrap_or_default();
    found.push((name.strip_prefix("windlass ").unwrap_or_default().to_owned(), text));
    command.get_subcommands().for_each(|sub| help_texts(sub, found));
}

#[test]
fn the_grammar_holds_together() {
    grammar().debug_assert();
}

#[test]
fn every_example_parses_and_every_command_has_one() {
    let mut found = Vec::new();
    let mut grammar = grammar();
    grammar.build();
    help_texts(&grammar, &mut found);
    let mut count = 0;
    for (command, text) in &found {
        for example in examples(text) {
            count += 1;
            let parsed = parse(&example);
            assert!(parsed.is_ok(), "{command}: {example}: {parsed:?}");
            assert!(example.starts_with(command), "{example} is no example of {command}");
        }
    }
    assert!(count > 40, "only {count} examples were found");
    let without: Vec<&str> = found
        .iter()
        .filter(|(command, text)| {
            examples(text).is_empty() && !command.starts_with("help") && command.matches(' ').count() == 1
        })
        .map(|(command, _)| command.as_str())
        .collect();
    assert!(without.is_empty(), "no examples: {without:?}");
}

#[rstest]
#[case("task add repo hello 1.0-alt1", None)]
#[case("task add 7 repo hello 1.0-alt1", Some(7))]
#[case("task add #7 repo hello 1.0-alt1", Some(7))]
#[case("task add 7 --dry-run repo hello 1.0-alt1 --json", Some(7))]
fn an_omitted_id_of_add(#[case] line: &str, #[case] expected: Option<u64>) {
    let Ok(Command::Task(TaskCommand::Add { id, what, .. })) = parse(line) else {
        panic!("{line}: {:?}", parse(line));
    };
    assert_eq!(id.map(crate::id::TaskId::get), expected);
    let source = "hello".parse().unwrap();
    let tag = "1.0-alt1".parse().unwrap();
    assert_eq!(what, Addition::Repo { source, tag });
}

#[rstest]
#[case("task delsub 2", None, 2)]
#[case("task delsub 7 2", Some(7), 2)]
fn an_omitted_id_of_delsub(#[case] line: &str, #[case] task: Option<u64>, #[case] subtask: u32) {
    let Ok(Command::Task(TaskCommand::Delsub { id, number, .. })) = parse(line) else {
        panic!("{line}: {:?}", parse(line));
    };
    assert_eq!((id.map(crate::id::TaskId::get), number.0), (task, subtask));
}

#[rstest]
#[case("task share", None, None)]
#[case("task share off", None, Some(Switch::Off))]
#[case("task share 7", Some(7), None)]
#[case("task share 7 on", Some(7), Some(Switch::On))]
fn omitted_words_of_share(#[case] line: &str, #[case] task: Option<u64>, #[case] expected: Option<Switch>) {
    let Ok(Command::Task(TaskCommand::Share { id, switch, .. })) = parse(line) else {
        panic!("{line}: {:?}", parse(line));
    };
    assert_eq!((id.map(crate::id::TaskId::get), switch), (task, expected));
}

#[rstest]
#[case("task rm")]
#[case("task abort")]
#[case("task approve 1 -m because")]
#[case("task disapprove all -m because")]
fn some_commands_never_take_an_implicit_id(#[case] line: &str) {
    assert_eq!(parse(line).unwrap_err().exit, 2);
}

#[test]
fn a_package_may_be_called_like_a_verb() {
    let Ok(Command::Acl(acl)) = parse("acl sisyphus show add alice") else {
        panic!("{:?}", parse("acl sisyphus show add alice"));
    };
    assert_eq!(acl.subject.to_string(), "show");
    assert_eq!(acl.change, AclChange::Add(vec!["alice".parse().unwrap()]));
}

#[rstest]
#[case("acl sisyphus hello leader alice bob", "'leader' needs exactly one name")]
#[case("acl sisyphus hello add", "'add' needs at least one name")]
#[case("acl sisyphus hello show bob", "'show' takes no names")]
#[case("acl sisyphus hello add ../x", "'../x' is no user name")]
#[case("acl sisyphus @everybody show", "@everybody and @nobody have no list of their own")]
#[case("acl sisyphus hello lead bob", "tip: a similar value exists: 'leader'")]
#[case("build hello", "'hello' is given without a tag")]
#[case("build hello 1.0-alt1 shared/bar", "'shared/bar' is given without a tag")]
#[case("build ../hello 1.0-alt1", "'../hello' is no source repository")]
#[case("build hello refs/tags/1.0-alt1", "'refs/tags/1.0-alt1' is no tag name")]
#[case("build -- --upload-pack=touch 1.0-alt1", "is no source repository")]
#[case("build hello $(id)", "'$(id)' is no tag name")]
#[case("task add rebo hello 1.0-alt1", "tip: a similar word exists: 'repo'")]
#[case(
    "task add --request-id r-0123456789abcdef rebo hello 1.0-alt1",
    "tip: a similar word exists: 'repo'"
)]
#[case("task add 7 rebo hello 1.0-alt1", "error:")]
#[case(
    "task add 0 repo hello 1.0-alt1",
    "'0' is neither a task's number nor one of repo, del, rebuild, copy"
)]
#[case("task run 7 --test-only --commit", "cannot be used with")]
#[case("task run 7 -m 2019", "a reason has at least one letter")]
#[case("task run 7 --test-onyl", "tip: a similar argument exists: '--test-only'")]
#[case("task aprove 7", "'disapprove', 'approve'")]
#[case("taks ls", "tip: a similar subcommand exists: 'task'")]
#[case("task new --request-id 7", "is no request id")]
#[case("task ls --state=waiting", "possible values: new, awaiting, postponed")]
#[case("task approve 7 1", "--reason <REASON>")]
#[case("task show 7 --dry-run", "unexpected argument '--dry-run'")]
fn wrong_words(#[case] line: &str, #[case] said: &str) {
    let usage = parse(line).expect_err(line);
    assert_eq!(usage.exit, 2, "{}", usage.text);
    assert!(usage.text.contains(said), "{line}:\n{}", usage.text);
    assert!(!usage.text.contains("\n\n\n"), "{}", usage.text);
}

#[rstest]
#[case("help")]
#[case("help task add")]
#[case("--help")]
#[case("task --help")]
#[case("task add 7 repo --help")]
#[case("build -h")]
fn help_is_no_mistake(#[case] line: &str) {
    let usage = parse(line).unwrap_err();
    assert_eq!(usage.exit, 0, "{}", usage.text);
    assert!(usage.text.contains("Usage: "));
    assert!(
        usage.text.lines().all(|line| line.chars().count() <= 100),
        "{}",
        usage.text
    );
}

#[test]
fn what_cannot_be_printed_is_refused_and_shown_escaped() {
    let usage = Command::parse(["task", "run", "-m", "x\u{1b}[2J\u{202e}"]).unwrap_err();
    assert_eq!(
        usage.text,
        "error: 'x\\u{1b}[2J\\u{202e}' has a character that cannot be printed\n"
    );
}

#[test]
fn the_default_of_run_is_to_land() {
    let Ok(Command::Task(TaskCommand::Run {
        test_only, fail_late, ..
    })) = parse("task run")
    else {
        panic!("task run does not parse");
    };
    assert!(!test_only && !fail_late);
}

#[test]
fn a_command_knows_whether_it_writes() {
    for (line, reads) in [
        ("task show 7", true),
        ("task deps show", true),
        ("task deps clear", false),
        ("acl sisyphus hello show", true),
        ("acl sisyphus hello add bob", false),
        ("pushers hello show", true),
        ("build hello 1.0-alt1", false),
    ] {
        assert_eq!(parse(line).unwrap().is_read(), reads, "{line}");
    }
    assert!(parse("acl sisyphus hello show --json").unwrap().json());
    assert!(parse("build hello 1.0-alt1").unwrap().can_wait());
    assert!(!parse("task new").unwrap().can_wait());
}

proptest! {
    #[test]
    fn a_rendered_command_parses_to_itself(command in strategies::command()) {
        let words = command.words();
        prop_assert_eq!(Command::parse(words.clone()), Ok(command.clone()), "{:?}", words);
        // And by way of a line over ssh.
        let line = split::join(&words);
        prop_assert_eq!(Command::parse(split::split(line.as_bytes()).unwrap()), Ok(command));
    }
}

#[test]
fn any_line_is_a_command_or_usage() {
    bolero::check!().with_type::<Vec<u8>>().for_each(|line| {
        if let Ok(words) = split::split(line)
            && let Err(usage) = Command::parse(words)
        {
            assert!(usage.text.chars().all(|c| c == '\n' || is_plain(c)), "{:?}", usage.text);
        }
    });
}

/// Lines that nearly are commands reach further into the grammar than bytes do.
#[test]
fn any_words_are_a_command_or_usage() {
    const WORDS: [&str; 24] = [
        "task",
        "add",
        "repo",
        "del",
        "copy",
        "deps",
        "share",
        "on",
        "run",
        "-m",
        "--json",
        "--dry-run",
        "--request-id",
        "build",
        "-b",
        "acl",
        "leader",
        "@maint",
        "7",
        "hello",
        "1.0-alt1",
        "--",
        "-x",
        "help",
    ];
    bolero::check!().with_type::<Vec<u8>>().for_each(|picks| {
        let words: Vec<&str> = picks
            .iter()
            .take(12)
            .map(|pick| WORDS[usize::from(*pick) % WORDS.len()])
            .collect();
        if let Ok(command) = Command::parse(words) {
            assert_eq!(Command::parse(command.words()), Ok(command));
        }
    });
}
