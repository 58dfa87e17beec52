//! What a build needs of its sandbox, whichever kind that is: commands to run, limits that are told apart, and why something was not
//! done.

use std::fmt;
use std::io;
use std::time::Duration;

use super::wire::Role;

/// A command to be run.
#[derive(Debug, Clone)]
pub(crate) struct Command {
    /// As whom.
    pub(crate) role: Role,
    /// The command.
    pub(crate) argv: Vec<String>,
    /// Its environment.
    pub(crate) env: Vec<(String, String)>,
    /// How much it may say, in bytes.
    pub(crate) log: u64,
}

/// Packages that were brought, to be installed by the sandbox's root.
#[derive(Debug, Clone)]
pub(crate) struct Installation {
    /// rpm, with the packages' paths.
    pub(crate) rpm: Vec<String>,
    /// Whether the loader has to learn of new libraries then.
    pub(crate) libraries: bool,
    /// The environment of both.
    pub(crate) env: Vec<(String, String)>,
    /// How much each may say, in bytes.
    pub(crate) log: u64,
}

/// A limit of a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    /// `timeout`.
    Time(Duration),
    /// `memory`.
    Memory,
    /// `disk`.
    Disk,
    /// `processes`.
    Processes,
    /// `log`.
    Log,
}

/// Why a sandbox did not do what was asked.
#[derive(Debug)]
pub(crate) enum SandboxError {
    /// The build was to end.
    Stopped,
    /// A limit was run into.
    Limit(Limit),
    /// What the package wants is not given.
    Refused(String),
    /// The machine does not do its part.
    Broken(String),
    /// The engine that it ran on is lost, and another one might do it.
    Lost(String),
    /// There is no engine to run it on.
    NoEngine {
        /// Why.
        message: String,
        /// When it is worth another try.
        again: Option<Duration>,
    },
    /// Somebody ended the container that it ran in; that may be an engine that stops, or the build itself.
    Ended(String),
}

impl fmt::Display for SandboxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped => f.write_str("it was stopped"),
            Self::Limit(limit) => write!(f, "the sandbox ran into a limit: {limit:?}"),
            Self::Refused(message)
            | Self::Broken(message)
            | Self::Lost(message)
            | Self::NoEngine { message, .. }
            | Self::Ended(message) => f.write_str(message),
        }
    }
}

impl From<io::Error> for SandboxError {
    fn from(error: io::Error) -> Self {
        Self::Broken(format!("the sandbox: {error}"))
    }
}
