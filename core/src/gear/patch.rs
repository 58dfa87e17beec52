//! Makes a patch from one tree to another, which `patch -p1` applies to the old one and gives the new one.
//!
//! Headers are git's, so that new and deleted files, modes and symbolic links are told too. What `patch` cannot do is refused: a change in
//! a binary file, which git writes in a form of its own, and a file that becomes a directory or the reverse. A
//! submodule has no content here and is left alone.

use std::collections::BTreeMap;
use std::io::Write;

use crate::escape::escaped_bytes;
use crate::gear::archive::link_target;
use crate::gear::error::GearError;
use crate::gear::hunks::write_hunks;
use crate::gear::objects::{Entry, EntryKind, ObjectKind, Reader};
use crate::gear::walk::{Excludes, too_deep};
use crate::id::ObjectId;
use crate::refusal::Refusal;

/// A patch that is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patch {
    /// The tree that it is made for.
    pub old: ObjectId,
    /// The tree that it leads to.
    pub new: ObjectId,
    /// What is left out.
    pub excludes: Excludes,
}

/// A file that differs.
struct Change {
    path: Vec<u8>,
    old: Option<Entry>,
    new: Option<Entry>,
}

/// The object id of what is not there.
const NOTHING: &str = "0000000000000000000000000000000000000000";

impl Patch {
    /// Writes it; gives how many files it changes.
    pub(super) fn write(&self, reader: &Reader<'_>, out: &mut dyn Write) -> Result<usize, GearError> {
        let mut changes = Vec::new();
        self.compare(
            reader,
            Some(&self.old),
            Some(&self.new),
            (&mut Vec::new(), 0),
            &mut changes,
        )?;
        // What goes makes room: a file for a symbolic link of its name, and the reverse.
        changes.sort_by_key(|change| change.new.is_some());
        for change in &changes {
            change.write(reader, out)?;
        }
        Ok(changes.len())
    }

    fn compare(
        &self,
        reader: &Reader<'_>,
        old: Option<&ObjectId>,
        new: Option<&ObjectId>,
        (path, depth): (&mut Vec<u8>, usize),
        changes: &mut Vec<Change>,
    ) -> Result<(), GearError> {
        if depth > reader.limits().depth {
            return Err(too_deep(path, reader.limits().depth));
        }
        if old == new {
            return Ok(());
        }
        let mut names: BTreeMap<Vec<u8>, (Option<Entry>, Option<Entry>)> = BTreeMap::new();
        if let Some(old) = old {
            for entry in reader.tree(old)?.iter() {
                names.entry(entry.name.clone()).or_default().0 = Some(entry.clone());
            }
        }
        if let Some(new) = new {
            for entry in reader.tree(new)?.iter() {
                names.entry(entry.name.clone()).or_default().1 = Some(entry.clone());
            }
        }
        for (name, (old, new)) in names {
            if old == new {
                continue;
            }
            let length = path.len();
            path.extend_from_slice(&name);
            let tree = |entry: &Option<Entry>| {
                let entry = entry.as_ref().filter(|entry| entry.kind == EntryKind::Tree);
                entry.map(|entry| entry.object.clone())
            };
            let (old_tree, new_tree) = (tree(&old), tree(&new));
            if !self.excludes.takes(path) {
                let content = |entry: &Entry| matches!(entry.kind, EntryKind::File { .. } | EntryKind::Link);
                let (old, new) = (old.filter(content), new.filter(content));
                let is_link = |entry: &Option<Entry>| entry.as_ref().map(|entry| entry.kind == EntryKind::Link);
                if (old.is_some() && new_tree.is_some()) || (new.is_some() && old_tree.is_some()) {
                    return Err(Refusal::new(
                        "file_or_directory",
                        format!(
                            "'{}' is a directory in one tree and a file in the other: patch(1) cannot apply that",
                            escaped_bytes(path)
                        ),
                    )
                    .hint("leave it out with exclude=, and bring what is new with copy: or in a tar:")
                    .into());
                }
                match (&old, &new) {
                    (None, None) => {}
                    // A file that becomes a symbolic link goes, and the link comes.
                    (Some(_), Some(_)) if is_link(&old) != is_link(&new) => {
                        changes.push(Change {
                            path: path.clone(),
                            old,
                            new: None,
                        });
                        changes.push(Change {
                            path: path.clone(),
                            old: None,
                            new,
                        });
                    }
                    (Some(_), _) | (None, Some(_)) => changes.push(Change {
                        path: path.clone(),
                        old,
                        new,
                    }),
                }
            }
            if old_tree.is_some() || new_tree.is_some() {
                path.push(b'/');
                self.compare(reader, old_tree.as_ref(), new_tree.as_ref(), (path, depth + 1), changes)?;
            }
            path.truncate(length);
        }
        Ok(())
    }
}

impl Change {
    fn write(&self, reader: &Reader<'_>, out: &mut dyn Write) -> Result<(), GearError> {
        let content = |entry: &Option<Entry>| match entry {
            None => Ok(Vec::new()),
            Some(entry) if entry.kind == EntryKind::Link => link_target(reader, entry),
            Some(entry) => reader.read(&entry.object, ObjectKind::Blob, reader.limits().patched),
        };
        let (old, new) = (content(&self.old)?, content(&self.new)?);
        let shown = escaped_bytes(&self.path);
        if old != new && (old.contains(&0) || new.contains(&0)) {
            return Err(Refusal::new(
                "binary_patch",
                format!("'{shown}' is binary and differs: patch(1), which rpm calls, cannot apply that"),
            )
            .hint("leave it out with exclude=, and bring the new file with copy: or in a tar:")
            .into());
        }
        if self.path.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
            return Err(Refusal::new(
                "bad_file_name",
                format!("'{shown}' has a line's end in its name: patch(1) refuses that"),
            )
            .into());
        }
        let (a, b) = (quoted(b"a/", &self.path), quoted(b"b/", &self.path));
        writeln!(out, "diff --git {a} {b}")?;
        let id = |entry: &Option<Entry>| {
            entry
                .as_ref()
                .map_or(NOTHING.to_owned(), |entry| entry.object.to_string())
        };
        let (old_id, new_id) = (id(&self.old), id(&self.new));
        match (self.old.as_ref().map(mode), self.new.as_ref().map(mode)) {
            (None, Some(mode)) => writeln!(out, "new file mode {mode}\nindex {old_id}..{new_id}")?,
            (Some(mode), None) => writeln!(out, "deleted file mode {mode}\nindex {old_id}..{new_id}")?,
            (Some(before), Some(after)) if before != after => {
                writeln!(out, "old mode {before}\nnew mode {after}")?;
                if old_id != new_id {
                    writeln!(out, "index {old_id}..{new_id}")?;
                }
            }
            (Some(mode), Some(_)) => writeln!(out, "index {old_id}..{new_id} {mode}")?,
            (None, None) => {}
        }
        if old != new {
            let nothing = "/dev/null".to_owned();
            let (a, b) = (
                if self.old.is_some() { a } else { nothing.clone() },
                if self.new.is_some() { b } else { nothing },
            );
            writeln!(out, "--- {a}\n+++ {b}")?;
            write_hunks(&old, &new, out)?;
        }
        Ok(())
    }
}

fn mode(entry: &Entry) -> &'static str {
    match entry.kind {
        EntryKind::File { executable: false } => "100644",
        EntryKind::File { executable: true } => "100755",
        EntryKind::Link => "120000",
        EntryKind::Submodule => "160000",
        EntryKind::Tree => "040000",
    }
}

/// A path as git and patch read it: quoted as in C where it is not plain. Blanks too: patch would stop there.
fn quoted(prefix: &[u8], path: &[u8]) -> String {
    use std::fmt::Write as _;
    let plain = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
    let bytes = prefix.iter().chain(path);
    if bytes.clone().all(plain) {
        return bytes.map(|byte| char::from(*byte)).collect();
    }
    let mut text = String::from("\"");
    for byte in bytes {
        match byte {
            b'"' | b'\\' => {
                text.push('\\');
                text.push(char::from(*byte));
            }
            b' ' => text.push(' '),
            byte if plain(byte) => text.push(char::from(*byte)),
            byte => {
                // Writing to a String cannot fail.
                let _ = write!(text, "\\{byte:03o}");
            }
        }
    }
    text.push('"');
    text
}
