//! What makes an image up to date or stale, and building it.

pub mod binfmt;
pub mod digests;
pub mod elf;
pub mod executable;
pub mod pre;
pub mod taglock;
pub mod tree;
pub mod user;
