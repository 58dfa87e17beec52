//! Files and directories with exact owner, group and mode, made so that a reader sees the old or the new one whole.
//!
//! Directories below that of the git user are the git user's to change, so nothing here follows a link.

use std::fs::{File, Metadata};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::{Gid, Mode, OFlags, Uid};

/// Owner, group and mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permissions {
    /// The owner's id.
    pub uid: u32,
    /// The group's id.
    pub gid: u32,
    /// The mode's twelve bits.
    pub mode: u32,
}

impl Permissions {
    /// What a file or directory has.
    pub fn of(metadata: &Metadata) -> Self {
        Self {
            uid: metadata.uid(),
            gid: metadata.gid(),
            mode: metadata.mode() & 0o7777,
        }
    }

    /// As `1730 windlass:git`.
    pub fn shown(&self) -> String {
        let user = super::unix::user_name(self.uid);
        let group = super::unix::group_name(self.gid);
        format!("{:04o} {user}:{group}", self.mode)
    }
}

/// Sets what differs on an open file or directory.
fn settle(file: impl std::os::fd::AsFd, now: Permissions, wanted: Permissions) -> io::Result<()> {
    if (now.uid, now.gid) != (wanted.uid, wanted.gid) {
        rustix::fs::fchown(&file, Some(Uid::from_raw(wanted.uid)), Some(Gid::from_raw(wanted.gid)))?;
    }
    // A change of owner takes special bits away, so the mode comes last.
    if now != wanted {
        rustix::fs::fchmod(&file, Mode::from_raw_mode(wanted.mode))?;
    }
    Ok(())
}

/// Makes a directory, or mends its owner, group and mode. A link or a file in its place is an error.
///
/// # Errors
/// What the system says.
pub fn make_directory(path: &Path, wanted: Permissions) -> io::Result<()> {
    if let Some(parent) = path.parent()
        && !parent.exists()
    {
        std::fs::create_dir_all(parent)?;
    }
    match std::fs::create_dir(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    mend(path, wanted)
}

/// Mends owner, group and mode of what is there, following no link.
///
/// # Errors
/// What the system says; a link is one.
pub fn mend(path: &Path, wanted: Permissions) -> io::Result<()> {
    let flags = OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    let now = Permissions::of(&file.metadata()?);
    settle(file.as_fd(), now, wanted)
}

/// Replaces a file: written beside it, made durable, moved into place.
///
/// # Errors
/// What the system says; the old file is then still there.
pub fn replace(path: &Path, content: &[u8], wanted: Permissions) -> io::Result<()> {
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
    let directory = rustix::fs::open(path.parent().unwrap_or(Path::new("/")), flags, Mode::empty())?;
    replace_in(&directory, path, content, wanted)
}

/// As [`replace`], for a file below a directory that somebody else may change: no link is followed from `root` on.
///
/// # Errors
/// What the system says, and `path` not being below `root`.
pub fn replace_below(root: &Path, path: &Path, content: &[u8], wanted: Permissions) -> io::Result<()> {
    replace_in(&parent_below(root, path)?, path, content, wanted)
}

/// The text of a file below a directory that somebody else may change: no link is followed from `root` on, so that
/// nothing is read that is not there.
///
/// # Errors
/// What the system says, and `path` not being below `root`.
pub fn read_below(root: &Path, path: &Path) -> io::Result<String> {
    let directory = parent_below(root, path)?;
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let flags = OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::openat(&directory, name, flags, Mode::empty())?);
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    Ok(text)
}

fn parent_below(root: &Path, path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
    let mut directory = rustix::fs::open(root, flags, Mode::empty())?;
    let inner = path.parent().and_then(|parent| parent.strip_prefix(root).ok());
    for part in inner.ok_or(io::ErrorKind::InvalidInput)? {
        directory = rustix::fs::openat(&directory, part, flags | OFlags::NOFOLLOW, Mode::empty())?;
    }
    Ok(directory)
}

fn replace_in(directory: &OwnedFd, path: &Path, content: &[u8], wanted: Permissions) -> io::Result<()> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let (temporary, mut file) = temporary(directory)?;
    let written = (|| {
        file.write_all(content)?;
        settle(file.as_fd(), Permissions::of(&file.metadata()?), wanted)?;
        file.sync_all()?;
        rustix::fs::renameat(directory, &temporary, directory, name)?;
        Ok(rustix::fs::fsync(directory)?)
    })();
    if written.is_err() {
        // What is left behind after a second failure is harmless: nobody reads it.
        let _ = rustix::fs::unlinkat(directory, &temporary, rustix::fs::AtFlags::empty());
    }
    written
}

/// A new file in a directory, readable by nobody else yet.
fn temporary(directory: &OwnedFd) -> io::Result<(String, File)> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::WRONLY | OFlags::CLOEXEC;
    for attempt in 0..1000_u32 {
        let name = format!(".tmp-{}-{attempt}", std::process::id());
        match rustix::fs::openat(directory, &name, flags, Mode::from_raw_mode(0o600)) {
            Ok(file) => return Ok((name, File::from(file))),
            Err(rustix::io::Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(mode: u32) -> Permissions {
        let own = super::super::unix::Account::own();
        Permissions {
            uid: own.uid,
            gid: own.gid,
            mode,
        }
    }

    #[test]
    fn a_directory_is_made_once_with_its_sticky_bit() {
        let root = tempfile::tempdir().unwrap();
        let spool = root.path().join("a/spool");
        for _ in 0..2 {
            make_directory(&spool, own(0o1730)).unwrap();
            assert_eq!(Permissions::of(&spool.metadata().unwrap()).mode, 0o1730);
        }
    }

    #[test]
    fn no_link_is_followed() {
        let root = tempfile::tempdir().unwrap();
        let (target, link) = (root.path().join("target"), root.path().join("link"));
        make_directory(&target, own(0o700)).unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        assert!(make_directory(&link, own(0o777)).is_err());
        assert_eq!(Permissions::of(&target.metadata().unwrap()).mode, 0o700);
    }

    #[test]
    fn below_a_directory_no_link_leads_out() {
        let root = tempfile::tempdir().unwrap();
        let (git, elsewhere) = (root.path().join("git"), root.path().join("elsewhere"));
        make_directory(&git.join(".ssh"), own(0o700)).unwrap();
        make_directory(&elsewhere, own(0o700)).unwrap();
        let path = git.join(".ssh/authorized_keys");
        replace_below(&git, &path, b"one", own(0o600)).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"one");
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
        assert!(read_below(&git, &path).is_err());
        std::fs::rename(git.join(".ssh"), git.join("old")).unwrap();
        std::os::unix::fs::symlink(&elsewhere, git.join(".ssh")).unwrap();
        assert!(replace_below(&git, &path, b"two", own(0o600)).is_err());
        assert!(replace_below(&git, &elsewhere.join("x"), b"two", own(0o600)).is_err());
        assert_eq!(elsewhere.read_dir().unwrap().count(), 0);
    }

    #[test]
    fn a_file_is_replaced_whole_with_its_mode() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("file");
        replace(&path, b"one", own(0o640)).unwrap();
        replace(&path, b"two", own(0o600)).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(Permissions::of(&path.metadata().unwrap()).mode, 0o600);
        assert_eq!(root.path().read_dir().unwrap().count(), 1);
    }
}
