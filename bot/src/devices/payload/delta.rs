//! Makes a delta payload: what of each partition is not on the device already.

use std::path::Path;

use sha2::{Digest as _, Sha256};
use windlass_core::device::payload::codec::Zstd;
use windlass_core::device::payload::delta::moved::{BlockId, parts};
use windlass_core::device::payload::delta::similar::{Fingerprints, Index};
use windlass_core::device::payload::delta::{self, Part};
use windlass_core::device::payload::{
    BLOCK, Extent, MINOR_DELTA, Manifest, Operation, Partition, PartitionInfo, PartitionName, full,
};

use super::assemble::Assembly;
use super::encoder::Encoder;
use super::generate::different;
use super::{Cache, Generated, ImagePart, PayloadError, SigningKey, Work};
use crate::devices::ordered::in_order;

/// What a delta payload is made from, and how.
#[derive(Debug)]
pub struct DeltaOrder {
    /// What the partitions hold, and what they will hold.
    pub partitions: Vec<ChangedPartition>,
    /// What signs it.
    pub key: Option<SigningKey>,
    /// Whether the devices understand Zstandard.
    pub zstd: Zstd,
    /// Where compressed chunks are kept.
    pub cache: Option<Cache>,
    /// The newest time of a build in it, in seconds since 1970.
    pub max_timestamp: Option<i64>,
}

/// What a partition holds and what it will hold.
#[derive(Debug)]
pub struct ChangedPartition {
    /// Its name on the device.
    pub name: PartitionName,
    /// Its content now.
    pub old: ImagePart,
    /// Its content then.
    pub new: ImagePart,
}

/// How much of an image one thread looks at.
const PIECE: u64 = 1 << 20;

/// A patch this much smaller than what it makes is not held against what a compressor would make of it.
const CLEARLY: usize = 8;

/// Makes a delta payload. The file is there when all of it is.
///
/// # Errors
/// An image cannot be read, the payload cannot be written, the names are not different ones, or the word to stop came.
pub fn delta(order: &DeltaOrder, work: &Work<'_>, out: &Path) -> Result<Generated, PayloadError> {
    different(order.partitions.iter().map(|partition| &partition.name))?;
    let content = order.partitions.iter().map(|partition| partition.new.size()).sum();
    let encoder = Encoder::new(order.zstd, order.cache.as_ref());
    let mut assembly = Assembly::begin(out)?;
    let mut done = 0;
    let mut partitions = Vec::new();
    for partition in &order.partitions {
        let old = look(&partition.old, Some(Fingerprints::of_image(partition.old.size())), work)?;
        let new = look(&partition.new, None, work)?;
        let index = old.index.complete();
        // A last block that is not whole is no source: devices read whole ones.
        let whole = usize::try_from(partition.old.size() / BLOCK as u64).unwrap_or(usize::MAX);
        let ids = old.ids.get(..whole).unwrap_or(&old.ids);
        let maker = Maker {
            partition,
            old_blocks: ids.len() as u64,
            index: &index,
            encoder: &encoder,
        };
        let mut planned = parts(ids, &new.ids).into_iter();
        let mut operations: Vec<Operation> = Vec::new();
        in_order(
            work.jobs,
            || Ok(planned.next()),
            |part| maker.make(part),
            |(mut operation, data, size): (Operation, Vec<u8>, usize)| {
                assembly.add(&mut operation, &data)?;
                operations.push(operation);
                done += size as u64;
                work.step(done.min(content), content)
            },
        )?;
        partitions.push(Partition {
            name: partition.name.to_string(),
            old: Some(old.info),
            new: Some(new.info),
            operations,
        });
    }
    let operations = partitions.iter().map(|partition| partition.operations.len()).sum();
    let manifest = Manifest {
        block_size: u32::try_from(BLOCK).ok(),
        minor_version: Some(MINOR_DELTA),
        partitions,
        max_timestamp: order.max_timestamp,
        ..Manifest::default()
    };
    let properties = assembly.finish(manifest, order.key.as_ref(), work)?;
    if let Some(cache) = &order.cache {
        cache.trim();
    }
    Ok(Generated {
        properties,
        content,
        operations,
    })
}

/// What was seen of an image.
struct Looked {
    ids: Vec<BlockId>,
    index: Index,
    info: PartitionInfo,
}

/// What was seen of a piece of it.
struct Piece {
    first_block: u64,
    bytes: Vec<u8>,
    ids: Vec<BlockId>,
    fingerprints: Vec<(usize, u64)>,
}

/// Reads an image once: its digest, its blocks' digests, and fingerprints if they are wanted.
fn look(image: &ImagePart, fingerprints: Option<Fingerprints>, work: &Work<'_>) -> Result<Looked, PayloadError> {
    let mut hash = Sha256::new();
    let mut looked = Looked {
        ids: Vec::new(),
        index: Index::default(),
        info: PartitionInfo {
            size: Some(image.size()),
            hash: None,
        },
    };
    let mut offset = 0;
    in_order(
        work.jobs,
        || {
            let begin = offset;
            offset += PIECE;
            Ok((begin < image.size()).then_some(begin))
        },
        |begin| {
            let length = usize::try_from((image.size() - begin).min(PIECE)).unwrap_or(0);
            let mut bytes = vec![0; length];
            image.read(begin, &mut bytes)?;
            let mut piece = Piece {
                first_block: begin / BLOCK as u64,
                ids: Vec::new(),
                fingerprints: Vec::new(),
                bytes,
            };
            if let Some(fingerprints) = fingerprints {
                fingerprints.each(&piece.bytes, |at, hash| piece.fingerprints.push((at, hash)));
            }
            piece.ids = piece
                .bytes
                .chunks(BLOCK)
                .map(|block| match block.len() {
                    BLOCK => BlockId::of(block),
                    _ => BlockId::of(&full::padded(block.to_vec())),
                })
                .collect();
            Ok(piece)
        },
        |piece: Piece| {
            hash.update(&piece.bytes);
            looked.ids.extend(piece.ids);
            looked.index.add(piece.first_block, &piece.fingerprints);
            work.step(0, 0)
        },
    )?;
    looked.info.hash = Some(hash.finalize().to_vec());
    Ok(looked)
}

/// Makes operations of parts.
struct Maker<'a> {
    partition: &'a ChangedPartition,
    old_blocks: u64,
    index: &'a Index,
    encoder: &'a Encoder<'a>,
}

impl Maker<'_> {
    /// The operation, its data, and how many bytes it makes.
    fn make(&self, part: Part) -> Result<(Operation, Vec<u8>, usize), PayloadError> {
        match part {
            Part::Zero(destination) => {
                let size = delta::bytes(&destination);
                Ok((delta::zeroing(destination), Vec::new(), size))
            }
            Part::Copy { source, destination } => {
                let content = read(&self.partition.old, &source)?;
                let operation = delta::copying(source, destination, &content);
                Ok((operation, Vec::new(), content.len()))
            }
            Part::Changed { destination, near } => self.changed(destination, &near),
        }
    }

    fn changed(&self, destination: Vec<Extent>, near: &[u64]) -> Result<(Operation, Vec<u8>, usize), PayloadError> {
        let new = read(&self.partition.new, &destination)?;
        let mut fingerprints = Vec::new();
        Fingerprints::of_image(self.partition.old.size()).each(&new, |at, hash| fingerprints.push((at, hash)));
        let source = self.index.resembling(&fingerprints, near, self.old_blocks);
        let old = read(&self.partition.old, &source)?;
        let patch = if source.is_empty() {
            None
        } else {
            let patch = delta::patch(&old, &new);
            Some(patch.map_err(PayloadError::file(self.partition.old.path()))?)
        };
        match patch {
            Some(patch) if patch.len() * CLEARLY <= new.len() => {
                let operation = delta::patching(source, destination, &old, &patch);
                Ok((operation, patch, new.len()))
            }
            patch => {
                let packed = self.encoder.encode(&new);
                match patch {
                    Some(patch) if patch.len() < packed.data.len() => {
                        let operation = delta::patching(source, destination, &old, &patch);
                        Ok((operation, patch, new.len()))
                    }
                    _ => Ok((full::operation(destination, &packed), packed.data, new.len())),
                }
            }
        }
    }
}

/// The bytes of these blocks; what a last one lacks is zeros.
fn read(image: &ImagePart, extents: &[Extent]) -> Result<Vec<u8>, PayloadError> {
    let mut bytes = vec![0; delta::bytes(extents)];
    let mut rest = &mut bytes[..];
    for extent in extents {
        let (into, behind) = rest.split_at_mut(delta::bytes(std::slice::from_ref(extent)));
        rest = behind;
        let offset = extent.start_block() * BLOCK as u64;
        let there = usize::try_from(image.size().saturating_sub(offset)).unwrap_or(usize::MAX);
        let length = into.len().min(there);
        image.read(offset, &mut into[..length])?;
    }
    Ok(bytes)
}
