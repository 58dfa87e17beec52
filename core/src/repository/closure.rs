//! What has to be installed so that some requirements are met: the packages of a build root, or of an installation.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why something cannot be installed, in the words of those who package.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, thiserror::Error)]
pub struct Unresolvable {
    /// What was wanted: a package as name-[epoch:]version-release.architecture, or requirements.
    pub wanted: String,
    /// Why not: who needs what, one step a line, the last one being what cannot be.
    pub reasons: Vec<String>,
}

impl fmt::Display for Unresolvable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cannot be installed", self.wanted)?;
        for reason in &self.reasons {
            write!(f, "\n  {reason}")?;
        }
        Ok(())
    }
}
