//! How `dockerd` is started beside others of its kind: no bridge, no packet filter, everything it writes in one directory.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::{Setup, find};
use crate::process::Cmd;

/// Its command line, and the environment of its client.
pub(super) fn command(dir: &Path, socket: &Path, setup: &Setup) -> anyhow::Result<(Cmd, Vec<(String, PathBuf)>)> {
    let program = find("dockerd").context("there is no dockerd\n\nhint: apt-get install docker.io")?;
    // Never the machine's own configuration.
    let config = dir.join("daemon.json");
    std::fs::write(&config, "{}")?;
    let temporary = dir.join("tmp");
    std::fs::create_dir(&temporary)?;
    let command = Cmd::new(program)
        .arg("--host")
        .arg(format!("unix://{}", socket.display()))
        .arg("--config-file")
        .arg(&config)
        .arg("--data-root")
        .arg(dir.join("data"))
        .arg("--exec-root")
        .arg(dir.join("exec"))
        .arg("--pidfile")
        .arg(dir.join("pid"))
        .args([
            "--bridge=none",
            "--iptables=false",
            "--ip6tables=false",
            "--ip-masq=false",
        ])
        .args(&setup.arguments)
        .env("TMPDIR", temporary);
    Ok((command, Vec::new()))
}
