//! `task …`
//!
//! An id that may be left out stands before a word that is no number, so that clap itself tells the two apart.

use clap::builder::PossibleValue;
use clap::{Subcommand, ValueEnum};

use super::{ReadFlags, SourceArg, TaskRef, Which, WriteFlags, examples};
use crate::id::{ArchName, PackageName, RepositoryName, SubtaskNumber, TagName, TaskId, UserName};
use crate::reason::Reason;
use crate::task::stage::{Stage, StateName};

/// What can be done with tasks. An id left out means the caller's newest task that has not landed.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum TaskCommand {
    /// Make a task; prints its number
    #[command(after_help = examples::TASK_NEW)]
    New {
        /// The repository that it is for; the configured default when left out
        repository: Option<RepositoryName>,
        /// Flags of every command that writes.
        #[command(flatten)]
        flags: WriteFlags,
    },
    /// Add a subtask: a tag to build, a package to remove, rebuild or copy
    #[command(after_help = examples::TASK_ADD, disable_help_subcommand = true, subcommand_value_name = "repo|del|rebuild|copy")]
    Add {
        /// The task; one's newest that has not landed when left out
        id: Option<TaskId>,
        /// What to add.
        #[command(subcommand)]
        what: Addition,
        /// Flags of every command that writes.
        #[command(flatten)]
        flags: WriteFlags,
    },
    /// Take a subtask out
    #[command(after_help = examples::TASK_DELSUB, allow_missing_positional = true)]
    Delsub {
        /// The task; one's newest that has not landed when left out
        id: Option<TaskId>,
        /// The subtask's number
        #[arg(value_name = "N", required = true)]
        number: SubtaskNumber,
        /// Flags of every command that writes.
        #[command(flatten)]
        flags: WriteFlags,
    },
    /// Show a task: what is in it and where it stands
    #[command(after_help = examples::TASK_SHOW)]
    Show {
        /// The task, or the id of the request that made it; one's newest that has not landed when left out
        id: Option<TaskRef>,
        /// Flags of every command that reads.
        #[command(flatten)]
        flags: ReadFlags,
    },
    /// List tasks, newest first
    #[command(after_help = examples::TASK_LS)]
    Ls {
        /// Only those in one of these states; without it, all that are neither removed nor landed
        #[arg(long, value_enum, value_delimiter = ',')]
        state: Vec<StateName>,
        /// Only this person's
        #[arg(long)]
        user: Option<UserName>,
        /// Only those for this repository
        #[arg(long)]
        repository: Option<RepositoryName>,
        /// Flags of every command that reads.
        #[command(flatten)]
        flags: ReadFlags,
    },
    /// Run a task
    #[command(after_help = examples::TASK_RUN)]
    Run {
        /// The task; one's newest that has not landed when left out
        id: Option<TaskId>,
        /// Why; required where the task removes or rebuilds
        #[arg(short = 'm', long, value_name = "REASON", allow_hyphen_values = true)]
        reason: Option<Reason>,
        /// Stop after the checks, land nothing
        #[arg(long, conflicts_with = "commit")]
        test_only: bool,
        /// Land when the checks pass, also a task that was tested before (the default)
        #[arg(long)]
        commit: bool,
        /// Stop at the first subtask that fails (the default)
        #[arg(long, conflicts_with = "fail_late")]
        fail_early: bool,
        /// Go on with the other subtasks after one fails, to see all failures
        #[arg(long)]
        fail_late: bool,
        /// Flags of every command that writes.
        #[command(flatten)]
        flags: WriteFlags,
    },
    /// Let others add their tags to a task, or no longer
    #[command(after_help = examples::TASK_SHARE, disable_help_subcommand = true, subcommand_value_name = "on|off")]
    Share {
        /// The task; one's newest that has not landed when left out
        id: Option<TaskId>,
        /// `on` when left out.
        #[command(subcommand)]
        switch: Option<Switch>,
        /// Flags of every command that writes.
        #[command(flatten)]
        flags: WriteFlags,
    },
    /// Show or change the tasks that have to land before
    #[command(after_help = examples::TASK_DEPS, disable_help_subcommand = true, subcommand_value_name = "show|add|del|set|clear")]
    Deps {
        /// The task; one's newest that has not landed when left out
        id: Option<TaskId>,
        /// What to do.
        #[command(subcommand)]
        change: DepsChange,
        /// Flags of every command that writes.
        #[command(flatten)]
        flags: WriteFlags,
    },
    /// Approve subtasks of somebody else; holds until the task changes
    #[command(after_help = examples::TASK_APPROVE)]
    Approve {
        /// The task
        id: TaskId,
        /// The subtask's number, or all
        #[arg(value_name = "N|all")]
        which: Which,
        /// Why
        #[arg(
            short = 'm',
            long,
            value_name = "REASON",
            allow_hyphen_values = true,
            required_unless_present = "revoke"
        )]
        reason: Option<Reason>,
        /// Take one's approval back
        #[arg(long)]
        revoke: bool,
        /// Only if the task is still as shown with this digest (its first digits will do)
        #[arg(long, value_name = "DIGITS")]
        digest: Option<DigestPrefix>,
        /// Flags of every command that writes.
        #[command(flatten)]
        flags: WriteFlags,
    },
    /// Disapprove subtasks
    #[command(after_help = examples::TASK_DISAPPROVE)]
    Disapprove {
        /// The task
        id: TaskId,
        /// The subtask's number, or all
        #[arg(value_name = "N|all")]
        which: Which,
        /// Why
        #[arg(
            short = 'm',
            long,
            value_name = "REASON",
            allow_hyphen_values = true,
            required_unless_present = "revoke"
        )]
        reason: Option<Reason>,
        /// Take one's disapproval back
        #[arg(long)]
        revoke: bool,
        /// Flags of every command that writes.
        #[command(flatten)]
        flags: WriteFlags,
    },
    /// Stop a task that waits or runs
    #[command(after_help = examples::TASK_ABORT)]
    Abort {
        /// The task
        id: TaskId,
        /// Flags of every command that writes.
        #[command(flatten)]
        flags: WriteFlags,
    },
    /// Remove a task that does not run
    #[command(after_help = examples::TASK_RM)]
    Rm {
        /// The task
        id: TaskId,
        /// Flags of every command that writes.
        #[command(flatten)]
        flags: WriteFlags,
    },
    /// Explain where a task stands: since when, what it waits for, what to do next
    #[command(after_help = examples::TASK_WHY)]
    Why {
        /// The task, or the id of the request that made it; one's newest that has not landed when left out
        id: Option<TaskRef>,
        /// Flags of every command that reads.
        #[command(flatten)]
        flags: ReadFlags,
    },
    /// Show what happened to a task
    #[command(after_help = examples::TASK_LOG)]
    Log {
        /// The task, or the id of the request that made it; one's newest that has not landed when left out
        id: Option<TaskRef>,
        /// Go on showing what happens, until its run ends
        #[arg(long)]
        follow: bool,
        /// Show what this stage wrote; with --json what is on record of it
        #[arg(long, value_enum)]
        stage: Option<Stage>,
        /// Only this architecture
        #[arg(long)]
        arch: Option<ArchName>,
        /// Flags of every command that reads.
        #[command(flatten)]
        flags: ReadFlags,
    },
    /// Wait until a task's run ends; the exit code tells how: 0 tested or landed, 1 otherwise
    #[command(after_help = examples::TASK_WAIT)]
    Wait {
        /// The task, or the id of the request that made it; one's newest that has not landed when left out
        id: Option<TaskRef>,
        /// Flags of every command that reads.
        #[command(flatten)]
        flags: ReadFlags,
    },
}

/// What a subtask does.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Addition {
    /// Build a signed tag
    #[command(override_usage = "task add [ID] repo SOURCE TAG")]
    Repo {
        /// The source repository: NAME (one's own), USER/NAME, shared/NAME; `.git` may be left out
        source: SourceArg,
        /// The signed tag
        tag: TagName,
    },
    /// Remove packages
    #[command(override_usage = "task add [ID] del PACKAGE…")]
    Del {
        /// Source packages
        #[arg(required = true, value_name = "PACKAGE")]
        packages: Vec<PackageName>,
    },
    /// Build packages once more from the sources that are in the repository
    #[command(override_usage = "task add [ID] rebuild PACKAGE…")]
    Rebuild {
        /// Source packages
        #[arg(required = true, value_name = "PACKAGE")]
        packages: Vec<PackageName>,
    },
    /// Copy packages from another repository
    #[command(override_usage = "task add [ID] copy PACKAGE… FROM-REPOSITORY")]
    Copy {
        /// Source packages
        #[arg(required = true, value_name = "PACKAGE")]
        packages: Vec<PackageName>,
        /// The repository to copy from
        #[arg(value_name = "FROM-REPOSITORY")]
        from: RepositoryName,
    },
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
pub enum Switch {
    /// Others may add their tags
    On,
    /// Only the owner may
    Off,
}

/// What to do with the tasks that have to land before.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum DepsChange {
    /// Show them
    #[command(override_usage = "task deps [ID] show")]
    Show,
    /// Add some
    #[command(override_usage = "task deps [ID] add N…")]
    Add {
        /// Tasks
        #[arg(required = true, value_name = "N")]
        tasks: Vec<TaskId>,
    },
    /// Take some off
    #[command(override_usage = "task deps [ID] del N…")]
    Del {
        /// Tasks
        #[arg(required = true, value_name = "N")]
        tasks: Vec<TaskId>,
    },
    /// Have these and no others
    #[command(override_usage = "task deps [ID] set N…")]
    Set {
        /// Tasks
        #[arg(required = true, value_name = "N")]
        tasks: Vec<TaskId>,
    },
    /// Have none
    #[command(override_usage = "task deps [ID] clear")]
    Clear,
}

/// The first digits of a task's digest, at least 8.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DigestPrefix(String);

impl DigestPrefix {
    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for DigestPrefix {
    type Err = crate::id::BadId;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hex = text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if hex && (8..=64).contains(&text.len()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(crate::id::BadId {
                what: "digest",
                value: crate::escape::escaped(text),
                rule: "8 to 64 lower-case hexadecimal digits",
            })
        }
    }
}

impl std::fmt::Display for DigestPrefix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl ValueEnum for Stage {
    fn value_variants<'a>() -> &'a [Self] {
        Self::ALL
    }
    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.as_str()))
    }
}

impl ValueEnum for StateName {
    fn value_variants<'a>() -> &'a [Self] {
        Self::ALL
    }
    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.as_str()))
    }
}
