//! `windlass keys`: people's keys, the index over them, and the file by which sshd lets them in.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;
use windlass_core::escape::escaped;
use windlass_core::id::{Fingerprint, UserName};
use windlass_core::people::{Person, SshUse};
use windlass_core::refusal::Refusal;
use windlass_core::signing::lint::{Finding, Measure, Severity};
use windlass_core::signing::openpgp::Outline;
use windlass_core::signing::openpgp::renew::merged;
use windlass_hooks::keyring::Keyring;

use super::people::update_door;
use super::{Context, Run};
use crate::config::Config;
use crate::exit::{Broken, Exit, Usage};
use crate::layout;
use crate::people::authorized_keys::{self, Written};
use crate::people::keys::{Key, is_ssh, of as keys_of, read_openpgp, read_ssh};
use crate::people::{self, People};

/// Arguments of `windlass keys`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Add keys to a person, or renew a certificate that the person has
    #[command(after_help = "\
A certificate that the person has already is renewed: both copies are merged, so that a new expiry
date counts and no revocation is ever lost.

Examples:
  windlass keys add alice alice-renewed.asc
  windlass keys add alice --ssh phone.pub --login
  windlass keys add carol --ssh sign.pub --sign --dry-run")]
    Add {
        /// Whose
        name: UserName,
        /// Files with keys of either kind, told by what is in them
        #[arg(value_name = "FILE")]
        any: Vec<PathBuf>,
        #[command(flatten)]
        files: Files,
        /// Say what would be done and change nothing
        #[arg(long, short = 'n')]
        dry_run: bool,
    },
    /// List keys, of one person or everybody
    #[command(after_help = "\
Examples:
  windlass keys ls
  windlass keys ls alice --json | jq -r .[].fingerprint")]
    Ls {
        /// Whose; everybody's when not said
        name: Option<UserName>,
        /// Print it as JSON
        #[arg(long)]
        json: bool,
    },
    /// Take a key away from a person
    #[command(after_help = "\
Examples:
  windlass keys rm alice SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU
  windlass keys rm alice 8B2D7A3E --dry-run      # the end of a fingerprint does")]
    Rm {
        /// Whose
        name: UserName,
        /// The fingerprint, or so much of its end that it is one key's
        key: String,
        /// Say what would be done and change nothing
        #[arg(long, short = 'n')]
        dry_run: bool,
    },
    /// Look over all keys: expiry, SHA-1, weak or shared ones, nothing to sign with
    #[command(after_help = "\
Exit code 1 when there is an error among the findings, 0 when there are warnings or none.

Examples:
  windlass keys lint
  windlass keys lint alice --json")]
    Lint {
        /// Whose; everybody's when not said
        name: Option<UserName>,
        /// Print it as JSON
        #[arg(long)]
        json: bool,
    },
    /// Print the lines by which sshd lets people in, or write them into the file
    #[command(after_help = "\
Lines outside the marked block are somebody else's and stay.

Examples:
  windlass keys authorized-keys
  windlass keys authorized-keys --write")]
    AuthorizedKeys {
        /// Write them, as root or as the git user
        #[arg(long)]
        write: bool,
    },
    /// Make the index over all keys anew, after files were edited by hand
    #[command(after_help = "\
Examples:
  windlass keys index")]
    Index,
}

/// The files that keys are read from.
#[derive(Debug, clap::Args)]
pub(super) struct Files {
    /// A file with OpenPGP certificates, armored or binary
    #[arg(long, value_name = "FILE")]
    pub(super) openpgp: Vec<PathBuf>,
    /// A file with SSH public keys
    #[arg(long, value_name = "FILE")]
    pub(super) ssh: Vec<PathBuf>,
    /// The SSH keys are for logging in [default: for both]
    #[arg(long)]
    login: bool,
    /// The SSH keys are for signing tags [default: for both]
    #[arg(long)]
    sign: bool,
}

impl Files {
    /// What the SSH keys are for.
    pub(super) fn uses(&self) -> Vec<SshUse> {
        match (self.login, self.sign) {
            (true, false) => vec![SshUse::Login],
            (false, true) => vec![SshUse::Sign],
            (true, true) | (false, false) => vec![SshUse::Login, SshUse::Sign],
        }
    }
}

impl Run for Args {
    fn run(self, context: &mut Context) -> anyhow::Result<Exit> {
        match self.action {
            Action::Add {
                name,
                any,
                mut files,
                dry_run,
            } => {
                for file in any {
                    if is_ssh(&file)? {
                        files.ssh.push(file);
                    } else {
                        files.openpgp.push(file);
                    }
                }
                add(context, &name, &files, dry_run)
            }
            Action::Ls { name, json } => ls(context, name.as_ref(), json),
            Action::Rm { name, key, dry_run } => rm(context, &name, &key, dry_run),
            Action::Lint { name, json } => lint(context, name.as_ref(), json),
            Action::AuthorizedKeys { write } => door(context, write),
            Action::Index => {
                let config = context.config()?;
                let mut people = People::lock(&config)?;
                people.changed()?;
                let count = people.everybody().len();
                context.output.say(format!("The index knows {count} people."));
                update_door(context, &config, &people);
                Ok(Exit::Done)
            }
        }
    }
}

fn add(context: &mut Context, name: &UserName, files: &Files, dry_run: bool) -> anyhow::Result<Exit> {
    if files.openpgp.is_empty() && files.ssh.is_empty() {
        return Err(Usage::new("no key is given").hint("windlass keys add NAME FILE").into());
    }
    let config = context.config()?;
    let mut people = People::lock(&config)?;
    let mut person = people.person(name)?.clone();
    let mut done = Vec::new();
    for file in &files.openpgp {
        for outline in read_openpgp(file)? {
            done.push(join_openpgp(&mut person, &outline)?);
        }
    }
    for file in &files.ssh {
        for key in read_ssh(file, &files.uses())? {
            done.push(join_ssh(&mut person, key)?);
        }
    }
    people.check(&person)?;
    for line in &done {
        context.output.say(if dry_run {
            format!("Would be {line}")
        } else {
            line.clone()
        });
    }
    if dry_run {
        return Ok(Exit::Done);
    }
    people.write(&person)?;
    warn(context, &config, name);
    update_door(context, &config, &people);
    Ok(Exit::Done)
}

/// Adds a certificate, or merges it with the copy that is there.
fn join_openpgp(person: &mut Person, new: &Outline) -> anyhow::Result<String> {
    let fingerprint = &new.fingerprint;
    for text in &mut person.openpgp {
        let outlines = Outline::of_all(text.as_bytes()).unwrap_or_default();
        let Some(old) = outlines.iter().find(|outline| outline.fingerprint == *fingerprint) else {
            continue;
        };
        if outlines.len() > 1 {
            return Err(Refusal::new(
                "bad_key",
                format!("{}'s file has several certificates in one text", person.name),
            )
            .hint("one text of `openpgp = [...]` holds one certificate: take them apart")
            .into());
        }
        let joined = merged(&old.armored, &new.armored)
            .map_err(|why| Refusal::new("bad_key", format!("{fingerprint} cannot be renewed: {}", escaped(&why))))?;
        *text = joined;
        return Ok(format!("renewed: OpenPGP {fingerprint}"));
    }
    person.openpgp.push(new.armored.clone());
    Ok(format!("added: OpenPGP {fingerprint}"))
}

/// Adds an SSH key, or what one that is there is for.
fn join_ssh(person: &mut Person, new: windlass_core::people::SshKey) -> anyhow::Result<String> {
    let print = |key: &str| windlass_core::signing::ssh::fingerprint_of(key).ok();
    let Some(fingerprint) = print(&new.key) else {
        return Err(Refusal::new("bad_key", "an SSH key cannot be read").into());
    };
    if let Some(old) = person
        .ssh
        .iter_mut()
        .find(|key| print(&key.key).as_ref() == Some(&fingerprint))
    {
        old.uses = new.uses;
        return Ok(format!("changed: SSH {fingerprint}, for {}", uses(&old.uses)));
    }
    let line = format!("added: SSH {fingerprint}, for {}", uses(&new.uses));
    person.ssh.push(new);
    Ok(line)
}

fn uses(uses: &[SshUse]) -> String {
    let words: Vec<&str> = uses
        .iter()
        .map(|used| match used {
            SshUse::Login => "login",
            SshUse::Sign => "signing",
        })
        .collect();
    if words.is_empty() {
        "nothing".to_owned()
    } else {
        words.join(" and ")
    }
}

/// One key on one line.
pub(super) fn line(key: &Key<'_>) -> String {
    match key {
        Key::OpenPgp(outline, _) => format!("openpgp  {}  {}", outline.fingerprint, outline.addresses.join(", "))
            .trim_end()
            .to_owned(),
        Key::Ssh(fingerprint, key) => {
            let comment = key.key.splitn(3, ' ').nth(2).unwrap_or_default();
            format!("ssh      {fingerprint}  {}  {}", uses(&key.uses), escaped(comment))
                .trim_end()
                .to_owned()
        }
    }
}

fn ls(context: &mut Context, name: Option<&UserName>, as_json: bool) -> anyhow::Result<Exit> {
    let config = context.config()?;
    let (everybody, problems) = people::everybody(&config.paths.people())?;
    for problem in problems {
        context.output.say(format!(
            "warning: '{}' is not read: {}",
            problem.path.display(),
            problem.why
        ));
    }
    let wanted: Vec<&Person> = match name {
        Some(name) => vec![people::find(&everybody, name)?],
        None => everybody.iter().collect(),
    };
    let width = wanted
        .iter()
        .map(|person| person.name.as_str().len())
        .max()
        .unwrap_or(0);
    let mut values = Vec::new();
    for person in wanted {
        let (keys, broken) = keys_of(person);
        for key in &keys {
            if as_json {
                let mut value = key.as_value();
                value["person"] = json!(person.name);
                values.push(value);
            } else {
                context.output.line(format!("{:<width$}  {}", person.name, line(key)))?;
            }
        }
        for why in broken {
            context.output.say(format!("warning: {} has {why}", person.name));
        }
    }
    if as_json {
        context.output.json(&values)?;
    }
    Ok(Exit::Done)
}

fn rm(context: &mut Context, name: &UserName, wanted: &str, dry_run: bool) -> anyhow::Result<Exit> {
    let config = context.config()?;
    let mut people = People::lock(&config)?;
    let mut person = people.person(name)?.clone();
    let (keys, _) = keys_of(&person);
    let bare = wanted.strip_prefix("0x").unwrap_or(wanted).replace(' ', "");
    let found: Vec<Fingerprint> = keys
        .iter()
        .map(Key::fingerprint)
        .filter(|fingerprint| {
            let text = fingerprint.as_str();
            text == wanted
                || (!text.starts_with("SHA256:") && bare.len() >= 8 && text.ends_with(&bare.to_ascii_uppercase()))
        })
        .cloned()
        .collect();
    let [fingerprint] = found.as_slice() else {
        let what = if found.is_empty() { "no key" } else { "several keys" };
        return Err(
            Refusal::new("unknown_key", format!("{name} has {what} '{}'", escaped(wanted)))
                .hint(format!("`windlass keys ls {name}` lists them"))
                .into(),
        );
    };
    if dry_run {
        context.output.say(format!("Would be removed: {fingerprint}"));
        return Ok(Exit::Done);
    }
    let keep_text = |text: &String| {
        let outlines = Outline::of_all(text.as_bytes()).unwrap_or_default();
        !outlines.iter().any(|outline| outline.fingerprint == *fingerprint)
    };
    person.openpgp.retain(keep_text);
    person
        .ssh
        .retain(|key| windlass_core::signing::ssh::fingerprint_of(&key.key).ok().as_ref() != Some(fingerprint));
    people.write(&person)?;
    context.output.say(format!("removed: {fingerprint}"));
    update_door(context, &config, &people);
    Ok(Exit::Done)
}

fn door(context: &mut Context, write: bool) -> anyhow::Result<Exit> {
    let config = context.config()?;
    let path = layout::authorized_keys(&config.paths);
    if write {
        // The git user may not lock the people's directory, and need not: the file is replaced whole.
        let (everybody, _) = people::everybody(&config.paths.people())?;
        let file = context.global.config.clone();
        return Ok(match authorized_keys::update(&config, &file, &everybody)? {
            Written::Changed => {
                context.output.say(format!("written: {}", path.display()));
                Exit::Done
            }
            Written::Same => {
                context.output.say(format!("nothing to do: {}", path.display()));
                Exit::Done
            }
            Written::NotAllowed => {
                return Err(Broken::new(format!("cannot change '{}'", path.display()))
                    .hint(format!("only root or '{}' may change it", config.users.git))
                    .into());
            }
        });
    }
    let (everybody, _) = people::everybody(&config.paths.people())?;
    let shell = layout::program("windlass-shell")?;
    let file = std::path::absolute(&context.global.config)?;
    context
        .output
        .data(authorized_keys::block(&everybody, &shell, &file)?)?;
    Ok(Exit::Done)
}

/// What keys are measured by: the clock, and what the configuration takes.
pub(crate) fn measure(config: &Config, now: jiff::Timestamp) -> Measure {
    Measure {
        now,
        warn_before: config.signing.warn_before_expiry.std(),
        sha1_self_signatures_allowed: config.signing.allow_sha1_self_signatures,
    }
}

/// What there is to say about the keys of a person who was just changed.
pub(super) fn warn(context: &mut Context, config: &Config, name: &UserName) {
    let findings = Keyring::open(&config.paths.people())
        .and_then(|keyring| keyring.lint(&measure(config, jiff::Timestamp::now())));
    // The change stands, whether or not it can be looked over.
    for finding in findings.unwrap_or_default() {
        if finding.person.as_ref() == Some(name) {
            for line in finding_lines(&finding) {
                context.output.say(line);
            }
        }
    }
}

/// As `1 error` and `2 errors`.
pub(crate) fn counted(count: usize, word: &str) -> String {
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}

fn finding_lines(finding: &Finding) -> Vec<String> {
    let word = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let mut lines = vec![format!("{word}: {} [{}]", finding.message, finding.code)];
    lines.extend(finding.hint.iter().map(|hint| format!("  hint: {hint}")));
    lines
}

fn lint(context: &mut Context, name: Option<&UserName>, as_json: bool) -> anyhow::Result<Exit> {
    let config = context.config()?;
    if let Some(name) = name {
        people::find(&people::everybody(&config.paths.people())?.0, name)?;
    }
    let keyring = Keyring::open(&config.paths.people())
        .map_err(|error| Broken::new(error.to_string()).hint("`windlass init` makes the directory"))?;
    let mut findings = keyring.lint(&measure(&config, jiff::Timestamp::now()))?;
    findings.retain(|finding| name.is_none() || finding.person.as_ref() == name);
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    let errors = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .count();
    if as_json {
        context.output.json(&findings)?;
    } else {
        for finding in &findings {
            for line in finding_lines(finding) {
                context.output.line(line)?;
            }
        }
        context.output.say(match (errors, findings.len() - errors) {
            (0, 0) => "Nothing is amiss.".to_owned(),
            (errors, warnings) => format!("{}, {}", counted(errors, "error"), counted(warnings, "warning")),
        });
    }
    Ok(if errors == 0 { Exit::Done } else { Exit::Failed })
}
