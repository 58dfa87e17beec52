//! The tables, and how a file of an older version gets them.

use rusqlite::Connection;
use rusqlite_migration::{M, Migrations};

use super::{JournalError, Result};

/// The steps from an empty file to today's tables. A step that was ever released is never changed.
const STEPS: &[M<'static>] = &[M::up(include_str!("0001_journal.sql")).comment("the journal and its projections")];

/// Brings the file to today's tables.
pub(super) fn migrate(connection: &mut Connection) -> Result<()> {
    let found: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let known = u32::try_from(STEPS.len()).unwrap_or(u32::MAX);
    if found > known {
        return Err(JournalError::TooNew { found, known });
    }
    Migrations::from_slice(STEPS).to_latest(connection)?;
    Ok(())
}

/// The triggers without which the journal is not append-only.
pub(super) const TRIGGERS: [&str; 3] = ["journal_only_next", "journal_no_update", "journal_no_delete"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steps_are_valid() {
        Migrations::from_slice(STEPS).validate().unwrap();
    }
}
