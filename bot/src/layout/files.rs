//! Files and directories with exact owner, group and mode, made so that a reader sees the old or the new one whole.
//!
//! Directories below that of the git user are the git user's to change, so nothing here follows a link.

use std::fs::{File, Metadata};
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
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
    let directory = path.parent().unwrap_or(Path::new("/"));
    let mut file = tempfile::Builder::new().prefix(".tmp-").tempfile_in(directory)?;
    file.write_all(content)?;
    settle(
        file.as_file().as_fd(),
        Permissions::of(&file.as_file().metadata()?),
        wanted,
    )?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    File::open(directory)?.sync_all()
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
