//! Writes pkg.tar: a flat tar with a label, root's, one date, sorted. The same plan gives the same bytes on every machine.

use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};

use crate::gear::error::GearError;
use crate::gear::limits::Limits;
use crate::gear::objects::{Objects, Reader, over};
use crate::gear::plan::{Content, Member, Plan};
use crate::gear::tarball::{Kind, Tarball};

/// Somewhere to put what is made until its size is known.
pub trait Scratch {
    /// A new, empty file that goes away by itself.
    ///
    /// # Errors
    /// When it cannot be made.
    fn file(&self) -> io::Result<Box<dyn ScratchFile + '_>>;
}

/// A file of a [`Scratch`].
pub trait ScratchFile: Read + Write + Seek {}

impl<T: Read + Write + Seek> ScratchFile for T {}

/// Scratch files in memory, for what is known to be small.
#[derive(Debug, Clone, Copy, Default)]
pub struct InMemory;

impl Scratch for InMemory {
    fn file(&self) -> io::Result<Box<dyn ScratchFile + '_>> {
        Ok(Box::new(io::Cursor::new(Vec::new())))
    }
}

/// A file that was written.
#[derive(Debug, Clone, Copy)]
pub struct Written<'a> {
    /// Which.
    pub member: &'a Member,
    /// Its size in bytes.
    pub size: u64,
    /// For a patch: how many files it changes.
    pub changed: Option<usize>,
}

impl Written<'_> {
    /// What the packager should know of it.
    pub fn note(&self) -> Option<String> {
        (self.changed == Some(0)).then(|| {
            let Member { from, name, .. } = self.member;
            format!("{from}: the trees are the same, '{name}' is empty")
        })
    }
}

impl Plan {
    /// Writes pkg.tar; `told` hears of each file when it is written. Gives the archive's size in bytes.
    ///
    /// # Errors
    /// Something named cannot be exported, the repository cannot be read, or the archive cannot be written.
    pub fn write(
        &self,
        (objects, limits): (&dyn Objects, &Limits),
        scratch: &dyn Scratch,
        out: &mut dyn Write,
        told: &mut dyn FnMut(Written<'_>),
    ) -> Result<u64, GearError> {
        let reader = Reader::new(objects, limits);
        let mut tar = Tarball::new(Counted { out, bytes: 0 }, self.mtime);
        tar.entry(self.label().as_bytes(), Kind::Label)?;
        for member in &self.members {
            let name = member.name.as_bytes();
            let executable = member.executable;
            let mut changed = None;
            let size = match &member.content {
                Content::Text(text) => {
                    let size = text.len() as u64;
                    tar.file(name, Kind::File { size, executable }, &mut &text[..])?;
                    size
                }
                Content::File {
                    object,
                    compression: None,
                } => {
                    let content = reader.blob(object)?;
                    let size = content.len() as u64;
                    tar.file(name, Kind::File { size, executable }, &mut &content[..])?;
                    size
                }
                Content::File { .. } | Content::Archive(_) | Content::Patch { .. } => {
                    let mut file = scratch.file()?;
                    changed = self.make(&reader, &member.content, &mut file)?;
                    let size = file.seek(SeekFrom::End(0))?;
                    file.rewind()?;
                    if size > limits.output {
                        return Err(over("pkg.tar", "bytes", limits.output));
                    }
                    tar.file(name, Kind::File { size, executable }, &mut file)?;
                    size
                }
            };
            if tar.get_ref().bytes > limits.output {
                return Err(over("pkg.tar", "bytes", limits.output));
            }
            told(Written { member, size, changed });
        }
        let mut out = tar.finish()?;
        out.flush()?;
        Ok(out.bytes)
    }

    /// Makes what has to be made before its size is known. For a patch: how many files it changes.
    fn make(
        &self,
        reader: &Reader<'_>,
        content: &Content,
        file: &mut dyn ScratchFile,
    ) -> Result<Option<usize>, GearError> {
        let mut out = BufWriter::with_capacity(128 << 10, file);
        let mut changed = None;
        match content {
            Content::Text(text) => out.write_all(text)?,
            Content::Archive(archive) => archive.write(reader, self.mtime, &mut out)?,
            Content::File { object, compression } => {
                let content = reader.blob(object)?;
                match compression {
                    None => out.write_all(&content)?,
                    Some(compression) => {
                        let mut writer = compression.writer(&mut out, self.mtime)?;
                        writer.write_all(&content)?;
                        writer.finish()?;
                    }
                }
            }
            Content::Patch {
                patch,
                compression: None,
            } => changed = Some(patch.write(reader, &mut out)?),
            Content::Patch {
                patch,
                compression: Some(compression),
            } => {
                let mut writer = BufWriter::new(compression.writer(&mut out, self.mtime)?);
                changed = Some(patch.write(reader, &mut writer)?);
                writer.into_inner().map_err(io::IntoInnerError::into_error)?.finish()?;
            }
        }
        out.flush()?;
        Ok(changed)
    }
}

/// Counts what goes through.
struct Counted<'a> {
    out: &'a mut dyn Write,
    bytes: u64,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
