//! The context of a build as a tree of the image's kind. Contents are read where they are copied.
//!
//! As in the engines, what is copied from a context belongs to root, keeps its mode, and links are links: they are resolved
//! inside the context, which nothing leads out of.

use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;

use super::super::tree::{Content, HostFile, Kind, Node, Owner, Tree, parent};
use crate::images::build::tree as gathered;

/// Takes over what was gathered for a build.
pub(super) fn tree(files: &gathered::Tree) -> Tree {
    let mut tree = Tree::default();
    for (path, entry) in files.entries() {
        let name = path.as_os_str().as_bytes();
        let (kind, mode) = match &entry.content {
            gathered::Content::Directory => (Kind::Directory, entry.mode),
            gathered::Content::File { host, size } => (
                Kind::File(Content::Host(HostFile {
                    path: Arc::new(host.clone()),
                    size: *size,
                })),
                entry.mode,
            ),
            gathered::Content::Text(bytes) => (Kind::File(Content::Bytes(bytes.as_slice().into())), entry.mode),
            gathered::Content::Link(target) => (Kind::Link(target.as_os_str().as_bytes().to_vec()), 0o777),
        };
        bring_parents(&mut tree, name);
        let node = Node {
            kind,
            mode: mode & 0o7777,
            owner: Owner::default(),
        };
        tree.put(name.to_vec(), node);
    }
    tree
}

/// Directories that are left out themselves, and hold something that is not.
fn bring_parents(tree: &mut Tree, name: &[u8]) {
    let mut at = name;
    while let Some(above) = parent(at) {
        if tree.is_directory(above) {
            return;
        }
        tree.put(above.to_vec(), Node::directory());
        at = above;
    }
}
