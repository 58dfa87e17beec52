//! What happens to a job.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::JobKind;
use crate::id::{DeviceName, Generation, JobId, PayloadName, RepositoryName, TaskId, UserName};

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
        /// Who, or what.
        #[serde(flatten)]
        by: Canceller,
    },
    /// Somebody wants it to be tried once more.
    AskedAgain {
        /// Who.
        by: UserName,
    },
}

/// Who does not want a job any more.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Canceller {
    /// Somebody.
    Person {
        /// Who.
        by: UserName,
    },
    /// What it belongs to is given up.
    Rollout {
        /// Why.
        why: String,
    },
}

impl fmt::Display for Canceller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Person { by } => write!(f, "{by} cancelled it"),
            Self::Rollout { why } => write!(f, "it was given up: {why}"),
        }
    }
}

/// What came of a job.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "kebab-case")]
pub enum JobResult {
    /// An image.
    Image(BuiltImage),
    /// A payload.
    Payload(Box<MadePayload>),
    /// A device runs what it should.
    Flashed(Box<Flashed>),
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

/// A payload that a job made.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MadePayload {
    /// Its name.
    pub payload: PayloadName,
    /// The board that it is for.
    pub board: String,
    /// The version that it brings.
    pub version: String,
    /// Which of the payload's versions it is, from 1 up: each next one has a higher number.
    pub number: u64,
    /// The SHA-256 of the payload, as hexadecimal digits.
    pub digest: String,
    /// Its bytes.
    pub size: u64,
    /// Whether this version was there already, so that nothing was made.
    pub reused: bool,
    /// The archive of the stateful partition, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stateful: Option<MadeFile>,
    /// The whole disk's image, where it was wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<MadeFile>,
    /// What leads from the version before to this one, where it was wanted and there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delta: Option<MadeDelta>,
    /// The generations whose packages it may hold.
    pub generations: BTreeMap<RepositoryName, Generation>,
    /// What its file systems hold, as name-epoch:version-release.architecture, sorted.
    pub packages: Vec<String>,
}

/// A device that a job flashed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Flashed {
    /// The flash's record.
    pub flash: String,
    /// The device.
    pub device: DeviceName,
    /// The version that it ran before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The version that it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The slot that it runs from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<String>,
    /// How long it took.
    pub seconds: u64,
}

/// A file beside a payload.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MadeFile {
    /// Its SHA-256, as hexadecimal digits.
    pub digest: String,
    /// Its bytes.
    pub size: u64,
}

/// A payload that needs the version before.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MadeDelta {
    /// That version.
    pub from: String,
    /// Its own digest and size.
    #[serde(flatten)]
    pub file: MadeFile,
}

impl fmt::Display for JobResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(built) => {
                let how = match (built.reused, built.pushed) {
                    (true, _) => "was up to date",
                    (false, true) => "was built and pushed",
                    (false, false) => "was built",
                };
                write!(f, "{} {how}: {}", built.name, built.digest)
            }
            Self::Payload(made) => {
                let how = if made.reused { "was there already" } else { "was made" };
                write!(
                    f,
                    "payload {} {} for {} {how}: {} bytes, sha256:{}",
                    made.payload, made.version, made.board, made.size, made.digest
                )?;
                match &made.delta {
                    Some(delta) => write!(f, "; from {} {} bytes", delta.from, delta.file.size),
                    None => Ok(()),
                }
            }
            Self::Flashed(flashed) => {
                write!(
                    f,
                    "{} runs {}",
                    flashed.device,
                    flashed.to.as_deref().unwrap_or("what was flashed")
                )?;
                if let Some(slot) = &flashed.slot {
                    write!(f, " from {slot}")?;
                }
                write!(f, ", flashed in {} s ({})", flashed.seconds, flashed.flash)
            }
            Self::Skipped { why } => write!(f, "skipped: {why}"),
        }
    }
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
