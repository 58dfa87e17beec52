//! Where an engine is looked for, and in which order: named ones, then Podman's places, then Docker's.
//!
//! An engine that is named (`--host`, `CONTAINER_HOST`, `DOCKER_HOST`) and does not answer ends the search: whoever names one does not
//! want his images elsewhere.

use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::address::Address;
use super::environment::Environment;
use super::{Choice, Kind, Where};

/// What a candidate is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// It listens there; with TLS by these certificates.
    At {
        address: Address,
        certificates: Option<PathBuf>,
    },
    /// This podman can be had to listen.
    Podman(PathBuf),
    /// Why there is none.
    Nowhere(String),
}

/// A place to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    /// Where it is known from, for people.
    pub(super) known_by: String,
    pub(super) place: Place,
    /// Whether it was named: nothing is looked at after it.
    pub(super) named: bool,
}

/// All of them, in order.
pub(super) fn candidates(choice: Choice, place: &Where, environment: &Environment) -> Vec<Candidate> {
    if let Some(host) = &place.host {
        return vec![named("--host", host, place, environment)];
    }
    let mut found = Vec::new();
    for variable in ["CONTAINER_HOST", "DOCKER_HOST"] {
        if let Some(host) = environment.variable(variable) {
            found.push(named(variable, host, place, environment));
        }
    }
    if choice.takes(Kind::Podman) {
        let user = environment.runtime_dir().join("podman/podman.sock");
        found.push(socket("podman's socket of this user", user));
        found.push(socket(
            "podman's socket of the system",
            environment.podman_socket.clone(),
        ));
        found.push(Candidate {
            known_by: "podman without a socket".into(),
            place: environment.program("podman").map_or_else(
                || Place::Nowhere("there is no program podman on the PATH".into()),
                Place::Podman,
            ),
            named: false,
        });
    }
    if choice.takes(Kind::Docker) {
        found.extend(docker_context(environment));
        found.push(socket("docker's socket", environment.docker_socket.clone()));
        let rootless = environment.runtime_dir().join("docker.sock");
        found.push(socket("docker's socket of this user", rootless));
        if let Some(home) = environment.variable("HOME") {
            let desktop = Path::new(home).join(".docker/run/docker.sock");
            found.push(socket("docker desktop's socket", desktop));
        }
    }
    found
}

fn socket(known_by: &str, path: PathBuf) -> Candidate {
    Candidate {
        known_by: known_by.into(),
        place: Place::At {
            address: Address::Unix(path),
            certificates: None,
        },
        named: false,
    }
}

fn named(by: &str, host: &str, place: &Where, environment: &Environment) -> Candidate {
    let place = match host.parse() {
        Ok(address) => Place::At {
            certificates: certificates(&address, place, environment),
            address,
        },
        Err(error) => Place::Nowhere(error.to_string()),
    };
    Candidate {
        known_by: by.into(),
        place,
        named: true,
    }
}

/// Docker's rules: certificates are named, or TLS is wanted and they lie where Docker's client keeps its settings.
fn certificates(address: &Address, place: &Where, environment: &Environment) -> Option<PathBuf> {
    let Address::Tcp { tls, .. } = address else {
        return None;
    };
    let wanted = *tls || environment.variable("DOCKER_TLS_VERIFY").is_some();
    let named = environment.variable("DOCKER_CERT_PATH").map(PathBuf::from);
    place.certificates.clone().or(if wanted {
        named.or_else(|| environment.docker_config())
    } else {
        None
    })
}

/// The context that Docker's client would take, unless that is the default one, which is no more than the usual socket.
fn docker_context(environment: &Environment) -> Option<Candidate> {
    let dir = environment.docker_config()?;
    let name = match environment.variable("DOCKER_CONTEXT") {
        Some(name) => name.to_owned(),
        None => json(&dir.join("config.json")).ok()?["currentContext"]
            .as_str()?
            .to_owned(),
    };
    if name == "default" || name.is_empty() {
        return None;
    }
    let id = windlass_core::hex::hex(&Sha256::digest(name.as_bytes()));
    let meta = dir.join("contexts/meta").join(&id).join("meta.json");
    let place = json(&meta).and_then(|meta| {
        let endpoint = &meta["Endpoints"]["docker"];
        let host = endpoint["Host"].as_str().ok_or("it names no host")?;
        let address: Address = host.parse().map_err(|error| format!("{error}"))?;
        let tls = dir.join("contexts/tls").join(&id).join("docker");
        let plain = !matches!(address, Address::Tcp { .. }) || !tls.is_dir();
        Ok(Place::At {
            certificates: if plain { None } else { Some(tls) },
            address,
        })
    });
    Some(Candidate {
        known_by: format!("docker's context '{}'", windlass_core::escape::escaped(&name)),
        place: place.unwrap_or_else(Place::Nowhere),
        named: false,
    })
}

fn json(file: &Path) -> Result<serde_json::Value, String> {
    let text = std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
    serde_json::from_slice(&text).map_err(|error| format!("{}: {error}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        let find = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Environment::of(find)
    }

    fn order(choice: Choice, place: &Where, variables: &[(&str, &str)]) -> Vec<String> {
        let found = candidates(choice, place, &environment(variables));
        found.into_iter().map(|candidate| candidate.known_by).collect()
    }

    #[test]
    fn what_is_named_comes_first_and_podman_before_docker() {
        let variables = [
            ("DOCKER_HOST", "tcp://builder:2375"),
            ("CONTAINER_HOST", "unix:///run/p.sock"),
            ("HOME", "/nonexistent"),
        ];
        assert_eq!(
            order(Choice::Auto, &Where::default(), &variables),
            [
                "CONTAINER_HOST",
                "DOCKER_HOST",
                "podman's socket of this user",
                "podman's socket of the system",
                "podman without a socket",
                "docker's socket",
                "docker's socket of this user",
                "docker desktop's socket",
            ]
        );
        let here = Where {
            host: Some("ssh://builder".into()),
            ..Where::default()
        };
        assert_eq!(order(Choice::Auto, &here, &variables), ["--host"]);
        assert_eq!(
            order(Choice::Docker, &Where::default(), &[]),
            ["docker's socket", "docker's socket of this user"]
        );
        assert_eq!(order(Choice::None, &Where::default(), &[]), Vec::<String>::new());
    }

    #[test]
    fn dockers_context_is_read_with_its_certificates() -> std::io::Result<()> {
        let home = tempfile::tempdir()?;
        let id = windlass_core::hex::hex(&Sha256::digest(b"far"));
        let meta = home.path().join("contexts/meta").join(&id);
        std::fs::create_dir_all(&meta)?;
        std::fs::write(home.path().join("config.json"), r#"{"currentContext":"far"}"#)?;
        std::fs::write(
            meta.join("meta.json"),
            r#"{"Name":"far","Endpoints":{"docker":{"Host":"tcp://far.example.org:2376","SkipTLSVerify":false}}}"#,
        )?;
        let tls = home.path().join("contexts/tls").join(&id).join("docker");
        std::fs::create_dir_all(&tls)?;
        let dir = home.path().to_string_lossy();
        let found = docker_context(&environment(&[("DOCKER_CONFIG", &dir)]));
        let place = found.map(|candidate| candidate.place);
        let expected = Place::At {
            address: Address::Tcp {
                host: "far.example.org".into(),
                port: 2376,
                tls: false,
            },
            certificates: Some(tls),
        };
        assert_eq!(place, Some(expected));
        let gone = docker_context(&environment(&[("DOCKER_CONFIG", &dir), ("DOCKER_CONTEXT", "gone")]));
        assert!(
            matches!(gone.map(|candidate| candidate.place), Some(Place::Nowhere(why)) if why.contains("meta.json"))
        );
        Ok(())
    }

    #[test]
    fn tls_follows_dockers_variables() {
        let variables = [
            ("DOCKER_HOST", "tcp://b"),
            ("DOCKER_TLS_VERIFY", "1"),
            ("HOME", "/home/a"),
        ];
        let found = candidates(Choice::Docker, &Where::default(), &environment(&variables));
        assert!(
            matches!(&found[0].place, Place::At { certificates: Some(dir), .. } if dir == Path::new("/home/a/.docker"))
        );
        let plain = candidates(Choice::Docker, &Where::default(), &environment(&variables[..1]));
        assert!(matches!(&plain[0].place, Place::At { certificates: None, .. }));
    }
}
