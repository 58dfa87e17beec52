//! What a generation says of itself: a small signed file beside its metadata.
//!
//! It holds the journal's head at the moment at which the generation was begun, signed with the repository's key: whoever
//! keeps an old generation, or saw one, can prove that history was not written anew since.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use windlass_core::hex::hex;
use windlass_core::id::{ArchName, Fingerprint, Generation, RepositoryName};
use windlass_core::repository::record::{Cause, Shipped};

use super::{RepositoryError, files};
use crate::digest::sha256_of;

/// The file's name.
pub(super) const NAME: &str = "windlass.json";

/// The most that is read of it: a generation of a hundred thousand packages that all came at once stays below.
const LARGEST: u64 = 64 << 20;

/// What a generation says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of this form.
    pub version: u32,
    /// The repository.
    pub repository: RepositoryName,
    /// The generation.
    pub generation: Generation,
    /// Why it was made.
    pub cause: Cause,
    /// When.
    pub made_at: Timestamp,
    /// The seal over its metadata.
    pub seal: String,
    /// The journal's head when it was begun, as `SEQ:HASH`.
    pub journal: String,
    /// The key that it is signed with.
    pub key: Fingerprint,
    /// What each directory has.
    pub directories: BTreeMap<ArchName, Directory>,
    /// Source packages that came.
    pub came: Vec<Shipped>,
    /// Source packages that went.
    pub went: Vec<String>,
}

/// One directory of a generation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Directory {
    /// The SHA-256 of its `repomd.xml`.
    pub repomd: String,
    /// How many packages it lists.
    pub packages: u64,
    /// Its content-named files, which later generations carry for a while.
    pub files: Vec<String>,
}

impl Manifest {
    /// The version that this program writes.
    pub const VERSION: u32 = 1;

    /// Reads that of a generation's directory.
    ///
    /// # Errors
    /// It is not there, or cannot be understood.
    pub fn read(directory: &Path) -> Result<Self, RepositoryError> {
        let path = directory.join(NAME);
        let text = files::read_at_most(&path, LARGEST).map_err(RepositoryError::file(&path))?;
        serde_json::from_str(&text).map_err(|error| RepositoryError::Damaged(format!("{}: {error}", path.display())))
    }
}

/// The seal of a generation: the SHA-256 over the digests of its `repomd.xml` files, in the order of their directories' names.
pub fn seal<'a>(digests: impl IntoIterator<Item = (&'a ArchName, &'a str)>) -> String {
    let mut all: Vec<_> = digests.into_iter().collect();
    all.sort();
    let mut digest = Sha256::new();
    for (directory, repomd) in all {
        digest.update(format!("{directory} {repomd}\n"));
    }
    hex(&digest.finalize())
}

/// The seal of what a directory holds now, whatever it says of itself.
pub(super) fn seal_on_disk(generation: &Path) -> Result<String, RepositoryError> {
    let mut digests = BTreeMap::new();
    let entries = std::fs::read_dir(generation).map_err(RepositoryError::file(generation))?;
    for entry in entries {
        let entry = entry.map_err(RepositoryError::file(generation))?;
        let Some(name) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<ArchName>().ok())
        else {
            continue;
        };
        let path = entry.path().join("repodata/repomd.xml");
        let file = match std::fs::File::open(&path) {
            Ok(file) => file,
            Err(_) if !entry.path().is_dir() => continue,
            Err(error) => return Err(RepositoryError::file(&path)(error)),
        };
        let (digest, _) = sha256_of(file).map_err(RepositoryError::file(&path))?;
        digests.insert(name, digest);
    }
    Ok(seal(digests.iter().map(|(name, digest)| (name, digest.as_str()))))
}
