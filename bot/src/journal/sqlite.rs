//! The journal in a SQLite file: WAL, every commit on disk before it is answered, foreign keys checked.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Transaction, TransactionBehavior, params};
use windlass_core::id::{RequestId, TaskId};

use super::chain::{Columns, Digest, Head};
use super::{Batch, Entry, Journal, JournalError, Result, Row, Snapshot, projection, schema};

/// How long another process (a reader, a backup) may hold the file before an access fails.
const BUSY: Duration = Duration::from_secs(10);

/// The journal in a SQLite file.
#[derive(Debug)]
pub struct Sqlite {
    pub(super) connection: Connection,
    path: PathBuf,
}

impl Sqlite {
    /// Opens the file for appending, made and brought up to date as needed; stale projections are made again.
    pub fn open(path: &Path) -> Result<Self> {
        let mut connection = Connection::open_with_flags(
            path,
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?;
        configure(&connection)?;
        let mode: String = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
        if mode != "wal" {
            return Err(JournalError::Damaged {
                seq: 0,
                what: format!("the file system does not carry write-ahead logging (mode '{mode}')"),
            });
        }
        schema::migrate(&mut connection)?;
        if let Some(directory) = path.parent() {
            sync_directory(directory)?;
        }
        let mut journal = Self {
            connection,
            path: path.to_owned(),
        };
        if journal.is_stale()? {
            journal.rebuild()?;
        }
        Ok(journal)
    }

    /// Opens an existing file for reading alone, whoever appends to it meanwhile.
    pub fn open_read_only(path: &Path) -> Result<Self> {
        let connection =
            Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        configure(&connection)?;
        connection.pragma_update(None, "query_only", true)?;
        Ok(Self {
            connection,
            path: path.to_owned(),
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Copies the whole database, as it is at one moment, into a new file; others may append meanwhile.
    pub fn copy_to(&self, path: &Path) -> Result<()> {
        let mut target = Connection::open(path)?;
        rusqlite::backup::Backup::new(&self.connection, &mut target)?.run_to_completion(
            1024,
            Duration::from_millis(5),
            None,
        )?;
        // A copy is one file, whoever opens it next.
        target.pragma_update(None, "journal_mode", "DELETE")?;
        target.close().map_err(|(_, error)| error)?;
        sync_file(path)
    }

    fn is_stale(&self) -> Result<bool> {
        let made: Option<(u32, u64)> = self
            .connection
            .query_row("SELECT version, seq FROM projection WHERE name = 'rows'", [], |row| {
                Ok((row.get(0)?, number(row, 1)?))
            })
            .optional()?;
        let head = self.head()?.seq;
        Ok(match made {
            Some((version, seq)) => version != projection::VERSION || seq != head,
            None => head != 0,
        })
    }

    /// The last row's number and digest.
    pub fn head(&self) -> Result<Head> {
        head(&self.connection)
    }
}

fn configure(connection: &Connection) -> Result<()> {
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // INSERT OR REPLACE deletes a row: only with this the trigger that forbids it runs.
    connection.pragma_update(None, "recursive_triggers", true)?;
    Ok(())
}

fn sync_file(path: &Path) -> Result<()> {
    File::open(path)
        .and_then(|file| file.sync_all())
        .map_err(|source| JournalError::File {
            path: path.to_owned(),
            source,
        })
}

fn sync_directory(path: &Path) -> Result<()> {
    let path = if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    };
    sync_file(path)
}

/// A whole number of a column: SQLite's are signed.
fn number(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let value: i64 = row.get(column)?;
    u64::try_from(value).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, value))
}

/// A whole number for a column; row numbers do not reach 2⁶³.
fn column(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn digest(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Digest> {
    row.get::<_, [u8; 32]>(column).map(Digest::from)
}

fn head(connection: &Connection) -> Result<Head> {
    let head = connection
        .prepare_cached("SELECT seq, hash FROM journal ORDER BY seq DESC LIMIT 1")?
        .query_row([], |row| {
            Ok(Head {
                seq: number(row, 0)?,
                hash: digest(row, 1)?,
            })
        })
        .optional()?;
    Ok(head.unwrap_or(Head::EMPTY))
}

const COLUMNS: &str = "seq, batch, at, version, kind, body, hash";

fn row(row: &rusqlite::Row<'_>) -> Result<Row> {
    let seq = number(row, 0)?;
    let at: String = row.get(2)?;
    Ok(Row {
        seq,
        batch: number(row, 1)?,
        at: at.parse().map_err(|error| JournalError::Damaged {
            seq,
            what: format!("its time: {error}"),
        })?,
        version: row.get(3)?,
        kind: row.get(4)?,
        body: row.get(5)?,
        hash: digest(row, 6)?,
    })
}

fn append_entry(transaction: &Transaction<'_>, before: &Head, batch: u64, at: &str, entry: &Entry) -> Result<Head> {
    let head = before.chained(&Columns {
        batch,
        at,
        version: entry.version,
        kind: &entry.kind,
        body: &entry.body,
    });
    transaction
        .prepare_cached("INSERT INTO journal (seq, batch, at, version, kind, body, hash) VALUES (?, ?, ?, ?, ?, ?, ?)")?
        .execute(params![
            column(head.seq),
            column(batch),
            at,
            entry.version,
            entry.kind,
            entry.body,
            head.hash.as_bytes(),
        ])?;
    project(transaction, head.seq, &entry.body)?;
    Ok(head)
}

/// What one row adds to the projections.
fn project(transaction: &Transaction<'_>, seq: u64, body: &str) -> Result<()> {
    let derived = projection::derive(body);
    if let Some(request) = &derived.answers {
        transaction
            .prepare_cached("INSERT INTO answer (request, seq) VALUES (?, ?)")?
            .execute(params![request.as_str(), column(seq)])?;
    }
    if let Some(task) = derived.task {
        transaction
            .prepare_cached("INSERT OR IGNORE INTO task_row (task, seq) VALUES (?, ?)")?
            .execute(params![column(task.get()), column(seq)])?;
    }
    Ok(())
}

fn projected_up_to(transaction: &Transaction<'_>, seq: u64) -> Result<()> {
    transaction
        .prepare_cached("INSERT OR REPLACE INTO projection (name, version, seq) VALUES ('rows', ?, ?)")?
        .execute(params![projection::VERSION, column(seq)])?;
    Ok(())
}

impl Journal for Sqlite {
    fn head(&self) -> Result<Head> {
        head(&self.connection)
    }

    fn append(&mut self, expected: &Head, batch: &Batch) -> Result<Head> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let found = head(&transaction)?;
        if found != *expected {
            return Err(JournalError::HeadMoved {
                expected: *expected,
                found,
            });
        }
        let at = batch.at.to_string();
        let mut last = found;
        for entry in &batch.entries {
            last = append_entry(&transaction, &last, found.seq + 1, &at, entry)?;
        }
        projected_up_to(&transaction, last.seq)?;
        transaction.commit()?;
        Ok(last)
    }

    fn read_from(&self, after: u64, limit: usize) -> Result<Vec<Row>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.connection
            .prepare_cached(&format!(
                "SELECT {COLUMNS} FROM journal WHERE seq > ? ORDER BY seq LIMIT ?"
            ))?
            .query_and_then(params![column(after), limit], row)?
            .collect()
    }

    fn read_task(&self, task: TaskId, after: u64, limit: usize) -> Result<Vec<Row>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.connection
            .prepare_cached(&format!(
                "SELECT {COLUMNS} FROM journal JOIN task_row USING (seq) WHERE task = ? AND seq > ? ORDER BY seq LIMIT ?"
            ))?
            .query_and_then(params![column(task.get()), column(after), limit], row)?
            .collect()
    }

    fn answer(&self, request: &RequestId) -> Result<Option<String>> {
        Ok(self
            .connection
            .prepare_cached("SELECT body FROM journal JOIN answer USING (seq) WHERE request = ?")?
            .query_row([request.as_str()], |row| row.get(0))
            .optional()?)
    }

    fn snapshot(&self) -> Result<Option<Snapshot>> {
        Ok(self
            .connection
            .query_row("SELECT version, seq, hash, body FROM snapshot", [], |row| {
                Ok(Snapshot {
                    version: row.get(0)?,
                    head: Head {
                        seq: number(row, 1)?,
                        hash: digest(row, 2)?,
                    },
                    body: row.get(3)?,
                })
            })
            .optional()?)
    }

    fn keep_snapshot(&mut self, snapshot: &Snapshot) -> Result<()> {
        self.connection.execute(
            "INSERT OR REPLACE INTO snapshot (one, version, seq, hash, body) VALUES (1, ?, ?, ?, ?)",
            params![
                snapshot.version,
                column(snapshot.head.seq),
                snapshot.head.hash.as_bytes(),
                snapshot.body,
            ],
        )?;
        Ok(())
    }

    fn rebuild(&mut self) -> Result<()> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        for table in ["projection", "answer", "task_row", "snapshot"] {
            transaction.execute(&format!("DELETE FROM {table}"), [])?;
        }
        {
            let mut rows = transaction.prepare("SELECT seq, body FROM journal ORDER BY seq")?;
            let mut rows = rows.query([])?;
            while let Some(row) = rows.next()? {
                let body: String = row.get(1)?;
                project(&transaction, number(row, 0)?, &body)?;
            }
        }
        projected_up_to(&transaction, head(&transaction)?.seq)?;
        transaction.commit()?;
        Ok(())
    }
}
