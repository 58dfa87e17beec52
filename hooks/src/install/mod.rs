//! Puts the hooks into a source repository, with the settings that close what a hook cannot see; takes them out; says how they stand.
//!
//! A plan first, which can be shown, then its steps. At no moment between them is a repository without the hook that it had.

mod apply;
mod init;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::process::{self, RunError};
use crate::receive::Hook;
use crate::settings::{Settings, Size};

pub use init::{InitError, init_repository};

/// What is put into repositories: stubs that name these by absolute path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// The program `windlass-hook`.
    pub program: PathBuf,
    /// The configuration that it reads.
    pub config: PathBuf,
    /// `receive.maxInputSize`.
    pub max_input_size: Size,
}

/// A repository that cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// A file cannot be read or written.
    #[error("{}: {error}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// git failed.
    #[error(transparent)]
    Git(#[from] RunError),
    /// A path that has to stand in a stub is no text.
    #[error("the path '{}' is not UTF-8, so that it cannot stand in a hook", .0.display())]
    NotText(PathBuf),
}

/// How one hook of a repository stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookState {
    /// It is the stub, and git runs it.
    Good,
    /// There is none: git lets everything pass.
    Missing,
    /// A link that leads nowhere: git lets everything pass.
    Dangling,
    /// It may not be executed: git lets everything pass.
    NotExecutable,
    /// A stub that names another program or configuration, or of another version.
    Outdated,
    /// Somebody else's hook.
    Foreign,
}

impl HookState {
    /// What it means, in a few words.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Good => "in force",
            Self::Missing => "missing: every push passes",
            Self::Dangling => "a link that leads nowhere: every push passes",
            Self::NotExecutable => "not executable: every push passes",
            Self::Outdated => "names another program or configuration",
            Self::Foreign => "somebody else's: nothing is judged",
        }
    }
}

/// One of git's settings that is not as it is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Its name.
    pub key: &'static str,
    /// What it is to be.
    pub wanted: String,
    /// What it is; several where git takes several.
    pub found: Vec<String>,
}

/// How a repository stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Each hook.
    pub hooks: Vec<(Hook, HookState)>,
    /// The settings that are not as they are to be.
    pub settings: Vec<Difference>,
    /// What `core.hooksPath` in the repository's own configuration says, if that leads elsewhere.
    pub hooks_elsewhere: Option<PathBuf>,
    /// Chained hooks that cannot be run, which refuses every push.
    pub broken_chain: Option<String>,
}

impl Status {
    /// Whether nothing is to be done.
    pub fn is_good(&self) -> bool {
        self.judges() && self.settings.is_empty() && self.broken_chain.is_none()
    }

    /// Whether a push is judged at all.
    pub fn judges(&self) -> bool {
        self.hooks.iter().all(|(_, state)| *state == HookState::Good) && self.hooks_elsewhere.is_none()
    }
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A hook that was there is kept, to be run after ours.
    Keep {
        /// Where it is.
        from: PathBuf,
        /// Where it goes.
        to: PathBuf,
    },
    /// A hook that could not be run, and so did nothing, is put aside.
    PutAside {
        /// Where it is.
        from: PathBuf,
        /// Where it goes.
        to: PathBuf,
    },
    /// The stub is written, over what stands there.
    WriteStub {
        /// Where.
        path: PathBuf,
        /// Its text.
        text: String,
    },
    /// A setting of git's is set in the repository.
    Set {
        /// Its name.
        key: &'static str,
        /// Its value.
        value: String,
    },
    /// A setting of git's is added to what it has.
    Add {
        /// Its name.
        key: &'static str,
        /// The value that is added.
        value: String,
    },
    /// A setting of git's is taken out of the repository.
    Unset {
        /// Its name.
        key: &'static str,
    },
    /// Our stub is removed.
    Remove {
        /// Where.
        path: PathBuf,
    },
    /// A hook that was kept gets its place back.
    Restore {
        /// Where it is.
        from: PathBuf,
        /// Where it goes.
        to: PathBuf,
    },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keep { from, to } => write!(f, "keep {} as {}, run after ours", from.display(), to.display()),
            Self::PutAside { from, to } => {
                write!(
                    f,
                    "put {} aside as {}: it could not be run",
                    from.display(),
                    to.display()
                )
            }
            Self::WriteStub { path, .. } => write!(f, "write {}", path.display()),
            Self::Set { key, value } => write!(f, "git config {key} {value}"),
            Self::Add { key, value } => write!(f, "git config --add {key} {value}"),
            Self::Unset { key } => write!(f, "git config --unset-all {key}"),
            Self::Remove { path } => write!(f, "remove {}", path.display()),
            Self::Restore { from, to } => write!(f, "put {} back as {}", from.display(), to.display()),
        }
    }
}

/// Where a hook that was there is kept, in `NAME.d`.
const KEPT: &str = "50-as-it-was";

/// How a stub begins, whatever it names.
const MARK: &str = "# Written by `windlass hooks install`";

impl Installation {
    /// With the program that stands beside the running one.
    ///
    /// # Errors
    /// It is not known where the running program is.
    pub fn beside_us(config: &Path, settings: &Settings) -> io::Result<Self> {
        let own = std::env::current_exe()?;
        let program = own.with_file_name("windlass-hook");
        Ok(Self {
            program,
            config: std::path::absolute(config)?,
            max_input_size: settings.push.max_input_size,
        })
    }

    /// The text of one hook.
    pub fn stub(&self, hook: Hook) -> Result<String, InstallError> {
        let text = |path: &Path| {
            path.to_str()
                .map(str::to_owned)
                .ok_or_else(|| InstallError::NotText(path.to_owned()))
        };
        Ok(windlass_templates::hook_stub(
            &text(&self.program)?,
            &text(&self.config)?,
            hook.name(),
        ))
    }

    /// How the repository in this directory stands.
    pub fn status(&self, git_dir: &Path) -> Result<Status, InstallError> {
        let mut hooks = Vec::new();
        for hook in Hook::ALL {
            hooks.push((hook, self.hook_state(git_dir, hook)?));
        }
        let own = own_settings(git_dir)?;
        let found = |key: &str| own.get(&key.to_ascii_lowercase()).cloned().unwrap_or_default();
        let mut settings = Vec::new();
        for (key, wanted) in self.settings() {
            let found = found(key);
            let is_so = if key == HIDE_REFS {
                found.contains(&wanted)
            } else {
                found.last() == Some(&wanted)
            };
            if !is_so {
                settings.push(Difference { key, wanted, found });
            }
        }
        let elsewhere = found(HOOKS_PATH).pop().map(|path| git_dir.join(path));
        let hooks_elsewhere =
            elsewhere.filter(|path| path.canonicalize().ok() != git_dir.join("hooks").canonicalize().ok());
        let broken = Hook::ALL
            .into_iter()
            .find_map(|hook| crate::receive::programs(git_dir, hook.name()).err());
        Ok(Status {
            hooks,
            settings,
            hooks_elsewhere,
            broken_chain: broken.map(|error| error.to_string()),
        })
    }

    /// Whether a push to this repository is judged by these hooks. Quick: reads the stubs and runs nothing. The ssh door asks before
    /// every push, and passes `core.hooksPath` on itself.
    pub fn judges(&self, git_dir: &Path) -> Result<bool, InstallError> {
        for hook in Hook::ALL {
            if self.hook_state(git_dir, hook)? != HookState::Good {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What has to be done so that the repository stands well; nothing if it does.
    pub fn plan(&self, git_dir: &Path) -> Result<Vec<Step>, InstallError> {
        let status = self.status(git_dir)?;
        let mut steps = Vec::new();
        for (hook, state) in status.hooks {
            let path = hook_path(git_dir, hook);
            match state {
                HookState::Good => continue,
                HookState::Missing | HookState::Outdated => {}
                HookState::Foreign => {
                    let to = git_dir.join("hooks").join(format!("{}.d", hook.name())).join(KEPT);
                    steps.push(Step::Keep { from: path.clone(), to });
                }
                HookState::NotExecutable if self.is_ours(&path) => {}
                HookState::Dangling | HookState::NotExecutable => {
                    let to = path.with_file_name(format!("{}.put-aside", hook.name()));
                    steps.push(Step::PutAside { from: path.clone(), to });
                }
            }
            steps.push(Step::WriteStub {
                text: self.stub(hook)?,
                path,
            });
        }
        if status.hooks_elsewhere.is_some() {
            steps.push(Step::Unset { key: HOOKS_PATH });
        }
        for difference in status.settings {
            let (key, value) = (difference.key, difference.wanted);
            steps.push(if key == HIDE_REFS {
                Step::Add { key, value }
            } else {
                Step::Set { key, value }
            });
        }
        Ok(steps)
    }

    /// What has to be done so that our hooks are gone and the kept ones stand where they stood. Settings stay: they do no harm.
    pub fn plan_removal(&self, git_dir: &Path) -> Vec<Step> {
        let mut steps = Vec::new();
        for hook in Hook::ALL {
            let path = hook_path(git_dir, hook);
            if !self.is_ours(&path) {
                continue;
            }
            let kept = git_dir.join("hooks").join(format!("{}.d", hook.name())).join(KEPT);
            steps.push(if kept.symlink_metadata().is_ok() {
                Step::Restore { from: kept, to: path }
            } else {
                Step::Remove { path }
            });
        }
        steps
    }

    /// Carries steps out, each durable before the next.
    pub fn apply(&self, git_dir: &Path, steps: &[Step]) -> Result<(), InstallError> {
        steps.iter().try_for_each(|step| apply::step(git_dir, step))
    }

    fn hook_state(&self, git_dir: &Path, hook: Hook) -> Result<HookState, InstallError> {
        let path = hook_path(git_dir, hook);
        let failed = |error| InstallError::Io {
            path: path.clone(),
            error,
        };
        let meta = match path.metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let dangling = path.symlink_metadata().is_ok();
                return Ok(if dangling {
                    HookState::Dangling
                } else {
                    HookState::Missing
                });
            }
            other => other.map_err(failed)?,
        };
        if !meta.is_file() || meta.permissions().mode() & 0o111 == 0 {
            return Ok(HookState::NotExecutable);
        }
        let text = std::fs::read(&path).map_err(failed)?;
        Ok(if text == self.stub(hook)?.as_bytes() {
            HookState::Good
        } else if has_mark(&text) {
            HookState::Outdated
        } else {
            HookState::Foreign
        })
    }

    #[expect(clippy::unused_self, reason = "asked of an installation, as everything here")]
    fn is_ours(&self, path: &Path) -> bool {
        std::fs::read(path).is_ok_and(|text| has_mark(&text))
    }

    fn settings(&self) -> [(&'static str, String); 7] {
        [
            ("receive.fsckObjects", "true".to_owned()),
            ("receive.fsck.extraHeaderEntry", "error".to_owned()),
            ("receive.fsck.badTagName", "error".to_owned()),
            ("receive.fsck.missingTaggerEntry", "error".to_owned()),
            ("receive.maxInputSize", self.max_input_size.bytes().to_string()),
            (HIDE_REFS, "refs/replace".to_owned()),
            ("receive.advertisePushOptions", "true".to_owned()),
        ]
    }
}

/// git takes several values of it; what an administrator hides stays hidden.
const HIDE_REFS: &str = "receive.hideRefs";

const HOOKS_PATH: &str = "core.hooksPath";

fn has_mark(text: &[u8]) -> bool {
    text.split(|byte| *byte == b'\n')
        .nth(1)
        .is_some_and(|line| line.starts_with(MARK.as_bytes()))
}

fn hook_path(git_dir: &Path, hook: Hook) -> PathBuf {
    git_dir.join("hooks").join(hook.name())
}

/// The settings in the repository's own file, by lower-case key. Only the file: whose it is does not matter.
fn own_settings(git_dir: &Path) -> Result<BTreeMap<String, Vec<String>>, InstallError> {
    let run = process::git()
        .args(["config", "--null", "--list", "--file"])
        .arg(git_dir.join("config"));
    let listed = run.ok()?.stdout;
    let mut settings: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for entry in listed.split(|byte| *byte == 0).filter(|entry| !entry.is_empty()) {
        let entry = String::from_utf8_lossy(entry);
        let (key, value) = entry.split_once('\n').unwrap_or((&entry, "true"));
        settings
            .entry(key.to_ascii_lowercase())
            .or_default()
            .push(value.to_owned());
    }
    Ok(settings)
}

#[cfg(test)]
mod tests;
