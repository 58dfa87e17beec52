//! Every way in which hooks fail open, and whatever else keeps Windlass from working: found, told, mended.
//!
//! A check looks and gives [`Finding`]s; nothing is changed by looking. A finding that can be mended carries a [`Fix`]: a
//! value, done by [`fix::apply`], idempotent. After mending everything is looked at again, and what is left is told.

pub mod fix;

mod builders;
mod builds;
mod door;
mod git_config;
mod keyring;
mod machine;
mod places;
mod repositories;
mod sshd;
mod sshd_files;

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;
use windlass_hooks::install::Installation;

use crate::config::Config;
use crate::layout::{Accounts, is_one_user};
pub use fix::Fix;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Good to know.
    Note,
    /// It works, and should be looked into.
    Warning,
    /// Something passes that should not, or does not work.
    Error,
}

impl Severity {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One thing that is amiss.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// A stable word for programs.
    pub code: &'static str,
    /// What is amiss, on one line.
    pub message: String,
    /// The value that was found, and where.
    pub value: String,
    /// The command or step that mends it.
    pub mend: String,
    /// What `--fix` does about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<Fix>,
}

impl Finding {
    /// Something that passes and should not, or does not work.
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, message)
    }

    /// Something that works, and should be looked into.
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, message)
    }

    /// Something good to know.
    pub fn note(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Note, code, message)
    }

    fn new(severity: Severity, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            severity,
            code,
            message: message.into(),
            value: String::new(),
            mend: String::new(),
            fix: None,
        }
    }

    /// With the value that was found, and where.
    #[must_use]
    pub fn value(mut self, value: impl Into<String>) -> Self {
        self.value = windlass_core::escape::escaped(&value.into());
        self
    }

    /// With the command or step that mends it.
    #[must_use]
    pub fn mend(mut self, mend: impl Into<String>) -> Self {
        self.mend = mend.into();
        self
    }

    /// With what `--fix` does about it.
    #[must_use]
    pub fn fix(mut self, fix: Fix) -> Self {
        self.fix = Some(fix);
        self
    }
}

/// What is looked at.
#[derive(Debug)]
pub struct Site {
    /// The configuration.
    pub config: Config,
    /// Where it stands, absolute.
    pub config_file: PathBuf,
    /// Who plays which part.
    pub accounts: Accounts,
    /// What the hooks are to be.
    pub installation: Installation,
    /// The program that sshd runs.
    pub shell: PathBuf,
    /// The directory of the machine's configuration, `/etc`.
    pub etc: PathBuf,
    /// This machine's clock.
    pub now: Timestamp,
}

impl Site {
    /// Whether one Unix user plays all parts.
    pub fn is_one_user(&self) -> bool {
        is_one_user(&self.config.users)
    }

    /// A path below the root of the source repositories, shortened for people.
    pub fn shown(&self, path: &Path) -> String {
        let root = self.config.paths.git();
        let root = root.canonicalize().unwrap_or(root);
        windlass_core::escape::escaped(&path.strip_prefix(root).unwrap_or(path).display().to_string())
    }
}

/// Looks at everything; the worst first, in a stable order.
pub fn examine(site: &Site) -> Vec<Finding> {
    let mut findings = places::examine(site);
    findings.extend(repositories::examine(site));
    findings.extend(git_config::examine(site));
    findings.extend(sshd::examine(site));
    findings.extend(door::examine(site));
    findings.extend(keyring::examine(site));
    findings.extend(machine::examine(site));
    findings.extend(builds::examine(site));
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    findings
}

/// A finding for what cannot be looked at: silence would mean that it is good.
fn unreadable(what: &str, error: &dyn std::fmt::Display) -> Finding {
    Finding::error("unreadable", format!("cannot look at {what}"))
        .value(error.to_string())
        .mend("run `windlass doctor` as root")
}
