//! Writes tar archives as image layers have them: one form for each entry, whoever writes it and wherever.
//!
//! Headers are ustar. What does not fit there (names over 100 bytes, large numbers) stands in a PAX header before it. There are no
//! names of users and groups, since an image is unpacked by numbers, and every time is the one that the caller gives.

use std::io::{self, Write};

use tar::{EntryType, Header};

use super::tree::{Device, Kind, Node};

/// The size of a block.
const BLOCK: usize = 512;

/// The longest name or link that a ustar header holds.
const LONGEST: usize = 100;

/// The largest user or group number that a ustar header holds.
const LARGEST_OWNER: u32 = 0o7_777_777;

/// The largest size, and the latest time, that a ustar header holds.
const LARGEST: u64 = 0o77_777_777_777;

/// A tar archive that is being written.
#[derive(Debug)]
pub(super) struct Archive<W: Write> {
    out: W,
    epoch: u64,
}

impl<W: Write> Archive<W> {
    /// An archive whose entries all have this time, in seconds.
    pub(super) fn new(out: W, epoch: u64) -> Self {
        Self { out, epoch }
    }

    /// Writes an entry. `content` gives as many bytes as the node's content has; it is not called for anything but a file.
    pub(super) fn entry(
        &mut self,
        name: &[u8],
        node: &Node,
        content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut path = name.to_vec();
        let mut link: &[u8] = &[];
        let mut device: Option<Device> = None;
        let (entry_type, size) = match &node.kind {
            Kind::Directory => {
                path.push(b'/');
                (EntryType::Directory, 0)
            }
            Kind::File(content) => (EntryType::Regular, content.size()),
            Kind::Link(target) => {
                link = target;
                (EntryType::Symlink, 0)
            }
            Kind::Pipe => (EntryType::Fifo, 0),
            Kind::Device(of) => {
                device = Some(*of);
                let entry_type = if of.of_characters {
                    EntryType::Char
                } else {
                    EntryType::Block
                };
                (entry_type, 0)
            }
        };
        let mut header = Header::new_ustar();
        let mut pax = Pax::default();
        put(&mut header.as_old_mut().name, &path, "path", &mut pax);
        put(&mut header.as_old_mut().linkname, link, "linkpath", &mut pax);
        header.set_entry_type(entry_type);
        header.set_mode(node.mode & 0o7777);
        header.set_uid(pax.number("uid", node.owner.user.into(), LARGEST_OWNER.into()));
        header.set_gid(pax.number("gid", node.owner.group.into(), LARGEST_OWNER.into()));
        header.set_size(pax.large("size", size));
        header.set_mtime(pax.large("mtime", self.epoch));
        if let Some(device) = device {
            header.set_device_major(device.major)?;
            header.set_device_minor(device.minor)?;
        }
        header.set_cksum();
        pax.write(&mut self.out, self.epoch)?;
        self.out.write_all(header.as_bytes())?;
        if size > 0 {
            let mut counted = Counted {
                out: &mut self.out,
                left: size,
            };
            content(&mut counted)?;
            if counted.left > 0 {
                return Err(io::Error::other("the content is shorter than it was"));
            }
            self.pad(size)?;
        }
        Ok(())
    }

    fn pad(&mut self, size: u64) -> io::Result<()> {
        let over = usize::try_from(size % BLOCK as u64).unwrap_or(0);
        self.out.write_all(&[0; BLOCK][..over.next_multiple_of(BLOCK) - over])
    }

    /// Writes the end of the archive and gives the writer back.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.out.write_all(&[0; 2 * BLOCK])?;
        Ok(self.out)
    }
}

/// Puts bytes into a header's field, or what has no room there into the PAX header.
fn put(field: &mut [u8; LONGEST], bytes: &[u8], key: &str, pax: &mut Pax) {
    let fits = bytes.len().min(LONGEST);
    field[..fits].copy_from_slice(&bytes[..fits]);
    if bytes.len() > LONGEST {
        pax.record(key, bytes);
    }
}

/// What stands before a header that it does not fit into.
#[derive(Debug, Default)]
struct Pax {
    records: Vec<u8>,
}

impl Pax {
    /// `length key=value\n`, where the length counts itself.
    fn record(&mut self, key: &str, value: &[u8]) {
        let rest = key.len() + value.len() + 3;
        let mut length = rest + 1;
        while length.to_string().len() + rest != length {
            length = length.to_string().len() + rest;
        }
        self.records.extend_from_slice(format!("{length} {key}=").as_bytes());
        self.records.extend_from_slice(value);
        self.records.push(b'\n');
    }

    fn large(&mut self, key: &str, number: u64) -> u64 {
        self.number(key, number, LARGEST)
    }

    fn number(&mut self, key: &str, number: u64, largest: u64) -> u64 {
        if number <= largest {
            return number;
        }
        self.record(key, number.to_string().as_bytes());
        0
    }

    fn write(&self, out: &mut impl Write, epoch: u64) -> io::Result<()> {
        if self.records.is_empty() {
            return Ok(());
        }
        let mut header = Header::new_ustar();
        header.as_old_mut().name[..12].copy_from_slice(b"PaxHeaders.0");
        header.set_entry_type(EntryType::XHeader);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(self.records.len() as u64);
        header.set_mtime(epoch.min(LARGEST));
        header.set_cksum();
        out.write_all(header.as_bytes())?;
        out.write_all(&self.records)?;
        let size = self.records.len();
        let rest = size.next_multiple_of(BLOCK) - size;
        out.write_all(&[0; BLOCK][..rest])
    }
}

/// Lets as many bytes through as were announced.
struct Counted<'a, W: Write> {
    out: &'a mut W,
    left: u64,
}

impl<W: Write> Write for Counted<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() as u64 > self.left {
            return Err(io::Error::other("the content is longer than it was"));
        }
        let written = self.out.write(bytes)?;
        self.left -= written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tree::{Content, Owner};
    use super::*;

    fn file(content: &str, owner: u32) -> Node {
        Node {
            kind: Kind::File(Content::Bytes(content.as_bytes().into())),
            mode: 0o4755,
            owner: Owner {
                user: owner,
                group: owner,
            },
        }
    }

    #[test]
    fn a_reader_finds_what_was_written() {
        let long = format!("{}/{}", "d".repeat(90), "ü".repeat(120));
        let mut archive = Archive::new(Vec::new(), 17);
        archive
            .entry(b"d", &Node::directory(), |_| {
                unreachable!("directories have no content")
            })
            .unwrap();
        archive
            .entry(long.as_bytes(), &file("content", 4_000_000_000), |out| {
                out.write_all(b"content")
            })
            .unwrap();
        let link = Node {
            kind: Kind::Link(long.clone().into_bytes()),
            mode: 0o777,
            owner: Owner::default(),
        };
        archive.entry(b"link", &link, |_| Ok(())).unwrap();
        archive.entry(b"b\xffd", &file("", 0), |_| Ok(())).unwrap();
        let device = Node {
            kind: Kind::Device(Device {
                of_characters: true,
                major: 1,
                minor: 3,
            }),
            ..file("", 0)
        };
        archive.entry(b"null", &device, |_| Ok(())).unwrap();
        let bytes = archive.finish().unwrap();
        assert_eq!(bytes.len() % 512, 0);
        let mut read = tar::Archive::new(&bytes[..]);
        let mut seen = Vec::new();
        for entry in read.entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut content = String::new();
            io::Read::read_to_string(&mut entry, &mut content).unwrap();
            let header = entry.header().clone();
            assert_eq!(header.mtime().unwrap(), 17);
            let owner = entry
                .pax_extensions()
                .unwrap()
                .into_iter()
                .flatten()
                .map(Result::unwrap)
                .find(|record| record.key() == Ok("uid"))
                .map_or_else(
                    || header.uid().unwrap().to_string(),
                    |record| record.value().unwrap().to_owned(),
                );
            seen.push((entry.path_bytes().into_owned(), header.mode().unwrap(), owner, content));
        }
        let of =
            |name: &[u8], mode, owner: &str, content: &str| (name.to_vec(), mode, owner.to_owned(), content.to_owned());
        assert_eq!(
            seen,
            [
                of(b"d/", 0o755, "0", ""),
                of(long.as_bytes(), 0o4755, "4000000000", "content"),
                of(b"link", 0o777, "0", ""),
                of(b"b\xffd", 0o4755, "0", ""),
                of(b"null", 0o4755, "0", ""),
            ]
        );
    }

    #[test]
    fn content_is_as_long_as_was_announced() {
        let write = |content: &'static [u8]| {
            Archive::new(Vec::new(), 0).entry(b"f", &file("12345", 0), |out| out.write_all(content))
        };
        assert!(write(b"12345").is_ok());
        assert!(write(b"1234").is_err());
        assert!(write(b"123456").is_err());
    }

    #[test]
    fn a_record_counts_its_own_length() {
        let mut pax = Pax::default();
        pax.record("path", &[b'x'; 89]);
        assert!(
            pax.records.starts_with(b"98 path="),
            "{:?}",
            String::from_utf8(pax.records)
        );
        let mut pax = Pax::default();
        pax.record("path", &[b'x'; 92]);
        assert!(
            pax.records.starts_with(b"102 path="),
            "{:?}",
            String::from_utf8(pax.records)
        );
    }
}
