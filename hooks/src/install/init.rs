//! Makes a source repository, hooks and settings included, or nothing at all.

use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use windlass_core::id::SourcePath;
use windlass_core::refusal::Refusal;

use super::{InstallError, Installation};
use crate::claims::give_to_owner_of;
use crate::process;
use crate::sources::Source;

/// A repository that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// There is one of this name.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// git, or the hooks.
    #[error(transparent)]
    Install(#[from] InstallError),
    /// A directory cannot be made.
    #[error("{}: {error}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

/// Makes the bare repository of this name below the root. It appears under its name when it is whole.
pub fn init_repository(root: &Path, path: &SourcePath, installation: &Installation) -> Result<Source, InitError> {
    let place = root.join(path.as_str());
    let taken = || Refusal::new("source_exists", format!("there is already a source repository {path}"));
    if place.symlink_metadata().is_ok() {
        return Err(taken().into());
    }
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error| InitError::Io { path, error }
    };
    let above = place.parent().unwrap_or(root);
    make_directories(root, above).map_err(failed(above))?;
    let new = above.join(format!(".new-{}-{}", path.name(), std::process::id()));
    let made = make(&new, installation).and_then(|()| {
        // A rename onto a repository that came in between fails: it is not empty.
        std::fs::rename(&new, &place).map_err(|error| {
            if matches!(
                error.kind(),
                io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists
            ) {
                taken().into()
            } else {
                InitError::Io {
                    path: place.clone(),
                    error,
                }
            }
        })
    });
    if made.is_err() {
        let _ = std::fs::remove_dir_all(&new);
    }
    made?;
    std::fs::File::open(above)
        .and_then(|dir| dir.sync_all())
        .map_err(failed(above))?;
    Source::at(root, &place).map_err(|error| InitError::Io {
        path: place,
        error: io::Error::other(error),
    })
}

fn make(new: &Path, installation: &Installation) -> Result<(), InitError> {
    // No template: what stands in the system's is not ours to trust. Readable for the group, which the bot is in.
    let words = [
        "init",
        "--quiet",
        "--bare",
        "--template=",
        "--shared=0640",
        "--initial-branch=main",
        "--",
    ];
    process::git().args(words).arg(new).ok().map_err(InstallError::from)?;
    let owner = new.parent().unwrap_or(new);
    for entry in [
        "",
        "HEAD",
        "config",
        "objects",
        "objects/info",
        "objects/pack",
        "refs",
        "refs/heads",
        "refs/tags",
    ] {
        let path = new.join(entry);
        if path.exists() {
            give_to_owner_of(owner, &path).map_err(|error| InitError::Io { path, error })?;
        }
    }
    let steps = installation.plan(new)?;
    Ok(installation.apply(new, &steps)?)
}

fn make_directories(root: &Path, dir: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = dir
        .ancestors()
        .take_while(|dir| *dir != root && !dir.exists())
        .collect();
    for dir in missing.into_iter().rev() {
        match std::fs::DirBuilder::new().mode(0o750).create(dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        if let Some(above) = dir.parent() {
            give_to_owner_of(above, dir)?;
            std::fs::File::open(above)?.sync_all()?;
        }
    }
    Ok(())
}
