//! The names of stages and states: what people type, what JSON says.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::id::BadId;

/// Implements the traits that every closed set of words has.
macro_rules! words {
    ($name:ident, $what:literal, $rule:literal, $($variant:ident => $word:literal),+ $(,)?) => {
        impl $name {
            /// All of them, in order.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The word.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),+
                }
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
        impl FromStr for $name {
            type Err = BadId;
            fn from_str(text: &str) -> Result<Self, BadId> {
                Self::ALL.iter().copied().find(|one| one.as_str() == text).ok_or_else(|| BadId {
                    what: $what,
                    value: crate::escape::escaped(text),
                    rule: $rule,
                })
            }
        }
    };
}

/// One stage of a run. They come in this order; one that fails ends the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Tag → `pkg.tar`.
    Pkgtar,
    /// `pkg.tar` → packages.
    Build,
    /// What was built agrees across architectures and inside the task.
    CheckBuild,
    /// What is added to and removed from the repository.
    RepoPlan,
    /// Versions grow.
    RepoVercheck,
    /// No new unmet.
    RepoUnmets,
    /// May they?
    CheckAcl,
    /// The new generation.
    RepoCommit,
}

words!(Stage, "stage", "one of pkgtar, build, check-build, repo-plan, repo-vercheck, repo-unmets, check-acl, repo-commit",
    Pkgtar => "pkgtar", Build => "build", CheckBuild => "check-build", RepoPlan => "repo-plan",
    RepoVercheck => "repo-vercheck", RepoUnmets => "repo-unmets", CheckAcl => "check-acl", RepoCommit => "repo-commit");

/// A task's state by its name alone. `postponed` is derived, never stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StateName {
    /// Being put together.
    New,
    /// Waits for its turn.
    Awaiting,
    /// Waits for a task that it depends on.
    Postponed,
    /// Its stages run.
    Building,
    /// All stages but the commit passed, and no more was asked for.
    Tested,
    /// A stage failed.
    Failed,
    /// Only the access check failed.
    Eperm,
    /// Passed; waits for the commit.
    Pending,
    /// The commit is under way.
    Committing,
    /// Landed.
    Done,
    /// Somebody stopped it.
    Aborted,
    /// Somebody removed it.
    Removed,
}

words!(StateName, "state",
    "one of new, awaiting, postponed, building, tested, failed, eperm, pending, committing, done, aborted, removed",
    New => "new", Awaiting => "awaiting", Postponed => "postponed", Building => "building", Tested => "tested",
    Failed => "failed", Eperm => "eperm", Pending => "pending", Committing => "committing", Done => "done",
    Aborted => "aborted", Removed => "removed");

/// The four states of the first design.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Being put together.
    None,
    /// Waits to be run or committed.
    Scheduled,
    /// Runs.
    Running,
    /// Its last run has an end.
    Ret,
}

words!(Phase, "phase", "one of none, scheduled, running, ret",
    None => "none", Scheduled => "scheduled", Running => "running", Ret => "ret");

impl StateName {
    /// The phase of the first design that this state belongs to.
    pub fn phase(self) -> Phase {
        match self {
            Self::New => Phase::None,
            Self::Awaiting | Self::Postponed | Self::Pending => Phase::Scheduled,
            Self::Building | Self::Committing => Phase::Running,
            Self::Tested | Self::Failed | Self::Eperm | Self::Done | Self::Aborted | Self::Removed => Phase::Ret,
        }
    }
}
