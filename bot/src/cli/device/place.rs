//! Whose records, locks, known keys and made payloads of devices are meant: the daemon's, or a person's own.

use std::path::{Path, PathBuf};

use crate::cli::Context;
use crate::config::Config;
use crate::exit::Broken;

/// The configuration, where there is one.
///
/// # Errors
/// It is there, and wrong.
pub(super) fn config(context: &Context) -> anyhow::Result<Option<Config>> {
    if context.global.config.is_file() {
        return Ok(Some(context.config()?));
    }
    Ok(None)
}

/// The state directory that was named; else the daemon's, where there is a configuration; else the user's.
///
/// # Errors
/// There is neither, and no home.
pub(super) fn state(named: Option<&Path>, config: Option<&Config>, context: &Context) -> anyhow::Result<PathBuf> {
    if let Some(named) = named {
        return Ok(named.to_owned());
    }
    if let Some(config) = config {
        return Ok(context.settings(config).paths.state());
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
    Ok(state.join("windlass"))
}
