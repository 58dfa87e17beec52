//! Reads the objects of a source repository for [`windlass_core::gear`]: raw, by id, without references, replacements and grafts.
//!
//! What is read is checked there: hashed again, taken apart, counted. Here only what a single object may cost is bounded.

use std::path::Path;

use windlass_core::gear::objects::{ObjectFault, ObjectHeader, Objects};
use windlass_core::id::ObjectId;
use windlass_hooks::objects::{RawStore, StoreError};

use crate::stages::StopFlag;

/// The largest single allocation: a file of the largest size that is taken, and what it is stored as a change to.
const LARGEST_ALLOCATION: usize = (1 << 30) + (64 << 10);

/// The objects of one repository.
pub struct GitObjects {
    store: RawStore,
    stop: Option<StopFlag>,
}

impl GitObjects {
    /// The objects of a bare repository, or of a `.git` directory.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn at(git_dir: &Path) -> Result<Self, StoreError> {
        Ok(Self {
            store: RawStore::at_for_files(git_dir, LARGEST_ALLOCATION)?,
            stop: None,
        })
    }

    /// What a store that is open already gives.
    pub fn of(store: RawStore) -> Self {
        Self { store, stop: None }
    }

    /// The same, which gives nothing more once the flag is set.
    #[must_use]
    pub fn until(mut self, stop: StopFlag) -> Self {
        self.stop = Some(stop);
        self
    }

    fn go_on(&self) -> Result<(), ObjectFault> {
        if self.stop.as_ref().is_some_and(StopFlag::is_set) {
            return Err(ObjectFault::Stopped);
        }
        Ok(())
    }
}

impl Objects for GitObjects {
    fn header(&self, object: &ObjectId) -> Result<Option<ObjectHeader>, ObjectFault> {
        self.go_on()?;
        self.store.header(object).map_err(fault)
    }

    fn read(&self, object: &ObjectId, limit: u64) -> Result<Vec<u8>, ObjectFault> {
        self.go_on()?;
        self.store.read(object, limit).map_err(fault)
    }
}

fn fault(error: StoreError) -> ObjectFault {
    match error {
        StoreError::Missing(object) => ObjectFault::Missing(object),
        StoreError::TooLarge { object, size, limit } => ObjectFault::TooLarge { object, size, limit },
        // How large what it is stored upon is, nobody looked.
        StoreError::Bomb { object, limit } => ObjectFault::TooLarge {
            object,
            size: limit as u64 + 1,
            limit: limit as u64,
        },
        error @ (StoreError::NoDirectory
        | StoreError::BadQuoting(_)
        | StoreError::Open { .. }
        | StoreError::Read { .. }) => ObjectFault::Unreadable(error.to_string()),
    }
}
