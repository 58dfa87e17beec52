//! Writes tar archives in GNU's form: root's, with one date, names of any length and any bytes.

use std::io::{self, Read, Write};

use tar::{EntryType, Header};

/// A tar archive that is being written.
pub(super) struct Tarball<W: Write> {
    out: W,
    mtime: u64,
}

/// What kind of member.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind<'a> {
    /// The label of the whole archive.
    Label,
    /// A directory; its name ends in a slash.
    Directory,
    /// A file of this size.
    File { size: u64, executable: bool },
    /// A symbolic link to this.
    Link { target: &'a [u8] },
}

const BLOCK: usize = 512;

impl<W: Write> Tarball<W> {
    /// Every member's date is `mtime`, in seconds since 1970.
    pub(super) fn new(out: W, mtime: u64) -> Self {
        Self { out, mtime }
    }

    /// Where it goes.
    pub(super) fn get_ref(&self) -> &W {
        &self.out
    }

    /// Writes a member without content.
    pub(super) fn entry(&mut self, name: &[u8], kind: Kind<'_>) -> io::Result<()> {
        self.file(name, kind, &mut io::empty())
    }

    /// Writes a member; exactly as many bytes must come as its size says.
    pub(super) fn file(&mut self, name: &[u8], kind: Kind<'_>, content: &mut dyn Read) -> io::Result<()> {
        let (entry_type, mode, size, target) = match kind {
            Kind::Label => (EntryType::new(b'V'), 0, 0, &b""[..]),
            Kind::Directory => (EntryType::Directory, 0o755, 0, &b""[..]),
            Kind::File { size, executable } => (
                EntryType::Regular,
                if executable { 0o755 } else { 0o644 },
                size,
                &b""[..],
            ),
            Kind::Link { target } => (EntryType::Symlink, 0o777, 0, target),
        };
        self.long(target, EntryType::GNULongLink)?;
        self.long(name, EntryType::GNULongName)?;
        self.header(name, entry_type, mode, size, target)?;
        let written = io::copy(&mut content.take(size), &mut self.out)?;
        if written != size {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "a member is shorter than it was",
            ));
        }
        self.pad(size)
    }

    /// A name that does not fit stands in front, as a member of its own.
    fn long(&mut self, name: &[u8], entry_type: EntryType) -> io::Result<()> {
        if name.len() <= 100 {
            return Ok(());
        }
        let size = name.len() as u64 + 1;
        self.header(b"././@LongLink", entry_type, 0o644, size, b"")?;
        self.out.write_all(name)?;
        self.out.write_all(&[0])?;
        self.pad(size)
    }

    fn header(&mut self, name: &[u8], entry_type: EntryType, mode: u32, size: u64, target: &[u8]) -> io::Result<()> {
        let mut header = Header::new_gnu();
        let fit = |field: &mut [u8], bytes: &[u8]| {
            let length = bytes.len().min(field.len());
            field[..length].copy_from_slice(&bytes[..length]);
        };
        fit(&mut header.as_old_mut().name, name);
        fit(&mut header.as_old_mut().linkname, target);
        header.set_entry_type(entry_type);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_username("root")?;
        header.set_groupname("root")?;
        header.set_size(size);
        header.set_mtime(self.mtime);
        header.set_cksum();
        self.out.write_all(header.as_bytes())
    }

    fn pad(&mut self, size: u64) -> io::Result<()> {
        let over = usize::try_from(size % BLOCK as u64).expect("less than a block");
        if over > 0 {
            self.out.write_all(&[0; BLOCK][over..])?;
        }
        Ok(())
    }

    /// Writes the end; gives the writer back.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.out.write_all(&[0; 2 * BLOCK])?;
        Ok(self.out)
    }
}
