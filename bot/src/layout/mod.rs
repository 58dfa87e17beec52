//! Which directories there are, whose they are, and with which mode: `init` makes them so, `doctor` holds them to it.

pub mod diff;
pub mod files;
pub mod plan;
pub mod sources;
pub mod unix;

use std::path::{Path, PathBuf};

use windlass_hooks::settings::{Paths, Users};

use crate::exit::Broken;
use unix::Account;

/// One of the three parts that Unix users play.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Who installs; in the set-up for one user, that user.
    Admin,
    /// Who runs the daemon.
    Bot,
    /// Whom people reach by ssh, who runs the hooks.
    Git,
}

/// A directory as it is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory {
    /// Where.
    pub path: PathBuf,
    /// Whose.
    pub owner: Part,
    /// The part whose first group it has.
    pub group: Part,
    /// Its mode, sticky bit included.
    pub mode: u32,
    /// What is in it, in a few words.
    pub holds: &'static str,
}

/// All directories, outer ones first.
pub fn directories(paths: &Paths) -> Vec<Directory> {
    use Part::{Admin, Bot, Git};
    let directory = |path: PathBuf, owner, group, mode, holds| Directory {
        path,
        owner,
        group,
        mode,
        holds,
    };
    let socket = paths.socket();
    let run = socket.parent().unwrap_or(Path::new("/")).to_owned();
    vec![
        directory(paths.root.clone(), Admin, Admin, 0o755, "everything"),
        directory(paths.people(), Bot, Git, 0o750, "one file a person"),
        directory(paths.git(), Git, Git, 0o750, "the source repositories"),
        directory(paths.git().join("people"), Git, Git, 0o750, "people's own"),
        directory(paths.git().join("shared"), Git, Git, 0o750, "shared ones"),
        directory(paths.git().join(".ssh"), Git, Git, 0o700, "authorized_keys"),
        directory(paths.git_state(), Git, Git, 0o750, "what hooks and ssh door keep"),
        directory(paths.claims(), Git, Git, 0o750, "the replay ledger"),
        directory(paths.spool(), Bot, Git, 0o1730, "requests that wait"),
        directory(run, Bot, Git, 0o750, "the socket"),
        directory(paths.state(), Bot, Bot, 0o700, "the journal"),
        directory(paths.keys(), Bot, Bot, 0o700, "the repositories' signing keys"),
        directory(paths.repos(), Bot, Bot, 0o755, "packages and generations"),
    ]
}

/// The file with everybody's login keys.
pub fn authorized_keys(paths: &Paths) -> PathBuf {
    paths.git().join(".ssh/authorized_keys")
}

/// Whether one Unix user plays all parts.
pub fn is_one_user(users: &Users) -> bool {
    users.git == users.bot
}

/// The Unix users who play the parts, as the system has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accounts {
    admin: Account,
    bot: Account,
    git: Account,
}

impl Accounts {
    /// Looks the users up.
    ///
    /// # Errors
    /// [`Broken`] when one of them does not exist.
    pub fn of(users: &Users) -> Result<Self, Broken> {
        let known = |name: &str| {
            Account::named(name).ok_or_else(|| {
                Broken::new(format!("there is no Unix user '{name}'"))
                    .hint("`windlass init` as root makes the users; [users] in windlass.toml names them")
            })
        };
        let (bot, git) = (known(&users.bot)?, known(&users.git)?);
        let admin = if is_one_user(users) {
            git.clone()
        } else {
            known("root")?
        };
        Ok(Self { admin, bot, git })
    }

    /// Who plays a part.
    pub fn part(&self, part: Part) -> &Account {
        match part {
            Part::Admin => &self.admin,
            Part::Bot => &self.bot,
            Part::Git => &self.git,
        }
    }

    /// Owner, group and mode of a directory.
    pub fn permissions(&self, directory: &Directory) -> files::Permissions {
        files::Permissions {
            uid: self.part(directory.owner).uid,
            gid: self.part(directory.group).gid,
            mode: directory.mode,
        }
    }
}

/// Owner, group and mode of people's files.
pub fn person_file(accounts: &Accounts) -> files::Permissions {
    files::Permissions {
        uid: accounts.part(Part::Bot).uid,
        gid: accounts.part(Part::Git).gid,
        mode: 0o640,
    }
}

/// A program that stands beside this one.
///
/// # Errors
/// [`Broken`] when it does not.
pub fn program(name: &str) -> Result<PathBuf, Broken> {
    let beside = beside(name)?;
    if beside.is_file() {
        return Ok(beside);
    }
    Err(Broken::new(format!("there is no program '{}'", beside.display()))
        .hint(format!("{name} is installed in the same directory as windlass")))
}

/// Where a program stands beside this one, if it is there.
///
/// # Errors
/// [`Broken`] when nobody knows where this one stands.
pub fn beside(name: &str) -> Result<PathBuf, Broken> {
    let own = std::env::current_exe()
        .and_then(std::fs::canonicalize)
        .map_err(|error| Broken::new(format!("cannot tell where this program stands: {error}")))?;
    Ok(own.with_file_name(name))
}
