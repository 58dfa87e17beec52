//! From a tag to pkg.tar: what the rules in the tagged tree name, written the same way on every machine.
//!
//! Facts come in through [`Objects`], bytes go out into a [`Write`](std::io::Write). The tag pins everything: its commit, the trees and
//! commits that the rules name (a commit must be an ancestor of what is built), and its date is every file's.
//!
//! Flow: tag object → rules, spec ([`preamble`] stops here) → [`Plan`], which names every file → [`Plan::write`].

mod archive;
pub mod compress;
pub mod error;
pub mod glob;
mod hunks;
mod keywords;
pub mod limits;
mod macros;
pub mod objects;
mod patch;
pub mod plan;
pub mod rules;
pub mod spec;
mod tagged;
mod tarball;
mod trees;
mod walk;
mod write;

pub use self::archive::Archive;
pub use self::error::GearError;
pub use self::limits::Limits;
pub use self::objects::{ObjectFault, Objects};
pub use self::patch::Patch;
pub use self::plan::{Content, Member, Plan};
pub use self::spec::{Preamble, Value};
pub use self::tagged::preamble;
pub use self::walk::Excludes;
pub use self::write::{InMemory, Scratch, ScratchFile, Written};
