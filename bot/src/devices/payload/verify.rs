//! Verifies a payload without applying it: form, every digest, both signatures, and that there is nothing else.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use windlass_core::device::payload::{Operation, Place, Problem, Properties};

use super::incoming::{self, Incoming};
use super::{PayloadError, Trust, Work};

/// What was found out about a payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// What it is known by.
    pub properties: Properties,
    /// Whether it carries signatures.
    pub signed: bool,
    /// Whether the signatures were verified: a key was given, and they are by it.
    pub signatures_verified: bool,
    /// All that is wrong with it.
    pub problems: Vec<Problem>,
}

/// Verifies a payload.
///
/// Without a key and without properties, a changed byte is found wherever a digest is over it. With either of them, wherever it is.
///
/// # Errors
/// The file cannot be read, or what stands before its blobs cannot be: then there is nothing to go by.
pub fn verify(path: &Path, trust: &Trust, work: &Work<'_>) -> Result<Verified, PayloadError> {
    let (mut reader, size) = open(path)?;
    let mut incoming = Incoming::new(&mut reader);
    let metadata = incoming.metadata()?;
    let mut problems: Vec<Problem> = Vec::new();
    problems.extend(metadata.judge(trust.key.as_ref()).err());
    match metadata.layout() {
        Err(more) => problems.extend(more),
        Ok(layout) => {
            for (sizes, partition) in layout.partitions.iter().zip(&metadata.manifest.partitions) {
                for (index, operation) in partition.operations.iter().enumerate() {
                    work.step(layout.blobs + operation.data_offset(), size)?;
                    if !is_as_said(&mut incoming, operation)? {
                        problems.push(Problem {
                            place: Place::Operation {
                                partition: sizes.name.clone(),
                                index,
                            },
                            what: "its data is not what the manifest says".to_owned(),
                        });
                    }
                }
            }
            let (digest, message) = incoming.signature(layout.signature_size)?;
            problems.extend(incoming::judge(trust.key.as_ref(), &digest, &message, Place::PayloadSignature).err());
            if incoming.rest()? > 0 {
                problems.push(Problem {
                    place: Place::Payload,
                    what: format!("ends after {} bytes, and the file has {size}", layout.size()),
                });
            }
        }
    }
    // What is not in order is read to its end all the same: the file's digest is over all of it.
    incoming.rest()?;
    let signed = !metadata.signature.is_empty();
    let properties = incoming.properties(&metadata);
    problems.extend(trust.differences(&properties));
    Ok(Verified {
        signed,
        signatures_verified: signed && trust.key.is_some() && problems.is_empty(),
        properties,
        problems,
    })
}

fn is_as_said(incoming: &mut Incoming<'_>, operation: &Operation) -> Result<bool, PayloadError> {
    let length = operation.data_length();
    Ok(length == 0 || incoming.blob_digest(length)?.bytes() == operation.data_hash())
}

/// What a payload is known by. Only what stands before its blobs is looked at; nothing is verified.
///
/// # Errors
/// The file cannot be read, or is no payload.
pub fn properties(path: &Path) -> Result<Properties, PayloadError> {
    let (mut reader, _) = open(path)?;
    let mut incoming = Incoming::new(&mut reader);
    let metadata = incoming.metadata()?;
    incoming.rest()?;
    Ok(incoming.properties(&metadata))
}

/// Opens a payload; its size, too.
pub(super) fn open(path: &Path) -> Result<(BufReader<File>, u64), PayloadError> {
    let file = File::open(path).map_err(PayloadError::file(path))?;
    let size = file.metadata().map_err(PayloadError::file(path))?.len();
    Ok((BufReader::with_capacity(1 << 20, file), size))
}

/// Base64, as `openssl base64` prints it.
pub(super) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}
