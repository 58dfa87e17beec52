//! A real `docker-registry` on a loopback port, open to all or with a password.

use std::net::TcpListener;
use std::path::Path;

use anyhow::{Context as _, bail};
use serde_json::Value;
use tempfile::TempDir;

use super::{Daemon, api, find};
use crate::process::Cmd;
use crate::wait;

/// Who may use a registry with a password.
pub const USER: &str = "windlass";
/// The password.
pub const PASSWORD: &str = "correct horse";
/// The two in the form of htpasswd, the password by bcrypt at its least cost.
const HTPASSWD: &str = "windlass:$2b$04$ul9j6vIvWU9QtxYG5quBxeRAQ6fjrav4fPL33zh30abaHVWRe.Lme\n";

/// A registry that ends when this is dropped.
#[derive(Debug)]
pub struct Registry {
    /// Where it listens on 127.0.0.1.
    pub port: u16,
    /// Nothing while it is stopped.
    daemon: Option<Daemon>,
    dir: TempDir,
}

impl Registry {
    /// Why a registry cannot be run here, for [`crate::skipped`]; nothing when it can.
    pub fn lacking() -> Option<String> {
        find("docker-registry")
            .is_none()
            .then(|| "there is no docker-registry".to_owned())
    }

    /// Starts an empty one that anybody may use.
    pub fn start() -> anyhow::Result<Self> {
        Self::with("")
    }

    /// Starts an empty one that only [`USER`] with [`PASSWORD`] may use.
    pub fn start_with_password() -> anyhow::Result<Self> {
        Self::with("auth:\n  htpasswd:\n    realm: windlass\n    path: HTPASSWD\n")
    }

    fn with(auth: &str) -> anyhow::Result<Self> {
        let mut last = None;
        // The port is free when it is looked up, and may be taken when it is used.
        for _ in 0..5 {
            match Self::try_start(auth) {
                Ok(registry) => return Ok(registry),
                Err(error) => last = Some(error),
            }
        }
        Err(last.context("five tries were made")?)
    }

    fn try_start(auth: &str) -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new().prefix("wlr-").tempdir()?;
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let passwords = dir.path().join("htpasswd");
        std::fs::write(&passwords, HTPASSWD)?;
        let config = dir.path().join("config.yml");
        let auth = auth.replace("HTPASSWD", &passwords.to_string_lossy());
        std::fs::write(
            &config,
            format!(
                "version: 0.1\n\
                 log:\n  level: info\n  accesslog:\n    disabled: true\n\
                 storage:\n  filesystem:\n    rootdirectory: {}\n  delete:\n    enabled: true\n\
                 http:\n  addr: 127.0.0.1:{port}\n\
                 {auth}",
                dir.path().join("data").display()
            ),
        )?;
        let mut registry = Self {
            port,
            daemon: None,
            dir,
        };
        registry.start_again()?;
        Ok(registry)
    }

    /// Ends it: nobody listens at its port any more. What it has stays.
    pub fn stop(&mut self) {
        drop(self.daemon.take());
    }

    /// Starts it where it was, with what it had.
    pub fn start_again(&mut self) -> anyhow::Result<()> {
        let program =
            find("docker-registry").context("there is no docker-registry\n\nhint: apt-get install docker-registry")?;
        let command = Cmd::new(program)
            .arg("serve")
            .arg(self.dir.path().join("config.yml"))
            .env("OTEL_TRACES_EXPORTER", "none");
        let log = self.log();
        self.daemon = Some(Daemon::start(&command, &log)?);
        let port = self.port;
        wait::until("the registry's answer", || {
            if let Some(status) = self.daemon()?.ended()? {
                bail!(
                    "docker-registry ended with {status}: {}",
                    std::fs::read_to_string(&log)?
                );
            }
            Ok(api::request_tcp(port, "GET", "/v2/", None).ok().map(|_| ()))
        })
    }

    /// Its name in front of an image's: `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// What it says.
    pub fn log(&self) -> std::path::PathBuf {
        self.dir.path().join("log")
    }

    /// Where its files are.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// One question to it, with the password; a registry without one does not mind.
    pub fn get(&self, path: &str) -> anyhow::Result<Value> {
        api::request_tcp(self.port, "GET", path, Some((USER, PASSWORD)))?
            .ok()?
            .json()
    }

    /// The status of an answer to somebody who says no password.
    pub fn status_without_password(&self) -> anyhow::Result<u16> {
        Ok(api::request_tcp(self.port, "GET", "/v2/", None)?.status)
    }

    /// The tags of a repository; none when it is not there.
    pub fn tags(&self, repository: &str) -> anyhow::Result<Vec<String>> {
        let path = format!("/v2/{repository}/tags/list");
        let answer = api::request_tcp(self.port, "GET", &path, Some((USER, PASSWORD)))?;
        if answer.status == 404 {
            return Ok(Vec::new());
        }
        let list = answer.ok()?.json()?;
        let tags = list["tags"].as_array().cloned().unwrap_or_default();
        Ok(tags.iter().filter_map(|tag| tag.as_str().map(str::to_owned)).collect())
    }

    /// The daemon's process, to be stopped by stories that want to see that.
    pub fn daemon(&mut self) -> anyhow::Result<&mut crate::process::Group> {
        Ok(&mut self.daemon.as_mut().context("it runs")?.group)
    }
}
