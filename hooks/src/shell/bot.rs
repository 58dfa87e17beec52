//! The commands that the bot carries out: the words go over its socket, frames come back.

use std::io::Write;

use jiff::Timestamp;
use windlass_core::command::{Command, TaskCommand};
use windlass_core::id::{RequestId, UserName};
use windlass_core::refusal::Refusal;

use super::{BROKEN, DONE};
use crate::handover::{HandedOver, Handover, Lost, Nowhere, Patience};
use crate::settings::Settings;
use crate::spool::SpoolError;
use crate::wire::{Body, Frame, Request, random_request_id};

/// Hands one command over and tells what is answered. Gives the exit code.
pub(super) fn ask(
    settings: &Settings,
    caller: &UserName,
    command: &Command,
    words: Vec<String>,
    out: &mut impl Write,
    err: &mut impl Write,
) -> anyhow::Result<u8> {
    let id = match command.request_id() {
        Some(id) => id.clone(),
        None => random_request_id()?,
    };
    let request = Request::new(
        id.clone(),
        Timestamp::now(),
        caller.clone(),
        Body::Command { argv: words },
    );
    let handover = Handover::new(settings);
    let patience = match command {
        Command::Task(TaskCommand::Wait { .. } | TaskCommand::Log { .. }) => Patience::Endless,
        Command::Task(_)
        | Command::Job(_)
        | Command::Device(_)
        | Command::Build(_)
        | Command::Acl(_)
        | Command::Check(_)
        | Command::InitRepo(_)
        | Command::Pushers(_) => Patience::AtMost(settings.push.answer_timeout.std()),
    };
    if command.can_wait() {
        return wait_or_answer(&handover, &request, patience, out, err);
    }
    let mut conversation = match handover.send(&request, patience) {
        Ok(conversation) => conversation,
        Err(lost) => return away(&lost, err),
    };
    let mut accepted = false;
    loop {
        match conversation.next_frame() {
            Ok(Frame::Out(text)) => {
                out.write_all(text.as_bytes())?;
                out.flush()?;
            }
            Ok(Frame::Err(text)) => err.write_all(text.as_bytes())?,
            Ok(Frame::Accepted { .. }) => accepted = true,
            Ok(Frame::Exit(code)) => return Ok(code),
            Err(lost) => return cut_off(&lost, command, &id, accepted, err),
        }
    }
}

/// A request that is kept when the bot is away: nothing is said before it is durable.
fn wait_or_answer(
    handover: &Handover,
    request: &Request,
    patience: Patience,
    out: &mut impl Write,
    err: &mut impl Write,
) -> anyhow::Result<u8> {
    let handed = match handover.deliver(request, patience) {
        Ok(handed) => handed,
        Err(Nowhere {
            spool: SpoolError::Taken { id },
            ..
        }) => {
            let refusal = Refusal::new(
                "request_reused",
                format!("the request id {id} was used for another request"),
            );
            return super::tell(&refusal.hint("leave --request-id out, or choose another one"), err);
        }
        Err(nowhere) => return Err(nowhere.into()),
    };
    match handed {
        HandedOver::Answered(answer) => {
            for frame in &answer.talk {
                match frame {
                    Frame::Out(text) => out.write_all(text.as_bytes())?,
                    Frame::Err(text) => err.write_all(text.as_bytes())?,
                    Frame::Accepted { .. } | Frame::Exit(_) => {}
                }
            }
            match (answer.exit, answer.accepted) {
                (Some(code), _) => Ok(code),
                (None, Some(Some(task))) => {
                    writeln!(out, "task {task}")?;
                    Ok(DONE)
                }
                (None, _) => {
                    writeln!(err, "windlass: on record as request {}", request.id)?;
                    Ok(DONE)
                }
            }
        }
        HandedOver::Spooled { request, why } => {
            writeln!(out, "{request}")?;
            writeln!(
                err,
                "windlass: the bot is away; request {request} is on record and goes on when it is back ({why})"
            )?;
            writeln!(err, "\nhint: what became of it: ssh HOST task show {request}")?;
            Ok(DONE)
        }
    }
}

fn away(lost: &Lost, err: &mut impl Write) -> anyhow::Result<u8> {
    writeln!(
        err,
        "windlass: the bot is away, so that this cannot be answered: {lost}"
    )?;
    writeln!(
        err,
        "\nhint: only pushes and `build` are taken while it is away; try again later"
    )?;
    Ok(BROKEN)
}

fn cut_off(lost: &Lost, command: &Command, id: &RequestId, accepted: bool, err: &mut impl Write) -> anyhow::Result<u8> {
    if let Lost::CallerGone = lost {
        return Ok(BROKEN);
    }
    if command.is_read() {
        writeln!(err, "windlass: the answer was cut off: {lost}\n\nhint: try again")?;
    } else if accepted {
        writeln!(
            err,
            "windlass: request {id} is on record, but its answer was cut off: {lost}"
        )?;
        writeln!(
            err,
            "\nhint: to hear the answer, repeat the command with --request-id {id}: it has no second effect"
        )?;
    } else {
        writeln!(err, "windlass: whether this was done is not known: {lost}")?;
        writeln!(
            err,
            "\nhint: repeat the command with --request-id {id}: it has one effect, however often it is given"
        )?;
    }
    Ok(BROKEN)
}
