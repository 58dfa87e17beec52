//! Where a build runs: namespaces, limits and file systems of its own, with nothing of the host but its `/usr`.
//!
//! ```text
//! bot ── socket ──▶ sandbox-enter     makes the namespaces, in which it is nobody of the host's
//!                   └ sandbox-keep    first process in there: file systems, files in and out
//!                     └ bwrap         once for each command: no network, no rights, a `/proc` and `/dev` of its own
//! ```
//! That is one kind, by `bubblewrap`; the other runs builds in containers, see [`container`]. What a build needs of either is in `need`.
//!
//! Nothing that a package brings runs outside the last one. When the bot ends, however it ends, the second ends, and with it
//! the kernel ends the rest: process namespace, mounts and the file system in memory go with their last process.

mod bubble;
mod cgroup;
mod container;
mod either;
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

use sha2::{Digest as _, Sha256};
use windlass_core::hex::hex;
use windlass_core::id::ArchName;
use windlass_hooks::settings::Paths;

use self::container::Pool;
use crate::config::{Build, BuildHost, Config, SandboxKind};
use crate::exit::Exit;
use crate::stages::StopFlag;

pub(crate) use self::either::Sandbox;
pub use self::host::Host;
pub use self::lacks::Lack;
pub(crate) use self::macros::{Target, Values};
pub(crate) use self::need::{Command, Installation, Limit, SandboxError};
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
    /// The engines, where builds run in containers.
    pool: Option<Arc<Pool>>,
}

impl Builder {
    /// With these settings, below the directory of builds. `program` is this program's own file.
    pub fn new(settings: &Build, paths: &Paths, program: impl Into<PathBuf>) -> Self {
        Self {
            settings: Arc::new(settings.clone()),
            directory: paths.builds(),
            program: program.into(),
            pool: None,
        }
    }

    /// The same, in containers on these engines. `sweeps`: whether this is the bot itself, who removes what builds of a killed bot left
    /// on them.
    #[must_use]
    pub fn on_engines(mut self, engines: &[BuildHost], sweeps: Sweeps) -> Self {
        let sweeps = matches!(sweeps, Sweeps::Yes);
        self.pool = Some(Arc::new(Pool::new(
            engines,
            &self.settings,
            instance(&self.directory),
            sweeps,
        )));
        self
    }

    /// As configured; the program that runs is the one that is started for sandboxes.
    ///
    /// # Errors
    /// The system does not say which program that is.
    pub fn of_this_program(config: &Config, paths: &Paths, sweeps: Sweeps) -> std::io::Result<Self> {
        let builder = Self::new(&config.build, paths, std::env::current_exe()?);
        Ok(match config.build.sandbox {
            SandboxKind::Bubblewrap => builder,
            SandboxKind::Container => builder.on_engines(&config.builders, sweeps),
        })
    }

    /// Removes what builds of a killed bot left, half-written results and control groups, and results that nobody took for long.
    pub fn sweep(&self) {
        cgroup::sweep(session::GROUP);
        if let Some(pool) = &self.pool {
            pool.wake();
        }
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

    /// What builds for an architecture depend on of where they run, and how they are told the architecture.
    pub(crate) fn site(&self, arch: &ArchName, stop: &StopFlag) -> Result<(Arc<Host>, Target), SandboxError> {
        if let Some(pool) = &self.pool {
            return container::host(pool, self, arch, stop);
        }
        let broken = |message: String| SandboxError::Broken(message);
        let host = self
            .host(arch)
            .map_err(|error| broken(format!("the build host: {error}")))?;
        let target = Target::of(arch).ok_or_else(|| broken(format!("this machine does not build for '{arch}'")))?;
        Ok((host, target))
    }

    /// The same on this machine, in bubblewrap, wherever packages are built.
    pub(crate) fn here(&self) -> Self {
        Self {
            pool: None,
            ..self.clone()
        }
    }

    /// Starts a sandbox; where builds run in containers, as soon as an engine has room for it.
    pub(crate) fn start(
        &self,
        target: &Target,
        macros: &str,
        host: &Host,
        stop: &StopFlag,
    ) -> Result<Sandbox, SandboxError> {
        let Some(pool) = &self.pool else {
            let furnishing = etc::furnishing(&self.tree(), target, macros, host.state.clone());
            let sandbox = session::Bubblewrap::start(self, furnishing, stop)?;
            return Ok(Sandbox::Bubblewrap(Box::new(sandbox)));
        };
        let lease = pool.take(&target.arch, stop).map_err(SandboxError::from)?;
        let furniture = container::Furniture { target, macros, host };
        let sandbox = container::Contained::start(lease, &self.settings, &furniture, stop)?;
        Ok(Sandbox::Container(Box::new(sandbox)))
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

/// An engine that was looked at, for `windlass doctor`.
#[derive(Debug)]
pub(crate) struct Seen {
    /// Which engine it is, in a few words.
    pub(crate) engine: String,
    /// The image's id.
    pub(crate) image: String,
    /// The architectures of its builder that it does not build for.
    pub(crate) cannot: Vec<ArchName>,
    /// Its machine.
    pub(crate) machine: String,
    /// Whether the root of its containers is somebody else on its machine.
    pub(crate) maps_ids: bool,
    /// Whether builds can make user namespaces there.
    pub(crate) nests: bool,
}

/// Looks at the engine of a builder; what is wrong with it otherwise.
pub(crate) fn look_at(host: &BuildHost, settings: &Build) -> Result<Seen, String> {
    let ready = container::pool::examine(host, settings.engine_timeout.std());
    let ready = ready.map_err(|fault| fault.message().to_owned())?;
    let cannot = host.architectures().into_iter();
    Ok(Seen {
        cannot: cannot
            .filter(|arch| Target::on(arch, &ready.machine).is_none())
            .collect(),
        engine: ready.engine,
        image: ready.image,
        machine: ready.machine,
        maps_ids: ready.maps_ids,
        nests: ready.nests,
    })
}

/// Whether what killed bots left on engines is removed: by the bot, of which there is one, and by nobody who only looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sweeps {
    /// By the bot.
    Yes,
    /// By everybody else.
    No,
}

/// What is ours on engines that several bots use: this machine, and the place of our builds on it.
fn instance(directory: &Path) -> String {
    let machine = std::fs::read("/etc/machine-id").unwrap_or_default();
    let mut all = Sha256::new();
    all.update(machine);
    all.update(directory.as_os_str().as_encoded_bytes());
    hex(&all.finalize())[..12].to_owned()
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
