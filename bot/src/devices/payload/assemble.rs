//! Puts a payload together: blobs are gathered beside the file that is to come, because the manifest, which stands before them, has
//! their sizes; then header, manifest, signatures and blobs are written under a temporary name, which becomes the real one at the end.

use std::fs::{File, Permissions};
use std::io::{self, BufWriter, Seek as _, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;
use windlass_core::device::payload::{Digest, Header, Manifest, Operation, Properties};

use super::{PayloadError, SigningKey, Work};

/// A payload that is being made.
pub(super) struct Assembly {
    out: PathBuf,
    blobs: BufWriter<File>,
    size: u64,
}

impl Assembly {
    /// Begins one that will be there.
    pub(super) fn begin(out: &Path) -> Result<Self, PayloadError> {
        // Without a name: whatever ends us, nothing stays behind.
        let blobs = tempfile::tempfile_in(folder(out)).map_err(PayloadError::file(out))?;
        Ok(Self {
            out: out.to_owned(),
            blobs: BufWriter::with_capacity(1 << 20, blobs),
            size: 0,
        })
    }

    /// Takes an operation's data.
    pub(super) fn add(&mut self, operation: &mut Operation, data: &[u8]) -> Result<(), PayloadError> {
        if data.is_empty() {
            return Ok(());
        }
        operation.data_offset = Some(self.size);
        operation.data_length = Some(data.len() as u64);
        self.size += data.len() as u64;
        self.blobs.write_all(data).map_err(PayloadError::file(&self.out))
    }

    /// Writes the payload.
    pub(super) fn finish(
        self,
        mut manifest: Manifest,
        key: Option<&SigningKey>,
        work: &Work<'_>,
    ) -> Result<Properties, PayloadError> {
        let out = self.out;
        let file_error = || PayloadError::file(&out);
        let mut blobs = self
            .blobs
            .into_inner()
            .map_err(|error| file_error()(error.into_error()))?;
        if let Some(key) = key {
            manifest.signatures_offset = Some(self.size);
            manifest.signatures_size = Some(key.message_size() as u64);
        }
        let manifest = manifest.write();
        let header = Header {
            manifest_size: manifest.len() as u64,
            signature_size: key.map_or(Ok(0), |key| u32::try_from(key.message_size())).unwrap_or(0),
        };
        let metadata = [&header.write(), &manifest[..]].concat();
        let signed = |error: String| PayloadError::Asked(format!("cannot sign the payload: {error}"));
        let mut file = tempfile::Builder::new()
            .prefix(".payload-")
            .permissions(Permissions::from_mode(0o644))
            .tempfile_in(folder(&out))
            .map_err(file_error())?;
        let mut writer = Hashed::new(&mut file);
        writer.write_all(&metadata).map_err(file_error())?;
        if let Some(key) = key {
            let message = key.sign(&Digest::of(&metadata)).map_err(signed)?;
            writer.write_all(&message).map_err(file_error())?;
        }
        blobs.seek(SeekFrom::Start(0)).map_err(file_error())?;
        let mut data = Sha256::new_with_prefix(&metadata);
        io::copy(&mut blobs, &mut Both(&mut writer, &mut data)).map_err(file_error())?;
        if let Some(key) = key {
            let digest = Digest::from(<[u8; 32]>::from(data.finalize()));
            let message = key.sign(&digest).map_err(signed)?;
            writer.write_all(&message).map_err(file_error())?;
        }
        work.step(0, 0)?;
        let properties = writer.properties(&metadata);
        settle(file, &out)?;
        Ok(properties)
    }
}

/// A writer, and a digest of what goes to it.
struct Both<'a, 'b>(&'a mut Hashed<'b>, &'a mut Sha256);

impl Write for Both<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.0.write(bytes)?;
        self.1.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// A file that is whole gets its name.
pub(crate) fn settle(file: NamedTempFile, out: &Path) -> Result<(), PayloadError> {
    file.as_file().sync_all().map_err(PayloadError::file(out))?;
    file.persist(out)
        .map_err(|error| PayloadError::file(out)(error.error))?;
    Ok(())
}

/// The folder that a file is in.
pub(crate) fn folder(file: &Path) -> &Path {
    file.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

/// A writer that digests what it writes.
struct Hashed<'a> {
    to: &'a mut NamedTempFile,
    sha256: Sha256,
    sha1: Context,
    size: u64,
}

impl<'a> Hashed<'a> {
    fn new(to: &'a mut NamedTempFile) -> Self {
        Self {
            to,
            sha256: Sha256::new(),
            sha1: Context::new(&SHA1_FOR_LEGACY_USE_ONLY),
            size: 0,
        }
    }

    fn properties(self, metadata: &[u8]) -> Properties {
        Properties {
            file_size: self.size,
            file_hash: Digest::from(<[u8; 32]>::from(self.sha256.finalize())),
            file_sha1: Some(super::verify::base64(self.sha1.finish().as_ref())),
            metadata_size: metadata.len() as u64,
            metadata_hash: Digest::of(metadata),
        }
    }
}

impl Write for Hashed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.sha256.update(&bytes[..written]);
        self.sha1.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
