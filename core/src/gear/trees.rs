//! Finds what TREE means: `path`, or `base:path` where base is `.`, a commit before the one that is built, or a stored tag.
//!
//! References are never looked up: what a name means is in the tagged tree itself (`.gear/tags/list`), so that one tag pins everything.

use std::cell::{OnceCell, RefCell};
use std::collections::{BinaryHeap, HashSet};

use crate::escape::{escaped, escaped_bytes};
use crate::gear::error::GearError;
use crate::gear::objects::{Commit, Entry, EntryKind, ObjectKind, Reader, over};
use crate::gear::rules::relative;
use crate::id::ObjectId;
use crate::refusal::Refusal;
use crate::signing::object_id::check_id;

/// Where stored tags are looked for when the rules do not say.
const TAG_DIRS: [&str; 2] = [".gear-tags", ".gear/tags"];

/// The tagged commit with its tree.
pub(super) struct Trees<'a> {
    reader: &'a Reader<'a>,
    commit: ObjectId,
    root: ObjectId,
    tags: Option<String>,
    list: OnceCell<StoredTags>,
    ancestors: RefCell<Ancestors>,
}

/// A directory that TREE means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// Its tree.
    pub tree: ObjectId,
    /// The last part of its path; none for the top.
    pub dir: Option<String>,
}

/// What TREE means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Meaning {
    /// A directory.
    Tree(Found),
    /// Nothing, and why: no error for an optional rule.
    Nothing(Refusal),
}

struct StoredTags {
    dir: Option<String>,
    names: Vec<(String, ObjectId)>,
}

impl<'a> Trees<'a> {
    /// The commit that is built; `tags` is where its stored tags are, if the rules say.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn of(reader: &'a Reader<'a>, commit: &ObjectId) -> Result<Self, GearError> {
        let read = reader.commit(commit)?;
        Ok(Self {
            reader,
            commit: commit.clone(),
            tags: None,
            list: OnceCell::new(),
            ancestors: RefCell::new(Ancestors::of(commit, &read)),
            root: read.tree,
        })
    }

    /// The same with the directory of stored tags that the rules name.
    #[must_use]
    pub(super) fn with_tags(mut self, tags: Option<String>) -> Self {
        self.tags = tags;
        self
    }

    /// The tree of the commit.
    pub(super) fn root(&self) -> &ObjectId {
        &self.root
    }

    /// The entry at a path below a tree; nothing if there is none. Symbolic links are not followed.
    ///
    /// # Errors
    /// A tree cannot be read.
    pub(super) fn entry(&self, root: &ObjectId, path: &str) -> Result<Option<Entry>, GearError> {
        let mut at = root.clone();
        let mut parts = path.split('/').peekable();
        while let Some(part) = parts.next() {
            let entries = self.reader.tree(&at)?;
            let Some(entry) = entries.iter().find(|entry| entry.name == part.as_bytes()) else {
                return Ok(None);
            };
            if parts.peek().is_none() {
                return Ok(Some(entry.clone()));
            }
            if entry.kind != EntryKind::Tree {
                return Ok(None);
            }
            at = entry.object.clone();
        }
        Ok(None)
    }

    /// A file's content below the top, if there is such a file.
    ///
    /// # Errors
    /// It cannot be read, or is larger than the limit.
    pub(super) fn file(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, GearError> {
        match self.entry(&self.root, path)? {
            Some(Entry {
                kind: EntryKind::File { .. },
                object,
                ..
            }) => self.reader.read(&object, ObjectKind::Blob, limit).map(Some),
            Some(_) | None => Ok(None),
        }
    }

    /// What TREE means; its keywords are replaced already.
    ///
    /// # Errors
    /// It is not well formed, names a commit that is not before the one that is built, or a stored tag that does not match.
    pub(super) fn find(&self, text: &str) -> Result<Meaning, GearError> {
        let (base, path) = text.split_once(':').unwrap_or((".", text));
        let path = relative(path)?;
        let root = match base {
            "." => self.root.clone(),
            _ => match base.parse::<ObjectId>() {
                Ok(commit) => self.ancestor(&commit, &format!("commit {commit}"))?,
                Err(_) => match self.stored(base)? {
                    Ok(root) => root,
                    Err(nothing) => return Ok(Meaning::Nothing(nothing)),
                },
            },
        };
        if path.is_empty() {
            return Ok(Meaning::Tree(Found { tree: root, dir: None }));
        }
        let dir = path.rsplit('/').next().map(ToOwned::to_owned);
        let (shown, of) = (
            escaped(&path),
            if base == "." {
                String::new()
            } else {
                format!(" in {}", escaped(base))
            },
        );
        Ok(match self.entry(&root, &path)? {
            Some(Entry {
                kind: EntryKind::Tree,
                object,
                ..
            }) => Meaning::Tree(Found { tree: object, dir }),
            Some(entry) => {
                let what = match entry.kind {
                    EntryKind::File { .. } => "a file",
                    EntryKind::Link => "a symbolic link",
                    EntryKind::Submodule => "a submodule",
                    EntryKind::Tree => "a directory",
                };
                return Err(
                    Refusal::new("not_a_tree", format!("'{shown}'{of} is {what}, not a directory"))
                        .hint("'copy:' takes files; a submodule's content is not in the repository")
                        .into(),
                );
            }
            None => Meaning::Nothing(Refusal::new(
                "no_such_tree",
                format!("there is no directory '{shown}'{of}"),
            )),
        })
    }

    /// The tree of a commit that must be the one that is built, or before it.
    fn ancestor(&self, commit: &ObjectId, what: &str) -> Result<ObjectId, GearError> {
        if *commit == self.commit {
            return Ok(self.root.clone());
        }
        let refused = |why: String| -> GearError {
            Refusal::new("not_an_ancestor", why)
                .hint(format!(
                    "merge it first, so that the tag pins it: git merge -s ours {commit}"
                ))
                .into()
        };
        match self.reader.kind(commit)? {
            None => return Err(refused(format!("{what}: there is no such commit in the repository"))),
            Some(ObjectKind::Commit) => {}
            Some(kind) => {
                return Err(Refusal::new(
                    "not_an_ancestor",
                    format!("{what}: {commit} is a {}, not a commit", kind.as_str()),
                )
                .into());
            }
        }
        if !self.ancestors.borrow_mut().contain(commit, self.reader)? {
            return Err(refused(format!(
                "{what} is no ancestor of {}, which is built",
                self.commit
            )));
        }
        Ok(self.reader.commit(commit)?.tree)
    }

    /// The tree that a stored tag means; why there is none, if it is not stored.
    fn stored(&self, name: &str) -> Result<Result<ObjectId, Refusal>, GearError> {
        let shown = escaped(name);
        let stored = self.stored_tags()?;
        let Some(dir) = &stored.dir else {
            return Ok(Err(Refusal::new(
                "no_stored_tag",
                format!("tag '{shown}' is not stored: there is no {}/list", TAG_DIRS[1]),
            )
            .hint(how_to_store(self.tags.as_deref().unwrap_or(TAG_DIRS[1]), name))));
        };
        let Some((_, object)) = stored.names.iter().find(|(known, _)| known == name) else {
            let names: Vec<&str> = stored.names.iter().map(|(name, _)| name.as_str()).collect();
            let near = crate::refusal::nearest(name, &names).map(|near| format!("did you mean '{}'? ", escaped(near)));
            let refusal = Refusal::new(
                "no_stored_tag",
                format!("tag '{shown}' is not in {}/list", escaped(dir)),
            );
            return Ok(Err(refusal.hint(format!(
                "{}{}",
                near.unwrap_or_default(),
                how_to_store(dir, name)
            ))));
        };
        let path = format!("{dir}/{object}");
        let Some(bytes) = self.file(&path, self.reader.limits().tag)? else {
            return Err(Refusal::new(
                "bad_stored_tag",
                format!("tag '{shown}': there is no file '{}'", escaped(&path)),
            )
            .hint(how_to_store(dir, name))
            .into());
        };
        check_id(object, ObjectKind::Tag, &bytes).map_err(|refusal| {
            Refusal::new(
                "bad_stored_tag",
                format!(
                    "tag '{shown}': '{}' is not that tag: {}",
                    escaped(&path),
                    refusal.message
                ),
            )
            .hint(how_to_store(dir, name))
        })?;
        let commit = tagged_commit(&bytes).ok_or_else(|| {
            Refusal::new(
                "bad_stored_tag",
                format!("tag '{shown}': '{}' does not point at a commit", escaped(&path)),
            )
        })?;
        self.ancestor(&commit, &format!("tag '{shown}' (commit {commit})"))
            .map(Ok)
    }

    fn stored_tags(&self) -> Result<&StoredTags, GearError> {
        if let Some(known) = self.list.get() {
            return Ok(known);
        }
        let dirs: Vec<&str> = match &self.tags {
            Some(dir) => vec![dir],
            None => TAG_DIRS.to_vec(),
        };
        let mut stored = StoredTags {
            dir: None,
            names: Vec::new(),
        };
        for dir in dirs {
            if let Some(bytes) = self.file(&format!("{dir}/list"), self.reader.limits().rules)? {
                stored = StoredTags {
                    dir: Some(dir.to_owned()),
                    names: parse_list(&bytes)
                        .map_err(|why| Refusal::new("bad_stored_tag", format!("{}/list: {why}", escaped(dir))))?,
                };
                break;
            }
        }
        Ok(self.list.get_or_init(|| stored))
    }
}

fn how_to_store(dir: &str, name: &str) -> String {
    let (dir, name) = (escaped(dir), escaped(name));
    format!(
        "store the tag: o=$(git rev-parse {name}); mkdir -p {dir}; git cat-file tag $o > {dir}/$o; echo $o {name} >> {dir}/list; git add {dir}"
    )
}

/// The lines `OID NAME` of a list.
fn parse_list(bytes: &[u8]) -> Result<Vec<(String, ObjectId)>, String> {
    let mut names: Vec<(String, ObjectId)> = Vec::new();
    for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let parts = std::str::from_utf8(line)
            .ok()
            .and_then(|line| line.split_once(char::is_whitespace));
        let read = parts.and_then(|(object, name)| Some((name.trim().to_owned(), object.parse::<ObjectId>().ok()?)));
        let Some((name, object)) = read else {
            return Err(format!(
                "line {}: '{}' is not 'OID NAME'",
                index + 1,
                escaped_bytes(line)
            ));
        };
        if names.iter().any(|(known, other)| *known == name && *other != object) {
            return Err(format!("line {}: '{}' stands there twice", index + 1, escaped(&name)));
        }
        names.push((name, object));
    }
    Ok(names)
}

/// The commit that a tag object points at.
fn tagged_commit(bytes: &[u8]) -> Option<ObjectId> {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let object = lines.next()?.strip_prefix(b"object ")?;
    (lines.next()? == b"type commit").then_some(())?;
    lines.next()?.strip_prefix(b"tag ")?;
    std::str::from_utf8(object).ok()?.parse().ok()
}

/// The commits before one, found as far as anybody asked. The newest are looked at first: what is merged is mostly young.
struct Ancestors {
    seen: HashSet<ObjectId>,
    /// Date, commit, parents.
    ahead: BinaryHeap<(i64, ObjectId, Vec<ObjectId>)>,
}

impl Ancestors {
    fn of(id: &ObjectId, commit: &Commit) -> Self {
        Self {
            seen: HashSet::from([id.clone()]),
            ahead: BinaryHeap::from([(commit.seconds, id.clone(), commit.parents.clone())]),
        }
    }

    fn contain(&mut self, wanted: &ObjectId, reader: &Reader<'_>) -> Result<bool, GearError> {
        while !self.seen.contains(wanted) {
            let Some((_, _, parents)) = self.ahead.pop() else {
                return Ok(false);
            };
            for parent in parents {
                if self.seen.insert(parent.clone()) {
                    let commit = reader.commit(&parent)?;
                    self.ahead.push((commit.seconds, parent, commit.parents));
                }
            }
            if self.seen.len() as u64 > reader.limits().commits {
                return Err(over(
                    "the history before what is built",
                    "commits",
                    reader.limits().commits,
                ));
            }
        }
        Ok(true)
    }
}
