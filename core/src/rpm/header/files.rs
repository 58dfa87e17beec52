//! The files that a header lists.

use super::read::shown;
use super::store::Store;
use super::{BadPackage, FileDetail, tags};
use crate::rpm::{File, FileKind};

/// The most files of one package that are read.
const MOST_FILES: usize = 500_000;
/// The longest path in bytes, as in Linux.
const LONGEST_PATH: usize = 4096;
/// The most bytes that all paths of one package take.
const MOST_PATH_BYTES: usize = 128 * 1024 * 1024;

const DIRECTORY: u16 = 0o040_000;
const TYPE_MASK: u16 = 0o170_000;

/// The files, each with its details.
pub(super) fn read(main: &Store) -> Result<Vec<(File, FileDetail)>, BadPackage> {
    let paths = paths(main)?;
    let count = paths.len();
    let numbers = |tag, what| column(main.numbers(tag, what, MOST_FILES)?, count, what, 0);
    let texts = |tag, what| column(main.texts(tag, what, MOST_FILES)?, count, what, String::new());
    let modes = numbers(tags::FILE_MODES, "the files' modes")?;
    let flags = numbers(tags::FILE_FLAGS, "the files' flags")?;
    let sizes = if main.has(tags::LONG_FILE_SIZES) {
        numbers(tags::LONG_FILE_SIZES, "the files' sizes")?
    } else {
        numbers(tags::FILE_SIZES, "the files' sizes")?
    };
    let mut digests = texts(tags::FILE_DIGESTS, "the files' digests")?.into_iter();
    let mut links = texts(tags::FILE_LINKS, "the files' link targets")?.into_iter();
    let mut users = texts(tags::FILE_USERS, "the files' owners")?.into_iter();
    let mut groups = texts(tags::FILE_GROUPS, "the files' groups")?.into_iter();
    let mut capabilities = texts(tags::FILE_CAPABILITIES, "the files' capabilities")?.into_iter();
    let mut files = Vec::with_capacity(count);
    for (at, path) in paths.into_iter().enumerate() {
        let mode = u16::try_from(modes[at] & 0xffff).unwrap_or(0);
        let kind = if mode & TYPE_MASK == DIRECTORY {
            FileKind::Directory
        } else if flags[at] & tags::FILE_GHOST != 0 {
            FileKind::Ghost
        } else {
            FileKind::Plain
        };
        files.push((
            File { path, kind },
            FileDetail {
                mode,
                digest: digests.next().unwrap_or_default(),
                size: sizes[at],
                flags: u32::try_from(flags[at]).unwrap_or(0),
                link: links.next().unwrap_or_default(),
                user: users.next().unwrap_or_default(),
                owner_group: groups.next().unwrap_or_default(),
                capabilities: capabilities.next().unwrap_or_default(),
            },
        ));
    }
    Ok(files)
}

/// A column as long as the list of files; all the same where the header has no such column.
fn column<T: Clone>(found: Vec<T>, count: usize, what: &'static str, missing: T) -> Result<Vec<T>, BadPackage> {
    if found.is_empty() {
        return Ok(vec![missing; count]);
    }
    if found.len() == count {
        return Ok(found);
    }
    Err(BadPackage::Wrong {
        what,
        why: format!("there are {} of them for {count} files", found.len()),
    })
}

/// Directory and name, put together.
fn paths(main: &Store) -> Result<Vec<String>, BadPackage> {
    const WHAT: &str = "the list of files";
    let wrong = |why: String| BadPackage::Wrong { what: WHAT, why };
    let directories = main.texts(tags::DIR_NAMES, WHAT, MOST_FILES)?;
    let names = main.texts(tags::BASE_NAMES, WHAT, MOST_FILES)?;
    let indexes = main.numbers(tags::DIR_INDEXES, WHAT, MOST_FILES)?;
    if names.len() != indexes.len() {
        return Err(wrong(format!("{} names in {} directories", names.len(), indexes.len())));
    }
    let mut paths = Vec::with_capacity(names.len());
    let mut bytes = 0usize;
    for (name, index) in names.iter().zip(indexes) {
        let directory = usize::try_from(index)
            .ok()
            .and_then(|index| directories.get(index))
            .ok_or_else(|| wrong(format!("there is no directory {index} for '{}'", shown(name))))?;
        let length = directory.len() + name.len();
        if length > LONGEST_PATH {
            return Err(wrong(format!(
                "'{}…' is longer than {LONGEST_PATH} bytes",
                shown(directory)
            )));
        }
        bytes += length;
        if bytes > MOST_PATH_BYTES {
            return Err(BadPackage::TooBig {
                what: WHAT,
                claimed: bytes as u64,
                most: MOST_PATH_BYTES as u64,
            });
        }
        paths.push([directory.as_str(), name.as_str()].concat());
    }
    Ok(paths)
}
