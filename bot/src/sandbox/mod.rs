//! Where a build runs: namespaces, limits and file systems of its own, with nothing of the host but its `/usr`.
//!
//! ```text
//! bot ── socket ──▶ sandbox-enter     makes the namespaces, in which it is nobody of the host's
//!                   └ sandbox-keep    first process in there: file systems, files in and out
//!                     └ bwrap         once for each command: no network, no rights, a `/proc` and `/dev` of its own
//! ```
//! Nothing that a package brings runs outside the last one. When the bot ends, however it ends, the second ends, and with it
//! the kernel ends the rest: process namespace, mounts and the file system in memory go with their last process.

mod bubble;
mod cgroup;
pub(crate) mod enter;
mod etc;
pub mod host;
mod ids;
pub(crate) mod keeper;
mod lacks;
mod macros;
mod need;
mod session;
mod tree;
mod unpack;
mod wire;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use windlass_hooks::settings::Paths;

use crate::config::Build;
use crate::exit::Exit;

pub use self::host::Host;
pub use self::lacks::Lack;
pub(crate) use self::macros::{Target, Values};
pub(crate) use self::need::{Command, Installation, Limit, SandboxError};
pub(crate) use self::session::Sandbox;
pub(crate) use self::wire::{Ended, Role};

/// Does what this program is started for by itself, inside a sandbox or on the way there; nothing where these are a person's words.
pub fn helper(arguments: &[OsString]) -> Option<Exit> {
    let words: Vec<&str> = arguments.iter().skip(1).filter_map(|word| word.to_str()).collect();
    match words.as_slice() {
        [enter::ENTER] => Some(enter::main()),
        [keeper::KEEP, limits] => Some(keeper::main(limits)),
        _ => None,
    }
}

/// Builds packages: what all builds of one bot share. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Builder {
    settings: Arc<Build>,
    directory: PathBuf,
    program: PathBuf,
}

impl Builder {
    /// With these settings, below the directory of builds. `program` is this program's own file.
    pub fn new(settings: &Build, paths: &Paths, program: impl Into<PathBuf>) -> Self {
        Self {
            settings: Arc::new(settings.clone()),
            directory: paths.builds(),
            program: program.into(),
        }
    }

    /// With these settings; the program that runs is the one that is started for sandboxes.
    ///
    /// # Errors
    /// The system does not say which program that is.
    pub fn of_this_program(settings: &Build, paths: &Paths) -> std::io::Result<Self> {
        Ok(Self::new(settings, paths, std::env::current_exe()?))
    }

    /// Removes what builds of a killed bot left, half-written results and control groups, and results that nobody took for long.
    pub fn sweep(&self) {
        cgroup::sweep(session::GROUP);
        self.forget_old();
        for half in ["results", "requires", "host"] {
            let Ok(entries) = std::fs::read_dir(self.directory.join(half)) else {
                continue;
            };
            for entry in entries.flatten() {
                if entry.file_name().to_str().is_some_and(|name| name.starts_with(".new-")) {
                    remove(&entry.path());
                }
            }
        }
    }

    /// Removes results, and answers about what packages need, that nobody took for longer than they are kept.
    pub(crate) fn forget_old(&self) {
        let keep = self.settings.keep.std();
        for place in ["results", "requires"] {
            let Ok(entries) = std::fs::read_dir(self.directory.join(place)) else {
                continue;
            };
            for entry in entries.flatten() {
                let used = entry.metadata().and_then(|data| data.modified());
                let age = used.ok().and_then(|used| used.elapsed().ok()).unwrap_or_default();
                let half = entry.file_name().as_encoded_bytes().starts_with(b".new-");
                if age > keep && !half {
                    remove(&entry.path());
                }
            }
        }
    }

    /// What the tree of a build for an architecture has beside `/usr`.
    pub(crate) fn furnishing(&self, target: &Target, macros: &str, host: &Host) -> session::Furnishing {
        etc::furnishing(&self.tree(), target, macros, host.state.clone())
    }

    /// The settings.
    pub fn settings(&self) -> &Build {
        &self.settings
    }

    /// The directory that results, and what is known of the host, are kept in.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// What becomes `/usr` in build roots.
    pub(crate) fn usr(&self) -> PathBuf {
        self.tree().join("usr")
    }

    /// The tree whose `usr` that is.
    pub(crate) fn tree(&self) -> PathBuf {
        self.settings.root.clone().unwrap_or_else(|| PathBuf::from("/"))
    }
}

fn remove(path: &Path) {
    let removed = if path.is_dir() {
        std::fs::remove_dir_all(path)
    } else {
        std::fs::remove_file(path)
    };
    if let Err(error) = removed {
        tracing::warn!(path = %path.display(), %error, "what builds left cannot be removed: {error}");
    }
}
