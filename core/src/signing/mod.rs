//! Judges a signed tag: bytes, keys and the time go in, a [`Verdict`] comes out.
//!
//! The way of a tag: [`tag`] takes the bytes apart and says what is wrong with their structure; whoever called fetches
//! the keys that the signature names and hands them over; judging checks the
//! signature, twice (as of its own time and as of now), compares pusher, tagger and owner of the key, and gathers
//! *every* reason to refuse. Nothing here reads a file or a clock.

pub mod policy;
pub mod tag;
pub mod verdict;

pub use policy::{BuildAsked, Identity, Moment, OtherTags, Policy, TagPattern, Treatment};
pub use verdict::{ObjectHeader, ObjectKind, SignatureKind, Signer, TagFacts, Verdict};
