//! `[[repository]]`: a binary package repository that tasks can be for.

use serde::{Deserialize, Serialize};
use windlass_core::id::{GroupName, RepositoryName};

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
