//! Image names, always fully qualified, and digests.
//!
//! An engine that is asked for a bare `x` looks for another image than the next one does: Docker for its own `x`, Podman's
//! Docker API for `docker.io/library/x`. So that no name leaves here bare: names of our own images are read by
//! [`FromStr`] (`x` is `localhost/x:latest`), names in somebody's Dockerfile by [`ImageName::foreign`]
//! (`debian:12` is `docker.io/library/debian:12`).
//!
//! Grammar and limits are those of the distribution project's references: parts of lower-case letters, digits and single
//! separators, at most [`ImageName::LONGEST`] bytes before the tag, a tag of at most [`ImageName::LONGEST_TAG`].

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::escape::escaped;

/// The registry of names that have none, where an image of ours is meant.
const LOCAL: &str = "localhost";
/// The registry of names that have none, where somebody else's image is meant.
const HUB: &str = "docker.io";
/// The tag of a name that has neither tag nor digest.
const LATEST: &str = "latest";

/// `registry/repository[:tag][@digest]`; it has a tag, or a digest, or both.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ImageName {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// A text that is no image name, or no digest, and the rule that it breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{value}' is no {what}: {rule}\n\nhint: {hint}")]
pub struct BadName {
    /// What the text was to be: "image name" or "digest".
    pub what: &'static str,
    /// The text, escaped, shortened.
    pub value: String,
    /// The rule that it breaks.
    pub rule: &'static str,
    /// How a good one looks.
    pub hint: &'static str,
}

impl BadName {
    fn of(what: &'static str, value: &str, rule: &'static str, hint: &'static str) -> Self {
        let mut value = escaped(value);
        if value.chars().count() > 100 {
            value = value.chars().take(100).collect();
            value.push('…');
        }
        Self {
            what,
            value,
            rule,
            hint,
        }
    }
}

impl ImageName {
    /// The most bytes that registry and repository may have together.
    pub const LONGEST: usize = 255;
    /// The most bytes that a tag may have.
    pub const LONGEST_TAG: usize = 128;

    /// The name of one of our images on this machine: `x` is `localhost/x:latest`.
    ///
    /// # Errors
    /// Where the text is no image name.
    pub fn local(name: &str) -> Result<Self, BadName> {
        Self::read(name, LOCAL)
    }

    /// A name as somebody's Dockerfile writes it: `debian` is `docker.io/library/debian:latest`.
    ///
    /// `scratch` is read as a name like any other; that it is none is known to [`dockerfile`](super::dockerfile).
    ///
    /// # Errors
    /// Where the text is no image name.
    pub fn foreign(name: &str) -> Result<Self, BadName> {
        Self::read(name, HUB)
    }

    fn read(text: &str, without: &str) -> Result<Self, BadName> {
        let bad = |rule, hint| BadName::of("image name", text, rule, hint);
        let example = "registry.example.org:5000/team/tool:1.0, or localhost/tool";
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => {
                let digest = digest.parse().map_err(|_| {
                    bad(
                        "what follows '@' is a digest: sha256: and 64 hexadecimal digits",
                        "tool@sha256:… , as `windlass image lock` writes it",
                    )
                })?;
                (name, Some(digest))
            }
            None => (text, None),
        };
        // A colon before the last slash belongs to a port.
        let (path, tag) = match name.rsplit_once(':') {
            Some((path, tag)) if !tag.contains('/') => (path, Some(tag)),
            Some(_) | None => (name, None),
        };
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(bad(
                "a tag has 1 to 128 letters, digits, '_', '.' and '-', and does not begin with '.' or '-'",
                example,
            ));
        }
        let (registry, repository) = match path.split_once('/') {
            Some((first, rest)) if is_host(first) => (first, rest),
            Some(_) | None => (without, path),
        };
        if repository.is_empty() {
            return Err(bad("it names no repository", example));
        }
        if repository.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(bad("a repository is written in lower-case letters", example));
        }
        if !is_registry(registry) || !repository.split('/').all(is_part) {
            return Err(bad(
                "between slashes stand lower-case letters and digits, with '.', '_', '__' or '-' between them",
                example,
            ));
        }
        let registry = if matches!(registry, "index.docker.io" | "registry-1.docker.io") {
            HUB
        } else {
            registry
        };
        let library = registry == HUB && !repository.contains('/');
        let repository = if library {
            format!("library/{repository}")
        } else {
            repository.to_owned()
        };
        if registry.len() + 1 + repository.len() > Self::LONGEST {
            return Err(bad(
                "registry and repository have at most 255 bytes",
                "take a shorter name",
            ));
        }
        Ok(Self {
            registry: registry.to_owned(),
            repository,
            tag: match (tag, &digest) {
                (Some(tag), _) => Some(tag.to_owned()),
                (None, None) => Some(LATEST.to_owned()),
                (None, Some(_)) => None,
            },
            digest,
        })
    }

    /// Host and port, as in `localhost`, `docker.io`, `registry.example.org:5000`.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The path within the registry, as in `library/debian`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag; every name without a digest has one.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, where the name is pinned.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// Whether it is an image of ours that no registry knows: its registry is `localhost`, without a port.
    pub fn is_local(&self) -> bool {
        self.registry == LOCAL
    }

    /// The same name with this tag, without a digest.
    ///
    /// # Errors
    /// Where the text is no tag.
    pub fn with_tag(&self, tag: &str) -> Result<Self, BadName> {
        if !is_tag(tag) {
            return Err(BadName::of(
                "tag",
                tag,
                "it has 1 to 128 letters, digits, '_', '.' and '-', and does not begin with '.' or '-'",
                "1.0-alt1",
            ));
        }
        Ok(Self {
            tag: Some(tag.to_owned()),
            digest: None,
            ..self.clone()
        })
    }

    /// The same name, pinned to a digest; the tag stays, for people.
    #[must_use]
    pub fn with_digest(&self, digest: Digest) -> Self {
        Self {
            digest: Some(digest),
            ..self.clone()
        }
    }

    /// The same name without its digest; `latest` where there is no tag.
    #[must_use]
    pub fn without_digest(&self) -> Self {
        Self {
            tag: self.tag.clone().or_else(|| Some(LATEST.to_owned())),
            digest: None,
            ..self.clone()
        }
    }

    /// The same repository and tag in another registry: how an image of ours is called where it is pushed to.
    ///
    /// The registry may have a path: `registry.example.org:5000/team`.
    ///
    /// # Errors
    /// Where the two make no image name.
    pub fn in_registry(&self, registry: &str) -> Result<Self, BadName> {
        let registry = registry.trim_end_matches('/');
        let host = registry.split('/').next().unwrap_or_default();
        if !is_registry(host) || !is_host(host) {
            return Err(BadName::of(
                "registry",
                registry,
                "it is a host with a dot, a port, or localhost",
                "registry.example.org:5000/team",
            ));
        }
        let mut text = format!("{registry}/{}", self.repository);
        if let Some(tag) = &self.tag {
            text.push(':');
            text.push_str(tag);
        }
        if let Some(digest) = &self.digest {
            text.push('@');
            text.push_str(digest.as_str());
        }
        text.parse()
    }
}

/// Whether the first of several parts is a registry and no directory of one.
fn is_host(part: &str) -> bool {
    part == LOCAL || part.contains(['.', ':']) || part.bytes().any(|byte| byte.is_ascii_uppercase())
}

fn is_registry(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        Some(_) | None => (text, None),
    };
    let good_port =
        port.is_none_or(|port| (1..=5).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit()));
    let six = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let good_host = match six {
        Some(address) => !address.is_empty() && address.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b':'),
        None => host.split('.').all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        }),
    };
    good_port && good_host
}

/// Letters and digits, with one `.`, one or two `_`, or any number of `-` between them.
fn is_part(part: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = part.as_bytes();
    if !bytes.first().copied().is_some_and(plain) || !bytes.last().copied().is_some_and(plain) {
        return false;
    }
    bytes
        .split(|byte| plain(*byte))
        .all(|between| matches!(between, [] | b"." | b"_" | b"__") || between.iter().all(|byte| *byte == b'-'))
}

fn is_tag(tag: &str) -> bool {
    (1..=ImageName::LONGEST_TAG).contains(&tag.len())
        && !tag.starts_with(['.', '-'])
        && tag
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

impl FromStr for ImageName {
    type Err = BadName;

    /// Reads a name of ours; see [`ImageName::foreign`] for those of a Dockerfile.
    fn from_str(text: &str) -> Result<Self, BadName> {
        Self::local(text)
    }
}

impl TryFrom<String> for ImageName {
    type Error = BadName;
    fn try_from(text: String) -> Result<Self, BadName> {
        text.parse()
    }
}

impl From<ImageName> for String {
    fn from(name: ImageName) -> String {
        name.to_string()
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

/// `sha256:` and 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(String);

impl Digest {
    /// What stands before the digits.
    pub const PREFIX: &'static str = "sha256:";

    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest as _;
        Self::from_sha256(&sha2::Sha256::digest(bytes).into())
    }

    /// The digest whose SHA-256 was computed already.
    pub fn from_sha256(hash: &[u8; 32]) -> Self {
        Self(format!("{}{}", Self::PREFIX, crate::hex::hex(hash)))
    }

    /// All of it, with `sha256:`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The 64 digits.
    pub fn digits(&self) -> &str {
        &self.0[Self::PREFIX.len()..]
    }

    /// The first 12 digits, as they are shown.
    pub fn short(&self) -> &str {
        &self.digits()[..12]
    }
}

impl FromStr for Digest {
    type Err = BadName;
    fn from_str(text: &str) -> Result<Self, BadName> {
        let good = text.strip_prefix(Self::PREFIX).is_some_and(|digits| {
            digits.len() == 64 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        });
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadName::of(
                "digest",
                text,
                "it is sha256: and 64 lower-case hexadecimal digits",
                "no other algorithm is taken",
            ))
        }
    }
}

impl TryFrom<String> for Digest {
    type Error = BadName;
    fn try_from(text: String) -> Result<Self, BadName> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        digest.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const SUM: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[rstest]
    #[case("tool", "localhost/tool:latest")]
    #[case("tool:1.0", "localhost/tool:1.0")]
    #[case("team/tool", "localhost/team/tool:latest")]
    #[case("localhost/tool", "localhost/tool:latest")]
    #[case("localhost:5000/tool", "localhost:5000/tool:latest")]
    #[case("registry.example.org:5000/a/b/c:x_y.z-1", "registry.example.org:5000/a/b/c:x_y.z-1")]
    #[case("[::1]:5000/tool", "[::1]:5000/tool:latest")]
    #[case("a__b/c--d.e", "localhost/a__b/c--d.e:latest")]
    #[case("docker.io/debian", "docker.io/library/debian:latest")]
    #[case("index.docker.io/debian:12", "docker.io/library/debian:12")]
    fn ours(#[case] text: &str, #[case] full: &str) {
        let name: ImageName = text.parse().unwrap();
        assert_eq!(name.to_string(), full);
        assert_eq!(full.parse::<ImageName>().unwrap(), name, "a full name is its own");
        assert_eq!(
            ImageName::foreign(full).unwrap(),
            name,
            "a full name is the same everywhere"
        );
    }

    #[rstest]
    #[case("debian", "docker.io/library/debian:latest")]
    #[case("debian:12", "docker.io/library/debian:12")]
    #[case("team/tool", "docker.io/team/tool:latest")]
    #[case("localhost/tool:1", "localhost/tool:1")]
    #[case("quay.io/team/tool", "quay.io/team/tool:latest")]
    fn foreign(#[case] text: &str, #[case] full: &str) {
        assert_eq!(ImageName::foreign(text).unwrap().to_string(), full);
    }

    #[rstest]
    #[case("", "it names no repository")]
    #[case("localhost/", "it names no repository")]
    #[case("localhost", "")]
    #[case("Tool", "a repository is written in lower-case letters")]
    #[case("a//b", "between slashes")]
    #[case("-a", "between slashes")]
    #[case("a-", "between slashes")]
    #[case("a..b", "between slashes")]
    #[case("a___b", "between slashes")]
    #[case("a._b", "between slashes")]
    #[case("a:", "a tag has")]
    #[case("a:.x", "a tag has")]
    #[case("a:b:c", "between slashes")]
    #[case("a b", "between slashes")]
    #[case("$(id)", "between slashes")]
    #[case("../x", "between slashes")]
    #[case("x.org:port/a", "between slashes")]
    #[case("http://x.org/a", "between slashes")]
    #[case("a@sha256:12", "what follows '@'")]
    #[case(
        "a@sha512:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        "what follows '@'"
    )]
    fn refused(#[case] text: &str, #[case] rule: &str) {
        // `localhost` alone is a repository's name, as it is for Docker.
        if rule.is_empty() {
            assert_eq!(
                text.parse::<ImageName>().unwrap().to_string(),
                "localhost/localhost:latest"
            );
            return;
        }
        let error = text.parse::<ImageName>().unwrap_err();
        assert!(error.rule.starts_with(rule), "{error}");
    }

    #[test]
    fn lengths_are_limited() {
        let most = "a".repeat(ImageName::LONGEST - "localhost/".len());
        assert!(most.parse::<ImageName>().is_ok());
        assert!(format!("{most}a").parse::<ImageName>().is_err());
        let tag = "t".repeat(ImageName::LONGEST_TAG);
        assert!(format!("a:{tag}").parse::<ImageName>().is_ok());
        assert!(format!("a:{tag}t").parse::<ImageName>().is_err());
        let told = "é".repeat(10_000).parse::<ImageName>().unwrap_err().to_string();
        assert!(told.len() < 600, "{told}");
    }

    #[test]
    fn a_digest_pins_and_is_taken_off() {
        let name = ImageName::foreign("debian:12").unwrap();
        let pinned = name.with_digest(SUM.parse().unwrap());
        assert_eq!(pinned.to_string(), format!("docker.io/library/debian:12@{SUM}"));
        assert_eq!(ImageName::foreign(&pinned.to_string()).unwrap(), pinned);
        assert_eq!(pinned.without_digest(), name);
        let bare = ImageName::foreign(&format!("debian@{SUM}")).unwrap();
        assert_eq!(bare.tag(), None);
        assert_eq!(bare.without_digest().tag(), Some("latest"));
    }

    #[rstest]
    #[case("tool:1", "localhost:5000", "localhost:5000/tool:1")]
    #[case("localhost/team/tool:1", "r.example.org/x/", "r.example.org/x/team/tool:1")]
    fn pushed_to(#[case] name: &str, #[case] registry: &str, #[case] there: &str) {
        let name: ImageName = name.parse().unwrap();
        assert_eq!(name.in_registry(registry).unwrap().to_string(), there);
    }

    #[test]
    fn a_registry_is_no_word() {
        let name: ImageName = "tool".parse().unwrap();
        assert!(name.in_registry("team").is_err());
        assert!(name.in_registry("").is_err());
        assert!(name.in_registry("http://x").is_err());
    }

    #[test]
    fn digests() {
        let digest: Digest = SUM.parse().unwrap();
        assert_eq!(digest.short(), "0123456789ab");
        assert_eq!(
            Digest::of(b"").as_str(),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert!(SUM.to_uppercase().parse::<Digest>().is_err());
        assert!(serde_json::from_str::<Digest>("\"sha256:00\"").is_err());
    }
}
