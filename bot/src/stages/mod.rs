//! The stages of a run, one file each, named as people name them; here is what they share.
//!
//! A stage gets a [`Context`] and gives a result or a [`StageError`]. It decides nothing about what comes after: the runner
//! does. Everything in it blocks; the runner calls it where that is allowed. What it leaves lies in the run's directory
//! ([`RunDir`]), logs included; what has to be remembered goes on record, which the runner does.

pub mod build;
pub mod check_acl;
pub mod check_build;
mod log;
pub mod pkgtar;
mod place;
pub mod rebuild;
pub mod repo_plan;
pub mod repo_unmets;
pub mod repo_vercheck;
mod stop;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use windlass_core::id::{ArchName, SubtaskNumber, TaskId};
use windlass_core::repository::Problem;
use windlass_core::task::{Fault, Stage};
use windlass_hooks::settings::Paths;

pub use self::log::StageLog;
pub use self::place::RunDir;
pub use self::stop::StopFlag;
use crate::config::Config;

/// How long after its first failure the infrastructure is tried again, where a stage does not know better.
pub const RETRY_AFTER: Duration = Duration::from_secs(30);

/// What every stage of a run gets. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Context {
    /// What the administrator configured.
    pub config: Arc<Config>,
    /// Where things are; absolute.
    pub paths: Paths,
    /// The task.
    pub task: TaskId,
    /// Where this run leaves what it makes.
    pub dir: RunDir,
    /// Set when the run is to end at once: a stage that takes long looks at it, or hands it to what it waits for.
    pub stop: StopFlag,
}

impl Context {
    /// The log of a stage: of all of it, of one subtask, of one subtask on one architecture.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn log(
        &self,
        stage: Stage,
        subtask: Option<SubtaskNumber>,
        arch: Option<&ArchName>,
    ) -> Result<StageLog, StageError> {
        let path = self.dir.log(stage, subtask, arch);
        StageLog::create(&path).map_err(|error| StageError::io(&format!("the log {}", path.display()), &error))
    }

    /// Ends the stage where the run is to end.
    ///
    /// # Errors
    /// The run is to end.
    pub fn go_on(&self) -> Result<(), StageError> {
        if self.stop.is_set() {
            Err(StageError::Stopped)
        } else {
            Ok(())
        }
    }
}

/// Why a stage gave no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StageError {
    /// It is the task's fault: it stays failed until somebody changes it. At least one problem.
    Failed {
        /// Whose fault: the package's, or a rule forbids it; never the infrastructure.
        fault: Fault,
        /// All that is wrong.
        problems: Vec<Problem>,
    },
    /// It is nobody's fault who uses Windlass: the run is tried again, and the task keeps its place.
    Infrastructure {
        /// One line for people, with the way out where there is one.
        message: String,
        /// When it is worth another try, where the stage knows.
        retry_after: Option<Duration>,
    },
    /// The run was to end: somebody stopped the task, or the bot stops.
    Stopped,
}

impl StageError {
    /// The package's fault, in one problem.
    pub fn package(problem: Problem) -> Self {
        Self::Failed {
            fault: Fault::Package,
            problems: vec![problem],
        }
    }

    /// A rule forbids it, in one problem.
    pub fn policy(problem: Problem) -> Self {
        Self::Failed {
            fault: Fault::Policy,
            problems: vec![problem],
        }
    }

    /// The infrastructure's fault.
    pub fn infrastructure(message: impl Into<String>) -> Self {
        Self::Infrastructure {
            message: message.into(),
            retry_after: None,
        }
    }

    /// The system refused something: `what` was to be read, written or run.
    pub fn io(what: &str, error: &io::Error) -> Self {
        Self::infrastructure(format!("{what}: {error}"))
    }
}

impl fmt::Display for StageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed { problems, .. } => {
                let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
                f.write_str(&lines.join("\n"))
            }
            Self::Infrastructure { message, .. } => f.write_str(message),
            Self::Stopped => f.write_str("it was stopped"),
        }
    }
}

impl std::error::Error for StageError {}
