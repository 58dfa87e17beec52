//! What `init` would do: users, directories and files as they are to be, compared with what is there.
//!
//! A plan is a value: it is printed, and executed step by step, each of which reads, compares and acts on the difference.
//! A file that somebody edited is never overwritten.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use windlass_hooks::process;
use windlass_hooks::settings::Users;

use super::diff::diff;
use super::files::{self, Permissions};
use super::unix::{Account, is_member};
use super::{Accounts, Directory, Part};
use crate::exit::Broken;

/// One thing that is to be so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A Unix user, who can log in by key (a forced command runs through his shell), with an own group.
    User {
        /// The user's name.
        name: String,
        /// The home directory; not made by this step.
        home: PathBuf,
        /// A further group that the user is in.
        in_group_of: Option<String>,
        /// The login shell.
        shell: &'static str,
    },
    /// A directory.
    Directory(Directory),
    /// A file, made from a template.
    File {
        /// Where.
        path: PathBuf,
        /// Its whole content.
        content: String,
        /// Its mode.
        mode: u32,
        /// What it is, in a few words.
        what: &'static str,
    },
}

/// How what is there differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Not at all.
    Same,
    /// It is not there.
    Create,
    /// It is there with other permissions, or lacks a group.
    Mend {
        /// What is so now.
        now: String,
    },
    /// The file has another content.
    Edited {
        /// From what is there to what would be written.
        difference: String,
    },
}

/// Steps with how far each is from being so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    users: Users,
    /// In the order in which they are done.
    pub steps: Vec<(Step, Change)>,
}

impl Plan {
    /// Compares steps with what is there.
    ///
    /// # Errors
    /// Something cannot be looked at.
    pub fn compare(users: &Users, steps: Vec<Step>) -> anyhow::Result<Self> {
        let accounts = Accounts::of(users).ok();
        let steps = steps
            .into_iter()
            .map(|step| {
                let change = compare(&step, accounts.as_ref())?;
                Ok((step, change))
            })
            .collect::<anyhow::Result<_>>()?;
        Ok(Self {
            users: users.clone(),
            steps,
        })
    }

    /// Whether there is nothing to do: everything is as it is to be, or was edited and stays.
    pub fn is_settled(&self) -> bool {
        self.steps.iter().all(|(_, change)| match change {
            Change::Same | Change::Edited { .. } => true,
            Change::Create | Change::Mend { .. } => false,
        })
    }

    /// The files that somebody edited, each with the difference.
    pub fn edited(&self) -> Vec<(&Path, &str)> {
        self.steps
            .iter()
            .filter_map(|(step, change)| match (step, change) {
                (Step::File { path, .. }, Change::Edited { difference }) => Some((path.as_path(), difference.as_str())),
                _ => None,
            })
            .collect()
    }

    /// One line a step.
    pub fn lines(&self) -> Vec<String> {
        let width = self
            .steps
            .iter()
            .map(|(step, _)| place(step).chars().count())
            .max()
            .unwrap_or(0);
        self.steps
            .iter()
            .map(|(step, change)| self.line(step, change, width))
            .collect()
    }

    fn line(&self, step: &Step, change: &Change, width: usize) -> String {
        let (word, now) = match change {
            Change::Same => ("same", String::new()),
            Change::Create => ("create", String::new()),
            Change::Mend { now } => ("mend", format!(" (now {now})")),
            Change::Edited { .. } => ("edited", " (stays as it is)".to_owned()),
        };
        let name = |part| match part {
            Part::Admin if super::is_one_user(&self.users) => self.users.git.clone(),
            Part::Admin => "root".to_owned(),
            Part::Bot => self.users.bot.clone(),
            Part::Git => self.users.git.clone(),
        };
        let (mode, owners, what) = match step {
            Step::User { home, in_group_of, .. } => {
                let group = in_group_of
                    .as_ref()
                    .map_or_else(String::new, |user| format!(", in the group of {user}"));
                (
                    "user".to_owned(),
                    String::new(),
                    format!("home {}{group}", home.display()),
                )
            }
            Step::Directory(directory) => (
                format!("{:04o}", directory.mode),
                format!("{}:{}", name(directory.owner), name(directory.group)),
                directory.holds.to_owned(),
            ),
            Step::File { mode, what, .. } => (
                format!("{mode:04o}"),
                format!("{0}:{0}", name(Part::Admin)),
                (*what).to_owned(),
            ),
        };
        format!("{word:<6}  {mode}  {owners:<17}  {:<width$}  {what}{now}", place(step))
    }

    /// Does what is missing; edited files stay. Returns how many steps were done.
    ///
    /// # Errors
    /// The first step that fails; what was done before it stays done, and is found done by the next run.
    pub fn execute(&self) -> anyhow::Result<usize> {
        let mut count = 0;
        for (step, change) in &self.steps {
            match change {
                Change::Same | Change::Edited { .. } => continue,
                Change::Create | Change::Mend { .. } => {}
            }
            execute(step, &self.users)?;
            count += 1;
        }
        Ok(count)
    }
}

/// What a step is about, in one word.
fn place(step: &Step) -> String {
    match step {
        Step::User { name, .. } => name.clone(),
        Step::Directory(directory) => format!("{}/", directory.path.display()),
        Step::File { path, .. } => path.display().to_string(),
    }
}

/// The permissions that a step wants; `None` for a user.
fn wanted(step: &Step, accounts: &Accounts) -> Option<Permissions> {
    match step {
        Step::User { .. } => None,
        Step::Directory(directory) => Some(accounts.permissions(directory)),
        Step::File { mode, .. } => {
            let admin = accounts.part(Part::Admin);
            Some(Permissions {
                uid: admin.uid,
                gid: admin.gid,
                mode: *mode,
            })
        }
    }
}

fn compare(step: &Step, accounts: Option<&Accounts>) -> anyhow::Result<Change> {
    let path = match step {
        Step::User { name, in_group_of, .. } => {
            let Some(account) = Account::named(name) else {
                return Ok(Change::Create);
            };
            let other = in_group_of.as_deref().and_then(Account::named);
            return Ok(match (in_group_of, other) {
                (None, _) => Change::Same,
                (Some(_), Some(other)) if is_member(&account, other.gid) => Change::Same,
                (Some(group), _) => Change::Mend {
                    now: format!("not in {group}'s group"),
                },
            });
        }
        Step::Directory(directory) => &directory.path,
        Step::File { path, .. } => path,
    };
    let metadata = match std::fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Change::Create),
        Err(error) => return Err(error).with_context(|| format!("cannot look at '{}'", path.display())),
    };
    let kind_fits = match step {
        Step::Directory(_) => metadata.is_dir(),
        Step::File { .. } | Step::User { .. } => metadata.is_file(),
    };
    if !kind_fits {
        let wanted = if matches!(step, Step::Directory(_)) {
            "a directory"
        } else {
            "a file"
        };
        return Err(
            Broken::new(format!("'{}' is to be {wanted} and is something else", path.display()))
                .hint("move it away, or choose another place by --dir")
                .into(),
        );
    }
    if let Step::File { content, .. } = step {
        let there = std::fs::read(path).with_context(|| format!("cannot read '{}'", path.display()))?;
        let there = String::from_utf8_lossy(&there);
        if there != *content {
            return Ok(Change::Edited {
                difference: diff(&there, content),
            });
        }
    }
    let now = Permissions::of(&metadata);
    Ok(match accounts.and_then(|accounts| wanted(step, accounts)) {
        Some(wanted) if wanted == now => Change::Same,
        _ => Change::Mend { now: now.shown() },
    })
}

fn execute(step: &Step, users: &Users) -> anyhow::Result<()> {
    match step {
        Step::User {
            name,
            home,
            in_group_of,
            shell,
        } => make_user(name, home, in_group_of.as_deref(), shell),
        Step::Directory(directory) => {
            let accounts = Accounts::of(users)?;
            files::make_directory(&directory.path, accounts.permissions(directory)).with_context(|| {
                format!(
                    "cannot make the directory '{}' as it is to be",
                    directory.path.display()
                )
            })
        }
        Step::File { path, content, .. } => {
            let accounts = Accounts::of(users)?;
            let cannot = || format!("cannot write '{}'", path.display());
            let wanted = wanted(step, &accounts).with_context(cannot)?;
            if path.exists() {
                return files::mend(path, wanted).with_context(cannot);
            }
            if let Some(directory) = path.parent() {
                std::fs::create_dir_all(directory).with_context(cannot)?;
            }
            files::replace(path, content.as_bytes(), wanted).with_context(cannot)
        }
    }
}

fn make_user(name: &str, home: &Path, in_group_of: Option<&str>, shell: &str) -> anyhow::Result<()> {
    let group = match in_group_of {
        Some(user) => {
            let account = Account::named(user).with_context(|| format!("there is no Unix user '{user}' yet"))?;
            Some(account.group)
        }
        None => None,
    };
    let group = group.as_deref();
    let command = if Account::named(name).is_some() {
        process::Run::new("usermod").args(["--append", "--groups", group.unwrap_or_default()])
    } else {
        // '*' is a password that nothing matches; '!' would lock the account, and sshd refuses locked ones.
        process::Run::new("useradd")
            .args([
                "--system",
                "--user-group",
                "--no-create-home",
                "--password",
                "*",
                "--shell",
                shell,
            ])
            .args(group.map(|group| ["--groups", group]).into_iter().flatten())
            .arg("--home-dir")
            .arg(home)
    };
    command.arg("--").arg(name).ok().map_err(|error| {
        Broken::new(format!("cannot make the Unix user '{name}': {error}"))
            .hint("make the user by hand, then run it again")
    })?;
    Ok(())
}
