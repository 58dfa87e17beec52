//! Reads `pkg.tar`, the sources of a build: plain files with plain names, and nothing else.

use std::collections::BTreeSet;
use std::fs::{File, Permissions};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tar::{Archive, EntryType};
use windlass_core::escape::escaped_bytes;

use super::keeper::Trouble;

/// How many files there may be.
const MOST: usize = 20_000;

/// The longest name.
const LONGEST: usize = 200;

/// One source, as it is taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'n> {
    /// Its name: one plain component.
    pub(super) name: &'n str,
    /// Its permissions.
    pub(super) mode: u32,
    /// When it was changed, in seconds since 1970.
    pub(super) time: u64,
    /// How many bytes it has.
    pub(super) size: u64,
}

/// Unpacks an archive into a directory; says the newest time in it.
pub(super) fn sources(archive: File, directory: &Path, owner: u32) -> Result<u64, Trouble> {
    each(archive, |source, content| {
        let mut file = File::create_new(directory.join(source.name))?;
        io::copy(content, &mut file)?;
        file.set_permissions(Permissions::from_mode(source.mode))?;
        std::os::unix::fs::fchown(&file, Some(owner), Some(owner))?;
        Ok(())
    })
}

/// Gives every source of an archive to `put`, and nothing that is none; says the newest time in it.
pub(super) fn each(
    archive: impl Read,
    mut put: impl FnMut(Source<'_>, &mut dyn Read) -> Result<(), Trouble>,
) -> Result<u64, Trouble> {
    let mut archive = Archive::new(BufReader::with_capacity(256 << 10, archive));
    let mut newest = 0;
    let mut names = BTreeSet::new();
    let bad = |what: String| Trouble::Package(format!("pkg.tar {what}"));
    let broken = |error: io::Error| bad(format!("cannot be read: {error}"));
    for (at, entry) in archive.entries().map_err(broken)?.enumerate() {
        let mut entry = entry.map_err(broken)?;
        if at >= MOST {
            return Err(bad(format!("holds more than {MOST} files")));
        }
        let header = entry.header();
        if header.entry_type().as_byte() == b'V' {
            continue;
        }
        let bytes = entry.path_bytes().into_owned();
        let shown = escaped_bytes(&bytes);
        if !matches!(header.entry_type(), EntryType::Regular) {
            return Err(bad(format!("holds '{shown}', which is no plain file")));
        }
        let name = std::str::from_utf8(&bytes).ok().filter(|name| is_flat(name));
        let Some(name) = name else {
            return Err(bad(format!(
                "holds a file of the name '{shown}'; a plain name is taken only"
            )));
        };
        let source = Source {
            name,
            mode: if header.mode().map_err(broken)? & 0o100 == 0 {
                0o644
            } else {
                0o755
            },
            time: header.mtime().map_err(broken)?,
            size: header.size().map_err(broken)?,
        };
        newest = newest.max(source.time);
        if !names.insert(name.to_owned()) {
            return Err(bad(format!("holds '{shown}' twice")));
        }
        let mut content = (&mut entry).take(source.size);
        put(source, &mut content)?;
        if content.limit() > 0 {
            return Err(bad(format!("ends in the middle of '{shown}'")));
        }
    }
    Ok(newest)
}

fn is_flat(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= LONGEST
        && !name.contains('/')
        && name != "."
        && name != ".."
        && name.chars().all(windlass_core::escape::is_plain)
}
