//! Runs a program: arguments as a list, an environment of its own, a deadline, and its whole process group killed at the end.

use std::ffi::{OsStr, OsString};
use std::io::{Read, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::wait::DEADLINE;

/// A command to be run. The environment holds PATH, a UTF-8 locale and what is added.
#[derive(Debug, Clone)]
pub struct Cmd {
    argv: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    dir: Option<PathBuf>,
    stdin: Vec<u8>,
    limit: Duration,
}

impl Cmd {
    /// A program without arguments.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
        Self {
            argv: vec![program.as_ref().to_owned()],
            env: vec![
                ("PATH".into(), path),
                ("LANG".into(), "C.UTF-8".into()),
                ("NO_COLOR".into(), "1".into()),
            ],
            dir: None,
            stdin: Vec::new(),
            limit: DEADLINE,
        }
    }

    /// One more argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.argv.push(arg.as_ref().to_owned());
        self
    }

    /// More arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.argv.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// One more variable of the environment; the last of a name holds.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Where it runs.
    #[must_use]
    pub fn dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.dir = Some(dir.as_ref().to_owned());
        self
    }

    /// What it reads; nothing otherwise.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// How long it may take.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// The same, run by root as another user, in that user's groups.
    #[must_use]
    pub fn as_user(self, user: &str) -> Self {
        self.before(["setpriv", "--reuid", user, "--regid", user, "--init-groups", "--"])
    }

    /// The same, as the last arguments of another command.
    #[must_use]
    pub fn before<const N: usize>(mut self, words: [&str; N]) -> Self {
        self.argv.splice(0..0, words.map(OsString::from));
        self
    }

    /// The command as one would type it.
    pub fn shown(&self) -> String {
        let words: Vec<String> = self.argv.iter().map(|word| quoted(&word.to_string_lossy())).collect();
        words.join(" ")
    }

    /// The same as a `std` command: for what needs the child itself.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.argv[0]);
        command.args(&self.argv[1..]).env_clear().envs(self.env.iter().cloned());
        if let Some(dir) = &self.dir {
            command.current_dir(dir);
        }
        command.process_group(0);
        command
    }

    /// Runs it to its end. An exit code other than 0 is no error here: see [`Ran::ok`].
    pub fn run(&self) -> anyhow::Result<Ran> {
        self.start()?.finish()
    }

    /// Starts it; [`Running::finish`] waits for its end.
    pub fn start(&self) -> anyhow::Result<Running> {
        let mut command = self.command();
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let started = Instant::now();
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot run {}", self.shown()))?;
        let mut stdin = child.stdin.take().context("stdin is piped")?;
        let bytes = self.stdin.clone();
        // Its own thread, detached: a program need not read all of it.
        std::thread::spawn(move || stdin.write_all(&bytes));
        Ok(Running {
            shown: self.shown(),
            stdout: Some(collect(child.stdout.take().context("stdout is piped")?)),
            stderr: Some(collect(child.stderr.take().context("stderr is piped")?)),
            child: Group(child),
            started,
            limit: self.limit,
        })
    }
}

/// A word as a shell would need it.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=/.:@,+%~".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

fn collect(mut stream: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // What a killed program had written until then is all there is.
        let _ = stream.read_to_end(&mut bytes);
        bytes
    })
}

/// A child that leads its own process group; the group is killed when this is dropped.
#[derive(Debug)]
pub struct Group(Child);

impl Group {
    /// Takes a child that was started with [`Cmd::command`].
    pub fn of(child: Child) -> Self {
        Self(child)
    }

    /// Its process id.
    pub fn id(&self) -> Option<Pid> {
        Pid::from_raw(i32::try_from(self.0.id()).ok()?)
    }

    /// Sends a signal to the child alone.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = self.id() {
            // Gone already is as good.
            let _ = rustix::process::kill_process(pid, signal);
        }
    }

    /// Kills the whole group at once and takes the child's status.
    pub fn kill(&mut self) {
        if let Ok(Some(_)) = self.0.try_wait() {
            return;
        }
        if let Some(pid) = self.id() {
            let _ = kill_process_group(pid, Signal::KILL);
        }
        let _ = self.0.wait();
    }

    /// Whether it has ended.
    pub fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.0.try_wait()?)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A command on its way.
#[derive(Debug)]
pub struct Running {
    shown: String,
    child: Group,
    stdout: Option<JoinHandle<Vec<u8>>>,
    stderr: Option<JoinHandle<Vec<u8>>>,
    started: Instant,
    limit: Duration,
}

impl Running {
    /// The child.
    pub fn child(&mut self) -> &mut Group {
        &mut self.child
    }

    /// Waits for the end; past the limit it is killed, which is an error.
    pub fn finish(mut self) -> anyhow::Result<Ran> {
        let (done, waits) = mpsc::channel::<()>();
        let pid = self.child.id();
        let left = self.limit.saturating_sub(self.started.elapsed());
        let watchdog = std::thread::spawn(move || {
            let late = waits.recv_timeout(left) == Err(mpsc::RecvTimeoutError::Timeout);
            if late && let Some(pid) = pid {
                let _ = kill_process_group(pid, Signal::KILL);
            }
            late
        });
        let status = self.child.0.wait()?;
        let took = self.started.elapsed();
        // Its children may hold its output open: the deadline is for them as well.
        let stdout = join(self.stdout.take());
        let stderr = join(self.stderr.take());
        drop(done);
        let ran = Ran {
            shown: std::mem::take(&mut self.shown),
            status,
            stdout,
            stderr,
            took,
        };
        if watchdog.join().unwrap_or(false) {
            bail!("took longer than {} seconds: {ran}", self.limit.as_secs());
        }
        Ok(ran)
    }
}

fn join(handle: Option<JoinHandle<Vec<u8>>>) -> Vec<u8> {
    handle.and_then(|handle| handle.join().ok()).unwrap_or_default()
}

/// A command that has run.
#[derive(Debug, Clone)]
pub struct Ran {
    /// The command as one would type it.
    pub shown: String,
    /// How it ended.
    pub status: ExitStatus,
    /// Its data.
    pub stdout: Vec<u8>,
    /// Its talk.
    pub stderr: Vec<u8>,
    /// How long it took.
    pub took: Duration,
}

impl Ran {
    /// Stops a story unless the exit code is 0.
    pub fn ok(self) -> anyhow::Result<Self> {
        self.exits(0)
    }

    /// Stops a story unless the exit code is this.
    pub fn exits(self, code: i32) -> anyhow::Result<Self> {
        if self.code() == code {
            Ok(self)
        } else {
            bail!("expected exit code {code}: {self}")
        }
    }

    /// The exit code; 128 and the signal's number when a signal ended it.
    pub fn code(&self) -> i32 {
        self.status
            .code()
            .unwrap_or_else(|| 128 + self.status.signal().unwrap_or(0))
    }

    /// Its data as text.
    pub fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Its talk as text.
    pub fn err(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// Its data as one line.
    pub fn line(&self) -> String {
        self.out().trim().to_owned()
    }

    /// Its data as JSON.
    pub fn json(&self) -> anyhow::Result<serde_json::Value> {
        serde_json::from_slice(&self.stdout).with_context(|| format!("this is no JSON: {self}"))
    }
}

impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "$ {}\n{}{}[exit code {}]",
            self.shown,
            self.out(),
            self.err(),
            self.code()
        )
    }
}
