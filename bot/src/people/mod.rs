//! Who is who, as files: `people/NAME.toml` are read, checked against one another, written and removed here.
//!
//! Whoever changes a file holds the directory's lock from reading the others to writing the index.

pub mod authorized_keys;
pub mod keys;

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use windlass_core::escape::escaped;
use windlass_core::id::UserName;
use windlass_core::people::Person;
use windlass_core::refusal::Refusal;
use windlass_hooks::keyring::{Keyring, Problem};

use crate::config::Config;
use crate::exit::Broken;
use crate::layout::files::{self, Permissions};
use crate::layout::{Accounts, person_file};

/// What stands at the top of every file that is written here.
const HEADER: &str = "\
# One person. Written by `windlass people` and `windlass keys`, which keep no other comments; it may be edited by
# hand, then `windlass keys index` makes the index anew and `windlass keys lint` looks over it.
";

/// The directory of people, locked for a change.
#[derive(Debug)]
pub struct People {
    directory: PathBuf,
    permissions: Permissions,
    keyring: Keyring,
    everybody: Vec<Person>,
    problems: Vec<Problem>,
    /// Held until this is dropped.
    _lock: File,
}

impl People {
    /// Locks the directory and reads everybody.
    ///
    /// # Errors
    /// The directory cannot be read or changed.
    pub fn lock(config: &Config) -> anyhow::Result<Self> {
        let directory = config.paths.people();
        let permissions = person_file(&Accounts::of(&config.users)?);
        let path = directory.join(".lock");
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
            .open(&path)
            .map_err(|error| cannot_change(&directory, &error))?;
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive)
            .with_context(|| format!("cannot lock '{}'", path.display()))?;
        // Whoever comes next may be another of those who may change people.
        let _ = files::mend(&path, permissions);
        let keyring = Keyring::open(&directory)?;
        let (everybody, problems) = keyring.everybody()?;
        Ok(Self {
            directory,
            permissions,
            keyring,
            everybody,
            problems,
            _lock: lock,
        })
    }

    /// Everybody.
    pub fn everybody(&self) -> &[Person] {
        &self.everybody
    }

    /// Files that cannot be understood: who is in them is not known.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The person of this name.
    ///
    /// # Errors
    /// A refusal when there is nobody of this name.
    pub fn person(&self, name: &UserName) -> Result<&Person, Refusal> {
        find(&self.everybody, name)
    }

    /// The file of a person.
    pub fn file(&self, name: &UserName) -> PathBuf {
        self.directory.join(format!("{name}.toml"))
    }

    /// Whether a person may be as given beside the others: no address, key or login is another's.
    ///
    /// # Errors
    /// The first refusal.
    pub fn check(&self, person: &Person) -> Result<(), Refusal> {
        for address in &person.addresses {
            check_address(address)?;
        }
        let keys = keys::handles(person)?;
        for other in self.everybody.iter().filter(|other| other.name != person.name) {
            if let Some(address) = person.addresses.iter().find(|address| other.has_address(address)) {
                return Err(
                    Refusal::new("address_taken", format!("the address '{address}' is {}'s", other.name)).hint(
                        format!("a tagger is found by address: `windlass people show {}`", other.name),
                    ),
                );
            }
            let theirs = keys::handles(other).unwrap_or_default();
            if let Some(key) = keys.iter().find(|key| theirs.contains(key)) {
                return Err(Refusal::new("key_taken", format!("the key {key} is {}'s", other.name))
                    .hint(format!("a key says who signed: `windlass keys ls {}`", other.name)));
            }
            if person.github.is_some()
                && other.github.as_deref().map(str::to_lowercase) == person.github.as_deref().map(str::to_lowercase)
            {
                let login = person.github.as_deref().unwrap_or_default();
                return Err(Refusal::new(
                    "login_taken",
                    format!("the GitHub login '{login}' is {}'s", other.name),
                ));
            }
        }
        Ok(())
    }

    /// Writes a person's file whole, and the index.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&mut self, person: &Person) -> anyhow::Result<()> {
        let path = self.file(&person.name);
        files::replace(&path, render(person)?.as_bytes(), self.permissions)
            .map_err(|error| cannot_change(&path, &error))?;
        self.changed()
    }

    /// Removes a person's file, and the person from the index.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn remove(&mut self, name: &UserName) -> anyhow::Result<()> {
        let path = self.file(name);
        std::fs::remove_file(&path).map_err(|error| cannot_change(&path, &error))?;
        self.changed()
    }

    /// Makes the index anew.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn changed(&mut self) -> anyhow::Result<()> {
        self.keyring.write_index()?;
        let index = self.directory.join(".index");
        files::mend(&index, self.permissions).map_err(|error| cannot_change(&index, &error))?;
        (self.everybody, self.problems) = self.keyring.everybody()?;
        Ok(())
    }
}

/// Everybody, read without a lock, and the files that cannot be understood.
///
/// # Errors
/// The directory cannot be read.
pub fn everybody(directory: &Path) -> anyhow::Result<(Vec<Person>, Vec<Problem>)> {
    let (mut people, problems) = Keyring::open(directory)
        .and_then(|keyring| keyring.everybody())
        .map_err(|error| Broken::new(error.to_string()).hint("`windlass init` makes the directory"))?;
    people.sort_by(|a, b| a.name.cmp(&b.name));
    Ok((people, problems))
}

/// The person of this name among some.
///
/// # Errors
/// A refusal, with a near name where there is one.
pub fn find<'p>(people: &'p [Person], name: &UserName) -> Result<&'p Person, Refusal> {
    if let Some(person) = people.iter().find(|person| person.name == *name) {
        return Ok(person);
    }
    let names: Vec<&str> = people.iter().map(|person| person.name.as_str()).collect();
    let refusal = Refusal::new("unknown_person", format!("there is nobody called '{name}'"));
    Err(match crate::config::strict::nearest(name.as_str(), &names) {
        Some(near) => refusal.hint(format!("did you mean '{near}'? `windlass people ls` names everybody")),
        None => refusal.hint("`windlass people ls` names everybody, `windlass people add` adds somebody"),
    })
}

/// The text of a person's file.
///
/// # Errors
/// It cannot be written as TOML.
pub fn render(person: &Person) -> anyhow::Result<String> {
    let body = toml::to_string_pretty(person).context("the person cannot be written as TOML")?;
    Ok(format!("{HEADER}{body}"))
}

/// Whether a text can be the address of a tagger.
fn check_address(address: &str) -> Result<(), Refusal> {
    let parts: Vec<&str> = address.split('@').collect();
    let good = matches!(parts.as_slice(), [local, domain] if !local.is_empty() && !domain.is_empty())
        && address.len() <= 254
        && address
            .chars()
            .all(|c| !c.is_whitespace() && windlass_core::escape::is_plain(c) && !"<>\"(),;:\\".contains(c));
    if good {
        return Ok(());
    }
    Err(
        Refusal::new("bad_address", format!("'{}' is no mail address", escaped(address)))
            .hint("as in alice@example.org: the address in `git config user.email`, without <>"),
    )
}

/// An error in changing a file of people.
pub(crate) fn cannot_change(path: &Path, error: &std::io::Error) -> Broken {
    let broken = Broken::new(format!("cannot change '{}': {error}", path.display()));
    if error.kind() == std::io::ErrorKind::PermissionDenied {
        broken.hint("people are changed as root or as the daemon's user")
    } else if error.kind() == std::io::ErrorKind::NotFound {
        broken.hint("`windlass init` makes the directories")
    } else {
        broken
    }
}
