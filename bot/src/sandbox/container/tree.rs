//! A tree of what an image holds, as far as it is looked at: all names, and the content of what says what it provides.
//!
//! The archive is an engine's, the image is the administrator's; still nothing of it gets out of the directory: links lead nowhere but
//! into it, and what would be written through a link is left out.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, BufReader, Read as _};
use std::path::{Component, Path, PathBuf};

use tar::{Archive, Entry, EntryType};

/// The largest file whose content is taken.
const LARGEST: u64 = 256 << 20;

/// How many entries an image may have.
const MOST: usize = 4_000_000;

/// Lays it out below a directory.
pub(super) fn lay_out(archive: &File, into: &Path) -> io::Result<()> {
    let mut archive = Archive::new(BufReader::with_capacity(1 << 20, archive));
    let mut links: HashSet<PathBuf> = HashSet::new();
    for (at, entry) in archive.entries()?.enumerate() {
        let mut entry = entry?;
        if at >= MOST {
            return Err(io::Error::other(format!("the image has more than {MOST} files")));
        }
        let Some(path) = inside(&entry.path()?) else { continue };
        if path.ancestors().any(|above| links.contains(above)) {
            continue;
        }
        let place = into.join(&path);
        let kind = entry.header().entry_type();
        if kind == EntryType::Directory {
            fs::create_dir_all(&place)?;
            continue;
        }
        if let Some(parent) = place.parent() {
            fs::create_dir_all(parent)?;
        }
        if kind == EntryType::Symlink {
            let target = entry.link_name()?.map(std::borrow::Cow::into_owned).unwrap_or_default();
            if std::os::unix::fs::symlink(within(&path, &target), &place).is_ok() {
                links.insert(path);
            }
        } else if kind == EntryType::Link {
            let first = entry.link_name()?.and_then(|first| inside(&first));
            let first = first.filter(|first| !first.ancestors().any(|above| links.contains(above)));
            // What was left out has no second name.
            let _ = first.map(|first| fs::hard_link(into.join(first), &place));
        } else if kind == EntryType::Regular {
            plain(&mut entry, &path, &place)?;
        }
    }
    Ok(())
}

fn plain(entry: &mut Entry<'_, impl io::Read>, path: &Path, place: &Path) -> io::Result<()> {
    let mut file = match File::create_new(place) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        other => other?,
    };
    if is_read(path) {
        io::copy(&mut entry.take(LARGEST), &mut file)?;
    }
    Ok(())
}

/// Whether the content of a file says what it provides: libraries, modules of pkg-config, Perl and Python.
fn is_read(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.contains(".so")
        || [".pc", ".pm", ".egg-info"].iter().any(|end| name.ends_with(end))
        || ["METADATA", "PKG-INFO"].contains(&name)
}

/// A path of the archive, relative to its root; nothing where it leads elsewhere, or nowhere.
fn inside(path: &Path) -> Option<PathBuf> {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(part) => clean.push(part),
            Component::CurDir | Component::RootDir => {}
            Component::ParentDir | Component::Prefix(_) => return None,
        }
    }
    (clean.components().next().is_some()).then_some(clean)
}

/// Where a link at `path` leads, so that it leads to the same place of the tree: relative, and no higher than its root.
fn within(path: &Path, target: &Path) -> PathBuf {
    let depth = path.components().count().saturating_sub(1);
    let mut parts: Vec<&std::ffi::OsStr> = if target.is_absolute() {
        Vec::new()
    } else {
        path.parent().into_iter().flat_map(Path::iter).collect()
    };
    for part in target.components() {
        match part {
            Component::Normal(part) => parts.push(part),
            Component::ParentDir => {
                parts.pop();
            }
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    let mut relative: PathBuf = std::iter::repeat_n("..", depth).collect();
    relative.extend(parts);
    if relative.as_os_str().is_empty() {
        relative.push(".");
    }
    relative
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_stay_in_the_tree() {
        for (path, target, expected) in [
            ("usr/bin/cc", "/etc/alternatives/cc", "../../etc/alternatives/cc"),
            ("usr/bin/awk", "gawk", "../../usr/bin/gawk"),
            ("bin", "usr/bin", "usr/bin"),
            ("a/b/c", "../../../../../etc/passwd", "../../etc/passwd"),
            ("a", "/", "."),
            ("a/b", "..", ".."),
            ("a", "x/../../..", "."),
        ] {
            assert_eq!(
                within(Path::new(path), Path::new(target)),
                Path::new(expected),
                "{path} -> {target}"
            );
        }
    }

    #[test]
    fn nothing_is_written_outside() {
        let outside = tempfile::tempdir().unwrap();
        let dir = outside.path().join("tree");
        fs::create_dir(&dir).unwrap();
        let mut builder = tar::Builder::new(tempfile::tempfile().unwrap());
        let mut add = |name: &str, kind: EntryType, link: &str, content: &[u8]| {
            let mut header = tar::Header::new_gnu();
            header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(kind);
            if !link.is_empty() {
                header.as_mut_bytes()[157..157 + link.len()].copy_from_slice(link.as_bytes());
            }
            header.set_size(content.len() as u64);
            header.set_cksum();
            builder.append(&header, content).unwrap();
        };
        add("../evil.pc", EntryType::Regular, "", b"x");
        add("out", EntryType::Symlink, "..", b"");
        add("out/evil.pc", EntryType::Regular, "", b"x");
        add("root", EntryType::Symlink, "/", b"");
        add("root/evil.pc", EntryType::Regular, "", b"x");
        add("usr/lib/good.pc", EntryType::Regular, "", b"Version: 1\n");
        add("usr/lib/again.pc", EntryType::Link, "usr/lib/good.pc", b"");
        add("usr/lib/stolen.pc", EntryType::Link, "../../secret", b"");
        add("usr/bin/large", EntryType::Regular, "", b"not looked at");
        let mut file = builder.into_inner().unwrap();
        io::Seek::rewind(&mut file).unwrap();
        fs::write(outside.path().join("secret"), "hush").unwrap();
        lay_out(&file, &dir).unwrap();
        let names: Vec<_> = fs::read_dir(outside.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names.len(), 2, "{names:?}");
        assert!(!dir.join("evil.pc").exists());
        assert_eq!(
            fs::read_to_string(dir.join("usr/lib/again.pc")).unwrap(),
            "Version: 1\n"
        );
        assert!(!dir.join("usr/lib/stolen.pc").exists());
        assert_eq!(fs::read_to_string(dir.join("usr/bin/large")).unwrap(), "");
    }
}
