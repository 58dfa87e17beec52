//! Writes rpm-md so that the cost follows what changes.
//!
//! primary, filelists and other are each a row of compressed members (zstd frames or gzip members; a row of either is a valid
//! file): a header, one member a bucket of packages, a footer. A package's bucket is the hash of its name. Only members whose
//! bucket changed are made again, from the text of the member before; the rest is copied and hashed. The bytes depend on the
//! packages and the codec alone, not on the way that led there.
//!
//! Flow: [`Order`] → changed buckets → members → content-named files → `repomd.xml`. `members.json`, beside `repodata`, says
//! where each member lies.

mod codec;
mod members;
mod repomd;
mod xml;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use windlass_core::rpm::{Artifact, Header};

pub use self::codec::Codec;
pub use self::members::listed;
use self::members::{Changes, Kind, Members};
use self::repomd::Data;
use super::super::files;

/// A package to be listed.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// What its header says.
    pub header: &'a Header,
    /// The file.
    pub artifact: &'a Artifact,
    /// When the file came, in seconds since 1970.
    pub file_time: i64,
}

/// A package that is listed no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Removed<'a> {
    /// Its name.
    pub name: &'a str,
    /// The SHA-256 of its file.
    pub pkgid: &'a str,
}

/// What is to be written.
#[derive(Debug, Clone)]
pub struct Order<'a> {
    /// The directory that is to hold `repodata`; it is there.
    pub directory: &'a Path,
    /// A directory whose metadata was written by this module, to start from; none for an empty beginning.
    pub before: Option<&'a Path>,
    /// Packages that come.
    pub added: Vec<Entry<'a>>,
    /// Packages that go.
    pub removed: BTreeSet<Removed<'a>>,
    /// How it is compressed.
    pub codec: Codec,
    /// What `repomd.xml` calls its revision.
    pub revision: &'a str,
    /// When it is written, in seconds since 1970.
    pub time: i64,
    /// The advisories, as XML; those from before stay where none are given.
    pub updateinfo: Option<&'a [u8]>,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The SHA-256 of `repomd.xml`.
    pub repomd_sha256: String,
    /// How many packages are listed.
    pub packages: u64,
    /// The content-named files, relative to the directory.
    pub files: Vec<PathBuf>,
    /// How many members were made anew.
    pub compressed: usize,
    /// How many were copied.
    pub copied: usize,
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// A file cannot be read or written.
    #[error("{}: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The metadata to start from does not hold what it should.
    #[error("the metadata in {} is not as it was written: {what}", path.display())]
    Inconsistent {
        /// Its directory.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
}

impl WriteError {
    pub(super) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        |error| Self::File {
            path: path.to_owned(),
            error,
        }
    }

    pub(super) fn inconsistent(path: &Path, what: impl Into<String>) -> Self {
        Self::Inconsistent {
            path: path.to_owned(),
            what: what.into(),
        }
    }
}

/// Writes the metadata, durably: when it returns, all files are on disk.
///
/// # Errors
/// See [`WriteError`]; what was written until then is left for the caller to remove.
pub fn write(order: &Order<'_>) -> Result<Written, WriteError> {
    let repodata = order.directory.join("repodata");
    files::make_directory(&repodata).map_err(WriteError::file(&repodata))?;
    let before = order.before.map(Members::load).transpose()?;
    let changes = Changes::of(order);
    let mut written = Written {
        repomd_sha256: String::new(),
        packages: 0,
        files: Vec::new(),
        compressed: 0,
        copied: 0,
    };
    let mut data = Vec::new();
    let mut tables = BTreeMap::new();
    let counts = changes.counts(order, before.as_ref())?;
    written.packages = counts.values().sum();
    for kind in Kind::ALL {
        let (table, entry) = members::write_kind(kind, order, before.as_ref(), &changes, &counts, &mut written)?;
        tables.insert(kind, table);
        data.push(entry);
    }
    data.extend(updateinfo(order, &repodata)?);
    Members::new(order.codec, counts, tables).save(order.directory)?;
    written.files = data.iter().map(|data| Path::new("repodata").join(&data.name)).collect();
    let text = repomd::text(order.revision, &data);
    let path = repodata.join("repomd.xml");
    files::write_new(&path, text.as_bytes()).map_err(WriteError::file(&path))?;
    written.repomd_sha256 = codec::sha256(text.as_bytes());
    for directory in [repodata.as_path(), order.directory] {
        files::sync_directory(directory).map_err(WriteError::file(directory))?;
    }
    Ok(written)
}

/// The advisories: those that are given, else those from before.
fn updateinfo(order: &Order<'_>, repodata: &Path) -> Result<Option<Data>, WriteError> {
    let text = match (order.updateinfo, order.before) {
        (Some(text), _) => text.to_vec(),
        (None, Some(before)) => match repomd::updateinfo_of(before)? {
            Some(text) => text,
            None => return Ok(None),
        },
        (None, None) => return Ok(None),
    };
    let bytes = order.codec.compress(&text).map_err(WriteError::file(repodata))?;
    let data = Data {
        kind: "updateinfo",
        name: format!("{}-updateinfo.xml.{}", codec::sha256(&bytes), order.codec.extension()),
        sha256: codec::sha256(&bytes),
        size: bytes.len() as u64,
        open_size: text.len() as u64,
        time: order.time,
    };
    let path = repodata.join(&data.name);
    files::write_new(&path, &bytes).map_err(WriteError::file(&path))?;
    Ok(Some(data))
}
