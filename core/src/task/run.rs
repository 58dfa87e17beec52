//! A run: what was asked for, and how it ended.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Stage;
use crate::id::{ArchName, PackageName, SubtaskNumber, UserName};
use crate::reason::Reason;

/// A run that a person asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Run {
    /// Which of the task's runs, from 1 up.
    #[serde(rename = "try")]
    pub try_number: u32,
    /// Who asked.
    pub by: UserName,
    /// When; a task keeps its place by this.
    pub at: Timestamp,
    /// How far it goes.
    pub mode: Mode,
    /// What happens when a subtask fails.
    pub on_failure: OnFailure,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

/// How far a run goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// It lands when all checks pass.
    Commit,
    /// It stops after the checks.
    TestOnly,
}

/// What happens when a subtask fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// The run ends.
    Early,
    /// The other subtasks go on, so that all failures are seen; then it ends.
    Late,
}

/// Whose fault a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// The package's: it does not build, or breaks another.
    Package,
    /// A rule forbids it.
    Policy,
    /// Windlass' own, or its machines'. Such a run is tried again and the task keeps its place.
    Infrastructure,
}

/// Why a run did not pass: always all of it, so that a result can be interpreted.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Failure {
    /// The stage that failed.
    pub stage: Stage,
    /// The subtask, where it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subtask: Option<SubtaskNumber>,
    /// The architecture, where it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arch: Option<ArchName>,
    /// Whose fault.
    pub fault: Fault,
    /// One line for people.
    pub message: String,
    /// Where the log is: a path or an address.
    pub log: String,
    /// A stable word for what is wrong, as in `version_not_newer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The way out, where there is one to tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// One package that a subtask may not touch.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Denied {
    /// The subtask.
    pub subtask: SubtaskNumber,
    /// The source package.
    pub package: PackageName,
    /// What it would do to it.
    pub touch: crate::access::Touch,
}

/// How a run of the stages before the commit ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// All stages passed.
    Passed,
    /// A stage failed.
    Failed(Failure),
    /// Only the access check failed.
    Eperm {
        /// What may not be touched.
        denied: Vec<Denied>,
    },
}
