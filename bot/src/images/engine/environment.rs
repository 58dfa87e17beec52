//! What the environment says about engines, as facts: variables, home, sockets' usual places. Read once, passed in.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The variables that are read, and nothing else.
const NAMES: [&str; 10] = [
    "CONTAINER_HOST",
    "DOCKER_HOST",
    "DOCKER_CONTEXT",
    "DOCKER_CONFIG",
    "DOCKER_CERT_PATH",
    "DOCKER_TLS_VERIFY",
    "REGISTRY_AUTH_FILE",
    "XDG_RUNTIME_DIR",
    "HOME",
    "PATH",
];

/// Where an engine may be, and who asks.
#[derive(Debug, Clone)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    /// The user's number.
    pub uid: u32,
    /// The user's group.
    pub gid: u32,
    /// Where Podman's system service listens.
    pub podman_socket: PathBuf,
    /// Where Docker's daemon listens.
    pub docker_socket: PathBuf,
}

impl Environment {
    /// This process' own.
    pub fn process() -> Self {
        Self::of(|name| std::env::var(name).ok())
    }

    /// One with these variables; those that are empty count as unset.
    pub fn of(variable: impl Fn(&str) -> Option<String>) -> Self {
        let variables = NAMES.iter().filter_map(|name| {
            let value = variable(name).filter(|value| !value.is_empty())?;
            Some(((*name).to_owned(), value))
        });
        Self {
            variables: variables.collect(),
            uid: rustix::process::getuid().as_raw(),
            gid: rustix::process::getgid().as_raw(),
            podman_socket: "/run/podman/podman.sock".into(),
            docker_socket: "/var/run/docker.sock".into(),
        }
    }

    /// The files with logins to registries, the first to be asked first: the one that is named, podman's, docker's.
    pub fn login_files(&self) -> impl Iterator<Item = PathBuf> {
        let files = [
            self.variable("REGISTRY_AUTH_FILE").map(PathBuf::from),
            Some(self.runtime_dir().join("containers/auth.json")),
            self.docker_config().map(|dir| dir.join("config.json")),
        ];
        files.into_iter().flatten()
    }

    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// The user's own runtime directory.
    pub(super) fn runtime_dir(&self) -> PathBuf {
        self.variable("XDG_RUNTIME_DIR")
            .map_or_else(|| PathBuf::from(format!("/run/user/{}", self.uid)), PathBuf::from)
    }

    /// Where Docker's client keeps its settings.
    pub(super) fn docker_config(&self) -> Option<PathBuf> {
        let named = self.variable("DOCKER_CONFIG").map(PathBuf::from);
        named.or_else(|| Some(Path::new(self.variable("HOME")?).join(".docker")))
    }

    /// A program on the PATH.
    pub(super) fn program(&self, name: &str) -> Option<PathBuf> {
        std::env::split_paths(self.variable("PATH")?)
            .map(|dir| dir.join(name))
            .find(|file| file.is_file())
    }
}
