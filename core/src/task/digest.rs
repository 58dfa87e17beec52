//! What a vote is bound to.

use crate::hex::hex;
use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Action, Task};

/// A SHA-256 digest of a task's content, or of one subtask's action, in lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(String);

impl Digest {
    /// The digest of a task's content: the repository, every subtask, what it depends on, and how often it has changed.
    pub fn of_task(task: &Task) -> Self {
        let content = (task.id, &task.repository, &task.subtasks, &task.deps, task.version);
        Self::of("task", &content)
    }

    /// The digest of what a subtask does.
    pub fn of_action(action: &Action) -> Self {
        Self::of("action", action)
    }

    fn of<T: Serialize>(kind: &str, content: &T) -> Self {
        // Field order is the declaration's, sets are ordered: the same content has the same text.
        let text = serde_json::to_vec(content).expect("strings, numbers and lists of them are always JSON");
        let mut hash = Sha256::new();
        hash.update(kind.as_bytes());
        hash.update([0]);
        hash.update(&text);
        Self(hex(&hash.finalize()))
    }

    /// All 64 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first 12 digits, as they are shown.
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
