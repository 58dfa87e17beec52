//! Container engines: Docker and Podman behind one type, over the Docker API.
//!
//! [`Engine::find`] looks for one (`find.rs`, in the order of `candidates.rs`) and gives an [`Engine`], which is cheap to clone. Small
//! questions go through bollard; what streams (builds, pulls, pushes, archives, a container's output) is read by us, because
//! bollard takes a message that holds nothing but an error for a good one, and ends at the first line that it does not know. Both
//! go over one connection (`transport.rs`).
//!
//! Nothing that an engine says is believed twice: a build counts as done when `inspect` shows our labels on the image, an exit
//! code is the one that `inspect` gives. Errors say whether they may pass ([`EngineError::is_transient`]).

mod address;
mod attach;
mod build;
mod buildkit;
mod candidates;
mod child;
mod conduct;
mod containers;
mod environment;
mod error;
mod find;
mod images;
mod limits;
mod login;
mod messages;
mod request;
mod run;
mod tls;
mod transfer;
mod transport;

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use bollard::Docker;

pub use address::{Address, BadAddress};
pub use attach::{Input, Output, Streams};
pub use build::{Builder, EngineBuild};
pub use conduct::{Afterwards, Console, Ended};
pub use containers::{Container, ContainerFacts, Copied, Exited};
pub use environment::Environment;
pub use error::{Cause, EngineError};
pub use find::{NoEngine, Tried};
pub use images::{ImageFacts, ImageLine};
pub use limits::Limits;
pub use run::RunOrder;
pub use tls::{BadCertificates, provide as provide_tls};

/// Which engine is asked for: `--engine`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Choice {
    /// Whichever is found first.
    #[default]
    Auto,
    /// Docker.
    Docker,
    /// Podman.
    Podman,
    /// None: what can be done without one is done so.
    None,
}

impl Choice {
    /// Whether an engine of this kind is asked for.
    pub fn takes(self, kind: Kind) -> bool {
        match self {
            Self::Auto => true,
            Self::Docker => kind == Kind::Docker,
            Self::Podman => kind == Kind::Podman,
            Self::None => false,
        }
    }
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "auto" => Ok(Self::Auto),
            "docker" => Ok(Self::Docker),
            "podman" => Ok(Self::Podman),
            "none" => Ok(Self::None),
            _ => Err("it is one of auto, docker, podman, none".to_owned()),
        }
    }
}

/// Which engine it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Docker's daemon, or what behaves like it.
    Docker,
    /// Podman's service.
    Podman,
}

impl Kind {
    /// As people write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
        }
    }
}

/// Where an engine is asked for on the command line or in the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Where {
    /// The address: `--host`.
    pub host: Option<String>,
    /// A directory with `ca.pem`, `cert.pem` and `key.pem`, for `tcp://`.
    pub certificates: Option<PathBuf>,
}

/// What an engine said of itself when it was found.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Probed {
    /// Which it is.
    pub kind: Kind,
    /// Its own version, as in `20.10.24+dfsg1`.
    pub version: String,
    /// The version of the Docker API that it speaks.
    pub api: String,
    /// Whether it runs without root.
    pub rootless: bool,
    /// Whether it builds with BuildKit when asked to.
    pub buildkit: bool,
    /// What it runs on, as in `amd64`.
    pub architecture: String,
    /// Where it listens.
    pub address: String,
}

/// A container engine that answered. All clones are one; what was started to reach it ends with the last.
#[derive(Debug, Clone)]
pub struct Engine(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    docker: Docker,
    transport: transport::Transport,
    probed: Probed,
    limits: Limits,
    _child: Option<child::Child>,
}

/// Takes what a build or a transfer says, line by line; the lines are safe to show.
pub trait Log: Send {
    /// One line, without its end.
    fn line(&mut self, line: &str);
}

impl<F: FnMut(&str) + Send> Log for F {
    fn line(&mut self, line: &str) {
        self(line);
    }
}

impl Engine {
    /// Looks for an engine.
    ///
    /// # Errors
    /// None answers: each that was looked at, why it is none, and the way out.
    pub async fn find(choice: Choice, place: &Where, environment: &Environment) -> Result<Self, NoEngine> {
        Self::find_within(choice, place, environment, Limits::default()).await
    }

    /// The same under other limits than the usual ones.
    ///
    /// # Errors
    /// None answers: each that was looked at, why it is none, and the way out.
    pub async fn find_within(
        choice: Choice,
        place: &Where,
        environment: &Environment,
        limits: Limits,
    ) -> Result<Self, NoEngine> {
        find::find(choice, place, environment, limits).await
    }

    /// What it said of itself.
    pub fn probed(&self) -> &Probed {
        &self.0.probed
    }

    /// What is waited for, and how long.
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// Bollard's client over the same way, for the build sandbox: an answer is as long as it is, and who reads it counts.
    pub(crate) fn client(&self) -> Result<Docker, EngineError> {
        let transport = transport::Transport {
            answer_bytes: u64::MAX,
            ..self.0.transport.clone()
        };
        let client = transport.client(self.0.limits.answer);
        client.map_err(|error| EngineError::of("speak to it", &error))
    }

    /// One small question through bollard.
    async fn ask<T>(
        &self,
        doing: &str,
        question: impl Future<Output = Result<T, bollard::errors::Error>>,
    ) -> Result<T, EngineError> {
        let limit = self.0.limits.answer;
        match tokio::time::timeout(limit, question).await {
            Err(_) | Ok(Err(bollard::errors::Error::RequestTimeoutError)) => Err(EngineError::timed_out(doing, limit)),
            Ok(Err(error)) => Err(EngineError::of(doing, &error)),
            Ok(Ok(answer)) => Ok(answer),
        }
    }
}
