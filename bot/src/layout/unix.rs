//! Unix users and groups as `/etc/passwd` and `/etc/group` have them: system accounts stand there.

use std::path::PathBuf;

use windlass_hooks::settings::uid_of;

/// A user or group: what the system calls it and what people do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The user's id.
    pub uid: u32,
    /// The id of its first group.
    pub gid: u32,
    /// The user's name.
    pub user: String,
    /// The name of its first group.
    pub group: String,
}

impl Account {
    /// The user of this name; `None` if there is none.
    pub fn named(user: &str) -> Option<Self> {
        let uid = uid_of(user)?;
        let gid = fields("/etc/passwd", |line| line.first() == Some(&user), 3)?
            .parse()
            .ok()?;
        Some(Self {
            uid,
            gid,
            user: user.to_owned(),
            group: group_name(gid),
        })
    }

    /// The user who runs this program.
    pub fn own() -> Self {
        let uid = rustix::process::geteuid().as_raw();
        let gid = rustix::process::getegid().as_raw();
        Self {
            uid,
            gid,
            user: user_name(uid),
            group: group_name(gid),
        }
    }
}

/// The name of a user id, or the number itself.
pub fn user_name(uid: u32) -> String {
    by_id("/etc/passwd", uid)
}

/// The name of a group id, or the number itself.
pub fn group_name(gid: u32) -> String {
    by_id("/etc/group", gid)
}

/// The home directory of a user.
pub fn home_of(user: &str) -> Option<PathBuf> {
    fields("/etc/passwd", |line| line.first() == Some(&user), 5).map(PathBuf::from)
}

/// The login shell of a user.
pub fn shell_of(user: &str) -> Option<PathBuf> {
    fields("/etc/passwd", |line| line.first() == Some(&user), 6).map(PathBuf::from)
}

/// Whether a user has a password; no, where that cannot be seen.
pub fn has_password(user: &str) -> bool {
    fields("/etc/shadow", |line| line.first() == Some(&user), 1)
        .is_some_and(|hash| hash.starts_with('$') || hash.is_empty())
}

/// Whether a user is in a group, by its first group or by `/etc/group`.
pub fn is_member(account: &Account, gid: u32) -> bool {
    let wanted = gid.to_string();
    account.gid == gid
        || fields("/etc/group", |line| line.get(2) == Some(&wanted.as_str()), 3)
            .is_some_and(|members| members.split(',').any(|member| member == account.user))
}

fn by_id(file: &str, id: u32) -> String {
    let wanted = id.to_string();
    fields(file, |line| line.get(2) == Some(&wanted.as_str()), 0).unwrap_or(wanted)
}

/// One field of the first line that is meant.
fn fields(file: &str, meant: impl Fn(&[&str]) -> bool, at: usize) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    text.lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find(|line| meant(line))
        .and_then(|line| line.get(at).map(|field| (*field).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_known_with_its_group_and_home() {
        let root = Account::named("root").unwrap();
        assert_eq!((root.uid, root.gid, root.group.as_str()), (0, 0, "root"));
        assert_eq!(home_of("root"), Some("/root".into()));
        assert!(is_member(&root, 0) && Account::named("no-such-user").is_none());
        assert_eq!(user_name(4_000_000_001), "4000000001");
    }
}
