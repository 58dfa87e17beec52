//! The script beside a Dockerfile: `FILE` with its last suffix replaced by `.pre`, run in the context before anything else is put there.
//!
//! What it leaves in its directory is part of the context. Its exit code 3 means that this image cannot be built here: that is an outcome
//! of its own, neither success nor failure.

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::unix::pipe::Receiver;
use windlass_hooks::process::{Run, RunError, Streams};

/// The exit code that says: not here.
const SKIP: i32 = 3;
/// Lines of what it says that are kept for an error.
const TAIL: usize = 20;
/// The longest line that is shown, in bytes.
const LONGEST: usize = 4096;
/// How long its output is waited for after its end: somebody outside its group may hold the pipe open.
const GRACE: Duration = Duration::from_secs(1);

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// There is none.
    None,
    /// It did its work.
    Done,
    /// It says that the image cannot be built here; with its last line.
    Skipped(String),
}

/// Why the context is not what it has to be.
#[derive(Debug, thiserror::Error)]
pub enum PreError {
    /// It cannot be run.
    #[error("{0}\n\nhint: it has to be executable and to name its interpreter in its first line")]
    Run(#[from] RunError),
    /// It cannot be listened to.
    #[error("cannot read what '{}' says: {error}", script.display())]
    Read {
        /// Which script.
        script: PathBuf,
        /// Why; not a source, since the message has it.
        error: std::io::Error,
    },
    /// It failed.
    #[error("'{}' failed ({status}){}", script.display(), indented(tail))]
    Failed {
        /// Which script.
        script: PathBuf,
        /// How.
        status: ExitStatus,
        /// The end of what it said.
        tail: Vec<String>,
    },
    /// It took too long.
    #[error("'{}' was stopped after {} seconds{}\n\nhint: --pre-timeout SECONDS gives it more", script.display(), after.as_secs(), indented(tail))]
    TimedOut {
        /// Which script.
        script: PathBuf,
        /// The time that it had.
        after: Duration,
        /// The end of what it said.
        tail: Vec<String>,
    },
}

fn indented(lines: &[String]) -> String {
    lines.iter().fold(String::new(), |text, line| text + "\n    " + line)
}

/// The script that belongs to a Dockerfile, whether it is there or not.
pub fn script_of(dockerfile: &Path) -> PathBuf {
    dockerfile.with_extension("pre")
}

/// Runs the script of a Dockerfile in `dir`, if there is one; `say` gets its lines as they come. Its group is killed when this future goes.
///
/// # Errors
/// It cannot be run, fails, or takes longer than `timeout`.
pub async fn run(
    dockerfile: &Path,
    dir: &Path,
    timeout: Duration,
    say: &mut (dyn FnMut(&str) + Send),
) -> Result<Outcome, PreError> {
    run_with(dockerfile, dir, &BTreeMap::new(), timeout, say).await
}

/// The same with these variables in its environment beside ours.
///
/// # Errors
/// It cannot be run, fails, or takes longer than `timeout`.
pub async fn run_with(
    dockerfile: &Path,
    dir: &Path,
    environment: &BTreeMap<String, String>,
    timeout: Duration,
    say: &mut (dyn FnMut(&str) + Send),
) -> Result<Outcome, PreError> {
    let script = script_of(dockerfile);
    if std::fs::symlink_metadata(&script).is_err() {
        return Ok(Outcome::None);
    }
    let unread = |error| PreError::Read {
        script: script.clone(),
        error,
    };
    let program = std::fs::canonicalize(&script).map_err(unread)?;
    let (ours, theirs) = std::io::pipe().map_err(unread)?;
    let streams = Streams {
        stdin: Stdio::null(),
        stdout: theirs.try_clone().map_err(unread)?.into(),
        stderr: theirs.into(),
    };
    let order = environment
        .iter()
        .fold(Run::new(program).dir(dir), |order, (name, value)| {
            order.env(name, value)
        });
    let mut running = order.start(streams)?;
    let mut lines = Lines {
        from: BufReader::new(Receiver::from_owned_fd(OwnedFd::from(ours)).map_err(unread)?),
        begun: Vec::new(),
        tail: VecDeque::new(),
    };
    let pidfd = running.as_fd().try_clone_to_owned().map_err(unread)?;
    let mut ended = end_of(pidfd).map_err(unread)?;
    let all = async {
        let mut over = false;
        while !over {
            tokio::select! {
                more = lines.next(say) => if !more.map_err(unread)? {
                    break;
                },
                _ = &mut ended => over = true,
            }
        }
        if !over {
            // The pipe may be closed long before the end.
            let _ = (&mut ended).await;
        }
        // What it left behind goes with it. It is not waited for yet, so that the number is still its own.
        if let Some(group) = i32::try_from(running.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = tokio::time::timeout(GRACE, lines.rest(say)).await;
        Ok::<_, PreError>(())
    };
    match tokio::time::timeout(timeout, all).await {
        Ok(done) => done?,
        Err(_) => {
            return Err(PreError::TimedOut {
                script,
                after: timeout,
                tail: lines.tail.into(),
            });
        }
    }
    let status = running.wait().map_err(unread)?;
    match status.code() {
        Some(0) => Ok(Outcome::Done),
        Some(SKIP) => Ok(Outcome::Skipped(match lines.tail.pop_back() {
            Some(line) => line,
            None => format!("'{}' says so (exit code {SKIP})", script.display()),
        })),
        _ => Err(PreError::Failed {
            script,
            status,
            tail: lines.tail.into(),
        }),
    }
}

/// Told when a process has ended, which is left to be waited for; by a thread, which ends with it.
fn end_of(process: OwnedFd) -> std::io::Result<tokio::sync::oneshot::Receiver<()>> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    std::thread::Builder::new()
        .name("end of .pre".to_owned())
        .spawn(move || {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            while matches!(
                waitid(WaitId::PidFd(process.as_fd()), options),
                Err(rustix::io::Errno::INTR)
            ) {}
            // Nobody listens any more where it was given up.
            let _ = sender.send(());
        })?;
    Ok(receiver)
}

/// What a script says, line by line; its end is kept.
struct Lines {
    from: BufReader<Receiver>,
    begun: Vec<u8>,
    tail: VecDeque<String>,
}

impl Lines {
    /// A piece of what it says, told where a line is whole or very long; false at the end. Nothing is lost where this is given up half-way.
    async fn next(&mut self, say: &mut (dyn FnMut(&str) + Send)) -> std::io::Result<bool> {
        let have = self.from.fill_buf().await?;
        if have.is_empty() {
            self.tell(say);
            return Ok(false);
        }
        let end = have.iter().position(|byte| *byte == b'\n');
        let length = end.map_or(have.len(), |at| at + 1).min(LONGEST);
        self.begun.extend_from_slice(&have[..length]);
        self.from.consume(length);
        if self.begun.ends_with(b"\n") || self.begun.len() >= LONGEST {
            self.tell(say);
        }
        Ok(true)
    }

    fn tell(&mut self, say: &mut (dyn FnMut(&str) + Send)) {
        let line = windlass_core::escape::escaped_bytes(std::mem::take(&mut self.begun).trim_ascii_end());
        if line.is_empty() {
            return;
        }
        say(&line);
        if self.tail.len() == TAIL {
            self.tail.pop_front();
        }
        self.tail.push_back(line);
    }

    async fn rest(&mut self, say: &mut (dyn FnMut(&str) + Send)) {
        while matches!(self.next(say).await, Ok(true)) {}
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use rstest::rstest;

    use super::*;

    async fn ran(script: &str, timeout: Duration) -> (Result<Outcome, PreError>, Vec<String>, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("context")).unwrap();
        let path = dir.path().join("image.v1.pre");
        std::fs::write(&path, script).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut said = Vec::new();
        let context = dir.path().join("context");
        let dockerfile = dir.path().join("image.v1.docker");
        let outcome = run(&dockerfile, &context, timeout, &mut |line| said.push(line.to_owned())).await;
        (outcome, said, dir)
    }

    #[rstest]
    #[case("x/image.v1.docker", "x/image.v1.pre")]
    #[case("Dockerfile", "Dockerfile.pre")]
    #[case("dir.d/file", "dir.d/file.pre")]
    fn the_last_suffix_alone_is_replaced(#[case] dockerfile: &str, #[case] script: &str) {
        assert_eq!(script_of(Path::new(dockerfile)), Path::new(script));
    }

    #[tokio::test]
    async fn it_runs_in_the_context_and_both_its_streams_are_heard() {
        let (outcome, said, dir) = ran(
            "#!/bin/sh\necho made; echo aside >&2; pwd > where\n",
            Duration::from_secs(30),
        )
        .await;
        assert_eq!(outcome.unwrap(), Outcome::Done);
        assert_eq!(said, ["made", "aside"]);
        let place = std::fs::read_to_string(dir.path().join("context/where")).unwrap();
        assert_eq!(
            Path::new(place.trim()),
            std::fs::canonicalize(dir.path().join("context")).unwrap()
        );
    }

    #[tokio::test]
    async fn code_3_is_an_outcome_with_its_reason_and_others_are_failures_with_what_was_said() {
        let hour = Duration::from_hours(1);
        let (outcome, ..) = ran("#!/bin/sh\necho no debootstrap here\nexit 3\n", hour).await;
        assert_eq!(outcome.unwrap(), Outcome::Skipped("no debootstrap here".to_owned()));
        let (outcome, ..) = ran("#!/bin/sh\nexit 3\n", hour).await;
        assert!(matches!(outcome, Ok(Outcome::Skipped(why)) if why.contains("exit code 3")));
        let (outcome, ..) = ran("#!/bin/sh\necho what a pity >&2\nexit 7\n", hour).await;
        let error = outcome.unwrap_err().to_string();
        assert!(error.ends_with("failed (exit status: 7)\n    what a pity"), "{error}");
    }

    #[tokio::test]
    async fn one_that_never_ends_is_stopped_with_its_children() {
        let (outcome, said, _dir) = ran("#!/bin/sh\necho going; sleep 1000 & wait\n", Duration::from_millis(700)).await;
        assert!(matches!(outcome, Err(PreError::TimedOut { .. })), "{outcome:?}");
        assert_eq!(said, ["going"]);
    }

    #[tokio::test]
    async fn one_that_leaves_a_child_behind_is_not_waited_for_and_the_child_goes() {
        let (outcome, _, dir) = ran(
            "#!/bin/sh\nsleep 1000 &\necho $! > child\nexit 0\n",
            Duration::from_secs(30),
        )
        .await;
        assert_eq!(outcome.unwrap(), Outcome::Done);
        let child = std::fs::read_to_string(dir.path().join("context/child")).unwrap();
        // It is killed; when its parent has taken note of that is not ours to say.
        let gone = || match std::fs::read_to_string(format!("/proc/{}/stat", child.trim())) {
            Err(_) => true,
            Ok(stat) => stat.contains(") Z ") || stat.contains(") X "),
        };
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        while !gone() {
            assert!(std::time::Instant::now() < deadline, "the child lives");
            std::thread::yield_now();
        }
    }

    #[tokio::test]
    async fn one_that_cannot_be_run_is_no_success() {
        let (outcome, ..) = ran("no interpreter\n", Duration::from_secs(30)).await;
        assert!(matches!(outcome, Err(PreError::Run(_))), "{outcome:?}");
    }
}
