//! `repomd.xml`: which metadata there is, under which name, with which digest.

use std::fmt::Write as _;
use std::path::Path;

use super::codec::Codec;
use super::{WriteError, xml};

/// The most that is read of a `repomd.xml` of our own.
const LARGEST: u64 = 1 << 20;

/// The most that advisories may come to.
const LARGEST_UPDATEINFO: u64 = 256 << 20;

/// One piece of metadata.
#[derive(Debug, Clone)]
pub(super) struct Data {
    pub(super) kind: &'static str,
    pub(super) name: String,
    pub(super) sha256: String,
    pub(super) size: u64,
    pub(super) open_size: u64,
    pub(super) time: i64,
}

/// The text. There is no `open-checksum`: it would have everything decompressed at every commit, and neither dnf nor zypper
/// looks at it, since the digest of the file covers what is in it.
pub(super) fn text(revision: &str, data: &[Data]) -> String {
    let mut out = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<repomd xmlns=\"http://linux.duke.edu/metadata/repo\" xmlns:rpm=\"http://linux.duke.edu/metadata/rpm\">\n",
    );
    // Writing to a String cannot fail, here and below.
    let _ = writeln!(out, "  <revision>{}</revision>", xml::text(revision));
    for data in data {
        let _ = write!(
            out,
            "  <data type=\"{}\">\n    <checksum type=\"sha256\">{}</checksum>\n    <location href=\"repodata/{}\"/>\n    <timestamp>{}</timestamp>\n    <size>{}</size>\n    <open-size>{}</open-size>\n  </data>\n",
            data.kind, data.sha256, data.name, data.time, data.size, data.open_size
        );
    }
    out.push_str("</repomd>\n");
    out
}

/// The advisories that a directory of ours has, as XML.
pub(super) fn updateinfo_of(directory: &Path) -> Result<Option<Vec<u8>>, WriteError> {
    let path = directory.join("repodata/repomd.xml");
    let size = std::fs::metadata(&path).map_err(WriteError::file(&path))?.len();
    if size > LARGEST {
        return Err(WriteError::inconsistent(directory, "repomd.xml is too large"));
    }
    let text = std::fs::read_to_string(&path).map_err(WriteError::file(&path))?;
    let Some((_, rest)) = text.split_once("<data type=\"updateinfo\">") else {
        return Ok(None);
    };
    let name = rest
        .split_once("href=\"repodata/")
        .and_then(|(_, rest)| rest.split_once('"'))
        .map(|(name, _)| name)
        .filter(|name| !name.contains('/'))
        .ok_or_else(|| WriteError::inconsistent(directory, "repomd.xml names no file of advisories"))?;
    let codec = match name.rsplit_once('.') {
        Some((_, "zst")) => Codec::Zstd,
        Some((_, "gz")) => Codec::Gzip,
        _ => {
            return Err(WriteError::inconsistent(
                directory,
                "the advisories have an unknown form",
            ));
        }
    };
    let path = directory.join("repodata").join(name);
    let bytes = std::fs::read(&path).map_err(WriteError::file(&path))?;
    let text = codec
        .decompress(&bytes, LARGEST_UPDATEINFO)
        .map_err(WriteError::file(&path))?;
    Ok(Some(text))
}
