//! Other hooks beside ours: the programs in `hooks/NAME.d`, in the order of their names, each with the same standard input.

use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use rustix::fs::MemfdFlags;

/// Why a chained hook stops a push.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// One of them refused.
    #[error("the hook {} refused this push ({status})", path.display())]
    Refused {
        /// Which.
        path: PathBuf,
        /// How it ended.
        status: ExitStatus,
    },
    /// One of them is no program. Skipping it would let in what it was to refuse.
    #[error("{} is not executable, so that it refuses nothing", path.display())]
    NotExecutable {
        /// Which.
        path: PathBuf,
    },
    /// One of them cannot be run, or the directory not be read.
    #[error("{}: {error}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

/// The chained hooks of this name, sorted. A name that begins with a dot is none.
pub fn programs(git_dir: &Path, hook: &str) -> Result<Vec<PathBuf>, ChainError> {
    let dir = git_dir.join("hooks").join(format!("{hook}.d"));
    let failed = |error| ChainError::Io {
        path: dir.clone(),
        error,
    };
    let entries = match std::fs::read_dir(&dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(failed)?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        if path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
        {
            continue;
        }
        let is_program = path
            .metadata()
            .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0);
        if !is_program {
            return Err(ChainError::NotExecutable { path });
        }
        found.push(path);
    }
    found.sort();
    Ok(found)
}

/// Runs them one after the other; the first that refuses wins, and the others are not asked.
pub(super) fn run(git_dir: &Path, hook: &str, input: &[u8]) -> Result<(), ChainError> {
    for path in programs(git_dir, hook)? {
        let status = replay(&path, input).map_err(|error| ChainError::Io {
            path: path.clone(),
            error,
        })?;
        if !status.success() {
            return Err(ChainError::Refused { path, status });
        }
    }
    Ok(())
}

/// Runs one with the input in a file in memory, so that it may read all, some or nothing of it.
fn replay(path: &Path, input: &[u8]) -> io::Result<ExitStatus> {
    let mut file = std::fs::File::from(rustix::fs::memfd_create("input", MemfdFlags::CLOEXEC)?);
    file.write_all(input)?;
    file.seek(SeekFrom::Start(0))?;
    Command::new(path).stdin(file).status()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hook(dir: &Path, name: &str, mode: u32, script: &str) {
        let path = dir.join("hooks/pre-receive.d").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn each_gets_the_input_and_the_first_refusal_wins() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        run(dir.path(), "pre-receive", b"x\n").unwrap();
        hook(dir.path(), "10-first", 0o755, &format!("cat >> {}", out.display()));
        hook(
            dir.path(),
            "20-second",
            0o755,
            &format!("cat >> {}; exit 3", out.display()),
        );
        hook(dir.path(), "30-third", 0o755, &format!("cat >> {}", out.display()));
        hook(dir.path(), ".swp", 0o644, "");
        let error = run(dir.path(), "pre-receive", b"line\n").unwrap_err();
        assert!(
            matches!(&error, ChainError::Refused { path, .. } if path.ends_with("20-second")),
            "{error}"
        );
        assert_eq!(std::fs::read(out).unwrap(), b"line\nline\n");
    }

    #[test]
    fn one_that_cannot_run_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        hook(dir.path(), "10-first", 0o644, "exit 0");
        assert!(matches!(
            run(dir.path(), "pre-receive", b""),
            Err(ChainError::NotExecutable { .. })
        ));
        std::fs::remove_file(dir.path().join("hooks/pre-receive.d/10-first")).unwrap();
        std::os::unix::fs::symlink("/no/such", dir.path().join("hooks/pre-receive.d/dangling")).unwrap();
        assert!(matches!(
            run(dir.path(), "pre-receive", b""),
            Err(ChainError::NotExecutable { .. })
        ));
    }
}
