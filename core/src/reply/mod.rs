//! What is answered, as data, and how it is shown: as text for a terminal, as JSON for a program. Pure.
//!
//! Each view's documentation says what its JSON holds. Moments there are RFC 3339; fields may be added, none changes its
//! meaning.

pub mod access;
pub mod device;
pub mod job;
pub mod log;
pub mod nightly;
pub mod progress;
pub mod table;
pub mod task;
pub mod time;
pub mod why;

use serde::Serialize;

use self::access::AccessView;
use self::device::{DeviceRow, DeviceView, DeviceWhy};
use self::job::{JobRow, JobView};
use self::log::LogView;
use self::nightly::NightlyRow;
use self::task::{DepView, TaskRow, TaskView};
use self::why::WhyView;
use crate::device::lab::FlashLine;
use crate::id::TaskId;
use crate::refusal::Refusal;

/// An answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reply {
    /// The task that it concerns.
    pub task: Option<TaskId>,
    /// What was asked for, on stdout.
    pub body: Body,
    /// What is said on the side, on stderr.
    pub notes: Vec<String>,
    /// The exit code.
    pub exit: u8,
    /// What the caller still waits for.
    pub wait: Option<Wait>,
    /// Whether the answer is wanted as JSON.
    pub json: bool,
}

/// What was asked for.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Body {
    /// Nothing.
    #[default]
    Nothing,
    /// A task was made, or is there already. Text: its number alone. JSON: `task`.
    Made {
        /// Its number.
        task: TaskId,
    },
    /// Something was done. JSON: `done`, and `task` where it concerns one.
    Done {
        /// The task.
        #[serde(skip_serializing_if = "Option::is_none")]
        task: Option<TaskId>,
        /// What, in lines.
        done: Vec<String>,
    },
    /// A plan: what would be done. JSON: `would`.
    Plan {
        /// What, in lines.
        would: Vec<String>,
    },
    /// `task show`.
    Task(Box<TaskView>),
    /// `task ls`.
    Tasks(Vec<TaskRow>),
    /// `task why`.
    Why(WhyView),
    /// `task log`.
    Log(LogView),
    /// `task deps show`. JSON: `task`, `deps`.
    Deps {
        /// The task.
        task: TaskId,
        /// What it depends on.
        deps: Vec<DepView>,
    },
    /// `acl show`.
    Access(AccessView),
    /// `job show`.
    Job(Box<JobView>),
    /// `job ls`.
    Jobs(Vec<JobRow>),
    /// `device show`, `device health`.
    Device(Box<DeviceView>),
    /// `device ls`.
    Devices(Vec<DeviceRow>),
    /// `device why`. JSON: a list of `device`, `why`.
    DeviceWhy(Vec<DeviceWhy>),
    /// `device history`.
    Flashes(Vec<FlashLine>),
    /// `device nightly ls`.
    Nightlies(Vec<NightlyRow>),
}

/// What a caller waits for after the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wait {
    /// The end of a task's run: whoever answers decides the same command again after each event of this task, until
    /// nothing is waited for any more, and gives the last answer.
    End(TaskId),
    /// More of a task's log: after each event of this task whoever answers asks [`log_after`](crate::decide::log_after)
    /// for what comes after this many of the task's events.
    Log {
        /// The task.
        task: TaskId,
        /// How many of its events were looked at.
        after: usize,
    },
}

/// An answer as it goes to the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// For stdout.
    pub out: String,
    /// For stderr.
    pub err: String,
    /// The exit code.
    pub exit: u8,
}

impl Reply {
    /// The answer as it goes to the caller.
    pub fn render(&self) -> Rendered {
        Rendered {
            out: if self.json { self.body.json() } else { self.body.text() },
            err: self.notes.iter().flat_map(|note| [note.as_str(), "\n"]).collect(),
            exit: self.exit,
        }
    }
}

impl Body {
    /// Text for a terminal.
    pub fn text(&self) -> String {
        let lines = |lines: &[String]| lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
        match self {
            Self::Nothing => String::new(),
            Self::Made { task } => format!("{task}\n"),
            Self::Done { done, .. } => lines(done),
            Self::Plan { would } => lines(would),
            Self::Task(view) => view.text(),
            Self::Tasks(rows) => task::rows_text(rows),
            Self::Why(view) => view.text(),
            Self::Log(view) => view.text(),
            Self::Deps { deps, .. } => task::deps_text(deps),
            Self::Access(view) => view.text(),
            Self::Job(view) => view.text(),
            Self::Jobs(rows) => job::rows_text(rows),
            Self::Device(view) => view.text(),
            Self::Devices(rows) => device::rows_text(rows),
            Self::DeviceWhy(lines) => device::why_text(lines),
            Self::Nightlies(rows) => nightly::rows_text(rows),
            Self::Flashes(lines) => device::flashes_text(lines),
        }
    }

    /// One JSON value and a line feed; nothing where there is nothing to say.
    ///
    /// # Panics
    /// Never: views hold strings, numbers and lists of them.
    pub fn json(&self) -> String {
        if *self == Self::Nothing {
            return String::new();
        }
        let mut text = serde_json::to_string(self).expect("views hold strings, numbers and lists of them");
        text.push('\n');
        text
    }
}

/// A refusal as it goes to the caller.
pub fn refused(refusal: &Refusal, json: bool) -> Rendered {
    let mut err = format!("windlass: refused: {} [{}]\n", refusal.message, refusal.code);
    if let Some(hint) = &refusal.hint {
        err.push_str("\nhint: ");
        err.push_str(hint);
        err.push('\n');
    }
    let out = if json {
        let mut text = serde_json::json!({ "refused": refusal }).to_string();
        text.push('\n');
        text
    } else {
        String::new()
    };
    Rendered { out, err, exit: 1 }
}
