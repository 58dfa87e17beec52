//! The journal: what was decided, in order, never changed, each row chained to the one before by its hash.
//!
//! One decision is one [`Batch`], appended whole if the head is still the one that it was decided on ([`Journal::append`]).
//! Every table beside the journal is a projection: made from the rows in the same transaction, thrown away and made
//! again at will. [`Journal`] is the seam behind which another database may stand; [`Sqlite`] is the one there is.

mod chain;
mod projection;
mod schema;
mod sqlite;
mod verify;

use jiff::Timestamp;
use windlass_core::id::{RequestId, TaskId};

pub use chain::{Digest, Head};
pub use projection::{Derived, derive};
pub use sqlite::Sqlite;
pub use verify::{Finding, Report};

/// One event to append, as the journal sees it: a kind, the version of its shape, and JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Which event.
    pub kind: String,
    /// The version of the event's shape.
    pub version: u32,
    /// The event as JSON.
    pub body: String,
}

/// What is appended in one go: all of it or nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// When it was decided.
    pub at: Timestamp,
    /// What was decided; at least one.
    pub entries: Vec<Entry>,
}

/// One row, as it was appended.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Row {
    /// Its number; the first is 1, none is left out.
    pub seq: u64,
    /// The number of the first row of the batch that it came in.
    pub batch: u64,
    /// When it was decided.
    pub at: Timestamp,
    /// The version of the event's shape.
    pub version: u32,
    /// Which event.
    pub kind: String,
    /// The event as JSON.
    pub body: String,
    /// The digest over the digest before it and this row.
    pub hash: Digest,
}

/// A fold of the journal's beginning, kept so that a start need not read all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The shape of what was folded; another one than expected is of no use.
    pub version: u32,
    /// The last row that is in it.
    pub head: Head,
    /// The fold as JSON.
    pub body: String,
}

/// What can go wrong with a journal.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Somebody else appended since; what was decided was decided on old facts.
    #[error("the journal's head is {found}, not {expected}")]
    HeadMoved {
        /// The head that the decision was made on.
        expected: Head,
        /// The head that there is.
        found: Head,
    },
    /// A row does not fit to the one before it, or cannot be read at all.
    #[error("the journal is damaged at row {seq}: {what}\n\nhint: windlass journal verify")]
    Damaged {
        /// The row.
        seq: u64,
        /// What is wrong with it.
        what: String,
    },
    /// The file was written by a newer version of the program.
    #[error("the journal is of a newer version of Windlass ({found}, this one knows {known})")]
    TooNew {
        /// The version found.
        found: u32,
        /// The newest version that this program knows.
        known: u32,
    },
    /// The database does not do what it is told.
    #[error("the journal's database: {0}")]
    Database(#[from] rusqlite::Error),
    /// The tables cannot be brought to this version.
    #[error("the journal's tables: {0}")]
    Migration(#[from] rusqlite_migration::Error),
    /// The file cannot be made or made durable.
    #[error("{path}: {source}")]
    File {
        /// The file or directory.
        path: std::path::PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

/// What the bot needs of a journal, whatever keeps it.
pub trait Journal: Send {
    /// The last row's number and digest.
    fn head(&self) -> Result<Head, JournalError>;

    /// Appends a batch, with all projections, if the head is still `expected`; durable when it returns.
    fn append(&mut self, expected: &Head, batch: &Batch) -> Result<Head, JournalError>;

    /// At most `limit` rows after row `after`, in order.
    fn read_from(&self, after: u64, limit: usize) -> Result<Vec<Row>>;

    /// At most `limit` rows after row `after` that concern a task, in order.
    fn read_task(&self, task: TaskId, after: u64, limit: usize) -> Result<Vec<Row>>;

    /// What was answered to a request, as the event recorded it.
    fn answer(&self, request: &RequestId) -> Result<Option<String>>;

    /// The newest fold.
    fn snapshot(&self) -> Result<Option<Snapshot>>;

    /// Keeps a fold in place of the one before.
    fn keep_snapshot(&mut self, snapshot: &Snapshot) -> Result<()>;

    /// Throws all projections away and makes them from the rows again.
    fn rebuild(&mut self) -> Result<()>;
}

type Result<T, E = JournalError> = std::result::Result<T, E>;

#[cfg(test)]
mod tests;
