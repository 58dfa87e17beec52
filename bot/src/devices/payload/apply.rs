//! Applies a payload that comes as a stream, as a device downloads it. Nothing is believed before it is verified:
//!
//! 1. header and manifest: their digest or signature, before the manifest is unpacked; then its form
//! 2. each operation's data, before anything is written; what it changes, before that
//! 3. each partition, read back
//! 4. the payload's signature, the file's size and digest, and that nothing follows
//!
//! Only when [`apply`] returns without an error may the device boot what was written.

use std::io::{self, Read};

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use windlass_core::device::payload::apply::{self as core, Source, Target};
use windlass_core::device::payload::signature::PublicKey;
use windlass_core::device::payload::structure::Sizes;
use windlass_core::device::payload::{Digest, PartitionName, Place, Problem, Properties};

use super::incoming::{self, Incoming};
use super::{PayloadError, Work};

/// What a payload is held against. With neither, only what it says itself.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    /// Who has to have signed it.
    pub key: Option<PublicKey>,
    /// What it has to be, as somebody says who is believed.
    pub properties: Option<Properties>,
}

/// Where old contents are found.
pub trait Sources {
    /// What is on the partition now.
    ///
    /// # Errors
    /// There is none of this name, or it cannot be opened.
    fn source(&self, name: &PartitionName) -> io::Result<Box<dyn Source + '_>>;
}

/// A device's partitions, or what stands for them.
pub trait Targets {
    /// The partition to write, with room for so many bytes.
    ///
    /// # Errors
    /// There is none of this name, it is too small, or it cannot be opened.
    fn target(&mut self, name: &PartitionName, size: u64) -> io::Result<Box<dyn Slot + '_>>;
}

/// A partition that is written and read back.
pub trait Slot: Target {
    /// Reads exactly so many bytes from here on.
    ///
    /// # Errors
    /// It cannot, or there are not so many.
    fn read_back(&mut self, offset: u64, into: &mut [u8]) -> io::Result<()>;

    /// Waits until what was written is on the disk.
    ///
    /// # Errors
    /// It did not get there.
    fn sync(&mut self) -> io::Result<()>;
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Applied {
    /// What the payload is known by.
    pub properties: Properties,
    /// The partitions that were written, each with its size in bytes.
    pub partitions: Vec<(PartitionName, u64)>,
}

/// No old contents: for full payloads.
impl Sources for () {
    fn source(&self, name: &PartitionName) -> io::Result<Box<dyn Source + '_>> {
        Err(io::Error::new(
            io::ErrorKind::NotFound,
            format!("nothing is said of what partition {name} holds now"),
        ))
    }
}

/// Applies a payload.
///
/// # Errors
/// Whatever is not as it has to be. What was written until then must not be booted.
pub fn apply(
    from: &mut dyn Read,
    trust: &Trust,
    sources: &dyn Sources,
    targets: &mut dyn Targets,
    work: &Work<'_>,
) -> Result<Applied, PayloadError> {
    let mut incoming = Incoming::new(from);
    let metadata = incoming.metadata_that(|digest, signature| {
        if let Some(properties) = &trust.properties
            && properties.metadata_hash != *digest
        {
            return Err(Problem {
                place: Place::Manifest,
                what: "is not the announced one".to_owned(),
            }
            .into());
        }
        Ok(incoming::judge(
            trust.key.as_ref(),
            digest,
            signature,
            Place::MetadataSignature,
        )?)
    })?;
    let layout = metadata.layout().map_err(PayloadError::Broken)?;
    let size = layout.size();
    if trust.properties.as_ref().is_some_and(|said| said.file_size != size) {
        return Err(Problem {
            place: Place::Payload,
            what: "has not the announced size".to_owned(),
        }
        .into());
    }
    for (sizes, partition) in layout.partitions.iter().zip(&metadata.manifest.partitions) {
        let place = Place::Partition(sizes.name.clone());
        let opened = |error| PayloadError::Partition {
            place: place.clone(),
            error,
        };
        let source = match sizes.old {
            Some(_) => Some(sources.source(&sizes.name).map_err(opened)?),
            None => None,
        };
        let mut slot = targets.target(&sizes.name, sizes.new.size).map_err(opened)?;
        for (index, operation) in partition.operations.iter().enumerate() {
            let data = incoming.blob(operation.data_length())?;
            work.step(layout.blobs + operation.data_offset(), size)?;
            let target: &mut dyn Slot = &mut *slot;
            let mut at = core::Place {
                source: source.as_deref(),
                target,
                size: sizes.new.size,
            };
            core::apply(operation, &data, &mut at).map_err(|failed| PayloadError::Operation {
                place: Place::Operation {
                    partition: sizes.name.clone(),
                    index,
                },
                failed,
            })?;
        }
        slot.sync().map_err(opened)?;
        read_back(&mut *slot, sizes, work)?;
    }
    let (digest, message) = incoming.signature(layout.signature_size)?;
    incoming::judge(trust.key.as_ref(), &digest, &message, Place::PayloadSignature)?;
    if incoming.rest()? > 0 {
        return Err(Problem {
            place: Place::Payload,
            what: format!("ends after {size} bytes, and more came"),
        }
        .into());
    }
    let properties = incoming.properties(&metadata);
    let differences = trust.differences(&properties);
    if !differences.is_empty() {
        return Err(PayloadError::Broken(differences));
    }
    work.step(size, size)?;
    Ok(Applied {
        properties,
        partitions: layout
            .partitions
            .into_iter()
            .map(|sizes| (sizes.name, sizes.new.size))
            .collect(),
    })
}

/// What was written is there.
fn read_back(slot: &mut dyn Slot, sizes: &Sizes, work: &Work<'_>) -> Result<(), PayloadError> {
    let place = Place::Partition(sizes.name.clone());
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    let mut at = 0;
    while at < sizes.new.size {
        if (work.stopped)() {
            return Err(PayloadError::Stopped);
        }
        let length = usize::try_from(sizes.new.size - at).map_or(buffer.len(), |left| left.min(buffer.len()));
        let piece = &mut buffer[..length];
        slot.read_back(at, piece).map_err(|error| PayloadError::Partition {
            place: place.clone(),
            error,
        })?;
        hash.update(&*piece);
        at += length as u64;
    }
    if Digest::from(<[u8; 32]>::from(hash.finalize())) == sizes.new.hash {
        return Ok(());
    }
    Err(Problem {
        place,
        what: "does not hold what the payload says, now that it is written".to_owned(),
    }
    .into())
}

impl Trust {
    /// Nothing but what the payload says itself.
    pub fn none() -> Self {
        Self::default()
    }

    /// How a payload differs from what was announced.
    pub(super) fn differences(&self, found: &Properties) -> Vec<Problem> {
        let Some(said) = &self.properties else {
            return Vec::new();
        };
        let mut problems = Vec::new();
        let mut held = |place: Place, same: bool, what: &str| {
            if !same {
                problems.push(Problem {
                    place,
                    what: what.to_owned(),
                });
            }
        };
        held(
            Place::Manifest,
            said.metadata_size == found.metadata_size && said.metadata_hash == found.metadata_hash,
            "is not the announced one",
        );
        held(
            Place::Payload,
            said.file_size == found.file_size,
            "has not the announced size",
        );
        held(
            Place::Payload,
            said.file_hash == found.file_hash,
            "has not the announced SHA-256",
        );
        problems
    }
}
