//! Where the bytes of a partition come from: a file, or a part of one.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use windlass_core::device::payload::apply::Source;
use windlass_core::device::payload::limits;

use super::PayloadError;

/// A file, or a part of one, that is only read. Copies share the open file.
#[derive(Debug, Clone)]
pub struct ImagePart {
    path: PathBuf,
    file: Arc<File>,
    start: u64,
    size: u64,
}

impl ImagePart {
    /// All of a file.
    ///
    /// # Errors
    /// It cannot be opened, is empty, or is larger than a partition may be.
    pub fn file(path: &Path) -> Result<Self, PayloadError> {
        let file = File::open(path).map_err(PayloadError::file(path))?;
        // A device's metadata has no length; where it ends has.
        let size = io::Seek::seek(&mut &file, io::SeekFrom::End(0)).map_err(PayloadError::file(path))?;
        Self::of(path, file, 0, size)
    }

    /// So many bytes of a file from here on.
    ///
    /// # Errors
    /// There are none, or more than a partition may have.
    pub fn of(path: &Path, file: File, start: u64, size: u64) -> Result<Self, PayloadError> {
        if size == 0 || size > limits::PARTITION {
            return Err(PayloadError::Asked(format!(
                "'{}' has {size} bytes; a partition has 1 to {}",
                path.display(),
                limits::PARTITION
            )));
        }
        Ok(Self {
            path: path.to_owned(),
            file: Arc::new(file),
            start,
            size,
        })
    }

    /// The file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many bytes there are.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Reads exactly so many bytes from here on.
    pub(crate) fn read(&self, offset: u64, into: &mut [u8]) -> Result<(), PayloadError> {
        self.read_at(offset, into).map_err(PayloadError::file(&self.path))
    }
}

impl Source for ImagePart {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        if offset.saturating_add(into.len() as u64) > self.size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.file.read_exact_at(into, self.start + offset)
    }
}
