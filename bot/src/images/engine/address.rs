//! Where an engine listens: `unix://`, `tcp://` with or without TLS, `ssh://`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use windlass_core::escape::escaped;

/// Docker's port without TLS, and the one with.
const PLAIN_PORT: u16 = 2375;
const TLS_PORT: u16 = 2376;

/// An address as `--host`, `CONTAINER_HOST` and `DOCKER_HOST` take it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// `unix:///run/docker.sock`; a path alone is taken too.
    Unix(PathBuf),
    /// `tcp://host:port`, also written `http://` and `https://`.
    Tcp {
        /// A name or an address; one of version 6 without its brackets.
        host: String,
        /// The port.
        port: u16,
        /// Whether it was written `https://`: then there is TLS whatever the environment says.
        tls: bool,
    },
    /// `ssh://[user@]host[:port][/path/of/socket]`: the engine's socket on that host, reached through `ssh`.
    Ssh {
        /// `[user@]host`, as ssh takes it; never beginning with '-'.
        destination: String,
        /// The port, where it is not ssh's own choice.
        port: Option<u16>,
        /// The socket there; the usual ones are tried where none is named.
        socket: Option<PathBuf>,
    },
}

/// A text that is no address of an engine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{value}' is no address of a container engine: {why}\n\nhint: unix:///run/docker.sock, tcp://host:2376 or ssh://user@host"
)]
pub struct BadAddress {
    value: String,
    why: &'static str,
}

impl FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        let bad = |why| BadAddress {
            value: escaped(text),
            why,
        };
        let Some((scheme, rest)) = text.split_once("://") else {
            return if text.starts_with('/') {
                Ok(Self::Unix(text.into()))
            } else {
                Err(bad("it has no scheme"))
            };
        };
        match scheme {
            "unix" if rest.starts_with('/') => Ok(Self::Unix(rest.into())),
            "unix" => Err(bad("the path of a socket begins with '/'")),
            "tcp" | "http" | "https" => {
                let tls = scheme == "https";
                let rest = rest.strip_suffix('/').unwrap_or(rest);
                let (host, port) = host_and_port(rest).ok_or_else(|| bad("it has no host, or no good port"))?;
                let port = port.unwrap_or(if tls { TLS_PORT } else { PLAIN_PORT });
                Ok(Self::Tcp { host, port, tls })
            }
            "ssh" => ssh(rest).ok_or_else(|| bad("it has no host, or no good port")),
            _ => Err(bad("its scheme is none of unix, tcp, http, https and ssh")),
        }
    }
}

fn ssh(rest: &str) -> Option<Address> {
    let (place, socket) = match rest.find('/') {
        Some(at) if rest.len() > at + 1 => (&rest[..at], Some(PathBuf::from(&rest[at..]))),
        Some(at) => (&rest[..at], None),
        None => (rest, None),
    };
    let (user, place) = match place.rsplit_once('@') {
        Some((user, place)) => (Some(user), place),
        None => (None, place),
    };
    let (host, port) = host_and_port(place)?;
    let good = |word: &str| {
        // ssh reads a leading '-' as an option.
        !word.is_empty()
            && !word.starts_with('-')
            && word.chars().all(|c| c.is_ascii_graphic() && !"'\"\\`$".contains(c))
    };
    if !good(&host) || !user.is_none_or(good) {
        return None;
    }
    let destination = user.map_or_else(|| host.clone(), |user| format!("{user}@{host}"));
    Some(Address::Ssh {
        destination,
        port,
        socket,
    })
}

fn host_and_port(text: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        (
            host,
            rest.strip_prefix(':')
                .or(if rest.is_empty() { Some("") } else { None })?,
        )
    } else {
        text.split_once(':').unwrap_or((text, ""))
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-_:%".contains(c);
    if host.is_empty() || !host.chars().all(plain) {
        return None;
    }
    let port = match port {
        "" => None,
        port => Some(port.parse().ok().filter(|port| *port != 0)?),
    };
    Some((host.to_owned(), port))
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", escaped(&path.to_string_lossy())),
            Self::Tcp { host, port, tls } => {
                let scheme = if *tls { "https" } else { "tcp" };
                if host.contains(':') {
                    write!(f, "{scheme}://[{host}]:{port}")
                } else {
                    write!(f, "{scheme}://{host}:{port}")
                }
            }
            Self::Ssh {
                destination,
                port,
                socket,
            } => {
                write!(f, "ssh://{}", escaped(destination))?;
                if let Some(port) = port {
                    write!(f, ":{port}")?;
                }
                socket
                    .as_ref()
                    .map_or(Ok(()), |socket| write!(f, "{}", escaped(&socket.to_string_lossy())))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("unix:///run/docker.sock", "unix:///run/docker.sock")]
    #[case("/run/podman/podman.sock", "unix:///run/podman/podman.sock")]
    #[case("tcp://builder:2376", "tcp://builder:2376")]
    #[case("tcp://builder", "tcp://builder:2375")]
    #[case("http://127.0.0.1:4000/", "tcp://127.0.0.1:4000")]
    #[case("https://builder", "https://builder:2376")]
    #[case("tcp://[::1]:2375", "tcp://[::1]:2375")]
    #[case(
        "ssh://core@builder:2222/run/podman/podman.sock",
        "ssh://core@builder:2222/run/podman/podman.sock"
    )]
    #[case("ssh://builder/", "ssh://builder")]
    fn addresses_are_read_and_written(#[case] text: &str, #[case] shown: &str) -> Result<(), BadAddress> {
        let address: Address = text.parse()?;
        assert_eq!(address.to_string(), shown);
        assert_eq!(shown.parse::<Address>()?, address);
        Ok(())
    }

    #[rstest]
    #[case("")]
    #[case("docker.sock")]
    #[case("unix://run/docker.sock")]
    #[case("npipe:////./pipe/docker_engine")]
    #[case("tcp://")]
    #[case("tcp://host:0")]
    #[case("tcp://host:99999")]
    #[case("tcp://ho st:1")]
    #[case("ssh://-oProxyCommand=touch%20x/run/docker.sock")]
    #[case("ssh://-l@host")]
    #[case("ssh://a$b@host")]
    #[case("ssh://")]
    fn what_is_none_is_refused(#[case] text: &str) {
        let error = text.parse::<Address>().unwrap_err().to_string();
        assert!(error.contains("\n\nhint: "), "{error}");
    }
}
