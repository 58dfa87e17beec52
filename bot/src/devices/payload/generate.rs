//! Makes a full payload: every block of every image, in chunks.

use std::path::Path;

use sha2::{Digest as _, Sha256};
use windlass_core::device::payload::chunk::{Cutter, LARGEST};
use windlass_core::device::payload::codec::Zstd;
use windlass_core::device::payload::{
    BLOCK, Extent, MINOR_FULL, Manifest, Operation, Partition, PartitionInfo, PartitionName, Properties, blocks, full,
    limits,
};

use super::assemble::Assembly;
use super::encoder::Encoder;
use super::{Cache, ImagePart, PayloadError, SigningKey, Work};
use crate::devices::ordered::in_order;

/// What a payload is made from, and how.
#[derive(Debug)]
pub struct GenerateOrder {
    /// What the partitions will hold.
    pub partitions: Vec<NewPartition>,
    /// What signs it.
    pub key: Option<SigningKey>,
    /// Whether the devices understand Zstandard.
    pub zstd: Zstd,
    /// Where compressed chunks are kept.
    pub cache: Option<Cache>,
    /// The newest time of a build in it, in seconds since 1970.
    pub max_timestamp: Option<i64>,
}

/// What a partition will hold.
#[derive(Debug)]
pub struct NewPartition {
    /// Its name on the device.
    pub name: PartitionName,
    /// Its content.
    pub image: ImagePart,
}

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Generated {
    /// What the payload is known by.
    pub properties: Properties,
    /// How many bytes the partitions have.
    pub content: u64,
    /// How many operations make them.
    pub operations: usize,
}

/// Makes a full payload. The file is there when all of it is.
///
/// # Errors
/// An image cannot be read, the payload cannot be written, the names are not different ones, or the word to stop came.
pub fn generate(order: &GenerateOrder, work: &Work<'_>, out: &Path) -> Result<Generated, PayloadError> {
    different(order.partitions.iter().map(|partition| &partition.name))?;
    let content = order.partitions.iter().map(|partition| partition.image.size()).sum();
    let encoder = Encoder::new(order.zstd, order.cache.as_ref());
    let mut assembly = Assembly::begin(out)?;
    let mut done = 0;
    let mut partitions = Vec::new();
    for partition in &order.partitions {
        let mut chunks = Chunks::new(&partition.image);
        let mut operations: Vec<Operation> = Vec::new();
        in_order(
            work.jobs,
            || chunks.next(),
            |chunk: Chunk| {
                let data = full::padded(chunk.data);
                let extent = Extent::new(chunk.first, blocks(data.len() as u64));
                let packed = encoder.encode(&data);
                let operation = full::operation(vec![extent], &packed);
                Ok((operation, packed.data, data.len() as u64))
            },
            |(mut operation, data, size)| {
                assembly.add(&mut operation, &data)?;
                operations.push(operation);
                done += size;
                work.step(done.min(content), content)
            },
        )?;
        partitions.push(Partition {
            name: partition.name.to_string(),
            old: None,
            new: Some(chunks.info()),
            operations,
        });
    }
    let operations = partitions.iter().map(|partition| partition.operations.len()).sum();
    let manifest = Manifest {
        block_size: u32::try_from(BLOCK).ok(),
        minor_version: Some(MINOR_FULL),
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

/// There are partitions, not too many, and no two of one name.
pub(super) fn different<'a>(names: impl Iterator<Item = &'a PartitionName>) -> Result<(), PayloadError> {
    let mut seen = Vec::new();
    for name in names {
        if seen.contains(&name) {
            return Err(PayloadError::Asked(format!("partition {name} is named twice")));
        }
        seen.push(name);
    }
    match seen.len() {
        0 => Err(PayloadError::Asked("a payload needs a partition".to_owned())),
        1..=limits::PARTITIONS => Ok(()),
        many => Err(PayloadError::Asked(format!(
            "{many} partitions are named; {} are the most",
            limits::PARTITIONS
        ))),
    }
}

/// A chunk of an image.
struct Chunk {
    /// Its first block.
    first: u64,
    data: Vec<u8>,
}

/// Reads an image chunk by chunk, and digests it on the way.
struct Chunks<'a> {
    image: &'a ImagePart,
    cutter: Cutter,
    hash: Sha256,
    /// How much was read, and what of it is in no chunk yet.
    at: u64,
    buffer: Vec<u8>,
    used: usize,
    /// The next chunk's first block.
    first: u64,
}

/// How much is read at once.
const READ: usize = 1 << 20;

impl<'a> Chunks<'a> {
    fn new(image: &'a ImagePart) -> Self {
        Self {
            image,
            cutter: Cutter::default(),
            hash: Sha256::new(),
            at: 0,
            buffer: Vec::new(),
            used: 0,
            first: 0,
        }
    }

    fn next(&mut self) -> Result<Option<Chunk>, PayloadError> {
        let mut data = Vec::with_capacity(LARGEST);
        loop {
            if self.used == self.buffer.len() && !self.fill()? {
                break;
            }
            let rest = &self.buffer[self.used..];
            let block = &rest[..rest.len().min(BLOCK)];
            data.extend_from_slice(block);
            self.used += block.len();
            if self.cutter.ends_after(block) {
                break;
            }
        }
        if data.is_empty() {
            return Ok(None);
        }
        let first = self.first;
        self.first += blocks(data.len() as u64);
        Ok(Some(Chunk { first, data }))
    }

    fn fill(&mut self) -> Result<bool, PayloadError> {
        let left = self.image.size() - self.at;
        self.buffer
            .resize(usize::try_from(left).map_or(READ, |left| left.min(READ)), 0);
        self.used = 0;
        self.image.read(self.at, &mut self.buffer)?;
        self.hash.update(&self.buffer);
        self.at += self.buffer.len() as u64;
        Ok(!self.buffer.is_empty())
    }

    fn info(self) -> PartitionInfo {
        PartitionInfo {
            size: Some(self.at),
            hash: Some(self.hash.finalize().to_vec()),
        }
    }
}
