//! Reads rpm-md: `repomd.xml`, `primary` and `filelists`, as resolvers do.
//!
//! What is read is mostly somebody else's and is not trusted: every file is checked against the digest that `repomd.xml` has
//! for it, and every size, count and depth is bounded ([`Limits`]), so that metadata made to harm ends in a clear error. The
//! files are read as a stream; nothing is believed before the digest of all of it was checked.
//!
//! Flow: `repomd.xml` → [`open`] (size, digest, decompression) → [`xml`] (tags and texts) → [`primary`], [`filelists`].

mod filelists;
mod open;
mod primary;
mod repomd;
#[cfg(test)]
mod tests;
mod xml;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use windlass_core::escape::escaped;
use windlass_core::rpm::Package;

use self::open::Opened;
pub(in crate::repository) use self::repomd::{Data, Repomd, location};
use self::xml::Fault;

/// How much is read at the most. All sizes are in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// `repomd.xml`.
    pub repomd: u64,
    /// One compressed file.
    pub file: u64,
    /// What it is once it is decompressed.
    pub opened: u64,
    /// One tag, or one text.
    pub text: u64,
    /// How many packages are listed.
    pub packages: usize,
    /// How many dependencies of one kind a package has.
    pub dependencies: usize,
    /// How many files a package has.
    pub files: usize,
    /// What is kept in memory, about.
    pub kept: u64,
}

impl Default for Limits {
    /// Several times what the largest distributions have.
    fn default() -> Self {
        Self {
            repomd: 1 << 20,
            file: 1 << 30,
            opened: 8 << 30,
            text: 1 << 20,
            packages: 500_000,
            dependencies: 100_000,
            files: 500_000,
            kept: 6 << 30,
        }
    }
}

/// Why a repository's metadata is not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is none.
    #[error(
        "there is no repository in {0}: it has no repodata/repomd.xml\n\nhint: give the directory that holds 'repodata'; createrepo_c {0} makes one of packages"
    )]
    NoRepository(String),
    /// A file cannot be read.
    #[error("{}: {error}", shown(path))]
    File {
        /// Which.
        path: PathBuf,
        /// Why; not a source, since the message has it.
        error: io::Error,
    },
    /// It is damaged, made to harm, or in a form that is not read.
    #[error("the metadata {} cannot be used: {what}", shown(path))]
    Wrong {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it; may end with a hint.
        what: String,
    },
}

fn shown(path: &Path) -> String {
    escaped(&path.display().to_string())
}

impl ReadError {
    fn wrong(path: &Path, what: impl Into<String>) -> Self {
        Self::Wrong {
            path: path.to_owned(),
            what: what.into(),
        }
    }

    fn file(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        |error| Self::File {
            path: path.to_owned(),
            error,
        }
    }

    fn of_fault(path: &Path, fault: Fault) -> Self {
        match fault {
            Fault::Read(error) => Self::file(path)(error),
            Fault::Wrong(what) => Self::wrong(path, what),
        }
    }
}

/// How often it is begun anew when the repository changes while it is read.
const TRIES: usize = 4;

/// The packages of the repository in a directory (the one that holds `repodata`), of the architectures that `takes` wants,
/// `src` among them; in the order in which they are listed.
///
/// Files come from `filelists` where there is one, else only those few are known that `primary` has.
///
/// # Errors
/// See [`ReadError`].
pub fn read(directory: &Path, takes: &dyn Fn(&str) -> bool) -> Result<Vec<Arc<Package>>, ReadError> {
    read_within(directory, takes, &Limits::default())
}

/// The same, with other limits.
///
/// # Errors
/// See [`ReadError`].
pub fn read_within(
    directory: &Path,
    takes: &dyn Fn(&str) -> bool,
    limits: &Limits,
) -> Result<Vec<Arc<Package>>, ReadError> {
    // A link that is moved meanwhile does not matter then.
    let directory = &directory.canonicalize().map_err(ReadError::file(directory))?;
    let mut repomd = Repomd::load(directory, limits)?;
    for _ in 1..TRIES {
        match read_once(directory, &repomd, takes, limits) {
            Ok(packages) => return Ok(packages),
            Err(error) => {
                let now = Repomd::load(directory, limits)?;
                if now.sha256 == repomd.sha256 {
                    return Err(error);
                }
                repomd = now;
            }
        }
    }
    read_once(directory, &repomd, takes, limits)
}

fn read_once(
    directory: &Path,
    repomd: &Repomd,
    takes: &dyn Fn(&str) -> bool,
    limits: &Limits,
) -> Result<Vec<Arc<Package>>, ReadError> {
    let mut budget = Budget { left: limits.kept };
    let data = repomd.primary(directory)?;
    let mut primary = primary::Primary::new(takes, limits, &mut budget);
    walk(directory, data, limits, "metadata", &mut primary)?;
    let mut packages = primary.packages;
    if let Some(data) = repomd.data("filelists") {
        let places: HashMap<String, usize> = packages
            .iter()
            .enumerate()
            .map(|(place, (pkgid, _))| (pkgid.clone(), place))
            .collect();
        let mut filelists = filelists::Filelists::new(&places, &mut packages, limits, &mut budget);
        walk(directory, data, limits, "filelists", &mut filelists)?;
    }
    Ok(packages.into_iter().map(|(_, package)| Arc::new(package)).collect())
}

/// Reads one file as a stream; what is wrong with its digest is said before what is wrong with its text.
fn walk(
    directory: &Path,
    data: &Data,
    limits: &Limits,
    root: &str,
    visitor: &mut impl xml::Visit,
) -> Result<(), ReadError> {
    let path = directory.join(&data.location);
    let mut opened = Opened::new(&path, data, limits)?;
    let walked = xml::walk(&mut opened, root, limits.text, visitor);
    opened.finish(&path, data)?;
    walked.map_err(|fault| ReadError::of_fault(&path, fault))
}

/// Whether a file is what `repomd.xml` says. Damage inside of the compression is found when it is read.
pub(in crate::repository) fn is_whole(path: &Path, data: &Data, limits: &Limits) -> bool {
    Opened::new(path, data, limits).is_ok_and(|opened| opened.finish(path, data).is_ok())
}

/// How much may still be kept in memory.
#[derive(Debug)]
struct Budget {
    left: u64,
}

impl Budget {
    /// What a text costs beside its bytes.
    const EACH: u64 = 48;

    /// Takes the text in, if there is room.
    fn keep(&mut self, text: impl Into<String>) -> Result<String, String> {
        let text = text.into();
        self.left = self
            .left
            .checked_sub(text.len() as u64 + Self::EACH)
            .ok_or("it holds more than is kept in memory")?;
        Ok(text)
    }
}
