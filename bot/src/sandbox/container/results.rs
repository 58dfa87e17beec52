//! What comes out of a container: an archive that the engine wrote of what a build left, which may be anything.
//!
//! An archive is taken as a whole, no larger than the build's disk, and looked through once. Nothing of it is unpacked: a plain file
//! is copied out by its number of bytes when it is asked for, links are not followed, names are nothing but words.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom};

use tar::{Archive, EntryType};
use windlass_core::escape::{escaped, escaped_bytes};

use super::super::need::SandboxError;

/// What one entry of a directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A plain file, at a place of the archive.
    Plain { at: u64, size: u64 },
    /// Anything else.
    Other,
}

/// The archive of one directory, or of one file.
#[derive(Debug)]
pub(super) struct Taken {
    archive: File,
    entries: BTreeMap<String, Kind>,
}

impl Taken {
    /// Looks through the archive of the directory `/directory`, which may hold so many files.
    pub(super) fn directory(archive: File, directory: &str, most: usize) -> Result<Self, SandboxError> {
        let mut entries = BTreeMap::new();
        for_each(&archive, |path, kind| {
            // The directory's own name is before all others.
            let mut parts = path
                .split(|byte| *byte == b'/')
                .filter(|part| !part.is_empty() && *part != b".")
                .skip(1);
            let (Some(name), rest) = (parts.next(), parts.next()) else {
                return Ok(());
            };
            let Ok(name) = std::str::from_utf8(name) else {
                let shown = escaped_bytes(name);
                return Err(refused(format!("/{directory} holds a file of the name '{shown}'")));
            };
            let kind = if rest.is_some() { Kind::Other } else { kind };
            // Of two of one name the first counts; what is below a directory is none of its files.
            entries.entry(name.to_owned()).or_insert(kind);
            if entries.len() > most {
                return Err(refused(format!("/{directory} holds more than {most} files")));
            }
            Ok(())
        })?;
        Ok(Self { archive, entries })
    }

    /// Looks through the archive of one file, which is called so afterwards.
    pub(super) fn file(archive: File, name: &str) -> Result<Self, SandboxError> {
        let mut entries = BTreeMap::new();
        for_each(&archive, |_, kind| {
            entries.entry(name.to_owned()).or_insert(kind);
            Ok(())
        })?;
        Ok(Self { archive, entries })
    }

    /// What its files are called, in order.
    pub(super) fn names(&self) -> Vec<String> {
        self.entries.keys().cloned().collect()
    }

    /// Copies a plain file out; `path` is how it is called to people.
    pub(super) fn read(&self, name: &str, path: &str, most: u64, shown_most: &str) -> Result<File, SandboxError> {
        let shown = escaped(path);
        match self.entries.get(name) {
            None => Err(refused(format!("/{shown} cannot be read: it is not there"))),
            Some(Kind::Other) => Err(refused(format!("/{shown} is no plain file"))),
            Some(Kind::Plain { size, .. }) if *size > most => Err(refused(format!(
                "/{shown} has {size} bytes, and {shown_most} are taken: [build] max_package"
            ))),
            Some(Kind::Plain { at, size }) => {
                let mut from = &self.archive;
                from.seek(SeekFrom::Start(*at))?;
                let mut to = tempfile::tempfile()?;
                if io::copy(&mut from.take(*size), &mut to)? != *size {
                    return Err(refused(format!("/{shown} ends in its middle")));
                }
                to.rewind()?;
                Ok(to)
            }
        }
    }
}

fn for_each(archive: &File, mut each: impl FnMut(&[u8], Kind) -> Result<(), SandboxError>) -> Result<(), SandboxError> {
    let broken = |error: io::Error| SandboxError::Lost(format!("the archive that it sent cannot be read: {error}"));
    let mut reader = archive;
    reader.rewind()?;
    let mut archive = Archive::new(BufReader::with_capacity(256 << 10, reader));
    for entry in archive.entries().map_err(broken)? {
        let entry = entry.map_err(broken)?;
        // A second name of a file is one whose content stands elsewhere: rpm makes none.
        let kind = if entry.header().entry_type() == EntryType::Regular {
            Kind::Plain {
                at: entry.raw_file_position(),
                size: entry.size(),
            }
        } else {
            Kind::Other
        };
        each(&entry.path_bytes(), kind)?;
    }
    Ok(())
}

fn refused(message: String) -> SandboxError {
    SandboxError::Refused(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(entries: &[(&[u8], EntryType, &[u8])]) -> File {
        let mut builder = tar::Builder::new(tempfile::tempfile().unwrap());
        for (name, kind, content) in entries {
            let mut header = tar::Header::new_gnu();
            header.as_mut_bytes()[..name.len()].copy_from_slice(name);
            header.set_entry_type(*kind);
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            header.set_cksum();
            builder.append(&header, *content).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn text(error: SandboxError) -> String {
        let SandboxError::Refused(message) = error else {
            panic!("{error:?}")
        };
        message
    }

    #[test]
    fn plain_files_are_read_and_nothing_else() {
        let taken = Taken::directory(
            archive(&[
                (b"RPMS/", EntryType::Directory, b""),
                (b"RPMS/a.rpm", EntryType::Regular, b"hello"),
                (b"RPMS/link.rpm", EntryType::Symlink, b""),
                (b"RPMS/pipe.rpm", EntryType::Fifo, b""),
                (b"RPMS/below/", EntryType::Directory, b""),
                (b"RPMS/below/x.rpm", EntryType::Regular, b"deep"),
            ]),
            "build/RPMS",
            10,
        )
        .unwrap();
        assert_eq!(taken.names(), ["a.rpm", "below", "link.rpm", "pipe.rpm"]);
        let mut said = String::new();
        let mut file = taken.read("a.rpm", "build/RPMS/a.rpm", 5, "5B").unwrap();
        file.read_to_string(&mut said).unwrap();
        assert_eq!(said, "hello");
        for name in ["link.rpm", "pipe.rpm", "below"] {
            let said = text(taken.read(name, &format!("build/RPMS/{name}"), 5, "5B").unwrap_err());
            assert_eq!(said, format!("/build/RPMS/{name} is no plain file"));
        }
        let said = text(taken.read("a.rpm", "build/RPMS/a.rpm", 4, "4B").unwrap_err());
        assert_eq!(
            said,
            "/build/RPMS/a.rpm has 5 bytes, and 4B are taken: [build] max_package"
        );
    }

    #[test]
    fn names_are_bounded_and_are_text() {
        let many: Vec<Vec<u8>> = (0..4).map(|n| format!("RPMS/{n}").into_bytes()).collect();
        let many: Vec<(&[u8], EntryType, &[u8])> = many
            .iter()
            .map(|name| (name.as_slice(), EntryType::Regular, b"".as_slice()))
            .collect();
        let said = text(Taken::directory(archive(&many), "build/RPMS", 3).unwrap_err());
        assert_eq!(said, "/build/RPMS holds more than 3 files");
        let odd = archive(&[(b"RPMS/\xff", EntryType::Regular, b"")]);
        let said = text(Taken::directory(odd, "build/RPMS", 3).unwrap_err());
        assert_eq!(said, "/build/RPMS holds a file of the name '\\xff'");
    }

    #[test]
    fn an_archive_that_is_none_is_the_engines_fault() {
        let mut file = tempfile::tempfile().unwrap();
        io::Write::write_all(&mut file, &[0x55; 2048]).unwrap();
        assert!(matches!(Taken::file(file, "x"), Err(SandboxError::Lost(_))));
    }
}
