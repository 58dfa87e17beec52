//! Programs that bring an engine within reach, and end with us: `podman system service` where podman has no socket, and `ssh` that
//! forwards the socket of another host.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use windlass_hooks::process::{Run, Running, Streams};

use super::environment::Environment;

/// How long a child may take to end by itself before it is killed.
const END: Duration = Duration::from_secs(5);

/// A program that listens on a socket of ours until this goes.
#[derive(Debug)]
pub(super) struct Child {
    running: Running,
    log: PathBuf,
    socket: PathBuf,
    _dir: TempDir,
}

impl Child {
    /// `podman system service` of this podman.
    pub(super) fn podman(program: &Path) -> Result<Self, String> {
        Self::start(|socket| {
            Run::new(program)
                .args(["system", "service", "--time=0"])
                .arg(format!("unix://{}", socket.display()))
        })
    }

    /// ssh that forwards a socket of another host. It never asks: keys and known hosts have to be in order.
    pub(super) fn ssh(
        environment: &Environment,
        destination: &str,
        port: Option<u16>,
        remote: &Path,
        patience: Duration,
    ) -> Result<Self, String> {
        let ssh = environment
            .program("ssh")
            .ok_or("there is no program ssh on the PATH")?;
        Self::start(|socket| {
            let mut forward = socket.as_os_str().to_owned();
            forward.push(":");
            forward.push(remote);
            let run = Run::new(ssh)
                .args(["-N", "-T", "-o", "BatchMode=yes", "-o", "ExitOnForwardFailure=yes"])
                .args(["-o", "ControlMaster=no", "-o", "ControlPath=none"])
                .args(["-o", "ServerAliveInterval=15", "-o", "StreamLocalBindMask=0177"])
                .arg("-o")
                .arg(format!("ConnectTimeout={}", patience.as_secs().max(1)))
                .arg("-L")
                .arg(forward);
            let run = match port {
                Some(port) => run.args(["-p", &port.to_string()]),
                None => run,
            };
            run.args(["--", destination])
        })
    }

    fn start(command: impl FnOnce(&Path) -> Run) -> Result<Self, String> {
        let failed = |error: std::io::Error| error.to_string();
        let dir = tempfile::Builder::new().prefix("windlass-").tempdir().map_err(failed)?;
        let socket = dir.path().join("engine.sock");
        let log = dir.path().join("log");
        let file = std::fs::File::create(&log).map_err(failed)?;
        let streams = Streams {
            stdin: Stdio::null(),
            stdout: Stdio::null(),
            stderr: file.into(),
        };
        let running = command(&socket).start(streams).map_err(|error| error.to_string())?;
        Ok(Self {
            running,
            log,
            socket,
            _dir: dir,
        })
    }

    /// Where it listens.
    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Waits until it listens.
    pub(super) async fn listening(&mut self, patience: Duration) -> Result<(), String> {
        let end = Instant::now() + patience;
        loop {
            if tokio::net::UnixStream::connect(&self.socket).await.is_ok() {
                return Ok(());
            }
            if self.ended() {
                return Err(format!("it ended: {}", self.said()));
            }
            if Instant::now() > end {
                return Err(format!(
                    "it did not listen within {} seconds: {}",
                    patience.as_secs(),
                    self.said()
                ));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn ended(&self) -> bool {
        let mut fds = [rustix::event::PollFd::new(&self.running, rustix::event::PollFlags::IN)];
        let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
        matches!(rustix::event::poll(&mut fds, Some(&now)), Ok(ready) if ready > 0)
    }

    /// The end of what it said.
    pub(super) fn said(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        let last = &lines[lines.len().saturating_sub(3)..];
        if last.is_empty() {
            return "it said nothing".into();
        }
        windlass_core::escape::escaped(&last.join("; "))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Asked first; with `running` it is killed, and with its group.
        if let Some(pid) = i32::try_from(self.running.id()).ok().and_then(Pid::from_raw)
            && !self.ended()
            && kill_process(pid, Signal::TERM).is_ok()
        {
            let mut fds = [rustix::event::PollFd::new(&self.running, rustix::event::PollFlags::IN)];
            let most = rustix::event::Timespec {
                tv_sec: i64::try_from(END.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: 0,
            };
            let _ = rustix::event::poll(&mut fds, Some(&most));
        }
    }
}
