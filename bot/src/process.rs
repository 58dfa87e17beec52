//! The one way to run a program: its words are logged, its time is limited, it ends with all that it started.
//!
//! Nothing goes through a shell. No secrets in the words: everybody on the machine can read them.

use std::ffi::OsString;
use std::io::Read;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A program that came to its end.
#[derive(Debug)]
pub struct Finished {
    /// How.
    pub status: ExitStatus,
    /// What it wrote as data.
    pub stdout: Vec<u8>,
    /// What it said.
    pub stderr: Vec<u8>,
}

/// A program that could not be run to its end.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// It is not there, or may not be run.
    #[error("cannot run '{program}': {error}")]
    Start {
        /// Its name.
        program: String,
        /// Why.
        error: std::io::Error,
    },
    /// It took too long and was ended.
    #[error("'{program}' did not end within {} s", limit.as_secs())]
    Slow {
        /// Its name.
        program: String,
        /// The time that it had.
        limit: Duration,
    },
}

impl Finished {
    /// Whether it ended with 0.
    pub fn succeeded(&self) -> bool {
        self.status.success()
    }

    /// What it wrote as data, as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// The end of what it said, on one line, harmless for a terminal.
    pub fn complaint(&self) -> String {
        let text = String::from_utf8_lossy(&self.stderr);
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let tail = lines[lines.len().saturating_sub(3)..].join("; ");
        if tail.is_empty() {
            self.status.to_string()
        } else {
            windlass_core::escape::escaped(&tail)
        }
    }
}

/// Kills what was started when it is dropped before its end.
struct Group(Child);

impl Group {
    fn kill(&mut self) {
        if let Ok(None) = self.0.try_wait() {
            let group = rustix::process::Pid::from_child(&self.0);
            // It may have ended in between.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
            let _ = self.0.wait();
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Runs a program without input to its end, or until its time is over.
///
/// # Errors
/// It cannot be started, or takes longer than `limit`.
pub fn run(mut command: Command, limit: Duration) -> Result<Finished, ProcessError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let words: Vec<OsString> = command.get_args().map(OsString::from).collect();
    tracing::debug!(program, ?words, "running");
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let start = |error| ProcessError::Start {
        program: program.clone(),
        error,
    };
    let mut group = Group(command.spawn().map_err(start)?);
    let stdout = group.0.stdout.take().map(collect);
    let stderr = group.0.stderr.take().map(collect);
    let deadline = Instant::now() + limit;
    let mut pause = Duration::from_millis(1);
    let status = loop {
        if let Some(status) = group.0.try_wait().map_err(start)? {
            break status;
        }
        if Instant::now() >= deadline {
            return Err(ProcessError::Slow { program, limit });
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    };
    let gather =
        |reader: Option<std::thread::JoinHandle<Vec<u8>>>| reader.and_then(|r| r.join().ok()).unwrap_or_default();
    Ok(Finished {
        status,
        stdout: gather(stdout),
        stderr: gather(stderr),
    })
}

/// The most that is kept of one stream.
const MOST: u64 = 4 * 1024 * 1024;

fn collect(stream: impl Read + Send + 'static) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut stream = stream;
        let mut kept = Vec::new();
        // What cannot be read any more is over.
        let _ = stream.by_ref().take(MOST).read_to_end(&mut kept);
        let _ = std::io::copy(&mut stream, &mut std::io::sink());
        kept
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn both_streams_and_the_status_come_back() {
        let done = run(sh("echo data; echo talk >&2; exit 3"), Duration::from_secs(10)).unwrap();
        assert_eq!((done.text().as_str(), done.complaint().as_str()), ("data\n", "talk"));
        assert_eq!(done.status.code(), Some(3));
    }

    #[test]
    fn what_takes_too_long_is_ended_with_its_children() {
        let error = run(sh("sleep 600 & sleep 600"), Duration::from_millis(50)).unwrap_err();
        assert_eq!(error.to_string(), "'sh' did not end within 0 s");
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = run(Command::new("/nonexistent/program"), Duration::from_secs(1)).unwrap_err();
        assert!(
            error.to_string().starts_with("cannot run '/nonexistent/program'"),
            "{error}"
        );
    }
}
