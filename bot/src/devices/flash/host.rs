//! Commands of this machine that a device's entry names: its power, its console.

use std::fs::File;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use windlass_core::escape::escaped_lines;

use crate::devices::ssh::Bound;

/// The most bytes that are told of what a command complained about.
const MOST: usize = 400;

/// Says what a device's console says, for as long as it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Console {
    /// The command's words.
    pub command: Vec<String>,
}

/// A console that is written down; it ends with this.
#[derive(Debug)]
pub(super) struct Captured(#[expect(dead_code, reason = "it is held, not read")] Bound);

impl Captured {
    /// Writes down what the command says.
    pub(super) fn begin(console: &Console, into: &Path) -> io::Result<Self> {
        let file = File::create(into)?;
        let mut command = of(&console.command)?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        Ok(Self(Bound::start(&mut command)?))
    }
}

/// Runs a command to its end; what went wrong comes back in words.
pub(super) async fn run(words: &[String], limit: Duration) -> Result<(), String> {
    let shown = words.join(" ");
    let failed = |error: io::Error| format!("'{shown}' cannot be run: {error}");
    let mut command = of(words).map_err(failed)?;
    // What it complains about goes to a file: whatever it leaves behind may keep a pipe open.
    let said = tempfile::NamedTempFile::new().map_err(failed)?;
    let errors = said.reopen().map_err(failed)?;
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors);
    let mut child = Bound::start(&mut command).map_err(failed)?;
    let Ok(status) = tokio::time::timeout(limit, child.0.wait()).await else {
        child.end().await;
        return Err(format!("'{shown}' was not over after {} s", limit.as_secs()));
    };
    let status = status.map_err(failed)?;
    if status.success() {
        return Ok(());
    }
    let said = std::fs::read(said.path()).unwrap_or_default();
    let said = escaped_lines(&String::from_utf8_lossy(&said), MOST);
    Err(format!("'{shown}' failed, {status}: {said}"))
}

fn of(words: &[String]) -> io::Result<Command> {
    let (program, arguments) = words
        .split_first()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no command is named"))?;
    let mut command = Command::new(program);
    command.args(arguments);
    Ok(command)
}
