//! Requirements that nothing in a repository meets, and why not.

use serde::{Deserialize, Serialize};

/// A requirement that no package meets.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Unmet {
    /// The package that requires it, as name-[epoch:]version-release.architecture.
    pub package: String,
    /// The package's name alone.
    pub name: String,
    /// The requirement as the package has it.
    pub requirement: String,
    /// What of it is not there; for a plain requirement, itself.
    pub missing: Vec<Missing>,
}

/// A dependency that nobody provides.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Missing {
    /// The dependency.
    pub dependency: String,
    /// Why.
    #[serde(flatten)]
    pub why: Why,
}

/// Why nobody provides something.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "kebab-case")]
pub enum Why {
    /// There is nothing of that name.
    Nobody,
    /// It is there in other versions only.
    OtherVersion {
        /// The package that comes nearest.
        package: String,
        /// What that provides.
        provides: String,
    },
    /// A package provides it until now, and goes.
    Goes {
        /// The package.
        package: String,
        /// The package of the same name that comes for it.
        replaced_by: Option<String>,
        /// What that one provides of the same name, if anything.
        provides: Option<String>,
    },
}
