//! Layers of images, for tests: archives with a few files.

use std::fs;
use std::path::{Path, PathBuf};

/// A layer in the file `name` below `dir`, with its media type; a path with a slash at its end is a directory.
pub(in crate::jobs) fn layer(dir: &Path, name: &str, files: &[(&str, &str)]) -> (PathBuf, String) {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        if path.ends_with('/') {
            header.set_entry_type(tar::EntryType::Directory);
        }
        archive.append_data(&mut header, path, text.as_bytes()).unwrap();
    }
    let path = dir.join(name);
    fs::write(&path, archive.into_inner().unwrap()).unwrap();
    (path, "application/vnd.oci.image.layer.v1.tar".to_owned())
}
