//! `[[repository]]`: a binary package repository that tasks can be for.

use serde::{Deserialize, Serialize};
use windlass_core::id::{ArchName, GroupName, RepositoryName};
use windlass_hooks::settings::Duration;

use crate::repository::rpmmd::Codec;

/// One `[[repository]]` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repository {
    /// Its name, as in `task new NAME`.
    pub name: RepositoryName,
    /// Taken where a command names none. A sole repository need not say it.
    #[serde(default)]
    pub default: bool,
    /// Architectures in rpm's words, as in `x86_64`.
    #[serde(default = "native")]
    pub architectures: Vec<String>,
    /// Whether a package without an access list may not be built; otherwise it belongs to whoever lands it first.
    #[serde(default)]
    pub deny_unlisted: bool,
    /// Groups, one approval from each of which a task needs beside the access lists.
    #[serde(default)]
    pub approvals_from: Vec<GroupName>,
    /// Foreign rpm-md repositories that count for build roots and for unmet dependencies: directories or URLs, in which `$arch` stands
    /// for the architecture. Of several that have a package the first one counts.
    #[serde(default)]
    pub base: Vec<String>,
    /// How its metadata is compressed.
    #[serde(default)]
    pub codec: Codec,
    /// How long a generation is kept after it was replaced, with all packages that it names.
    #[serde(default = "keep")]
    pub keep: Duration,
    /// How long the newest generation also has the metadata files of those before it.
    #[serde(default = "overlap")]
    pub overlap: Duration,
    /// Where clients find it, without the slash at the end; below `[http] url` where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

impl Repository {
    /// Its architectures as names; the configuration was checked.
    pub fn architectures(&self) -> Vec<ArchName> {
        self.architectures.iter().filter_map(|name| name.parse().ok()).collect()
    }
}

/// Two weeks.
fn keep() -> Duration {
    Duration::from_secs(14 * 86_400)
}

/// An hour.
fn overlap() -> Duration {
    Duration::from_secs(3600)
}

/// The architecture for which this program was built.
fn native() -> Vec<String> {
    vec![std::env::consts::ARCH.to_owned()]
}

/// Whether a word can be an architecture of rpm's.
pub(super) fn is_architecture(word: &str) -> bool {
    let mut bytes = word.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_lowercase())
        && word.len() <= 32
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && !matches!(word, "noarch" | "source" | "src" | "nosrc")
}
