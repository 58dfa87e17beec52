//! Reads git objects out of whatever holds them, and believes nothing: each is hashed again, taken apart byte by byte, and counted.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::escape::escaped_bytes;
use crate::gear::error::GearError;
use crate::gear::limits::Limits;
use crate::hex::hex;
use crate::id::ObjectId;
use crate::refusal::Refusal;
use crate::signing::object_id::check_id;
pub use crate::signing::{ObjectHeader, ObjectKind};

/// What holds git objects. Nothing that it says is believed; it must keep to the limits that it is given.
pub trait Objects {
    /// Kind and size of an object; nothing if it is not there.
    ///
    /// # Errors
    /// When it cannot be told.
    fn header(&self, object: &ObjectId) -> Result<Option<ObjectHeader>, ObjectFault>;

    /// The content of an object, without git's own header.
    ///
    /// # Errors
    /// [`ObjectFault::TooLarge`] when it has more than `limit` bytes, before they are in memory.
    fn read(&self, object: &ObjectId, limit: u64) -> Result<Vec<u8>, ObjectFault>;
}

/// An object that cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ObjectFault {
    /// It is not there, though something names it.
    #[error("object {0} is missing from the repository")]
    Missing(ObjectId),
    /// It is larger than anything that is read.
    #[error("object {object} is {size} bytes long, which is more than {limit}")]
    TooLarge {
        /// Which.
        object: ObjectId,
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// It is damaged, or the repository cannot be read.
    #[error("{0}")]
    Unreadable(String),
    /// Whoever asked wants nothing more.
    #[error("stopped")]
    Stopped,
}

/// What an entry of a directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EntryKind {
    /// A directory.
    Tree,
    /// A file.
    File {
        /// Whether it may be executed.
        executable: bool,
    },
    /// A symbolic link.
    Link,
    /// A commit of another repository.
    Submodule,
}

/// One entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name, any bytes but `/` and NUL.
    pub name: Vec<u8>,
    /// What it is.
    pub kind: EntryKind,
    /// Its content.
    pub object: ObjectId,
}

/// What is needed of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its tree.
    pub tree: ObjectId,
    /// Those before it.
    pub parents: Vec<ObjectId>,
    /// When it was made, as it says; 0 where that cannot be read.
    pub seconds: i64,
}

/// Reads within limits, and checks what it reads.
pub struct Reader<'a> {
    objects: &'a dyn Objects,
    limits: &'a Limits,
    bytes: Cell<u64>,
    entries: Cell<u64>,
    /// Directories that were read lately.
    trees: RefCell<HashMap<ObjectId, Arc<[Entry]>>>,
}

/// How many entries of directories are kept in memory.
const KEPT_TREES: usize = 20_000;

impl<'a> Reader<'a> {
    /// A reader that has read nothing yet.
    pub fn new(objects: &'a dyn Objects, limits: &'a Limits) -> Self {
        Self {
            objects,
            limits,
            bytes: Cell::new(0),
            entries: Cell::new(0),
            trees: RefCell::new(HashMap::new()),
        }
    }

    /// The limits that it keeps.
    pub fn limits(&self) -> &'a Limits {
        self.limits
    }

    /// Kind and size of an object that something names.
    ///
    /// # Errors
    /// When it is missing or cannot be read.
    pub fn header(&self, object: &ObjectId) -> Result<ObjectHeader, GearError> {
        let header = self.objects.header(object)?;
        header.ok_or_else(|| GearError::Objects(ObjectFault::Missing(object.clone())))
    }

    /// Whether there is such an object at all.
    ///
    /// # Errors
    /// When it cannot be told.
    pub fn kind(&self, object: &ObjectId) -> Result<Option<ObjectKind>, GearError> {
        Ok(self.objects.header(object)?.map(|header| header.kind))
    }

    /// The content of an object of this kind, hashed again.
    ///
    /// # Errors
    /// It is missing, larger than the limit, of another kind or another content.
    pub fn read(&self, object: &ObjectId, kind: ObjectKind, limit: u64) -> Result<Vec<u8>, GearError> {
        let content = self.objects.read(object, limit)?;
        let read = self.bytes.get().saturating_add(content.len() as u64);
        self.bytes.set(read);
        if read > self.limits.total {
            return Err(over("all that is read for it", "bytes", self.limits.total));
        }
        // Another kind has another hash.
        check_id(object, kind, &content)
            .map_err(|refusal| GearError::Objects(ObjectFault::Unreadable(refusal.message)))?;
        Ok(content)
    }

    /// A file's content.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn blob(&self, object: &ObjectId) -> Result<Vec<u8>, GearError> {
        self.read(object, ObjectKind::Blob, self.limits.blob)
    }

    /// A commit.
    ///
    /// # Errors
    /// As [`read`](Self::read), or its first lines are not those of a commit.
    pub fn commit(&self, object: &ObjectId) -> Result<Commit, GearError> {
        let content = self.read(object, ObjectKind::Commit, self.limits.commit)?;
        parse_commit(&content).ok_or_else(|| malformed(object, "commit", "its headers cannot be read"))
    }

    /// A directory's entries, in git's order.
    ///
    /// # Errors
    /// As [`read`](Self::read), or it is not written as git writes it.
    pub fn tree(&self, object: &ObjectId) -> Result<Arc<[Entry]>, GearError> {
        let kept = self.trees.borrow().get(object).cloned();
        let tree = if let Some(tree) = kept {
            tree
        } else {
            let content = self.read(object, ObjectKind::Tree, self.limits.tree)?;
            let tree: Arc<[Entry]> = parse_tree(&content)
                .map_err(|why| malformed(object, "tree", why))?
                .into();
            let mut kept = self.trees.borrow_mut();
            if kept.len() >= KEPT_TREES {
                kept.clear();
            }
            kept.insert(object.clone(), Arc::clone(&tree));
            tree
        };
        let seen = self.entries.get().saturating_add(tree.len() as u64 + 1);
        self.entries.set(seen);
        if seen > self.limits.entries {
            return Err(over(
                "what the rules name",
                "entries of directories",
                self.limits.entries,
            ));
        }
        Ok(tree)
    }
}

pub(super) fn over(what: &str, unit: &str, limit: u64) -> GearError {
    Refusal::new("too_large", format!("{what} is more than {limit} {unit}"))
        .hint("name less in the rules, or leave out with exclude: what the build does not need")
        .into()
}

fn malformed(object: &ObjectId, kind: &str, why: &str) -> GearError {
    Refusal::new("bad_object", format!("{kind} {object} is malformed: {why}"))
        .hint("git fsck tells more; such an object is not made by git itself")
        .into()
}

fn parse_commit(content: &[u8]) -> Option<Commit> {
    let mut lines = content.split(|byte| *byte == b'\n').peekable();
    let id = |bytes: &[u8]| std::str::from_utf8(bytes).ok()?.parse::<ObjectId>().ok();
    let tree = id(lines.next()?.strip_prefix(b"tree ")?)?;
    let mut parents = Vec::new();
    while let Some(parent) = lines.peek().and_then(|line| line.strip_prefix(b"parent ")) {
        parents.push(id(parent)?);
        lines.next();
    }
    let committer = lines
        .take_while(|line| !line.is_empty())
        .find_map(|line| line.strip_prefix(b"committer "));
    let seconds = committer
        .and_then(|line| line.rsplit(|byte| *byte == b' ').nth(1))
        .and_then(|seconds| std::str::from_utf8(seconds).ok()?.parse().ok())
        .unwrap_or(0);
    Some(Commit { tree, parents, seconds })
}

/// The entries of a tree object.
fn parse_tree(content: &[u8]) -> Result<Vec<Entry>, &'static str> {
    let mut rest = content;
    let mut entries: Vec<Entry> = Vec::new();
    let mut files = HashSet::new();
    while !rest.is_empty() {
        let space = rest
            .iter()
            .position(|byte| *byte == b' ')
            .ok_or("an entry has no mode")?;
        let (mode, after) = (&rest[..space], &rest[space + 1..]);
        let nul = after.iter().position(|byte| *byte == 0).ok_or("an entry has no end")?;
        let (name, after) = (&after[..nul], &after[nul + 1..]);
        let hash = after.get(..20).ok_or("an entry has no object")?;
        rest = &after[20..];
        let kind = match mode {
            b"40000" => EntryKind::Tree,
            // 100664 was written by early versions of git.
            b"100644" | b"100664" => EntryKind::File { executable: false },
            b"100755" => EntryKind::File { executable: true },
            b"120000" => EntryKind::Link,
            b"160000" => EntryKind::Submodule,
            _ => return Err("an entry has a mode that git does not know"),
        };
        if name.is_empty()
            || name == b"."
            || name == b".."
            || name.contains(&b'/')
            || name.eq_ignore_ascii_case(b".git")
        {
            return Err("an entry has a name that no file can have in a repository");
        }
        let object = hex(hash).parse().map_err(|_| "an entry has no object")?;
        let entry = Entry {
            name: name.to_vec(),
            kind,
            object,
        };
        if entries.last().is_some_and(|last| order(last) >= order(&entry)) {
            return Err("its entries are not in order");
        }
        // In order, and still twice: as a file, and further on as a directory.
        if kind == EntryKind::Tree {
            if files.contains(name) {
                return Err("a name stands in it twice");
            }
        } else {
            files.insert(name);
        }
        entries.push(entry);
    }
    Ok(entries)
}

/// A name as git sorts it: a directory's as if a slash followed.
fn order(entry: &Entry) -> Vec<u8> {
    let mut name = entry.name.clone();
    if entry.kind == EntryKind::Tree {
        name.push(b'/');
    }
    name
}

impl Entry {
    /// Its name for people.
    pub fn shown(&self) -> String {
        escaped_bytes(&self.name)
    }
}
