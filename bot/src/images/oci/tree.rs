//! The file tree of an image, or of a context, as a small index: names, kinds, modes, owners, and where the content lies.
//!
//! Names are bytes relative to the root, without a slash at either end; the root itself is the empty name. Links are resolved
//! as inside the image: a link that is absolute, or that leads up too far, stays below the root.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::PathBuf;
use std::sync::Arc;

/// How many links may stand behind one name, as in the kernel.
const MOST_LINKS: usize = 40;

/// A name in a tree.
pub(super) type Name = Vec<u8>;

/// Something in a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    /// What it is.
    pub(super) kind: Kind,
    /// Permissions, with set-id and sticky bits.
    pub(super) mode: u32,
    /// Who owns it.
    pub(super) owner: Owner,
}

/// Numbers of a user and a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Owner {
    /// The user.
    pub(super) user: u32,
    /// The group.
    pub(super) group: u32,
}

/// What something is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// A directory.
    Directory,
    /// A file with its content.
    File(Content),
    /// A symbolic link and what it says.
    Link(Vec<u8>),
    /// A pipe.
    Pipe,
    /// A device that a base image holds.
    Device(Device),
}

/// A device node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Device {
    /// Whether it is one of characters; else one of blocks.
    pub(super) of_characters: bool,
    /// Its major number.
    pub(super) major: u32,
    /// Its minor number.
    pub(super) minor: u32,
}

/// Where the bytes of a file lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    /// Here.
    Bytes(Arc<[u8]>),
    /// In a file of the context.
    Host(HostFile),
    /// In a layer of a base, at an offset of the uncompressed archive.
    Layer(InLayer),
    /// In the temporary file in which a build keeps what it unpacked.
    Spool(Span),
}

/// A file of the context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HostFile {
    /// Where it is.
    pub(super) path: Arc<PathBuf>,
    /// How long it was when it was looked at.
    pub(super) size: u64,
}

/// A part of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct InLayer {
    /// Which layer, by its digest.
    pub(super) layer: Arc<str>,
    /// Where in it.
    pub(super) span: Span,
}

/// A part of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Span {
    /// Where it begins.
    pub(super) at: u64,
    /// How long it is.
    pub(super) size: u64,
}

impl Content {
    /// How many bytes there are.
    pub(super) fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Host(file) => file.size,
            Self::Layer(part) => part.span.size,
            Self::Spool(span) => span.size,
        }
    }
}

impl Node {
    /// A directory of root's that others may enter.
    pub(super) fn directory() -> Self {
        Self {
            kind: Kind::Directory,
            mode: 0o755,
            owner: Owner::default(),
        }
    }

    /// Whether it is a directory.
    pub(super) fn is_directory(&self) -> bool {
        matches!(self.kind, Kind::Directory)
    }
}

/// Too many links stand one behind the other.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("too many symbolic links")]
pub(super) struct LinkLoop;

/// A file tree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tree {
    nodes: BTreeMap<Name, Node>,
}

impl Tree {
    /// What stands at a name, links not followed. The root is always a directory.
    pub(super) fn get(&self, name: &[u8]) -> Option<Node> {
        match self.nodes.get(name) {
            Some(node) => Some(node.clone()),
            None => name.is_empty().then(Node::directory),
        }
    }

    /// The same, without a copy; `None` for a root that nobody described.
    pub(super) fn look(&self, name: &[u8]) -> Option<&Node> {
        self.nodes.get(name)
    }

    /// Whether a directory stands there, links not followed.
    pub(super) fn is_directory(&self, name: &[u8]) -> bool {
        name.is_empty() || self.look(name).is_some_and(Node::is_directory)
    }

    /// Puts something there. What stood below goes, unless both are directories.
    pub(super) fn put(&mut self, name: Name, node: Node) {
        if !node.is_directory() && self.is_directory(&name) {
            self.remove_below(&name);
        }
        self.nodes.insert(name, node);
    }

    /// Takes something away, with all that stands below.
    pub(super) fn remove(&mut self, name: &[u8]) {
        self.nodes.remove(name);
        self.remove_below(name);
    }

    /// Takes away all that stands below.
    pub(super) fn remove_below(&mut self, name: &[u8]) {
        if name.is_empty() {
            self.nodes.retain(|name, _| name.is_empty());
            return;
        }
        let below: Vec<Name> = self.below(name).map(|(name, _)| name.clone()).collect();
        for name in below {
            self.nodes.remove(&name);
        }
    }

    /// All that stands below a directory, at any depth; what is above comes before what is below it.
    pub(super) fn below(&self, name: &[u8]) -> impl Iterator<Item = (&Name, &Node)> {
        let (from, to) = if name.is_empty() {
            // Nothing but the root itself is the empty name.
            (Bound::Excluded(Vec::new()), Bound::Unbounded)
        } else {
            let mut from = name.to_vec();
            from.push(b'/');
            let mut to = name.to_vec();
            to.push(b'/' + 1);
            (Bound::Excluded(from), Bound::Excluded(to))
        };
        self.nodes.range((from, to))
    }

    /// The last parts of the names that stand in a directory.
    pub(super) fn children<'a>(&'a self, name: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        let skip = if name.is_empty() { 0 } else { name.len() + 1 };
        self.below(name)
            .map(move |(name, _)| &name[skip..])
            .filter(|rest| !rest.contains(&b'/'))
    }

    /// The name behind all links on the way, the last one too; what does not exist yet stays as it is written.
    pub(super) fn resolve(&self, path: &[u8]) -> Result<Name, LinkLoop> {
        let mut todo: Vec<Vec<u8>> = parts(path).rev().map(<[u8]>::to_vec).collect();
        let mut done: Name = Vec::new();
        let mut links = 0;
        while let Some(part) = todo.pop() {
            let before = done.len();
            if part == b".." {
                done.truncate(done.iter().rposition(|byte| *byte == b'/').unwrap_or(0));
                continue;
            }
            push(&mut done, &part);
            if let Some(Node {
                kind: Kind::Link(target),
                ..
            }) = self.nodes.get(&done)
            {
                links += 1;
                if links > MOST_LINKS {
                    return Err(LinkLoop);
                }
                done.truncate(if target.starts_with(b"/") { 0 } else { before });
                todo.extend(parts(target).rev().map(<[u8]>::to_vec));
            }
        }
        Ok(done)
    }
}

/// The parts of a path that mean something.
pub(super) fn parts(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/')
        .filter(|part| !part.is_empty() && *part != b".")
}

/// A path as a name: no empty parts, no `.`, and `..` taken by the word, never above the root.
pub(super) fn cleaned(path: &[u8]) -> Name {
    let mut name = Vec::with_capacity(path.len());
    for part in parts(path) {
        if part == b".." {
            name.truncate(name.iter().rposition(|byte| *byte == b'/').unwrap_or(0));
        } else {
            push(&mut name, part);
        }
    }
    name
}

/// Adds a part to a name.
pub(super) fn push(name: &mut Name, part: &[u8]) {
    if !name.is_empty() {
        name.push(b'/');
    }
    name.extend_from_slice(part);
}

/// A name with something below it.
pub(super) fn joined(name: &[u8], below: &[u8]) -> Name {
    let mut joined = name.to_vec();
    if !below.is_empty() {
        push(&mut joined, below);
    }
    joined
}

/// The directory in which something stands; `None` for the root.
pub(super) fn parent(name: &[u8]) -> Option<&[u8]> {
    if name.is_empty() {
        return None;
    }
    Some(&name[..name.iter().rposition(|byte| *byte == b'/').unwrap_or(0)])
}

/// The last part of a name.
pub(super) fn base(name: &[u8]) -> &[u8] {
    &name[name.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1)..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(entries: &[(&str, &str)]) -> Tree {
        let mut tree = Tree::default();
        for (name, what) in entries {
            let kind = match what.strip_prefix("-> ") {
                Some(target) => Kind::Link(target.into()),
                None if *what == "dir" => Kind::Directory,
                None => Kind::File(Content::Bytes(what.as_bytes().into())),
            };
            tree.put(
                name.as_bytes().to_vec(),
                Node {
                    kind,
                    mode: 0o644,
                    owner: Owner::default(),
                },
            );
        }
        tree
    }

    #[test]
    fn links_are_followed_inside_the_root() {
        let tree = tree(&[
            ("usr", "dir"),
            ("usr/lib", "dir"),
            ("lib", "-> usr/lib"),
            ("abs", "-> /usr"),
            ("up", "-> ../../../../usr"),
            ("usr/lib/self", "-> ."),
            ("a", "-> b"),
            ("b", "-> a"),
            ("dangling", "-> new/place"),
            ("usr/lib/file", "x"),
        ]);
        for (path, want) in [
            ("/lib/file", "usr/lib/file"),
            ("lib/../share", "usr/share"),
            ("abs/lib", "usr/lib"),
            ("up/lib", "usr/lib"),
            ("lib/self/self/file", "usr/lib/file"),
            ("dangling/x", "new/place/x"),
            ("../../etc/passwd", "etc/passwd"),
            ("", ""),
            ("././/usr/", "usr"),
        ] {
            assert_eq!(
                String::from_utf8(tree.resolve(path.as_bytes()).unwrap()).unwrap(),
                want,
                "{path}"
            );
        }
        assert_eq!(tree.resolve(b"a/x"), Err(LinkLoop));
    }

    #[test]
    fn what_is_below_is_what_a_directory_holds() {
        let mut tree = tree(&[
            ("a", "dir"),
            ("a-b", "x"),
            ("a/b", "dir"),
            ("a/b/c", "x"),
            ("a0", "x"),
            ("ab", "x"),
        ]);
        let below = |tree: &Tree, name: &str| -> Vec<String> {
            tree.below(name.as_bytes())
                .map(|(name, _)| String::from_utf8(name.clone()).unwrap())
                .collect()
        };
        assert_eq!(below(&tree, "a"), ["a/b", "a/b/c"]);
        assert_eq!(below(&tree, "").len(), 6);
        tree.put(b"a".to_vec(), tree.get(b"ab").unwrap());
        assert_eq!(below(&tree, ""), ["a", "a-b", "a0", "ab"]);
        tree.remove(b"");
        assert_eq!(below(&tree, "").len(), 0);
    }

    #[test]
    fn names_are_cleaned_by_the_word() {
        assert_eq!(cleaned(b"/a//b/./c/../d/"), b"a/b/d");
        assert_eq!(cleaned(b"../../x"), b"x");
        assert_eq!(cleaned(b"/"), b"");
        assert_eq!(parent(b"a/b"), Some(&b"a"[..]));
        assert_eq!(parent(b"a"), Some(&b""[..]));
        assert_eq!(parent(b""), None);
        assert_eq!(base(b"a/b"), b"b");
        assert_eq!(joined(b"", b"b"), b"b");
        assert_eq!(joined(b"a", b""), b"a");
    }
}
