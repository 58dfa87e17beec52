//! What is on record of a repository: its generations, why each was made, and every release that was ever in it.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::{Generation, ObjectId, TaskId, UserName};

/// What happened to a repository. A generation is made in two steps, so that whoever comes after a crash knows what was
/// meant: `ChangeStarted` goes on record before the first file, `Moved` after `current` names the new generation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum RepositoryEvent {
    /// A new generation is about to be made.
    ChangeStarted {
        /// The generation to be.
        generation: Generation,
        /// Why.
        cause: Cause,
    },
    /// `current` names it.
    Moved {
        /// The generation.
        generation: Generation,
        /// Why.
        cause: Cause,
        /// The SHA-256 of all its `repomd.xml` files, 64 hexadecimal digits: a generation that history does not know has another.
        seal: String,
        /// Source packages that came, with all that was built from them.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        came: Vec<Shipped>,
        /// Source packages that went, as name-epoch:version-release.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        went: Vec<String>,
    },
    /// It was not made; what was there of it is gone.
    ChangeFailed {
        /// The generation that was to be.
        generation: Generation,
        /// One line for people.
        message: String,
    },
    /// Old generations were removed from disk.
    Collected {
        /// Which.
        generations: Vec<Generation>,
    },
}

/// Why a generation was made.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "cause", rename_all = "kebab-case")]
pub enum Cause {
    /// The repository was made.
    Init {
        /// Who made it.
        by: UserName,
    },
    /// A task landed.
    Task {
        /// Which.
        task: TaskId,
    },
    /// Packages were taken in from a directory.
    Import {
        /// Who did it.
        by: UserName,
    },
    /// The content of an older generation came back.
    Rollback {
        /// Who did it.
        by: UserName,
        /// Which generation's.
        to: Generation,
    },
    /// Everything was signed with another key, or written in another form.
    Resign {
        /// Who did it.
        by: UserName,
    },
}

/// A source package that came into a repository.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Shipped {
    /// Its name.
    pub name: String,
    /// Its epoch:version-release; the epoch is left out where it is 0.
    pub evr: String,
    /// The tag object that it was built from, where it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<ObjectId>,
    /// Its binary packages' names, with their epoch:version-release where that is not the source's.
    pub binaries: BTreeMap<String, Option<String>>,
}

/// All that is on record of one repository.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RepositoryRecord {
    /// The newest generation; 0 before there is one.
    pub generation: Generation,
    /// Its seal.
    pub seal: Option<String>,
    /// A generation that is being made.
    pub changing: Option<Changing>,
    /// Every generation that there was, oldest first.
    pub log: Vec<LogEntry>,
    /// Every release that was ever in it: source package → epoch:version-release → the tag object it was built from.
    pub releases: BTreeMap<String, BTreeMap<String, Option<ObjectId>>>,
    /// The same for binary packages, without the tags.
    pub binaries: BTreeMap<String, Vec<String>>,
}

/// A generation that is being made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changing {
    /// The generation to be.
    pub generation: Generation,
    /// Why.
    #[serde(flatten)]
    pub cause: Cause,
    /// Since when.
    pub since: Timestamp,
}

/// One line of a repository's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEntry {
    /// The generation.
    pub generation: Generation,
    /// When it was made.
    pub at: Timestamp,
    /// Why.
    #[serde(flatten)]
    pub cause: Cause,
    /// Its seal.
    pub seal: String,
    /// What came, as name-epoch:version-release.
    pub came: Vec<String>,
    /// What went, in the same form.
    pub went: Vec<String>,
    /// Whether its files were removed since.
    pub collected: bool,
}

impl RepositoryRecord {
    /// Makes true what an event says.
    pub fn apply(&mut self, event: &RepositoryEvent, now: Timestamp) {
        match event {
            RepositoryEvent::ChangeStarted { generation, cause } => {
                self.changing = Some(Changing {
                    generation: *generation,
                    cause: cause.clone(),
                    since: now,
                });
            }
            RepositoryEvent::Moved {
                generation,
                cause,
                seal,
                came,
                went,
            } => {
                self.changing = None;
                self.generation = *generation;
                self.seal = Some(seal.clone());
                for shipped in came {
                    self.remember(shipped);
                }
                self.log.push(LogEntry {
                    generation: *generation,
                    at: now,
                    cause: cause.clone(),
                    seal: seal.clone(),
                    came: came
                        .iter()
                        .map(|shipped| format!("{}-{}", shipped.name, shipped.evr))
                        .collect(),
                    went: went.clone(),
                    collected: false,
                });
            }
            RepositoryEvent::ChangeFailed { .. } => self.changing = None,
            RepositoryEvent::Collected { generations } => {
                for entry in &mut self.log {
                    entry.collected |= generations.contains(&entry.generation);
                }
            }
        }
    }

    fn remember(&mut self, shipped: &Shipped) {
        // The first tag counts: a release that comes again may only come from it.
        self.releases
            .entry(shipped.name.clone())
            .or_default()
            .entry(shipped.evr.clone())
            .or_insert_with(|| shipped.tag.clone());
        for (binary, evr) in &shipped.binaries {
            let evr = evr.as_ref().unwrap_or(&shipped.evr);
            let known = self.binaries.entry(binary.clone()).or_default();
            if !known.contains(evr) {
                known.push(evr.clone());
            }
        }
    }
}

impl fmt::Display for RepositoryEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ChangeStarted { generation, cause } => write!(f, "generation {generation} is being made: {cause}"),
            Self::Moved { generation, cause, .. } => write!(f, "generation {generation}: {cause}"),
            Self::ChangeFailed { generation, message } => write!(f, "generation {generation} was not made: {message}"),
            Self::Collected { generations } => {
                let list: Vec<String> = generations.iter().map(ToString::to_string).collect();
                write!(f, "removed from disk: {}", list.join(", "))
            }
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Init { by } => write!(f, "{by} made the repository"),
            Self::Task { task } => write!(f, "task {task}"),
            Self::Import { by } => write!(f, "{by} imported packages"),
            Self::Rollback { by, to } => write!(f, "{by} went back to generation {to}"),
            Self::Resign { by } => write!(f, "{by} changed the key or the form"),
        }
    }
}
