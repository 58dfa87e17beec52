//! The keyring: a directory with a file for each person, and an index over it.
//!
//! A person is `NAME.toml`; a directory given by hand may also have certificates as `NAME.asc`, `NAME.pgp` or `NAME.gpg` (whose
//! addresses are then those of their user ids), and an `allowed_signers` file. With `.index` beside them, the key of a good
//! tag costs the reading of one person's file, however many people there are. The index is never believed: it says
//! where to look, and what it does not know is looked for in the directory before it is called unknown.

mod files;
mod index;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use windlass_core::escape::escaped;
use windlass_core::id::UserName;
use windlass_core::people::Person;
use windlass_core::signing::lint::{Finding, Measure, Severity, lint};
use windlass_core::signing::openpgp::Certificates;
use windlass_core::signing::{AllowedSigners, KeyHint};

use crate::settings::Settings;
pub use files::Problem;

use files::Stamp;
use index::Index;

/// The index's file name.
const INDEX: &str = ".index";

/// The name of a file of OpenSSH's kind in the directory.
const ALLOWED_SIGNERS: &str = "allowed_signers";

/// A directory of people, opened.
#[derive(Debug)]
pub struct Keyring {
    directory: PathBuf,
    allowed_signers: PathBuf,
    index: Mutex<Arc<Index>>,
    read: Mutex<HashMap<UserName, Arc<Known>>>,
    certificates: Certificates,
}

/// A person as read.
#[derive(Debug)]
struct Known {
    /// What the files were like then.
    stamps: Vec<Stamp>,
    person: Arc<Person>,
    /// What the person's keys are looked up by.
    handles: Vec<String>,
}

/// The keyring cannot be read. This says nothing about any tag.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// A file or the directory cannot be read.
    #[error("cannot read '{}': {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The index cannot be written.
    #[error("cannot write '{}': {source}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not well formed.
    #[error("'{}' is not well formed: {why}", path.display())]
    Malformed {
        /// Which.
        path: PathBuf,
        /// Why, and where.
        why: String,
    },
}

impl Keyring {
    /// Opens the directory; reads the index if there is one, and no person's file.
    ///
    /// # Errors
    /// [`KeyringError::Read`] when there is no such directory.
    pub fn open(directory: &Path) -> Result<Self, KeyringError> {
        let metadata = std::fs::metadata(directory);
        let is_directory = metadata.and_then(|found| {
            if found.is_dir() {
                Ok(())
            } else {
                Err(std::io::ErrorKind::NotADirectory.into())
            }
        });
        is_directory.map_err(|source| KeyringError::Read {
            path: directory.to_owned(),
            source,
        })?;
        let index = Index::read(&directory.join(INDEX)).unwrap_or_default();
        Ok(Self {
            directory: directory.to_owned(),
            allowed_signers: directory.join(ALLOWED_SIGNERS),
            index: Mutex::new(Arc::new(index)),
            read: Mutex::default(),
            certificates: Certificates::default(),
        })
    }

    /// The keyring that a configuration names: its people, and its `allowed_signers` if it has them elsewhere.
    ///
    /// # Errors
    /// As [`Keyring::open`].
    pub fn configured(settings: &Settings) -> Result<Self, KeyringError> {
        Self::of(&settings.paths.people(), settings.signing.allowed_signers.as_deref())
    }

    /// The keyring of these people, with this `allowed_signers` file in place of the directory's own, if one is named.
    ///
    /// # Errors
    /// As [`Keyring::open`].
    pub fn of(people: &Path, allowed_signers: Option<&Path>) -> Result<Self, KeyringError> {
        let keyring = Self::open(people)?;
        Ok(match allowed_signers {
            Some(file) => keyring.with_allowed_signers(file),
            None => keyring,
        })
    }

    /// Takes the `allowed_signers` file from elsewhere than the directory.
    #[must_use]
    pub fn with_allowed_signers(mut self, path: &Path) -> Self {
        path.clone_into(&mut self.allowed_signers);
        self
    }

    /// The certificates that were parsed of its people.
    pub(crate) fn certificates(&self) -> &Certificates {
        &self.certificates
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The person of this name, from all files of this name.
    ///
    /// # Errors
    /// A file is there and cannot be read or understood.
    pub fn person(&self, name: &UserName) -> Result<Option<Arc<Person>>, KeyringError> {
        Ok(self.known(name)?.map(|known| Arc::clone(&known.person)))
    }

    /// Reads a person, unless the files are as they were when they were read last.
    fn known(&self, name: &UserName) -> Result<Option<Arc<Known>>, KeyringError> {
        let stamps = files::stamps(&self.directory, name)?;
        if stamps.is_empty() {
            return Ok(None);
        }
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = read.get(name)
            && known.stamps == stamps
        {
            return Ok(Some(Arc::clone(known)));
        }
        let Some(person) = files::person(&self.directory, name)? else {
            return Ok(None);
        };
        let handles = files::handles(&person);
        let known = Arc::new(Known {
            stamps,
            person: Arc::new(person),
            handles,
        });
        read.insert(name.clone(), Arc::clone(&known));
        Ok(Some(known))
    }

    /// Everybody, and the files that cannot be read or understood.
    ///
    /// # Errors
    /// [`KeyringError::Read`] when the directory cannot be listed.
    pub fn everybody(&self) -> Result<(Vec<Person>, Vec<Problem>), KeyringError> {
        files::everybody(&self.directory)
    }

    /// The people who have one of the keys, their files read and the key found in them.
    ///
    /// # Errors
    /// The directory, or a file that has to be read, cannot be.
    pub fn people_with_keys(&self, hints: &[KeyHint]) -> Result<Vec<Arc<Person>>, KeyringError> {
        let wanted: Vec<String> = hints.iter().map(|hint| hint.as_str().to_owned()).collect();
        self.find(&wanted, |known| {
            wanted.iter().any(|handle| known.handles.contains(handle))
        })
    }

    /// The people who have an address.
    ///
    /// # Errors
    /// The directory, or a file that has to be read, cannot be.
    pub fn people_with_address(&self, address: &[u8]) -> Result<Vec<Arc<Person>>, KeyringError> {
        let Ok(address) = std::str::from_utf8(address) else {
            return Ok(Vec::new());
        };
        self.find(&[index::address_handle(address)], |known| {
            known.person.has_address(address)
        })
    }

    /// Keys that are named apart from people; `None` when there is no such file.
    ///
    /// # Errors
    /// The file is there and cannot be read or understood.
    pub fn allowed_signers(&self) -> Result<Option<AllowedSigners>, KeyringError> {
        let path = self.allowed_signers.clone();
        match std::fs::read_to_string(&path) {
            Ok(text) => match AllowedSigners::parse(&text) {
                Ok(signers) => Ok(Some(signers)),
                Err(bad) => Err(KeyringError::Malformed {
                    path,
                    why: bad.to_string(),
                }),
            },
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(KeyringError::Read { path, source }),
        }
    }

    /// Everything that is amiss with the people, their keys and their files.
    ///
    /// # Errors
    /// [`KeyringError::Read`] when the directory cannot be listed.
    pub fn lint(&self, measure: &Measure) -> Result<Vec<Finding>, KeyringError> {
        let (people, problems) = self.everybody()?;
        let mut findings: Vec<Finding> = problems
            .iter()
            .map(|problem| {
                let why = problem.why.lines().collect::<Vec<_>>().join(" ");
                let message = format!("'{}' does not count: {}", problem.path.display(), escaped(&why));
                Finding::new(Severity::Error, "bad_file", message).hint("mend the file, then windlass keys lint")
            })
            .collect();
        if let Err(error) = self.allowed_signers() {
            let hint = "ssh-keygen(1), \"ALLOWED SIGNERS\", says what a line is like";
            findings.push(Finding::new(Severity::Error, "bad_file", error.to_string()).hint(hint));
        }
        findings.extend(lint(&people, measure));
        Ok(findings)
    }

    /// Whether the index beside the files was made from what they are now. With another one, or none, every process that
    /// meets an unknown key reads everybody.
    ///
    /// # Errors
    /// [`KeyringError::Read`] when the directory cannot be listed.
    pub fn index_is_current(&self) -> Result<bool, KeyringError> {
        let listing = files::listing(&self.directory)?;
        Ok(Index::read(&self.directory.join(INDEX)).is_some_and(|index| index.is_of(&listing)))
    }

    /// Makes the index anew and writes it beside the files: whoever changes a file calls this.
    ///
    /// # Errors
    /// [`KeyringError::Read`], [`KeyringError::Write`].
    pub fn write_index(&self) -> Result<(), KeyringError> {
        let index = Index::build(&self.directory)?;
        let path = self.directory.join(INDEX);
        let written = index.write(&path);
        *self.index.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(index);
        written.map_err(|source| KeyringError::Write { path, source })
    }

    /// Whom the index names under one of the handles, if their files bear it out; else whom the directory itself does.
    fn find(&self, handles: &[String], bears_out: impl Fn(&Known) -> bool) -> Result<Vec<Arc<Person>>, KeyringError> {
        let index = Arc::clone(&self.index.lock().unwrap_or_else(PoisonError::into_inner));
        let found = self.look_up(&index, handles, &bears_out)?;
        if !found.is_empty() {
            return Ok(found);
        }
        let listing = files::listing(&self.directory)?;
        if index.is_of(&listing) {
            return Ok(Vec::new());
        }
        let fresh = Arc::new(Index::build(&self.directory)?);
        // A directory that cannot be written is no fault: the hooks' user may only read it.
        let _ = fresh.write(&self.directory.join(INDEX));
        *self.index.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&fresh);
        self.look_up(&fresh, handles, &bears_out)
    }

    fn look_up(
        &self,
        index: &Index,
        handles: &[String],
        bears_out: &impl Fn(&Known) -> bool,
    ) -> Result<Vec<Arc<Person>>, KeyringError> {
        let mut names: Vec<UserName> = handles.iter().flat_map(|handle| index.names(handle)).collect();
        names.sort();
        names.dedup();
        let mut found = Vec::new();
        for name in names {
            match self.known(&name) {
                Ok(Some(known)) if bears_out(&known) => found.push(Arc::clone(&known.person)),
                // Gone, changed since, or broken: the directory itself will tell.
                Ok(_) | Err(KeyringError::Malformed { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }
}
