//! Where things are and which Unix users play which part.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use windlass_core::id::UserName;

/// `[paths]`. What is not named lies below `root`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Paths {
    /// Everything's directory.
    pub root: PathBuf,
    /// One file a person, and their index. `ROOT/people`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub people: Option<PathBuf>,
    /// The source repositories. `ROOT/git`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub git: Option<PathBuf>,
    /// Requests that wait while the bot is away. `ROOT/spool`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spool: Option<PathBuf>,
    /// The bot's socket. `ROOT/run/bot.sock`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub socket: Option<PathBuf>,
    /// The bot's own: the journal. `ROOT/state`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<PathBuf>,
}

impl Default for Paths {
    fn default() -> Self {
        Self {
            root: "/var/lib/windlass".into(),
            people: None,
            git: None,
            spool: None,
            socket: None,
            state: None,
        }
    }
}

impl Paths {
    /// Paths below this directory.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            ..Self::default()
        }
    }

    /// Makes relative paths absolute, from the directory in which the configuration lies.
    pub fn settle(&mut self, base: &Path) {
        self.root = base.join(&self.root);
        let named = [
            &mut self.people,
            &mut self.git,
            &mut self.spool,
            &mut self.socket,
            &mut self.state,
        ];
        for path in named.into_iter().flatten() {
            *path = base.join(&*path);
        }
    }

    fn or_below(&self, path: Option<&PathBuf>, name: &str) -> PathBuf {
        path.map_or_else(|| self.root.join(name), Clone::clone)
    }

    /// The directory of people's files.
    pub fn people(&self) -> PathBuf {
        self.or_below(self.people.as_ref(), "people")
    }

    /// The root of the source repositories.
    pub fn git(&self) -> PathBuf {
        self.or_below(self.git.as_ref(), "git")
    }

    /// The spool directory.
    pub fn spool(&self) -> PathBuf {
        self.or_below(self.spool.as_ref(), "spool")
    }

    /// The bot's socket.
    pub fn socket(&self) -> PathBuf {
        self.or_below(self.socket.as_ref(), "run/bot.sock")
    }

    /// The bot's own directory.
    pub fn state(&self) -> PathBuf {
        self.or_below(self.state.as_ref(), "state")
    }

    /// The bot's journal.
    pub fn journal(&self) -> PathBuf {
        self.state().join("journal.sqlite")
    }

    /// The binary repositories: packages and generations, readable for whoever serves them.
    pub fn repos(&self) -> PathBuf {
        self.root.join("repos")
    }

    /// What each task left: logs and results, one directory a task.
    pub fn tasks(&self) -> PathBuf {
        self.state().join("tasks")
    }

    /// Results of builds by their keys, and what build roots are made of.
    pub fn builds(&self) -> PathBuf {
        self.state().join("builds")
    }

    /// The repositories' signing keys.
    pub fn keys(&self) -> PathBuf {
        self.state().join("keys")
    }

    /// The git side's own files, beside the source repositories.
    pub fn git_state(&self) -> PathBuf {
        self.git().join(".windlass")
    }

    /// The replay ledger.
    pub fn claims(&self) -> PathBuf {
        self.git_state().join("claims")
    }

    /// The record of what came through the ssh door.
    pub fn ssh_log(&self) -> PathBuf {
        self.git_state().join("ssh.log")
    }

    /// The record of what the hooks let pass in `mode = "observe"`, and of what they refused.
    pub fn hook_log(&self) -> PathBuf {
        self.git_state().join("hooks.log")
    }

    /// One file a user: what he asked for lately.
    pub fn rates(&self) -> PathBuf {
        self.git_state().join("rates")
    }
}

/// `[users]`: the Unix users. The same name twice is the one-user set-up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Users {
    /// Runs sshd's forced command and the hooks, owns the source repositories.
    pub git: String,
    /// Runs the bot, owns state and repositories.
    pub bot: String,
    /// Whom a push or a command stands for that comes from this machine's own account (git's, the bot's, root) and not through ssh.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local: Option<UserName>,
}

impl Default for Users {
    fn default() -> Self {
        Self {
            git: "git".to_owned(),
            bot: "windlass".to_owned(),
            local: None,
        }
    }
}

impl Users {
    /// The user ids that may speak for others: git's (sshd authenticated whom it names), the bot's, root's.
    pub fn trusted_uids(&self) -> Vec<u32> {
        let mut uids = vec![0];
        for name in [&self.git, &self.bot] {
            if let Some(uid) = uid_of(name)
                && !uids.contains(&uid)
            {
                uids.push(uid);
            }
        }
        uids
    }
}

/// The id of a Unix user, by name or number, as `/etc/passwd` has it. System accounts stand there; directories of people
/// (LDAP and the like) are not asked.
pub fn uid_of(name: &str) -> Option<u32> {
    let passwd = std::fs::read_to_string("/etc/passwd").ok()?;
    let found = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name))
            .then(|| fields.nth(1)?.parse().ok())
            .flatten()
    });
    found.or_else(|| name.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_user_0() {
        assert_eq!(uid_of("root"), Some(0));
        assert_eq!(uid_of("4711"), Some(4711));
        assert_eq!(uid_of("no-such-user"), None);
        let users = Users {
            git: "root".into(),
            bot: "4711".into(),
            local: None,
        };
        assert_eq!(users.trusted_uids(), vec![0, 4711]);
    }
}
