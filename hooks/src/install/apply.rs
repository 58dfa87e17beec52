//! Carries out one step: idempotent, durable when it returns, the hook in place at every moment.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::{InstallError, Step};
use crate::claims::give_to_owner_of;
use crate::process;

pub(super) fn step(git_dir: &Path, step: &Step) -> Result<(), InstallError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |error| InstallError::Io { path, error }
    };
    match step {
        // A second name, not another place: until the stub is written over it, git goes on running it.
        Step::Keep { from, to } => keep(git_dir, from, to).map_err(at(to)),
        Step::PutAside { from, to } | Step::Restore { from, to } => std::fs::rename(from, to)
            .and_then(|()| sync_above(to))
            .map_err(at(from)),
        Step::WriteStub { path, text } => write_stub(git_dir, path, text).map_err(at(path)),
        Step::Set { key, value } => config(git_dir, &["--replace-all", key, value]),
        Step::Add { key, value } => config(git_dir, &["--add", key, value]),
        Step::Unset { key } => config(git_dir, &["--unset-all", key]),
        Step::Remove { path } => std::fs::remove_file(path)
            .and_then(|()| sync_above(path))
            .map_err(at(path)),
    }
}

fn keep(git_dir: &Path, from: &Path, to: &Path) -> io::Result<()> {
    if let Some(dir) = to.parent()
        && !dir.exists()
    {
        std::fs::create_dir_all(dir)?;
        give_to_owner_of(git_dir, dir)?;
    }
    let is_link = from.symlink_metadata()?.is_symlink();
    let made = if is_link {
        // A relative link would lead elsewhere from one directory deeper.
        std::os::unix::fs::symlink(from.canonicalize()?, to)
    } else {
        std::fs::hard_link(from, to)
    };
    match made {
        // Kept by an earlier run that was killed, if it is the same file; else somebody's, which is not to be lost.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && std::fs::read(from)? == std::fs::read(to)? => {}
        other => other?,
    }
    sync_above(to)
}

fn write_stub(git_dir: &Path, path: &Path, text: &str) -> io::Result<()> {
    let dir = path.parent().unwrap_or(git_dir);
    if !dir.exists() {
        std::fs::create_dir_all(dir)?;
        give_to_owner_of(git_dir, dir)?;
    }
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".new-{}", std::process::id()));
    let temporary = Path::new(&temporary);
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(temporary)?;
    file.write_all(text.as_bytes())?;
    file.set_permissions(Permissions::from_mode(0o755))?;
    give_to_owner_of(git_dir, temporary)?;
    file.sync_all()?;
    drop(file);
    std::fs::rename(temporary, path)?;
    sync_above(path)
}

fn config(git_dir: &Path, words: &[&str]) -> Result<(), InstallError> {
    let file = git_dir.join("config");
    let before = std::fs::metadata(&file).map(|meta| meta.permissions());
    process::git().args(["config", "--file"]).arg(&file).args(words).ok()?;
    // git writes a new file in the old one's place: ours, if we are root.
    let after = |error| InstallError::Io {
        path: file.clone(),
        error,
    };
    give_to_owner_of(git_dir, &file).map_err(after)?;
    if let Ok(permissions) = before {
        std::fs::set_permissions(&file, permissions).map_err(after)?;
    }
    Ok(())
}

fn sync_above(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
}
