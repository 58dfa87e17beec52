//! The JSON documents of an image, as the OCI image specification 1.1 and Docker's own say: descriptor, index, manifest, configuration.
//!
//! What a base's configuration has beyond the fields named here stays as it is. Maps are sorted, so that the same image has the same bytes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use windlass_core::image::Digest;

/// An index of images.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// The manifest of an image.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// The configuration of an image.
pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// A layer: tar, gzip.
pub const LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// A layer: tar.
pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// A layer: tar, Zstandard.
pub const LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
/// A configuration that says nothing: `{}`.
pub const EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// Docker's name of a manifest.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker's name of an index.
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// Docker's name of a compressed layer.
pub const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";

/// The annotation with an image's name in an index.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The annotation with an image's full name, as containerd and Podman read it.
pub const FULL_NAME: &str = "io.containerd.image.name";

/// Names a blob.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What it is.
    pub media_type: String,
    /// Its digest.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// What kind of artifact a manifest is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// What is said of it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// For which machine it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
}

impl Descriptor {
    /// The descriptor of these bytes.
    pub fn of(media_type: &str, bytes: &[u8]) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest: Digest::of(bytes),
            size: bytes.len() as u64,
            artifact_type: None,
            annotations: BTreeMap::new(),
            platform: None,
        }
    }
}

/// `os/architecture[/variant]`, in Go's words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// As in `amd64`.
    pub architecture: String,
    /// As in `linux`.
    pub os: String,
    /// As in `v7`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

/// Several images, or the images of a layout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u32,
    /// What it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The images.
    pub manifests: Vec<Descriptor>,
    /// What is said of it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Index {
    /// An index of these.
    pub fn new(manifests: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(INDEX.to_owned()),
            manifests,
            annotations: BTreeMap::new(),
        }
    }
}

/// An image, or an artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u32,
    /// What it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// What kind of artifact it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Its configuration.
    pub config: Descriptor,
    /// Its layers, the lowest first.
    pub layers: Vec<Descriptor>,
    /// The manifest that it says something about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// What is said of it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// The configuration of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageConfig {
    /// As in `amd64`.
    pub architecture: String,
    /// As in `linux`.
    pub os: String,
    /// As in `v7`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// When it was made (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// Who made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// How it is run.
    #[serde(default)]
    pub config: RunConfig,
    /// Its layers.
    pub rootfs: RootFs,
    /// How it came to be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<History>,
    /// Whatever else it says.
    #[serde(flatten)]
    pub more: BTreeMap<String, Value>,
}

/// How a container of an image is run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RunConfig {
    /// As whom.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// Ports, as in `80/tcp`.
    #[serde(default, skip_serializing_if = "nothing", deserialize_with = "or_null")]
    pub exposed_ports: BTreeMap<String, Value>,
    /// `NAME=value`.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "or_null")]
    pub env: Vec<String>,
    /// What is run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// Its arguments, or what is run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cmd: Option<Vec<String>>,
    /// Directories that are volumes.
    #[serde(default, skip_serializing_if = "nothing", deserialize_with = "or_null")]
    pub volumes: BTreeMap<String, Value>,
    /// Where.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub working_dir: String,
    /// Labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "or_null")]
    pub labels: BTreeMap<String, String>,
    /// The signal that ends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
    /// How it is seen whether it works (Docker's).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    /// The shell of instructions in shell form (Docker's).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shell: Option<Vec<String>>,
    /// Instructions for images that stand on this one (Docker's).
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "or_null")]
    pub on_build: Vec<String>,
    /// Whatever else it says.
    #[serde(flatten)]
    pub more: BTreeMap<String, Value>,
}

/// How it is seen whether a container works; times in nanoseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Healthcheck {
    /// `NONE`, `CMD` with arguments, or `CMD-SHELL` with one.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "or_null")]
    pub test: Vec<String>,
    /// Between two.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub interval: u64,
    /// For one.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub timeout: u64,
    /// Until the first that counts.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub start_period: u64,
    /// Between two until then.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub start_interval: u64,
    /// How many have to fail.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub retries: u64,
}

/// The layers of an image, uncompressed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFs {
    /// Always `layers`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The digests of the uncompressed archives, the lowest first.
    pub diff_ids: Vec<Digest>,
}

/// One step on the way to an image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// When (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// The instruction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// Who.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// What is said of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Whether it made no layer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub empty_layer: bool,
}

/// An entry of `manifest.json`, as `docker save` writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Saved {
    /// The path of the configuration.
    pub(super) config: String,
    /// The image's names.
    #[serde(default, deserialize_with = "or_null")]
    pub(super) repo_tags: Vec<String>,
    /// The paths of the layers, the lowest first.
    pub(super) layers: Vec<String>,
}

/// A document as its bytes: no spaces, fields in their order.
pub(in crate::images) fn bytes(document: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(document).expect("strings, numbers and maps with strings as keys can be written")
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn nothing(map: &BTreeMap<String, Value>) -> bool {
    map.is_empty()
}

/// Go writes an empty list as `null`.
fn or_null<'de, T, D>(from: D) -> Result<T, D::Error>
where
    T: Default + Deserialize<'de>,
    D: serde::Deserializer<'de>,
{
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_docker_writes_is_read_and_kept() {
        let text = r#"{"architecture":"amd64","config":{"Hostname":"","ExposedPorts":{"80/tcp":{}},"Env":["PATH=/bin"],"Cmd":["sh"],"Volumes":null,
            "WorkingDir":"/w","Entrypoint":null,"OnBuild":null,"Labels":null,"ArgsEscaped":true},"container":"abc","created":"2020-01-01T00:00:00Z",
            "docker_version":"20.10","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#;
        let config: ImageConfig = serde_json::from_str(text).unwrap();
        assert_eq!(config.config.env, ["PATH=/bin"]);
        assert_eq!(config.config.entrypoint, None);
        let back = String::from_utf8(bytes(&config)).unwrap();
        for kept in [r#""ArgsEscaped":true"#, r#""docker_version":"20.10""#, r#""80/tcp":{}"#] {
            assert!(back.contains(kept), "{back}");
        }
        assert!(!back.contains("null"), "{back}");
    }
}
