//! Which git repositories there are below a directory.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// How deep repositories may stand: `people/NAME/packages/X.git` has four parts.
const DEEPEST: usize = 8;

/// Whether a directory is a bare repository, or the `.git` of a work tree.
pub fn is_repository(path: &Path) -> bool {
    path.join("objects").is_dir() && path.join("HEAD").symlink_metadata().is_ok()
}

/// All bare repositories below a directory, sorted; links are not followed, unfinished ones (a name that begins with a
/// dot) left out.
///
/// # Errors
/// The directory cannot be read.
pub fn below(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let top = root
        .canonicalize()
        .with_context(|| format!("cannot look at '{}'", root.display()))?;
    let mut pending = vec![(top, 0)];
    while let Some((directory, depth)) = pending.pop() {
        if is_repository(&directory) {
            found.push(directory);
            continue;
        }
        let entries = match std::fs::read_dir(&directory) {
            Ok(entries) => entries,
            // Somebody removed it in between.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error).with_context(|| format!("cannot read '{}'", directory.display())),
        };
        for entry in entries {
            let entry = entry.with_context(|| format!("cannot read '{}'", directory.display()))?;
            let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
            if depth < DEEPEST && !hidden && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                pending.push((entry.path(), depth + 1));
            }
        }
    }
    found.sort();
    Ok(found)
}
