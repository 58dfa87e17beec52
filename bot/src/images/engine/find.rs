//! Finding an engine: every candidate is connected to and asked for its version; why one is not taken is told.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bollard::models::SystemVersion;

use super::address::Address;
use super::candidates::{Candidate, Place, candidates};
use super::child::Child;
use super::environment::Environment;
use super::error::{Cause, EngineError};
use super::limits::Limits;
use super::transport::{Endpoint, Transport};
use super::{Choice, Engine, Inner, Kind, Probed, Where, tls};

/// There is no engine, and why each of those that were looked at is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoEngine {
    /// Each candidate, and why it was not taken.
    pub tried: Vec<Tried>,
    /// The way out.
    pub hint: String,
}

/// A candidate that was not taken.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Tried {
    /// Where it is known from, as in `DOCKER_HOST` or "podman's socket of this user".
    pub known_by: String,
    /// Its address, where it has one.
    pub address: Option<String>,
    /// Why it was not taken.
    pub why: String,
}

impl std::error::Error for NoEngine {}

impl fmt::Display for NoEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is no container engine")?;
        for tried in &self.tried {
            write!(f, "\n  {tried}")?;
        }
        write!(f, "\n\nhint: {}", self.hint)
    }
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.known_by)?;
        if let Some(address) = &self.address {
            write!(f, ", {address}")?;
        }
        write!(f, ": {}", self.why.replace("\n\nhint: ", "; "))
    }
}

/// Why a candidate is none, and what would make it one.
struct Unfit {
    why: String,
    hint: Option<String>,
    /// It answers, and is of the other kind.
    other_kind: bool,
}

impl From<String> for Unfit {
    fn from(why: String) -> Self {
        Self {
            why,
            hint: None,
            other_kind: false,
        }
    }
}

pub(super) async fn find(
    choice: Choice,
    place: &Where,
    environment: &Environment,
    limits: Limits,
) -> Result<Engine, NoEngine> {
    let mut tried = Vec::new();
    let mut hints: Vec<String> = Vec::new();
    for candidate in candidates(choice, place, environment) {
        match attempt(&candidate, choice, environment, limits).await {
            Ok(engine) => {
                tracing::debug!(address = %engine.probed().address, kind = engine.probed().kind.name(), "engine found");
                return Ok(engine);
            }
            Err(unfit) => {
                tried.push(Tried {
                    known_by: candidate.known_by.clone(),
                    address: candidate.address(),
                    why: unfit.why,
                });
                hints.extend(unfit.hint);
                if candidate.named && !unfit.other_kind {
                    hints.push(format!(
                        "{} names an engine, so that no other is looked for",
                        candidate.known_by
                    ));
                    break;
                }
            }
        }
    }
    let hint = hints.into_iter().next().unwrap_or_else(|| match choice {
        Choice::None => "--engine none takes no engine: take auto, docker or podman".to_owned(),
        Choice::Auto | Choice::Docker | Choice::Podman => {
            "start one (`systemctl start docker`, or install podman), or name one with --host or DOCKER_HOST".to_owned()
        }
    });
    Err(NoEngine { tried, hint })
}

impl Candidate {
    fn address(&self) -> Option<String> {
        match &self.place {
            Place::At { address, .. } => Some(address.to_string()),
            Place::Podman(program) => Some(program.display().to_string()),
            Place::Nowhere(_) => None,
        }
    }
}

async fn attempt(
    candidate: &Candidate,
    choice: Choice,
    environment: &Environment,
    limits: Limits,
) -> Result<Engine, Unfit> {
    let patience = if candidate.named {
        limits.probe_last
    } else {
        limits.probe
    };
    match &candidate.place {
        Place::Nowhere(why) => Err(why.clone().into()),
        Place::Podman(program) => {
            let mut child = Child::podman(program)?;
            child.listening(limits.start).await?;
            let address = Address::Unix(child.socket().to_owned());
            let endpoint = Endpoint::Unix(child.socket().to_owned());
            probe(endpoint, &address, Some(child), choice, (limits, limits.probe_last)).await
        }
        Place::At { address, certificates } => match address {
            Address::Unix(path) => probe(Endpoint::Unix(path.clone()), address, None, choice, (limits, patience)).await,
            Address::Tcp { host, port, .. } => {
                let (host, port) = (host.clone(), *port);
                let endpoint = match certificates {
                    Some(dir) => {
                        let config = tls::config(dir).map_err(|error| error.to_string())?;
                        Endpoint::Tls { host, port, config }
                    }
                    None => Endpoint::Tcp { host, port },
                };
                probe(endpoint, address, None, choice, (limits, patience)).await
            }
            Address::Ssh {
                destination,
                port,
                socket,
            } => {
                let usual = [environment.docker_socket.as_path(), environment.podman_socket.as_path()];
                let sockets = socket.as_deref().map_or(usual.to_vec(), |socket| vec![socket]);
                let mut last = Unfit::from("there is nothing to try".to_owned());
                for remote in sockets {
                    let mut child = Child::ssh(environment, destination, *port, remote, limits.start)?;
                    child.listening(limits.start).await?;
                    let endpoint = Endpoint::Unix(child.socket().to_owned());
                    match probe(endpoint, address, Some(child), choice, (limits, limits.probe_last)).await {
                        Ok(engine) => return Ok(engine),
                        Err(unfit) => last = unfit,
                    }
                }
                Err(last)
            }
        },
    }
}

async fn probe(
    endpoint: Endpoint,
    address: &Address,
    child: Option<Child>,
    choice: Choice,
    (limits, patience): (Limits, Duration),
) -> Result<Engine, Unfit> {
    let unix = match &endpoint {
        Endpoint::Unix(path) => Some(path.clone()),
        Endpoint::Tcp { .. } | Endpoint::Tls { .. } => None,
    };
    let transport = Transport {
        endpoint,
        connect: patience,
        answer_bytes: limits.answer_bytes,
    };
    let docker = transport
        .client(limits.answer.max(patience))
        .map_err(|error| error.to_string())?;
    let doing = "ask for its version";
    let answered = tokio::time::timeout(patience, docker.version()).await;
    let version = match answered {
        Err(_) => {
            let mut why = format!("it did not answer within {} seconds", patience.as_secs_f64());
            if let Some(child) = child.filter(|_| matches!(address, Address::Ssh { .. })) {
                why = format!("{why}; ssh says: {}", child.said());
            }
            return Err(why.into());
        }
        Ok(Err(error)) => {
            return Err(unfit(
                &EngineError::of(doing, &error),
                unix.as_deref(),
                child.as_ref(),
                &error,
            ));
        }
        Ok(Ok(answer)) => answer,
    };
    let kind = kind_of(&version);
    if !choice.takes(kind) {
        return Err(Unfit {
            why: format!("it is {}, which was not asked for", kind.name()),
            hint: None,
            other_kind: true,
        });
    }
    // A socket of root's is no rootless engine's; others are asked, which Podman takes its time for.
    let roots = child.is_none() && unix.as_deref().is_some_and(is_roots);
    let options = if roots {
        Vec::new()
    } else {
        let info = tokio::time::timeout(limits.answer, docker.info()).await;
        let info = info.ok().and_then(Result::ok);
        info.and_then(|info| info.security_options).unwrap_or_default()
    };
    let api = version.api_version.clone().unwrap_or_default();
    let probed = Probed {
        kind,
        version: version.version.clone().unwrap_or_default(),
        rootless: options.iter().any(|option| option.contains("rootless")),
        buildkit: kind == Kind::Docker && version.os.as_deref() != Some("windows") && at_least(&api, (1, 39)),
        architecture: version.arch.clone().unwrap_or_default(),
        api,
        address: address.to_string(),
    };
    let transport = Transport {
        // Connecting is the kernel's affair by now; a busy machine is given its time.
        connect: limits.start,
        ..transport
    };
    let docker = transport.client(limits.answer).map_err(|error| error.to_string())?;
    Ok(Engine(Arc::new(Inner {
        docker,
        transport,
        probed,
        limits,
        _child: child,
    })))
}

fn kind_of(version: &SystemVersion) -> Kind {
    let components = version.components.as_deref().unwrap_or_default();
    let podman = components
        .iter()
        .any(|component| component.name.to_ascii_lowercase().contains("podman"));
    if podman { Kind::Podman } else { Kind::Docker }
}

fn at_least(api: &str, least: (u32, u32)) -> bool {
    let mut numbers = api.split('.').map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= least
}

fn unfit(error: &EngineError, socket: Option<&Path>, child: Option<&Child>, raw: &bollard::errors::Error) -> Unfit {
    let why = match child {
        Some(child) => format!("{} ({})", error.message(), child.said()),
        None => error.message().to_owned(),
    };
    let bollard::errors::Error::IOError { err } = raw else {
        return why.into();
    };
    if err.kind() != std::io::ErrorKind::PermissionDenied || *error.cause() != Cause::Connection {
        return why.into();
    }
    let group = socket.and_then(group_of);
    let hint = match group {
        Some(group) => format!(
            "the socket is open to the group {group}: `sudo usermod -aG {group} \"$USER\"` and a new login, or sudo before the command"
        ),
        None => "the socket is open to root alone: run it with sudo, or start podman for this user".to_owned(),
    };
    Unfit {
        why: format!("{why}: this user may not open it"),
        hint: Some(hint),
        other_kind: false,
    }
}

fn is_roots(socket: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    socket.metadata().is_ok_and(|facts| facts.uid() == 0)
}

/// The name of the group that may open a socket; nothing where that is root's.
fn group_of(socket: &Path) -> Option<String> {
    use std::os::unix::fs::MetadataExt as _;
    let id = socket.metadata().ok()?.gid();
    if id == 0 {
        return None;
    }
    let groups = std::fs::read_to_string("/etc/group").ok()?;
    let line = groups
        .lines()
        .find(|line| line.split(':').nth(2) == Some(&id.to_string()));
    Some(
        line.and_then(|line| line.split(':').next())
            .map_or_else(|| id.to_string(), str::to_owned),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_the_api_are_numbers() {
        assert!(at_least("1.41", (1, 39)));
        assert!(at_least("1.39", (1, 39)));
        assert!(!at_least("1.5", (1, 39)));
        assert!(at_least("2.0", (1, 39)));
        assert!(!at_least("", (1, 39)));
    }
}
