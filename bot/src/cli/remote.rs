//! Commands that the bot carries out: the words go to its socket as they were typed, what it answers is printed.

use std::ffi::OsString;
use std::time::Duration;

use jiff::Timestamp;
use windlass_core::command::{Command, TaskCommand};
use windlass_core::id::{RequestId, UserName};
use windlass_hooks::handover::{Answer, Conversation, HandedOver, Handover, Lost, Patience};
use windlass_hooks::settings::Settings;
use windlass_hooks::wire::{Body, Frame, Request, random_request_id};

use super::Context;
use crate::exit::{Broken, Exit, Usage};

/// How long the bot may take to answer what it need not wait for.
const PATIENCE: Patience = Patience::AtMost(Duration::from_mins(1));

/// For whom a command is given.
#[derive(Debug, Clone, clap::Args)]
pub struct Caller {
    /// For whom; `[users] local` of the configuration when left out
    #[arg(long = "as", global = true, value_name = "USER")]
    pub user: Option<UserName>,
}

/// The options of ours that may stand among the bot's words; each takes a value.
const OURS: [&str; 2] = ["--config", "--as"];

/// Sends the command line's words to the bot and prints the answer.
pub(super) fn ask(context: &mut Context, caller: &Caller) -> anyhow::Result<Exit> {
    let words = words(&context.arguments)?;
    let command = match Command::parse(words.clone()) {
        Ok(command) => command,
        Err(usage) if usage.exit == 0 => {
            context.output.data(usage.text)?;
            return Ok(Exit::Done);
        }
        Err(usage) => {
            context.output.talk(usage.text);
            return Ok(Exit::from_code(usage.exit));
        }
    };
    let config = context.config()?;
    let settings = context.settings(&config);
    let id = match command.request_id() {
        Some(id) => id.clone(),
        None => random_request_id()?,
    };
    let user = who(caller, &settings)?;
    let request = Request::new(id, Timestamp::now(), user, Body::Command { argv: words });
    let handover = Handover::new(&settings);
    if command.can_wait() {
        return match handover.deliver(&request, PATIENCE) {
            Ok(HandedOver::Answered(answer)) => told(&answer, context),
            Ok(HandedOver::Spooled { request, why }) => {
                context.output.line(request.as_str())?;
                context.output.say(format!(
                    "windlass: the bot is away ({why}); the request waits in the spool\n\nhint: windlass task show {request}"
                ));
                Ok(Exit::Done)
            }
            Err(nowhere) => Err(Broken::new(nowhere.to_string()).hint(AWAY).into()),
        };
    }
    let patience = if waits(&command) { Patience::Endless } else { PATIENCE };
    let conversation = handover.send(&request, patience).map_err(|lost| away(&lost))?;
    converse(conversation, context)
}

/// Sends words of an administrator to the bot, waits as long as it takes, and prints the answer.
pub(super) fn tell_bot(
    context: &mut Context,
    settings: &Settings,
    id: RequestId,
    user: UserName,
    words: Vec<String>,
) -> anyhow::Result<Exit> {
    let request = Request::new(id, Timestamp::now(), user, Body::Command { argv: words });
    let conversation = Handover::new(settings)
        .send(&request, Patience::Endless)
        .map_err(|lost| away(&lost))?;
    converse(conversation, context)
}

const AWAY: &str = "the bot is started with: windlass serve (or: systemctl start windlass)";

fn away(lost: &Lost) -> Broken {
    match lost {
        Lost::Connect { error, .. } if error.kind() == std::io::ErrorKind::PermissionDenied => {
            Broken::new(format!("the bot's door is not open to you: {lost}"))
                .hint("over ssh: ssh git@HOST task …; here: as root, or as the daemon's user")
        }
        Lost::Connect { .. } => Broken::new(format!("the bot does not answer: {lost}")).hint(AWAY),
        Lost::Broken(_) | Lost::Slow(_) | Lost::Unable(_) | Lost::CallerGone | Lost::Wire(_) => {
            Broken::new(format!("the bot did not answer to the end: {lost}"))
                .hint("the same --request-id ID again gets the same answer and has no second effect")
        }
    }
}

/// Prints frames as they come.
fn converse(mut conversation: Conversation, context: &mut Context) -> anyhow::Result<Exit> {
    loop {
        match conversation.next_frame().map_err(|lost| away(&lost))? {
            Frame::Out(text) => context.output.data(text)?,
            Frame::Err(text) => context.output.talk(text),
            Frame::Accepted { .. } => {}
            Frame::Exit(code) => return Ok(Exit::from_code(code)),
        }
    }
}

fn told(answer: &Answer, context: &mut Context) -> anyhow::Result<Exit> {
    for frame in &answer.talk {
        match frame {
            Frame::Out(text) => context.output.data(text)?,
            Frame::Err(text) => context.output.talk(text),
            Frame::Accepted { .. } | Frame::Exit(_) => {}
        }
    }
    let Some(code) = answer.exit else {
        context
            .output
            .say("windlass: the connection broke after the request was taken; it is on record");
        return Ok(Exit::Done);
    };
    Ok(Exit::from_code(code))
}

/// Whether the answer may take for ever.
fn waits(command: &Command) -> bool {
    matches!(
        command,
        Command::Task(TaskCommand::Wait { .. } | TaskCommand::Log { follow: true, .. })
    )
}

pub(super) fn who(caller: &Caller, settings: &Settings) -> Result<UserName, Usage> {
    caller
        .user
        .clone()
        .or_else(|| settings.users.local.clone())
        .ok_or_else(|| {
            Usage::new("for whom is this?")
                .hint("windlass … --as USER, or `local = \"USER\"` under [users] in the configuration")
        })
}

/// The words of the bot's command: what was typed from its name on, without our own options.
fn words(arguments: &[OsString]) -> Result<Vec<String>, Usage> {
    let mut words = Vec::new();
    let mut rest = arguments.iter().skip(1);
    let mut options_end = false;
    while let Some(argument) = rest.next() {
        let word = argument
            .to_str()
            .ok_or_else(|| Usage::new(format!("'{}' is no UTF-8", argument.display())))?;
        options_end |= word == "--" && !words.is_empty();
        if !options_end && OURS.contains(&word) {
            rest.next();
        } else if options_end
            || !OURS
                .iter()
                .any(|ours| word.strip_prefix(ours).is_some_and(|v| v.starts_with('=')))
        {
            words.push(word.to_owned());
        }
    }
    Ok(words)
}

/// What is wrong with the words for the bot, if they are for the bot and something is.
pub(super) fn mistake(arguments: &[OsString]) -> Option<String> {
    let words = words(arguments).ok()?;
    if !["task", "build", "job", "device", "acl"].contains(&words.first()?.as_str()) {
        return None;
    }
    if words[0] == "device"
        && words
            .get(1)
            .is_some_and(|word| super::device::OWN.contains(&word.as_str()))
    {
        return None;
    }
    let usage = Command::parse(words).err()?;
    (usage.exit != 0).then_some(usage.text)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(&["windlass", "task", "ls"], &["task", "ls"])]
    #[case(&["windlass", "--config", "task", "task", "ls", "--json"], &["task", "ls", "--json"])]
    #[case(&["windlass", "--config=x", "task", "--as", "bob", "add", "repo", "x", "1-1"], &["task", "add", "repo", "x", "1-1"])]
    #[case(&["windlass", "build", "x", "1-1", "--as=bob"], &["build", "x", "1-1"])]
    #[case(&["windlass", "task", "run", "-m", "--", "--as", "x"], &["task", "run", "-m", "--", "--as", "x"])]
    fn our_options_stay_here(#[case] given: &[&str], #[case] expected: &[&str]) {
        let arguments: Vec<OsString> = given.iter().map(Into::into).collect();
        assert_eq!(words(&arguments).unwrap(), expected);
    }
    #[rstest]
    #[case(&["windlass", "task", "--as", "bob", "add", "rebo", "x", "1-1"], Some("a similar word exists: 'repo'"))]
    #[case(&["windlass", "task", "add", "repo", "x", "1-1"], None)]
    #[case(&["windlass", "people", "ad"], None)]
    #[case(&["windlass"], None)]
    fn a_mistake_in_the_bots_words(#[case] given: &[&str], #[case] said: Option<&str>) {
        let arguments: Vec<OsString> = given.iter().map(Into::into).collect();
        let mistake = mistake(&arguments);
        assert_eq!(mistake.is_some(), said.is_some(), "{mistake:?}");
        assert!(said.is_none_or(|said| mistake.is_some_and(|mistake| mistake.contains(said))));
    }
}
