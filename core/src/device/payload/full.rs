//! Full payloads: chunks of an image as operations.

use super::codec::Encoded;
use super::message::{Extent, Operation};
use super::{BLOCK, Digest};

/// A chunk filled up with zeros to whole blocks: an image may end in the middle of one.
pub fn padded(mut chunk: Vec<u8>) -> Vec<u8> {
    chunk.resize(chunk.len().next_multiple_of(BLOCK), 0);
    chunk
}

/// The operation that makes these blocks from encoded data. Where the data lies is said when it is known:
/// [`Operation::data_offset`] is still missing.
pub fn operation(destination: Vec<Extent>, encoded: &Encoded) -> Operation {
    Operation {
        kind: encoded.codec.kind().into(),
        data_length: Some(encoded.data.len() as u64),
        dst_extents: destination,
        data_hash: Some(Digest::of(&encoded.data).bytes().to_vec()),
        ..Operation::default()
    }
}
