//! Backups: one directory that holds all that cannot be made again, proven whole before it gets its name.
//!
//! What is in it: the journal, the people, the configuration, the replay ledger, the requests that wait in the spool, and the keys
//! that repositories are signed with, unless they are left out. What is not: the source repositories (git's own tools copy those),
//! the packages and generations (any tool that keeps hard links does), and everything that is derived.
//!
//! The order makes a copy of a running server consistent. The spool first: what is in it is in the journal later, and a
//! request that is in both has no second effect. The ledger after the journal: a statement whose push is on record is
//! claimed in the copy too.

pub mod manifest;
pub mod restore;

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use rustix::fs::OFlags;
use windlass_hooks::settings::Settings;

use self::manifest::Manifest;
use crate::exit::Broken;
use crate::journal::{Head, Sqlite};

/// The journal in a backup.
pub const JOURNAL: &str = "journal.sqlite";
/// The configuration in a backup.
pub const CONFIG: &str = "windlass.toml";
/// The people in a backup.
pub const PEOPLE: &str = "people";
/// The replay ledger in a backup.
pub const CLAIMS: &str = "claims";
/// The repositories' signing keys in a backup.
pub const KEYS: &str = "keys";
/// The requests that waited, in a backup.
pub const SPOOL: &str = "spool";

/// Where a backup's parts come from, in the order in which they are copied.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The backup to be.
    pub target: PathBuf,
    config: PathBuf,
    settings: Settings,
    keys: Keys,
}

/// Whether the keys that repositories are signed with are in a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    /// They are: whoever can read the backup can sign as the repositories do.
    In,
    /// They are not: when they are lost, every client has to accept new ones.
    Out,
}

/// What a backup came to.
#[derive(Debug, Clone)]
pub struct Done {
    /// Where it is.
    pub directory: PathBuf,
    /// How many files it has.
    pub files: usize,
    /// The journal's head.
    pub head: Head,
    /// The repositories whose secret signing keys it holds.
    pub keys_of: Vec<String>,
}

impl Plan {
    /// Plans a backup into a directory that does not exist or is empty.
    ///
    /// # Errors
    /// It is neither, or there is no journal to copy.
    pub fn new(target: &Path, config: &Path, settings: &Settings, keys: Keys) -> Result<Self, Broken> {
        let target = std::path::absolute(target).map_err(|error| Broken::new(error.to_string()))?;
        match std::fs::read_dir(&target).map(|mut entries| entries.next().is_none()) {
            Ok(true) => {}
            Ok(false) => {
                return Err(
                    Broken::new(format!("{} is there already and not empty", target.display()))
                        .hint("name a new directory, as in: windlass backup /srv/backup/$(date +%F)"),
                );
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Broken::new(format!("{}: {error}", target.display()))),
        }
        let journal = settings.paths.journal();
        if !journal.exists() {
            return Err(Broken::new(format!(
                "there is no journal at {}, or it may not be read",
                journal.display()
            ))
            .hint("run it as root or as the daemon's user, on a server that has been started once"));
        }
        Ok(Self {
            target,
            config: config.to_owned(),
            settings: settings.clone(),
            keys,
        })
    }

    /// The plan in lines.
    pub fn lines(&self) -> Vec<String> {
        let paths = &self.settings.paths;
        let from = [
            (SPOOL, paths.spool()),
            (JOURNAL, paths.journal()),
            (CLAIMS, paths.claims()),
            (PEOPLE, paths.people()),
            (CONFIG, self.config.clone()),
            (KEYS, paths.keys()),
        ];
        let left_out = |name: &str| name == KEYS && self.keys == Keys::Out;
        let line = |(name, path): (&str, PathBuf)| {
            format!("copy  {}  from {}", self.target.join(name).display(), path.display())
        };
        from.into_iter().filter(|(name, _)| !left_out(name)).map(line).collect()
    }

    /// Makes the backup, and proves that it is whole.
    pub fn execute(&self) -> anyhow::Result<Done> {
        let mut unverified = self.target.as_os_str().to_owned();
        unverified.push(".unverified");
        let unverified = PathBuf::from(unverified);
        if unverified.exists() {
            bail!(
                Broken::new(format!(
                    "{} is left from a backup that did not end",
                    unverified.display()
                ))
                .hint(format!("look at it, then: rm -r '{}'", unverified.display()))
            );
        }
        make_directory(&unverified)?;
        let paths = &self.settings.paths;
        copy_directory(&paths.spool(), &unverified.join(SPOOL))?;
        Sqlite::open_read_only(&paths.journal())?.copy_to(&unverified.join(JOURNAL))?;
        copy_directory(&paths.claims(), &unverified.join(CLAIMS))?;
        copy_directory(&paths.people(), &unverified.join(PEOPLE))?;
        copy_file(&self.config, &unverified.join(CONFIG))?;
        if self.keys == Keys::In {
            copy_directory(&paths.keys(), &unverified.join(KEYS))?;
        }
        let keys_of = holders(&unverified.join(KEYS))?;

        let report = Sqlite::open_read_only(&unverified.join(JOURNAL))?.verify(None)?;
        if let Some(finding) = report.findings.first() {
            bail!(
                "the journal is not whole, so neither is the backup in {}: {finding}\n\nhint: windlass journal verify",
                unverified.display()
            );
        }
        let manifest = Manifest::of(&unverified, report.head.to_string())?;
        write_durably(&unverified.join(manifest::NAME), &serde_json::to_vec_pretty(&manifest)?)?;
        let differences = Manifest::read(&unverified)?.compare(&unverified)?;
        if let Some(difference) = differences.first() {
            bail!("{}: {difference}", unverified.display());
        }
        sync_all_directories(&unverified)?;
        std::fs::rename(&unverified, &self.target)
            .with_context(|| format!("{} cannot get its name {}", unverified.display(), self.target.display()))?;
        if let Some(parent) = self.target.parent() {
            File::open(parent)?.sync_all()?;
        }
        Ok(Done {
            directory: self.target.clone(),
            files: manifest.files.len(),
            head: report.head,
            keys_of,
        })
    }
}

/// The repositories whose secret keys are in a directory of keys.
fn holders(keys: &Path) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    let entries = match std::fs::read_dir(keys) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let is_secret = |file: io::Result<std::fs::DirEntry>| -> io::Result<bool> {
            Ok(Path::new(&file?.file_name()).extension() == Some(OsStr::new("key")))
        };
        let secrets: Vec<bool> = std::fs::read_dir(entry.path())?
            .map(is_secret)
            .collect::<Result<_, _>>()?;
        if secrets.contains(&true) {
            found.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    found.sort();
    Ok(found)
}

/// A directory that nobody else may read: keys and addresses are people's own.
fn make_directory(path: &Path) -> anyhow::Result<()> {
    std::fs::DirBuilder::new()
        .mode(0o700)
        .create(path)
        .with_context(|| format!("{} cannot be made", path.display()))
}

/// Copies the plain files of a directory, and of those in it. What is no plain file, or goes while we look, is left out.
fn copy_directory(from: &Path, to: &Path) -> anyhow::Result<()> {
    make_directory(to)?;
    let entries = match std::fs::read_dir(from) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| from.display().to_string()),
    };
    for entry in entries {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        let target = to.join(entry.file_name());
        if kind.is_dir() {
            copy_directory(&path, &target)?;
        } else if kind.is_file() && entry.file_name().to_str().is_some() {
            copy_file(&path, &target)?;
        }
    }
    Ok(())
}

/// Copies one plain file, following no link, durably; one that is gone is left out.
fn copy_file(from: &Path, to: &Path) -> anyhow::Result<()> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).expect("open flags are small");
    let mut source = match OpenOptions::new().read(true).custom_flags(flags).open(from) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| from.display().to_string()),
    };
    let mut copy = || -> io::Result<()> {
        let mut target = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
        io::copy(&mut source, &mut target)?;
        target.sync_all()
    };
    copy().with_context(|| format!("{} cannot be copied to {}", from.display(), to.display()))
}

fn write_durably(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    use std::io::Write as _;
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().with_context(|| path.display().to_string())
}

fn sync_all_directories(path: &Path) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_all_directories(&entry.path())?;
        }
    }
    File::open(path)?.sync_all()?;
    Ok(())
}
