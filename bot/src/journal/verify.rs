//! Finds what somebody did to a journal behind the program's back: rows changed, removed, put in, in another order.

use std::fmt;

use super::chain::{Columns, Digest, Head};
use super::{Result, Sqlite, schema};

/// One thing that is not as the program left it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "finding", rename_all = "kebab-case")]
pub enum Finding {
    /// Rows are gone: the one after row `after` is row `next`.
    Missing {
        /// The last row before the gap.
        after: u64,
        /// The first row after it.
        next: u64,
    },
    /// A row does not have the digest that it and the row before it make.
    Changed {
        /// The row.
        seq: u64,
    },
    /// A row says that it came in another batch than it can have come in.
    Misplaced {
        /// The row.
        seq: u64,
    },
    /// The end is not the one that is known from elsewhere.
    Head {
        /// Where the other one is known from.
        from: &'static str,
        /// The head that should be on the way or at the end.
        expected: String,
    },
    /// The database itself is damaged, or what makes the journal append-only is gone.
    Database {
        /// What the check says.
        what: String,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { after, next } if after + 2 == *next => write!(f, "row {} is missing", after + 1),
            Self::Missing { after, next } => write!(f, "rows {} to {} are missing", after + 1, next - 1),
            Self::Changed { seq } => write!(f, "row {seq} was changed, moved or put in: its digest does not fit"),
            Self::Misplaced { seq } => write!(f, "row {seq} names a batch that it cannot belong to"),
            Self::Head { from, expected } => {
                write!(f, "the head {expected}, known from {from}, is not in this journal")
            }
            Self::Database { what } => write!(f, "the database: {what}"),
        }
    }
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// How many rows there are.
    pub rows: u64,
    /// The head.
    pub head: Head,
    /// What is wrong; empty when all is well. At most a hundred.
    pub findings: Vec<Finding>,
}

/// Findings after which no further are told: the journal is beyond counting them.
const MOST: usize = 100;

impl Sqlite {
    /// Checks every row, the database, and that `expected`, a head noted elsewhere, is the head or one on the way to it.
    pub fn verify(&self, expected: Option<&Head>) -> Result<Report> {
        let mut findings = self.database_findings()?;
        // Whoever verifies reads one moment, while others append.
        let transaction = self.connection.unchecked_transaction()?;
        let noted = noted_heads(&transaction, expected)?;
        let mut pending = noted;
        let (mut head, mut batch, mut rows) = (Head::EMPTY, 0, 0);
        let mut statement =
            transaction.prepare("SELECT seq, batch, at, version, kind, body, hash FROM journal ORDER BY seq")?;
        let mut cursor = statement.query([])?;
        while let Some(row) = cursor.next()? {
            rows += 1;
            pending.retain(|(_, noted)| *noted != head);
            let read = Read::of(row)?;
            if read.seq != head.seq + 1 {
                note(
                    &mut findings,
                    Finding::Missing {
                        after: head.seq,
                        next: read.seq,
                    },
                );
                head.seq = read.seq - 1;
            }
            let fits = head.chained(&Columns {
                batch: read.batch,
                at: &read.at,
                version: read.version,
                kind: &read.kind,
                body: &read.body,
            });
            if fits.hash != read.hash {
                note(&mut findings, Finding::Changed { seq: read.seq });
            }
            if read.batch != batch && read.batch != read.seq {
                note(&mut findings, Finding::Misplaced { seq: read.seq });
            }
            batch = read.batch;
            // What follows is compared with the digest that is there: one changed row is one finding.
            head = Head {
                seq: read.seq,
                hash: read.hash,
            };
        }
        pending.retain(|(_, noted)| *noted != head);
        for (from, expected) in pending {
            note(
                &mut findings,
                Finding::Head {
                    from,
                    expected: expected.to_string(),
                },
            );
        }
        Ok(Report { rows, head, findings })
    }

    fn database_findings(&self) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        let mut statement = self.connection.prepare("PRAGMA integrity_check(20)")?;
        for line in statement.query_map([], |row| row.get::<_, String>(0))? {
            let what = line?;
            if what != "ok" {
                note(&mut findings, Finding::Database { what });
            }
        }
        for trigger in schema::TRIGGERS {
            let there: bool = self.connection.query_row(
                "SELECT count(*) FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'journal' AND name = ?",
                [trigger],
                |row| row.get(0),
            )?;
            if !there {
                let what = format!("the trigger {trigger} is gone");
                note(&mut findings, Finding::Database { what });
            }
        }
        Ok(findings)
    }
}

fn note(findings: &mut Vec<Finding>, finding: Finding) {
    if findings.len() < MOST {
        findings.push(finding);
    }
}

/// The heads that must be on the way: the one given, and the one of the kept fold.
fn noted_heads(connection: &rusqlite::Connection, expected: Option<&Head>) -> Result<Vec<(&'static str, Head)>> {
    let mut noted: Vec<_> = expected.map(|head| ("elsewhere", *head)).into_iter().collect();
    let mut statement = connection.prepare("SELECT seq, hash FROM snapshot")?;
    for kept in statement.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, [u8; 32]>(1)?)))? {
        let (seq, hash) = kept?;
        noted.push((
            "the kept snapshot",
            Head {
                seq: u64::try_from(seq).unwrap_or(0),
                hash: Digest::from(hash),
            },
        ));
    }
    Ok(noted)
}

/// One row, as little understood as possible: what cannot be read as what it is to be does not fit its digest.
struct Read {
    seq: u64,
    batch: u64,
    at: String,
    version: u32,
    kind: String,
    body: String,
    hash: Digest,
}

impl Read {
    fn of(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        let whole = |column| row.get::<_, i64>(column).map(|value| u64::try_from(value).unwrap_or(0));
        Ok(Self {
            seq: whole(0)?.max(1),
            batch: whole(1)?,
            at: row.get(2)?,
            version: row.get::<_, i64>(3)?.try_into().unwrap_or(u32::MAX),
            kind: row.get(4)?,
            body: row.get(5)?,
            hash: row
                .get::<_, Vec<u8>>(6)?
                .try_into()
                .map_or(Digest::NONE, |hash: [u8; 32]| Digest::from(hash)),
        })
    }
}
