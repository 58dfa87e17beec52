//! A real OpenSSH server on a loopback port, with a host key and a configuration of its own.

use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::process::{Cmd, Group};
use crate::{keystore, wait};

/// The server; killed with whatever it started when this is dropped.
#[derive(Debug)]
pub struct Sshd {
    /// Where it listens on 127.0.0.1.
    pub port: u16,
    /// A file of known hosts for its clients.
    pub known_hosts: PathBuf,
    /// What it says.
    pub log: PathBuf,
    _group: Group,
}

/// Where sshd is; it insists on being started by its absolute path.
fn program() -> anyhow::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/usr/local/sbin".into()])
        .map(|dir| dir.join("sshd"))
        .find(|file| file.is_file())
        .context("there is no sshd\n\nhint: apt-get install openssh-server")
}

impl Sshd {
    /// Starts one that takes these keys, with its files in `dir`; `more` are lines of
    /// its configuration that go before its own and win over them.
    pub fn start(dir: &Path, authorized_keys: &Path, more: &str) -> anyhow::Result<Self> {
        crate::people::private_folder(dir)?;
        let host_key = keystore::host_key(dir)?;
        if rustix::process::geteuid().is_root() {
            // Where sshd, started by root, locks its unprivileged half in.
            std::fs::create_dir_all("/run/sshd")?;
        }
        let mut last = None;
        // The port is free when it is looked up, and may be taken when it is used.
        for _ in 0..5 {
            match Self::try_start(dir, &host_key, authorized_keys, more) {
                Ok(sshd) => return Ok(sshd),
                Err(error) => last = Some(error),
            }
        }
        Err(last.context("five tries were made")?)
    }

    fn try_start(dir: &Path, host_key: &Path, authorized_keys: &Path, more: &str) -> anyhow::Result<Self> {
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let config = dir.join("sshd_config");
        let log = dir.join("sshd.log");
        let text = format!(
            "{more}\n\
             Port {port}\n\
             ListenAddress 127.0.0.1\n\
             HostKey {}\n\
             AuthorizedKeysFile {}\n\
             PidFile none\n\
             StrictModes no\n\
             UsePAM no\n\
             PasswordAuthentication no\n\
             KbdInteractiveAuthentication no\n\
             PermitRootLogin forced-commands-only\n\
             MaxStartups 1000\n\
             LoginGraceTime 60\n\
             AcceptEnv GIT_PROTOCOL\n\
             LogLevel VERBOSE\n",
            host_key.display(),
            authorized_keys.display(),
        );
        std::fs::write(&config, text)?;
        let file = std::fs::File::create(&log)?;
        let mut command = Cmd::new(program()?).args(["-D", "-e", "-f"]).arg(&config).command();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
        let mut group = Group::of(command.spawn().context("cannot start sshd")?);
        wait::until("sshd's greeting", || {
            if let Some(status) = group.ended()? {
                bail!("sshd ended with {status}: {}", std::fs::read_to_string(&log)?);
            }
            Ok(greets(port).then_some(()))
        })?;
        let known_hosts = dir.join("known_hosts");
        let public = std::fs::read_to_string(host_key.with_extension("pub"))?;
        std::fs::write(&known_hosts, format!("[127.0.0.1]:{port} {public}"))?;
        Ok(Self {
            port,
            known_hosts,
            log,
            _group: group,
        })
    }
}

fn greets(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else {
        return false;
    };
    let mut greeting = [0; 4];
    stream.set_read_timeout(Some(Duration::from_secs(5))).is_ok()
        && stream.read_exact(&mut greeting).is_ok()
        && &greeting == b"SSH-"
}
