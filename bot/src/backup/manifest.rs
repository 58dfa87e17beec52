//! What a backup consists of, by size and digest: a backup is whole when it is exactly this.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use windlass_core::escape::escaped;

/// The manifest's file name.
pub const NAME: &str = "manifest.json";

/// The version of its form.
const VERSION: u32 = 1;

/// All files of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The version of this form.
    pub version: u32,
    /// When the backup was made.
    pub made: Timestamp,
    /// The version of the program that made it.
    pub program: String,
    /// The journal's head, as `SEQ:HASH`.
    pub head: String,
    /// Each file by its path in the backup.
    pub files: BTreeMap<String, Entry>,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// In bytes.
    pub size: u64,
    /// In hexadecimal digits.
    pub sha256: String,
}

impl Manifest {
    /// Takes stock of a directory.
    pub fn of(directory: &Path, head: String) -> anyhow::Result<Self> {
        Ok(Self {
            version: VERSION,
            made: Timestamp::now(),
            program: env!("CARGO_PKG_VERSION").to_owned(),
            head,
            files: entries(directory)?,
        })
    }

    /// Reads the manifest of a backup.
    pub fn read(directory: &Path) -> anyhow::Result<Self> {
        let path = directory.join(NAME);
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("{} is no backup: {NAME} cannot be read", directory.display()))?;
        let manifest: Self = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
        if manifest.version != VERSION {
            bail!(
                "{}: version {} is unknown to this program",
                path.display(),
                manifest.version
            );
        }
        if let Some(bad) = manifest.files.keys().find(|name| !is_inside(name)) {
            bail!("{}: '{}' is no path inside a backup", path.display(), escaped(bad));
        }
        Ok(manifest)
    }

    /// Everything in which the directory differs from the manifest, in words; nothing when it is whole.
    pub fn compare(&self, directory: &Path) -> anyhow::Result<Vec<String>> {
        let found = entries(directory)?;
        let mut differences = Vec::new();
        for (path, entry) in &self.files {
            match found.get(path) {
                None => differences.push(format!("{} is missing", escaped(path))),
                Some(other) if other != entry => differences.push(format!("{} has changed", escaped(path))),
                Some(_) => {}
            }
        }
        let extra = found.keys().filter(|path| !self.files.contains_key(*path));
        differences.extend(extra.map(|path| format!("{} is not in the manifest", escaped(path))));
        Ok(differences)
    }
}

/// Whether a path stays inside the directory that it is joined to.
fn is_inside(path: &str) -> bool {
    Path::new(path)
        .components()
        .all(|part| matches!(part, std::path::Component::Normal(_)))
        && !path.is_empty()
}

/// The plain files below a directory by their path, the manifest itself left out. Anything else there is an error.
fn entries(directory: &Path) -> anyhow::Result<BTreeMap<String, Entry>> {
    let mut found = BTreeMap::new();
    let mut pending = vec![PathBuf::new()];
    while let Some(below) = pending.pop() {
        for entry in std::fs::read_dir(directory.join(&below))? {
            let entry = entry?;
            let path = below.join(entry.file_name());
            let kind = entry.file_type()?;
            if kind.is_dir() {
                pending.push(path);
                continue;
            }
            let Some(name) = path.to_str().filter(|_| kind.is_file()) else {
                bail!("{} is no plain file", entry.path().display());
            };
            if name != NAME {
                let (size, sha256) = digest(&entry.path()).with_context(|| entry.path().display().to_string())?;
                found.insert(name.to_owned(), Entry { size, sha256 });
            }
        }
    }
    Ok(found)
}

fn digest(path: &Path) -> io::Result<(u64, String)> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 128 << 10];
    let mut size = 0;
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
        size += read as u64;
    }
    let digest: [u8; 32] = hasher.finalize().into();
    Ok((size, crate::journal::Digest::from(digest).to_string()))
}
