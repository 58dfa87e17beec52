//! A journal that fails, before or after it has written: the world never says what the journal does not.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use windlass_core::task::TaskEvent;

use super::*;
use crate::journal::Snapshot;

type Result<T> = std::result::Result<T, JournalError>;

/// How the next append fails, if it does.
const WELL: u8 = 0;
const BEFORE: u8 = 1;
const AFTER: u8 = 2;

struct Flaky {
    inner: Sqlite,
    next: Arc<AtomicU8>,
}

fn broken() -> JournalError {
    JournalError::Database(rusqlite::Error::InvalidQuery)
}

impl Journal for Flaky {
    fn head(&self) -> Result<Head> {
        self.inner.head()
    }
    fn append(&mut self, expected: &Head, batch: &Batch) -> Result<Head> {
        match self.next.swap(WELL, Ordering::SeqCst) {
            BEFORE => Err(broken()),
            AFTER => self.inner.append(expected, batch).and(Err(broken())),
            _ => self.inner.append(expected, batch),
        }
    }
    fn read_from(&self, after: u64, limit: usize) -> Result<Vec<Row>> {
        self.inner.read_from(after, limit)
    }
    fn read_task(&self, task: TaskId, after: u64, limit: usize) -> Result<Vec<Row>> {
        self.inner.read_task(task, after, limit)
    }
    fn answer(&self, request: &RequestId) -> Result<Option<String>> {
        self.inner.answer(request)
    }
    fn snapshot(&self) -> Result<Option<Snapshot>> {
        self.inner.snapshot()
    }
    fn keep_snapshot(&mut self, snapshot: &Snapshot) -> Result<()> {
        self.inner.keep_snapshot(snapshot)
    }
    fn rebuild(&mut self) -> Result<()> {
        self.inner.rebuild()
    }
}

fn created(id: TaskId) -> Event {
    Event::Task {
        id,
        event: TaskEvent::Created {
            repository: "main".parse().unwrap(),
            owner: "alice".parse().unwrap(),
        },
    }
}

/// A state on a journal that fails as told.
fn flaky() -> (tempfile::TempDir, State, Arc<AtomicU8>) {
    let directory = tempfile::tempdir().unwrap();
    let next = Arc::new(AtomicU8::new(WELL));
    let inner = Sqlite::open(&directory.path().join("journal.sqlite")).unwrap();
    let state = State::load(Flaky {
        inner,
        next: Arc::clone(&next),
    });
    (directory, state.unwrap(), next)
}

#[test]
fn what_the_journal_did_not_take_is_not_true() {
    let (_directory, mut state, next) = flaky();
    let now = Timestamp::UNIX_EPOCH;
    let second = TaskId::FIRST.next();
    state.append(&[created(TaskId::FIRST)], now).unwrap();
    next.store(BEFORE, Ordering::SeqCst);
    assert!(state.append(&[created(second)], now).is_err());
    state.settle().unwrap();
    assert_eq!((state.world().next_task(), state.head().seq), (second, 1));
    state.append(&[created(second)], now).unwrap();
    assert_eq!(state.head().seq, 2);
}

#[test]
fn what_the_journal_took_is_true_whatever_it_said() {
    let (_directory, mut state, next) = flaky();
    let now = Timestamp::UNIX_EPOCH;
    next.store(AFTER, Ordering::SeqCst);
    assert!(state.append(&[created(TaskId::FIRST)], now).is_err());
    assert!(state.world().task(TaskId::FIRST).is_none());
    state.settle().unwrap();
    assert!(state.world().task(TaskId::FIRST).is_some());
    assert_eq!(state.head().seq, 1);
}

#[test]
fn what_somebody_else_appended_is_known_before_the_next_decision() {
    let (directory, mut state, _) = flaky();
    let now = Timestamp::UNIX_EPOCH;
    let mut other = State::load(Sqlite::open(&directory.path().join("journal.sqlite")).unwrap()).unwrap();
    other.append(&[created(TaskId::FIRST)], now).unwrap();
    let error = state.append(&[created(TaskId::FIRST)], now).unwrap_err();
    assert!(matches!(error, JournalError::HeadMoved { .. }), "{error}");
    state.settle().unwrap();
    assert_eq!(state.world(), other.world());
}

#[test]
fn an_event_of_a_newer_program_stops_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal.sqlite");
    let mut journal = Sqlite::open(&path).unwrap();
    let entries = vec![Entry {
        kind: "wonder".to_owned(),
        version: EVENT_VERSION + 1,
        body: "{}".to_owned(),
    }];
    let at = Timestamp::UNIX_EPOCH;
    journal.append(&Head::EMPTY, &Batch { at, entries }).unwrap();
    let refused = State::load(journal).err().map(|error| error.to_string());
    assert!(refused.is_some_and(|text| text.contains("newer version of Windlass")));
}

#[test]
fn the_thread_ends_when_all_handles_are_gone() {
    let directory = tempfile::tempdir().unwrap();
    let writer = Writer::start(&directory.path().join("journal.sqlite")).unwrap();
    let handle = writer.handle();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let next = runtime
        .block_on(handle.call(|state| Ok(state.world().next_task())))
        .unwrap();
    assert_eq!(next, TaskId::FIRST);
    drop(handle);
    writer.finish();
}
