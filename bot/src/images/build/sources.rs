//! Which entries of a context a Dockerfile takes, and one input for each.
//!
//! What is taken counts with its content, its permissions and, for a link, where it leads; times do not count. Where a path goes through a
//! link everything counts, because engines follow links within the context.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use sha2::{Digest as _, Sha256};
use windlass_core::image::dockerfile::ContextSource;
use windlass_core::image::dockerfile::sources::What;
use windlass_core::image::inputs::{self, Input, Kind};

use super::digests::Digests;
use super::tree::{Content, Entry, Tree, TreeError};

/// The entries that these sources name, with everything below them.
pub fn taken<'t>(tree: &'t Tree, sources: &[&ContextSource]) -> Vec<(&'t Path, &'t Entry)> {
    let mut all = false;
    let mut roots: BTreeSet<&Path> = BTreeSet::new();
    for source in sources {
        match &source.what {
            What::Everything { .. } => all = true,
            What::Path(path) if path == "." => all = true,
            What::Path(path) => match reached(tree, Path::new(path)) {
                Reached::Entry(path) => {
                    roots.insert(path);
                }
                Reached::Link => all = true,
                Reached::Nothing => {}
            },
            What::Pattern(pattern) => {
                let depth = pattern.split('/').count();
                for (path, entry) in tree.entries() {
                    let covered = source.what.covers(&path.to_string_lossy());
                    if covered {
                        roots.insert(path);
                    }
                    // A link that it names is followed, and so is one on the way to what it names.
                    if matches!(entry.content, Content::Link(_)) && (covered || path.components().count() < depth) {
                        all = true;
                    }
                }
            }
            // What an address holds nobody knows before it is fetched; the engine's own cache looks at it.
            What::Address(_) => {}
        }
    }
    let within = |path: &Path| all || path.ancestors().any(|above| roots.contains(above));
    tree.entries().filter(|(path, _)| within(path)).collect()
}

enum Reached<'t> {
    Entry(&'t Path),
    Link,
    Nothing,
}

fn reached<'t>(tree: &'t Tree, path: &Path) -> Reached<'t> {
    let mut at = PathBuf::new();
    for part in path.components() {
        if let Component::Normal(part) = part {
            at.push(part);
            if let Some(Entry {
                content: Content::Link(_),
                ..
            }) = tree.get(&at)
            {
                return Reached::Link;
            }
        }
    }
    tree.entries()
        .find(|(have, _)| *have == at)
        .map_or(Reached::Nothing, |(have, _)| Reached::Entry(have))
}

/// An entry as an input of this kind and name.
///
/// # Errors
/// It cannot be read.
pub fn input(kind: Kind, name: String, entry: &Entry, digests: &mut Digests) -> Result<Input, TreeError> {
    let mode = entry.mode;
    let content = match &entry.content {
        Content::Directory => inputs::Content::Directory { mode },
        Content::Link(target) => inputs::Content::Link(target.as_os_str().as_bytes()),
        Content::Text(text) => inputs::Content::File {
            mode,
            sha256: Sha256::digest(text).into(),
        },
        Content::File { host, .. } => {
            let sha256 = digests.of(host).map_err(|error| TreeError::Read {
                path: host.clone(),
                error,
            })?;
            inputs::Content::File { mode, sha256 }
        }
    };
    Ok(Input::path(kind, name, &content))
}

#[cfg(test)]
mod tests {
    use windlass_core::image::Dockerfile;
    use windlass_core::image::dockerfile::{Arguments, Platform};

    use super::super::tree::{Nothing, shown};
    use super::*;

    fn folder(files: &[&str]) -> (tempfile::TempDir, Tree) {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            let path = dir.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, file).unwrap();
        }
        let mut tree = Tree::default();
        tree.add_folder(dir.path(), &Nothing).unwrap();
        (dir, tree)
    }

    fn names(tree: &Tree, text: &str) -> Vec<String> {
        let file = Dockerfile::parse(text).unwrap();
        let sources = file
            .context_sources(&Arguments::native(&Platform::linux("x86_64")))
            .unwrap();
        let taken = taken(tree, &sources.iter().collect::<Vec<_>>());
        taken.into_iter().map(|(path, _)| shown(path)).collect()
    }

    #[test]
    fn what_is_named_counts_with_what_is_below_and_nothing_else() {
        let (dir, tree) = folder(&["a/x", "a/y", "b.c", "c.c", "d"]);
        assert_eq!(names(&tree, "FROM scratch\nCOPY a d /\n"), ["a", "a/x", "a/y", "d"]);
        assert_eq!(names(&tree, "FROM scratch\nARG n=b\nCOPY ./$n.c /\n"), ["b.c"]);
        assert_eq!(
            names(&tree, "FROM scratch\nADD *.c nowhere http://x.org/y /\n"),
            ["b.c", "c.c"]
        );
        assert_eq!(names(&tree, "FROM scratch\nCOPY . /\n").len(), 6);
        assert_eq!(
            names(&tree, "FROM x\nRUN --mount=type=bind,source=a,target=/a y\n").len(),
            3
        );
        assert!(names(&tree, "FROM scratch\nCOPY --from=x a /\n").is_empty());
        // A link on the way may lead anywhere in the context.
        std::os::unix::fs::symlink("a", dir.path().join("link")).unwrap();
        let mut tree = Tree::default();
        tree.add_folder(dir.path(), &Nothing).unwrap();
        assert_eq!(names(&tree, "FROM scratch\nCOPY link/x /\n").len(), 7);
    }

    #[test]
    fn permissions_count_and_times_do_not() {
        use std::os::unix::fs::PermissionsExt as _;
        let (dir, tree) = folder(&["f"]);
        let one = |tree: &Tree| {
            input(
                Kind::File,
                "f".into(),
                tree.get(Path::new("f")).unwrap(),
                &mut Digests::none(),
            )
            .unwrap()
        };
        let before = one(&tree);
        let again = |dir: &Path| {
            let mut tree = Tree::default();
            tree.add_folder(dir, &Nothing).unwrap();
            one(&tree)
        };
        let file = std::fs::File::options().write(true).open(dir.path().join("f")).unwrap();
        file.set_modified(std::time::UNIX_EPOCH).unwrap();
        assert_eq!(again(dir.path()), before);
        std::fs::set_permissions(dir.path().join("f"), std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_ne!(again(dir.path()), before);
    }
}
