//! The keyring: a directory with a file for each person, and an index over it.

use std::path::{Path, PathBuf};

use windlass_core::id::UserName;
use windlass_core::people::Person;

/// A directory of people: `NAME.toml`, beside it also `NAME.asc`, `NAME.pgp`, `NAME.gpg` and `allowed_signers`.
#[derive(Debug)]
pub struct Keyring {
    directory: PathBuf,
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
    /// A person's file is not well formed.
    #[error("'{}' is not well formed: {why}", path.display())]
    Malformed {
        /// Which.
        path: PathBuf,
        /// Why, and where.
        why: String,
    },
}

impl Keyring {
    /// Opens the directory; reads the index, and no person's file.
    ///
    /// # Errors
    /// [`KeyringError::Read`] when there is no such directory.
    pub fn open(directory: &Path) -> Result<Self, KeyringError> {
        Ok(Self {
            directory: directory.to_owned(),
        })
    }

    /// The person of this name.
    ///
    /// # Errors
    /// The file is there and cannot be read or understood.
    pub fn person(&self, name: &UserName) -> Result<Option<Person>, KeyringError> {
        let path = self.directory.join(format!("{name}.toml"));
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(KeyringError::Read { path, source }),
        };
        let person = Person::from_toml(name.clone(), &text).map_err(|error| KeyringError::Malformed {
            path,
            why: error.to_string(),
        })?;
        Ok(Some(person))
    }
}
