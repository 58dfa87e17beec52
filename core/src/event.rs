//! Everything that is on record. The journal holds these, and the world is what they add up to.
//!
//! An event is a fact: whoever reads it later need not know the rules of the day on which it was decided. A kind or field
//! may be added; what is there is never given another meaning ([`EVENT_VERSION`] grows when an older reader would be misled).

use serde::{Deserialize, Serialize};

use crate::access::AccessChange;
use crate::id::{RequestId, TaskId, UserName};
use crate::push::TagPushed;
use crate::refusal::Refusal;
use crate::task::TaskEvent;

/// The version of the events' form.
pub const EVENT_VERSION: u32 = 1;

/// One fact.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Event {
    /// A request was answered; asked again it gets the same answer and has no second effect.
    Answered(Answered),
    /// A signed tag came in, and what became of it.
    TagTaken {
        /// The tag.
        pushed: TagPushed,
        /// What became of it.
        #[serde(flatten)]
        taken: Taken,
    },
    /// Something happened to a task.
    Task {
        /// The task.
        id: TaskId,
        /// What.
        #[serde(flatten)]
        event: TaskEvent,
    },
    /// An access list changed.
    Access(AccessChange),
}

/// A request with its answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Answered {
    /// The request.
    pub request: RequestId,
    /// Who asked.
    pub user: UserName,
    /// What was asked: the command's words, or those of a push.
    pub words: Vec<String>,
    /// The task that it concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
    /// What went to stdout.
    pub out: String,
    /// What went to stderr.
    pub err: String,
    /// The exit code.
    pub exit: u8,
}

/// What became of a pushed tag.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "taken", rename_all = "kebab-case")]
pub enum Taken {
    /// No build was asked for.
    Noted,
    /// It is a subtask of this task.
    Task {
        /// The task.
        task: TaskId,
    },
    /// It makes no subtask.
    Refused {
        /// Why: all reasons.
        refusals: Vec<Refusal>,
    },
}
