//! Hands a request over: to the bot's socket, or, when the bot is away and the request can wait, to the spool.
//!
//! The bot answers `Accepted` once the request is in its journal. A connection that breaks before that tells nothing: the request goes to
//! the spool under the same id, and if it had arrived after all, the bot answers the second one with what it said to the first.

mod client;

use std::path::PathBuf;
use std::time::Duration;

use windlass_core::id::{RequestId, TaskId};

pub use client::{Conversation, Lost, Patience};

use crate::settings::Settings;
use crate::spool::{Spool, SpoolError};
use crate::wire::{Frame, Request};

/// Where requests go.
#[derive(Debug, Clone)]
pub struct Handover {
    socket: PathBuf,
    spool: Spool,
}

/// How a request ended that can wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HandedOver {
    /// The bot took it and answered.
    Answered(Answer),
    /// The bot is away; the request waits as a file. Nothing of it is lost.
    Spooled {
        /// Under this id it can be asked for later.
        request: RequestId,
        /// Why the bot could not be reached.
        why: String,
    },
}

/// The bot's answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// What is to be told, in order: [`Frame::Out`] and [`Frame::Err`] only.
    pub talk: Vec<Frame>,
    /// Whether the request is in the journal; then with the task that came of it.
    pub accepted: Option<Option<TaskId>>,
    /// The exit code; none if the connection broke after the request was accepted.
    pub exit: Option<u8>,
}

/// Neither the bot nor the spool could take a request: it is not on record.
#[derive(Debug, thiserror::Error)]
#[error("the bot cannot be reached ({bot}), and the request cannot be kept for it either ({spool})")]
pub struct Nowhere {
    /// Why the bot could not be reached.
    pub bot: Lost,
    /// Why the spool could not be written.
    pub spool: SpoolError,
}

impl Handover {
    /// To the socket and the spool that the configuration names.
    pub fn new(settings: &Settings) -> Self {
        Self {
            socket: settings.paths.socket(),
            spool: Spool::new(settings.paths.spool()),
        }
    }

    /// Opens a conversation with the bot and sends it one request. For what cannot wait.
    pub fn send(&self, request: &Request, patience: Patience) -> Result<Conversation, Lost> {
        Conversation::open(&self.socket, request, patience)
    }

    /// Sends a request that can wait, and gathers the answer. When this returns well the request is durable, here or there; only then may
    /// anything be said to the person who asked.
    pub fn deliver(&self, request: &Request, patience: Patience) -> Result<HandedOver, Nowhere> {
        match self.ask(request, patience) {
            Ok(answer) => Ok(HandedOver::Answered(answer)),
            Err(bot) => self.keep(request, bot),
        }
    }

    /// Puts a request that can wait into the spool, since the bot is known to be away.
    pub fn keep(&self, request: &Request, bot: Lost) -> Result<HandedOver, Nowhere> {
        match self.spool.write(request) {
            Ok(_) => Ok(HandedOver::Spooled {
                request: request.id.clone(),
                why: bot.to_string(),
            }),
            Err(spool) => Err(Nowhere { bot, spool }),
        }
    }

    fn ask(&self, request: &Request, patience: Patience) -> Result<Answer, Lost> {
        let mut conversation = self.send(request, patience)?;
        let mut answer = Answer::default();
        loop {
            match conversation.next_frame() {
                Ok(Frame::Accepted { task, .. }) => answer.accepted = Some(task),
                // The bot is there and cannot take anything on record, its disk being full perhaps: as good as away.
                Ok(Frame::Exit(BROKEN)) if answer.accepted.is_none() => return Err(Lost::Unable(said(&answer.talk))),
                Ok(Frame::Exit(code)) => {
                    answer.exit = Some(code);
                    return Ok(answer);
                }
                Ok(talk @ (Frame::Out(_) | Frame::Err(_))) => answer.talk.push(talk),
                // Accepted and then broken off: on record, which is what counts.
                Err(_) if answer.accepted.is_some() => return Ok(answer),
                Err(lost) => return Err(lost),
            }
        }
    }
}

/// How long a connection may take; nobody waits longer for a socket on the same machine.
const CONNECT: Duration = Duration::from_secs(5);

/// The exit code that says that something around the program is broken.
const BROKEN: u8 = 3;

/// What was told, in one line.
pub(crate) fn said(talk: &[Frame]) -> String {
    let texts = talk.iter().filter_map(|frame| match frame {
        Frame::Out(text) | Frame::Err(text) => Some(text.trim()),
        Frame::Accepted { .. } | Frame::Exit(_) => None,
    });
    texts.collect::<Vec<_>>().join("; ")
}
