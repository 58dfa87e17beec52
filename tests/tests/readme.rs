//! The README is true: every command in it is run, and prints what stands there.

use std::fmt::Write as _;

use anyhow::Context as _;
use windlass_tests::normal::normalised;
use windlass_tests::pipeline::cannot_build;
use windlass_tests::process::Cmd;
use windlass_tests::programs::{Programs, workspace};
use windlass_tests::skipped;

/// A command of the README and what it prints there.
struct Shown {
    command: String,
    output: Vec<String>,
}

#[test]
fn every_command_by_hand_prints_what_the_readme_says() -> anyhow::Result<()> {
    if let Some(why) = cannot_build() {
        skipped(&why);
        return Ok(());
    }
    let text = std::fs::read_to_string(workspace()?.join("README.md"))?;
    let commands = commands(&text);
    assert!(commands.len() >= 10, "the section has lost its commands");
    let home = tempfile::tempdir()?;
    let windlass = Programs::built()?.windlass;
    let bin = windlass.parent().context("a program lies in a folder")?;
    let path = format!("{}:{}", bin.display(), std::env::var("PATH")?);
    let config = "[user]\n\tname = Alice\n\temail = alice@example.org\n[init]\n\tdefaultBranch = main\n";
    std::fs::write(home.path().join(".gitconfig"), config)?;

    // One shell for all, as a person has it. Where a person takes a breath, it waits for the daemon's socket.
    let mut script = "trap 'kill %1; gpgconf --kill gpg-agent' EXIT\nexec 2>&1\n".to_owned();
    for (number, shown) in commands.iter().enumerate() {
        writeln!(script, "echo '@@{number}'\n{}", shown.command)?;
        if shown.command.ends_with('&') {
            script.push_str("until [ -S ~/windlass/run/bot.sock ]; do read -rt 0.01 <> <(:); done\n");
        }
    }
    // Not ~/.gnupg: there gpg would ask the agent of whoever runs this, and leave its keys with it.
    let gnupg = home.path().join("gnupg");
    windlass_tests::people::private_folder(&gnupg)?;
    let ran = Cmd::new("bash")
        .arg("-c")
        .arg(script)
        .env("HOME", home.path())
        .env("GNUPGHOME", gnupg)
        .env("PATH", path)
        .dir(home.path())
        .run()?;
    let owner = Cmd::new("id").arg("-un").run()?.line();
    let group = Cmd::new("id").arg("-gn").run()?.line();
    let known = [
        (home.path().display().to_string(), "/home/alice".to_owned()),
        (format!("{owner}:{group}"), "alice:alice".to_owned()),
    ];
    let printed = ran.out();
    let mut rest = printed.as_str();
    for (number, shown) in commands.iter().enumerate() {
        let from = rest
            .split_once(&format!("@@{number}\n"))
            .context("the shell ended early")?
            .1;
        let own = from.split("@@").next().unwrap_or_default();
        rest = from;
        let expected: Vec<String> = shown.output.iter().map(|line| line_of(line, &[])).collect();
        let got: Vec<String> = own.lines().map(|line| line_of(line, &known)).collect();
        assert!(
            matches(&expected, &got),
            "$ {}\nthe README says:\n{}\nit printed:\n{}",
            shown.command,
            expected.join("\n"),
            got.join("\n")
        );
    }
    Ok(())
}

/// A line without what differs from run to run: ids, times, and the width of a column.
fn line_of(line: &str, known: &[(String, String)]) -> String {
    let line = normalised(line, known);
    let mut words: Vec<&str> = line.split_whitespace().collect();
    for at in 1..words.len() {
        let unit = matches!(words[at], "ms" | "s");
        if unit && words[at - 1].parse::<f64>().is_ok() {
            words[at - 1] = "SOME";
            words[at] = "TIME";
        }
    }
    words.join(" ")
}

/// Whether the lines are the expected ones; `…` alone on a line stands for any lines.
fn matches(expected: &[String], got: &[String]) -> bool {
    match expected.split_first() {
        None => got.iter().all(String::is_empty),
        Some((dots, rest)) if dots == "…" => (0..=got.len()).any(|skipped| matches(rest, &got[skipped..])),
        Some((line, rest)) => got
            .split_first()
            .is_some_and(|(first, after)| line == first && matches(rest, after)),
    }
}

/// The commands in the `console` blocks of the section.
fn commands(readme: &str) -> Vec<Shown> {
    let section = readme
        .split("\n## ")
        .find(|section| section.starts_with("By hand"))
        .unwrap_or_default();
    let mut found: Vec<Shown> = Vec::new();
    let mut inside = false;
    for line in section.lines() {
        match (line, line.strip_prefix("$ ")) {
            ("```console", _) => inside = true,
            ("```", _) => inside = false,
            (_, Some(command)) if inside => found.push(Shown {
                command: command.to_owned(),
                output: Vec::new(),
            }),
            _ if inside => {
                if let Some(last) = found.last_mut() {
                    last.output.push(line.to_owned());
                }
            }
            _ => {}
        }
    }
    found
}
