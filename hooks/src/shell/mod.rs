//! The ssh door, an OpenSSH forced command: `windlass-shell --config FILE USER`.
//!
//! What the client wants comes in `SSH_ORIGINAL_COMMAND` and is split without a shell. It is git's three services on source repositories,
//! or a command in the one grammar. Nothing of the client's environment reaches what is run; every command is on record before it is
//! carried out; whatever cannot be read or written closes the door.

mod bot;
mod desk;
mod git;
mod rate;

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::json;
use windlass_core::command::{Command, split};
use windlass_core::escape::{escaped, escaped_bytes};
use windlass_core::id::{SourcePath, UserName};
use windlass_core::refusal::Refusal;

use crate::caller::{Caller, Unknown};
use crate::install::Installation;
use crate::keyring::Keyring;
use crate::record;
use crate::settings::Settings;
use crate::sources::{Source, SourceError};
pub use desk::{Desk, DeskError};
use git::Service;
use git::{End, Session};
use rate::{Allowance, Answer};

const DONE: u8 = 0;
const REFUSED: u8 = 1;
const USAGE: u8 = 2;
const BROKEN: u8 = 3;

/// So much of a command is put on record, in bytes.
const RECORDED: usize = 4096;

/// What the door knows of the one who knocks.
struct Visit<'a> {
    settings: Settings,
    config: &'a Path,
    keyring: Keyring,
    caller: Caller,
    /// What he wants, as it came.
    line: Option<OsString>,
    /// What his git said in `GIT_PROTOCOL`.
    protocol: Option<String>,
    now: Timestamp,
}

/// The program `windlass-shell`: words, sshd's environment; the exit code.
pub fn main(words: impl IntoIterator<Item = OsString>) -> u8 {
    let mut out = io::stdout().lock();
    let mut err = io::stderr().lock();
    let code = match asked(words) {
        Ok(Asked::Door { config, user }) => enter(&config, user, &mut out, &mut err),
        Ok(Asked::Print(text)) => out.write_all(text.as_bytes()).map(|()| DONE).map_err(Into::into),
        Err(what) => writeln!(err, "windlass-shell: {what}\n\nhint: windlass-shell --help")
            .map(|()| USAGE)
            .map_err(Into::into),
    };
    code.unwrap_or_else(|error: anyhow::Error| {
        let _ = writeln!(err, "windlass: the server cannot do this now: {error:#}");
        let _ = writeln!(
            err,
            "\nhint: this is the server's fault and not yours; tell its administrator: windlass doctor"
        );
        BROKEN
    })
}

enum Asked {
    Door { config: PathBuf, user: UserName },
    Print(&'static str),
}

const HELP: &str = "\
windlass-shell: what sshd runs for somebody who logs in

usage: windlass-shell --config FILE USER

It stands in authorized_keys, as `windlass keys authorized-keys` writes it:

    command=\"/usr/bin/windlass-shell --config /etc/windlass/windlass.toml alice\",restrict ssh-ed25519 …

What is wanted is read from SSH_ORIGINAL_COMMAND. Exit codes: 0 done, 1 refused or failed,
2 wrong usage, 3 the server's surroundings are broken or the bot is away.
";

fn asked(words: impl IntoIterator<Item = OsString>) -> Result<Asked, String> {
    let mut config = None;
    let mut user = None;
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        match word.to_str() {
            Some("--config") => config = Some(PathBuf::from(words.next().ok_or("--config needs a file")?)),
            Some("--help" | "-h") => return Ok(Asked::Print(HELP)),
            Some("--version" | "-V") => {
                return Ok(Asked::Print(concat!(
                    "windlass-shell ",
                    env!("CARGO_PKG_VERSION"),
                    "\n"
                )));
            }
            Some(name) if user.is_none() => user = Some(name.parse().map_err(|error| format!("{error}"))?),
            _ => return Err(format!("'{}' is one word too many", escaped_bytes(word.as_bytes()))),
        }
    }
    let config = config.unwrap_or_else(|| crate::settings::DEFAULT_FILE.into());
    let config = std::path::absolute(config).map_err(|error| error.to_string())?;
    Ok(Asked::Door {
        config,
        user: user.ok_or("for whom?")?,
    })
}

fn enter(config: &Path, user: UserName, out: &mut impl Write, err: &mut impl Write) -> anyhow::Result<u8> {
    // What is made here is for git and its group, which the bot is in.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o027));
    let settings = Settings::load(config)?;
    let keyring = Keyring::configured(&settings)?;
    let caller = match Caller::person(user, &keyring) {
        Ok(caller) => caller,
        Err(Unknown::Refused(refusal)) => return tell(&refusal, err),
        Err(Unknown::Keyring(error)) => return Err(error.into()),
    };
    let visit = Visit {
        config,
        keyring,
        caller,
        line: std::env::var_os("SSH_ORIGINAL_COMMAND"),
        protocol: std::env::var("GIT_PROTOCOL").ok().filter(|value| is_protocol(value)),
        now: Timestamp::now(),
        settings,
    };
    let started = Instant::now();
    visit.note("begin", None, started)?;
    let code = visit.serve(out, err);
    let flushed = out.flush();
    visit.note("end", code.as_ref().ok().copied(), started)?;
    let code = code?;
    flushed?;
    Ok(code)
}

/// `version=2` and the like; nothing that could be taken for something else.
fn is_protocol(value: &str) -> bool {
    value.len() <= 64 && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"=:.-".contains(&b))
}

fn tell(refusal: &Refusal, err: &mut impl Write) -> anyhow::Result<u8> {
    writeln!(err, "windlass: refused: {} [{}]", refusal.message, refusal.code)?;
    if let Some(hint) = &refusal.hint {
        writeln!(err, "\nhint: {hint}")?;
    }
    Ok(REFUSED)
}

impl Visit<'_> {
    fn serve(&self, out: &mut impl Write, err: &mut impl Write) -> anyhow::Result<u8> {
        let Allowed::Yes = self.count("commands", self.settings.ssh.commands_per_minute, 60, err)? else {
            return Ok(REFUSED);
        };
        let Some(line) = &self.line else { return self.greet(out) };
        let words = match split::split(line.as_bytes()) {
            Ok(words) if words.is_empty() => return self.greet(out),
            Ok(words) => words,
            Err(error) => return tell(&Refusal::new("bad_command", error.to_string()), err).map(|_| USAGE),
        };
        match git::asked(&words, &self.caller.name) {
            Some(Ok((service, path))) => self.git(service, &path, err),
            Some(Err(refusal)) => tell(&refusal, err),
            None => self.command(words, out, err),
        }
    }

    fn greet(&self, out: &mut impl Write) -> anyhow::Result<u8> {
        let name = &self.caller.name;
        write!(
            out,
            "Hello {name}. This is Windlass; there is no shell here.\n\n\
             git clone git@HOST:NAME             one of your source repositories\n\
             git push -o build origin 1.0-alt1   push a signed tag and have it built\n\
             ssh git@HOST help                   the commands\n"
        )?;
        Ok(DONE)
    }

    fn command(&self, words: Vec<String>, out: &mut impl Write, err: &mut impl Write) -> anyhow::Result<u8> {
        let command = match Command::parse(words.clone()) {
            Ok(command) => command,
            Err(usage) if usage.exit == DONE => return Ok(out.write_all(usage.text.as_bytes()).map(|()| DONE)?),
            Err(usage) => return Ok(err.write_all(usage.text.as_bytes()).map(|()| usage.exit)?),
        };
        let desk = Desk {
            settings: &self.settings,
            config: self.config,
            keyring: &self.keyring,
            caller: &self.caller,
            now: self.now,
            address: &|source| format!("git@HOST:{}", self.address(source)),
        };
        match desk.carry_out(&command, out, err) {
            Some(Ok(code)) => Ok(code),
            Some(Err(DeskError::Refused(refusal))) => tell(&refusal, err),
            Some(Err(DeskError::Broken(error))) => Err(error),
            None => bot::ask(&self.settings, &self.caller.name, &command, words, out, err),
        }
    }

    /// A source repository as the caller types it: his own by its bare name.
    fn address(&self, source: &SourcePath) -> String {
        if source.owner().as_ref() == Some(&self.caller.name) {
            source.name().to_owned()
        } else {
            source.to_string()
        }
    }

    fn git(&self, service: Service, path: &SourcePath, err: &mut impl Write) -> anyhow::Result<u8> {
        let source = match Source::find(&self.settings.paths.git(), path) {
            Ok(source) => source,
            Err(SourceError::Refused(refusal)) => return tell(&refusal, err),
            Err(error) => return Err(error.into()),
        };
        if service == Service::ReceivePack {
            match source.may_push(&self.caller) {
                Ok(()) => {}
                Err(SourceError::Refused(refusal)) => return tell(&refusal, err),
                Err(error) => return Err(error.into()),
            }
            let installation = Installation::beside_us(self.config, &self.settings)?;
            if !installation.judges(&source.git_dir)? {
                let refusal = Refusal::new(
                    "no_hooks",
                    format!(
                        "a push to {} would not be judged: its hooks are not in force",
                        source.path
                    ),
                );
                return tell(
                    &refusal.hint(format!(
                        "the administrator mends it: windlass hooks install {}",
                        source.path
                    )),
                    err,
                );
            }
            let Allowed::Yes = self.count("pushes", self.settings.ssh.pushes_per_hour, 3600, err)? else {
                return Ok(REFUSED);
            };
        }
        let session = Session {
            settings: &self.settings,
            source: &source,
            caller: &self.caller.name,
            protocol: self.protocol.clone(),
        };
        match session.run(service)? {
            End::Exit(code) => Ok(code),
            End::Stopped(refusal) => tell(&refusal, err),
        }
    }

    fn count(&self, of: &'static str, count: u32, seconds: u64, err: &mut impl Write) -> anyhow::Result<Allowed> {
        let period = Duration::from_secs(seconds);
        let now = Duration::try_from(self.now.duration_since(Timestamp::UNIX_EPOCH))?;
        let answer = rate::ask(
            &self.settings.paths.rates(),
            &self.caller.name,
            Allowance { of, count, period },
            now,
        )?;
        let Answer::Wait(wait) = answer else {
            return Ok(Allowed::Yes);
        };
        let seconds = wait.as_secs() + 1;
        let refusal = Refusal::new(
            "too_often",
            format!(
                "{count} {of} in {} are what one may make, and you have made them",
                said(period)
            ),
        );
        tell(&refusal.hint(format!("the next is free in {seconds} seconds")), err)?;
        Ok(Allowed::No)
    }

    /// Puts the visit on record. A door that cannot say who went through stays shut.
    fn note(&self, event: &str, code: Option<u8>, started: Instant) -> anyhow::Result<()> {
        // Also one who may give no command any more is on record: what he says must not fill the disk.
        let shown = |text: OsString| {
            let bytes = text.as_encoded_bytes();
            match bytes.split_at_checked(RECORDED) {
                Some((begin, rest)) if !rest.is_empty() => {
                    format!("{}… and {} more bytes", escaped_bytes(begin), rest.len())
                }
                _ => escaped_bytes(bytes),
            }
        };
        let mut line = json!({
            "at": Timestamp::now(),
            "event": event,
            "session": std::process::id(),
            "user": self.caller.name,
        });
        if event == "begin" {
            line["command"] = self.line.clone().map(shown).into();
            line["from"] = std::env::var_os("SSH_CONNECTION").map(shown).into();
        } else {
            line["exit"] = code.into();
            line["duration_ms"] = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX).into();
        }
        let path = self.settings.paths.ssh_log();
        record::append(&path, &line)
            .map_err(|error| anyhow::anyhow!("cannot write the record {}: {error}", escaped(&path.to_string_lossy())))
    }
}

enum Allowed {
    Yes,
    No,
}

fn said(period: Duration) -> &'static str {
    if period.as_secs() == 60 { "a minute" } else { "an hour" }
}
