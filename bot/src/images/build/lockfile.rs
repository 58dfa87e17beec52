//! `images.lock` as a file: read where it is, written whole or not at all.

use std::io::Write as _;
use std::path::Path;

use windlass_core::image::lock::Lock;
use windlass_core::image::{Digest, ImageName};

use super::error::BuildError;

/// What foreign bases are pinned to.
#[derive(Debug, Clone, Default)]
pub struct Pins(pub Lock);

impl Pins {
    /// Reads the file; one that is not there pins nothing.
    ///
    /// # Errors
    /// It cannot be read, or is wrong.
    pub fn read(path: &Path) -> Result<Self, BuildError> {
        match std::fs::read_to_string(path) {
            Ok(text) => Lock::parse(&text).map(Self).map_err(|error| BuildError::Lockfile {
                path: path.to_owned(),
                why: error.to_string(),
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(BuildError::file(path)(error)),
        }
    }

    /// What a base is pinned to.
    pub fn of(&self, name: &ImageName) -> Option<Digest> {
        self.0.get(name).cloned()
    }

    /// Writes the file.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), BuildError> {
        let dir = match path.parent() {
            Some(dir) if !dir.as_os_str().is_empty() => dir,
            _ => Path::new("."),
        };
        let written = || -> std::io::Result<()> {
            use std::os::unix::fs::PermissionsExt as _;
            let mut file = tempfile::Builder::new().prefix(".images.lock.").tempfile_in(dir)?;
            file.write_all(self.0.print().as_bytes())?;
            // It is everybody's to read, as what stands beside it.
            file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
            file.as_file().sync_all()?;
            file.persist(path)?;
            Ok(())
        };
        written().map_err(BuildError::file(path))
    }
}
