//! The partitions of a disk image with a GPT: found, and written.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use gpt::GptConfig;
use gpt::disk::LogicalBlockSize;
use gpt::mbr::ProtectiveMBR;
use gpt::partition::Partition;
use sha2::{Digest as _, Sha256};
use windlass_core::hex::hex;

use super::payload::{ImagePart, PayloadError};

/// The most entries of a table; usual are 128.
const MOST: u32 = 1024;
/// The size of an entry that is read; no other one is in use.
const ENTRY: u32 = 128;

/// Where partitions begin: at multiples of this, as usual.
const ALIGNED: u64 = 1 << 20;

/// The blocks of the disks that are written.
const BLOCK: u64 = 512;

/// A partition of a disk image.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct GptPartition {
    /// Its number, from 1 on.
    pub number: u32,
    /// Its name, as the image says it.
    pub name: String,
    /// Where it begins, in bytes.
    pub start: u64,
    /// How many bytes it has.
    pub size: u64,
}

/// The partitions of a disk image, by their numbers.
///
/// # Errors
/// It cannot be read, has no GPT, or one whose partitions are not inside the image.
pub fn partitions(image: &Path) -> Result<Vec<GptPartition>, PayloadError> {
    let file = File::open(image).map_err(PayloadError::file(image))?;
    read(&file).map_err(|error| {
        PayloadError::Asked(format!(
            "'{}' has no partition table that can be read: {error}\n\nhint: a disk image with a GPT is needed; `sfdisk --dump IMAGE` shows what it has",
            image.display()
        ))
    })
}

/// One of them, by its number.
///
/// # Errors
/// As [`partitions`]; or there is none of this number.
pub fn partition(image: &Path, number: u32) -> Result<ImagePart, PayloadError> {
    let partitions = partitions(image)?;
    let found = partitions.iter().find(|partition| partition.number == number);
    let found = found.ok_or_else(|| {
        let numbers: Vec<String> = partitions
            .iter()
            .map(|partition| partition.number.to_string())
            .collect();
        PayloadError::Asked(format!(
            "'{}' has no partition {number}\n\nhint: it has {}",
            image.display(),
            numbers.join(", ")
        ))
    })?;
    let file = File::open(image).map_err(PayloadError::file(image))?;
    ImagePart::of(image, file, found.start, found.size)
}

/// Writes a disk with these partitions, by name, in this order, each with all that a file holds. The same ones make the same bytes; what is
/// zero in a file is a hole in the disk.
///
/// # Errors
/// A file cannot be read, or the disk cannot be written.
pub fn write(disk: &Path, contents: &[(String, ImagePart)]) -> Result<(), PayloadError> {
    let written = || -> io::Result<()> {
        let mut file = File::options().read(true).write(true).create_new(true).open(disk)?;
        let mut at = ALIGNED;
        let mut table = BTreeMap::new();
        let mut places = Vec::new();
        for (number, (name, content)) in (1..).zip(contents) {
            let guid = fixed_uuid(&format!("partition {name}"));
            let partition = Partition {
                part_type_guid: gpt::partition_types::LINUX_FS,
                part_guid: guid.parse().map_err(io::Error::other)?,
                first_lba: at / BLOCK,
                last_lba: (at + content.size()).div_ceil(BLOCK) - 1,
                flags: 0,
                name: name.clone(),
            };
            table.insert(number, partition);
            places.push((at, content));
            at = (at + content.size()).next_multiple_of(ALIGNED);
        }
        // The second table is at the end.
        let size = at + ALIGNED;
        file.set_len(size)?;
        let sectors = u32::try_from(size / BLOCK - 1).unwrap_or(u32::MAX);
        ProtectiveMBR::with_lb_size(sectors)
            .overwrite_lba0(&mut file)
            .map_err(io::Error::other)?;
        let guid = fixed_uuid("disk").parse().map_err(io::Error::other)?;
        let config = GptConfig::new()
            .writable(true)
            .logical_block_size(LogicalBlockSize::Lb512);
        let mut gpt = config.create_from_device(file, Some(guid)).map_err(io::Error::other)?;
        gpt.update_partitions(table).map_err(io::Error::other)?;
        let file = gpt.write().map_err(io::Error::other)?;
        for (at, content) in places {
            let mut done = 0;
            let mut buffer = vec![0; 1 << 20];
            while done < content.size() {
                let length = usize::try_from(content.size() - done).map_or(buffer.len(), |left| left.min(buffer.len()));
                let piece = &mut buffer[..length];
                content.read(done, piece).map_err(io::Error::other)?;
                if piece.iter().any(|byte| *byte != 0) {
                    file.write_all_at(piece, at + done)?;
                }
                done += length as u64;
            }
        }
        Ok(())
    };
    written().map_err(PayloadError::file(disk))
}

/// A UUID that follows from a text alone.
pub(crate) fn fixed_uuid(text: &str) -> String {
    let mut bytes = Sha256::digest(format!("windlass {text}"));
    // One that is made of a name, says its version.
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let digits = hex(&bytes[..16]);
    let parts = [
        &digits[..8],
        &digits[8..12],
        &digits[12..16],
        &digits[16..20],
        &digits[20..],
    ];
    parts.join("-")
}

fn read(file: &File) -> io::Result<Vec<GptPartition>> {
    let size = io::Seek::seek(&mut &*file, io::SeekFrom::End(0))?;
    let block = [LogicalBlockSize::Lb512, LogicalBlockSize::Lb4096]
        .into_iter()
        .find(|block| header(file, block.as_u64()).is_some())
        .ok_or_else(|| io::Error::other("there is no GPT"))?;
    // What the crate takes for granted.
    for at in [block.as_u64(), size.saturating_sub(block.as_u64())] {
        if header(file, at).is_some_and(|(entries, entry)| entries > MOST || entry != ENTRY) {
            return Err(io::Error::other(
                "its entries have another size or number than is usual",
            ));
        }
    }
    let config = GptConfig::new().writable(false).logical_block_size(block);
    let disk = config.open_from_device(file).map_err(io::Error::other)?;
    let partitions = disk.partitions().iter().filter(|(_, entry)| entry.is_used());
    partitions
        .map(|(number, entry)| {
            let partition = GptPartition {
                number: *number,
                name: entry.name.clone(),
                start: entry.bytes_start(block)?,
                size: entry.bytes_len(block)?,
            };
            let end = partition.start.checked_add(partition.size);
            if end.is_none_or(|end| end > size) {
                return Err(io::Error::other(format!(
                    "partition {number} reaches behind the image's end"
                )));
            }
            Ok(partition)
        })
        .collect()
}

/// How many entries a header here says that there are, and of which size.
fn header(file: &File, at: u64) -> Option<(u32, u32)> {
    let mut header = [0; 92];
    file.read_exact_at(&mut header, at).ok()?;
    let number = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    header.starts_with(b"EFI PART").then(|| (number(80), number(84)))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A disk image with these partitions of whole MiB, each filled with its content.
    pub(crate) fn disk(path: &Path, contents: &[&[u8]]) {
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(path)
            .unwrap();
        file.set_len((contents.len() as u64 + 4) << 20).unwrap();
        let mut disk = GptConfig::new().writable(true).create_from_device(file, None).unwrap();
        disk.update_partitions(BTreeMap::new()).unwrap();
        let mut places = Vec::new();
        for (number, content) in contents.iter().enumerate() {
            let start = 2048 * (number as u64 + 1);
            let kind = gpt::partition_types::LINUX_FS;
            disk.add_partition_at(
                &format!("part{number}"),
                u32::try_from(number).unwrap() + 1,
                start,
                2048,
                kind,
                0,
            )
            .unwrap();
            places.push((start * 512, *content));
        }
        let file = disk.write().unwrap();
        for (at, content) in places {
            file.write_all_at(content, at).unwrap();
        }
    }

    #[test]
    fn a_disk_that_was_written_is_read_and_is_always_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let content = |name: &str, bytes: &[u8]| {
            let path = dir.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            (name.to_owned(), ImagePart::file(&path).unwrap())
        };
        let contents = [
            content("stateful", &[7; 5000]),
            content("root", &vec![9; (3 << 20) + 512]),
        ];
        for disk in ["one", "two"] {
            write(&dir.path().join(disk), &contents).unwrap();
        }
        let one = std::fs::read(dir.path().join("one")).unwrap();
        assert!(one == std::fs::read(dir.path().join("two")).unwrap());
        assert_eq!(&one[510..512], [0x55, 0xaa]);
        let found = partitions(&dir.path().join("one")).unwrap();
        let seen: Vec<(&str, u64, u64)> = found
            .iter()
            .map(|part| (part.name.as_str(), part.start, part.size))
            .collect();
        assert_eq!(seen, [("stateful", 1 << 20, 5120), ("root", 2 << 20, (3 << 20) + 512)]);
        let mut bytes = vec![0; (3 << 20) + 512];
        partition(&dir.path().join("one"), 2)
            .unwrap()
            .read(0, &mut bytes)
            .unwrap();
        assert!(bytes.iter().all(|byte| *byte == 9));
    }

    #[test]
    fn partitions_are_found_and_read() {
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("disk");
        disk(&image, &[b"stateful", b"kernel", b"root"]);
        let found = partitions(&image).unwrap();
        let names: Vec<&str> = found.iter().map(|partition| partition.name.as_str()).collect();
        assert_eq!(names, ["part0", "part1", "part2"]);
        let part = partition(&image, 3).unwrap();
        assert_eq!(part.size(), 1 << 20);
        let mut bytes = [0; 4];
        part.read(0, &mut bytes).unwrap();
        assert_eq!(&bytes, b"root");
        let error = partition(&image, 9).unwrap_err().to_string();
        assert!(error.contains("hint: it has 1, 2, 3"), "{error}");
    }

    #[test]
    fn what_is_no_disk_is_told_and_does_no_harm() {
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("disk");
        disk(&image, &[b"stateful"]);
        let whole = std::fs::read(&image).unwrap();
        // Every byte of the first header and table entry, one after the other, and entries of another size.
        let sound = partitions(&image).unwrap();
        for at in (512..604).chain(1024..1152) {
            let mut damaged = whole.clone();
            damaged[at] ^= 0xff;
            std::fs::write(&image, &damaged).unwrap();
            if let Ok(found) = partitions(&image) {
                assert_eq!(found, sound, "byte {at}");
            }
        }
        for bytes in [&b""[..], b"EFI PART", &whole[..2000]] {
            std::fs::write(&image, bytes).unwrap();
            let error = partitions(&image).unwrap_err().to_string();
            assert!(error.contains("hint: "), "{error}");
        }
        assert!(matches!(
            partitions(&dir.path().join("none")),
            Err(PayloadError::File { .. })
        ));
    }
}
