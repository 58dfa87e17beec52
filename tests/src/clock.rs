//! A clock that is ahead of this machine's, for one program and all that it starts, by libfaketime.
//!
//! Only what tells the time of day is ahead: clocks that count stay as they are, so that pauses and limits last as long as ever.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;

use crate::process::Cmd;

/// Why no clock can be ahead here, for [`crate::skipped`]; nothing when one can.
pub fn lacking() -> Option<String> {
    library()
        .is_none()
        .then(|| "there is no libfaketime (apt-get install faketime)".to_owned())
}

/// The same command with a clock that is so far ahead.
pub fn ahead(command: Cmd, by: Duration) -> anyhow::Result<Cmd> {
    let library = library().context("there is no libfaketime")?;
    Ok(command
        .env("LD_PRELOAD", library)
        .env("FAKETIME", format!("+{}", by.as_secs()))
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .env("DONT_FAKE_MONOTONIC", "1"))
}

/// The library, in its form for programs with threads: below /usr/lib, or below what that has for each architecture.
fn library() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").ok()?.flatten().map(|entry| entry.path());
    let mut folders = folders.chain([PathBuf::from("/usr/lib"), PathBuf::from("/usr/lib64")]);
    folders.find_map(|folder| {
        let file = folder.join("faketime/libfaketimeMT.so.1");
        file.is_file().then_some(file)
    })
}
