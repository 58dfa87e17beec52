//! How `podman system service` is started beside others of its kind: runc, limits that the machine can give, locks in files.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::{Setup, find};
use crate::process::Cmd;

/// Its command line, and the environment of its client.
pub(super) fn command(dir: &Path, socket: &Path, setup: &Setup) -> anyhow::Result<(Cmd, Vec<(String, PathBuf)>)> {
    let program = find("podman").context("there is no podman\n\nhint: apt-get install podman runc")?;
    let config = dir.join("containers.conf");
    let networks = dir.join("networks");
    std::fs::write(
        &config,
        format!(
            "[containers]\n\
             default_ulimits = [\"nofile=10000:10000\", \"nproc=20000:20000\"]\n\
             netns = \"none\"\n\
             [engine]\n\
             runtime = \"runc\"\n\
             cgroup_manager = \"cgroupfs\"\n\
             events_logger = \"file\"\n\
             # The other kind of lock is one for all podmans of the machine.\n\
             lock_type = \"file\"\n\
             [network]\n\
             network_backend = \"netavark\"\n\
             network_config_dir = \"{}\"\n",
            networks.display()
        ),
    )?;
    let mut registries = String::from("unqualified-search-registries = []\n");
    for address in &setup.plain_registries {
        // Writing to a String cannot fail.
        let _ = write!(registries, "[[registry]]\nlocation = \"{address}\"\ninsecure = true\n");
    }
    let registries_file = dir.join("registries.conf");
    std::fs::write(&registries_file, registries)?;
    let temporary = dir.join("tmp");
    std::fs::create_dir(&temporary)?;
    let environment = vec![
        ("CONTAINERS_CONF".to_owned(), config),
        ("CONTAINERS_REGISTRIES_CONF".to_owned(), registries_file),
        ("TMPDIR".to_owned(), temporary),
        ("HOME".to_owned(), dir.to_owned()),
    ];
    let command = Cmd::new(program)
        .arg("--root")
        .arg(dir.join("root"))
        .arg("--runroot")
        .arg(dir.join("run"))
        .arg("--tmpdir")
        .arg(dir.join("libpod"))
        .args(&setup.arguments)
        .args(["system", "service", "--time=0"])
        .arg(format!("unix://{}", socket.display()));
    let command = environment
        .iter()
        .fold(command, |command, (name, value)| command.env(name, value));
    Ok((command, environment))
}
