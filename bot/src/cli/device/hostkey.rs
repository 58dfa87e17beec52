//! Whether a device is the one: a key that is given, one that was agreed to before, or one that a person agrees to now.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::path::Path;
use std::time::Duration;

use windlass_core::escape::escaped;
use windlass_core::id::DeviceName;
use windlass_hooks::process::Run;

use crate::devices::ssh::HostKey;
use crate::exit::Broken;
use crate::output::Output;

/// How long a device may take to show its key.
const LIMIT: Duration = Duration::from_secs(20);

/// The key by which a device is known, or how it becomes known. A person is asked where there is one.
///
/// # Errors
/// Nobody knows its key and nobody can be asked, or whoever was asked said no.
pub(super) fn settle(
    given: Option<String>,
    accept_new: bool,
    known: &Path,
    name: &DeviceName,
    place: (&str, u16),
    out: &mut Output,
) -> anyhow::Result<HostKey> {
    if let Some(key) = given {
        return Ok(HostKey::Pinned(key));
    }
    if let Some(folder) = known.parent() {
        std::fs::create_dir_all(folder)?;
    }
    if accept_new {
        return Ok(HostKey::AcceptNew(known.to_owned()));
    }
    if is_known(known, name)? {
        return Ok(HostKey::Known(known.to_owned()));
    }
    let unknown = || unknown(name);
    if !asks() {
        return Err(unknown().into());
    }
    let key = shown_by(place.0, place.1)?;
    show(&key, name, place, out);
    if !is_it(out)? {
        return Err(unknown().into());
    }
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(known)?;
    writeln!(file, "{name} {key}")?;
    Ok(HostKey::Known(known.to_owned()))
}

/// The key that a device is pinned by from now on: the one that is given, or the one that it shows and that somebody agrees to.
///
/// # Errors
/// It shows none, nobody can be asked, or whoever was asked said no.
pub(super) fn agreed(
    given: Option<&str>,
    accept_new: bool,
    name: &DeviceName,
    place: (&str, u16),
    out: &mut Output,
) -> anyhow::Result<String> {
    if let Some(key) = given {
        return Ok(key.trim().to_owned());
    }
    let key = shown_by(place.0, place.1)?;
    show(&key, name, place, out);
    if accept_new || (asks() && is_it(out)?) {
        return Ok(key);
    }
    Err(unknown(name).into())
}

fn unknown(name: &DeviceName) -> Broken {
    Broken::new(format!("the host key of {name} is not known")).hint(
        "--accept-new takes the one that it has now; --host-key 'ssh-ed25519 AAAA…' pins the one that it has to have",
    )
}

/// Whether there is a person who can be asked.
fn asks() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

fn show(key: &str, name: &DeviceName, place: (&str, u16), out: &mut Output) {
    out.say(format!(
        "The host key of {name} is not known. {}:{} shows",
        place.0, place.1
    ));
    out.say(format!("  {}\n  {}", escaped(key), fingerprint(key)));
}

fn is_it(out: &mut Output) -> io::Result<bool> {
    out.talk("Is that the device? [y/N] ");
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Whether a file of known hosts has a key for a name.
fn is_known(known: &Path, name: &DeviceName) -> io::Result<bool> {
    match std::fs::read_to_string(known) {
        Ok(text) => Ok(text
            .lines()
            .filter_map(|line| line.split_whitespace().next())
            .any(|names| names.split(',').any(|known| known == name.as_str()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// The best key that a device shows, as `TYPE BASE64`.
fn shown_by(host: &str, port: u16) -> anyhow::Result<String> {
    let scan = Run::new("ssh-keyscan")
        .args([
            "-T",
            "15",
            "-t",
            "ed25519,ecdsa,rsa",
            "-p",
            &port.to_string(),
            "--",
            host,
        ])
        .timeout(LIMIT)
        .output_limit(64 << 10)
        .output()?;
    let text = String::from_utf8_lossy(&scan.stdout).into_owned();
    let keys: Vec<String> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let mut words = line.split_whitespace().skip(1);
            Some(format!("{} {}", words.next()?, words.next()?))
        })
        .collect();
    let best = ["ssh-ed25519", "ecdsa-", "ssh-rsa"]
        .iter()
        .find_map(|kind| keys.iter().find(|key| key.starts_with(kind)));
    let none = || Broken::new(format!("no ssh server at {host}:{port} shows a key")).hint("is the device on?");
    Ok(best.cloned().ok_or_else(none)?)
}

/// The fingerprint as ssh shows it.
fn fingerprint(key: &str) -> String {
    let shown = Run::new("ssh-keygen")
        .args(["-l", "-f", "-"])
        .input(format!("{key}\n"))
        .ok();
    shown.map_or_else(
        |_| String::new(),
        |shown| escaped(String::from_utf8_lossy(&shown.stdout).trim()),
    )
}
