//! What a packager reads when a build fails: what went wrong, where, and the last that was said.

mod said;

use std::cell::Cell;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};

use windlass_core::escape::escaped_bytes;
use windlass_core::repository::Problem;

use super::{BuildOrder, Lost};
use crate::config::Build;
use crate::sandbox::{Ended, Limit, SandboxError};
use crate::stages::StageError;

/// How much of a log's end is looked at.
const TAIL: u64 = 64 << 10;

/// How many lines of it are shown.
const SHOWN: usize = 12;

/// The longest line that is shown.
const WIDEST: usize = 200;

/// A problem of this subtask on this architecture.
pub(super) fn problem(order: &BuildOrder, code: &'static str, message: String) -> Problem {
    Problem::new(code, message).of(order.subtask).on(&order.arch)
}

/// The build made something that a build does not make.
pub(super) fn strange(order: &BuildOrder, what: &str) -> StageError {
    StageError::package(problem(
        order,
        "build_result",
        format!("the build is not taken: {what}"),
    ))
}

/// rpm could not install the build root.
pub(super) fn of_root(order: &BuildOrder, said: &str) -> StageError {
    // On Debian rpm begins with a warning that it is not Debian's way to install packages.
    let lines: Vec<&str> = said
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with("rpm: "))
        .collect();
    let shown = lines[lines.len().saturating_sub(SHOWN)..].join("\n  ");
    StageError::package(
        problem(
            order,
            "build_root",
            format!("rpm cannot install the build root:\n  {shown}"),
        )
        .hint("a package that the build needs cannot be installed: its scriptlets, or files that two of them have"),
    )
}

/// rpmbuild failed; its log says why.
pub(super) fn of_log(order: &BuildOrder, ended: &Ended) -> StageError {
    let said = said::read(&tail(order), ended);
    let message = match said.lines.as_slice() {
        [] => said.how,
        // Where rpm names what is wrong in one line, that is all.
        [line] if line.starts_with("error: ") => format!("{}: {}", said.how, &line["error: ".len()..]),
        lines => format!("{}:\n  {}", said.how, lines.join("\n  ")),
    };
    let log = format!(
        "`windlass task log --stage build --arch {}` shows the whole log",
        order.arch
    );
    StageError::package(problem(order, "build_failed", message).hint(match said.hint {
        Some(hint) => format!("{hint}\n{log}"),
        None => log,
    }))
}

/// The end of the log, safe to show.
fn tail(order: &BuildOrder) -> String {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(&order.log)?;
        let size = file.metadata()?.len();
        file.seek(SeekFrom::Start(size.saturating_sub(TAIL)))?;
        let mut bytes = Vec::new();
        file.take(TAIL).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().unwrap_or_default();
    let lines = bytes.split(|byte| *byte == b'\n').map(|line| {
        let line = escaped_bytes(line);
        match line.char_indices().nth(WIDEST) {
            Some((end, _)) => format!("{}…", &line[..end]),
            None => line,
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// What an error of the sandbox means to whoever reads the task. `lost` is told whether it is worth another try at once.
pub(super) fn of_sandbox(
    order: &BuildOrder,
    settings: &Build,
    error: SandboxError,
    lost: &Cell<Option<Lost>>,
) -> StageError {
    let limit = match error {
        SandboxError::Stopped => return StageError::Stopped,
        SandboxError::Broken(message) => return StageError::infrastructure(message),
        SandboxError::Lost(message) => {
            lost.set(Some(Lost::Engine));
            return StageError::infrastructure(message);
        }
        SandboxError::Ended(message) => {
            lost.set(Some(Lost::Container));
            return StageError::infrastructure(message);
        }
        SandboxError::NoEngine { message, again } => {
            return StageError::Infrastructure {
                message,
                retry_after: again,
            };
        }
        SandboxError::Refused(message) => return strange(order, &message),
        SandboxError::Limit(limit) => limit,
    };
    let (message, key) = match limit {
        Limit::Time(_) => (format!("the build took longer than {}", settings.timeout), "timeout"),
        Limit::Memory => (format!("the build used more memory than {}", settings.memory), "memory"),
        Limit::Disk => (format!("the build filled its disk, {}", settings.disk), "disk"),
        Limit::Processes => (
            format!("the build had more processes than {}", settings.processes),
            "processes",
        ),
        Limit::Log => (format!("the build said more than {}", settings.log), "log"),
    };
    StageError::package(problem(order, "build_limit", message).hint(format!(
        "the limit is `{key}` in [build]; an administrator can raise it"
    )))
}
