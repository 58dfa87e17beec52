//! The one way to run a process: arguments as a list and told to an observer, standard error's tail kept, a time limit, and the whole
//! process group killed when the time is over or the runner goes away.
//!
//! A secret never goes into an argument: arguments are logged. Hand it over on standard input or in a file.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use windlass_core::escape::escaped_bytes;

/// How much of standard error is kept: its end.
const TAIL: usize = 16 << 10;

/// How long after its end a process' output is waited for: a process that it left behind may hold the pipe open.
const GRACE: Duration = Duration::from_secs(1);

static OBSERVER: OnceLock<fn(&str)> = OnceLock::new();

/// Has every command line told to a function, for the log, before it is run. The first caller wins.
pub fn observe(observer: fn(&str)) {
    let _ = OBSERVER.set(observer);
}

/// A process to be run.
#[derive(Debug)]
pub struct Run {
    command: Command,
    input: Vec<u8>,
    timeout: Duration,
    output_limit: usize,
}

/// git, with nothing of our environment and nobody's configuration: what a client managed to set does not reach it.
pub fn git() -> Run {
    let clean = [
        ("PATH", "/usr/local/bin:/usr/bin:/bin"),
        ("LANG", "C.UTF-8"),
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
    ];
    clean
        .into_iter()
        .fold(Run::new("git").clear_env(), |run, (name, value)| run.env(name, value))
}

/// What a process left.
#[derive(Debug, Clone)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// All of its standard output.
    pub stdout: Vec<u8>,
    /// The end of its standard error, as text that is safe to show line by line.
    pub stderr: String,
}

/// Where the streams of a process go that is started and not waited for.
#[derive(Debug)]
pub struct Streams {
    /// What it reads.
    pub stdin: Stdio,
    /// Where its output goes.
    pub stdout: Stdio,
    /// Where its complaints go.
    pub stderr: Stdio,
}

/// A process that runs. When this goes, the process and its group are killed and waited for.
#[derive(Debug)]
pub struct Running(Group);

impl Running {
    /// Its number.
    pub fn id(&self) -> u32 {
        self.0.child.id()
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// What the system says.
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        self.0.wait()
    }
}

impl std::os::fd::AsFd for Running {
    /// Readable when it has ended.
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.pidfd.as_fd()
    }
}

/// Why there is no good result.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It could not be started or waited for.
    #[error("cannot run {argv}: {error}")]
    Start {
        /// The command line.
        argv: String,
        /// What the system said.
        error: io::Error,
    },
    /// It was killed after its time.
    #[error("{argv} was stopped after {} seconds{}", after.as_secs(), Indented(stderr))]
    TimedOut {
        /// The command line.
        argv: String,
        /// The time that it had.
        after: Duration,
        /// The end of its standard error.
        stderr: String,
    },
    /// It was killed because it wrote too much.
    #[error("{argv} was stopped: it wrote more than {limit} bytes")]
    TooMuchOutput {
        /// The command line.
        argv: String,
        /// The limit.
        limit: usize,
    },
    /// It ended with another status than 0.
    #[error("{argv}: {status}{}", Indented(stderr))]
    Failed {
        /// The command line.
        argv: String,
        /// How it ended.
        status: ExitStatus,
        /// The end of its standard error.
        stderr: String,
    },
}

struct Indented<'a>(&'a str);

impl fmt::Display for Indented<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.trim_end().lines().try_for_each(|line| write!(f, "\n    {line}"))
    }
}

impl Run {
    /// A program to be run, with nothing on standard input, for at most a minute.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(program);
        // Its own group, so that what it starts is killed with it.
        command.process_group(0);
        Self {
            command,
            input: Vec::new(),
            timeout: Duration::from_mins(1),
            output_limit: 64 << 20,
        }
    }

    /// One more argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    /// More arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    /// A variable of its environment.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Takes nothing over from our environment; what [`Run::env`] sets is kept.
    #[must_use]
    pub fn clear_env(mut self) -> Self {
        let own: Vec<(OsString, OsString)> = self
            .command
            .get_envs()
            .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
            .collect();
        self.command.env_clear().envs(own);
        self
    }

    /// The directory in which it runs.
    #[must_use]
    pub fn dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// What it reads on standard input.
    #[must_use]
    pub fn input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = input.into();
        self
    }

    /// How long it may take.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How much it may write to standard output, in bytes; 64 MiB when not said.
    #[must_use]
    pub fn output_limit(mut self, limit: usize) -> Self {
        self.output_limit = limit;
        self
    }

    /// The command line for people, with every character safe to show. No shell takes it back.
    pub fn argv(&self) -> String {
        let words = std::iter::once(self.command.get_program()).chain(self.command.get_args());
        let shown = words.map(|word| {
            let word = escaped_bytes(word.as_encoded_bytes());
            if word.is_empty() || word.contains([' ', '\'', '"']) {
                format!("{word:?}")
            } else {
                word
            }
        });
        shown.collect::<Vec<_>>().join(" ")
    }

    /// Runs it as another user, in that group alone. Only root can.
    #[must_use]
    pub fn user(mut self, uid: u32, gid: u32) -> Self {
        self.command.uid(uid).gid(gid);
        self
    }

    /// Starts it with these streams, and leaves it to the caller to wait for it; there is no time limit but the caller's.
    pub fn start(mut self, streams: Streams) -> Result<Running, RunError> {
        let argv = self.argv();
        self.command
            .stdin(streams.stdin)
            .stdout(streams.stdout)
            .stderr(streams.stderr);
        let group = Group::start(&mut self.command).map_err(|error| RunError::Start { argv, error })?;
        Ok(Running(group))
    }

    /// Runs it to its end; every status but 0 is an error.
    pub fn ok(self) -> Result<Finished, RunError> {
        let argv = self.argv();
        let finished = self.output()?;
        if finished.status.success() {
            Ok(finished)
        } else {
            Err(RunError::Failed {
                argv,
                status: finished.status,
                stderr: finished.stderr,
            })
        }
    }

    /// Runs it to its end, whatever its status.
    pub fn output(mut self) -> Result<Finished, RunError> {
        let argv = self.argv();
        self.command.stdin(if self.input.is_empty() {
            Stdio::null()
        } else {
            Stdio::piped()
        });
        self.command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let failed = |error| RunError::Start {
            argv: argv.clone(),
            error,
        };
        let mut group = Group::start(&mut self.command).map_err(failed)?;
        let mut pipes = Pipes::of(&mut group.child, self.input).map_err(failed)?;
        let deadline = Instant::now() + self.timeout;
        let status = loop {
            if pipes.stdout.bytes.len() > self.output_limit {
                return Err(RunError::TooMuchOutput {
                    argv,
                    limit: self.output_limit,
                });
            }
            let Some(rest) = deadline.checked_duration_since(Instant::now()) else {
                return Err(RunError::TimedOut {
                    argv,
                    after: self.timeout,
                    stderr: pipes.stderr.text(),
                });
            };
            if pipes.turn(Some(&group.pidfd), rest).map_err(failed)? {
                break group.wait().map_err(failed)?;
            }
        };
        pipes.drain(self.output_limit).map_err(failed)?;
        Ok(Finished {
            status,
            stdout: pipes.stdout.bytes,
            stderr: pipes.stderr.text(),
        })
    }

    /// Runs it on our own standard input and output. What it says on standard error goes to ours as it comes, and its end is kept.
    pub fn attached(mut self) -> Result<(ExitStatus, String), RunError> {
        let argv = self.argv();
        self.command.stderr(Stdio::piped());
        let failed = |error| RunError::Start {
            argv: argv.clone(),
            error,
        };
        let mut group = Group::start(&mut self.command).map_err(failed)?;
        let mut pipes = Pipes::of(&mut group.child, Vec::new()).map_err(failed)?;
        pipes.stderr.forward = true;
        let deadline = Instant::now() + self.timeout;
        let status = loop {
            let Some(rest) = deadline.checked_duration_since(Instant::now()) else {
                return Err(RunError::TimedOut {
                    argv,
                    after: self.timeout,
                    stderr: pipes.stderr.text(),
                });
            };
            if pipes.turn(Some(&group.pidfd), rest).map_err(failed)? {
                break group.wait().map_err(failed)?;
            }
        };
        pipes.drain(usize::MAX).map_err(failed)?;
        Ok((status, pipes.stderr.text()))
    }
}

/// A child that leads its own process group. Whatever happens, nothing of the group is left when this goes.
#[derive(Debug)]
struct Group {
    child: Child,
    pidfd: OwnedFd,
    ended: bool,
}

impl Group {
    fn start(command: &mut Command) -> io::Result<Self> {
        if let Some(observer) = OBSERVER.get() {
            let words = std::iter::once(command.get_program()).chain(command.get_args());
            observer(
                &words
                    .map(|word| escaped_bytes(word.as_encoded_bytes()))
                    .collect::<Vec<_>>()
                    .join(" "),
            );
        }
        let mut child = command.spawn()?;
        match pidfd_open(Pid::from_child(&child), PidfdFlags::empty()) {
            Ok(pidfd) => Ok(Self {
                child,
                pidfd,
                ended: false,
            }),
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(error.into())
            }
        }
    }

    fn wait(&mut self) -> io::Result<ExitStatus> {
        let status = self.child.wait()?;
        self.ended = true;
        Ok(status)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if !self.ended {
            // Before the wait: until then its number cannot be another's.
            let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
            let _ = self.child.wait();
        }
    }
}

/// A pipe's bytes as they come.
struct Reader<R> {
    from: Option<R>,
    bytes: Vec<u8>,
    /// Of more than twice as many bytes only the last so many are kept.
    tail: usize,
    /// Whether they also go to our standard error.
    forward: bool,
}

impl<R: io::Read> Reader<R> {
    fn take(&mut self) -> io::Result<()> {
        let Some(from) = &mut self.from else { return Ok(()) };
        let mut buffer = [0; 16 << 10];
        match from.read(&mut buffer) {
            Ok(0) => self.from = None,
            Ok(read) => {
                if self.forward {
                    // Nobody may be listening any more.
                    let _ = io::stderr().write_all(&buffer[..read]);
                }
                self.bytes.extend_from_slice(&buffer[..read]);
                if self.bytes.len() > self.tail.saturating_mul(2) {
                    self.bytes.drain(..self.bytes.len() - self.tail);
                }
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn text(&self) -> String {
        let from = self.bytes.len().saturating_sub(self.tail);
        let lines = self.bytes[from..]
            .split(|byte| *byte == b'\n')
            .map(|line| escaped_bytes(line.trim_ascii_end()));
        lines.collect::<Vec<_>>().join("\n").trim_end().to_owned()
    }
}

struct Pipes {
    stdin: Option<(std::process::ChildStdin, Vec<u8>, usize)>,
    stdout: Reader<std::process::ChildStdout>,
    stderr: Reader<std::process::ChildStderr>,
}

impl Pipes {
    fn of(child: &mut Child, input: Vec<u8>) -> io::Result<Self> {
        let stdin = child.stdin.take().map(|pipe| (pipe, input, 0));
        let stdout = Reader {
            from: child.stdout.take(),
            bytes: Vec::new(),
            tail: usize::MAX,
            forward: false,
        };
        let stderr = Reader {
            from: child.stderr.take(),
            bytes: Vec::new(),
            tail: TAIL,
            forward: false,
        };
        let fds = [
            stdin.as_ref().map(|(pipe, ..)| pipe.as_fd()),
            stdout.from.as_ref().map(std::os::fd::AsFd::as_fd),
            stderr.from.as_ref().map(std::os::fd::AsFd::as_fd),
        ];
        for fd in fds.into_iter().flatten() {
            fcntl_setfl(fd, fcntl_getfl(fd)? | OFlags::NONBLOCK)?;
        }
        Ok(Self { stdin, stdout, stderr })
    }

    fn reads(&self) -> bool {
        self.stdout.from.is_some() || self.stderr.from.is_some()
    }

    /// Takes what is still in the pipes after the process' end.
    fn drain(&mut self, limit: usize) -> io::Result<()> {
        let until = Instant::now() + GRACE;
        while self.reads() && self.stdout.bytes.len() <= limit {
            let Some(rest) = until.checked_duration_since(Instant::now()) else {
                break;
            };
            self.turn(None, rest)?;
        }
        Ok(())
    }

    /// Waits until something can be moved, and moves it. Says whether the process has ended.
    fn turn(&mut self, process: Option<&OwnedFd>, most: Duration) -> io::Result<bool> {
        let mut fds = Vec::with_capacity(4);
        if let Some(process) = process {
            fds.push(PollFd::new(process, PollFlags::IN));
        }
        if let Some((pipe, ..)) = &self.stdin {
            fds.push(PollFd::new(pipe, PollFlags::OUT));
        }
        if let Some(pipe) = &self.stdout.from {
            fds.push(PollFd::new(pipe, PollFlags::IN));
        }
        if let Some(pipe) = &self.stderr.from {
            fds.push(PollFd::new(pipe, PollFlags::IN));
        }
        wait_for(&mut fds, most)?;
        let ended = process.is_some() && !fds[0].revents().is_empty();
        drop(fds);
        if let Some((pipe, input, done)) = &mut self.stdin {
            match pipe.write(&input[*done..]) {
                Ok(written) => *done += written,
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                // It does not want to read on: its own affair.
                Err(_) => *done = input.len(),
            }
            if *done >= input.len() {
                self.stdin = None;
            }
        }
        self.stdout.take()?;
        self.stderr.take()?;
        Ok(ended)
    }
}

fn wait_for(fds: &mut [PollFd<'_>], most: Duration) -> io::Result<usize> {
    let most = Timespec {
        tv_sec: i64::try_from(most.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(most.subsec_nanos()),
    };
    match poll(fds, Some(&most)) {
        Err(rustix::io::Errno::INTR) => Ok(0),
        other => Ok(other?),
    }
}

#[cfg(test)]
mod tests;
