//! The one way in which xtask runs a program: what is run is told, its output goes to the terminal, to a log or both.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;

use anyhow::Context as _;

use crate::say;

/// A command as one would type it.
pub(crate) fn shown(command: &Command) -> String {
    let mut line = command.get_program().to_string_lossy().into_owned();
    for arg in command.get_args() {
        line.push(' ');
        let arg = arg.to_string_lossy();
        let quote = if arg.contains([' ', '(', '&', '|']) { "'" } else { "" };
        line.extend([quote, &arg, quote]);
    }
    line
}

/// Runs a command with the terminal's own output; whether it succeeded.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<bool> {
    say::talk(format_args!("$ {}", shown(command)));
    let status = command.stdin(Stdio::null()).status();
    let status = status.with_context(|| format!("cannot run {}", shown(command)))?;
    Ok(status.success())
}

/// What a command that was logged has said.
pub(crate) struct Logged {
    /// Whether it ended with 0.
    pub(crate) success: bool,
    /// Every line, stdout and stderr as they came.
    pub(crate) lines: Vec<String>,
}

/// Runs a command; every line goes to the log, those that `show` picks to the terminal as well.
pub(crate) fn logged(command: &mut Command, log: &Path, show: impl Fn(&str) -> bool) -> anyhow::Result<Logged> {
    say::talk(format_args!("$ {}", shown(command)));
    let mut file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    writeln!(file, "$ {}", shown(command))?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {}", shown(command)))?;
    let (sender, receiver) = mpsc::channel::<String>();
    let stdout = child.stdout.take().context("stdout is piped")?;
    let stderr = child.stderr.take().context("stderr is piped")?;
    let other = sender.clone();
    std::thread::spawn(move || forward(stdout, &sender));
    std::thread::spawn(move || forward(stderr, &other));
    let mut lines = Vec::new();
    for line in receiver {
        writeln!(file, "{line}")?;
        if show(&line) {
            say::talk(&line);
        }
        lines.push(line);
    }
    Ok(Logged {
        success: child.wait()?.success(),
        lines,
    })
}

fn forward(stream: impl std::io::Read, to: &mpsc::Sender<String>) {
    for line in BufReader::new(stream).split(b'\n') {
        let Ok(line) = line else { return };
        if to.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
            return;
        }
    }
}
