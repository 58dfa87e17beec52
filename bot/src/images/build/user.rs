//! The current user in an image's `passwd`: what `--add-current-user` adds.
//!
//! The files are edited here and put into the image as a layer, so that an image without a shell or without `useradd` takes a user as
//! well. Who is there already stays as he is.

use windlass_hooks::process::Run;

/// The first id that is given to a group whose user's id is taken by another group.
const FIRST: u32 = 1000;

/// Who is to be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    name: String,
    uid: u32,
}

/// The three files of one image; `None` is one that it does not have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accounts {
    /// `/etc/passwd`.
    pub passwd: Option<Vec<u8>>,
    /// `/etc/group`.
    pub group: Option<Vec<u8>>,
    /// `/etc/shadow`; only extended where it is there.
    pub shadow: Option<Vec<u8>>,
}

/// Why a user cannot be added.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// The name is none that passwd can hold.
    #[error(
        "the user's name '{0}' cannot stand in a passwd file: it has letters, digits, '_', '-' and '.', at most 32, and begins with a letter or '_'"
    )]
    Name(String),
    /// Nobody knows the name.
    #[error(
        "user {0} has no name on this machine, so that it cannot be added to an image\n\nhint: run it as a user that `getent passwd {0}` knows"
    )]
    Unknown(u32),
    /// The number is another's.
    #[error("the image has the user '{other}' with the id {uid}, so that '{name}' cannot have it")]
    Taken {
        /// Who was to be added.
        name: String,
        /// With which id.
        uid: u32,
        /// Who has it.
        other: String,
    },
}

impl User {
    /// A user of this name and id.
    ///
    /// # Errors
    /// The name cannot stand in a passwd file.
    pub fn new(name: &str, uid: u32) -> Result<Self, UserError> {
        let first = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
        let later = |byte: u8| first(byte) || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
        let good = (1..=32).contains(&name.len())
            && name
                .bytes()
                .enumerate()
                .all(|(at, byte)| if at == 0 { first(byte) } else { later(byte) });
        if good {
            Ok(Self {
                name: name.to_owned(),
                uid,
            })
        } else {
            Err(UserError::Name(windlass_core::escape::escaped(name)))
        }
    }

    /// Who runs this program, by the real id.
    ///
    /// # Errors
    /// The machine has no name for him, or none that passwd can hold.
    pub fn current() -> Result<Self, UserError> {
        let uid = rustix::process::getuid().as_raw();
        let name = crate::layout::unix::user_name(uid);
        if name != uid.to_string() {
            return Self::new(&name, uid);
        }
        // Users of a directory service are in no file.
        let asked = Run::new("getent").arg("passwd").arg(uid.to_string()).ok();
        let line = asked.ok().and_then(|finished| String::from_utf8(finished.stdout).ok());
        match line.as_deref().and_then(|line| line.split(':').next()) {
            Some(name) if !name.is_empty() => Self::new(name, uid),
            _ => Err(UserError::Unknown(uid)),
        }
    }

    /// His name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// His number.
    pub fn uid(&self) -> u32 {
        self.uid
    }

    /// The files with this user; `None` where he is there already.
    ///
    /// # Errors
    /// His number is another's.
    pub fn add(&self, accounts: &Accounts) -> Result<Option<Accounts>, UserError> {
        let passwd = accounts.passwd.as_deref().unwrap_or_default();
        let group = accounts.group.as_deref().unwrap_or_default();
        let uid = self.uid.to_string();
        if lines(passwd).any(|line| field(line, 0) == self.name.as_bytes()) {
            return Ok(None);
        }
        if let Some(line) = lines(passwd).find(|line| field(line, 2) == uid.as_bytes()) {
            return Err(UserError::Taken {
                name: self.name.clone(),
                uid: self.uid,
                other: windlass_core::escape::escaped_bytes(field(line, 0)),
            });
        }
        let number = |line: &[u8]| std::str::from_utf8(field(line, 2)).ok()?.parse::<u32>().ok();
        let own = lines(group)
            .find(|line| field(line, 0) == self.name.as_bytes())
            .and_then(number);
        let free = |gid: &u32| !lines(group).any(|line| number(line) == Some(*gid));
        let gid = own.unwrap_or_else(|| {
            std::iter::once(self.uid)
                .chain(FIRST..=u32::MAX)
                .find(free)
                .unwrap_or(self.uid)
        });
        let name = &self.name;
        let mut new = accounts.clone();
        new.passwd = Some(with(passwd, &format!("{name}:x:{uid}:{gid}::/home/{name}:/bin/sh")));
        if own.is_none() {
            new.group = Some(with(group, &format!("{name}:x:{gid}:")));
        }
        if let Some(shadow) = &accounts.shadow
            && !lines(shadow).any(|line| field(line, 0) == self.name.as_bytes())
        {
            // No password, and no way in by one.
            new.shadow = Some(with(shadow, &format!("{name}:!::0:99999:7:::")));
        }
        Ok(Some(new))
    }
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())
}

fn field(line: &[u8], number: usize) -> &[u8] {
    line.split(|byte| *byte == b':').nth(number).unwrap_or_default()
}

fn with(text: &[u8], line: &str) -> Vec<u8> {
    let mut text = text.to_vec();
    if text.last().is_some_and(|byte| *byte != b'\n') {
        text.push(b'\n');
    }
    text.extend_from_slice(line.as_bytes());
    text.push(b'\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts(passwd: &str, group: &str) -> Accounts {
        Accounts {
            passwd: Some(passwd.into()),
            group: Some(group.into()),
            shadow: None,
        }
    }

    fn text(bytes: Option<Vec<u8>>) -> String {
        String::from_utf8(bytes.unwrap()).unwrap()
    }

    #[test]
    fn a_user_is_added_to_an_empty_image_and_to_one_with_users() {
        let alice = User::new("alice", 1000).unwrap();
        let new = alice.add(&Accounts::default()).unwrap().unwrap();
        assert_eq!(text(new.passwd), "alice:x:1000:1000::/home/alice:/bin/sh\n");
        assert_eq!(text(new.group), "alice:x:1000:\n");
        assert_eq!(new.shadow, None);
        let mut have = accounts("root:x:0:0::/root:/bin/sh", "root:x:0:\nusers:x:1000:\n");
        have.shadow = Some(b"root:*:::::::\n".to_vec());
        let new = alice.add(&have).unwrap().unwrap();
        assert_eq!(
            text(new.passwd),
            "root:x:0:0::/root:/bin/sh\nalice:x:1000:1001::/home/alice:/bin/sh\n"
        );
        assert_eq!(text(new.group), "root:x:0:\nusers:x:1000:\nalice:x:1001:\n");
        assert_eq!(text(new.shadow), "root:*:::::::\nalice:!::0:99999:7:::\n");
    }

    #[test]
    fn who_is_there_stays_and_a_taken_number_is_refused() {
        let alice = User::new("alice", 1000).unwrap();
        assert_eq!(alice.add(&accounts("alice:x:7:7::/:/bin/sh\n", "")).unwrap(), None);
        let error = alice.add(&accounts("bob:x:1000:7::/:/bin/sh\n", "")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the image has the user 'bob' with the id 1000, so that 'alice' cannot have it"
        );
        let joined = alice.add(&accounts("", "alice:x:50:\n")).unwrap().unwrap();
        assert_eq!(text(joined.passwd), "alice:x:1000:50::/home/alice:/bin/sh\n");
        assert_eq!(text(joined.group), "alice:x:50:\n");
    }

    #[test]
    fn a_name_that_could_be_more_than_a_name_is_refused() {
        for name in [
            "",
            "a b",
            "a:b",
            "a\nroot",
            "$(id)",
            "-x",
            "1st",
            "a;b",
            &"x".repeat(33),
        ] {
            assert!(User::new(name, 1).is_err(), "{name:?}");
        }
        for name in ["alice", "_svc", "Alice.B-1"] {
            assert!(User::new(name, 1).is_ok(), "{name:?}");
        }
    }
}
