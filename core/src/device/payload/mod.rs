//! Update payloads in the format of `update_engine`, major version 2: made, judged and applied. Bytes in, bytes out.
//!
//! ```text
//! "CrAU"  u64 version  u64 manifest's size  u32 size of the metadata's signature     big-endian; 24 bytes
//! manifest             protobuf: partitions, each a list of operations
//! metadata signature   over header and manifest
//! blobs                the operations' data, one after the other in the operations' order
//! payload signature    over header, manifest and blobs; where it is and how long, only the manifest says
//! ```
//!
//! The way of a payload that is made: a [`chunk`] of an image is compressed by [`codec`] and becomes an operation
//! ([`full`]); against an older image, [`delta`] says which blocks are there already and what resembles the others.
//! The way of one that is read: [`Header`] → [`Manifest::read`] → [`structure::check`], and only then [`apply`]. Nothing is
//! trusted on the way: every limit is in [`limits`].

pub mod apply;
mod bspatch;
pub mod chunk;
pub mod codec;
mod cover;
pub mod delta;
pub mod full;
mod header;
pub mod limits;
mod message;
mod name;
mod problem;
mod properties;
pub mod signature;
pub mod structure;

pub use header::Header;
pub use message::{Action, Codec, Extent, Kind, Manifest, Operation, Partition, PartitionInfo};
pub use name::{BadPartitionName, PartitionName};
pub use problem::{Place, Problem};
pub use properties::{BadProperties, Digest, Properties};

/// The size of a block, in bytes: real clients know no other.
pub const BLOCK: usize = 4096;

/// The minor version of a full payload.
pub const MINOR_FULL: u32 = 0;
/// The minor version of the delta payloads that are made here: the first one that may zero blocks.
pub const MINOR_DELTA: u32 = 4;

/// How many blocks so many bytes take, the last one perhaps in part.
pub fn blocks(bytes: u64) -> u64 {
    bytes.div_ceil(BLOCK as u64)
}
