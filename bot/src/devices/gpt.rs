//! The partitions of a disk image with a GPT.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use gpt::GptConfig;
use gpt::disk::LogicalBlockSize;

use super::payload::{ImagePart, PayloadError};

/// The most entries of a table; usual are 128.
const MOST: u32 = 1024;
/// The size of an entry that is read; no other one is in use.
const ENTRY: u32 = 128;

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
    use std::collections::BTreeMap;

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
