//! The journal under attack: every kind of tampering is found, a head that moved stops a decision, a crash leaves a whole batch or none.

use std::path::{Path, PathBuf};

use rstest::rstest;
use rusqlite::Connection;

use super::*;

fn entry(kind: &str, body: &str) -> Entry {
    Entry {
        kind: kind.to_owned(),
        version: 1,
        body: body.to_owned(),
    }
}

fn batch(bodies: &[&str]) -> Batch {
    Batch {
        at: "2026-11-21T10:00:00Z".parse().unwrap(),
        entries: bodies.iter().map(|body| entry("test", body)).collect(),
    }
}

/// A journal of three decisions: rows 1, 2 to 4, 5.
fn filled() -> (tempfile::TempDir, PathBuf, Head) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal.sqlite");
    let mut journal = Sqlite::open(&path).unwrap();
    let mut head = Head::EMPTY;
    for decision in [batch(&["a"]), batch(&["b", "c", "d"]), batch(&["e"])] {
        head = journal.append(&head, &decision).unwrap();
    }
    (directory, path, head)
}

/// What somebody with the file and no respect for triggers can do.
fn tamper(path: &Path, sql: &str) {
    let connection = Connection::open(path).unwrap();
    connection
        .execute_batch(&format!(
            "PRAGMA foreign_keys = OFF; CREATE TEMP TABLE kept AS SELECT name, sql FROM sqlite_schema WHERE type = 'trigger';
             DROP TRIGGER journal_only_next; DROP TRIGGER journal_no_update; DROP TRIGGER journal_no_delete; {sql}"
        ))
        .unwrap();
    let triggers: Vec<String> = connection
        .prepare("SELECT sql FROM kept")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    connection.execute_batch(&triggers.join(";\n")).unwrap();
}

fn findings(path: &Path, expected: Option<&Head>) -> Vec<String> {
    let report = Sqlite::open_read_only(path).unwrap().verify(expected).unwrap();
    report.findings.iter().map(ToString::to_string).collect()
}

#[test]
fn what_is_appended_is_read_in_order() {
    let (_directory, path, head) = filled();
    let journal = Sqlite::open_read_only(&path).unwrap();
    assert_eq!(Journal::head(&journal).unwrap(), head);
    let rows = journal.read_from(1, 3).unwrap();
    let read: Vec<_> = rows.iter().map(|row| (row.seq, row.batch, row.body.as_str())).collect();
    assert_eq!(read, [(2, 2, "b"), (3, 2, "c"), (4, 2, "d")]);
    let report = journal.verify(Some(&head)).unwrap();
    assert_eq!((report.rows, report.head, report.findings), (5, head, vec![]));
}

#[test]
fn an_older_head_is_on_the_way_to_the_newest() {
    let (_directory, path, _) = filled();
    let row = Sqlite::open_read_only(&path)
        .unwrap()
        .read_from(1, 1)
        .unwrap()
        .remove(0);
    let noted = Head {
        seq: row.seq,
        hash: row.hash,
    };
    assert_eq!(findings(&path, Some(&noted)), Vec::<String>::new());
    assert_eq!(findings(&path, Some(&Head::EMPTY)), Vec::<String>::new());
}

#[test]
fn a_decision_on_old_facts_is_not_appended() {
    let (_directory, path, head) = filled();
    let mut first = Sqlite::open(&path).unwrap();
    let mut second = Sqlite::open(&path).unwrap();
    let moved = first.append(&head, &batch(&["f"])).unwrap();
    let error = second.append(&head, &batch(&["g"])).unwrap_err();
    assert!(
        matches!(error, JournalError::HeadMoved { found, .. } if found == moved),
        "{error}"
    );
    assert_eq!(second.read_from(5, 10).unwrap().len(), 1);
}

#[rstest]
#[case::body("UPDATE journal SET body = 'x' WHERE seq = 3", &["row 3 was changed"])]
#[case::kind("UPDATE journal SET kind = 'other' WHERE seq = 1", &["row 1 was changed"])]
#[case::version("UPDATE journal SET version = 2 WHERE seq = 5", &["row 5 was changed"])]
#[case::time("UPDATE journal SET at = '2026-11-21T09:00:00Z' WHERE seq = 2", &["row 2 was changed"])]
#[case::batch("UPDATE journal SET batch = 4 WHERE seq = 4", &["row 4 was changed"])]
#[case::hash("UPDATE journal SET hash = zeroblob(32) WHERE seq = 3", &["row 3 was changed", "row 4 was changed"])]
#[case::first("DELETE FROM journal WHERE seq = 1", &["row 1 is missing", "row 2 was changed"])]
#[case::middle("DELETE FROM journal WHERE seq IN (2, 3)", &["rows 2 to 3 are missing", "row 4 was changed", "row 4 names a batch"])]
#[case::gap_closed("DELETE FROM journal WHERE seq = 3; UPDATE journal SET seq = 3 WHERE seq = 4; UPDATE journal SET seq = 4 WHERE seq = 5",
    &["row 3 was changed", "row 4 was changed", "row 4 names a batch", "the head"])]
#[case::swapped("UPDATE journal SET seq = 9 WHERE seq = 3; UPDATE journal SET seq = 3 WHERE seq = 4; UPDATE journal SET seq = 4 WHERE seq = 9",
    &["row 3 was changed", "row 4 was changed", "row 5 was changed"])]
#[case::last("DELETE FROM journal WHERE seq = 5", &["the head"])]
#[case::added("INSERT INTO journal SELECT 6, 6, at, version, kind, body, zeroblob(32) FROM journal WHERE seq = 5", &["row 6 was changed"])]
#[case::all("DELETE FROM journal", &["the head"])]
fn tampering_is_found(#[case] sql: &str, #[case] expected: &[&str]) {
    let (_directory, path, head) = filled();
    tamper(&path, sql);
    let found = findings(&path, Some(&head));
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found:?}");
    }
}

#[test]
fn a_missing_trigger_is_found() {
    let (_directory, path, _) = filled();
    Connection::open(&path)
        .unwrap()
        .execute_batch("DROP TRIGGER journal_no_update")
        .unwrap();
    assert_eq!(
        findings(&path, None),
        ["the database: the trigger journal_no_update is gone"]
    );
}

#[rstest]
#[case("UPDATE journal SET body = 'x'")]
#[case("DELETE FROM journal WHERE seq = 5")]
#[case("INSERT OR REPLACE INTO journal SELECT seq, batch, at, version, kind, 'x', hash FROM journal WHERE seq = 5")]
#[case("INSERT INTO journal SELECT 9, 9, at, version, kind, body, hash FROM journal WHERE seq = 5")]
fn the_database_itself_refuses_changes(#[case] sql: &str) {
    let (_directory, path, head) = filled();
    // A plain connection, as the sqlite3 program has it.
    let error = Connection::open(&path).unwrap().execute_batch(sql).unwrap_err();
    assert!(error.to_string().contains("append-only"), "{error}");
    assert_eq!(findings(&path, Some(&head)), Vec::<String>::new());
}

#[test]
fn a_crash_in_a_batch_leaves_nothing_of_it() {
    let (_directory, path, head) = filled();
    {
        let journal = Sqlite::open(&path).unwrap();
        journal
            .connection
            .execute_batch("BEGIN IMMEDIATE; INSERT INTO journal SELECT 6, 6, at, version, kind, body, hash FROM journal WHERE seq = 5;")
            .unwrap();
        // Dropped without a commit, as a killed process would.
    }
    let mut journal = Sqlite::open(&path).unwrap();
    assert_eq!(Journal::head(&journal).unwrap(), head);
    assert_eq!(journal.append(&head, &batch(&["f"])).unwrap().seq, 6);
}

#[test]
fn a_batch_that_fails_midway_leaves_nothing_of_it() {
    let (_directory, path, head) = filled();
    let mut journal = Sqlite::open(&path).unwrap();
    journal
        .connection
        .execute_batch("CREATE TEMP TRIGGER full BEFORE INSERT ON main.journal WHEN NEW.seq = 7 BEGIN SELECT RAISE(ABORT, 'disk full'); END")
        .unwrap();
    let error = journal.append(&head, &batch(&["f", "g"])).unwrap_err();
    assert!(matches!(error, JournalError::Database(_)), "{error}");
    assert_eq!(Journal::head(&journal).unwrap(), head);
    assert_eq!(journal.append(&head, &batch(&["f"])).unwrap().seq, 6);
}

#[test]
fn a_copy_is_whole_and_verifies() {
    let (directory, path, head) = filled();
    let copy = directory.path().join("copy.sqlite");
    Sqlite::open_read_only(&path).unwrap().copy_to(&copy).unwrap();
    assert_eq!(findings(&copy, Some(&head)), Vec::<String>::new());
    assert!(!directory.path().join("copy.sqlite-wal").exists());
}

#[test]
fn a_newer_file_is_not_touched() {
    let (_directory, path, _) = filled();
    Connection::open(&path)
        .unwrap()
        .pragma_update(None, "user_version", 99)
        .unwrap();
    assert!(matches!(
        Sqlite::open(&path).unwrap_err(),
        JournalError::TooNew { found: 99, .. }
    ));
}

#[test]
fn a_snapshot_is_kept_and_checked() {
    let (_directory, path, head) = filled();
    let mut journal = Sqlite::open(&path).unwrap();
    let snapshot = Snapshot {
        version: 3,
        head,
        body: "{}".to_owned(),
    };
    journal.keep_snapshot(&snapshot).unwrap();
    assert_eq!(journal.snapshot().unwrap(), Some(snapshot));
    tamper(&path, "DELETE FROM journal WHERE seq = 5");
    let found = findings(&path, None);
    assert!(
        found.len() == 1 && found[0].contains("known from the kept snapshot"),
        "{found:?}"
    );
    Sqlite::open(&path).unwrap().rebuild().unwrap();
    assert_eq!(Sqlite::open(&path).unwrap().snapshot().unwrap(), None);
}
