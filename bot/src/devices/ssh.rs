//! ssh to a device: a child of ours for each command, with a known host key and nothing of the user's configuration.
//!
//! A child leads its own process group, which is killed when whoever waits for it goes away, for whatever reason. What a device says is cut to
//! a size. Commands for its shell are quoted by [`windlass_core::device::flash::shell`] and by nothing else.

use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc::UnboundedSender;
use windlass_core::device::flash::Fault;
use windlass_core::escape::{escaped, escaped_lines};
use windlass_core::id::DeviceName;

/// How much of what a command says is taken.
const MOST: u64 = 1 << 20;

/// How much of what it complains about is kept: the end.
const TAIL: usize = 8 << 10;

/// Where a device is, and who it has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceAddress {
    /// What it is called here.
    pub name: DeviceName,
    /// Host name or address.
    pub host: String,
    /// The port of its ssh server.
    pub port: u16,
    /// Who logs in.
    pub user: String,
    /// The private key; whichever ssh finds where none is said.
    pub identity: Option<PathBuf>,
    /// How it is known to be the one.
    pub host_key: HostKey,
    /// An ssh configuration to be read, too; none otherwise, not even the user's own.
    pub config: Option<PathBuf>,
}

/// How a device is known to be the one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostKey {
    /// By this key, as in `ssh-ed25519 AAAA…`.
    Pinned(String),
    /// By the key that this file of known hosts has for its name; at the first time its key is written there.
    AcceptNew(PathBuf),
    /// By the key that this file of known hosts has for its name.
    Known(PathBuf),
}

/// How long things may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// A connection, until a command can be sent.
    pub connect: Duration,
    /// A short command.
    pub command: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(15),
            command: Duration::from_mins(1),
        }
    }
}

/// What can go wrong on the way to a device, or there.
#[derive(Debug, thiserror::Error)]
pub enum SshError {
    /// Its address makes no sense.
    #[error("{0}")]
    Address(String),
    /// ssh cannot be run here.
    #[error("ssh cannot be run: {0}")]
    Start(io::Error),
    /// Nobody answers, or the connection was cut.
    #[error("the device cannot be reached: {0}")]
    Unreachable(String),
    /// Somebody answers, and it is not the device.
    #[error("the device's host key is not the one that is known: {0}")]
    HostKey(String),
    /// It does not let us in.
    #[error("the device does not let us in: {0}")]
    Denied(String),
    /// It took too long.
    #[error("'{command}' was not over after {} s", after.as_secs())]
    TimedOut {
        /// What.
        command: String,
        /// After so long.
        after: Duration,
    },
    /// A command failed.
    #[error("'{command}' ended with {status}{}", said(stderr))]
    Failed {
        /// Which.
        command: String,
        /// Its exit status.
        status: i32,
        /// What it complained about.
        stderr: String,
    },
    /// What was to be sent cannot be read.
    #[error("what is sent to the device cannot be read: {0}")]
    Input(io::Error),
}

fn said(stderr: &str) -> String {
    if stderr.is_empty() {
        String::new()
    } else {
        format!(": {stderr}")
    }
}

impl SshError {
    /// Whose fault it is: a command that fails is the update's, another device that answers is nobody's; all else is the lab's.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Failed { .. } => Fault::Product,
            Self::HostKey(_) => Fault::Identity,
            Self::Address(_)
            | Self::Start(_)
            | Self::Unreachable(_)
            | Self::Denied(_)
            | Self::TimedOut { .. }
            | Self::Input(_) => Fault::Infrastructure,
        }
    }
}

/// What a command said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Its exit status.
    pub status: i32,
    /// What it wrote, as text; no more than a MiB of it.
    pub out: String,
    /// The end of what it complained about, safe to show.
    pub err: String,
}

impl Said {
    /// The first line that is not empty, safe to show.
    pub fn line(&self) -> String {
        escaped(
            self.out
                .lines()
                .map(str::trim)
                .find(|line| !line.is_empty())
                .unwrap_or_default(),
        )
    }
}

/// The way to one device.
#[derive(Debug)]
pub struct Ssh {
    address: DeviceAddress,
    patience: Patience,
    known_hosts: PathBuf,
    /// Where a pinned key lies while it is needed.
    _dir: Option<TempDir>,
    /// Is told each command line.
    told: Option<UnboundedSender<String>>,
}

/// A child that leads a process group, which ends with this.
#[derive(Debug)]
pub(super) struct Bound(pub(super) Child);

impl Bound {
    pub(super) fn start(command: &mut Command) -> io::Result<Self> {
        Ok(Self(command.process_group(0).kill_on_drop(true).spawn()?))
    }

    /// Ends it and waits for that.
    pub(super) async fn end(mut self) {
        self.kill_group();
        let _ = self.0.wait().await;
    }

    fn kill_group(&self) {
        // It has a number until it was waited for: till then the number cannot be another's.
        let group = self
            .0
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw);
        if let Some(group) = group {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        self.kill_group();
    }
}

impl DeviceAddress {
    /// Whether ssh can be told of it: nothing in it is an option.
    fn check(&self) -> Result<(), SshError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-:%".contains(&byte);
        let good = |word: &str| !word.is_empty() && !word.starts_with('-') && word.bytes().all(plain);
        if !good(&self.host) {
            return Err(SshError::Address(format!("'{}' is no host", escaped(&self.host))));
        }
        if !good(&self.user) {
            return Err(SshError::Address(format!("'{}' is no user", escaped(&self.user))));
        }
        if let HostKey::Pinned(key) = &self.host_key
            && (key.contains(['\n', '\r']) || key.split_whitespace().count() < 2)
        {
            return Err(SshError::Address(format!(
                "'{}' is no host key\n\nhint: it is a line such as 'ssh-ed25519 AAAA…'; `ssh-keyscan {}` shows it",
                escaped(key),
                self.host
            )));
        }
        Ok(())
    }
}

impl Ssh {
    /// The way to this device; nobody is called yet.
    ///
    /// # Errors
    /// The address makes no sense, or the pinned key cannot be written down.
    pub fn to(address: DeviceAddress, patience: Patience) -> Result<Self, SshError> {
        address.check()?;
        let (known_hosts, dir) = match &address.host_key {
            HostKey::Pinned(key) => {
                let dir = tempfile::Builder::new()
                    .prefix("windlass-ssh-")
                    .tempdir()
                    .map_err(SshError::Start)?;
                let file = dir.path().join("known_hosts");
                std::fs::write(&file, format!("{} {}\n", address.name, key.trim())).map_err(SshError::Start)?;
                (file, Some(dir))
            }
            HostKey::AcceptNew(file) | HostKey::Known(file) => (file.clone(), None),
        };
        Ok(Self {
            address,
            patience,
            known_hosts,
            _dir: dir,
            told: None,
        })
    }

    /// The same, and each command line is told.
    #[must_use]
    pub fn telling(mut self, told: UnboundedSender<String>) -> Self {
        self.told = Some(told);
        self
    }

    /// Where it leads.
    pub fn address(&self) -> &DeviceAddress {
        &self.address
    }

    /// How long things may take.
    pub fn patience(&self) -> Patience {
        self.patience
    }

    /// `ssh` with everything up to the host; `connect` is how long that may take.
    pub(super) fn command(&self, options: &[String], remote: Option<&str>, connect: Duration) -> Command {
        let address = &self.address;
        let checking = match address.host_key {
            HostKey::AcceptNew(_) => "accept-new",
            HostKey::Pinned(_) | HostKey::Known(_) => "yes",
        };
        let mut words: Vec<String> = vec!["-T".to_owned()];
        let config = address.config.as_deref().map(|path| path.display().to_string());
        words.extend(["-F".to_owned(), config.unwrap_or_else(|| "/dev/null".to_owned())]);
        for option in [
            "BatchMode=yes".to_owned(),
            // A second is the least that ssh knows.
            format!("ConnectTimeout={}", connect.as_secs().max(1)),
            "ConnectionAttempts=1".to_owned(),
            "ServerAliveInterval=5".to_owned(),
            "ServerAliveCountMax=3".to_owned(),
            format!("StrictHostKeyChecking={checking}"),
            format!("UserKnownHostsFile=\"{}\"", self.known_hosts.display()),
            "GlobalKnownHostsFile=/dev/null".to_owned(),
            format!("HostKeyAlias={}", address.name),
            "CheckHostIP=no".to_owned(),
            "UpdateHostKeys=no".to_owned(),
            "PasswordAuthentication=no".to_owned(),
            "KbdInteractiveAuthentication=no".to_owned(),
            "Compression=no".to_owned(),
            "ControlPath=none".to_owned(),
            "ForwardAgent=no".to_owned(),
            "ForwardX11=no".to_owned(),
        ] {
            words.extend(["-o".to_owned(), option]);
        }
        if let Some(identity) = &address.identity {
            words.extend(["-o".to_owned(), "IdentitiesOnly=yes".to_owned()]);
            words.extend(["-i".to_owned(), identity.display().to_string()]);
        }
        words.extend(options.iter().cloned());
        words.extend(["-p".to_owned(), address.port.to_string()]);
        words.extend(["-l".to_owned(), address.user.clone()]);
        words.extend(["--".to_owned(), address.host.clone()]);
        words.extend(remote.map(str::to_owned));
        if let Some(told) = &self.told {
            // Whoever wanted to hear it may be gone.
            let _ = told.send(format!("ssh {}", words.join(" ")));
        }
        tracing::debug!(device.id = %address.name, "ssh {}", words.join(" "));
        let mut command = Command::new("ssh");
        // What it says is read.
        command.args(words).env("LC_ALL", "C").stdin(Stdio::null());
        command
    }

    /// Has a command carried out; every status but 0 is an error.
    ///
    /// # Errors
    /// The device cannot be reached, is another one, or the command fails or takes too long.
    pub async fn says(&self, remote: &str) -> Result<Said, SshError> {
        self.ok(remote, self.run(remote, self.patience.command).await?)
    }

    /// Has a command carried out, whatever its status.
    ///
    /// # Errors
    /// The device cannot be reached, is another one, or the command takes too long.
    pub async fn run(&self, remote: &str, limit: Duration) -> Result<Said, SshError> {
        let mut out = String::new();
        let lines = |line: &str| {
            out.push_str(line);
            out.push('\n');
        };
        let (status, err) = self
            .talk(
                remote,
                None::<&mut tokio::io::Empty>,
                limit,
                self.patience.connect,
                lines,
            )
            .await?;
        Ok(Said { status, out, err })
    }

    /// The same with other patience, for a device of which nobody knows whether it is there.
    ///
    /// # Errors
    /// As for [`Ssh::run`].
    pub async fn try_run(&self, remote: &str, connect: Duration, limit: Duration) -> Result<Said, SshError> {
        let mut out = String::new();
        let lines = |line: &str| {
            out.push_str(line);
            out.push('\n');
        };
        let (status, err) = self
            .talk(remote, None::<&mut tokio::io::Empty>, limit, connect, lines)
            .await?;
        Ok(Said { status, out, err })
    }

    /// Has a command carried out and hears each of its lines as it comes; its status comes back with the end of its complaints.
    ///
    /// # Errors
    /// As for [`Ssh::run`].
    pub async fn follow(
        &self,
        remote: &str,
        limit: Duration,
        line: impl FnMut(&str) + Send,
    ) -> Result<(i32, String), SshError> {
        self.talk(
            remote,
            None::<&mut tokio::io::Empty>,
            limit,
            self.patience.connect,
            line,
        )
        .await
    }

    /// Has a command carried out that reads all of `input`.
    ///
    /// # Errors
    /// As for [`Ssh::run`]; or the input cannot be read.
    pub async fn feed(
        &self,
        remote: &str,
        input: &mut (impl AsyncRead + Unpin + Send),
        limit: Duration,
        line: impl FnMut(&str) + Send,
    ) -> Result<(i32, String), SshError> {
        self.talk(remote, Some(input), limit, self.patience.connect, line).await
    }

    /// Every status but 0 becomes an error.
    ///
    /// # Errors
    /// The status is not 0.
    pub fn ok(&self, remote: &str, said: Said) -> Result<Said, SshError> {
        if said.status == 0 {
            Ok(said)
        } else {
            Err(SshError::Failed {
                command: short(remote),
                status: said.status,
                stderr: said.err,
            })
        }
    }

    async fn talk(
        &self,
        remote: &str,
        input: Option<&mut (impl AsyncRead + Unpin + Send)>,
        limit: Duration,
        connect: Duration,
        mut line: impl FnMut(&str) + Send,
    ) -> Result<(i32, String), SshError> {
        let options = ["-o".to_owned(), "LogLevel=ERROR".to_owned()];
        let mut command = self.command(&options, Some(remote), connect);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        if input.is_some() {
            command.stdin(Stdio::piped());
        }
        let mut child = Bound::start(&mut command).map_err(SshError::Start)?;
        let (stdin, stdout, stderr) = (child.0.stdin.take(), child.0.stdout.take(), child.0.stderr.take());
        let feeding = async move {
            if let (Some(mut stdin), Some(input)) = (stdin, input) {
                match tokio::io::copy(input, &mut stdin).await {
                    // A reader that is gone says why by its status.
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
                    Err(error) => return Err(SshError::Input(error)),
                    Ok(_) => {}
                }
                let _ = stdin.shutdown().await;
            }
            Ok(())
        };
        let hearing = async {
            let Some(stdout) = stdout else { return };
            let mut reader = BufReader::new(stdout);
            let mut left = MOST;
            let mut bytes = Vec::new();
            loop {
                bytes.clear();
                // What is more than all that is taken is read and dropped.
                match (&mut reader).take(left.max(4096)).read_until(b'\n', &mut bytes).await {
                    Ok(0) | Err(_) => return,
                    Ok(read) => {
                        if left > 0 {
                            line(String::from_utf8_lossy(&bytes).trim_end_matches(['\n', '\r']));
                        }
                        left = left.saturating_sub(read as u64);
                    }
                }
            }
        };
        let complaints = async {
            match stderr {
                Some(stderr) => tail(stderr).await,
                None => String::new(),
            }
        };
        let all = async {
            let (fed, (), complaints) = tokio::join!(feeding, hearing, complaints);
            let status = child.0.wait().await.map_err(SshError::Start)?;
            fed?;
            Ok((status, complaints))
        };
        let Ok(done) = tokio::time::timeout(limit, all).await else {
            child.end().await;
            return Err(SshError::TimedOut {
                command: short(remote),
                after: limit,
            });
        };
        let (status, complaints) = done?;
        match status.code() {
            Some(255) | None => Err(judged(&complaints)),
            Some(status) => Ok((status, complaints)),
        }
    }
}

/// The end of a stream, safe to show.
async fn tail(mut stream: impl AsyncRead + Unpin) -> String {
    let mut kept = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        kept.extend_from_slice(&buffer[..read]);
        if kept.len() > 2 * TAIL {
            kept.drain(..kept.len() - TAIL);
        }
    }
    let from = kept.len().saturating_sub(TAIL);
    escaped_lines(&String::from_utf8_lossy(&kept[from..]), TAIL)
}

/// What ssh itself complained about, as an error.
pub(super) fn judged(complaints: &str) -> SshError {
    let words = complaints
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('@'))
        .collect::<Vec<_>>()
        .join("; ");
    if complaints.contains("HOST IDENTIFICATION HAS CHANGED")
        || complaints.contains("Host key verification failed")
        || complaints.contains("host key is known for")
    {
        return SshError::HostKey(words);
    }
    if complaints.contains("Permission denied") || complaints.contains("Too many authentication failures") {
        return SshError::Denied(words);
    }
    SshError::Unreachable(if words.is_empty() {
        "the connection was cut".to_owned()
    } else {
        words
    })
}

/// So much of a command as a message bears.
fn short(remote: &str) -> String {
    let line = remote.lines().next().unwrap_or_default();
    windlass_core::escape::shortened(escaped(line), 120)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn address() -> DeviceAddress {
        DeviceAddress {
            name: "lab-1".parse().unwrap(),
            host: "127.0.0.1".to_owned(),
            port: 22,
            user: "root".to_owned(),
            identity: None,
            host_key: HostKey::Pinned("ssh-ed25519 AAAA".to_owned()),
            config: None,
        }
    }

    #[rstest]
    #[case("-oProxyCommand=reboot", "root", "ssh-ed25519 AAAA", "is no host")]
    #[case("", "root", "ssh-ed25519 AAAA", "is no host")]
    #[case("host name", "root", "ssh-ed25519 AAAA", "is no host")]
    #[case("host", "-l", "ssh-ed25519 AAAA", "is no user")]
    #[case("host", "root", "AAAA", "is no host key")]
    #[case("host", "root", "ssh-ed25519 AAAA\n* ssh-ed25519 BBBB", "is no host key")]
    fn an_address_is_no_option(#[case] host: &str, #[case] user: &str, #[case] key: &str, #[case] says: &str) {
        let address = DeviceAddress {
            host: host.to_owned(),
            user: user.to_owned(),
            host_key: HostKey::Pinned(key.to_owned()),
            ..address()
        };
        let error = Ssh::to(address, Patience::default()).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }

    #[test]
    fn a_pinned_key_is_the_only_one() {
        let ssh = Ssh::to(address(), Patience::default()).unwrap();
        assert_eq!(
            std::fs::read_to_string(&ssh.known_hosts).unwrap(),
            "lab-1 ssh-ed25519 AAAA\n"
        );
        let command = ssh.command(&[], Some("true"), Duration::from_secs(3));
        let words: Vec<String> = command
            .as_std()
            .get_args()
            .map(|word| word.to_string_lossy().into_owned())
            .collect();
        for word in [
            "BatchMode=yes",
            "StrictHostKeyChecking=yes",
            "HostKeyAlias=lab-1",
            "/dev/null",
            "ConnectTimeout=3",
        ] {
            assert!(words.iter().any(|found| found == word), "{word} in {words:?}");
        }
        assert!(
            words.ends_with(&["--", "127.0.0.1", "true"].map(str::to_owned)),
            "{words:?}"
        );
    }

    #[rstest]
    #[case("ssh: connect to host 127.0.0.1 port 1: Connection refused", "cannot be reached")]
    #[case("", "the connection was cut")]
    #[case("root@127.0.0.1: Permission denied (publickey).", "does not let us in")]
    #[case(
        "@@@@@\nWARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!\n",
        "is not the one that is known"
    )]
    #[case(
        "No ED25519 host key is known for lab-1 and you have requested strict checking.\nHost key verification failed.",
        "host key is not"
    )]
    fn what_ssh_says_is_understood(#[case] complaints: &str, #[case] says: &str) {
        let error = judged(complaints);
        assert_eq!(
            error.fault() == Fault::Identity,
            says.contains("key") || says.contains("known"),
            "{error}"
        );
        let error = error.to_string();
        assert!(error.contains(says), "{error}");
    }
}
