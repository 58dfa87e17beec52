//! What happens to a job.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::JobKind;
use crate::id::{Generation, JobId, RepositoryName, TaskId, UserName};

/// What happened to a job. Facts, in the past tense: nothing here can be refused any more.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum JobEvent {
    /// Something caused it.
    Queued {
        /// What is to be done.
        #[serde(flatten)]
        kind: JobKind,
        /// The jobs that have to be done before.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        after: BTreeSet<JobId>,
        /// The task that caused it, where one did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        task: Option<TaskId>,
    },
    /// Something newer caused the same before it was begun: it takes that over.
    Updated {
        /// What is to be done from now on.
        #[serde(flatten)]
        kind: JobKind,
        /// The jobs that have to be done before.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        after: BTreeSet<JobId>,
        /// The task that caused it, where one did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        task: Option<TaskId>,
    },
    /// Somebody works on it.
    Leased {
        /// Which attempt, from 1 up.
        attempt: u32,
        /// When the lease ends by itself.
        until: Timestamp,
    },
    /// Whoever works on it is alive.
    Renewed {
        /// The attempt.
        attempt: u32,
        /// When the lease ends by itself now.
        until: Timestamp,
    },
    /// It is done.
    Succeeded {
        /// The attempt.
        attempt: u32,
        /// What came of it.
        #[serde(flatten)]
        result: JobResult,
    },
    /// The attempt failed.
    Failed {
        /// The attempt.
        attempt: u32,
        /// Why, for people.
        message: String,
        /// Whether the same may succeed later.
        transient: bool,
        /// When it is tried again; nothing where it is not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_at: Option<Timestamp>,
    },
    /// Whoever worked on it is gone.
    Lost {
        /// The attempt.
        attempt: u32,
        /// When it is tried again; nothing where it is not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_at: Option<Timestamp>,
    },
    /// Somebody does not want it any more.
    Cancelled {
        /// Who.
        by: UserName,
    },
    /// Somebody wants it to be tried once more.
    AskedAgain {
        /// Who.
        by: UserName,
    },
}

/// What came of a job.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "kebab-case")]
pub enum JobResult {
    /// An image.
    Image(BuiltImage),
    /// There was nothing to do.
    Skipped {
        /// What said so.
        why: String,
    },
}

/// An image that a job made.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BuiltImage {
    /// Its name, in full.
    pub name: String,
    /// Its digest: that of its manifest in the registry, or its id where it was not pushed.
    pub digest: String,
    /// Whether it is in its registry.
    pub pushed: bool,
    /// Whether it was up to date, so that nothing was built.
    pub reused: bool,
    /// The generations whose packages it may hold.
    pub generations: BTreeMap<RepositoryName, Generation>,
    /// What its package database holds, as name-epoch:version-release.architecture, sorted.
    pub packages: Vec<String>,
    /// The digest of its provenance, which the registry has beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provenance: Option<String>,
    /// The same for the list of its packages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sbom: Option<String>,
}

impl JobEvent {
    /// The attempt that it is about; nothing where it is about none.
    pub fn attempt(&self) -> Option<u32> {
        match self {
            Self::Leased { attempt, .. }
            | Self::Renewed { attempt, .. }
            | Self::Succeeded { attempt, .. }
            | Self::Failed { attempt, .. }
            | Self::Lost { attempt, .. } => Some(*attempt),
            Self::Queued { .. } | Self::Updated { .. } | Self::Cancelled { .. } | Self::AskedAgain { .. } => None,
        }
    }
}
