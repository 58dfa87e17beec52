//! Whose ids a sandbox runs with: a range of its own where the bot is root, else the bot's own id in a user namespace.
//!
//! A range is taken with a lock on a file, which the system lets go when the bot ends: two bots of one machine never use one range at
//! the same time.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

/// How many ids one sandbox has.
pub(super) const WIDTH: u32 = 65_536;

/// The end of what the kernel takes for ids that nobody reserved.
const LAST: u32 = 0x7fff_0000;

/// Where the locks are: one place for a machine, where ranges are given.
pub(super) fn directory(range: bool, builds: &Path) -> PathBuf {
    if range {
        PathBuf::from("/run/windlass-ids")
    } else {
        builds.join("slots")
    }
}

/// A range of ids that nobody else has while this lives.
#[derive(Debug)]
pub(super) struct Slot {
    /// Its number, from 0 up.
    pub(super) number: u32,
    /// Its first id.
    pub(super) first: u32,
    _lock: File,
}

impl Slot {
    /// Takes the first one that is free.
    pub(super) fn take(directory: &Path, first_id: u32) -> io::Result<Self> {
        std::fs::create_dir_all(directory)?;
        let most = (LAST.saturating_sub(first_id) / WIDTH).clamp(1, 4096);
        for number in 0..most {
            let lock = OpenOptions::new()
                .create(true)
                .write(true)
                .truncate(false)
                .open(directory.join((first_id + number * WIDTH).to_string()))?;
            match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {
                    return Ok(Self {
                        number,
                        first: first_id + number * WIDTH,
                        _lock: lock,
                    });
                }
                Err(rustix::io::Errno::WOULDBLOCK) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(io::Error::other(format!(
            "{most} builds run already, as many as there are ids for"
        )))
    }

    /// Gives the ids to a process that waits for them in its new user namespace.
    pub(super) fn map(&self, process: u32) -> io::Result<()> {
        for map in ["uid_map", "gid_map"] {
            std::fs::write(format!("/proc/{process}/{map}"), format!("0 {} {WIDTH}", self.first))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_taken_once_and_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let one = Slot::take(dir.path(), 0x7000_0000).unwrap();
        let two = Slot::take(dir.path(), 0x7000_0000).unwrap();
        assert_eq!((one.number, one.first), (0, 0x7000_0000));
        assert_eq!((two.number, two.first), (1, 0x7001_0000));
        drop(one);
        assert_eq!(Slot::take(dir.path(), 0x7000_0000).unwrap().number, 0);
    }
}
