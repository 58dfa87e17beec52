//! What is answered, as data, and how it is shown: as text for a terminal, as JSON for a program. Pure.

use crate::id::TaskId;

/// An answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reply {
    /// The task that it concerns.
    pub task: Option<TaskId>,
    /// What is said on the side, on stderr.
    pub notes: Vec<String>,
    /// The exit code.
    pub exit: u8,
    /// What the caller still waits for.
    pub wait: Option<Wait>,
    /// Whether the answer is wanted as JSON.
    pub json: bool,
}

/// What a caller waits for after the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wait {
    /// The end of a task's run: decide the same command again after each event of this task, and answer when nothing is
    /// waited for any more.
    End(TaskId),
    /// More of a task's log: after each event of this task ask for what comes after this many lines.
    Log {
        /// The task.
        task: TaskId,
        /// How many lines were shown.
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
            out: String::new(),
            err: self.notes.iter().map(|note| format!("{note}\n")).collect(),
            exit: self.exit,
        }
    }
}
