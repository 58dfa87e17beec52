//! Epoch, version and release.

use serde::{Deserialize, Serialize};

/// Epoch, version and release of a package, or the part of it that a dependency gives.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Evr {
    /// The epoch; 0 where none is given.
    pub epoch: u32,
    /// The version.
    pub version: String,
    /// The release. A dependency may leave it out: then it fits every release.
    pub release: Option<String>,
}
