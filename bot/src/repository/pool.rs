//! The pool: every package file of a repository, by architecture. A file in it never changes.
//!
//! A package lies at `packages/ARCH/DIGEST/NAME-VERSION-RELEASE.ARCH.rpm`, where DIGEST is the beginning of the file's own
//! SHA-256. So a build that comes again, or the same build under another key, is another file at another address; nobody who
//! cached one can be given the other; and the file is called as every tool expects. A noarch package has an address in each
//! architecture, and is one file there by hard links, where the file system has them: each architecture is whole by itself.

use std::io;
use std::path::{Path, PathBuf};

use windlass_core::id::ArchName;

use super::{Dirs, RepositoryError, files};

/// How many digits of the digest are in the address.
const DIGITS: usize = 16;

/// A file's place below the directory that holds `repodata`: what metadata names.
pub(super) fn location(sha256: &str, file_name: &str) -> String {
    format!("packages/{}/{file_name}", &sha256[..DIGITS.min(sha256.len())])
}

/// Where a location lies in the pool.
pub(super) fn path(dirs: &Dirs, directory: &ArchName, location: &str) -> Result<PathBuf, RepositoryError> {
    let parts: Vec<&str> = location.split('/').collect();
    match parts.as_slice() {
        ["packages", digest, name] if is_name(digest) && is_name(name) => {
            Ok(dirs.packages(directory).join(digest).join(name))
        }
        _ => Err(RepositoryError::Damaged(format!(
            "'{}' is no place in the pool",
            windlass_core::escape::escaped(location)
        ))),
    }
}

fn is_name(part: &str) -> bool {
    !part.is_empty() && part != "." && part != ".."
}

/// Puts a file that is on disk into the pool, unless it is there; says whether it was not. The caller makes the name durable.
pub(super) fn put(from: &Path, to: &Path, dirs: &Dirs) -> Result<bool, RepositoryError> {
    let directory = to.parent().unwrap_or(dirs.root());
    files::make_directories(dirs.root(), directory).map_err(RepositoryError::file(directory))?;
    match std::fs::hard_link(from, to) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
        // A file system without links, or with too many of them to one file.
        Err(_) => copy(from, to).map_err(RepositoryError::file(to))?,
    }
    Ok(true)
}

/// What a file is called while it is copied.
fn unverified(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".unverified");
    PathBuf::from(name)
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let mut source = std::fs::File::open(from)?;
    let unverified = unverified(to);
    files::remove(&unverified)?;
    let mut file = files::create(&unverified)?;
    io::copy(&mut source, &mut file)?;
    file.set_modified(source.metadata()?.modified()?)?;
    file.sync_all()?;
    std::fs::rename(&unverified, to)
}

/// Removes a file from the pool, and the directory that it was alone in.
pub(super) fn remove(path: &Path) -> Result<(), RepositoryError> {
    for path in [path, &unverified(path)] {
        files::remove(path).map_err(RepositoryError::file(path))?;
    }
    if let Some(directory) = path.parent() {
        match std::fs::remove_dir(directory) {
            Ok(()) => {}
            Err(error) if matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::NotFound) => {}
            Err(error) => return Err(RepositoryError::file(directory)(error)),
        }
    }
    Ok(())
}

/// Every file of a directory of the pool, with its location.
pub(super) fn list(dirs: &Dirs, directory: &ArchName) -> Result<Vec<(String, PathBuf)>, RepositoryError> {
    let root = dirs.packages(directory);
    let mut found = Vec::new();
    let outer = match std::fs::read_dir(&root) {
        Ok(outer) => outer,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        Err(error) => return Err(RepositoryError::file(&root)(error)),
    };
    for entry in outer {
        let entry = entry.map_err(RepositoryError::file(&root))?;
        let path = entry.path();
        let digest = entry.file_name();
        if !entry.file_type().map_err(RepositoryError::file(&path))?.is_dir() {
            found.push((format!("packages/{}", digest.to_string_lossy()), path));
            continue;
        }
        for inner in std::fs::read_dir(&path).map_err(RepositoryError::file(&path))? {
            let inner = inner.map_err(RepositoryError::file(&path))?;
            let location = format!(
                "packages/{}/{}",
                digest.to_string_lossy(),
                inner.file_name().to_string_lossy()
            );
            found.push((location, inner.path()));
        }
    }
    found.sort();
    Ok(found)
}
