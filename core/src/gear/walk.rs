//! Goes through a tree in git's order, without what is excluded.

use crate::escape::escaped_bytes;
use crate::gear::error::GearError;
use crate::gear::glob::Glob;
use crate::gear::objects::{Entry, EntryKind, Reader};
use crate::id::ObjectId;
use crate::refusal::Refusal;

/// The patterns that a directive leaves out: those for all directives, and its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Excludes(pub Vec<Glob>);

impl Excludes {
    /// Whether a path is left out. Patterns are matched against `dir/name`; the top's dir is `.`.
    pub fn takes(&self, path: &[u8]) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let top: Vec<u8>;
        let path = if path.contains(&b'/') {
            path
        } else {
            top = [b"./", path].concat();
            &top
        };
        self.0.iter().any(|glob| glob.matches(path))
    }
}

/// What is called with a path below the tree and what stands there.
type Visit<'a> = dyn FnMut(&[u8], &Entry) -> Result<(), GearError> + 'a;

/// Calls with every entry that is no directory, and its path below the tree.
pub(super) fn walk(
    reader: &Reader<'_>,
    tree: &ObjectId,
    excludes: &Excludes,
    call: &mut Visit<'_>,
) -> Result<(), GearError> {
    below(reader, tree, &mut Vec::new(), 0, &mut |path, entry| {
        if excludes.takes(path) {
            Ok(())
        } else {
            call(path, entry)
        }
    })
}

fn below(
    reader: &Reader<'_>,
    tree: &ObjectId,
    path: &mut Vec<u8>,
    depth: usize,
    call: &mut Visit<'_>,
) -> Result<(), GearError> {
    if depth > reader.limits().depth {
        return Err(too_deep(path, reader.limits().depth));
    }
    for entry in reader.tree(tree)?.iter() {
        let length = path.len();
        path.extend_from_slice(&entry.name);
        if entry.kind == EntryKind::Tree {
            path.push(b'/');
            below(reader, &entry.object, path, depth + 1, call)?;
        } else {
            call(path, entry)?;
        }
        path.truncate(length);
    }
    Ok(())
}

pub(super) fn too_deep(path: &[u8], limit: usize) -> GearError {
    let mut shown = escaped_bytes(path);
    if shown.len() > 200 {
        shown = shown.chars().take(200).collect::<String>() + "…";
    }
    Refusal::new(
        "too_large",
        format!("'{shown}': more than {limit} directories within each other"),
    )
    .into()
}
