//! A layout that is being written.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter, Read, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use tempfile::{NamedTempFile, TempDir};
use windlass_core::hex::hex;
use windlass_core::image::{Digest, ImageName};

use super::super::error::OciError;
use super::super::spec::{self, Descriptor, FULL_NAME, Index, MANIFEST, Manifest, REF_NAME, Saved};
use super::{Layout, MARK, MARK_CONTENT};

/// A layout that is being written beside its place; it goes away unless it is finished.
///
/// What is written is not forced onto the disk: after a power cut a layout may be incomplete, which whoever opens it sees by its digests.
#[derive(Debug)]
pub struct Draft {
    place: PathBuf,
    directory: TempDir,
    blobs: PathBuf,
    index: Vec<Descriptor>,
    saved: Vec<Saved>,
}

impl Draft {
    /// Begins a layout that is to be at `place`. Another layout may be there, and is replaced in the end; nothing else may.
    pub fn new(place: &Path) -> Result<Self, OciError> {
        let bad = |why: &str| OciError::layout(place, why);
        match fs::symlink_metadata(place) {
            Ok(found) if !found.is_dir() => return Err(bad("something is there that is no directory")),
            Ok(_) => {
                let mut inside = fs::read_dir(place).map_err(OciError::file(place))?;
                if inside.next().is_some() && !place.join(MARK).is_file() {
                    return Err(bad(
                        "a directory is there that is no OCI layout\n\nhint: name a new one, or one that may be replaced",
                    ));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(OciError::file(place)(error)),
        }
        let place = std::path::absolute(place).map_err(OciError::file(place))?;
        let (Some(above), Some(name)) = (place.parent(), place.file_name()) else {
            return Err(bad("this cannot be the name of a layout"));
        };
        fs::create_dir_all(above).map_err(OciError::file(above))?;
        let directory = tempfile::Builder::new()
            .prefix(&format!(".{}.unfinished-", name.display()))
            .tempdir_in(above)
            .map_err(OciError::file(above))?;
        let blobs = directory.path().join("blobs/sha256");
        fs::create_dir_all(&blobs).map_err(OciError::file(&blobs))?;
        Ok(Self {
            place,
            directory,
            blobs,
            index: Vec::new(),
            saved: Vec::new(),
        })
    }

    /// Where blobs are written, each under its digest's digits.
    pub fn blobs(&self) -> &Path {
        &self.blobs
    }

    /// Writes a blob that is in memory.
    pub fn put(&self, media_type: &str, bytes: &[u8]) -> Result<Descriptor, OciError> {
        let descriptor = Descriptor::of(media_type, bytes);
        let path = self.blobs.join(descriptor.digest.digits());
        fs::write(&path, bytes).map_err(OciError::file(&path))?;
        Ok(descriptor)
    }

    /// Copies a blob, and checks that it is what its digest says. One that is there already is not read.
    pub fn copy(&self, descriptor: &Descriptor, from: impl Read, name: &Path) -> Result<(), OciError> {
        if self.blobs.join(descriptor.digest.digits()).exists() {
            return Ok(());
        }
        let mut incoming = self.incoming(descriptor)?;
        let mut from = from;
        let mut buffer = vec![0; 256 << 10];
        loop {
            match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => incoming.write(&buffer[..read])?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(OciError::file(name)(error)),
            }
        }
        incoming.finish()
    }

    /// A blob that comes piece by piece.
    pub fn incoming(&self, descriptor: &Descriptor) -> Result<Incoming, OciError> {
        let file = NamedTempFile::new_in(&self.blobs).map_err(OciError::file(&self.blobs))?;
        Ok(Incoming {
            out: BufWriter::with_capacity(256 << 10, file),
            path: self.blobs.join(descriptor.digest.digits()),
            digest: Sha256::new(),
            left: descriptor.size,
            want: descriptor.digest.clone(),
        })
    }

    /// Adds an image, whose configuration and layers are among the blobs, under these names.
    pub fn image(&mut self, manifest: &Manifest, names: &[ImageName]) -> Result<Descriptor, OciError> {
        self.image_bytes(&spec::bytes(manifest), manifest, names)
    }

    /// The same for a manifest that somebody else wrote, with its very bytes.
    pub fn image_bytes(
        &mut self,
        bytes: &[u8],
        manifest: &Manifest,
        names: &[ImageName],
    ) -> Result<Descriptor, OciError> {
        let path = |blob: &Descriptor| format!("blobs/sha256/{}", blob.digest.digits());
        let media_type = manifest.media_type.as_deref().unwrap_or(MANIFEST);
        let descriptor = self.put(media_type, bytes)?;
        self.saved.push(Saved {
            config: path(&manifest.config),
            repo_tags: names.iter().map(|name| name.without_digest().to_string()).collect(),
            layers: manifest.layers.iter().map(path).collect(),
        });
        if names.is_empty() {
            self.index.push(descriptor.clone());
        }
        for name in names {
            let full = name.without_digest().to_string();
            self.index.push(Descriptor {
                annotations: BTreeMap::from([(FULL_NAME.to_owned(), full.clone()), (REF_NAME.to_owned(), full)]),
                ..descriptor.clone()
            });
        }
        Ok(descriptor)
    }

    /// Writes what is missing, and puts the layout into its place.
    pub fn finish(self) -> Result<Layout, OciError> {
        let root = self.directory.path();
        let index = Index::new(self.index);
        for (name, bytes) in [
            (MARK, MARK_CONTENT.as_bytes().to_vec()),
            ("index.json", spec::bytes(&index)),
            ("manifest.json", spec::bytes(&self.saved)),
        ] {
            let path = root.join(name);
            fs::write(&path, bytes).map_err(OciError::file(&path))?;
        }
        open_to_all(root).map_err(OciError::file(root))?;
        put_in_place(root, &self.place).map_err(OciError::file(&self.place))?;
        // What was there before is now under the temporary name, and goes with it.
        drop(self.directory);
        Ok(Layout {
            path: self.place,
            index,
        })
    }
}

/// The same modes whatever the umask.
fn open_to_all(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            open_to_all(&entry.path())?;
        } else {
            fs::set_permissions(entry.path(), Permissions::from_mode(0o644))?;
        }
    }
    fs::set_permissions(path, Permissions::from_mode(0o755))
}

fn put_in_place(from: &Path, to: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(rustix::io::Errno::EXIST) => Ok(renameat_with(CWD, from, CWD, to, RenameFlags::EXCHANGE)?),
        other => Ok(other?),
    }
}

/// A blob on its way into a draft.
#[derive(Debug)]
pub struct Incoming {
    out: BufWriter<NamedTempFile>,
    path: PathBuf,
    digest: Sha256,
    left: u64,
    want: Digest,
}

impl Incoming {
    /// Takes a piece. More than was announced is refused before it is on the disk.
    pub fn write(&mut self, piece: &[u8]) -> Result<(), OciError> {
        self.left = self
            .left
            .checked_sub(piece.len() as u64)
            .ok_or_else(|| OciError::layout(&self.path, "the blob is longer than was announced"))?;
        self.digest.update(piece);
        self.out.write_all(piece).map_err(OciError::file(&self.path))
    }

    /// Checks that all of it came, and that it is what its digest says.
    pub fn finish(self) -> Result<(), OciError> {
        if self.left > 0 {
            return Err(OciError::layout(&self.path, "the blob is shorter than was announced"));
        }
        if hex(&self.digest.finalize()) != self.want.digits() {
            return Err(OciError::layout(&self.path, "the blob is not what its digest says"));
        }
        let file: NamedTempFile = self
            .out
            .into_inner()
            .map_err(|error| OciError::file(&self.path)(error.into_error()))?;
        let _: File = file
            .persist(&self.path)
            .map_err(|error| OciError::file(&self.path)(error.error))?;
        Ok(())
    }
}
