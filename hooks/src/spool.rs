//! Requests that wait as files while the bot is away: one file a request, `REQUESTID.json`, in a directory in which the git user may
//! create and not read.
//!
//! Written so that a file under its final name is whole and on disk: temporary name, `fsync`, rename, directory made durable. The bot
//! reads with suspicion: only plain files of the known owners, no larger than a request may be.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, OFlags, RenameFlags, renameat_with};
use windlass_core::id::RequestId;

use crate::wire::{Body, MAX_LINE, Request, WireError};

/// The spool directory.
#[derive(Debug, Clone)]
pub struct Spool {
    dir: PathBuf,
}

/// Why a request could not be spooled or a file not be taken.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The directory or a file cannot be used.
    #[error("{}: {error}", path.display())]
    Io {
        /// Which file or directory.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The content is no request.
    #[error("{}: {error}", path.display())]
    Wire {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        error: WireError,
    },
    /// Another request waits under this id.
    #[error("another request waits as {id}")]
    Taken {
        /// The id.
        id: RequestId,
    },
    /// No plain file, of a foreign owner, or not named as its request is.
    #[error("{}: {why}", path.display())]
    Suspicious {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

impl Spool {
    /// The spool in this directory, which `init` makes.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where a request's file is.
    pub fn path_of(&self, id: &RequestId) -> PathBuf {
        self.dir.join(format!("{id}.json"))
    }

    /// Writes a request; when this returns it survives a loss of power. What waits under an id is never replaced: the same person's
    /// repetition changes nothing, and somebody else's request of that id is refused.
    pub fn write(&self, request: &Request) -> Result<PathBuf, SpoolError> {
        let path = self.path_of(&request.id);
        let line = request.to_line().map_err(|error| SpoolError::Wire {
            path: path.clone(),
            error,
        })?;
        let temporary = self.dir.join(format!(".tmp-{}-{}", request.id, std::process::id()));
        let result = write_durably(&self.dir, &temporary, &path, &line);
        if result.is_err() {
            let _ = std::fs::remove_file(&temporary);
        }
        match result {
            Ok(()) => Ok(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.is_repeated(&path, request).map(|()| path)
            }
            Err(error) => Err(SpoolError::Io { path, error }),
        }
    }

    /// Whether what waits there is this very request, sent again. Who may not list the directory may still read a file that he can name.
    fn is_repeated(&self, path: &Path, request: &Request) -> Result<(), SpoolError> {
        let failed = |error| SpoolError::Io {
            path: path.to_owned(),
            error,
        };
        let file = match File::open(path) {
            // Taken in between: the bot knows the id, and answers a repetition.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other.map_err(failed)?,
        };
        let mut bytes = Vec::new();
        let limit = MAX_LINE as u64 + 1;
        (&file).take(limit).read_to_end(&mut bytes).map_err(failed)?;
        let waiting = Request::parse(&bytes).map_err(|error| SpoolError::Wire {
            path: path.to_owned(),
            error,
        })?;
        let same = match (&waiting.body, &request.body) {
            (Body::Command { argv: waits }, Body::Command { argv: comes }) => waits == comes,
            // The options of the first push count.
            (Body::TagPushed(waits), Body::TagPushed(comes)) => waits.request_id() == comes.request_id(),
            (Body::Command { .. }, Body::TagPushed(_)) | (Body::TagPushed(_), Body::Command { .. }) => false,
        };
        if same && waiting.user == request.user {
            // Whoever wrote it may not have come to this yet.
            return sync_directory(&self.dir, &file).map_err(failed);
        }
        Err(SpoolError::Taken { id: request.id.clone() })
    }

    /// The files that wait, oldest first. What is not named like a request (a writer's temporary file) is left out.
    pub fn entries(&self) -> Result<Vec<PathBuf>, SpoolError> {
        let failed = |error| SpoolError::Io {
            path: self.dir.clone(),
            error,
        };
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&self.dir).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if id_of(&entry.path()).is_none() {
                continue;
            }
            // Gone in between: somebody else took it.
            let Ok(meta) = entry.metadata() else { continue };
            found.push((meta.mtime(), meta.mtime_nsec(), entry.path()));
        }
        found.sort();
        Ok(found.into_iter().map(|(_, _, path)| path).collect())
    }

    /// Reads one file, which must belong to one of these user ids.
    pub fn read(&self, path: &Path, owners: &[u32]) -> Result<Request, SpoolError> {
        let failed = |error: io::Error| SpoolError::Io {
            path: path.to_owned(),
            error,
        };
        let suspicious = |why: &str| SpoolError::Suspicious {
            path: path.to_owned(),
            why: why.to_owned(),
        };
        // NONBLOCK: opening a fifo must not wait for its writer.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let flags = i32::try_from(flags.bits()).map_err(|error| failed(io::Error::other(error)))?;
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(flags)
            .open(path)
            .map_err(failed)?;
        let meta = file.metadata().map_err(failed)?;
        if !meta.is_file() {
            return Err(suspicious("is no plain file"));
        }
        if !owners.contains(&meta.uid()) {
            return Err(SpoolError::Suspicious {
                path: path.to_owned(),
                why: format!("belongs to user id {}, which may not speak for others", meta.uid()),
            });
        }
        let mut line = Vec::new();
        file.take(MAX_LINE as u64 + 1).read_to_end(&mut line).map_err(failed)?;
        let request = Request::parse(&line).map_err(|error| SpoolError::Wire {
            path: path.to_owned(),
            error,
        })?;
        if id_of(path).as_ref() != Some(&request.id) {
            return Err(suspicious("is not named as the request in it"));
        }
        Ok(request)
    }

    /// Removes a file whose request is in the journal. Not there any more is fine.
    pub fn remove(&self, path: &Path) -> Result<(), SpoolError> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(SpoolError::Io {
                path: path.to_owned(),
                error,
            }),
            _ => Ok(()),
        }
    }

    /// Puts a file that cannot be taken out of the way, as `REQUESTID.json.bad`, for a person to look at.
    pub fn set_aside(&self, path: &Path) -> Result<PathBuf, SpoolError> {
        let mut aside = path.as_os_str().to_owned();
        aside.push(".bad");
        std::fs::rename(path, &aside).map_err(|error| SpoolError::Io {
            path: path.to_owned(),
            error,
        })?;
        Ok(aside.into())
    }
}

fn id_of(path: &Path) -> Option<RequestId> {
    path.file_name()?.to_str()?.strip_suffix(".json")?.parse().ok()
}

/// Gives a new file with these bytes the name `path` beside its temporary one; durable when it returns. A name that is there stays as
/// it is.
fn write_durably(dir: &Path, temporary: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(temporary)?;
    // The directory keeps others out; the bot, which is another user, must read whatever the umask is.
    file.set_permissions(Permissions::from_mode(0o644))?;
    file.write_all(bytes)?;
    file.sync_all()?;
    // Never over what waits; and never with two names at once, since the bot takes no file that has a second name.
    renameat_with(CWD, temporary, CWD, path, RenameFlags::NOREPLACE)?;
    sync_directory(dir, &file)
}

/// Makes a rename in a directory durable. The directory may be unreadable for us (the spool is): then the whole file system is synced,
/// through a file that lies in it.
pub(crate) fn sync_directory(dir: &Path, file_in_it: &File) -> io::Result<()> {
    match File::open(dir) {
        Ok(dir) => dir.sync_all(),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(rustix::fs::syncfs(file_in_it)?),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::wire::random_request_id;

    fn request() -> Request {
        let body = Body::Command {
            argv: vec!["build".into(), "hello".into(), "1.0-alt1".into()],
        };
        Request::new(
            random_request_id().unwrap(),
            Timestamp::UNIX_EPOCH,
            "alice".parse().unwrap(),
            body,
        )
    }

    #[test]
    fn what_is_written_waits_and_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::new(dir.path());
        let me = std::fs::metadata(dir.path()).unwrap().uid();
        let (first, second) = (request(), request());
        let path = spool.write(&first).unwrap();
        spool.write(&second).unwrap();
        spool.write(&second).unwrap();
        std::fs::write(dir.path().join(".tmp-r-0-1"), "{").unwrap();
        assert_eq!(spool.entries().unwrap().len(), 2);
        assert_eq!(spool.read(&path, &[me]).unwrap(), first);
        spool.remove(&path).unwrap();
        spool.remove(&path).unwrap();
        assert_eq!(spool.entries().unwrap(), vec![spool.path_of(&second.id)]);
    }

    #[test]
    fn a_file_never_has_a_second_name() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::new(dir.path());
        let writing = std::sync::atomic::AtomicBool::new(true);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..200 {
                    spool.write(&request()).unwrap();
                }
                writing.store(false, std::sync::atomic::Ordering::Relaxed);
            });
            while writing.load(std::sync::atomic::Ordering::Relaxed) {
                for path in spool.entries().unwrap() {
                    assert_eq!(std::fs::metadata(path).unwrap().nlink(), 1, "the bot would reject it");
                }
            }
        });
    }

    #[test]
    fn strangers_and_strange_files_are_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::new(dir.path());
        let me = std::fs::metadata(dir.path()).unwrap().uid();
        let path = spool.write(&request()).unwrap();
        assert!(matches!(
            spool.read(&path, &[me + 1]),
            Err(SpoolError::Suspicious { .. })
        ));
        let other = spool.path_of(&request().id);
        std::fs::copy(&path, &other).unwrap();
        assert!(matches!(spool.read(&other, &[me]), Err(SpoolError::Suspicious { .. })));
        let link = spool.path_of(&request().id);
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(matches!(spool.read(&link, &[me]), Err(SpoolError::Io { .. })));
        let mut stolen = spool.read(&path, &[me]).unwrap();
        stolen.user = "mallory".parse().unwrap();
        assert!(matches!(spool.write(&stolen), Err(SpoolError::Taken { .. })));
        assert_eq!(
            spool.read(&path, &[me]).unwrap().user.as_str(),
            "alice",
            "nobody's request is replaced"
        );
        let aside = spool.set_aside(&other).unwrap();
        assert!(aside.exists() && !other.exists());
    }
}
