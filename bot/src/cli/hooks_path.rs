//! `windlass hooks install --hooks-path DIR`: one set of stubs for many repositories, by `core.hooksPath`.
//!
//! The repository's own `hooks` becomes a link to the same directory, so that whoever calls git with another
//! `core.hooksPath`, as the ssh door does, comes to the same stubs. In this order, so that no push passes unjudged: the
//! stubs are written, `core.hooksPath` is set, then the link is laid.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use windlass_core::refusal::Refusal;
use windlass_hooks::install::Installation;
use windlass_hooks::process::Run;
use windlass_hooks::receive::Hook;

use crate::layout::files::{self, Permissions};
use crate::layout::unix::Account;

/// Writes the stubs into the directory; which of them were not there.
///
/// # Errors
/// They cannot be written.
pub(super) fn write_stubs(directory: &Path, installation: &Installation) -> anyhow::Result<Vec<PathBuf>> {
    let mut written = Vec::new();
    for hook in Hook::ALL {
        let path = directory.join(hook.name());
        let text = installation.stub(hook)?;
        if is_stub(&path, &text) {
            continue;
        }
        std::fs::create_dir_all(directory).with_context(|| format!("cannot make '{}'", directory.display()))?;
        let own = Account::own();
        let permissions = Permissions {
            uid: own.uid,
            gid: own.gid,
            mode: 0o755,
        };
        files::replace(&path, text.as_bytes(), permissions)
            .with_context(|| format!("cannot write '{}'", path.display()))?;
        written.push(path);
    }
    Ok(written)
}

fn is_stub(path: &Path, text: &str) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    let executable = path
        .metadata()
        .is_ok_and(|found| found.permissions().mode() & 0o111 == 0o111);
    executable && std::fs::read_to_string(path).is_ok_and(|found| found == text)
}

/// What is to be done in one repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// `core.hooksPath` is set.
    Set(PathBuf),
    /// `hooks` becomes a link; what was there is put aside, if anything was.
    Link { to: PathBuf, aside: Option<PathBuf> },
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Set(path) => write!(f, "git config core.hooksPath {}", path.display()),
            Self::Link { to, aside: None } => write!(f, "lay hooks as a link to {}", to.display()),
            Self::Link { to, aside: Some(aside) } => {
                write!(
                    f,
                    "put hooks aside as {} and lay it as a link to {}",
                    aside.display(),
                    to.display()
                )
            }
        }
    }
}

/// What a repository lacks.
///
/// # Errors
/// It has hooks of somebody's, which would no longer run.
pub(super) fn plan(git_dir: &Path, directory: &Path, installation: &Installation) -> anyhow::Result<Vec<Step>> {
    let hooks = git_dir.join("hooks");
    let status = installation.status(git_dir)?;
    let mut steps = Vec::new();
    let set = Run::new("git")
        .args(["config", "--file"])
        .arg(git_dir.join("config"))
        .args(["--get", "core.hooksPath"])
        .output()?;
    if Path::new(String::from_utf8_lossy(&set.stdout).trim_end()) != directory {
        steps.push(Step::Set(directory.to_owned()));
    }
    if hooks.canonicalize().ok() != directory.canonicalize().ok() || !hooks.is_symlink() {
        let theirs = foreign(&hooks, &status)?;
        if let Some(theirs) = theirs {
            return Err(
                Refusal::new("foreign_hook", format!("'{}' would no longer run", theirs.display()))
                    .hint("without --hooks-path it is kept and chained")
                    .into(),
            );
        }
        let aside = hooks
            .symlink_metadata()
            .is_ok()
            .then(|| git_dir.join("hooks.put-aside"));
        steps.push(Step::Link {
            to: directory.to_owned(),
            aside,
        });
    }
    Ok(steps)
}

/// A hook or chained hook in the directory that is not ours.
fn foreign(hooks: &Path, status: &windlass_hooks::install::Status) -> anyhow::Result<Option<PathBuf>> {
    use windlass_hooks::install::HookState;
    let Ok(entries) = std::fs::read_dir(hooks) else {
        return Ok(None);
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let ours = status
            .hooks
            .iter()
            .any(|(hook, state)| name == hook.name() && matches!(state, HookState::Good | HookState::Outdated));
        let sample = name.as_encoded_bytes().ends_with(b".sample");
        if !ours && !sample {
            return Ok(Some(entry.path()));
        }
    }
    Ok(None)
}

/// Does one step.
///
/// # Errors
/// It fails; what was done before stands.
pub(super) fn apply(git_dir: &Path, step: &Step) -> anyhow::Result<()> {
    match step {
        Step::Set(directory) => {
            Run::new("git")
                .args(["config", "--file"])
                .arg(git_dir.join("config"))
                .args(["--replace-all", "core.hooksPath"])
                .arg(directory)
                .ok()?;
        }
        Step::Link { to, aside } => {
            let hooks = git_dir.join("hooks");
            if let Some(aside) = aside {
                std::fs::rename(&hooks, aside).with_context(|| format!("cannot put '{}' aside", hooks.display()))?;
            }
            symlink(to, &hooks).with_context(|| format!("cannot lay '{}'", hooks.display()))?;
        }
    }
    Ok(())
}
