//! Reads the tags of a source repository as they stand: loose files first, then `packed-refs`.
//!
//! No repository is opened: its configuration, replacements and symbolic references have no say here.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use windlass_core::id::{ObjectId, TagName};

/// The largest `packed-refs` that is read: 2,000,000 references.
const MOST: u64 = 256 << 20;

/// The object that a tag names at this moment, if there is such a tag.
pub fn tag(git_dir: &Path, name: &TagName) -> io::Result<Option<ObjectId>> {
    match std::fs::read(git_dir.join(name.reference())) {
        Ok(bytes) => return Ok(object(&bytes)),
        Err(error) if missing(&error) => {}
        Err(error) => return Err(error),
    }
    let wanted = name.reference();
    Ok(packed(git_dir)?
        .lines()
        .find_map(|line| line.split_once(' ').filter(|(_, reference)| *reference == wanted))
        .and_then(|(id, _)| id.parse().ok()))
}

/// All tags with well-formed names.
pub fn tags(git_dir: &Path) -> io::Result<BTreeMap<TagName, ObjectId>> {
    let mut found = BTreeMap::new();
    for line in packed(git_dir)?.lines() {
        if let Some((id, reference)) = line.split_once(' ')
            && let Some(Ok(name)) = reference.strip_prefix("refs/tags/").map(str::parse::<TagName>)
            && let Ok(id) = id.parse()
        {
            found.insert(name, id);
        }
    }
    let top = git_dir.join("refs/tags");
    let mut pending = vec![top.clone()];
    while let Some(directory) = pending.pop() {
        let entries = match std::fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if missing(&error) => continue,
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            let path = entry.path();
            let kind = entry.file_type()?;
            if kind.is_dir() {
                pending.push(path);
            } else if kind.is_file()
                && let Some(Ok(name)) = path
                    .strip_prefix(&top)
                    .ok()
                    .and_then(Path::to_str)
                    .map(str::parse::<TagName>)
                && let Some(id) = object(&std::fs::read(&path).unwrap_or_default())
            {
                found.insert(name, id);
            }
        }
    }
    Ok(found)
}

fn object(bytes: &[u8]) -> Option<ObjectId> {
    std::str::from_utf8(bytes).ok()?.trim_end().parse().ok()
}

fn missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory
    )
}

fn packed(git_dir: &Path) -> io::Result<String> {
    use io::Read as _;
    let mut text = Vec::new();
    match std::fs::File::open(git_dir.join("packed-refs")) {
        Ok(file) => file.take(MOST).read_to_end(&mut text)?,
        Err(error) if missing(&error) => 0,
        Err(error) => return Err(error),
    };
    // Names that are no UTF-8 are no tag names of ours.
    Ok(String::from_utf8_lossy(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loose_files_win_over_packed_ones() {
        let directory = tempfile::tempdir().unwrap();
        let git_dir = directory.path();
        let (old, new) = ("1".repeat(40), "2".repeat(40));
        std::fs::create_dir_all(git_dir.join("refs/tags/upstream")).unwrap();
        std::fs::write(git_dir.join("refs/tags/1.0-alt1"), format!("{new}\n")).unwrap();
        std::fs::write(git_dir.join("refs/tags/upstream/1.0"), format!("{old}\n")).unwrap();
        std::fs::write(git_dir.join("refs/tags/link"), "ref: refs/heads/main\n").unwrap();
        let packed = format!(
            "# pack-refs with: peeled\n{old} refs/tags/1.0-alt1\n^{new}\n{old} refs/tags/0.9-alt1\n{old} refs/heads/main\n"
        );
        std::fs::write(git_dir.join("packed-refs"), packed).unwrap();
        let name = |name: &str| name.parse::<TagName>().unwrap();
        let id = |name_: &str| tag(git_dir, &name(name_)).unwrap().map(String::from);
        assert_eq!(id("1.0-alt1"), Some(new.clone()));
        assert_eq!(id("0.9-alt1"), Some(old.clone()));
        assert_eq!(id("upstream/1.0"), Some(old.clone()));
        assert_eq!(id("upstream"), None);
        assert_eq!(id("link"), None);
        assert_eq!(id("none"), None);
        let all = tags(git_dir).unwrap();
        assert_eq!(all.len(), 3);
        assert_eq!(all[&name("1.0-alt1")].as_str(), new);
    }
}
