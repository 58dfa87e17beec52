//! Where records, locks, known keys and made payloads of devices are, below a state directory.

use std::path::{Path, PathBuf};

/// Directories of one state directory: whoever flashes, the daemon or a person, goes by the same ones.
#[derive(Debug, Clone)]
pub struct Place(PathBuf);

impl Place {
    /// Those below this state directory.
    pub fn below(state: &Path) -> Self {
        Self(state.join("devices"))
    }

    /// Records of flashes.
    pub fn records(&self) -> PathBuf {
        self.0.join("flashes")
    }

    /// One lock for each device.
    pub fn locks(&self) -> PathBuf {
        self.0.join("locks")
    }

    /// What was made of images.
    pub fn made(&self) -> PathBuf {
        self.0.join("made")
    }

    /// The devices' host keys that somebody agreed to.
    pub fn known_hosts(&self) -> PathBuf {
        self.0.join("known_hosts")
    }
}
