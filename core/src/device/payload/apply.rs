//! Carries out one operation: reads what it has to read, makes sure that it is what it should be, writes.
//!
//! Where it reads and writes is behind two traits: a device's partitions, files, or something that fails on purpose.

use std::io::{self, Write};

use sha2::{Digest as _, Sha256};

use super::message::{Action, Extent, Operation};
use super::{BLOCK, Digest, bspatch, codec};

/// The old content of a partition.
pub trait Source {
    /// Reads exactly so many bytes from here on.
    ///
    /// # Errors
    /// It cannot, or there are not so many.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()>;
}

/// The partition that is written.
pub trait Target {
    /// Writes these bytes here.
    ///
    /// # Errors
    /// It cannot.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;
}

/// Why an operation was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// It is of a kind that is not carried out here. Nothing was written.
    #[error("it is of a kind that this program does not apply")]
    Unknown,
    /// Its data is not what the manifest says. Nothing was written.
    #[error("its data is not what the manifest says: other bytes came")]
    Data,
    /// What it is to change is not there. Nothing was written.
    #[error("the old partition does not hold what this payload was made for")]
    Source,
    /// Its data does not make the blocks that it is to write.
    #[error("its data cannot be unpacked: {0}")]
    Unpack(io::Error),
    /// The old partition cannot be read.
    #[error("cannot read the old partition: {0}")]
    Read(io::Error),
    /// The new partition cannot be written.
    #[error("cannot write: {0}")]
    Write(io::Error),
}

/// How much is copied at once.
const PIECE: usize = 1 << 20;

/// Where an operation works.
pub struct Place<'a> {
    /// The old partition; a full payload needs none.
    pub source: Option<&'a dyn Source>,
    /// The new one.
    pub target: &'a mut dyn Target,
    /// The new one's size in bytes: what a last block has beyond it is not written.
    pub size: u64,
}

/// Carries out an operation that [`super::structure::check`] found good.
///
/// # Errors
/// See [`Failed`].
pub fn apply(operation: &Operation, data: &[u8], place: &mut Place<'_>) -> Result<(), Failed> {
    let action = operation.action().ok_or(Failed::Unknown)?;
    if matches!(action, Action::Unpack(_) | Action::Patch)
        && Digest::of_bytes(operation.data_hash()) != Some(Digest::of(data))
    {
        return Err(Failed::Data);
    }
    let mut out = Blocks::new(&operation.dst_extents, place.target, place.size);
    let made = match action {
        Action::Zero => io::copy(&mut io::Read::take(io::repeat(0), out.left), &mut out).map(drop),
        Action::Copy => {
            let source = place.source.ok_or(Failed::Source)?;
            verify(operation, source)?;
            // Read once more: what was verified may not fit into memory.
            return each_piece(&operation.src_extents, source, |piece| {
                out.write_all(piece).map_err(|error| out.blame(error))
            });
        }
        Action::Patch => {
            let source = place.source.ok_or(Failed::Source)?;
            let old = gathered(operation, source)?;
            let length = out.left;
            bspatch::bspatch(&old, data, length, &mut out)
        }
        Action::Unpack(codec) => codec::decode(codec, data, &mut out),
    };
    made.map_err(|error| out.blame(error))?;
    if out.left > 0 {
        let missing = io::Error::other(format!("{} bytes are missing", out.left));
        return Err(Failed::Unpack(missing));
    }
    Ok(())
}

/// Reads extents piece by piece.
fn each_piece(
    extents: &[Extent],
    source: &dyn Source,
    mut each: impl FnMut(&[u8]) -> Result<(), Failed>,
) -> Result<(), Failed> {
    let mut buffer = vec![0; PIECE];
    for extent in extents {
        let mut offset = extent.start_block() * BLOCK as u64;
        let end = offset + extent.num_blocks() * BLOCK as u64;
        while offset < end {
            let length = usize::try_from(end - offset).map_or(PIECE, |left| left.min(PIECE));
            source.read_at(offset, &mut buffer[..length]).map_err(Failed::Read)?;
            each(&buffer[..length])?;
            offset += length as u64;
        }
    }
    Ok(())
}

/// What the operation reads is what it was made for.
fn verify(operation: &Operation, source: &dyn Source) -> Result<(), Failed> {
    let mut hash = Sha256::new();
    each_piece(&operation.src_extents, source, |piece| {
        hash.update(piece);
        Ok(())
    })?;
    let found: [u8; 32] = hash.finalize().into();
    if operation.src_hash() == found {
        Ok(())
    } else {
        Err(Failed::Source)
    }
}

/// All that the operation reads.
fn gathered(operation: &Operation, source: &dyn Source) -> Result<Vec<u8>, Failed> {
    let mut old = Vec::new();
    each_piece(&operation.src_extents, source, |piece| {
        old.extend_from_slice(piece);
        Ok(())
    })?;
    if operation.src_hash() == Digest::of(&old).bytes() {
        Ok(old)
    } else {
        Err(Failed::Source)
    }
}

/// Writes a stream of bytes into extents, one after the other.
struct Blocks<'a> {
    extents: std::slice::Iter<'a, Extent>,
    target: &'a mut dyn Target,
    size: u64,
    /// Where the next byte goes, and where this extent ends.
    at: u64,
    end: u64,
    /// How many bytes are still to come.
    left: u64,
    /// Whether the target failed.
    failed: bool,
}

impl<'a> Blocks<'a> {
    fn new(extents: &'a [Extent], target: &'a mut dyn Target, size: u64) -> Self {
        Self {
            extents: extents.iter(),
            target,
            size,
            at: 0,
            end: 0,
            left: extents.iter().map(|extent| extent.num_blocks() * BLOCK as u64).sum(),
            failed: false,
        }
    }

    /// Whose fault an error is.
    fn blame(&self, error: io::Error) -> Failed {
        if self.failed {
            Failed::Write(error)
        } else {
            Failed::Unpack(error)
        }
    }
}

impl Write for Blocks<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        if self.at == self.end {
            let Some(next) = self.extents.next() else {
                return Err(io::Error::other("it makes more than its blocks hold"));
            };
            self.at = next.start_block() * BLOCK as u64;
            self.end = self.at + next.num_blocks() * BLOCK as u64;
        }
        let room = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let taken = &bytes[..bytes.len().min(room)];
        let kept = usize::try_from(self.size.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let (kept, beyond) = taken.split_at(kept.min(taken.len()));
        if beyond.iter().any(|byte| *byte != 0) {
            return Err(io::Error::other("it has something behind the partition's end"));
        }
        if !kept.is_empty() {
            self.target
                .write_at(self.at, kept)
                .inspect_err(|_| self.failed = true)?;
        }
        self.at += taken.len() as u64;
        self.left -= taken.len() as u64;
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
