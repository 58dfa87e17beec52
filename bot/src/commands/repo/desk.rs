//! Carries out what changes a repository. Blocks.

use std::fmt::Write as _;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::json;
use windlass_core::event::{Answered, Event};
use windlass_core::id::{RepositoryName, RequestId, UserName};
use windlass_core::refusal::Refusal;
use windlass_core::repository::record::RepositoryRecord;

use super::{ContentWrite, ImportArgs, KeyWrite, RollbackArgs, Write};
use crate::cli::keys::counted;
use crate::config::Config;
use crate::repository::{
    Bad, CommitLock, Ending, Found, Garbage, Import, Meant, Repositories, Repository, RepositoryError, Story, Switched,
    Versions,
};
use crate::writer::Handle;

/// Where administrators' commands on repositories are carried out.
#[derive(Clone)]
pub struct Desk {
    repositories: Arc<Repositories>,
    default: Option<RepositoryName>,
    writer: Handle,
}

/// Who asks, and under which id it goes on record.
#[derive(Debug, Clone)]
struct Asked {
    request: RequestId,
    by: UserName,
    words: Vec<String>,
    json: bool,
}

/// What came of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What goes to stdout.
    pub out: String,
}

impl Outcome {
    fn of(text: &str, value: &serde_json::Value, json: bool) -> Self {
        let out = if json {
            format!("{value:#}\n")
        } else {
            format!("{text}\n")
        };
        Self { out }
    }
}

impl Desk {
    /// What is needed for it.
    pub fn new(repositories: Arc<Repositories>, config: &Config, writer: Handle) -> Self {
        Self {
            repositories,
            default: config.default_repository().cloned(),
            writer,
        }
    }

    /// Does what is asked, or only says what it would do. `told` hears how far it is.
    ///
    /// # Errors
    /// Nothing was changed.
    pub fn carry_out(
        &self,
        write: &Write,
        request: RequestId,
        by: &UserName,
        told: &mut dyn FnMut(&str),
    ) -> Result<Outcome, RepositoryError> {
        let asked = Asked {
            request: request.clone(),
            by: by.clone(),
            words: write.words(),
            json: write.flags().json,
        };
        if let Some(before) = self.writer.call_blocking(move |state| state.answer(&request))? {
            return asked.again(before);
        }
        let repository = self.find(write)?;
        let lock = match repository.try_lock() {
            Err(RepositoryError::Busy(name)) => {
                told(&format!(
                    "repository {name} is being changed; waiting for the end of that"
                ));
                repository.lock()?
            }
            other => other?,
        };
        let dry = write.flags().dry_run;
        match write {
            Write::Content(ContentWrite::Init(_)) if dry => {
                repository.is_not_made()?;
                let text = format!("would make repository {}", repository.name());
                Ok(Outcome::of(
                    &text,
                    &json!({"repository": repository.name()}),
                    asked.json,
                ))
            }
            Write::Content(ContentWrite::Init(_)) => {
                let made = repository.init(&lock, &self.writer, by, asked.story(repository, (0, 0)))?;
                Ok(told_made(repository, &made, (0, 0), asked.json))
            }
            Write::Content(ContentWrite::Import(args)) => self.import(repository, &lock, args, &asked, told),
            Write::Content(ContentWrite::Rollback(args)) => self.rollback(repository, &lock, args, &asked, told),
            Write::Content(ContentWrite::Gc(_)) => self.gc(repository, &lock, &asked, dry),
            Write::Key(KeyWrite::Rotate(_)) => {
                let meant = repository.meant_rotation(by)?;
                if dry {
                    return Ok(would(repository, &meant, asked.json));
                }
                told(&format!("{} packages are signed with a new key", meant.added));
                let counts = (meant.added, meant.removed);
                let made = repository.rotate(&lock, &self.writer, meant, asked.story(repository, counts))?;
                Ok(told_made(repository, &made, counts, asked.json))
            }
        }
    }

    fn find(&self, write: &Write) -> Result<&Repository, RepositoryError> {
        let name = write.which().repository.as_ref().or(self.default.as_ref());
        let Some(name) = name else {
            return Err(Refusal::new("no_repository", "no repository is configured")
                .hint("add a [[repository]] to windlass.toml")
                .into());
        };
        if let Some(repository) = self.repositories.get(name) {
            return Ok(repository);
        }
        let names: Vec<&str> = self.repositories.iter().map(|other| other.name().as_str()).collect();
        let hint = if names.is_empty() {
            "add a [[repository]] to windlass.toml".to_owned()
        } else {
            format!("there are: {}", names.join(", "))
        };
        let text = format!("there is no repository '{name}'");
        Err(Refusal::new("unknown_repository", text).hint(hint).into())
    }

    fn record(&self, repository: &Repository) -> Result<RepositoryRecord, RepositoryError> {
        let name = repository.name().clone();
        let record = self
            .writer
            .call_blocking(move |state| Ok(state.world().repository(&name).cloned()))?;
        Ok(record.unwrap_or_default())
    }

    fn import(
        &self,
        repository: &Repository,
        lock: &CommitLock,
        args: &ImportArgs,
        asked: &Asked,
        told: &mut dyn FnMut(&str),
    ) -> Result<Outcome, RepositoryError> {
        let import = Import {
            tree: args.tree.clone(),
            versions: if args.all_versions {
                Versions::All
            } else {
                Versions::Newest
            },
            bad: if args.skip_bad { Bad::Skip } else { Bad::Refuse },
            updateinfo: args.updateinfo.clone(),
            by: asked.by.clone(),
        };
        let (meant, found) = repository.meant_import(&import, told)?;
        tell_found(&found, told);
        if args.flags.dry_run {
            return Ok(would(repository, &meant, asked.json));
        }
        told(&format!("{} packages are signed and taken in", meant.added));
        let counts = (meant.added, meant.removed);
        let made = repository.make(lock, &self.writer, meant, asked.story(repository, counts))?;
        Ok(told_made(repository, &made, counts, asked.json))
    }

    fn rollback(
        &self,
        repository: &Repository,
        lock: &CommitLock,
        args: &RollbackArgs,
        asked: &Asked,
        told: &mut dyn FnMut(&str),
    ) -> Result<Outcome, RepositoryError> {
        let taken_over = args.take_over && !args.flags.dry_run;
        if taken_over {
            let record = self.record(repository)?;
            for aside in repository.take_over(lock, &record, args.to)? {
                told(&format!("moved aside: {aside}"));
            }
        }
        let meant = repository.meant_rollback(args.to, &asked.by)?;
        if args.flags.dry_run {
            return Ok(would(repository, &meant, asked.json));
        }
        let counts = (meant.added, meant.removed);
        let story = asked.story(repository, counts);
        let made = repository.make(lock, &self.writer, meant, |new| {
            story(if taken_over { new.taken_over(args.to) } else { new })
        })?;
        Ok(told_made(repository, &made, counts, asked.json))
    }

    fn gc(
        &self,
        repository: &Repository,
        lock: &CommitLock,
        asked: &Asked,
        dry: bool,
    ) -> Result<Outcome, RepositoryError> {
        let record = self.record(repository)?;
        let now = Timestamp::now();
        if dry {
            let garbage = repository.garbage(&record, now)?;
            return Ok(told_garbage(repository, &garbage, "would remove", asked.json));
        }
        // What will be removed is computed once more under the same lock: the answer on record is what was done.
        let garbage = repository.garbage(&record, now)?;
        let outcome = told_garbage(repository, &garbage, "removed", asked.json);
        let answered = Event::Answered(asked.answered(&outcome));
        repository.collect(lock, &self.writer, &record, now, vec![answered])?;
        Ok(outcome)
    }
}

impl Asked {
    fn answered(&self, outcome: &Outcome) -> Answered {
        Answered {
            request: self.request.clone(),
            user: self.by.clone(),
            words: self.words.clone(),
            task: None,
            out: outcome.out.clone(),
            err: String::new(),
            exit: 0,
        }
    }

    /// The answer on record goes there with the change itself.
    fn story(&self, repository: &Repository, counts: (usize, usize)) -> impl FnOnce(Story) -> Story + use<> {
        let (asked, name) = (self.clone(), repository.name().clone());
        move |story| {
            story.end(move |_, ending| match ending {
                Ending::Made(made) => {
                    let outcome = outcome_of(&name, made, counts, asked.json);
                    vec![Event::Answered(asked.answered(&outcome))]
                }
                Ending::Failed { .. } => Vec::new(),
            })
        }
    }

    fn again(&self, before: Answered) -> Result<Outcome, RepositoryError> {
        if before.user == self.by && before.words == self.words {
            return Ok(Outcome { out: before.out });
        }
        Err(Refusal::new(
            "request_reused",
            format!("the request id {} was used for another request", self.request),
        )
        .hint("leave --request-id out, or choose another one")
        .into())
    }
}

fn tell_found(found: &Found, told: &mut dyn FnMut(&str)) {
    for bad in &found.bad {
        told(&format!("left out: {bad}"));
    }
    if found.elsewhere > 0 {
        told(&format!(
            "{} are for none of the repository's architectures and left out",
            found.elsewhere
        ));
    }
    if found.superseded > 0 {
        told(&format!("{} are there already, or older than others", found.superseded));
    }
}

fn would(repository: &Repository, meant: &Meant, json: bool) -> Outcome {
    let (name, added, removed) = (repository.name(), meant.added, meant.removed);
    let text = format!(
        "would make a new generation of {name} from {}: +{added} -{removed}",
        meant.base
    );
    let value = json!({"repository": name, "base": meant.base, "added": added, "removed": removed});
    Outcome::of(&text, &value, json)
}

fn told_made(repository: &Repository, made: &Switched, counts: (usize, usize), json: bool) -> Outcome {
    outcome_of(repository.name(), made, counts, json)
}

fn outcome_of(name: &RepositoryName, made: &Switched, (added, removed): (usize, usize), json: bool) -> Outcome {
    let generation = made.generation;
    let text = format!("{name}: generation {generation}, +{added} -{removed}");
    let value = json!({"repository": name, "generation": generation, "added": added, "removed": removed});
    Outcome::of(&text, &value, json)
}

fn told_garbage(repository: &Repository, garbage: &Garbage, verb: &str, json: bool) -> Outcome {
    let mut text = format!(
        "{}: {verb} {} and {}, {}",
        repository.name(),
        counted(garbage.generations.len(), "generation"),
        counted(garbage.files.len(), "package file"),
        size(garbage.bytes)
    );
    for generation in &garbage.generations {
        // Writing to a String cannot fail.
        let _ = write!(text, "\n  generation {generation}");
    }
    let value = json!({
        "repository": repository.name(),
        "generations": garbage.generations,
        "files": garbage.files,
        "bytes": garbage.bytes,
    });
    Outcome::of(&text, &value, json)
}

/// Bytes for people.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut unit = 0;
    let mut left = bytes;
    while left >= 10 * 1024 && unit + 1 < UNITS.len() {
        left /= 1024;
        unit += 1;
    }
    format!("{left} {}", UNITS[unit])
}
