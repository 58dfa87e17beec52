//! What the tables beside the journal are made from: one function of one row.

use serde::Deserialize;
use windlass_core::id::{RequestId, TaskId};

/// What the projections take from one event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Derived {
    /// Which event: its kind, and what happened where the kind has several.
    pub kind: String,
    /// The request that it answers.
    pub answers: Option<RequestId>,
    /// The task that it concerns.
    pub task: Option<TaskId>,
}

/// The version of [`derive`]: tables made by another one are made again at the next start.
pub(super) const VERSION: u32 = 1;

/// The fields that say what an event is about. An event of a later version may have others; these keep their meaning.
#[derive(Default, Deserialize)]
#[serde(default)]
struct About {
    kind: String,
    what: Option<String>,
    request: Option<RequestId>,
    id: Option<TaskId>,
    task: Option<TaskId>,
}

/// What the projections take from an event as JSON; nothing from what cannot be read.
pub fn derive(body: &str) -> Derived {
    let about: About = serde_json::from_str(body).unwrap_or_default();
    let answers = (about.kind == "answered").then_some(about.request).flatten();
    let task = if about.kind == "task" { about.id } else { about.task };
    Derived {
        kind: match about.what {
            Some(what) => format!("{}.{what}", about.kind),
            None => about.kind,
        },
        answers,
        task,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_event_is_about() {
        let created = derive(r#"{"kind":"task","id":7,"what":"created","repository":"sid","owner":"alice"}"#);
        assert_eq!(created.kind, "task.created");
        assert_eq!(created.task.map(TaskId::get), Some(7));
        let answered = derive(r#"{"kind":"answered","request":"r-0123456789abcdef","task":7,"later":{}}"#);
        assert_eq!(answered.answers.unwrap().as_str(), "r-0123456789abcdef");
        assert_eq!(derive("{").kind, "");
    }
}
