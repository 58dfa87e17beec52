//! Real container engines for stories: `dockerd`, `podman system service` and `docker-registry`, each with a socket or port, roots and
//! configuration of its own in a temporary directory, so that any number run side by side.
//!
//! When one is dropped its containers are removed, it is ended by its process id, and what it left (processes, mounts, control groups,
//! directories) is cleared away. An engine whose test process is killed ends too: it is bound to that process.

mod api;
mod build_image;
mod docker;
mod images;
mod leftovers;
mod podman;
mod registry;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

pub use api::{Answer, request};
pub use build_image::BuildImage;
pub use images::busybox_context;
pub use leftovers::{clear, remains};
pub use registry::{PASSWORD, Registry, USER};

use crate::process::{Cmd, Group};
use crate::wait;

/// Which engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Debian's `docker.io`.
    Docker,
    /// Debian's `podman`, with runc.
    Podman,
}

impl Kind {
    /// Both, for stories that are told on each.
    pub const ALL: [Self; 2] = [Self::Docker, Self::Podman];

    /// As people write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
        }
    }
}

/// What a story wants of an engine besides the ordinary.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    /// Registries (`127.0.0.1:PORT`) that are spoken to without TLS. Docker takes any on the loopback; Podman has to be told.
    pub plain_registries: Vec<String>,
    /// More arguments for the daemon.
    pub arguments: Vec<String>,
}

/// A running engine of a story's own.
#[derive(Debug)]
pub struct Engine {
    /// Which it is.
    pub kind: Kind,
    /// Its socket.
    pub socket: PathBuf,
    /// What it says.
    pub log: PathBuf,
    environment: Vec<(String, PathBuf)>,
    daemon: Option<Daemon>,
    place: PathBuf,
    dir: Option<TempDir>,
}

/// Why an engine cannot be run here, for [`crate::skipped`]; nothing when it can.
pub fn lacking(kind: Kind) -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some(format!("{} is started by root here", kind.name()));
    }
    let programs: &[&str] = match kind {
        Kind::Docker => &["dockerd", "containerd", "runc"],
        Kind::Podman => &["podman", "runc"],
    };
    let absent = programs.iter().find(|program| find(program).is_none())?;
    Some(format!("there is no {absent}"))
}

/// Where a program is; daemons lie outside of many people's PATH.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into(), "/usr/local/sbin".into()])
        .map(|dir| dir.join(program))
        .find(|file| file.is_file())
}

impl Engine {
    /// Starts one with nothing in it, and waits until it answers.
    pub fn start(kind: Kind) -> anyhow::Result<Self> {
        Self::start_with(kind, &Setup::default())
    }

    /// The same, with more than the ordinary.
    pub fn start_with(kind: Kind, setup: &Setup) -> anyhow::Result<Self> {
        // Short: sockets lie in it, and those of Docker's containerd lie deep.
        let dir = tempfile::Builder::new().prefix("wle-").tempdir()?;
        let place = dir.path().to_owned();
        let socket = place.join("engine.sock");
        let (command, environment) = match kind {
            Kind::Docker => docker::command(&place, &socket, setup)?,
            Kind::Podman => podman::command(&place, &socket, setup)?,
        };
        let log = place.join("log");
        // Podman's runtime leaves a note where the service was started when memory runs out.
        let daemon = Daemon::start(&command.dir(&place), &log)?;
        let mut engine = Self {
            kind,
            socket,
            log,
            environment,
            daemon: Some(daemon),
            place,
            dir: Some(dir),
        };
        wait::until(&format!("{}'s answer", kind.name()), || {
            engine.alive()?;
            Ok(engine
                .request("GET", "/version")
                .ok()
                .filter(|answer| answer.status == 200))
        })?;
        Ok(engine)
    }

    fn alive(&mut self) -> anyhow::Result<()> {
        let daemon = self.daemon.as_mut().context("it was started")?;
        if let Some(status) = daemon.group.ended()? {
            let said = std::fs::read_to_string(&self.log).unwrap_or_default();
            bail!("{} ended with {status}: {said}", self.kind.name());
        }
        Ok(())
    }

    /// Its address as `--host`, `DOCKER_HOST` and `CONTAINER_HOST` take it.
    pub fn host(&self) -> String {
        format!("unix://{}", self.socket.display())
    }

    /// Where all of its files are.
    pub fn dir(&self) -> &Path {
        &self.place
    }

    /// One request without a body, past everything that is under test.
    pub fn request(&self, method: &str, path: &str) -> anyhow::Result<Answer> {
        request(&self.socket, method, path, "application/json", &[])
    }

    /// One question that has to be answered with JSON.
    pub fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.request("GET", path)?.ok()?.json()
    }

    /// The ids of all its containers, also of those that do not run.
    pub fn containers(&self) -> anyhow::Result<Vec<String>> {
        let list = self.get("/containers/json?all=1")?;
        let ids = list.as_array().context("a list of containers")?.iter();
        Ok(ids.filter_map(|one| Some(one["Id"].as_str()?.to_owned())).collect())
    }

    /// The names (`repository:tag`) of all its images.
    pub fn image_names(&self) -> anyhow::Result<Vec<String>> {
        let list = self.get("/images/json")?;
        let images = list.as_array().context("a list of images")?.iter();
        Ok(images
            .flat_map(|image| image["RepoTags"].as_array().cloned().unwrap_or_default())
            .filter_map(|name| name.as_str().map(str::to_owned))
            .collect())
    }

    /// Starts a container past everything that is under test; gives its id.
    pub fn run_by_hand(&self, image: &str, command: &[&str]) -> anyhow::Result<String> {
        let id = self.make_by_hand(image, command, &[])?;
        self.request("POST", &format!("/containers/{id}/start"))?.ok()?;
        Ok(id)
    }

    /// Makes a container with these labels past everything that is under test, and does not start it; gives its id.
    pub fn make_by_hand(&self, image: &str, command: &[&str], labels: &[(&str, &str)]) -> anyhow::Result<String> {
        let labels: std::collections::BTreeMap<&str, &str> = labels.iter().copied().collect();
        let host = serde_json::json!({"NetworkMode": "none"});
        let order = serde_json::json!({"Image": image, "Cmd": command, "Labels": labels, "HostConfig": host});
        let order = order.to_string();
        let made = request(
            &self.socket,
            "POST",
            "/containers/create",
            "application/json",
            order.as_bytes(),
        )?;
        let made = made.ok()?.json()?;
        Ok(made["Id"].as_str().context("a container's id")?.to_owned())
    }

    /// The engine's own program, speaking to this engine.
    pub fn cli(&self) -> Cmd {
        let command = match self.kind {
            Kind::Docker => Cmd::new("docker")
                .args(["--host", &self.host()])
                .env("HOME", self.dir()),
            Kind::Podman => Cmd::new("podman").args(["--remote", "--url", &self.host()]),
        };
        self.environment
            .iter()
            .fold(command, |command, (name, value)| command.env(name, value))
    }

    /// The daemon's process, to be stopped and killed by stories that want to see that.
    pub fn daemon(&mut self) -> anyhow::Result<&mut Group> {
        Ok(&mut self.daemon.as_mut().context("it was started")?.group)
    }

    fn remove_containers(&self) -> anyhow::Result<()> {
        for id in self.containers()? {
            self.request("DELETE", &format!("/containers/{id}?force=1&v=1"))?;
        }
        Ok(())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // An engine that no longer answers is cleared away below all the same.
        let _ = self.remove_containers();
        drop(self.daemon.take());
        if let Some(dir) = self.dir.take() {
            clear(dir.path());
            // What is still mounted there is found by [`remains`].
            let _ = dir.close();
        }
    }
}

/// A daemon: told to end when it is dropped, and when this very process dies.
#[derive(Debug)]
pub(crate) struct Daemon {
    pub(crate) group: Group,
    /// The thread that started it lives as long as it does: the daemon is bound to that thread's end.
    _keeper: mpsc::Sender<()>,
}

impl Daemon {
    pub(crate) fn start(command: &Cmd, log: &Path) -> anyhow::Result<Self> {
        let file = std::fs::File::create(log)?;
        let bound = command.clone().before(["setpriv", "--pdeathsig", "TERM", "--"]);
        let mut command = bound.command();
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let (keeper, until) = mpsc::channel::<()>();
        let (started, child) = mpsc::channel();
        std::thread::spawn(move || {
            // The other side waits for it, then holds the sender of `until`.
            let _ = started.send(command.spawn());
            let _ = until.recv();
        });
        let child = child.recv()?.with_context(|| format!("cannot run {}", bound.shown()))?;
        Ok(Self {
            group: Group::of(child),
            _keeper: keeper,
        })
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.group.signal(Signal::TERM);
        let end = Duration::from_secs(15);
        // One that does not end is killed with its group right after.
        let _ = wait::until_within(end, "the daemon's end", || Ok(self.group.ended()?.map(|_| ())));
    }
}
