//! Who there is and who may do everything, read from the people's files and kept until they change.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use windlass_core::id::UserName;
use windlass_core::people::Person;

/// How long a file that was changed in place may go unnoticed. One that was added, removed or replaced is seen at once.
const TRUSTED: Duration = Duration::from_secs(1);

/// The people, as their files say.
#[derive(Debug)]
pub struct Roster {
    directory: PathBuf,
    known: Mutex<Known>,
}

/// Everybody, and those who may do everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct People {
    /// Everybody there is.
    pub all: BTreeSet<UserName>,
    /// Who may do everything.
    pub superusers: BTreeSet<UserName>,
}

#[derive(Debug, Default)]
struct Known {
    /// The directory's state and when it was looked at.
    seen: Option<(Stamp, Instant)>,
    files: BTreeMap<UserName, (Stamp, Option<bool>)>,
    people: People,
}

/// What changes when a file or directory does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(meta: &std::fs::Metadata) -> Self {
        Self {
            inode: meta.ino(),
            size: meta.size(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        }
    }
}

impl Roster {
    /// The people of a directory; nothing is read yet.
    pub fn new(directory: PathBuf) -> Self {
        Self {
            directory,
            known: Mutex::default(),
        }
    }

    /// The people as of now.
    ///
    /// # Errors
    /// The directory cannot be read. A single file that cannot be is logged, and its person is nobody.
    pub fn people(&self) -> io::Result<People> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = Stamp::of(&std::fs::metadata(&self.directory)?);
        let fresh = known
            .seen
            .is_some_and(|(seen, at)| seen == stamp && at.elapsed() < TRUSTED);
        if !fresh {
            known.look_again(&self.directory)?;
            known.seen = Some((stamp, Instant::now()));
        }
        Ok(known.people.clone())
    }
}

impl Known {
    fn look_again(&mut self, directory: &Path) -> io::Result<()> {
        let mut found = BTreeMap::new();
        let mut changed = false;
        for entry in std::fs::read_dir(directory)? {
            let path = entry?.path();
            let Some(name) = person_of(&path) else { continue };
            let Ok(meta) = std::fs::metadata(&path) else { continue };
            let stamp = Stamp::of(&meta);
            let known = match self.files.get(&name) {
                Some((old, superuser)) if *old == stamp => *superuser,
                Some(_) | None => {
                    changed = true;
                    read(&path, &name)
                }
            };
            found.insert(name, (stamp, known));
        }
        if changed || found.len() != self.files.len() {
            let there = |wanted: fn(bool) -> bool| {
                found
                    .iter()
                    .filter(move |(_, (_, superuser))| superuser.is_some_and(wanted))
                    .map(|(name, _)| name.clone())
                    .collect()
            };
            self.people = People {
                all: there(|_| true),
                superusers: there(|superuser| superuser),
            };
        }
        self.files = found;
        Ok(())
    }
}

/// Whose file this is, by its name.
fn person_of(path: &Path) -> Option<UserName> {
    path.file_name()?.to_str()?.strip_suffix(".toml")?.parse().ok()
}

/// Whether the person may do everything; nothing when the file cannot be read.
fn read(path: &Path, name: &UserName) -> Option<bool> {
    let person = std::fs::read_to_string(path)
        .map_err(|error| error.to_string())
        .and_then(|text| Person::from_toml(name.clone(), &text).map_err(|error| error.to_string()));
    match person {
        Ok(person) => Some(person.is_superuser()),
        Err(error) => {
            tracing::warn!(user = %name, file = %path.display(), %error, "a person's file cannot be read: {name} is nobody until it can");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(set: &BTreeSet<UserName>) -> Vec<&str> {
        set.iter().map(UserName::as_str).collect()
    }

    #[test]
    fn who_comes_and_goes_is_seen_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
        write("alice.toml", "roles = ['superuser']\n");
        write("bob.toml", "");
        write("notes.txt", "");
        write(".index", "");
        write("broken.toml", "roles = ");
        let roster = Roster::new(directory.path().to_owned());
        let people = roster.people().unwrap();
        assert_eq!(names(&people.all), ["alice", "bob"]);
        assert_eq!(names(&people.superusers), ["alice"]);
        write("carol.toml", "");
        std::fs::remove_file(directory.path().join("alice.toml")).unwrap();
        let people = roster.people().unwrap();
        assert_eq!(names(&people.all), ["bob", "carol"]);
        assert_eq!(names(&people.superusers), Vec::<&str>::new());
    }

    #[test]
    fn no_directory_is_an_error() {
        assert!(Roster::new("/nonexistent/people".into()).people().is_err());
    }
}
