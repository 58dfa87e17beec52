//! `post-receive`: the refs are written; what was asked for is handed over, and only then is anything said.
//!
//! A client that hangs up kills a hook at its first write, with the ref already updated: so nothing is written before everything is
//! durable, and the hook leaves the session and ignores SIGPIPE and SIGHUP (the stub has the shell ignore them, which is inherited).

use std::io::{self, Write};

use windlass_core::push::TagPushed;

use super::chain;
use super::context::{Context, Place};
use super::input::{self, Update};
use super::refs::{self, Change};
use super::{BROKEN, Hook, PASSED};
use crate::claims::{Claim, Ledger};
use crate::handover::{Answer, HandedOver, Handover, Lost, Patience, said};
use crate::wire::{Body, Frame, Request};

/// What became of one tag.
struct Done {
    pushed: TagPushed,
    how: How,
}

enum How {
    /// It is good, and nobody asked for more.
    NotAsked,
    HandedOver(HandedOver),
    /// Neither bot nor spool took it: it stays open in the ledger, where the bot looks.
    LeftOpen(String),
}

/// Hands over. git ignores the exit code; it is for whoever looks.
///
/// # Errors
/// Something on the server cannot be read.
pub fn post_receive(context: &Context, input: &[u8], err: &mut impl Write) -> anyhow::Result<u8> {
    // Fails for the leader of a group, which is not in its way.
    let _ = rustix::process::setsid();
    let updates = input::parse(input)?;
    let place = context
        .place
        .as_ref()
        .map_err(|refusal| anyhow::anyhow!("{}", refusal.message))?;
    let ledger = Ledger::new(context.settings.paths.claims());
    let done = hand_over_all(context, &ledger, &updates)?;
    let code = if done.iter().any(|done| matches!(done.how, How::LeftOpen(_))) {
        BROKEN
    } else {
        PASSED
    };
    // Nobody may be listening any more.
    let _ = tell(context, place, &done, err);
    if let Err(error) = chain::run(&place.source.git_dir, Hook::PostReceive.name(), input) {
        let _ = writeln!(err, "windlass: {error}");
    }
    Ok(code)
}

fn hand_over_all(context: &Context, ledger: &Ledger, updates: &[Update]) -> anyhow::Result<Vec<Done>> {
    let handover = Handover::new(&context.settings);
    let patience = Patience::AtMost(context.settings.push.answer_timeout.std());
    let mut away: Option<String> = None;
    let mut done = Vec::new();
    for claim in claims(context, ledger, updates)? {
        let pushed = claim.pushed;
        let id = pushed.request_id();
        let how = if pushed.options.asks_for_build() {
            let body = Body::TagPushed(pushed.clone());
            let request = Request::new(id.clone(), context.now, pushed.pusher.clone(), body);
            let result = match &away {
                // Once is enough to find out.
                Some(why) => handover.keep(&request, Lost::Unable(why.clone())),
                None => handover.deliver(&request, patience),
            };
            match result {
                // Whatever is decided about a push goes on record, a refusal as well: this was no decision.
                Ok(HandedOver::Answered(answer)) if answer.accepted.is_none() => How::LeftOpen(said(&answer.talk)),
                Ok(handed) => {
                    if let HandedOver::Spooled { why, .. } = &handed {
                        away.get_or_insert_with(|| why.clone());
                    }
                    How::HandedOver(handed)
                }
                Err(error) => How::LeftOpen(error.to_string()),
            }
        } else {
            How::NotAsked
        };
        // Durable elsewhere, or nothing to be kept: from now on the statement cannot come again.
        if !matches!(how, How::LeftOpen(_)) {
            ledger.close(&id)?;
        }
        done.push(Done { pushed, how });
    }
    if !done.is_empty() {
        ledger.sync()?;
    }
    Ok(done)
}

/// The open claims of the tags that were pushed just now. A tag without one was not judged, or not judged good.
fn claims(context: &Context, ledger: &Ledger, updates: &[Update]) -> anyhow::Result<Vec<Claim>> {
    let mut found = Vec::new();
    let Ok(place) = &context.place else { return Ok(found) };
    for update in updates {
        let Ok(Change::Tag { name, object }) = refs::check(update, &context.settings.push.namespaces) else {
            continue;
        };
        let pushed = TagPushed {
            source: place.source.path.clone(),
            tag: name,
            object,
            options: windlass_core::push::PushOptions::default(),
            pusher: place.caller.name.clone(),
        };
        found.extend(ledger.open_claim(&pushed.request_id())?);
    }
    Ok(found)
}

/// How many tags are told about one by one.
const MOST: usize = 20;

fn tell(context: &Context, place: &Place, done: &[Done], err: &mut impl Write) -> io::Result<()> {
    let source = &place.source.path;
    let asked = done.iter().filter(|done| !matches!(done.how, How::NotAsked)).count();
    let mut told = 0;
    let mut waiting = Vec::new();
    for one in done {
        let tag = &one.pushed.tag;
        match &one.how {
            How::NotAsked => {}
            _ if told == MOST => {}
            How::HandedOver(HandedOver::Answered(answer)) => {
                told += 1;
                tell_answer(one, answer, err)?;
            }
            How::HandedOver(HandedOver::Spooled { request, .. }) => {
                told += 1;
                waiting.push(request);
                writeln!(err, "windlass: tag '{tag}' waits as request {request}")?;
            }
            How::LeftOpen(why) => {
                told += 1;
                writeln!(
                    err,
                    "windlass: tag '{tag}' is in, but its build could not be handed over: {why}"
                )?;
                writeln!(
                    err,
                    "\nhint: the server takes it up by itself when it is whole again; tell its administrator: windlass doctor"
                )?;
            }
        }
    }
    if asked > MOST {
        writeln!(err, "windlass: and {} more tags", asked - MOST)?;
    }
    if let Some(first) = waiting.first() {
        writeln!(
            err,
            "windlass: the bot is away; nothing is lost, and it goes on when it is back"
        )?;
        writeln!(err, "\nhint: what became of it: ssh HOST task show {first}")?;
    }
    tell_not_asked(context, done, source.name(), err)
}

/// The bot answers as to any command: a task's number is data, the rest is talk. Here it is read between other lines, so that the number
/// is put into words.
fn tell_answer(one: &Done, answer: &Answer, err: &mut impl Write) -> io::Result<()> {
    let tag = &one.pushed.tag;
    let good = answer.exit.unwrap_or(0) == 0;
    match answer.accepted.flatten() {
        Some(task) if good => writeln!(err, "windlass: tag '{tag}' is in task {task}")?,
        _ if good => writeln!(
            err,
            "windlass: tag '{tag}' is on record as request {}",
            one.pushed.request_id()
        )?,
        _ => writeln!(err, "windlass: tag '{tag}' is in, but it is not built:")?,
    }
    for frame in &answer.talk {
        match frame {
            Frame::Err(text) => text.lines().try_for_each(|line| tell_line(line, err))?,
            Frame::Out(text) if answer.accepted.flatten().is_none() => {
                text.lines().try_for_each(|line| tell_line(line, err))?;
            }
            Frame::Out(_) | Frame::Accepted { .. } | Frame::Exit(_) => {}
        }
    }
    Ok(())
}

fn tell_line(line: &str, err: &mut impl Write) -> io::Result<()> {
    let own = line.is_empty() || line.starts_with("windlass: ") || line.starts_with("hint: ");
    writeln!(err, "{}{line}", if own { "" } else { "windlass: " })
}

fn tell_not_asked(context: &Context, done: &[Done], source: &str, err: &mut impl Write) -> io::Result<()> {
    let good: Vec<_> = done
        .iter()
        .filter(|done| matches!(done.how, How::NotAsked))
        .map(|done| &done.pushed.tag)
        .collect();
    match good.as_slice() {
        [] => {}
        [tag] => {
            writeln!(err, "windlass: tag '{tag}' is good")?;
            writeln!(
                err,
                "\nhint: to have it built: ssh HOST build {source} {tag}, or next time: git push -o build"
            )?;
        }
        [first, ..] => {
            writeln!(err, "windlass: {} tags are good", good.len())?;
            writeln!(
                err,
                "\nhint: to have one built: ssh HOST build {source} {first}, or next time: git push -o build"
            )?;
        }
    }
    if done.is_empty()
        && context
            .options
            .as_ref()
            .is_ok_and(windlass_core::push::PushOptions::asks_for_build)
    {
        writeln!(
            err,
            "windlass: a build was asked for, but no tag was pushed that is new here; nothing is built"
        )?;
        writeln!(
            err,
            "\nhint: what is built is a signed tag: git tag -s 1.0-alt1 && git push -o build origin 1.0-alt1"
        )?;
    }
    Ok(())
}
