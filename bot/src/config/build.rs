//! `[build]`: where packages are built, and how much one build may use.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use windlass_hooks::settings::{Duration, Size};

/// What keeps builds from the host and from one another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SandboxKind {
    /// Namespaces on this machine, by bubblewrap.
    #[default]
    Bubblewrap,
    /// A container on one of the engines of `[[builder]]`.
    Container,
}

/// `[build]`: where packages are built, and how much one build may use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Build {
    /// What keeps builds from the host and from one another.
    pub sandbox: SandboxKind,
    /// A tree whose `usr` stands for the host in build roots; this machine's own where none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root: Option<PathBuf>,
    /// How long one build may take.
    pub timeout: Duration,
    /// How much memory its processes may use together.
    pub memory: Size,
    /// How much its build root, sources and results may take together. They lie in memory.
    pub disk: Size,
    /// How many processes and threads it may have at once.
    pub processes: u32,
    /// The largest log.
    pub log: Size,
    /// The largest package that is taken from it.
    pub max_package: Size,
    /// How many packages are taken from it at most.
    pub max_packages: u32,
    /// How long a result that nobody takes over any more is kept.
    pub keep: Duration,
    /// How many jobs `%_smp_mflags` starts; 0 is one a processor.
    pub jobs: u32,
    /// Where the Unix ids begin that builds run as, 65536 for each that runs at the time. Only a bot that is root gives them.
    pub first_id: u32,
    /// Who stands as packager and vendor in what is built.
    pub packager: String,
    /// The same for the vendor.
    pub vendor: String,
    /// What the host provides beside its programs, libraries and pkg-config modules: a capability, and what has to be there for it.
    pub host_provides: BTreeMap<String, String>,
    /// Macros that every build gets.
    pub macros: BTreeMap<String, String>,
    /// How long a container engine may take to answer.
    pub engine_timeout: Duration,
    /// How long a container engine that failed is let alone: first so long, then twice as long each time, an hour at most.
    pub engine_rest: Duration,
}

impl Default for Build {
    fn default() -> Self {
        Self {
            sandbox: SandboxKind::default(),
            root: None,
            timeout: Duration::from_secs(3600),
            memory: Size::from_bytes(4 << 30),
            disk: Size::from_bytes(8 << 30),
            processes: 4096,
            log: Size::from_bytes(64 << 20),
            max_package: Size::from_bytes(2 << 30),
            max_packages: 2000,
            keep: Duration::from_secs(30 * 86_400),
            jobs: 0,
            first_id: 0x7000_0000,
            packager: String::new(),
            vendor: String::new(),
            host_provides: BTreeMap::new(),
            macros: BTreeMap::new(),
            engine_timeout: Duration::from_secs(60),
            engine_rest: Duration::from_secs(60),
        }
    }
}

/// Whether a word can be the name of a macro of rpm's that a configuration sets.
pub(super) fn is_macro(word: &str) -> bool {
    word.len() <= 64
        && word.len() >= 3
        && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && !word.starts_with(|c: char| c.is_ascii_digit())
}

/// Whether a text can stand on the one line that a macro's definition, a packager or a capability has.
pub(super) fn is_line(text: &str) -> bool {
    text.len() <= 1024 && text.chars().all(windlass_core::escape::is_plain) && !text.ends_with('\\')
}
