//! Delta payloads: what of a new image stands in the old one already, and what resembles something that does.
//!
//! 1. Blocks are told apart by their digests. Zeros are written as such, blocks that stand in the old image are copied from wherever they
//!    are ([`moved`]).
//! 2. What is left is gathered into windows of two mebibytes. For each of them [`similar`] finds the places in the old image that share
//!    content with it, by fingerprints of their bytes; no file system is read, so that it works on any.
//! 3. A window becomes a patch against those places ([`patch()`]), or is compressed, whichever is smaller.
//!
//! Memory does not depend on what changed: a patch sees its window and at most [`similar::MOST_BLOCKS`] of the old image.

pub mod moved;
pub mod similar;

use std::io;

use qbsdiff::{Bsdiff, ParallelScheme};

use super::message::{Extent, Kind, Operation};
use super::{BLOCK, Digest};

/// The most blocks of a window.
pub const WINDOW: u64 = 512;
/// The most blocks that one operation copies or zeroes.
pub const COPIED: u64 = 2048;
/// The most extents on either side of one operation.
pub const EXTENTS: usize = 256;

/// A part of the new image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Zeros.
    Zero(Vec<Extent>),
    /// What stands in the old image.
    Copy {
        /// Where it is.
        source: Vec<Extent>,
        /// Where it goes.
        destination: Vec<Extent>,
    },
    /// What is in no block of the old image.
    Changed {
        /// Where it goes.
        destination: Vec<Extent>,
        /// Blocks of the old image that stand where these would, going by what is around them.
        near: Vec<u64>,
    },
}

/// A patch in the format BSDIFF40 that makes `new` of `old`.
///
/// # Errors
/// There is no memory for it.
pub fn patch(old: &[u8], new: &[u8]) -> io::Result<Vec<u8>> {
    let mut patch = Vec::new();
    Bsdiff::new(old, new)
        .parallel_scheme(ParallelScheme::Never)
        .compression_level(9)
        .compare(io::Cursor::new(&mut patch))?;
    Ok(patch)
}

/// The operation that applies a patch to these blocks; `old` is what they hold.
pub fn patching(source: Vec<Extent>, destination: Vec<Extent>, old: &[u8], patch: &[u8]) -> Operation {
    Operation {
        kind: Kind::SourceBsdiff.into(),
        data_length: Some(patch.len() as u64),
        src_extents: source,
        dst_extents: destination,
        data_hash: Some(Digest::of(patch).bytes().to_vec()),
        src_hash: Some(Digest::of(old).bytes().to_vec()),
        ..Operation::default()
    }
}

/// The operation that copies these blocks; `content` is what they hold.
pub fn copying(source: Vec<Extent>, destination: Vec<Extent>, content: &[u8]) -> Operation {
    Operation {
        kind: Kind::SourceCopy.into(),
        src_extents: source,
        dst_extents: destination,
        src_hash: Some(Digest::of(content).bytes().to_vec()),
        ..Operation::default()
    }
}

/// The operation that writes zeros.
pub fn zeroing(destination: Vec<Extent>) -> Operation {
    Operation {
        kind: Kind::Zero.into(),
        dst_extents: destination,
        ..Operation::default()
    }
}

/// How many bytes these blocks have.
pub fn bytes(extents: &[Extent]) -> usize {
    let blocks: u64 = extents.iter().map(Extent::num_blocks).sum();
    usize::try_from(blocks).unwrap_or(usize::MAX).saturating_mul(BLOCK)
}

/// Adds a block to runs of blocks.
fn add(extents: &mut Vec<Extent>, block: u64) {
    match extents.last_mut() {
        Some(last) if last.start_block() + last.num_blocks() == block => {
            last.num_blocks = Some(last.num_blocks() + 1);
        }
        _ => extents.push(Extent::new(block, 1)),
    }
}
