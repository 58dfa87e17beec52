//! Reads git objects raw: by id, from the object directories alone.
//!
//! A repository opener would not see the objects that a push has put in quarantine, and would follow `refs/replace/`;
//! this reader knows nothing of references, configuration or replacements. An object's kind and size are read from its
//! header before anything of it is inflated, so that a small pack cannot make the reader use much memory.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use gix::bstr::ByteSlice;
use gix::objs::Find as _;
use gix::odb::Header as _;
use windlass_core::id::ObjectId;
pub use windlass_core::signing::{ObjectHeader, ObjectKind};

/// No single allocation is larger where a tag is judged: it may be stored as a change to an object that is far larger than
/// the tag itself, and that object is inflated too.
const LARGEST_ALLOCATION: usize = 8 * 1024 * 1024;

/// The object directories of one repository, those of a push in quarantine first.
pub struct RawStore {
    directories: Vec<gix::odb::Handle>,
    largest_allocation: usize,
}

/// An object directory or an object in it cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Neither `GIT_OBJECT_DIRECTORY` nor `GIT_DIR` is set.
    #[error("neither GIT_OBJECT_DIRECTORY nor GIT_DIR is set: git sets them for a hook")]
    NoDirectory,
    /// An entry of `GIT_ALTERNATE_OBJECT_DIRECTORIES` begins like a quoted one and is none.
    #[error("GIT_ALTERNATE_OBJECT_DIRECTORIES has an entry with bad quoting: {0}")]
    BadQuoting(String),
    /// A directory cannot be opened.
    #[error("cannot open the object directory '{}': {source}", directory.display())]
    Open {
        /// The directory.
        directory: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// An object is there and cannot be read.
    #[error("cannot read object {object}: {why}")]
    Read {
        /// Its id.
        object: ObjectId,
        /// Why.
        why: String,
    },
    /// An object is larger than asked for.
    #[error("object {object} is {size} bytes long, which is more than {limit}")]
    TooLarge {
        /// Its id.
        object: ObjectId,
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// An object is small, but stored as a change to one that is too large to be inflated.
    #[error("object {object} is stored as a change to something larger than {} MiB", limit >> 20)]
    Bomb {
        /// Its id.
        object: ObjectId,
        /// The limit in bytes.
        limit: usize,
    },
    /// There is no such object.
    #[error("there is no object {0}")]
    Missing(ObjectId),
}

impl RawStore {
    /// The directories that git names for a hook: in `pre-receive` the quarantine and what stands behind it.
    ///
    /// # Errors
    /// [`StoreError::NoDirectory`], [`StoreError::BadQuoting`], [`StoreError::Open`].
    pub fn from_quarantine_env() -> Result<Self, StoreError> {
        Self::from_variables(|name| std::env::var_os(name))
    }

    /// As [`from_quarantine_env`](Self::from_quarantine_env), with the variables from elsewhere.
    ///
    /// # Errors
    /// The same.
    pub fn from_variables(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, StoreError> {
        let main = match (variable("GIT_OBJECT_DIRECTORY"), variable("GIT_DIR")) {
            (Some(directory), _) => PathBuf::from(directory),
            (None, Some(directory)) => PathBuf::from(directory).join("objects"),
            (None, None) => return Err(StoreError::NoDirectory),
        };
        let alternates = variable("GIT_ALTERNATE_OBJECT_DIRECTORIES").unwrap_or_default();
        let mut directories = vec![main];
        directories.extend(alternates_of(&alternates)?);
        Self::open(directories)
    }

    /// The objects of a bare repository, or of a `.git` directory.
    ///
    /// # Errors
    /// [`StoreError::Open`].
    pub fn at(git_dir: &Path) -> Result<Self, StoreError> {
        Self::open(vec![git_dir.join("objects")])
    }

    /// As [`at`](Self::at), for whoever reads files and not only tags: no single allocation is larger than this many bytes.
    ///
    /// # Errors
    /// The same.
    pub fn at_for_files(git_dir: &Path, largest_allocation: usize) -> Result<Self, StoreError> {
        Self::open_bounded(vec![git_dir.join("objects")], largest_allocation)
    }

    /// Opens the directories in the order in which they are searched.
    ///
    /// # Errors
    /// [`StoreError::Open`].
    pub fn open(directories: Vec<PathBuf>) -> Result<Self, StoreError> {
        Self::open_bounded(directories, LARGEST_ALLOCATION)
    }

    fn open_bounded(directories: Vec<PathBuf>, largest_allocation: usize) -> Result<Self, StoreError> {
        let opened = directories.into_iter().map(|directory| {
            let options = gix::odb::store::init::Options {
                alloc_limit_bytes: Some(largest_allocation),
                ..Default::default()
            };
            let nothing_replaced = std::iter::empty();
            let opened = gix::odb::at_opts(&directory, gix::hash::Kind::Sha1, nothing_replaced, options);
            let mut handle = opened.map_err(|source| StoreError::Open { directory, source })?;
            // Most lookups begin with a miss: what is in quarantine is not behind it, and the reverse. A miss does not make
            // the packs be listed again; `RawStore::searched` does it when nothing is found anywhere.
            handle.refresh_never();
            Ok(handle)
        });
        Ok(Self {
            directories: opened.collect::<Result<_, _>>()?,
            largest_allocation,
        })
    }

    /// Kind and size of an object, without inflating it; `None` if it is nowhere.
    ///
    /// # Errors
    /// [`StoreError::Read`] when it is there and broken.
    pub fn header(&self, object: &ObjectId) -> Result<Option<ObjectHeader>, StoreError> {
        let id = gix_id(object)?;
        self.searched(|directory| {
            let header = directory.try_header(&id).map_err(|why| broken(object, &why))?;
            Ok(header.map(|header| ObjectHeader {
                kind: kind(header.kind()),
                size: header.size(),
            }))
        })
    }

    /// The content of an object that is no larger than `limit` bytes.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::TooLarge`] and [`StoreError::Bomb`] (nothing was inflated), [`StoreError::Read`].
    pub fn read(&self, object: &ObjectId, limit: u64) -> Result<Vec<u8>, StoreError> {
        let id = gix_id(object)?;
        let content = self.searched(|directory| {
            let Some(header) = directory.try_header(&id).map_err(|why| broken(object, &why))? else {
                return Ok(None);
            };
            if header.size() > limit {
                return Err(StoreError::TooLarge {
                    object: object.clone(),
                    size: header.size(),
                    limit,
                });
            }
            let mut content = Vec::new();
            let found = directory.try_find(&id, &mut content).map_err(|why| {
                if why.is_resource_exhausted() {
                    StoreError::Bomb {
                        object: object.clone(),
                        limit: self.largest_allocation,
                    }
                } else {
                    broken(object, &why)
                }
            })?;
            Ok(found.map(|data| data.data.to_vec()))
        })?;
        content.ok_or_else(|| StoreError::Missing(object.clone()))
    }

    /// What `ask` finds in the first directory that has it. When none has, or what it had cannot be read, the packs are listed
    /// again and all are asked once more: a repack may have moved an object meanwhile.
    fn searched<T>(
        &self,
        ask: impl Fn(&gix::odb::Handle) -> Result<Option<T>, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        for directory in &self.directories {
            match ask(directory) {
                Ok(None) => {}
                Ok(Some(found)) => return Ok(Some(found)),
                Err(_) => break,
            }
        }
        for directory in &self.directories {
            let mut again = directory.clone();
            again.refresh = gix::odb::store::RefreshMode::AfterAllIndicesLoaded;
            if let Some(found) = ask(&again)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

fn gix_id(object: &ObjectId) -> Result<gix::ObjectId, StoreError> {
    gix::ObjectId::from_hex(object.as_str().as_bytes()).map_err(|why| broken(object, &why))
}

fn broken(object: &ObjectId, why: &impl std::fmt::Display) -> StoreError {
    StoreError::Read {
        object: object.clone(),
        why: why.to_string(),
    }
}

fn kind(kind: gix::objs::Kind) -> ObjectKind {
    match kind {
        gix::objs::Kind::Commit => ObjectKind::Commit,
        gix::objs::Kind::Tag => ObjectKind::Tag,
        gix::objs::Kind::Tree => ObjectKind::Tree,
        gix::objs::Kind::Blob => ObjectKind::Blob,
    }
}

/// The entries of `GIT_ALTERNATE_OBJECT_DIRECTORIES`: separated by colons; one that begins with `"` is quoted as in C, and
/// may hold colons.
fn alternates_of(value: &OsStr) -> Result<Vec<PathBuf>, StoreError> {
    let mut rest = value.as_bytes();
    let mut found = Vec::new();
    while !rest.is_empty() {
        let entry = if rest.starts_with(b"\"") {
            let (unquoted, consumed) = gix::quote::ansi_c::undo(rest.as_bstr())
                .map_err(|_| StoreError::BadQuoting(windlass_core::escape::escaped_bytes(rest)))?;
            rest = &rest[consumed..];
            unquoted.to_vec()
        } else {
            let end = rest.find_byte(b':').unwrap_or(rest.len());
            let (entry, after) = rest.split_at(end);
            rest = after;
            entry.to_vec()
        };
        rest = match rest.split_first() {
            None => rest,
            Some((b':', after)) => after,
            Some(_) => return Err(StoreError::BadQuoting(windlass_core::escape::escaped_bytes(rest))),
        };
        if !entry.is_empty() {
            found.push(PathBuf::from(OsString::from_vec(entry)));
        }
    }
    // What is gone is no error to git either.
    found.retain(|directory| directory.is_dir());
    Ok(found)
}
