//! What is wrong with a payload, and where.

use std::fmt;

use serde::Serialize;

use super::name::PartitionName;

/// Something that is wrong with a payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{place} {what}")]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// What, as the rest of a sentence that begins with the place.
    pub what: String,
}

/// A part of a payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// The first 24 bytes.
    Header,
    /// The manifest.
    Manifest,
    /// The signature over header and manifest.
    MetadataSignature,
    /// What a partition is said to be made of; counted from 1, because its name may be what is wrong.
    NthPartition(usize),
    /// What a partition is said to be made of, or what came of it.
    Partition(PartitionName),
    /// One step.
    Operation {
        /// Of which partition.
        partition: PartitionName,
        /// Which one, counted from 0 as other tools do.
        index: usize,
    },
    /// The signature over all of it.
    PayloadSignature,
    /// The payload as a whole.
    Payload,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header => f.write_str("the header"),
            Self::Manifest => f.write_str("the manifest"),
            Self::MetadataSignature => f.write_str("the metadata's signature"),
            Self::NthPartition(number) => write!(f, "partition number {number}"),
            Self::Partition(name) => write!(f, "partition {name}"),
            Self::Operation { partition, index } => write!(f, "partition {partition}, operation {index}:"),
            Self::PayloadSignature => f.write_str("the payload's signature"),
            Self::Payload => f.write_str("the payload"),
        }
    }
}
