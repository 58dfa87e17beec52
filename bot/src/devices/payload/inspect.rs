//! Shows what is in a payload, without believing it.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use windlass_core::device::payload::{Extent, Kind, Manifest, Operation, Partition, PartitionInfo, Problem};
use windlass_core::escape::escaped;
use windlass_core::hex::hex;

use super::PayloadError;
use super::incoming::Incoming;
use super::verify::open;

/// What a payload says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Inspection {
    /// The file's size in bytes.
    pub size: u64,
    /// Whether it is a full one.
    pub full: bool,
    /// Its minor version.
    pub minor_version: u32,
    /// The size in bytes of header and manifest.
    pub metadata_size: u64,
    /// Whether it carries signatures; nobody has verified them.
    pub signed: bool,
    /// The newest time of a build in it, in seconds since 1970.
    pub max_timestamp: Option<i64>,
    /// What it makes.
    pub partitions: Vec<PartitionShown>,
    /// What is wrong with its form.
    pub problems: Vec<Problem>,
}

/// What a payload says about one partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PartitionShown {
    /// Its name.
    pub name: String,
    /// The size in bytes and the SHA-256, in hexadecimal digits, of what a delta starts from.
    pub old: Option<(u64, String)>,
    /// The same of what comes of it.
    pub new: Option<(u64, String)>,
    /// By kind of operation: how many there are, how many blocks they write, how many bytes of data they have.
    pub kinds: BTreeMap<String, (u64, u64, u64)>,
    /// All operations, if they were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub operations: Vec<OperationShown>,
}

/// One operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OperationShown {
    /// Its kind.
    pub kind: String,
    /// Where its data begins, from the first blob on.
    pub data_offset: Option<u64>,
    /// How many bytes it has.
    pub data_length: Option<u64>,
    /// First block and number of blocks of what it reads.
    pub reads: Vec<(u64, u64)>,
    /// First block and number of blocks of what it writes.
    pub writes: Vec<(u64, u64)>,
}

/// Reads what a payload says about itself.
///
/// # Errors
/// The file cannot be read, or is no payload.
pub fn inspect(path: &Path, with_operations: bool) -> Result<Inspection, PayloadError> {
    let (mut reader, size) = open(path)?;
    let mut incoming = Incoming::new(&mut reader);
    let metadata = incoming.metadata()?;
    let mut problems = match metadata.layout() {
        Ok(layout) if layout.size() != size => vec![Problem {
            place: windlass_core::device::payload::Place::Payload,
            what: format!("ends after {} bytes, and the file has {size}", layout.size()),
        }],
        Ok(_) => Vec::new(),
        Err(problems) => problems,
    };
    problems.extend(metadata.judge(None).err());
    let manifest = &metadata.manifest;
    Ok(Inspection {
        size,
        full: manifest.is_full(),
        minor_version: manifest.minor_version(),
        metadata_size: metadata.header.metadata_size(),
        signed: metadata.header.signature_size > 0,
        max_timestamp: manifest.max_timestamp,
        partitions: manifest
            .partitions
            .iter()
            .map(|partition| shown(partition, with_operations))
            .collect(),
        problems,
    })
}

/// A payload's manifest. Nothing in it is verified.
///
/// # Errors
/// The file cannot be read, or is no payload.
pub fn manifest(path: &Path) -> Result<Manifest, PayloadError> {
    let (mut reader, _) = open(path)?;
    Ok(Incoming::new(&mut reader).metadata()?.manifest)
}

fn shown(partition: &Partition, with_operations: bool) -> PartitionShown {
    let mut kinds: BTreeMap<String, (u64, u64, u64)> = BTreeMap::new();
    for operation in &partition.operations {
        let (count, blocks, bytes) = kinds.entry(kind(operation)).or_default();
        *count += 1;
        *blocks = blocks.saturating_add(
            pairs(&operation.dst_extents)
                .iter()
                .map(|(_, count)| count)
                .fold(0, |a, b| a.saturating_add(*b)),
        );
        *bytes = bytes.saturating_add(operation.data_length());
    }
    let content = |info: &PartitionInfo| (info.size(), hex(info.hash()));
    PartitionShown {
        name: escaped(&partition.name),
        old: partition.old.as_ref().map(content),
        new: partition.new.as_ref().map(content),
        kinds,
        operations: if with_operations {
            partition.operations.iter().map(operation).collect()
        } else {
            Vec::new()
        },
    }
}

fn operation(operation: &Operation) -> OperationShown {
    OperationShown {
        kind: kind(operation),
        data_offset: operation.data_offset,
        data_length: operation.data_length,
        reads: pairs(&operation.src_extents),
        writes: pairs(&operation.dst_extents),
    }
}

fn kind(operation: &Operation) -> String {
    operation
        .known()
        .map_or_else(|| operation.kind.to_string(), |kind| Kind::name(kind).to_owned())
}

fn pairs(extents: &[Extent]) -> Vec<(u64, u64)> {
    extents
        .iter()
        .map(|extent| (extent.start_block(), extent.num_blocks()))
        .collect()
}
