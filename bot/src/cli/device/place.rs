//! Where records, locks, known keys and made payloads of devices are: below the daemon's state, or a person's own.

use std::path::{Path, PathBuf};

use crate::cli::Context;
use crate::exit::Broken;

/// Directories below a state directory.
#[derive(Debug, Clone)]
pub(super) struct Place(PathBuf);

impl Place {
    /// The one that was named; else the daemon's, where there is a configuration; else the user's.
    ///
    /// # Errors
    /// The configuration is wrong, or there is no home.
    pub(super) fn find(named: Option<&Path>, context: &Context) -> anyhow::Result<Self> {
        if let Some(named) = named {
            return Ok(Self(named.to_owned()));
        }
        if context.global.config.is_file() {
            let config = context.config()?;
            return Ok(Self(context.settings(&config).paths.state()));
        }
        let variable = |name| {
            std::env::var_os(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        let state = variable("XDG_STATE_HOME").or_else(|| Some(variable("HOME")?.join(".local/state")));
        let state = state.ok_or_else(|| {
            Broken::new("there is no place for records: neither a configuration nor HOME is there")
                .hint("name one: --state DIR")
        })?;
        Ok(Self(state.join("windlass")))
    }

    fn below(&self, name: &str) -> PathBuf {
        self.0.join("devices").join(name)
    }

    /// Records of flashes.
    pub(super) fn records(&self) -> PathBuf {
        self.below("flashes")
    }

    /// One lock for each device.
    pub(super) fn locks(&self) -> PathBuf {
        self.below("locks")
    }

    /// What was made of images.
    pub(super) fn made(&self) -> PathBuf {
        self.below("made")
    }

    /// The devices' host keys that somebody agreed to.
    pub(super) fn known_hosts(&self) -> PathBuf {
        self.below("known_hosts")
    }
}
