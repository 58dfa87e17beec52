//! The spool: requests that were left as files while the bot was away.
//!
//! A file is taken once: its request is on record, under its id, before the file goes. What cannot be taken is put out of
//! the way with a reason in the log, where a person finds it, and holds up nothing. The directory is writable for git's
//! user, so that nothing in it is believed: not a name, not a kind of file, not an owner.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use windlass_core::escape::escaped_bytes;
use windlass_hooks::spool::{Spool, SpoolError};
use windlass_hooks::wire::Request;

use crate::commands::frames::Frames;
use crate::commands::{Commands, Refusals};

/// A writer's temporary file that is older was left behind by a writer that died.
const ABANDONED: Duration = Duration::from_hours(24);

/// Takes what lies in the spool.
#[derive(Debug)]
pub struct Intake {
    spool: Spool,
    /// Where files go that cannot be taken.
    rejected: PathBuf,
    /// The user ids whose files are taken.
    owners: Vec<u32>,
    /// Names that could be neither taken nor moved: told once.
    stuck: BTreeSet<PathBuf>,
}

/// What one look into the spool came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Taken {
    /// Requests that are on record now.
    pub taken: usize,
    /// Files that were put out of the way.
    pub rejected: usize,
    /// Files that stay for the next look: the journal could not be written.
    pub left: usize,
}

impl Intake {
    /// An intake from this directory; `rejected` is made when it is needed.
    pub fn new(spool: PathBuf, rejected: PathBuf, owners: Vec<u32>) -> Self {
        Self {
            spool: Spool::new(spool),
            rejected,
            owners,
            stuck: BTreeSet::new(),
        }
    }

    /// Takes everything that lies there now, oldest first.
    ///
    /// # Errors
    /// The directory cannot be listed.
    pub async fn take_all(&mut self, commands: &Commands) -> io::Result<Taken> {
        let mut taken = Taken::default();
        for path in self.entries()? {
            if commands.is_stopping() {
                break;
            }
            match self.look_at(&path) {
                Ok(Some(request)) => {
                    if self.take(request, &path, commands).await {
                        taken.taken += 1;
                    } else {
                        taken.left += 1;
                    }
                }
                Ok(None) => {}
                Err(reason) => {
                    self.reject(&path, &reason);
                    taken.rejected += 1;
                }
            }
        }
        Ok(taken)
    }

    async fn take(&mut self, request: Request, path: &Path, commands: &Commands) -> bool {
        let id = request.id.clone();
        let user = request.user.clone();
        let (frames, mut answers) = Frames::channel();
        let listen = async { while answers.recv().await.is_some() {} };
        let carry_out = async {
            let frames = frames;
            commands.carry_out(request, Refusals::Recorded, &frames).await
        };
        let (decided, ()) = tokio::join!(carry_out, listen);
        if !decided {
            return false;
        }
        match self.spool.remove(path) {
            Ok(()) => {
                tracing::info!(request.id = %id, user = %user, "request {id} of {user} was taken from the spool");
            }
            Err(error) => {
                tracing::error!(request.id = %id, %error, "request {id} is on record, its file cannot be removed: {error}");
                self.stuck.insert(path.to_owned());
            }
        }
        true
    }

    /// Every name in the directory but those of writers at work and of files put aside, oldest first.
    fn entries(&mut self) -> io::Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        let mut names = BTreeSet::new();
        for entry in std::fs::read_dir(self.spool.dir())? {
            let entry = entry?;
            let path = entry.path();
            let name = entry.file_name();
            let name = name.as_encoded_bytes();
            // Taken by somebody else in between is fine.
            let Ok(meta) = std::fs::symlink_metadata(&path) else {
                continue;
            };
            if name.starts_with(b".tmp-") {
                sweep(&path, &meta);
                continue;
            }
            if name.ends_with(b".bad") || self.stuck.contains(&path) {
                names.insert(path);
                continue;
            }
            found.push((meta.mtime(), meta.mtime_nsec(), path));
        }
        self.stuck.retain(|path| names.contains(path));
        found.sort();
        Ok(found.into_iter().map(|(_, _, path)| path).collect())
    }

    /// The request in a file; nothing when it is gone; why not, when it cannot be taken.
    fn look_at(&self, path: &Path) -> Result<Option<Request>, String> {
        // A second name for somebody else's file would have that file's owner.
        match std::fs::symlink_metadata(path) {
            Ok(meta) if !meta.is_file() => return Err("is no plain file".to_owned()),
            Ok(meta) if meta.nlink() != 1 => return Err("has several names".to_owned()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.to_string()),
        }
        match self.spool.read(path, &self.owners) {
            Ok(request) => Ok(Some(request)),
            Err(SpoolError::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(SpoolError::Io { error, .. }) => Err(error.to_string()),
            Err(SpoolError::Wire { error, .. }) => Err(error.to_string()),
            Err(SpoolError::Suspicious { why, .. }) => Err(why),
            Err(error @ SpoolError::Taken { .. }) => Err(error.to_string()),
        }
    }

    /// Puts a file out of the way: into the bot's own directory, or aside where it lies.
    fn reject(&mut self, path: &Path, reason: &str) {
        let name = shown(path);
        match self.move_away(path) {
            Ok(to) => {
                tracing::warn!(file = %name, to = %to.display(), "spool file {name} {reason}: it is in {} now", to.display());
            }
            Err(error) => {
                tracing::error!(file = %name, %error, "spool file {name} {reason}, and cannot be moved away: {error}");
                self.stuck.insert(path.to_owned());
            }
        }
    }

    fn move_away(&self, path: &Path) -> io::Result<PathBuf> {
        std::fs::create_dir_all(&self.rejected)?;
        let name = path.file_name().unwrap_or_default();
        // Never over one that was rejected before: each is there to be looked at.
        let mut to = self.rejected.join(name);
        for number in 1.. {
            if std::fs::symlink_metadata(&to).is_err() {
                break;
            }
            let mut numbered = name.to_owned();
            numbered.push(format!(".{number}"));
            to = self.rejected.join(numbered);
        }
        // Another file system, or somebody else's directory, which can only be renamed where it is.
        std::fs::rename(path, &to).map(|()| to).or_else(|_| {
            self.spool
                .set_aside(path)
                .map_err(|error| io::Error::other(error.to_string()))
        })
    }
}

/// Removes what a writer left behind when it died.
fn sweep(path: &Path, meta: &std::fs::Metadata) {
    let age = meta
        .modified()
        .ok()
        .and_then(|at| SystemTime::now().duration_since(at).ok());
    if meta.is_file() && age.is_some_and(|age| age > ABANDONED) && std::fs::remove_file(path).is_ok() {
        tracing::info!(file = %shown(path), "an abandoned temporary file was removed from the spool");
    }
}

fn shown(path: &Path) -> String {
    escaped_bytes(path.file_name().unwrap_or_default().as_encoded_bytes())
}
