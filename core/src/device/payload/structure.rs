//! Judges a manifest before anything is done with it: every operation is one that can be carried out, every block is written
//! exactly once, the blobs lie one after the other in the operations' order, and the signature is the last of them.

use super::cover::Cover;
use super::limits;
use super::message::{Action, Codec, Extent, Kind, Manifest, Operation, Partition, PartitionInfo};
use super::problem::{Place, Problem};
use super::{BLOCK, Digest, Header, PartitionName, blocks};

/// Where things are in a payload whose manifest is in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Where the first blob begins.
    pub blobs: u64,
    /// How many bytes of blobs there are, the signature not counted.
    pub blobs_size: u64,
    /// The size of the payload's signature, which follows the blobs; 0 where there is none.
    pub signature_size: u64,
    /// The partitions, in the manifest's order.
    pub partitions: Vec<Sizes>,
}

/// What a partition was, if that matters, and what it becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sizes {
    /// The partition.
    pub name: PartitionName,
    /// What a delta starts from.
    pub old: Option<Content>,
    /// What comes of it.
    pub new: Content,
}

/// What a partition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content {
    /// Its size in bytes.
    pub size: u64,
    /// SHA-256 of so many bytes.
    pub hash: Digest,
}

impl Layout {
    /// The size of the whole payload.
    pub fn size(&self) -> u64 {
        self.blobs + self.blobs_size + self.signature_size
    }
}

/// Judges header and manifest together.
///
/// # Errors
/// All that is wrong, at most [`limits::PROBLEMS`].
pub fn check(header: &Header, manifest: &Manifest) -> Result<Layout, Vec<Problem>> {
    let mut check = Check::default();
    check.manifest(manifest);
    let partitions: Vec<Sizes> = manifest
        .partitions
        .iter()
        .enumerate()
        .filter_map(|(index, partition)| check.partition(manifest, index, partition))
        .collect();
    let signature_size = check.signature(header, manifest);
    if check.problems.is_empty() {
        Ok(Layout {
            blobs: header.blobs(),
            blobs_size: check.data,
            signature_size,
            partitions,
        })
    } else {
        check.problems.truncate(limits::PROBLEMS);
        Err(check.problems)
    }
}

/// What was found so far.
#[derive(Default)]
struct Check {
    problems: Vec<Problem>,
    names: Vec<PartitionName>,
    /// Where the next blob has to begin.
    data: u64,
}

impl Check {
    fn wrong(&mut self, place: Place, what: impl Into<String>) {
        self.problems.push(Problem {
            place,
            what: what.into(),
        });
    }

    fn manifest(&mut self, manifest: &Manifest) {
        if manifest.block_size.is_some_and(|size| size as usize != BLOCK) {
            let said = manifest.block_size();
            self.wrong(
                Place::Manifest,
                format!("says blocks of {said} bytes; they have {BLOCK}"),
            );
        }
        match manifest.minor_version() {
            super::MINOR_FULL | super::MINOR_DELTA.. => {}
            old => self.wrong(
                Place::Manifest,
                format!("says minor version {old}; known are 0 (full) and those from 4 on (delta)"),
            ),
        }
        if manifest.partitions.is_empty() {
            self.wrong(Place::Manifest, "names no partition");
        }
    }

    fn partition(&mut self, manifest: &Manifest, index: usize, partition: &Partition) -> Option<Sizes> {
        let Ok(name) = partition.name.parse::<PartitionName>() else {
            self.wrong(Place::NthPartition(index + 1), "has a name that cannot be one");
            return None;
        };
        let place = Place::Partition(name.clone());
        if self.names.contains(&name) {
            self.wrong(place, "comes twice");
            return None;
        }
        self.names.push(name.clone());
        let new = self.content(&place, "new", partition.new.as_ref());
        let old = match &partition.old {
            Some(_) if manifest.is_full() => {
                self.wrong(place.clone(), "says what it was, in a full payload");
                None
            }
            Some(old) => self.content(&place, "old", Some(old)),
            None => None,
        };
        let new = new?;
        let mut cover = Cover::default();
        for (index, operation) in partition.operations.iter().enumerate() {
            let limits = Room {
                old: old.map_or(0, |old| old.size / BLOCK as u64),
                new: blocks(new.size),
                full: manifest.is_full(),
            };
            if let Err(what) = self.operation(operation, &limits, &mut cover) {
                let partition = name.clone();
                self.wrong(Place::Operation { partition, index }, what);
            }
            // One is enough to know that the others' places are not right either.
            if self.problems.len() >= limits::PROBLEMS {
                return None;
            }
        }
        if let Err(what) = cover.exactly(blocks(new.size)) {
            self.wrong(place, what);
        }
        Some(Sizes { name, old, new })
    }

    fn content(&mut self, place: &Place, which: &str, info: Option<&PartitionInfo>) -> Option<Content> {
        let size = info.map_or(0, PartitionInfo::size);
        if size == 0 || size > limits::PARTITION {
            let most = limits::PARTITION;
            self.wrong(
                place.clone(),
                format!("has a {which} size of {size} bytes; it has 1 to {most}"),
            );
            return None;
        }
        let hash = info.and_then(|info| Digest::of_bytes(info.hash()));
        if hash.is_none() {
            self.wrong(place.clone(), format!("has no SHA-256 of its {which} content"));
        }
        Some(Content { size, hash: hash? })
    }

    /// One operation; what is wrong with it is the rest of a sentence.
    fn operation(&mut self, operation: &Operation, room: &Room, cover: &mut Cover) -> Result<(), String> {
        let action = action(operation, room.full)?;
        let name = operation.known().map_or("", Kind::name);
        let destination = extents(&operation.dst_extents, room.new, "the new partition")?;
        for extent in &operation.dst_extents {
            cover.add(extent.start_block(), extent.num_blocks());
        }
        let bytes = destination * BLOCK as u64;
        lengths_agree(operation.dst_length, bytes, "writes")?;
        if matches!(action, Action::Unpack(_) | Action::Patch) {
            self.data(operation, bytes)?;
        } else if operation.data_length() != 0 || operation.data_hash.is_some() {
            return Err(format!("it is {name} and brings data"));
        }
        match action {
            Action::Unpack(Codec::Stored) if operation.data_length() != bytes => {
                return Err(format!("its {} bytes are to fill {bytes}", operation.data_length()));
            }
            Action::Unpack(Codec::Bzip2 | Codec::Xz | Codec::Zstd) if operation.data_length() >= bytes => {
                return Err(format!("it is {name}, and its data is no smaller than what it makes"));
            }
            Action::Unpack(_) | Action::Zero => {
                let reads = !operation.src_extents.is_empty() || operation.src_hash.is_some();
                return if reads {
                    Err(format!("it is {name} and reads the old partition"))
                } else {
                    Ok(())
                };
            }
            Action::Copy | Action::Patch => {}
        }
        let source = extents(&operation.src_extents, room.old, "the old partition")?;
        lengths_agree(operation.src_length, source * BLOCK as u64, "reads")?;
        if Digest::of_bytes(operation.src_hash()).is_none() {
            return Err("it reads the old partition and has no SHA-256 of what it has to find there".to_owned());
        }
        if action == Action::Copy && source != destination {
            return Err(format!("it copies {source} blocks into {destination}"));
        }
        if action == Action::Patch && source * BLOCK as u64 > limits::OUTPUT {
            return Err(format!("it reads {source} blocks at once"));
        }
        Ok(())
    }

    fn data(&mut self, operation: &Operation, bytes: u64) -> Result<(), String> {
        let (offset, length) = (operation.data_offset(), operation.data_length());
        if length == 0 || length > limits::DATA {
            return Err(format!("its data has {length} bytes; it has 1 to {}", limits::DATA));
        }
        let expected = self.data;
        // Whatever is wrong here, what follows is judged by where it says that it is.
        self.data = offset.saturating_add(length);
        if offset != expected {
            return Err(format!(
                "its data begins at {offset}; what is before it ends at {expected}"
            ));
        }
        if Digest::of_bytes(operation.data_hash()).is_none() {
            return Err("its data has no SHA-256".to_owned());
        }
        if bytes > limits::OUTPUT {
            return Err(format!(
                "it makes {bytes} bytes at once; {} are the most",
                limits::OUTPUT
            ));
        }
        Ok(())
    }

    fn signature(&mut self, header: &Header, manifest: &Manifest) -> u64 {
        let size = manifest.signatures_size();
        if size > limits::SIGNATURE {
            let most = limits::SIGNATURE;
            self.wrong(
                Place::PayloadSignature,
                format!("is said to have {size} bytes; {most} are the most"),
            );
        }
        if (size == 0) != (header.signature_size == 0) {
            self.wrong(
                Place::Payload,
                "is signed by half: of the metadata's and the payload's signature, one is missing",
            );
        }
        let offset = manifest.signatures_offset.unwrap_or(self.data);
        if size > 0 && offset != self.data {
            let expected = self.data;
            self.wrong(
                Place::PayloadSignature,
                format!("begins at {offset}; the blobs end at {expected}"),
            );
        }
        size
    }
}

/// How many blocks there are.
struct Room {
    /// Whole blocks that can be read.
    old: u64,
    /// Blocks to write, the last one perhaps in part.
    new: u64,
    full: bool,
}

/// What it does, if a payload of this sort may have it done.
fn action(operation: &Operation, full: bool) -> Result<Action, String> {
    let kind = operation
        .known()
        .ok_or_else(|| format!("its kind, {}, is not known", operation.kind))?;
    match operation.action() {
        None => Err(format!("it is {}, which this program does not apply", kind.name())),
        Some(Action::Copy | Action::Patch | Action::Zero) if full => {
            Err(format!("it is {}, which a full payload must not have", kind.name()))
        }
        Some(action) => Ok(action),
    }
}

/// How many blocks these are; none of them is outside.
fn extents(extents: &[Extent], room: u64, of: &str) -> Result<u64, String> {
    if extents.is_empty() {
        return Err(format!("it names no blocks of {of}"));
    }
    let mut total: u64 = 0;
    for extent in extents {
        let (start, count) = (extent.start_block(), extent.num_blocks());
        let end = start.checked_add(count).filter(|end| *end <= room && count > 0);
        if end.is_none() {
            return Err(format!(
                "it names {count} blocks from block {start} on, and {of} has {room}"
            ));
        }
        total = total.saturating_add(count);
    }
    if total > limits::PARTITION / BLOCK as u64 {
        return Err(format!("it names {total} blocks of {of}"));
    }
    Ok(total)
}

fn lengths_agree(said: Option<u64>, bytes: u64, verb: &str) -> Result<(), String> {
    match said {
        Some(said) if said != bytes => Err(format!("it says that it {verb} {said} bytes; its blocks have {bytes}")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
