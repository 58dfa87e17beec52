//! `[[builder]]`: a container engine that packages are built on, where `[build] sandbox = "container"`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use windlass_core::id::ArchName;

use crate::images::engine::Address;

/// One `[[builder]]` of the configuration: an engine on this machine or on another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BuildHost {
    /// What it is called in logs.
    pub name: String,
    /// Where the engine listens: `unix:///PATH`, `ssh://USER@HOST`, or `tcp://HOST:PORT` with `tls`.
    pub host: String,
    /// A directory with `ca.pem`, `cert.pem` and `key.pem`, for `tcp://`: without them everybody is root there who can connect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<PathBuf>,
    /// What it builds for, in rpm's words.
    #[serde(default = "native")]
    pub architectures: Vec<String>,
    /// The image that builds run in, with its registry. By digest it stays what it is; a tag is looked up once a start.
    pub image: String,
    /// How many builds run on it at once.
    #[serde(default = "one")]
    pub slots: u32,
}

impl BuildHost {
    /// Its architectures as names; the configuration was checked.
    pub fn architectures(&self) -> Vec<ArchName> {
        self.architectures.iter().filter_map(|name| name.parse().ok()).collect()
    }

    /// Where it listens; nothing where that makes no sense.
    pub fn address(&self) -> Option<Address> {
        let schemes = ["unix://", "ssh://", "tcp://"];
        let known = schemes.iter().any(|scheme| self.host.starts_with(scheme));
        self.host.parse().ok().filter(|_| known)
    }
}

/// Whether a name of an image says where it comes from, and which it is: a registry, and a tag or a digest.
pub(super) fn is_qualified(image: &str) -> bool {
    let (name, digest) = match image.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (image, None),
    };
    let Some((registry, path)) = name.split_once('/') else {
        return false;
    };
    let (path, tag) = match path.rsplit_once(':') {
        Some((path, tag)) => (path, Some(tag)),
        None => (path, None),
    };
    let word = |text: &str, more: &[u8]| {
        !text.is_empty()
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b) || more.contains(&b))
    };
    let hexadecimal = |digest: &str| {
        digest
            .strip_prefix("sha256:")
            .is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
    };
    word(registry, b":")
        && (registry == "localhost" || registry.contains(['.', ':']))
        && word(path, b"/")
        && !path.bytes().any(|b| b.is_ascii_uppercase())
        && tag.is_none_or(|tag| word(tag, b""))
        && digest.is_none_or(hexadecimal)
        && (tag.is_some() || digest.is_some())
}

/// Whether a text can be what a builder is called.
pub(super) fn is_name(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

/// The architecture for which this program was built.
fn native() -> Vec<String> {
    vec![std::env::consts::ARCH.to_owned()]
}

fn one() -> u32 {
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_named_in_full() {
        let digest = "a".repeat(64);
        for good in [
            "localhost/build:el9".to_owned(),
            "registry.example.org/build/el9:1.2".to_owned(),
            "registry.example.org:5000/el9:latest".to_owned(),
            format!("docker.io/library/fedora@sha256:{digest}"),
            format!("docker.io/library/fedora:41@sha256:{digest}"),
        ] {
            assert!(is_qualified(&good), "{good}");
        }
        for bad in [
            "fedora",
            "fedora:41",
            "library/fedora:41",
            "localhost/build",
            "localhost/Build:1",
            "localhost/:1",
            "docker.io/x@sha256:abc",
            "docker.io/x:a b",
            "docker.io/x:1@md5:0",
            "",
        ] {
            assert!(!is_qualified(bad), "{bad}");
        }
    }

    #[test]
    fn an_address_is_of_three_kinds() {
        let at = |host: &str| {
            let host = BuildHost {
                name: "x".to_owned(),
                host: host.to_owned(),
                tls: None,
                architectures: native(),
                image: "localhost/x:1".to_owned(),
                slots: 1,
            };
            host.address().map(|address| format!("{address:?}"))
        };
        for good in [
            "unix:///run/docker.sock",
            "ssh://build@east:2222",
            "ssh://east/run/podman/podman.sock",
            "tcp://10.0.0.1:2376",
        ] {
            assert!(at(good).is_some(), "{good}");
        }
        for bad in [
            "/run/docker.sock",
            "unix://run/docker.sock",
            "http://x:1",
            "tcp://x:0",
            "tcp://:1",
            "ssh://-oProxyCommand=x",
            "ssh://x@-oProxyCommand=x",
            "ssh://",
            "ssh://a b",
        ] {
            assert_eq!(at(bad), None, "{bad}");
        }
    }
}
