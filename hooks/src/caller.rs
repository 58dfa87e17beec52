//! Who it is that pushes or commands: the person whom sshd authenticated, or this machine's own account.

use windlass_core::id::UserName;
use windlass_core::refusal::Refusal;

use crate::keyring::{Keyring, KeyringError};
use crate::settings::{Settings, Users, uid_of};

/// The variable by which the ssh door tells a hook who pushes. The door clears its client's environment first.
pub const USER_VARIABLE: &str = "WINDLASS_USER";

/// Somebody who is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The short name.
    pub name: UserName,
    /// Whether he may do everything.
    pub superuser: bool,
}

/// Nobody who is known.
#[derive(Debug, thiserror::Error)]
pub enum Unknown {
    /// There is no such person; ready to be told.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The people's files cannot be read.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
}

impl Caller {
    /// Whom a hook runs for: `WINDLASS_USER`, else the Unix user.
    pub fn of_hook(settings: &Settings, keyring: &Keyring) -> Result<Self, Unknown> {
        match std::env::var_os(USER_VARIABLE) {
            Some(name) => {
                let name = windlass_core::escape::escaped_bytes(name.as_encoded_bytes());
                let name = name
                    .parse()
                    .map_err(|error| Refusal::new("unknown_user", format!("{USER_VARIABLE}: {error}")))?;
                Self::person(name, keyring)
            }
            None => Self::local(&settings.users, keyring),
        }
    }

    /// A person by name, who must have a file.
    pub fn person(name: UserName, keyring: &Keyring) -> Result<Self, Unknown> {
        match keyring.person(&name)? {
            Some(person) => Ok(Self {
                superuser: person.is_superuser(),
                name,
            }),
            None => Err(
                Refusal::new("unknown_user", format!("there is nobody named {name} here"))
                    .hint(format!("an administrator makes him known: windlass people add {name}"))
                    .into(),
            ),
        }
    }

    /// Whom this process' own Unix user stands for: the configured `users.local` if there is one, else root and the bot's user stand
    /// for themselves, with every right. The git user without a name in its environment is nobody: it acts for people only.
    pub fn local(users: &Users, keyring: &Keyring) -> Result<Self, Unknown> {
        let uid = rustix::process::geteuid().as_raw();
        Self::of_uid(uid, users, |name| {
            Ok(keyring.person(name)?.is_some_and(|person| person.is_superuser()))
        })
    }

    fn of_uid(
        uid: u32,
        users: &Users,
        is_superuser: impl Fn(&UserName) -> Result<bool, KeyringError>,
    ) -> Result<Self, Unknown> {
        let is_bot = uid_of(&users.bot) == Some(uid);
        let is_git = uid_of(&users.git) == Some(uid);
        match &users.local {
            Some(name) if uid == 0 || is_bot || is_git => {
                let superuser = is_superuser(name)?;
                Ok(Self {
                    name: name.clone(),
                    superuser,
                })
            }
            None if uid == 0 => Ok(Self::machine("root")),
            None if is_bot && !is_git => Ok(Self::machine(&users.bot)),
            _ => Err(Refusal::new(
                "unknown_user",
                format!("it is not known for whom Unix user id {uid} acts here"),
            )
            .hint("go through ssh, or have the administrator set users.local in windlass.toml")
            .into()),
        }
    }

    fn machine(name: &str) -> Self {
        let name = name
            .parse()
            .unwrap_or_else(|_| "windlass".parse().expect("it is a well-formed name"));
        Self { name, superuser: true }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users(git: &str, bot: &str, local: Option<&str>) -> Users {
        Users {
            git: git.into(),
            bot: bot.into(),
            local: local.map(|name| name.parse().unwrap()),
        }
    }

    fn of(uid: u32, users: &Users) -> Option<(String, bool)> {
        let caller = Caller::of_uid(uid, users, |_| Ok(false)).ok()?;
        Some((caller.name.to_string(), caller.superuser))
    }

    #[test]
    fn who_a_unix_user_is() {
        let three = users("1001", "1002", None);
        assert_eq!(of(0, &three), Some(("root".into(), true)));
        assert_eq!(of(1001, &three), None, "git acts for people only");
        assert_eq!(of(1002, &three), Some(("windlass".into(), true)));
        assert_eq!(of(1003, &three), None);
        let one = users("1001", "1001", Some("alice"));
        assert_eq!(of(1001, &one), Some(("alice".into(), false)));
        assert_eq!(of(0, &one), Some(("alice".into(), false)));
        assert_eq!(of(1003, &one), None);
    }
}
