//! The word that a run is to end at once, for code that blocks.
//!
//! It can be looked at ([`StopFlag::is_set`]), or waited for together with other file descriptors: the descriptor becomes
//! readable when it is set, and stays so.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{EventfdFlags, eventfd};

/// Whether a run is to end. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub struct StopFlag(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    set: AtomicBool,
    event: OwnedFd,
}

impl StopFlag {
    /// A flag that is not set.
    ///
    /// # Errors
    /// The system has no descriptor left.
    pub fn new() -> io::Result<Self> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self(Arc::new(Inner {
            set: AtomicBool::new(false),
            event,
        })))
    }

    /// Sets it; it is never taken back.
    pub fn set(&self) {
        if !self.0.set.swap(true, Ordering::SeqCst) {
            // A counter of 1 always has room: nothing is ever read from it.
            let _ = rustix::io::write(&self.0.event, &1u64.to_ne_bytes());
        }
    }

    /// Whether it is set.
    pub fn is_set(&self) -> bool {
        self.0.set.load(Ordering::SeqCst)
    }
}

impl AsFd for StopFlag {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.event.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;

    #[test]
    fn whoever_waits_is_woken_and_stays_so() {
        let flag = StopFlag::new().unwrap();
        let readable = |flag: &StopFlag| {
            let now = Timespec { tv_sec: 0, tv_nsec: 0 };
            poll(&mut [PollFd::new(flag, PollFlags::IN)], Some(&now)).unwrap() > 0
        };
        assert!(!flag.is_set() && !readable(&flag));
        flag.clone().set();
        flag.set();
        assert!(flag.is_set() && readable(&flag) && readable(&flag));
    }
}
