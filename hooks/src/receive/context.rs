//! What a hook knows before it looks at what was pushed: settings, people, repository, pusher, push options.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use windlass_core::escape::escaped_bytes;
use windlass_core::push::PushOptions;
use windlass_core::refusal::Refusal;

use crate::caller::{Caller, Unknown};
use crate::keyring::Keyring;
use crate::settings::Settings;
use crate::sources::{Source, SourceError};

/// What a hook knows.
pub struct Context {
    /// The configuration.
    pub settings: Settings,
    /// Who is who.
    pub keyring: Keyring,
    /// The repository that is pushed to, and who pushes; or why he may not.
    pub place: Result<Place, Refusal>,
    /// What is asked for with `-o`; or what is wrong with it.
    pub options: Result<PushOptions, Vec<Refusal>>,
    /// Where the repository lies, as git says, also if it is none of ours.
    pub git_dir: PathBuf,
    /// The server's clock.
    pub now: Timestamp,
}

/// Where a push goes, and from whom.
pub struct Place {
    /// The repository.
    pub source: Source,
    /// Who pushes, and may.
    pub caller: Caller,
}

impl Context {
    /// From the environment that git gives to a hook.
    ///
    /// # Errors
    /// Something on the server cannot be read. What the pusher could mend is in the fields.
    pub fn of_hook(settings: Settings) -> anyhow::Result<Self> {
        let keyring = Keyring::configured(&settings)?;
        let git_dir = std::env::var_os("GIT_DIR").map_or_else(|| PathBuf::from("."), PathBuf::from);
        let git_dir = git_dir.canonicalize().unwrap_or(git_dir);
        let place = place(&settings, &keyring, &git_dir)?;
        Ok(Self {
            options: push_options(),
            git_dir,
            place,
            keyring,
            settings,
            now: Timestamp::now(),
        })
    }
}

fn place(settings: &Settings, keyring: &Keyring, git_dir: &Path) -> anyhow::Result<Result<Place, Refusal>> {
    let caller = match Caller::of_hook(settings, keyring) {
        Ok(caller) => caller,
        Err(Unknown::Refused(refusal)) => return Ok(Err(refusal)),
        Err(Unknown::Keyring(error)) => return Err(error.into()),
    };
    let source =
        Source::at(&settings.paths.git(), git_dir).and_then(|source| source.may_push(&caller).map(|()| source));
    match source {
        Ok(source) => Ok(Ok(Place { source, caller })),
        Err(SourceError::Refused(refusal)) => Ok(Err(refusal)),
        Err(error) => Err(error.into()),
    }
}

/// The options that git hands over in `GIT_PUSH_OPTION_COUNT` and `GIT_PUSH_OPTION_0`, `_1`, ….
fn push_options() -> Result<PushOptions, Vec<Refusal>> {
    let Some(count) = std::env::var_os("GIT_PUSH_OPTION_COUNT") else {
        return Ok(PushOptions::default());
    };
    let bad = |what: String| Refusal::new("bad_push_option", what);
    let count: usize = match count.to_str().and_then(|count| count.parse().ok()) {
        Some(count) if count <= MOST_OPTIONS => count,
        _ => {
            return Err(vec![bad(format!(
                "more than {MOST_OPTIONS} push options are not taken"
            ))]);
        }
    };
    let mut options = Vec::with_capacity(count);
    let mut refusals = Vec::new();
    for place in 0..count {
        let value = std::env::var_os(format!("GIT_PUSH_OPTION_{place}")).unwrap_or_default();
        match value.into_string() {
            Ok(option) => options.push(option),
            Err(value) => refusals.push(bad(format!(
                "push option '{}' is not UTF-8",
                escaped_bytes(value.as_encoded_bytes())
            ))),
        }
    }
    match PushOptions::parse(options.iter().map(String::as_str)) {
        Ok(parsed) if refusals.is_empty() => Ok(parsed),
        Ok(_) => Err(refusals),
        Err(more) => {
            refusals.extend(more);
            Err(refusals)
        }
    }
}

/// Four are known; repeating one is no fault.
const MOST_OPTIONS: usize = 32;
