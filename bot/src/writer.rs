//! The one thread that owns the journal and the world: whatever is decided is decided here, one decision after the other.
//!
//! Others hand a closure over ([`Handle::call`]) and get its result. An event is in the journal, on disk, before it is in the
//! world; when the journal fails, the world is made again from what the journal really holds before anything else is decided.

use std::path::Path;
use std::sync::mpsc;

use jiff::Timestamp;
use tokio::sync::{broadcast, oneshot, watch};
use windlass_core::event::{Answered, EVENT_VERSION, Event};
use windlass_core::id::{RequestId, TaskId};
use windlass_core::world::{WORLD_VERSION, World};

use crate::journal::{Batch, Entry, Head, Journal, JournalError, Row, Snapshot, Sqlite, derive};

/// How many rows are read at once when the world is made.
const CHUNK: usize = 4096;

/// So many rows after the kept snapshot a start keeps a new one, so that the next start is quick whatever ends this run.
const MANY: u64 = 5_000;

/// So many rows after it an orderly end keeps a new one.
const SOME: u64 = 500;

/// How many tasks may have changed before somebody who watches hears only that much happened.
const WATCHED: usize = 4096;

/// Journal and world, which belong together: the world is what the journal's rows up to the head add up to.
pub struct State {
    journal: Box<dyn Journal>,
    head: Head,
    world: World,
    changed: broadcast::Sender<TaskId>,
    moved: watch::Sender<u64>,
    /// The world may not be what the journal says: it is made again before it is looked at.
    doubtful: bool,
    /// The last row that the kept snapshot has.
    kept: u64,
}

impl State {
    /// Makes the world from a journal.
    pub fn load(journal: impl Journal + 'static) -> Result<Self, JournalError> {
        let (changed, _) = broadcast::channel(WATCHED);
        let mut state = Self {
            journal: Box::new(journal),
            head: Head::EMPTY,
            world: World::default(),
            changed,
            moved: watch::Sender::new(0),
            doubtful: true,
            kept: 0,
        };
        state.settle()?;
        state.keep(MANY);
        Ok(state)
    }

    /// What is known.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// The journal's end.
    pub fn head(&self) -> Head {
        self.head
    }

    /// The journal, for reading.
    pub fn journal(&self) -> &dyn Journal {
        self.journal.as_ref()
    }

    /// What was answered to a request, however long ago.
    pub fn answer(&self, request: &RequestId) -> Result<Option<Answered>, JournalError> {
        let Some(body) = self.journal.answer(request)? else {
            return Ok(None);
        };
        match serde_json::from_str(&body) {
            Ok(Event::Answered(answered)) => Ok(Some(answered)),
            Ok(
                Event::TagTaken { .. }
                | Event::Task { .. }
                | Event::Access(_)
                | Event::Repository { .. }
                | Event::Job { .. }
                | Event::Device { .. }
                | Event::Nightly { .. },
            ) => Err(damaged(0, &"no answer")),
            Err(error) => Err(damaged(0, &error)),
        }
    }

    /// Puts the events of one decision on record, all or none, and makes them true.
    pub fn append(&mut self, events: &[Event], now: Timestamp) -> Result<(), JournalError> {
        if events.is_empty() {
            return Ok(());
        }
        let entries = events.iter().map(entry).collect::<Result<_, _>>()?;
        match self.journal.append(&self.head, &Batch { at: now, entries }) {
            Ok(head) => self.head = head,
            Err(error) => {
                self.doubtful = true;
                return Err(error);
            }
        }
        let mut tasks = Vec::new();
        for event in events {
            self.world.apply(event, now);
            if let Event::Task { id, .. } = event
                && !tasks.contains(id)
            {
                tasks.push(*id);
            }
        }
        for task in tasks {
            // Nobody watching is fine.
            let _ = self.changed.send(task);
        }
        self.moved.send_replace(self.head.seq);
        Ok(())
    }

    /// Makes the world again where it is doubtful.
    fn settle(&mut self) -> Result<(), JournalError> {
        if !self.doubtful {
            return Ok(());
        }
        (self.world, self.head) = self.stored()?.unwrap_or_default();
        self.kept = self.head.seq;
        loop {
            let rows = self.journal.read_from(self.head.seq, CHUNK)?;
            for row in &rows {
                let event = event(row)?;
                self.world.apply(&event, row.at);
                self.head = Head {
                    seq: row.seq,
                    hash: row.hash,
                };
            }
            if rows.len() < CHUNK {
                break;
            }
        }
        self.doubtful = false;
        Ok(())
    }

    /// The world that was kept, if it is of this program's kind and of this journal.
    fn stored(&self) -> Result<Option<(World, Head)>, JournalError> {
        let Some(snapshot) = self.journal.snapshot()? else {
            return Ok(None);
        };
        if snapshot.version != WORLD_VERSION {
            return Ok(None);
        }
        let last = match snapshot.head.seq.checked_sub(1) {
            Some(before) => self.journal.read_from(before, 1)?,
            None => Vec::new(),
        };
        if last
            .first()
            .is_none_or(|row| row.seq != snapshot.head.seq || row.hash != snapshot.head.hash)
        {
            tracing::error!(
                journal.seq = snapshot.head.seq,
                "the kept snapshot is not of this journal: windlass journal verify"
            );
            return Ok(None);
        }
        match serde_json::from_str(&snapshot.body) {
            Ok(world) => Ok(Some((world, snapshot.head))),
            Err(error) => {
                tracing::warn!(%error, "the kept snapshot cannot be read, all events are: {error}");
                Ok(None)
            }
        }
    }

    /// Keeps the world, if so many rows have come since it was kept last. Without it the next start only takes longer.
    fn keep(&mut self, rows: u64) {
        if self.doubtful || self.head.seq.saturating_sub(self.kept) < rows {
            return;
        }
        let kept = serde_json::to_string(&self.world)
            .map_err(|error| damaged(self.head.seq, &error))
            .and_then(|body| {
                self.journal.keep_snapshot(&Snapshot {
                    version: WORLD_VERSION,
                    head: self.head,
                    body,
                })
            });
        match kept {
            Ok(()) => self.kept = self.head.seq,
            Err(error) => tracing::warn!(%error, "the snapshot cannot be kept: {error}"),
        }
    }

    /// Reads back the answer to a request, however long ago it was given.
    pub fn recall_answer(&mut self, request: &RequestId) -> Result<(), JournalError> {
        if self.world.answer(request).is_none()
            && let Some(answered) = self.answer(request)?
        {
            self.world.recall_answer(answered);
        }
        Ok(())
    }

    /// Reads back the history of a task that was not in the kept snapshot.
    pub fn recall(&mut self, task: TaskId) -> Result<(), JournalError> {
        if self
            .world
            .task(task)
            .is_none_or(|task| task.events == task.history.len())
        {
            return Ok(());
        }
        let mut events = Vec::new();
        let mut after = 0;
        loop {
            let rows = self.journal.read_task(task, after, CHUNK)?;
            for row in &rows {
                after = row.seq;
                if let Event::Task { id, event } = event(row)?
                    && id == task
                {
                    events.push((event, row.at));
                }
            }
            if rows.len() < CHUNK {
                break;
            }
        }
        self.world.recall(events, task);
        Ok(())
    }
}

/// The event that a row holds.
pub fn event(row: &Row) -> Result<Event, JournalError> {
    if row.version > EVENT_VERSION {
        return Err(JournalError::TooNew {
            found: row.version,
            known: EVENT_VERSION,
        });
    }
    serde_json::from_str(&row.body).map_err(|error| damaged(row.seq, &error))
}

fn entry(event: &Event) -> Result<Entry, JournalError> {
    let body = serde_json::to_string(event).map_err(|error| damaged(0, &error))?;
    Ok(Entry {
        kind: derive(&body).kind,
        version: EVENT_VERSION,
        body,
    })
}

fn damaged(seq: u64, what: &impl ToString) -> JournalError {
    JournalError::Damaged {
        seq,
        what: what.to_string(),
    }
}

type Job = Box<dyn FnOnce(&mut State) + Send>;

/// The way to the writer; as many of them as one likes.
#[derive(Clone)]
pub struct Handle {
    jobs: mpsc::Sender<Job>,
    changed: broadcast::Sender<TaskId>,
    moved: watch::Sender<u64>,
}

/// Why the writer gave no result.
#[derive(Debug, thiserror::Error)]
pub enum WriterError {
    /// It has stopped.
    #[error("the bot is shutting down")]
    Stopped,
    /// The journal cannot be read or written.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl Handle {
    /// Runs something on the writer's thread; nothing else is decided meanwhile.
    pub async fn call<T: Send + 'static>(
        &self,
        what: impl FnOnce(&mut State) -> Result<T, JournalError> + Send + 'static,
    ) -> Result<T, WriterError> {
        let (sender, receiver) = oneshot::channel();
        let job: Job = Box::new(move |state| {
            let result = state.settle().and_then(|()| what(state));
            // The asker may be gone; what was recorded stays recorded.
            let _ = sender.send(result);
        });
        self.jobs.send(job).map_err(|_| WriterError::Stopped)?;
        Ok(receiver.await.map_err(|_| WriterError::Stopped)??)
    }

    /// As [`Self::call`], for a thread that may block.
    pub fn call_blocking<T: Send + 'static>(
        &self,
        what: impl FnOnce(&mut State) -> Result<T, JournalError> + Send + 'static,
    ) -> Result<T, WriterError> {
        let (sender, receiver) = mpsc::channel();
        let job: Job = Box::new(move |state| {
            let result = state.settle().and_then(|()| what(state));
            // The asker may be gone; what was recorded stays recorded.
            let _ = sender.send(result);
        });
        self.jobs.send(job).map_err(|_| WriterError::Stopped)?;
        Ok(receiver.recv().map_err(|_| WriterError::Stopped)??)
    }

    /// The journal's last row, whenever another comes.
    pub fn moved(&self) -> watch::Receiver<u64> {
        self.moved.subscribe()
    }

    /// The tasks that change from now on.
    pub fn watch(&self) -> broadcast::Receiver<TaskId> {
        self.changed.subscribe()
    }
}

/// The running writer.
pub struct Writer {
    handle: Handle,
    thread: std::thread::JoinHandle<()>,
}

impl Writer {
    /// Opens the journal, makes the world, starts the thread.
    pub fn start(path: &Path) -> Result<Self, JournalError> {
        let mut state = State::load(Sqlite::open(path)?)?;
        let (jobs, queue) = mpsc::channel::<Job>();
        let handle = Handle {
            jobs,
            changed: state.changed.clone(),
            moved: state.moved.clone(),
        };
        let thread = std::thread::Builder::new()
            .name("writer".to_owned())
            .spawn(move || {
                for job in queue {
                    job(&mut state);
                }
                state.keep(SOME);
            })
            .map_err(|source| JournalError::File {
                path: path.to_owned(),
                source,
            })?;
        Ok(Self { handle, thread })
    }

    /// The way to it.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Waits until all that was handed over is done and every other handle is gone.
    pub fn finish(self) {
        drop(self.handle);
        if self.thread.join().is_err() {
            tracing::error!("the writer has panicked");
        }
    }
}

#[cfg(test)]
mod tests;
