//! COPY, and what ADD has in common with it: what lands where, with which mode, and whose it is.
//!
//! The rules are those that Docker (classic builder and BuildKit) and Podman have in common. Of a directory its contents are copied. A destination
//! that ends in a slash, or is one, is a directory; missing ones are made. A link as a source is followed, one below a source is copied.
//! Links in the destination are followed inside the image, a last one too, as Docker does. Where the engines differ (a directory
//! onto a link, a file onto a directory, several sources without the slash) it is an error: which of them is meant is not guessed.

use std::collections::BTreeSet;

use windlass_core::escape::{escaped, escaped_bytes};

use super::super::layer::Changes;
use super::super::tree::{Content, Kind, Name, Node, Owner, Tree, base, joined, parent, parts};
use super::mode::ModeChange;
use super::pattern;
use crate::images::build::tree::Ignoring;

/// What stands before a name that takes something away from lower layers: no image can hold a file of such a name.
const WHITEOUT: &[u8] = b".wh.";

/// What an instruction works on.
#[derive(Debug)]
pub(super) struct Target<'a> {
    /// The files of the image so far.
    pub(super) tree: &'a mut Tree,
    /// What the instruction changes.
    pub(super) changes: Changes,
    /// To whom directories belong that have to be made.
    pub(super) owner: Owner,
}

/// Something that is to be copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chosen {
    /// The last part of its name as it is written.
    pub(super) name: Vec<u8>,
    /// What it is.
    pub(super) what: What,
}

/// What is to be copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    /// The contents of a directory of the source.
    Contents(Name),
    /// One thing.
    One(Node),
}

/// How it is to be copied.
pub(super) struct Manner<'a> {
    /// Whose it becomes; without, it stays as it is.
    pub(super) owner: Option<Owner>,
    /// What becomes of modes.
    pub(super) mode: Option<&'a ModeChange>,
    /// What is passed over.
    pub(super) left: &'a dyn Ignoring,
}

/// Finds what a source stands for, in order; at least one thing.
pub(super) fn choose(from: &Tree, source: &str, left: &dyn Ignoring) -> Result<Vec<Chosen>, String> {
    if parts(source.as_bytes()).any(|part| part == b"..") && leads_up(source) {
        return Err(format!("'{}' is outside of the context", escaped(source)));
    }
    let literal = tidy(source);
    let names = if pattern::is_pattern(source) {
        let found = pattern::matches(from, &literal).map_err(|error| format!("'{}': {error}", escaped(source)))?;
        if found.is_empty() {
            return Err(format!(
                "nothing is like '{}'\n\nhint: what .dockerignore leaves out is not there",
                escaped(source)
            ));
        }
        found
    } else {
        vec![literal.into_bytes()]
    };
    let mut chosen = Vec::new();
    for name in names {
        let shown = escaped_bytes(&name);
        let real = from.resolve(&name).map_err(|error| format!("'{shown}': {error}"))?;
        let node = from.get(&real).ok_or_else(|| {
            let by_link = if real == super::super::tree::cleaned(&name) {
                String::new()
            } else {
                format!(
                    ": it is a link to '{}', which is not there, and no link leads out",
                    escaped_bytes(&real)
                )
            };
            format!("there is no '{shown}'{by_link}\n\nhint: what .dockerignore leaves out is not there")
        })?;
        let what = if node.is_directory() {
            What::Contents(real)
        } else {
            What::One(node)
        };
        let name = base(&name).to_vec();
        if matches!(what, What::One(_)) && left.excludes(&String::from_utf8_lossy(&name), false) {
            continue;
        }
        chosen.push(Chosen { name, what });
    }
    Ok(chosen)
}

/// A source without empty parts, `.` and `..`.
fn tidy(source: &str) -> String {
    let mut tidy: Vec<&[u8]> = Vec::new();
    for part in parts(source.as_bytes()) {
        if part == b".." {
            tidy.pop();
        } else {
            tidy.push(part);
        }
    }
    String::from_utf8_lossy(&tidy.join(&b'/')).into_owned()
}

/// Whether a path goes above where it begins.
fn leads_up(path: &str) -> bool {
    let mut depth = 0_usize;
    for part in parts(path.as_bytes()) {
        if part == b".." {
            let Some(above) = depth.checked_sub(1) else { return true };
            depth = above;
        } else {
            depth += 1;
        }
    }
    false
}

/// Where something goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Destination {
    /// The name behind all links.
    pub(super) name: Name,
    /// Whether it is a directory by how it is written.
    pub(super) is_directory: bool,
}

impl Destination {
    /// Finds it: below the working directory unless it is absolute.
    pub(super) fn find(tree: &Tree, workdir: &str, written: &str) -> Result<Self, String> {
        let mut path = Vec::new();
        if !written.starts_with('/') {
            path.extend_from_slice(workdir.as_bytes());
            path.push(b'/');
        }
        path.extend_from_slice(written.as_bytes());
        let name = tree
            .resolve(&path)
            .map_err(|error| format!("'{}': {error}", escaped(written)))?;
        let last = written.rsplit('/').next().unwrap_or_default();
        Ok(Self {
            name,
            is_directory: matches!(last, "" | "." | ".."),
        })
    }

    /// Whether as many sources can go there.
    pub(super) fn check(&self, sources: usize) -> Result<(), String> {
        if sources > 1 && !self.is_directory {
            return Err(format!(
                "these are {sources} sources, and the destination does not end in '/'\n\nhint: write the destination with a slash at the end"
            ));
        }
        Ok(())
    }
}

impl Target<'_> {
    /// Copies what was chosen.
    pub(super) fn copy(
        &mut self,
        from: &Tree,
        chosen: &[Chosen],
        destination: &Destination,
        manner: &Manner<'_>,
    ) -> Result<(), String> {
        destination.check(chosen.len())?;
        for one in chosen {
            match &one.what {
                What::Contents(directory) => {
                    self.make_directory(&destination.name)?;
                    self.copy_below(from, directory, &destination.name, manner)?;
                }
                What::One(node) => {
                    let into = destination.is_directory || self.tree.is_directory(&destination.name);
                    let name = if into {
                        self.make_directory(&destination.name)?;
                        joined(&destination.name, &one.name)
                    } else {
                        destination.name.clone()
                    };
                    self.make_directory(parent(&name).unwrap_or_default())?;
                    self.put(name, manner.applied(node))?;
                }
            }
        }
        Ok(())
    }

    fn copy_below(&mut self, from: &Tree, directory: &[u8], to: &[u8], manner: &Manner<'_>) -> Result<(), String> {
        let skip = if directory.is_empty() { 0 } else { directory.len() + 1 };
        let mut left_out: BTreeSet<Name> = BTreeSet::new();
        for (name, node) in from.below(directory) {
            let relative = &name[skip..];
            if manner
                .left
                .excludes(&String::from_utf8_lossy(relative), node.is_directory())
            {
                if node.is_directory() {
                    left_out.insert(relative.to_vec());
                }
                continue;
            }
            let above = parent(relative).unwrap_or_default();
            if left_out.contains(above) {
                // Its directory was left out, and it was not.
                self.make_directory(&joined(to, above))?;
            }
            self.put(joined(to, relative), manner.applied(node))?;
        }
        Ok(())
    }

    /// Puts something into the image.
    pub(super) fn put(&mut self, name: Name, node: Node) -> Result<(), String> {
        let shown = || format!("/{}", escaped_bytes(&name));
        if base(&name).starts_with(WHITEOUT) {
            return Err(format!("no image can hold a file of the name '{}'", shown()));
        }
        let there = self.tree.look(&name);
        if node.is_directory() {
            if there.is_some_and(|there| !there.is_directory()) {
                return Err(format!(
                    "'{}' is to be a directory, and the image has something else there, or a link: engines differ in what becomes of it\n\nhint: copy into the directory that is meant",
                    shown()
                ));
            }
        } else if self.tree.is_directory(&name) {
            return Err(format!(
                "'{}' is a directory in the image, and would be replaced",
                shown()
            ));
        }
        self.force(name, node);
        Ok(())
    }

    /// Puts something into the image in place of whatever is there.
    pub(super) fn force(&mut self, name: Name, node: Node) {
        if !node.is_directory() && self.tree.is_directory(&name) {
            let below: Vec<Name> = self.tree.below(&name).map(|(name, _)| name.clone()).collect();
            for name in below {
                self.changes.remove(&name);
            }
        }
        self.changes.insert(name.clone(), node.clone());
        self.tree.put(name, node);
    }

    /// Makes a directory and those above it, where they are missing.
    pub(super) fn make_directory(&mut self, name: &[u8]) -> Result<(), String> {
        if self.tree.is_directory(name) {
            return Ok(());
        }
        if self.tree.look(name).is_some() {
            return Err(format!("'/{}' is no directory in the image", escaped_bytes(name)));
        }
        self.make_directory(parent(name).unwrap_or_default())?;
        let node = Node {
            owner: self.owner,
            ..Node::directory()
        };
        self.put(name.to_vec(), node)
    }
}

impl Manner<'_> {
    /// Something as it arrives.
    fn applied(&self, node: &Node) -> Node {
        let mut node = node.clone();
        if let Some(owner) = self.owner {
            node.owner = owner;
        }
        if let Some(change) = self.mode
            && !matches!(node.kind, Kind::Link(_))
        {
            node.mode = change.of(node.mode, node.is_directory());
        }
        node
    }
}

/// A file that stands in the Dockerfile itself.
pub(super) fn inline(name: &str, text: &str) -> Chosen {
    Chosen {
        name: name.as_bytes().to_vec(),
        what: What::One(Node {
            kind: Kind::File(Content::Bytes(text.as_bytes().into())),
            mode: 0o644,
            owner: Owner::default(),
        }),
    }
}
