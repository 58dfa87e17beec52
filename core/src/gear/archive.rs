//! Writes an archive of a tree: its files as they were committed, under one directory, all with one date.
//!
//! Attributes (`export-ignore`, `export-subst`, line ends, filters) have no say: what is in the tree is in the archive, byte for byte, and
//! `exclude=` is the way to leave something out. A submodule is an empty directory, as `git archive` has it.

use std::io::{self, Seek, Write};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use crate::escape::escaped_bytes;
use crate::gear::error::GearError;
use crate::gear::objects::{Entry, EntryKind, ObjectKind, Reader};
use crate::gear::rules::Format;
use crate::gear::tarball::{Kind, Tarball};
use crate::gear::walk::{Excludes, walk};
use crate::id::ObjectId;
use crate::refusal::Refusal;

/// An archive that is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// The tree.
    pub tree: ObjectId,
    /// The directory in it, without a slash at its end; empty for none.
    pub base: String,
    /// Its form.
    pub format: Format,
    /// What is left out.
    pub excludes: Excludes,
}

/// The longest target of a symbolic link; the system takes 4,095 bytes.
const LONGEST_TARGET: u64 = 4096;

impl Archive {
    /// Writes it; every date in it is `mtime`.
    pub(super) fn write<W: Write + Seek>(&self, reader: &Reader<'_>, mtime: u64, out: W) -> Result<(), GearError> {
        match self.format {
            Format::Tar(None) => {
                let mut tar = Tarball::new(out, mtime);
                self.fill(reader, &mut tar)?;
                tar.finish()?.flush()?;
            }
            Format::Tar(Some(compression)) => {
                let mut tar = Tarball::new(compression.writer(out, mtime)?, mtime);
                self.fill(reader, &mut tar)?;
                tar.finish()?.finish()?.flush()?;
            }
            Format::Zip => {
                let mut zip = Zip {
                    zip: ZipWriter::new(out),
                    date: dos_date(mtime),
                };
                self.fill(reader, &mut zip)?;
                zip.zip.finish().map_err(io::Error::from)?.flush()?;
            }
        }
        Ok(())
    }

    fn fill(&self, reader: &Reader<'_>, sink: &mut dyn Sink) -> Result<(), GearError> {
        let prefix = if self.base.is_empty() {
            String::new()
        } else {
            format!("{}/", self.base)
        };
        if !prefix.is_empty() {
            sink.directory(prefix.as_bytes())?;
        }
        // The directory that the last member was in, below the prefix.
        let mut current: Vec<u8> = Vec::new();
        walk(reader, &self.tree, &self.excludes, &mut |path, entry| {
            let name = [prefix.as_bytes(), path].concat();
            let dir = path.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
            if path[..dir] != current[..] {
                let mut end = 0;
                while let Some(slash) = path[end..dir].iter().position(|byte| *byte == b'/') {
                    end += slash + 1;
                    if !current.starts_with(&path[..end]) {
                        sink.directory(&[prefix.as_bytes(), &path[..end]].concat())?;
                    }
                }
                current = path[..dir].to_vec();
            }
            match entry.kind {
                EntryKind::File { executable } => sink.file(&name, executable, &reader.blob(&entry.object)?),
                EntryKind::Link => sink.link(&name, &link_target(reader, entry)?),
                EntryKind::Submodule => sink.directory(&[&name, &b"/"[..]].concat()),
                EntryKind::Tree => Ok(()),
            }
        })
    }
}

/// What a symbolic link points at: a path that the system takes.
pub(super) fn link_target(reader: &Reader<'_>, entry: &Entry) -> Result<Vec<u8>, GearError> {
    let target = reader.read(&entry.object, ObjectKind::Blob, LONGEST_TARGET)?;
    if target.is_empty() || target.contains(&0) {
        return Err(Refusal::new(
            "bad_object",
            format!("the symbolic link '{}' has no path as its target", entry.shown()),
        )
        .into());
    }
    Ok(target)
}

/// Where members go.
trait Sink {
    /// A directory; the name ends in a slash.
    fn directory(&mut self, name: &[u8]) -> Result<(), GearError>;
    fn file(&mut self, name: &[u8], executable: bool, content: &[u8]) -> Result<(), GearError>;
    fn link(&mut self, name: &[u8], target: &[u8]) -> Result<(), GearError>;
}

impl<W: Write> Sink for Tarball<W> {
    fn directory(&mut self, name: &[u8]) -> Result<(), GearError> {
        Ok(self.entry(name, Kind::Directory)?)
    }

    fn file(&mut self, name: &[u8], executable: bool, mut content: &[u8]) -> Result<(), GearError> {
        let size = content.len() as u64;
        Ok(Tarball::file(
            self,
            name,
            Kind::File { size, executable },
            &mut content,
        )?)
    }

    fn link(&mut self, name: &[u8], target: &[u8]) -> Result<(), GearError> {
        Ok(self.entry(name, Kind::Link { target })?)
    }
}

struct Zip<W: Write + Seek> {
    zip: ZipWriter<W>,
    date: DateTime,
}

impl<W: Write + Seek> Zip<W> {
    fn options(&self, mode: u32) -> SimpleFileOptions {
        SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .compression_level(Some(6))
            .last_modified_time(self.date)
            .unix_permissions(mode)
    }
}

/// Zip tells names as text.
fn text<'a>(name: &'a [u8], what: &str) -> Result<&'a str, GearError> {
    std::str::from_utf8(name).map_err(|_| {
        Refusal::new(
            "bad_file_name",
            format!("{what} '{}' is no UTF-8, and a zip cannot hold it", escaped_bytes(name)),
        )
        .hint("rename it, leave it out with exclude=, or make a tar")
        .into()
    })
}

impl<W: Write + Seek> Sink for Zip<W> {
    fn directory(&mut self, name: &[u8]) -> Result<(), GearError> {
        let options = self.options(0o755);
        Ok(self
            .zip
            .add_directory(text(name, "the directory")?, options)
            .map_err(io::Error::from)?)
    }

    fn file(&mut self, name: &[u8], executable: bool, content: &[u8]) -> Result<(), GearError> {
        let options = self.options(if executable { 0o755 } else { 0o644 });
        self.zip
            .start_file(text(name, "the file")?, options)
            .map_err(io::Error::from)?;
        Ok(self.zip.write_all(content)?)
    }

    fn link(&mut self, name: &[u8], target: &[u8]) -> Result<(), GearError> {
        let options = self.options(0o777);
        let (name, target) = (
            text(name, "the symbolic link")?,
            text(target, "the target of a symbolic link")?,
        );
        Ok(self.zip.add_symlink(name, target, options).map_err(io::Error::from)?)
    }
}

/// A date as zip has it: in whole two seconds, from 1980 to 2107, and taken for UTC.
fn dos_date(mtime: u64) -> DateTime {
    let seconds = i64::try_from(mtime)
        .unwrap_or(i64::MAX)
        .clamp(315_532_800, 4_354_819_198);
    let date = Timestamp::from_second(seconds)
        .ok()
        .map(|at| TimeZone::UTC.to_datetime(at));
    date.and_then(|at| {
        let part = |value: i8| u8::try_from(value).ok();
        DateTime::from_date_and_time(
            u16::try_from(at.year()).ok()?,
            part(at.month())?,
            part(at.day())?,
            part(at.hour())?,
            part(at.minute())?,
            part(at.second())?,
        )
        .ok()
    })
    .unwrap_or_default()
}
