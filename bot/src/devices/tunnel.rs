//! The way back from a device to a server on this machine's loopback: a port of the device's own choice, forwarded by ssh.
//!
//! It ends with whoever holds it, and also with a process that is killed: ssh carries out a command that reads, and what it reads from is ours.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{ChildStderr, ChildStdin};
use windlass_core::escape::escaped;

use super::ssh::{Bound, Ssh, SshError, judged};

/// What the device does while the tunnel stands; it ends when we do. It begins when the port was given: devices do things in their order.
const HOLD: &str = "echo stands >&2; cat >/dev/null";

/// The most that is read of what ssh says before the tunnel stands.
const MOST: u64 = 64 << 10;

/// A tunnel that stands.
#[derive(Debug)]
pub struct Tunnel {
    child: Bound,
    port: u16,
    stderr: BufReader<tokio::io::Take<ChildStderr>>,
    _stdin: Option<ChildStdin>,
}

impl Tunnel {
    /// Opens one from a port of the device to this port here. The device's port is `wanted`, or free where nobody wants one.
    ///
    /// # Errors
    /// The device cannot be reached, or does not give the port.
    pub async fn open(ssh: &Ssh, port: u16, wanted: Option<u16>, limit: Duration) -> Result<Self, SshError> {
        let options = [
            "-o".to_owned(),
            "ExitOnForwardFailure=yes".to_owned(),
            // It says there which port it got.
            "-o".to_owned(),
            "LogLevel=INFO".to_owned(),
            "-R".to_owned(),
            format!("{}:127.0.0.1:{port}", wanted.unwrap_or(0)),
        ];
        let mut command = ssh.command(&options, Some(HOLD), ssh.patience().connect);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = Bound::start(&mut command).map_err(SshError::Start)?;
        let stdin = child.0.stdin.take();
        let Some(stderr) = child.0.stderr.take() else {
            return Err(SshError::Start(std::io::Error::other("it has no standard error")));
        };
        let mut stderr = BufReader::new(stderr.take(MOST));
        let stands = async {
            let mut complaints = String::new();
            let mut port = wanted;
            loop {
                let mut line = String::new();
                let read = stderr.read_line(&mut line).await;
                if !matches!(read, Ok(1..)) {
                    return Err(refused(&complaints));
                }
                match (line.trim() == "stands", port) {
                    (true, Some(port)) => return Ok(port),
                    (true, None) => return Err(SshError::Unreachable("ssh does not say the tunnel's port".to_owned())),
                    (false, _) => {
                        port = port.or_else(|| allocated(&line));
                        complaints.push_str(&line);
                    }
                }
            }
        };
        let stood = tokio::time::timeout(limit, stands).await.unwrap_or_else(|_| {
            Err(SshError::TimedOut {
                command: "the tunnel".to_owned(),
                after: limit,
            })
        });
        match stood {
            Ok(port) => Ok(Self {
                child,
                port,
                stderr,
                _stdin: stdin,
            }),
            Err(error) => {
                child.end().await;
                Err(error)
            }
        }
    }

    /// The port on the device's loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Waits until it is cut.
    pub async fn cut(&mut self) -> SshError {
        let mut complaints = Vec::new();
        let _ = self.stderr.read_to_end(&mut complaints).await;
        let _ = self.child.0.wait().await;
        judged(&String::from_utf8_lossy(&complaints))
    }

    /// Closes it, and waits until ssh is gone.
    pub async fn close(self) {
        self.child.end().await;
    }
}

/// The port that ssh was given by the device, if it says that in this line.
fn allocated(line: &str) -> Option<u16> {
    let rest = line.trim().strip_prefix("Allocated port ")?;
    let (port, rest) = rest.split_once(' ')?;
    rest.starts_with("for remote forward to ")
        .then(|| port.parse().ok())
        .flatten()
}

fn refused(complaints: &str) -> SshError {
    let words = complaints
        .lines()
        .find(|line| line.contains("remote port forwarding failed"));
    match words {
        Some(words) => SshError::Unreachable(format!("the tunnel is refused: {}", escaped(words.trim()))),
        None => judged(&windlass_core::escape::escaped_lines(complaints, 4096)),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("Allocated port 41234 for remote forward to 127.0.0.1:8081\r\n", Some(41234))]
    #[case("Allocated port 0x10 for remote forward to 127.0.0.1:8081", None)]
    #[case("Allocated port 99999 for remote forward to 127.0.0.1:8081", None)]
    #[case("debug1: Allocated port 1 for remote forward to x", None)]
    #[case("Warning: Permanently added 'lab-1' (ED25519) to the list of known hosts.", None)]
    fn the_port_is_read(#[case] line: &str, #[case] port: Option<u16>) {
        assert_eq!(allocated(line), port);
    }

    #[test]
    fn a_busy_port_is_no_mere_warning() {
        let error = refused("Error: remote port forwarding failed for listen port 8081\n");
        assert!(error.to_string().contains("the tunnel is refused"), "{error}");
    }
}
