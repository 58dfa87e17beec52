//! The configuration: one TOML file, every key documented in its template, unknown keys refused.
//!
//! What the hooks read too has its types in `windlass_hooks::settings`; here is the whole file, read strictly, and
//! what no single key can say is checked in `checks`.

pub mod problem;
pub mod strict;

mod build;
mod builder;
mod checks;
mod device;
mod image;
mod payload;
mod repository;
mod sections;
#[cfg(test)]
mod tests;
mod update_server;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use windlass_core::id::RepositoryName;
use windlass_hooks::settings::{Paths, Push, Settings, Signing, Ssh, Users};

pub use build::{Build, SandboxKind};
pub use builder::BuildHost;
pub use device::{Device, FlashTimeouts, Lab, Nightly};
pub use image::{EngineChoice, Image, Jobs, Registry};
pub use payload::{Payload, PayloadFile, PayloadPartition};
pub use problem::{Problem, Problems};
pub use repository::Repository;
pub use sections::{Http, Server, Tasks};
pub use update_server::{UpdateOffer, UpdateServer};

/// Everything that `windlass.toml` says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where things are.
    pub paths: Paths,
    /// Which Unix users play which part.
    pub users: Users,
    /// How a signed tag is judged.
    pub signing: Signing,
    /// What may be pushed.
    pub push: Push,
    /// The ssh door's limits.
    pub ssh: Ssh,
    /// How the daemon serves.
    pub server: Server,
    /// How much one user may have.
    pub tasks: Tasks,
    /// Where packages are built, and how much one build may use.
    pub build: Build,
    /// The container engines that packages are built on, where they are built in containers.
    #[serde(rename = "builder", skip_serializing_if = "Vec::is_empty")]
    pub builders: Vec<BuildHost>,
    /// Serving repositories over HTTP.
    pub http: Http,
    /// Serving updates to lab devices.
    pub update_server: UpdateServer,
    /// How what follows from a commit is done.
    pub jobs: Jobs,
    /// What the lab's devices share.
    pub lab: Lab,
    /// The lab's devices.
    #[serde(rename = "device", skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<Device>,
    /// What is flashed at set times.
    #[serde(rename = "nightly", skip_serializing_if = "Vec::is_empty")]
    pub nightlies: Vec<Nightly>,
    /// How registries are reached.
    #[serde(rename = "registry", skip_serializing_if = "Vec::is_empty")]
    pub registries: Vec<Registry>,
    /// The container images that are kept up to date.
    #[serde(rename = "image", skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<Image>,
    /// The update payloads that are made of what lands.
    #[serde(rename = "payload", skip_serializing_if = "Vec::is_empty")]
    pub payloads: Vec<Payload>,
    /// The binary repositories that tasks can be for.
    #[serde(rename = "repository", skip_serializing_if = "Vec::is_empty")]
    pub repositories: Vec<Repository>,
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration '{}': {error}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why; not a source, since the message has it.
        error: std::io::Error,
    },
    /// The file says something that it may not.
    #[error(transparent)]
    Wrong(#[from] Problems),
}

impl Config {
    /// Reads the file strictly.
    ///
    /// # Errors
    /// It cannot be read, or something in it is wrong: then everything that is.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError::Read {
            path: path.to_owned(),
            error,
        })?;
        Ok(Self::parse(&text, path)?)
    }

    /// Reads a text as the content of the file at `path`.
    ///
    /// # Errors
    /// Everything that is wrong in it.
    pub fn parse(text: &str, path: &Path) -> Result<Self, Problems> {
        let wrong = |problems| Problems {
            file: path.to_owned(),
            text: text.to_owned(),
            problems,
        };
        let config: Self = strict::parse(text).map_err(wrong)?;
        let problems = checks::all(&config, text);
        if problems.is_empty() {
            Ok(config)
        } else {
            Err(wrong(problems))
        }
    }

    /// What the git side reads of it.
    pub fn settings(&self) -> Settings {
        Settings {
            paths: self.paths.clone(),
            users: self.users.clone(),
            signing: self.signing.clone(),
            push: self.push.clone(),
            ssh: self.ssh.clone(),
        }
    }

    /// The repository that a command is for which names none: the one that says so, or the only one.
    pub fn default_repository(&self) -> Option<&RepositoryName> {
        match self.repositories.as_slice() {
            [only] => Some(&only.name),
            several => several
                .iter()
                .find(|repository| repository.default)
                .map(|repository| &repository.name),
        }
    }

    /// Where clients find a repository, without the slash at the end; nothing where that is not configured.
    pub fn url_of(&self, name: &RepositoryName) -> Option<String> {
        let own = self.repository(name).and_then(|repository| repository.url.clone());
        own.or_else(|| Some(format!("{}/repos/{name}", self.http.base_url()?)))
    }

    /// The repository of this name.
    pub fn repository(&self, name: &RepositoryName) -> Option<&Repository> {
        self.repositories.iter().find(|repository| repository.name == *name)
    }
}
