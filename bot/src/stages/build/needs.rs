//! What a package needs for its build, which only rpm can say, by running the spec; and the same as it was said before.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use windlass_core::rpm::Requirement;

use super::root::Root;
use super::work::Work;
use super::{Clock, Step};
use crate::stages::StageError;

/// How often a package may ask for more.
const MOST_ROUNDS: u32 = 16;

/// What a package needs for its build.
#[derive(Debug, Clone)]
pub(super) struct Needs {
    /// All of it, as far as it is known.
    pub(super) requires: Vec<Requirement>,
    /// Why it is not for this architecture, if it is not.
    pub(super) excluded: Option<String>,
    /// Whether it says more when this is there.
    dynamic: bool,
    rounds: u32,
}

/// As it is kept.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    requires: Vec<String>,
    dynamic: bool,
    excluded: Option<String>,
}

impl Needs {
    /// What rpm says, or said before of the same.
    pub(super) fn get(work: &mut Work<'_>, base: &str, clock: &mut Clock) -> Result<Self, StageError> {
        if let Some(kept) = kept(work, base) {
            clock.lap(Step::Requires);
            return Ok(kept);
        }
        let header = work.ask(clock)?;
        let arch = work.order.arch.as_str();
        let (only, never) = (&header.about.exclusive_arch, &header.about.exclude_arch);
        let named = |list: &[String]| list.iter().any(|one| one.eq_ignore_ascii_case(arch));
        let why = if !only.is_empty() && !named(only) {
            Some(format!("ExclusiveArch: {}", only.join(" ")))
        } else if named(never) {
            Some(format!("ExcludeArch: {}", never.join(" ")))
        } else {
            None
        };
        let excluded = match why {
            Some(why) if !work.is_for_us(clock)? => Some(windlass_core::escape::escaped(&why)),
            Some(_) | None => None,
        };
        let needs = Self {
            requires: header.package.requires.clone(),
            excluded,
            dynamic: asks_for_more(work)?,
            rounds: 0,
        };
        keep(work, base, &needs);
        clock.lap(Step::Requires);
        Ok(needs)
    }

    /// Whether it has to be asked again once this is there.
    pub(super) fn is_dynamic(&self) -> bool {
        self.dynamic
    }

    /// The same, known to be all.
    pub(super) fn settled(self) -> Self {
        Self { dynamic: false, ..self }
    }

    /// With more that turned out to be needed.
    pub(super) fn grown(self, more: Vec<Requirement>) -> Self {
        Self {
            requires: union(self.requires, more),
            dynamic: true,
            ..self
        }
    }

    /// What it needs beside a root, once that is there; nothing if that is all. `key` is that of a build in the root.
    pub(super) fn more(
        &self,
        work: &mut Work<'_>,
        root: &Root,
        key: &str,
        clock: &mut Clock,
    ) -> Result<Option<Self>, StageError> {
        let place = super::key(&["more 1", key]);
        let asked = if let Some(kept) = kept(work, &place) {
            kept.requires
        } else {
            if self.rounds >= MOST_ROUNDS {
                return Err(super::failure::strange(
                    work.order,
                    &format!("its %generate_buildrequires asked for more {MOST_ROUNDS} times"),
                ));
            }
            work.install(root, clock)?;
            let asked = work.ask_again(clock)?;
            clock.lap(Step::Requires);
            let answer = Self {
                requires: asked.clone(),
                excluded: None,
                dynamic: true,
                rounds: 0,
            };
            keep(work, &place, &answer);
            asked
        };
        let before = self.requires.len();
        let requires = union(self.requires.clone(), asked);
        Ok((requires.len() > before).then_some(Self {
            requires,
            excluded: None,
            dynamic: true,
            rounds: self.rounds + 1,
        }))
    }
}

fn union(mut one: Vec<Requirement>, other: Vec<Requirement>) -> Vec<Requirement> {
    for requirement in other {
        if !one.contains(&requirement) {
            one.push(requirement);
        }
    }
    one
}

/// Whether the spec's text shows that it says what it needs by running something.
fn asks_for_more(work: &mut Work<'_>) -> Result<bool, StageError> {
    let mut text = Vec::new();
    let spec = work.open(&format!("build/SOURCES/{}", work.order.spec))?;
    spec.take(16 << 20)
        .read_to_end(&mut text)
        .map_err(|error| StageError::io("the spec", &error))?;
    Ok(String::from_utf8_lossy(&text).contains("%generate_buildrequires"))
}

fn place(work: &Work<'_>, key: &str) -> PathBuf {
    work.builder.directory().join("requires").join(format!("{key}.json"))
}

fn kept(work: &Work<'_>, key: &str) -> Option<Needs> {
    let kept: Kept = serde_json::from_reader(io::BufReader::new(File::open(place(work, key)).ok()?)).ok()?;
    let requires: Result<Vec<Requirement>, _> = kept.requires.iter().map(|text| text.parse()).collect();
    Some(Needs {
        requires: requires.ok()?,
        excluded: kept.excluded,
        dynamic: kept.dynamic,
        rounds: 0,
    })
}

/// What cannot be kept is asked again next time.
fn keep(work: &Work<'_>, key: &str, needs: &Needs) {
    let kept = Kept {
        requires: needs.requires.iter().map(ToString::to_string).collect(),
        dynamic: needs.dynamic,
        excluded: needs.excluded.clone(),
    };
    let path = place(work, key);
    let write = || -> io::Result<()> {
        let directory = work.builder.directory().join("requires");
        fs::create_dir_all(&directory)?;
        let mut new = tempfile::Builder::new().prefix(".new-").tempfile_in(&directory)?;
        serde_json::to_writer(&mut new, &kept)?;
        new.persist(&path)?;
        Ok(())
    };
    if let Err(error) = write() {
        tracing::warn!(path = %path.display(), %error, "what a build needs cannot be kept: {error}");
    }
}
