//! Decides what a person's command or push leads to: events and an answer, or a refusal. Pure.
//!
//! The caller asks [`needs`] which tags have to be judged, finds that out, and calls [`decide`] or [`decide_push`]. Whoever
//! stores the events stores all of one decision at once.

mod facts;

use jiff::Timestamp;

pub use facts::{Actor, Facts, GoodTag, Limits, RepositoryFacts, Stages, TagFacts};

use crate::command::Command;
use crate::event::Event;
use crate::id::{SourcePath, TagName};
use crate::push::TagPushed;
use crate::refusal::Refusal;
use crate::reply::Reply;
use crate::world::World;

/// What follows from a command.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// What becomes true. None for a command that reads, or that changes nothing.
    pub events: Vec<Event>,
    /// What is answered.
    pub reply: Reply,
}

/// The tags that have to be judged before a command can be decided.
pub fn needs(_world: &World, _actor: &Actor, _command: &Command) -> Vec<(SourcePath, TagName)> {
    Vec::new()
}

/// Decides what a command leads to.
///
/// # Errors
/// Why it is refused. Then nothing changes.
pub fn decide(
    _world: &World,
    _actor: &Actor,
    _command: &Command,
    _facts: &Facts,
    _now: Timestamp,
) -> Result<Decision, Refusal> {
    Err(Refusal::new("not_here", "this command is not carried out here"))
}

/// Decides what a pushed tag leads to. That it came is on record also where it is refused, with the reasons.
pub fn decide_push(_world: &World, pushed: &TagPushed, _facts: &Facts, _now: Timestamp) -> Decision {
    Decision {
        events: vec![Event::TagTaken {
            pushed: pushed.clone(),
            taken: crate::event::Taken::Noted,
        }],
        reply: Reply::default(),
    }
}
