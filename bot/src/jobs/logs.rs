//! What the attempts at a job wrote: a file each, below `state/jobs`.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use windlass_core::id::JobId;
use windlass_core::job::JobResult;

use super::Trouble;
use crate::stages::StageLog;

/// How many attempts' logs of one job are kept.
const KEPT: u32 = 5;

/// The log of an attempt, which several may write to. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Log(Arc<Mutex<StageLog>>);

impl Log {
    pub(super) fn new(log: StageLog) -> Self {
        Self(Arc::new(Mutex::new(log)))
    }

    /// Adds a line.
    pub(super) fn say(&self, line: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).line(line);
    }

    /// Says how the attempt ended, and hands that on.
    pub(super) fn end(&self, ended: Result<JobResult, Trouble>) -> Result<JobResult, Trouble> {
        match &ended {
            Ok(result) => self.say(&result.to_string()),
            Err(trouble) => trouble.message.lines().for_each(|line| self.say(line)),
        }
        ended
    }
}

/// Where the logs are.
#[derive(Debug, Clone)]
pub struct JobLogs(PathBuf);

impl JobLogs {
    /// Those of a bot with this state directory.
    pub fn below(state: &Path) -> Self {
        Self(state.join("jobs"))
    }

    /// The log of an attempt.
    pub fn path(&self, job: JobId, attempt: u32) -> PathBuf {
        self.0.join(job.to_string()).join(format!("{attempt}.log"))
    }

    /// Begins the log of an attempt, and removes those of long ago.
    ///
    /// # Errors
    /// The system refuses.
    pub fn begin(&self, job: JobId, attempt: u32) -> io::Result<StageLog> {
        if let Some(old) = attempt.checked_sub(KEPT) {
            match std::fs::remove_file(self.path(job, old)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::debug!(job.id = job.get(), %error, "an old log of job {job} stays: {error}");
                }
                Ok(()) | Err(_) => {}
            }
        }
        StageLog::create(&self.path(job, attempt))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_attempts_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let logs = JobLogs::below(dir.path());
        let job = JobId::FIRST;
        for attempt in 1..=8 {
            logs.begin(job, attempt).unwrap().line("x");
        }
        let kept = (1..=8).filter(|attempt| logs.path(job, *attempt).exists());
        assert_eq!(kept.collect::<Vec<_>>(), [4, 5, 6, 7, 8]);
    }
}
