//! Unpacks `pkg.tar` into a build's sources: plain files with plain names, and nothing else.

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

/// Unpacks an archive into a directory; says the newest time in it.
pub(super) fn sources(archive: File, directory: &Path, owner: u32) -> Result<u64, Trouble> {
    let mut archive = Archive::new(BufReader::with_capacity(256 << 10, archive));
    let mut newest = 0;
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
        newest = newest.max(header.mtime().map_err(broken)?);
        let mode = if header.mode().map_err(broken)? & 0o100 == 0 {
            0o644
        } else {
            0o755
        };
        let size = header.size().map_err(broken)?;
        let mut file = match File::create_new(directory.join(name)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(bad(format!("holds '{shown}' twice")));
            }
            Err(error) => return Err(error.into()),
        };
        if io::copy(&mut (&mut entry).take(size), &mut file)? != size {
            return Err(bad(format!("ends in the middle of '{shown}'")));
        }
        file.set_permissions(Permissions::from_mode(mode))?;
        std::os::unix::fs::fchown(&file, Some(owner), Some(owner))?;
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
