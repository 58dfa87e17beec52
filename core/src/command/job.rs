//! `job …`: what is done after something landed.

use clap::builder::PossibleValue;
use clap::{Subcommand, ValueEnum};

use super::{ReadFlags, WriteFlags, examples};
use crate::id::{ImageId, JobId, PayloadName, TaskId};
use crate::job::JobStateName;

/// What can be done with jobs.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum JobCommand {
    /// List jobs, newest first
    #[command(after_help = examples::JOB_LS)]
    Ls {
        /// Only those in one of these states; without it, all that are not over
        #[arg(long, value_enum, value_delimiter = ',')]
        state: Vec<JobStateName>,
        /// Only those of this image
        #[arg(long)]
        image: Option<ImageId>,
        /// Only those of this payload
        #[arg(long, conflicts_with = "image")]
        payload: Option<PayloadName>,
        /// Only those that this task caused
        #[arg(long)]
        task: Option<TaskId>,
        /// Flags of every command that reads.
        #[command(flatten)]
        flags: ReadFlags,
    },
    /// Show a job: what it does and why, where it stands, what came of it
    #[command(after_help = examples::JOB_SHOW)]
    Show {
        /// The job
        id: JobId,
        /// Show what its last attempt wrote
        #[arg(long, conflicts_with = "json")]
        log: bool,
        /// Flags of every command that reads.
        #[command(flatten)]
        flags: ReadFlags,
    },
    /// Build a configured image or make a configured payload now, whether something changed or not: the first time, say; administrators
    #[command(after_help = examples::JOB_BUILD)]
    Build {
        /// The image or the payload, as the configuration names it
        name: ImageId,
        /// Flags of every command that writes.
        #[command(flatten)]
        flags: WriteFlags,
    },
    /// Try a job once more; those who own a task that caused it, and administrators
    #[command(after_help = examples::JOB_RETRY)]
    Retry {
        /// The job
        id: JobId,
        /// Flags of every command that writes.
        #[command(flatten)]
        flags: WriteFlags,
    },
    /// Give a job up; what runs of it is stopped. Those who own a task that caused it, and administrators
    #[command(after_help = examples::JOB_CANCEL)]
    Cancel {
        /// The job
        id: JobId,
        /// Flags of every command that writes.
        #[command(flatten)]
        flags: WriteFlags,
    },
}

impl ValueEnum for JobStateName {
    fn value_variants<'a>() -> &'a [Self] {
        Self::ALL
    }
    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.as_str()))
    }
}
