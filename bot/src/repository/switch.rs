//! Moves `current` to a prepared generation, by one rename.

use std::sync::Arc;

use windlass_core::id::Generation;
use windlass_core::repository::Content;
use windlass_core::repository::record::{Cause, RepositoryEvent, Shipped};

use super::manifest::Manifest;
use super::{Prepared, Repository, RepositoryError, files};
use crate::crash;

/// A generation that `current` names now.
#[derive(Debug, Clone)]
pub struct Switched {
    /// Its number.
    pub generation: Generation,
    /// Why it was made.
    pub cause: Cause,
    /// Its seal.
    pub seal: String,
    /// Source packages that came.
    pub came: Vec<Shipped>,
    /// Source packages that went.
    pub went: Vec<String>,
    /// What it consists of.
    pub content: Arc<Content>,
    /// How many members of metadata were compressed, and how many copied.
    pub members: (usize, usize),
}

impl Switched {
    pub(super) fn new(manifest: Manifest, content: Arc<Content>, members: (usize, usize)) -> Self {
        Self {
            generation: manifest.generation,
            cause: manifest.cause,
            seal: manifest.seal,
            came: manifest.came,
            went: manifest.went,
            content,
            members,
        }
    }

    /// What goes on record of it.
    pub fn event(&self) -> RepositoryEvent {
        RepositoryEvent::Moved {
            generation: self.generation,
            cause: self.cause.clone(),
            seal: self.seal.clone(),
            came: self.came.clone(),
            went: self.went.clone(),
        }
    }
}

impl Repository {
    /// Moves `current`. From the rename on every new client sees the new generation, on all architectures at once.
    ///
    /// # Errors
    /// The link cannot be made or moved; `current` is then still the old one, or its move may not survive a power cut.
    pub fn switch(&self, prepared: Prepared) -> Result<Switched, RepositoryError> {
        let Prepared {
            manifest,
            content,
            members,
        } = prepared;
        self.point_current_to(manifest.generation)?;
        crash::point("commit.switched");
        self.set_content(Arc::clone(&content));
        Ok(Switched::new(manifest, content, members))
    }

    pub(super) fn point_current_to(&self, generation: Generation) -> Result<(), RepositoryError> {
        let root = self.dirs.root();
        let new = root.join(".current.new");
        files::remove(&new).map_err(RepositoryError::file(&new))?;
        std::os::unix::fs::symlink(format!("generations/{generation}"), &new).map_err(RepositoryError::file(&new))?;
        crash::point("commit.linked");
        let current = self.dirs.current();
        std::fs::rename(&new, &current).map_err(RepositoryError::file(&current))?;
        files::sync_directory(root).map_err(RepositoryError::file(root))
    }
}
