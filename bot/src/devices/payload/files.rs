//! Files and block devices as partitions.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;
use windlass_core::device::payload::PartitionName;
use windlass_core::device::payload::apply::{Source, Target};

use super::apply::{Slot, Sources, Targets};
use super::assemble::{folder, settle};
use super::{ImagePart, PayloadError};

/// Old contents in files.
#[derive(Debug, Default)]
pub struct FileSources(pub BTreeMap<PartitionName, ImagePart>);

impl Sources for FileSources {
    fn source(&self, name: &PartitionName) -> io::Result<Box<dyn Source + '_>> {
        match self.0.get(name) {
            Some(image) => Ok(Box::new(image.clone())),
            None => ().source(name),
        }
    }
}

/// Where partitions are written.
#[derive(Debug, Default)]
pub struct FileTargets {
    /// Where each of them goes. A block device is written as it is; a file gets its name when all of the payload is verified.
    pub places: BTreeMap<PartitionName, PathBuf>,
    /// Where the others go, as `NAME.img`.
    pub folder: Option<PathBuf>,
    begun: Vec<(NamedTempFile, PathBuf)>,
}

impl FileTargets {
    /// These places, and this folder for the others.
    pub fn new(places: BTreeMap<PartitionName, PathBuf>, folder: Option<PathBuf>) -> Self {
        Self {
            places,
            folder,
            begun: Vec::new(),
        }
    }

    /// Gives the files their names: the payload was applied and verified.
    ///
    /// # Errors
    /// One cannot be renamed.
    pub fn settle(self) -> Result<Vec<PathBuf>, PayloadError> {
        self.begun
            .into_iter()
            .map(|(file, path)| settle(file, &path).map(|()| path))
            .collect()
    }

    fn path(&self, name: &PartitionName) -> io::Result<PathBuf> {
        self.places
            .get(name)
            .cloned()
            .or_else(|| Some(self.folder.as_ref()?.join(format!("{name}.img"))))
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "nothing is said of where it is to be written"))
    }
}

impl Targets for FileTargets {
    fn target(&mut self, name: &PartitionName, size: u64) -> io::Result<Box<dyn Slot + '_>> {
        let path = self.path(name)?;
        if path.metadata().is_ok_and(|facts| facts.file_type().is_block_device()) {
            return FileSlot::device(&path, size).map(|slot| Box::new(slot) as Box<dyn Slot>);
        }
        let file = tempfile::Builder::new()
            .prefix(".partition-")
            .permissions(std::fs::Permissions::from_mode(0o644))
            .tempfile_in(folder(&path))?;
        file.as_file().set_len(size)?;
        let slot = FileSlot(file.as_file().try_clone()?);
        self.begun.push((file, path));
        Ok(Box::new(slot))
    }
}

/// An open file or block device that is written as it is.
#[derive(Debug)]
pub struct FileSlot(pub File);

impl FileSlot {
    /// A block device, or a file that stands for one, with room for so many bytes.
    ///
    /// # Errors
    /// It cannot be opened, or is too small.
    pub fn device(path: &Path, size: u64) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let room = io::Seek::seek(&mut &file, io::SeekFrom::End(0))?;
        if room < size {
            return Err(io::Error::other(format!(
                "'{}' has {room} bytes, and {size} are to be written",
                path.display()
            )));
        }
        Ok(Self(file))
    }
}

impl Target for FileSlot {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }
}

impl Slot for FileSlot {
    fn read_back(&mut self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(into, offset)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_all()
    }
}
