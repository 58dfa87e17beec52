//! How an image came to be, as a statement that others can read: in-toto Statement v1 with a SLSA provenance v1 predicate.
//!
//! Rules: <https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md> and <https://slsa.dev/spec/v1.0/provenance>. The statement is not
//! signed here. The same facts give the same bytes; times are passed in.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use windlass_core::image::{Digest, ImageName};

use super::oci::spec;
use super::registry::Artifact;

/// What kind of statement it is, for a registry.
pub const ARTIFACT: &str = "application/vnd.in-toto+json";

/// Which statement: in-toto's first version.
const STATEMENT: &str = "https://in-toto.io/Statement/v1";

/// Which predicate: SLSA's first version.
const PREDICATE: &str = "https://slsa.dev/provenance/v1";

/// How external parameters are to be read. Who changes their meaning changes the number.
const BUILD_TYPE: &str = "urn:windlass:image:1";

/// How an image came to be.
#[derive(Debug, Clone)]
pub struct Provenance<'a> {
    /// The image's name.
    pub image: &'a ImageName,
    /// The digest of its manifest.
    pub digest: &'a Digest,
    /// Who built it: a URI that names this installation.
    pub builder: &'a str,
    /// What was asked for, as people ask for it: Dockerfile, target, arguments, platform.
    pub parameters: BTreeMap<String, String>,
    /// What it was made of.
    pub dependencies: Vec<Dependency>,
    /// What made it be built.
    pub cause: Cause,
    /// The run that built it, as in a job's number.
    pub invocation: String,
    /// When that began.
    pub started: Timestamp,
    /// When it was done.
    pub finished: Timestamp,
}

/// What made an image be built: as much as is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// The task that landed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<u64>,
    /// The repository in which it landed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// The generation that came of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
}

/// Something that an image was made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// What it is called among the inputs, as in `base` or `file src/a.c`.
    pub name: String,
    /// Where it is from, if that can be said.
    pub uri: Option<String>,
    /// Its digest.
    pub digest: Known,
}

/// A digest with its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// SHA-256, as hexadecimal digits.
    Sha256(String),
    /// The id of a git commit.
    GitCommit(String),
}

impl Dependency {
    /// A base image.
    pub fn base(name: &ImageName, digest: &Digest) -> Self {
        Self {
            name: format!("base {name}"),
            uri: Some(oci_purl(name, digest)),
            digest: Known::Sha256(digest.digits().to_owned()),
        }
    }

    /// The commit of a source repository.
    pub fn commit(repository: &str, id: &str) -> Self {
        Self {
            name: "source".to_owned(),
            uri: Some(format!("git+{repository}@{id}")),
            digest: Known::GitCommit(id.to_owned()),
        }
    }

    /// A named input.
    pub fn input(name: &str, sha256: &str) -> Self {
        Self {
            name: name.to_owned(),
            uri: None,
            digest: Known::Sha256(sha256.trim_start_matches(Digest::PREFIX).to_owned()),
        }
    }

    fn json(&self) -> Value {
        let (algorithm, digits) = match &self.digest {
            Known::Sha256(digits) => ("sha256", digits),
            Known::GitCommit(id) => ("gitCommit", id),
        };
        let mut json = json!({ "name": self.name, "digest": { algorithm: digits } });
        if let Some(uri) = &self.uri {
            json["uri"] = json!(uri);
        }
        json
    }
}

/// An image as a package URL.
pub(super) fn oci_purl(name: &ImageName, digest: &Digest) -> String {
    let repository = name.repository();
    let last = repository.rsplit('/').next().unwrap_or(repository);
    let url = format!("{}/{repository}", name.registry());
    let tag = name
        .tag()
        .map(|tag| format!("&tag={}", encoded(tag)))
        .unwrap_or_default();
    format!(
        "pkg:oci/{}@sha256%3A{}?repository_url={}{tag}",
        encoded(last),
        digest.digits(),
        encoded(&url)
    )
}

/// A part of a package URL: everything but letters, digits and `.-_~` as `%XX`.
pub(super) fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' | b'~' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// The statement, as JSON.
pub fn statement(provenance: &Provenance<'_>) -> Vec<u8> {
    let image = provenance.image;
    let dependencies: Vec<Value> = provenance.dependencies.iter().map(Dependency::json).collect();
    spec::bytes(&json!({
        "_type": STATEMENT,
        "subject": [{
            "name": format!("{}/{}", image.registry(), image.repository()),
            "digest": { "sha256": provenance.digest.digits() },
        }],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": { "image": image.to_string(), "parameters": provenance.parameters },
                "internalParameters": { "cause": provenance.cause },
                "resolvedDependencies": dependencies,
            },
            "runDetails": {
                "builder": { "id": provenance.builder, "version": { "windlass": env!("CARGO_PKG_VERSION") } },
                "metadata": {
                    "invocationId": provenance.invocation,
                    "startedOn": seconds(provenance.started),
                    "finishedOn": seconds(provenance.finished),
                },
            },
        },
    }))
}

/// The statement, as a registry takes it.
pub fn artifact(provenance: &Provenance<'_>) -> Artifact {
    Artifact {
        artifact_type: ARTIFACT.to_owned(),
        media_type: ARTIFACT.to_owned(),
        bytes: statement(provenance),
        annotations: BTreeMap::from([
            ("in-toto.io/predicate-type".to_owned(), PREDICATE.to_owned()),
            (
                "org.opencontainers.image.created".to_owned(),
                seconds(provenance.finished),
            ),
        ]),
    }
}

/// A time in whole seconds, as both formats want it.
pub(super) fn seconds(time: Timestamp) -> String {
    Timestamp::from_second(time.as_second()).unwrap_or(time).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a place of a document has to be.
    enum Rule {
        Is(&'static str),
        Uri,
        Time,
        Sha256,
        Text,
        Object,
    }

    /// The rules of both specifications for what is required, and for what we write of the optional.
    const RULES: &[(&str, Rule)] = &[
        // in-toto Statement v1: identifies the version; subjects with digests; the predicate's type is a URI.
        ("/_type", Rule::Is("https://in-toto.io/Statement/v1")),
        ("/subject/0/name", Rule::Text),
        ("/subject/0/digest/sha256", Rule::Sha256),
        ("/predicateType", Rule::Is("https://slsa.dev/provenance/v1")),
        // SLSA provenance v1: buildDefinition and runDetails are required.
        ("/predicate/buildDefinition/buildType", Rule::Uri),
        ("/predicate/buildDefinition/externalParameters", Rule::Object),
        ("/predicate/buildDefinition/internalParameters", Rule::Object),
        // ResourceDescriptor: at least one of uri, digest, content.
        ("/predicate/buildDefinition/resolvedDependencies/0/uri", Rule::Uri),
        (
            "/predicate/buildDefinition/resolvedDependencies/0/digest/sha256",
            Rule::Sha256,
        ),
        (
            "/predicate/buildDefinition/resolvedDependencies/1/digest/gitCommit",
            Rule::Text,
        ),
        (
            "/predicate/buildDefinition/resolvedDependencies/2/digest/sha256",
            Rule::Sha256,
        ),
        // The builder's id is a URI; times are RFC 3339 in UTC.
        ("/predicate/runDetails/builder/id", Rule::Uri),
        ("/predicate/runDetails/builder/version", Rule::Object),
        ("/predicate/runDetails/metadata/invocationId", Rule::Text),
        ("/predicate/runDetails/metadata/startedOn", Rule::Time),
        ("/predicate/runDetails/metadata/finishedOn", Rule::Time),
    ];

    fn check(document: &Value, rules: &[(&str, Rule)]) {
        for (place, rule) in rules {
            let value = document.pointer(place).unwrap_or_else(|| panic!("{place} is missing"));
            let text = value.as_str().unwrap_or_default();
            let good = match rule {
                Rule::Is(want) => text == *want,
                Rule::Uri => {
                    text.split_once(':').is_some_and(|(scheme, rest)| {
                        !rest.is_empty() && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
                    }) && !text.contains(char::is_whitespace)
                }
                Rule::Time => text.len() == 20 && text.ends_with('Z') && text.parse::<Timestamp>().is_ok(),
                Rule::Sha256 => format!("sha256:{text}").parse::<Digest>().is_ok(),
                Rule::Text => !text.is_empty(),
                Rule::Object => value.is_object(),
            };
            assert!(good, "{place}: {value}");
        }
    }

    #[test]
    fn a_statement_is_as_the_specifications_say() {
        let image: ImageName = "r.example.org:5000/team/tool:1.0".parse().unwrap();
        let digest = Digest::of(b"image");
        let time = Timestamp::from_nanosecond(1_700_000_000_123_456_789).unwrap();
        let provenance = Provenance {
            image: &image,
            digest: &digest,
            builder: "https://windlass.example.org",
            parameters: BTreeMap::from([("target".to_owned(), "final".to_owned())]),
            dependencies: vec![
                Dependency::base(&"localhost/base".parse().unwrap(), &Digest::of(b"base")),
                Dependency::commit(
                    "https://git.example.org/tool",
                    "0123456789abcdef0123456789abcdef01234567",
                ),
                Dependency::input("file a", Digest::of(b"a").as_str()),
            ],
            cause: Cause {
                task: Some(7),
                repository: Some("sisyphus".to_owned()),
                generation: Some(3),
            },
            invocation: "job 12".to_owned(),
            started: time,
            finished: time,
        };
        let bytes = statement(&provenance);
        let document: Value = serde_json::from_slice(&bytes).unwrap();
        check(&document, RULES);
        assert_eq!(bytes, statement(&provenance.clone()));
        let definition = &document["predicate"]["buildDefinition"];
        assert_eq!(
            definition["internalParameters"]["cause"],
            json!({"task": 7, "repository": "sisyphus", "generation": 3})
        );
        assert_eq!(definition["externalParameters"]["parameters"]["target"], "final");
        assert_eq!(
            document["predicate"]["runDetails"]["metadata"]["startedOn"],
            "2023-11-14T22:13:20Z"
        );
        assert_eq!(
            oci_purl(&image, &digest),
            format!(
                "pkg:oci/tool@sha256%3A{}?repository_url=r.example.org%3A5000%2Fteam%2Ftool&tag=1.0",
                digest.digits()
            )
        );
    }
}
