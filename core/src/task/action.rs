//! What a subtask does.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::{Fingerprint, ObjectId, PackageName, RepositoryName, SourcePath, SubtaskNumber, TagName, UserName};

/// One thing that a task does, and who answers for it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Subtask {
    /// Its number in the task.
    pub number: SubtaskNumber,
    /// Who added it; access is judged by this person.
    pub by: UserName,
    /// When.
    pub at: Timestamp,
    /// What it does.
    #[serde(flatten)]
    pub action: Action,
}

/// What a subtask does.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "kebab-case")]
pub enum Action {
    /// Builds a signed tag.
    Build {
        /// The source repository.
        source: SourcePath,
        /// The tag's name.
        tag: TagName,
        /// The tag object: what was judged, whatever the name says later.
        object: ObjectId,
        /// The commit that it names.
        commit: ObjectId,
        /// Whose signature it carries.
        signer: SignedBy,
        /// The source package, as far as it is known before the build.
        package: PackageName,
    },
    /// Removes a source package and all its binary packages.
    Remove {
        /// The source package.
        package: PackageName,
    },
    /// Builds the source that is in the repository once more.
    Rebuild {
        /// The source package.
        package: PackageName,
    },
    /// Copies a source package and its binary packages from another repository.
    Copy {
        /// The source package.
        package: PackageName,
        /// Where it is copied from.
        from: RepositoryName,
    },
}

/// Whose signature a tag carries.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SignedBy {
    /// The person whose key it is.
    pub owner: UserName,
    /// The key.
    pub fingerprint: Fingerprint,
}

impl Action {
    /// The source package that it is about, as far as that is known before a build.
    pub fn package(&self) -> &PackageName {
        match self {
            Self::Build { package, .. }
            | Self::Remove { package }
            | Self::Rebuild { package }
            | Self::Copy { package, .. } => package,
        }
    }

    /// Whether a run needs a reason because of it.
    pub fn needs_reason(&self) -> bool {
        match self {
            Self::Remove { .. } | Self::Rebuild { .. } => true,
            Self::Build { .. } | Self::Copy { .. } => false,
        }
    }
}
