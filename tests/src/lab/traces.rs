//! What somebody who flashes a machine leaves behind: connections, ports, locks.

use std::path::Path;

use rustix::fs::FlockOperation;

use super::Machine;
use crate::proc::{self, Process};

impl Machine {
    /// Every ssh of this machine that leads to it.
    pub fn connections(&self) -> Vec<Process> {
        let port = self.port.to_string();
        let leads = |process: &Process| {
            let to = |pair: &[String]| pair[0] == "-p" && pair[1] == port;
            process.runs("ssh") && process.argv.windows(2).any(to)
        };
        // Somebody who was killed has left his children to nobody: all there are are looked at.
        let mut all = proc::of_world(Path::new("/"));
        all.retain(leads);
        all
    }

    /// How many servers listen on it; of itself it has sshd alone.
    pub fn servers(&self) -> anyhow::Result<usize> {
        let said =
            self.says("netstat -ltn | awk '/LISTEN/ { sub(/.*:/, \"\", $4); print $4 }' | sort -u | grep -c .")?;
        Ok(said.parse()?)
    }

    /// Whether somebody has the lock under which it is flashed, below this state directory.
    pub fn is_locked(&self, state: &Path) -> anyhow::Result<bool> {
        let file = state.join("devices/locks").join(format!("{}.lock", self.name()));
        if !file.exists() {
            return Ok(false);
        }
        let file = std::fs::File::open(&file)?;
        Ok(rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_err())
    }
}
