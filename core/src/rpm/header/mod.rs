//! What a package file says of itself: its lead, signature header and main header; never its payload.
//!
//! The bytes come from builds and foreign repositories and are not trusted: everything is bounded before it is read.

mod dependencies;
mod files;
mod read;
mod store;
pub mod tags;

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use jiff::Timestamp;

use super::{Package, Requirement};

pub use self::dependencies::is_primary;
pub use self::read::read;

/// What a package file says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// What resolving needs; without an artifact, which whoever has the file adds.
    pub package: Arc<Package>,
    /// The rest.
    pub about: About,
}

/// What a header says beside what resolving needs: what metadata shows to people, what is compared between builds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// One line.
    pub summary: String,
    /// Several lines.
    pub description: String,
    /// Where the software is at home.
    pub url: Option<String>,
    /// Its licence.
    pub license: Option<String>,
    /// Who distributes it.
    pub vendor: Option<String>,
    /// What it belongs to.
    pub group: Option<String>,
    /// Who built it.
    pub packager: Option<String>,
    /// When it was built.
    pub build_time: Timestamp,
    /// Where it was built.
    pub build_host: Option<String>,
    /// The size of its files when they are installed, in bytes.
    pub installed_size: u64,
    /// The size of its payload before compression, in bytes.
    pub archive_size: u64,
    /// Where the main header stands in the file, in bytes.
    pub header_range: Range<u64>,
    /// The SHA-256 of the main header's bytes, 64 lower-case hexadecimal digits. Signing does not change it.
    pub header_sha256: String,
    /// Newest first, as it stands in the header.
    pub changelog: Vec<ChangelogEntry>,
    /// Which of the package's `requires` have to be there before its scriptlets run; as long as that list.
    pub pre: Vec<bool>,
    /// What would go well with it.
    pub suggests: Vec<Requirement>,
    /// It goes well with these: the other way round from `recommends`.
    pub supplements: Vec<Requirement>,
    /// The other way round from `suggests`.
    pub enhances: Vec<Requirement>,
    /// The architectures for which alone it is built; of a source package.
    pub exclusive_arch: Vec<String>,
    /// The architectures for which it is not built; of a source package.
    pub exclude_arch: Vec<String>,
    /// Its files in detail, in the order of the package's `files`.
    pub files: Vec<FileDetail>,
    /// The digests of all of the header's tags by number, to compare one build with another.
    pub tags: BTreeMap<u32, TagDigest>,
}

/// The first 16 bytes of the SHA-256 of a tag's type and data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TagDigest(pub [u8; 16]);

/// One entry of a changelog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangelogEntry {
    /// When, in seconds since 1970.
    pub time: i64,
    /// Who, and mostly which version.
    pub author: String,
    /// What.
    pub text: String,
}

/// One file, with all that is checked when it is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileDetail {
    /// Type and permissions, as in `st_mode`.
    pub mode: u16,
    /// The digest of its content, in hexadecimal digits; empty for what has none.
    pub digest: String,
    /// Its size in bytes.
    pub size: u64,
    /// rpm's flags: configuration, documentation, ghost, ….
    pub flags: u32,
    /// Where it points, if it is a symbolic link; else empty.
    pub link: String,
    /// Its owner.
    pub user: String,
    /// Its group.
    pub owner_group: String,
    /// Its capabilities.
    pub capabilities: String,
}

/// Why a package file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BadPackage {
    /// The bytes cannot be had.
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    /// It ends too early.
    #[error("it ends in the middle of its {0}")]
    Short(&'static str),
    /// It is no package.
    #[error("it is no rpm package: {0}")]
    Alien(&'static str),
    /// It claims more than is read.
    #[error("its {what} is too big: {claimed}, and at most {most} are read")]
    TooBig {
        /// What.
        what: &'static str,
        /// How much it claims.
        claimed: u64,
        /// How much is read.
        most: u64,
    },
    /// What it says makes no sense.
    #[error("{what} is wrong in its header: {why}")]
    Wrong {
        /// What: a tag.
        what: &'static str,
        /// Why.
        why: String,
    },
}

#[cfg(test)]
mod tests;
