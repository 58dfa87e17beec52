//! `[[image]]`, `[[registry]]` and `[jobs]`: the container images that are kept up to date, where they go, how jobs are done.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use windlass_core::id::{ArchName, ImageId, PackageName, RepositoryName};
use windlass_core::job::Policy;
use windlass_hooks::settings::Duration;

use super::{Config, Lab};

/// One `[[image]]` of the configuration: it is built again when a package that it holds changes, or an image that it stands on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// Its name: the last part of the one that it has in a registry.
    pub name: ImageId,
    /// Its Dockerfile. A script of the same name with the ending `.pre` runs before it, in a copy of the context.
    pub dockerfile: PathBuf,
    /// The directory that `COPY` and `ADD` take from; the one that the Dockerfile lies in where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<PathBuf>,
    /// Where it is pushed, as in `registry.example.org/team`; it stays where it was built where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry: Option<String>,
    /// The tag under which it is pushed.
    #[serde(default = "latest")]
    pub tag: String,
    /// The packages of ours that it installs: with all that they need they say what it would hold before it was ever built.
    #[serde(default)]
    pub packages: Vec<PackageName>,
    /// The repositories that it installs from; the default one where none is named.
    #[serde(default)]
    pub repositories: Vec<RepositoryName>,
    /// The architecture, in rpm's words; the first of the first repository where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub architecture: Option<ArchName>,
    /// What builds it.
    #[serde(default)]
    pub engine: EngineChoice,
    /// Values for the Dockerfile's `ARG`s.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub build_args: BTreeMap<String, String>,
    /// The platform in the engine's words, as in `linux/arm64`; the engine's own where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
}

/// What builds an image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EngineChoice {
    /// Whichever engine is there; without one what needs no `RUN` is built all the same.
    #[default]
    Auto,
    /// Docker.
    Docker,
    /// Podman.
    Podman,
    /// No engine: a Dockerfile without `RUN`, from nothing or from images of ours.
    None,
}

/// One `[[registry]]`: how a registry is reached that images go to or come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registry {
    /// Its host, with the port where it is none of the usual ones.
    pub host: String,
    /// A file with credentials, as `docker login` and `podman login` write it. Nobody but the bot may read it (mode 600).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<PathBuf>,
    /// Whether it speaks plain HTTP.
    #[serde(default)]
    pub plain_http: bool,
}

/// `[jobs]`: how what follows from a commit is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Jobs {
    /// How many jobs run at once.
    pub at_once: usize,
    /// How long a job stays with whoever works on it, if nothing is heard of him.
    pub lease: Duration,
    /// How often a job is tried whose failures are transient.
    pub attempts: u32,
    /// How long to wait after the first such failure; each further one doubles it.
    pub back_off: Duration,
    /// The longest that this grows to.
    pub longest_back_off: Duration,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// The container engine's socket, as in `unix:///run/podman/podman.sock`; looked for where it is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine_host: Option<String>,
}

impl Default for Jobs {
    fn default() -> Self {
        Self {
            at_once: 2,
            lease: Duration::from_secs(120),
            attempts: 8,
            back_off: Duration::from_secs(30),
            longest_back_off: Duration::from_secs(3600),
            timeout: Duration::from_secs(3600),
            engine_host: None,
        }
    }
}

impl Jobs {
    /// The same for deciding, with what the lab says of flashes.
    pub fn policy(&self, lab: &Lab) -> Policy {
        Policy {
            lease: self.lease.signed(),
            attempts: self.attempts,
            back_off: self.back_off.signed(),
            longest: self.longest_back_off.signed(),
            at_once: self.at_once,
            flashes_at_once: lab.at_once,
        }
    }
}

impl Image {
    /// Its name in full: where it is pushed, or `localhost/…`.
    pub fn reference(&self) -> String {
        let registry = self.registry.as_deref().unwrap_or("localhost");
        format!("{registry}/{}:{}", self.name, self.tag)
    }

    /// The host that it is pushed to.
    pub fn registry_host(&self) -> Option<&str> {
        let registry = self.registry.as_deref()?;
        Some(registry.split_once('/').map_or(registry, |(host, _)| host))
    }

    /// The directory that it is built from.
    pub fn context(&self) -> &Path {
        self.context
            .as_deref()
            .or_else(|| self.dockerfile.parent())
            .unwrap_or(Path::new("/"))
    }

    /// The repositories that it installs from.
    pub fn repositories<'a>(&'a self, config: &'a Config) -> Vec<&'a RepositoryName> {
        config.those_or_default(&self.repositories)
    }

    /// The architecture that it is for; the configuration was checked.
    pub fn arch(&self, config: &Config) -> Option<ArchName> {
        config.arch_of(self.architecture.as_ref(), &self.repositories(config))
    }
}

impl Config {
    /// The image of this name.
    pub fn image(&self, name: &ImageId) -> Option<&Image> {
        self.images.iter().find(|image| image.name == *name)
    }

    /// The repositories that something installs from: those that it names, or the default one.
    pub(super) fn those_or_default<'a>(&'a self, named: &'a [RepositoryName]) -> Vec<&'a RepositoryName> {
        if named.is_empty() {
            self.default_repository().into_iter().collect()
        } else {
            named.iter().collect()
        }
    }

    /// The architecture of what installs from these: the one that it names, or the first of the first.
    pub(super) fn arch_of(&self, named: Option<&ArchName>, repositories: &[&RepositoryName]) -> Option<ArchName> {
        named.cloned().or_else(|| {
            let first = repositories.first()?;
            self.repository(first)?.architectures().into_iter().next()
        })
    }

    /// How a registry is reached, where something is said of it.
    pub fn registry(&self, host: &str) -> Option<&Registry> {
        self.registries.iter().find(|registry| registry.host == host)
    }
}

fn latest() -> String {
    "latest".to_owned()
}
