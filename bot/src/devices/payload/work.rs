//! How something long is done: on how many threads, who is told how far it is, and who may stop it.

use std::num::NonZeroUsize;

use super::PayloadError;

/// How something long is done.
#[derive(Clone, Copy)]
pub struct Work<'a> {
    /// How many threads compress.
    pub jobs: NonZeroUsize,
    /// Is told how many bytes are done, and of how many.
    pub progress: &'a dyn Fn(u64, u64),
    /// Whether it is to end, with everything cleared away.
    pub stopped: &'a dyn Fn() -> bool,
}

impl Default for Work<'_> {
    /// As many threads as there are processors; nobody is told, nobody stops it.
    fn default() -> Self {
        Self {
            jobs: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            progress: &|_, _| {},
            stopped: &|| false,
        }
    }
}

impl Work<'_> {
    /// Tells how far it is, and hears whether it is to end.
    pub(crate) fn step(&self, done: u64, total: u64) -> Result<(), PayloadError> {
        if (self.stopped)() {
            return Err(PayloadError::Stopped);
        }
        (self.progress)(done, total);
        Ok(())
    }
}
