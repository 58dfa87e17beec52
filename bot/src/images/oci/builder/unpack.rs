//! ADD of an archive: unpacked into the destination, as Docker does.
//!
//! What is an archive is decided by its first bytes, not by its name: tar, alone or in gzip, bzip2, xz or Zstandard. Owners and modes are those of the archive.
//! It is not trusted: names stay below the destination, links are resolved inside the image, and there are limits.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, SeekFrom};

use tar::EntryType;
use windlass_core::escape::escaped_bytes;

use super::super::base::below_root;
use super::super::store::Store;
use super::super::tree::{Content, Device, HostFile, Kind, Name, Node, Owner, base, joined, parent};
use super::copy::Target;

/// How many entries an archive may have.
const MOST_ENTRIES: usize = 2_000_000;

/// How many bytes an archive may have, unpacked: 64 GiB.
const MOST_BYTES: u64 = 64 << 30;

/// Opens a file of the context if it is an archive.
pub(super) fn opened(file: &HostFile) -> io::Result<Option<Box<dyn Read>>> {
    let mut raw = Store::open(file)?;
    let is_archive = match tar::Archive::new(decoded(&raw)?).entries()?.next() {
        Some(Ok(entry)) => entry.header().entry_type().as_byte().is_ascii_alphanumeric() || entry.size() > 0,
        Some(Err(_)) | None => false,
    };
    raw.seek(SeekFrom::Start(0))?;
    if is_archive { decoded(&raw).map(Some) } else { Ok(None) }
}

fn decoded(file: &File) -> io::Result<Box<dyn Read>> {
    let mut magic = [0; 6];
    let read = std::os::unix::fs::FileExt::read_at(file, &mut magic, 0)?;
    let from = BufReader::with_capacity(256 << 10, file.try_clone()?);
    Ok(match &magic[..read] {
        [0x1f, 0x8b, 0x08, ..] => Box::new(flate2::bufread::MultiGzDecoder::new(from)),
        [b'B', b'Z', b'h', ..] => Box::new(bzip2::bufread::MultiBzDecoder::new(from)),
        [0xfd, b'7', b'z', b'X', b'Z', 0] => Box::new(liblzma::bufread::XzDecoder::new_multi_decoder(from)),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Box::new(zstd::Decoder::with_buffer(from)?),
        _ => Box::new(from),
    })
}

impl Target<'_> {
    /// Unpacks an archive into a directory of the image.
    pub(super) fn unpack(&mut self, archive: Box<dyn Read>, to: &[u8], store: &mut Store) -> Result<(), String> {
        self.make_directory(to)?;
        let mut archive = tar::Archive::new(archive);
        let broken = |error: io::Error| format!("the archive cannot be read: {error}");
        let mut bytes = 0_u64;
        for (at, entry) in archive.entries().map_err(broken)?.enumerate() {
            let mut entry = entry.map_err(broken)?;
            bytes = bytes.saturating_add(entry.size());
            if at >= MOST_ENTRIES || bytes > MOST_BYTES {
                return Err(format!(
                    "the archive holds more than {MOST_ENTRIES} entries, or more than {MOST_BYTES} bytes"
                ));
            }
            self.unpack_entry(&mut entry, to, store)?;
        }
        Ok(())
    }

    fn unpack_entry<R: Read>(
        &mut self,
        entry: &mut tar::Entry<'_, R>,
        to: &[u8],
        store: &mut Store,
    ) -> Result<(), String> {
        let path = entry.path_bytes().into_owned();
        let shown = || escaped_bytes(&path);
        let odd = |error: io::Error| format!("'{}' of the archive: {error}", escaped_bytes(&path));
        let entry_type = entry.header().entry_type();
        if matches!(entry_type, EntryType::XGlobalHeader) {
            return Ok(());
        }
        let Some(relative) = below_root(&path) else {
            return Err(format!("'{}' leads out of the archive", shown()));
        };
        if relative.is_empty() {
            // The directory into which it is unpacked stays as it is.
            return Ok(());
        }
        if base(&relative).starts_with(b".wh.") {
            return Err(format!("no image can hold a file of the name '{}'", shown()));
        }
        let name = self.place(to, &relative)?;
        let header = entry.header();
        let number = |number: u64| u32::try_from(number).map_err(|_| format!("'{}' has no owner that can be", shown()));
        let owner = Owner {
            user: number(header.uid().map_err(odd)?)?,
            group: number(header.gid().map_err(odd)?)?,
        };
        let mode = header.mode().map_err(odd)? & 0o7777;
        let device = |of_characters| -> Result<Kind, String> {
            Ok(Kind::Device(Device {
                of_characters,
                major: header.device_major().map_err(odd)?.unwrap_or(0),
                minor: header.device_minor().map_err(odd)?.unwrap_or(0),
            }))
        };
        let target = entry.link_name_bytes().map(std::borrow::Cow::into_owned);
        let no_target = || format!("'{}' is a link that leads nowhere", shown());
        // Types as POSIX numbers them; 0 is an old file's.
        let kind = match entry_type.as_byte() {
            b'5' => Kind::Directory,
            // A sparse one is read with its holes filled.
            0 | b'0' | b'7' | b'S' => {
                let size = entry.size();
                let content = if size == 0 {
                    Content::Bytes(Vec::new().into())
                } else {
                    store.keep(entry, size).map_err(odd)?
                };
                Kind::File(content)
            }
            b'2' => Kind::Link(target.ok_or_else(no_target)?),
            b'1' => {
                let target = target.and_then(|target| below_root(&target)).ok_or_else(no_target)?;
                let target = self.place(to, &target)?;
                let same = self.tree.look(&target).filter(|node| !node.is_directory()).cloned();
                self.force(name, same.ok_or_else(no_target)?);
                return Ok(());
            }
            b'6' => Kind::Pipe,
            b'3' => device(true)?,
            b'4' => device(false)?,
            _ => {
                return Err(format!("'{}' is of a kind that cannot be unpacked", shown()));
            }
        };
        self.force(name, Node { kind, mode, owner });
        Ok(())
    }

    /// Where an entry goes: its directory behind all links, made where it is missing.
    fn place(&mut self, to: &[u8], relative: &[u8]) -> Result<Name, String> {
        let above = joined(to, parent(relative).unwrap_or_default());
        let above = self
            .tree
            .resolve(&above)
            .map_err(|error| format!("'{}': {error}", escaped_bytes(relative)))?;
        self.make_directory(&above)?;
        Ok(joined(&above, base(relative)))
    }
}
