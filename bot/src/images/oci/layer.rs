//! Writes a layer: what an instruction changed, sorted by name, as a compressed archive whose digests are known when it is done.

use std::collections::BTreeMap;
use std::io::BufWriter;
use std::path::Path;

use tempfile::NamedTempFile;
use windlass_core::escape::escaped_bytes;
use windlass_core::image::Digest;

use super::archive::Archive;
use super::error::OciError;
use super::spec::{Descriptor, LAYER_GZIP};
use super::squeeze::Squeezer;
use super::store::Store;
use super::tree::{Content, Kind, Name, Node};

/// What an instruction changed: only what comes, since no instruction that needs no engine takes anything away.
pub(super) type Changes = BTreeMap<Name, Node>;

/// A layer that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layer {
    /// How a manifest names it.
    pub(super) descriptor: Descriptor,
    /// The digest of the archive in it.
    pub(super) diff_id: Digest,
}

/// Writes a layer among the blobs of a layout.
pub(super) fn write(changes: &Changes, store: &Store, epoch: u64, blobs: &Path) -> Result<Layer, OciError> {
    let broken = |error| OciError::File {
        path: blobs.to_owned(),
        error,
    };
    let (file, path) = NamedTempFile::new_in(blobs).map_err(broken)?.into_parts();
    let mut archive = Archive::new(Squeezer::new(BufWriter::with_capacity(256 << 10, file)), epoch);
    for (name, node) in changes {
        archive
            .entry(name, node, |out| match &node.kind {
                Kind::File(content) => store.copy(content, out),
                Kind::Directory | Kind::Link(_) | Kind::Pipe | Kind::Device(_) => Ok(()),
            })
            .map_err(|error| OciError::Layout {
                path: blobs.to_owned(),
                why: format!("'/{}' cannot be written: {error}", escaped_bytes(name)),
            })?;
    }
    let squeezed = archive.finish().and_then(Squeezer::finish).map_err(broken)?;
    let digest = digest(&squeezed.outer)?;
    path.persist(blobs.join(digest.digits()))
        .map_err(|error| broken(error.error))?;
    Ok(Layer {
        descriptor: Descriptor {
            media_type: LAYER_GZIP.to_owned(),
            digest,
            size: squeezed.size,
            artifact_type: None,
            annotations: BTreeMap::new(),
            platform: None,
        },
        diff_id: self::digest(&squeezed.inner)?,
    })
}

/// The parts of layers that changes need.
pub(super) fn needed(changes: &Changes) -> impl Iterator<Item = &super::tree::InLayer> {
    changes.values().filter_map(|node| match &node.kind {
        Kind::File(Content::Layer(part)) => Some(part),
        Kind::File(Content::Bytes(_) | Content::Host(_) | Content::Spool(_))
        | Kind::Directory
        | Kind::Link(_)
        | Kind::Pipe
        | Kind::Device(_) => None,
    })
}

fn digest(digits: &str) -> Result<Digest, OciError> {
    format!("sha256:{digits}")
        .parse()
        .map_err(|error| OciError::Asked(format!("{error}")))
}
