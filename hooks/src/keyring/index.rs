//! The index: what leads to a person's name, sorted, so that one look-up reads a few lines of it.
//!
//! ```text
//! windlass people index 1
//! F<TAB>alice.toml<TAB>SECONDS.NANOSECONDS<TAB>SIZE<TAB>INODE      the files that it was made from
//! …
//!                                                                 an empty line
//! 0123456789ABCDEF<TAB>alice                                      key id, fingerprint, SHA256:…, @address
//! ```

use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use windlass_core::id::UserName;

use super::KeyringError;
use super::files::{self, Stamp};

const HEADER: &str = "windlass people index 1\n";

/// An index, as it is in the file.
#[derive(Debug, Default)]
pub(super) struct Index {
    text: String,
    /// Where the entries begin.
    entries: usize,
}

/// By what an address is looked up.
pub(super) fn address_handle(address: &str) -> String {
    format!("@{}", address.to_ascii_lowercase())
}

impl Index {
    /// Reads the file; nothing when there is none, or when it is none of ours.
    pub(super) fn read(path: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(path).ok()?;
        if !text.starts_with(HEADER) || !text.ends_with('\n') {
            return None;
        }
        let entries = text.find("\n\n")? + 2;
        Some(Self { text, entries })
    }

    /// Makes the index of a directory. Files that cannot be understood lead nowhere.
    pub(super) fn build(directory: &Path) -> Result<Self, KeyringError> {
        // Listed before it is read: what changes in between makes the index stale, not wrong.
        let listing = files::listing(directory)?;
        let (people, _) = files::everybody(directory)?;
        let mut lines: Vec<String> = Vec::new();
        for person in &people {
            let addresses = person.addresses.iter().map(|address| address_handle(address));
            for handle in files::handles(person).into_iter().chain(addresses) {
                if !handle.contains(['\t', '\n']) {
                    lines.push(format!("{handle}\t{}\n", person.name));
                }
            }
        }
        lines.sort_unstable();
        lines.dedup();
        let mut text = HEADER.to_owned();
        for stamp in &listing {
            text.push_str(&file_line(stamp));
        }
        text.push('\n');
        let entries = text.len();
        text.extend(lines);
        Ok(Self { text, entries })
    }

    /// Writes the file whole or not at all.
    pub(super) fn write(&self, path: &Path) -> std::io::Result<()> {
        let directory = path.parent().unwrap_or(Path::new("."));
        let mut file = tempfile::Builder::new().prefix(".index-").tempfile_in(directory)?;
        // The group of the directory reads it, as it reads the people's files. Whoever may not give it to that group still
        // has an index for himself.
        let group = std::fs::metadata(directory)?.gid();
        let _ = std::os::unix::fs::fchown(file.as_file(), None, Some(group));
        let readable = std::os::unix::fs::PermissionsExt::from_mode(0o640);
        file.as_file().set_permissions(readable)?;
        file.write_all(self.text.as_bytes())?;
        file.persist(path)?;
        Ok(())
    }

    /// Whether it was made from just these files.
    pub(super) fn is_of(&self, listing: &[Stamp]) -> bool {
        if self.entries == 0 {
            return false;
        }
        let files = self.text.get(HEADER.len()..self.entries - 1).unwrap_or_default();
        files == listing.iter().map(file_line).collect::<String>()
    }

    /// The people to whom a handle leads.
    pub(super) fn names(&self, handle: &str) -> Vec<UserName> {
        let entries = self.text.get(self.entries..).unwrap_or_default();
        let wanted = format!("{handle}\t");
        let mut rest = &entries[first_at_or_after(entries, &wanted)..];
        let mut names = Vec::new();
        while let Some(name) = rest.strip_prefix(wanted.as_str()) {
            let (name, after) = name.split_once('\n').unwrap_or((name, ""));
            names.extend(name.parse::<UserName>());
            rest = after;
        }
        names
    }
}

/// Where the first line begins that is not before `wanted`.
fn first_at_or_after(lines: &str, wanted: &str) -> usize {
    let bytes = lines.as_bytes();
    let (mut low, mut high) = (0, bytes.len());
    while low < high {
        let middle = usize::midpoint(low, high);
        let begin = bytes[..middle]
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1)
            .max(low);
        let end = bytes[begin..]
            .iter()
            .position(|byte| *byte == b'\n')
            .map_or(bytes.len(), |at| begin + at + 1);
        if &bytes[begin..end] < wanted.as_bytes() {
            low = end;
        } else {
            high = begin;
        }
    }
    low
}

fn file_line(stamp: &Stamp) -> String {
    let mut line = String::new();
    let (seconds, nanoseconds) = stamp.modified;
    // Writing to a String cannot fail.
    let _ = writeln!(
        line,
        "F\t{}\t{seconds}.{nanoseconds:09}\t{}\t{}",
        stamp.name, stamp.size, stamp.inode
    );
    line
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_entry_is_found(mut handles in prop::collection::vec("[A-C]{1,4}", 0..40), asked in "[A-C]{1,4}") {
            handles.sort();
            let mut lines: Vec<String> = Vec::new();
            for (number, handle) in handles.iter().enumerate() {
                lines.push(format!("{handle}\tu{number}\n"));
            }
            lines.sort_unstable();
            let text = lines.concat();
            let index = Index { text, entries: 0 };
            let expected = handles.iter().filter(|handle| **handle == asked).count();
            prop_assert_eq!(index.names(&asked).len(), expected);
        }
    }
}
