//! rpm-md: the form in which dnf and zypper read a repository.

mod write;

pub use self::write::{Codec, Entry, Order, Removed, WriteError, Written, listed, write};
