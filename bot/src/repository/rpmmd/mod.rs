//! rpm-md: the form in which dnf and zypper read a repository.

pub(super) mod read;
mod write;

pub use self::read::{Limits, ReadError, read, read_within};
pub use self::write::{Codec, Entry, Order, Removed, WriteError, Written, listed, write};
