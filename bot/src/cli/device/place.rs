//! Whose records, locks, known keys and made payloads of devices are meant: the daemon's, or a person's own.

use std::path::{Path, PathBuf};

use crate::cli::Context;
use crate::devices::Place;
use crate::exit::Broken;

/// The one that was named; else the daemon's, where there is a configuration; else the user's.
///
/// # Errors
/// The configuration is wrong, or there is no home.
pub(super) fn find(named: Option<&Path>, context: &Context) -> anyhow::Result<Place> {
    if let Some(named) = named {
        return Ok(Place::below(named));
    }
    if context.global.config.is_file() {
        let config = context.config()?;
        return Ok(Place::below(&context.settings(&config).paths.state()));
    }
    let variable = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let state = variable("XDG_STATE_HOME").or_else(|| Some(variable("HOME")?.join(".local/state")));
    let state = state.ok_or_else(|| {
        Broken::new("there is no place for records: neither a configuration nor HOME is there")
            .hint("name one: --state DIR")
    })?;
    Ok(Place::below(&state.join("windlass")))
}
