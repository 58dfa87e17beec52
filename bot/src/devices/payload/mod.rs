//! Update payloads: made from images, looked at, verified, applied. The format and its rules are in
//! [`windlass_core::device::payload`]; here are files, threads and keys.
//!
//! [`generate()`] cuts images into chunks, has them compressed on all processors, keeps what was compressed in a [`Cache`], and puts
//! the payload together under a temporary name; [`delta()`] does so with what differs from older images. [`apply()`] reads a payload as a stream and writes through [`Targets`].

mod apply;
mod assemble;
mod cache;
mod delta;
mod encoder;
mod error;
mod files;
mod generate;
mod image;
mod incoming;
mod inspect;
mod key;
#[cfg(test)]
mod tests;
mod verify;
mod work;

pub use apply::{Applied, Slot, Sources, Targets, Trust, apply};
pub(super) use assemble::{folder, settle};
pub use cache::Cache;
pub use delta::{ChangedPartition, DeltaOrder, delta};
pub use error::PayloadError;
pub use files::{FileSlot, FileSources, FileTargets};
pub use generate::{GenerateOrder, Generated, NewPartition, generate};
pub use image::ImagePart;
pub use inspect::{Inspection, OperationShown, PartitionShown, inspect, manifest};
pub(crate) use key::text;
pub use key::{SigningKey, public_key};
pub use verify::{Verified, properties, verify};
pub use work::Work;
