//! What mends a finding, as a value, and doing it.

use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::Serialize;
use windlass_hooks::keyring::Keyring;
use windlass_hooks::process::Run;

use super::Site;
use crate::layout::files::{self, Permissions};
use crate::layout::{Part, person_file};
use crate::people::{self, authorized_keys};

/// What mends a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "do")]
pub enum Fix {
    /// The directory is made, or gets its owner, group and mode.
    Directory {
        /// Where.
        path: PathBuf,
        /// What it is to have.
        #[serde(skip)]
        wanted: Permissions,
    },
    /// A file gets its owner, group and mode.
    Permissions {
        /// Where.
        path: PathBuf,
        /// What it is to have.
        #[serde(skip)]
        wanted: Permissions,
    },
    /// The hooks and their settings are put into a repository.
    InstallHooks {
        /// The repository.
        repository: PathBuf,
    },
    /// Everything below a repository is given to the git user.
    GiveToGit {
        /// The repository.
        repository: PathBuf,
    },
    /// A setting is taken out of a file of git's configuration.
    UnsetGitConfig {
        /// The file.
        file: PathBuf,
        /// The setting.
        key: String,
    },
    /// Our lines in `authorized_keys` are written anew.
    AuthorizedKeys,
    /// A line of a file is replaced, if it still is what it was.
    ReplaceLine {
        /// The file.
        file: PathBuf,
        /// Its number, from 1.
        line: usize,
        /// What it is.
        old: String,
        /// What it is to be.
        new: String,
    },
    /// A file is written from a template.
    Write {
        /// Where.
        path: PathBuf,
        /// Its text.
        #[serde(skip)]
        text: String,
    },
    /// The index over the people's keys is made anew.
    Index,
    /// A Unix user is put into the git user's group.
    JoinGroup {
        /// The user.
        user: String,
        /// The group.
        group: String,
    },
    /// A Unix user has no password any more.
    NoPassword {
        /// The user.
        user: String,
    },
    /// A Unix user gets a login shell.
    LoginShell {
        /// The user.
        user: String,
    },
}

/// Mends one thing.
///
/// # Errors
/// It cannot be mended by this process.
pub fn apply(fix: &Fix, site: &Site) -> anyhow::Result<()> {
    match fix {
        Fix::Directory { path, wanted } => files::make_directory(path, *wanted)
            .with_context(|| format!("cannot mend the directory '{}'", path.display())),
        Fix::Permissions { path, wanted } => {
            mend(path, *wanted).with_context(|| format!("cannot mend '{}'", path.display()))
        }
        Fix::InstallHooks { repository } => install(repository, site),
        Fix::GiveToGit { repository } => {
            let git = site.accounts.part(Part::Git);
            give(repository, git.uid, git.gid).with_context(|| format!("cannot give '{}' away", repository.display()))
        }
        Fix::UnsetGitConfig { file, key } => {
            Run::new("git")
                .args(["config", "--file"])
                .arg(file)
                .args(["--unset-all", key])
                .ok()?;
            Ok(())
        }
        Fix::AuthorizedKeys => {
            let (everybody, _) = people::everybody(&site.config.paths.people())?;
            authorized_keys::update(&site.config, &site.config_file, &everybody).map(|_| ())
        }
        Fix::ReplaceLine { file, line, old, new } => replace_line(file, *line, old, new, site),
        Fix::Write { path, text } => {
            let wanted = Permissions {
                uid: 0,
                gid: 0,
                mode: 0o644,
            };
            files::replace(path, text.as_bytes(), wanted).with_context(|| format!("cannot write '{}'", path.display()))
        }
        Fix::Index => {
            let directory = site.config.paths.people();
            Keyring::open(&directory)?.write_index()?;
            let index = directory.join(".index");
            files::mend(&index, person_file(&site.accounts))
                .with_context(|| format!("cannot mend '{}'", index.display()))
        }
        Fix::JoinGroup { user, group } => {
            Run::new("usermod")
                .args(["--append", "--groups", group, "--", user])
                .ok()?;
            Ok(())
        }
        Fix::NoPassword { user } => {
            Run::new("usermod").args(["--password", "*", "--", user]).ok()?;
            Ok(())
        }
        Fix::LoginShell { user } => {
            Run::new("usermod").args(["--shell", "/bin/sh", "--", user]).ok()?;
            Ok(())
        }
    }
}

/// A socket cannot be opened to be mended; its directory is the bot's alone.
fn mend(path: &Path, wanted: Permissions) -> io::Result<()> {
    if path.symlink_metadata()?.file_type().is_socket() {
        std::os::unix::fs::lchown(path, Some(wanted.uid), Some(wanted.gid))?;
        return std::fs::set_permissions(path, std::fs::Permissions::from_mode(wanted.mode));
    }
    files::mend(path, wanted)
}

/// The repositories are the git user's, who may lay links in them: root works on them as that user.
fn install(repository: &Path, site: &Site) -> anyhow::Result<()> {
    let git = site.accounts.part(Part::Git);
    if rustix::process::geteuid().is_root() && git.uid != 0 {
        let own = std::env::current_exe().context("cannot tell where this program stands")?;
        let mut command = std::process::Command::new(own);
        command
            .arg("--config")
            .arg(&site.config_file)
            .args(["hooks", "install", "--"])
            .arg(repository);
        command.env("HOME", site.config.paths.git()).uid(git.uid).gid(git.gid);
        let done = command.output().context("cannot run this program as the git user")?;
        anyhow::ensure!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr).trim()
        );
        return Ok(());
    }
    let steps = site.installation.plan(repository)?;
    Ok(site.installation.apply(repository, &steps)?)
}

/// Gives a directory and all below it to a user, following no link.
fn give(path: &Path, uid: u32, gid: u32) -> io::Result<()> {
    let metadata = path.symlink_metadata()?;
    std::os::unix::fs::lchown(path, Some(uid), Some(gid))?;
    if metadata.is_dir() {
        for entry in std::fs::read_dir(path)? {
            give(&entry?.path(), uid, gid)?;
        }
    }
    Ok(())
}

fn replace_line(file: &Path, line: usize, old: &str, new: &str, site: &Site) -> anyhow::Result<()> {
    let cannot = || format!("cannot mend '{}'", file.display());
    let git_root = site.config.paths.git();
    let text = if file.starts_with(&git_root) {
        files::read_below(&git_root, file)
    } else {
        std::fs::read_to_string(file)
    }
    .with_context(cannot)?;
    let mut lines: Vec<&str> = text.lines().collect();
    let place = lines.get_mut(line - 1).filter(|found| **found == old);
    *place.with_context(|| format!("'{}' has changed in between", file.display()))? = new;
    let permissions = Permissions::of(&std::fs::symlink_metadata(file).with_context(cannot)?);
    let mended = lines.join("\n") + "\n";
    if file.starts_with(&git_root) {
        files::replace_below(&git_root, file, mended.as_bytes(), permissions).with_context(cannot)
    } else {
        files::replace(file, mended.as_bytes(), permissions).with_context(cannot)
    }
}
