//! An instruction in one line: for an image's history, and for messages.

use windlass_core::escape::escaped;
use windlass_core::image::dockerfile::instruction::{
    Argument, CommandLine, Healthcheck, Kind, Pair, Source, Transfer, Trigger,
};

/// The longest line in a message.
const LONGEST: usize = 120;

/// The instruction as people write it, with its variables filled in.
pub(super) fn line(kind: &Kind) -> String {
    let rest = match kind {
        Kind::Add(add) => transfer("", &add.transfer),
        Kind::Copy(copy) => {
            let from = copy.from.as_ref().map(|from| format!("--from={from} "));
            transfer(from.as_deref().unwrap_or(""), &copy.transfer)
        }
        Kind::Arg(arguments) => arguments.iter().map(argument).collect::<Vec<_>>().join(" "),
        Kind::Cmd(command) | Kind::Entrypoint(command) => command_line(command),
        Kind::Env(pairs) | Kind::Label(pairs) => pairs.iter().map(pair).collect::<Vec<_>>().join(" "),
        Kind::Expose(words) | Kind::Volume(words) => words.join(" "),
        Kind::Healthcheck(Healthcheck::None) => "NONE".to_owned(),
        Kind::Healthcheck(Healthcheck::Command { command, .. }) => format!("CMD {}", command_line(command)),
        Kind::Maintainer(text)
        | Kind::Stopsignal(text)
        | Kind::User(text)
        | Kind::Workdir(text)
        | Kind::Onbuild(Trigger { text, .. }) => text.clone(),
        Kind::Run(run) => command_line(&run.command),
        Kind::Shell(words) => list(words),
    };
    format!("{} {rest}", kind.name())
}

/// The same, shortened and escaped.
pub(super) fn shown(kind: &Kind) -> String {
    let line = escaped(&line(kind));
    if line.chars().count() <= LONGEST {
        return line;
    }
    line.chars().take(LONGEST).chain(['…']).collect()
}

fn transfer(from: &str, transfer: &Transfer) -> String {
    let flag = |name: &str, value: &Option<String>| value.as_ref().map(|value| format!("--{name}={value} "));
    let flags = [flag("chown", &transfer.chown), flag("chmod", &transfer.chmod)];
    let sources = transfer.sources.iter().map(|source| match source {
        Source::Path(path) => format!("{path} "),
        Source::Inline(heredoc) => format!("<<{} ", heredoc.name),
    });
    let before: String = flags.into_iter().flatten().chain(sources).collect();
    format!("{from}{before}{}", transfer.destination)
}

fn argument(argument: &Argument) -> String {
    match &argument.default {
        Some(value) => format!("{}={value}", argument.name),
        None => argument.name.clone(),
    }
}

fn pair(pair: &Pair) -> String {
    format!("{}={}", pair.name, pair.value)
}

fn command_line(command: &CommandLine) -> String {
    match command {
        CommandLine::Exec(words) => list(words),
        CommandLine::Shell(text) => text.clone(),
    }
}

fn list(words: &[String]) -> String {
    serde_json::to_string(words).unwrap_or_default()
}
