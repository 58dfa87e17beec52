//! A layout as one archive, entry by entry in the order of their names, with nothing in it of when and by whom it was made.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Write};
use std::path::Path;

use super::super::archive::Archive;
use super::super::error::OciError;
use super::super::tree::{Content, HostFile, Kind, Node, Owner};

/// Writes the archive. `docker load` of 20.10 wants what `manifest.json` names to come with it, in any order.
pub(super) fn pack(layout: &Path, out: impl Write) -> Result<(), OciError> {
    let mut archive = Archive::new(BufWriter::with_capacity(256 << 10, out), 0);
    for directory in ["blobs", "blobs/sha256"] {
        archive
            .entry(directory.as_bytes(), &Node::directory(), |_| Ok(()))
            .map_err(OciError::file(layout))?;
    }
    let blobs = layout.join("blobs/sha256");
    let mut names = Vec::new();
    for entry in fs::read_dir(&blobs).map_err(OciError::file(&blobs))? {
        let entry = entry.map_err(OciError::file(&blobs))?;
        let name = entry.file_name();
        let is_blob = name
            .to_str()
            .is_some_and(|name| name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit()));
        if is_blob && entry.file_type().map_err(OciError::file(&blobs))?.is_file() {
            names.push(format!("blobs/sha256/{}", name.display()));
        }
    }
    names.sort();
    names.extend(["index.json", "manifest.json", "oci-layout"].map(str::to_owned));
    for name in names {
        let path = layout.join(&name);
        let file = File::open(&path).map_err(OciError::file(&path))?;
        let size = file.metadata().map_err(OciError::file(&path))?.len();
        let node = Node {
            kind: Kind::File(Content::Host(HostFile {
                path: std::sync::Arc::new(name.clone().into()),
                size,
            })),
            mode: 0o644,
            owner: Owner::default(),
        };
        archive
            .entry(name.as_bytes(), &node, |out| {
                io::copy(&mut BufReader::with_capacity(256 << 10, file), out).map(drop)
            })
            .map_err(OciError::file(&path))?;
    }
    archive
        .finish()
        .and_then(|mut out| out.flush())
        .map_err(OciError::file(layout))
}
