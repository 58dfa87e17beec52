//! What the updater said, in a file; its last lines are at hand.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use windlass_core::escape::escaped;

/// How many of the last lines are at hand.
const LAST: usize = 12;

/// The most bytes of a log.
const MOST: usize = 16 << 20;

/// The log of one flash.
#[derive(Debug)]
pub struct UpdateLog {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    file: File,
    written: usize,
    last: VecDeque<String>,
}

impl UpdateLog {
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            state: Mutex::new(State {
                file: File::create(path)?,
                written: 0,
                last: VecDeque::new(),
            }),
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// One more line, made safe to show. What cannot be written is lost: a flash does not fail for that.
    pub fn line(&self, line: &str) {
        let line = escaped(line.trim_end());
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.written += line.len() + 1;
        if state.written <= MOST {
            let _ = writeln!(state.file, "{line}");
        }
        if state.last.len() == LAST {
            state.last.pop_front();
        }
        state.last.push_back(line);
    }

    /// Its last lines.
    pub fn last(&self) -> Vec<String> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.last.iter().cloned().collect()
    }
}
