//! Where the parts of a repository lie.

use std::io;
use std::path::{Path, PathBuf};

use windlass_core::id::{ArchName, Generation, RepositoryName};
use windlass_hooks::settings::Paths;

/// The name of the directory of source packages, which stands beside the architectures.
#[expect(clippy::missing_panics_doc, reason = "it cannot: the name is well formed")]
pub fn source_directory() -> ArchName {
    "source".parse().expect("it is a well-formed name")
}

/// The directories of one repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dirs {
    root: PathBuf,
    keys: PathBuf,
}

impl Dirs {
    /// Those of a repository of this name.
    pub fn of(paths: &Paths, name: &RepositoryName) -> Self {
        Self {
            root: paths.repos().join(name.as_str()),
            keys: paths.keys().join(name.as_str()),
        }
    }

    /// All that clients may see.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The signing keys.
    pub fn keys(&self) -> &Path {
        &self.keys
    }

    /// The public keys, for clients.
    pub fn key_file(&self) -> PathBuf {
        self.root.join("key.asc")
    }

    /// The pool of an architecture, or of `source`.
    pub fn packages(&self, directory: &ArchName) -> PathBuf {
        self.root.join("packages").join(directory.as_str())
    }

    /// All generations.
    pub fn generations(&self) -> PathBuf {
        self.root.join("generations")
    }

    /// One generation.
    pub fn generation(&self, generation: Generation) -> PathBuf {
        self.generations().join(generation.to_string())
    }

    /// The link to the newest generation.
    pub fn current(&self) -> PathBuf {
        self.root.join("current")
    }

    /// Where a generation is prepared.
    pub fn staging(&self) -> PathBuf {
        self.root.join(".staging")
    }

    /// The generation that `current` names; none before the first.
    ///
    /// # Errors
    /// The link cannot be read, or leads elsewhere.
    pub fn read_current(&self) -> io::Result<Option<Generation>> {
        let target = match std::fs::read_link(self.current()) {
            Ok(target) => target,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let number = target.strip_prefix("generations").ok().and_then(number_of);
        number.map(Some).ok_or_else(|| {
            let message = format!("it leads to '{}', which is no generation", target.display());
            io::Error::new(io::ErrorKind::InvalidData, message)
        })
    }

    /// The generations on disk, oldest first; what is not named by a number is passed over.
    ///
    /// # Errors
    /// The directory cannot be listed.
    pub fn list(&self) -> io::Result<Vec<Generation>> {
        let entries = match std::fs::read_dir(self.generations()) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut found = Vec::new();
        for entry in entries {
            found.extend(number_of(Path::new(&entry?.file_name())));
        }
        found.sort_unstable();
        Ok(found)
    }
}

/// The generation that a directory's name stands for.
fn number_of(name: &Path) -> Option<Generation> {
    let text = name.to_str()?;
    let number: u64 = text.parse().ok()?;
    // No sign, no leading zero: one name a generation.
    (number > 0 && number.to_string() == text).then_some(Generation(number))
}
