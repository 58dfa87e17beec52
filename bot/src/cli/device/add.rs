//! `windlass device add`: a device is tried, and becomes a section of the configuration with its host key pinned.

use std::path::Path;

use serde_json::json;
use windlass_core::id::{DeviceName, PayloadName};
use windlass_core::refusal::Refusal;

use super::check::{checked, line, order};
use super::hostkey;
use super::place;
use super::reach::{ReachArgs, Target};
use super::section::{self, Added};
use crate::cli::Context;
use crate::cli::payload::terminal::Session;
use crate::config::{Config, Device};
use crate::devices::Place;
use crate::devices::flash::{Checked, Found, Verdict};
use crate::devices::ssh::HostKey;
use crate::exit::{Broken, Exit, Usage};
use crate::output::Output;

/// Arguments of `windlass device add`.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "one flag each")]
#[command(mut_arg("remote", |remote| remote.required(true)))]
#[command(after_help = "\
The device is tried as 'windlass device check' does it. Its host key is shown, and has to be
agreed to: by a person at the terminal, by --accept-new, or by --host-key, which says what it has
to be. Then a [[device]] section with that key is appended to the configuration; what stands there
stays as it is, byte by byte. The whole new configuration is checked before it is put in place.
The bot reads it when it starts.

Exit codes: 0 added, 1 something is wrong with the device or the name is taken, 2 usage, 3 this
machine cannot: the configuration cannot be written, say; then the section is printed. 130
interrupted.

Examples:
  windlass device add lab-7 --remote root@10.0.0.7 --identity /etc/windlass/lab_ed25519
  windlass device add lab-7 --remote 10.0.0.7 --accept-new --tag canary --payload kiosk
  windlass device add lab-7 --remote 10.0.0.7 --driver rauc --accept-new --dry-run")]
pub(super) struct Args {
    /// What it is to be called
    name: DeviceName,
    #[command(flatten)]
    reach: ReachArgs,
    /// The port of its ssh server, where --remote does not say it
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// Who logs in there, where --remote does not say it; by default root
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// The board that it has to have; by default the one that it says
    #[arg(long, value_name = "BOARD")]
    board: Option<String>,
    /// What it is chosen by; may be said several times
    #[arg(long, value_name = "TAG", value_delimiter = ',')]
    tag: Vec<String>,
    /// The payload that it takes
    #[arg(long, value_name = "NAME")]
    payload: Option<PayloadName>,
    /// Flash it whenever a commit made a new version of its payload
    #[arg(long, requires = "payload")]
    after_merge: bool,
    /// A program of this machine that cuts its power and gives it back, with its words after commas
    #[arg(long, value_name = "PROGRAM[,WORD]…", value_delimiter = ',')]
    power_command: Vec<String>,
    /// A program of this machine that says what its console says, with its words after commas
    #[arg(long, value_name = "PROGRAM[,WORD]…", value_delimiter = ',')]
    console_command: Vec<String>,
    /// Add it even if something is wrong with it, or nobody answers
    #[arg(long)]
    anyway: bool,
    /// Print the section, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(super) fn run(mut self, context: &mut Context) -> anyhow::Result<Exit> {
        let file = context.global.config.clone();
        let (text, config) = self.configuration(context)?;
        let state = place::state(self.reach.state.as_deref(), config.as_ref(), context)?;
        let place = Place::below(&state);
        let target = self.target()?;
        if let Some(config) = &config {
            is_new(config, &target)?;
        }
        let out = &mut context.output;
        let key = hostkey::agreed(
            self.reach.host_key.as_deref(),
            self.reach.accept_new,
            &target.name,
            (&target.remote.host, target.remote.port()),
            out,
        )?;
        let session = Session::begin(None)?;
        let Some(found) = self.tried(&target, &key, &place, &session, out)? else {
            return Ok(session.interrupted());
        };
        if !found.is_good() && !self.anyway {
            out.say(format!(
                "{} is not added: something is wrong with it\n\nhint: --anyway adds it as it is",
                target.name
            ));
            return Ok(Exit::Failed);
        }
        let device = self.device(&target, key, &found);
        let added = section::added(&text, &device)?;
        // The hints of what is wrong name lines of the file as it would be.
        Config::parse(&added.whole, &file)?;
        self.give(&file, &text, &added, &found, out)
    }

    /// The configuration as it stands, and what it says. Without one there is nothing to add to.
    fn configuration(&self, context: &Context) -> anyhow::Result<(String, Option<Config>)> {
        let file = &context.global.config;
        match std::fs::read_to_string(file) {
            Ok(text) => {
                let config = Config::parse(&text, file)?;
                Ok((text, Some(config)))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && self.dry_run => Ok((String::new(), None)),
            // The same words as everywhere.
            Err(_) => context.config().map(|config| (String::new(), Some(config))),
        }
    }

    fn target(&mut self) -> anyhow::Result<Target> {
        let Some(mut remote) = self.reach.remote.clone() else {
            return Err(Usage::new("where is it?").hint("--remote [USER@]HOST[:PORT]").into());
        };
        for (option, is_twice) in [
            ("--port", remote.port.is_some() && self.port.is_some()),
            ("--user", remote.user.is_some() && self.user.is_some()),
        ] {
            if is_twice {
                return Err(Usage::new(format!("--remote says already what {option} says")).into());
            }
        }
        remote.port = remote.port.or(self.port);
        remote.user = remote.user.or_else(|| self.user.take());
        if let Some(identity) = &self.reach.identity {
            self.reach.identity = Some(std::path::absolute(identity)?);
        }
        Ok(Target {
            name: self.name.clone(),
            driver: self.reach.driver()?.unwrap_or_default(),
            remote,
            known: None,
        })
    }

    /// Goes through every step that changes nothing.
    fn tried(
        &self,
        target: &Target,
        key: &str,
        place: &Place,
        session: &Session,
        out: &mut Output,
    ) -> anyhow::Result<Option<Found>> {
        let key = HostKey::Pinned(key.to_owned());
        let address = self.reach.address_by(target, place, key);
        let mut order = order(target, address, self.board.clone(), place);
        let words = |words: &Vec<String>| (!words.is_empty()).then(|| words.clone());
        order.power = words(&self.power_command);
        order.console = words(&self.console_command);
        checked(&order, Vec::new(), session, &mut |step: &Checked| {
            out.say(line(step));
            Ok(())
        })
    }

    /// What stands in the configuration of it.
    fn device(&self, target: &Target, host_key: String, found: &Found) -> Device {
        let looked = found.look.as_ref().and_then(|look| look.board.clone());
        Device {
            name: target.name.clone(),
            address: target.remote.host.clone(),
            port: target.remote.port(),
            user: target.remote.user.clone().unwrap_or_else(|| "root".to_owned()),
            identity: self.reach.identity.clone(),
            host_key: Some(host_key),
            driver: target.driver.clone(),
            board: self.board.clone().or(looked),
            tags: self.tag.clone(),
            payload: self.payload.clone(),
            after_merge: self.after_merge,
            power: self.power_command.clone(),
            console: self.console_command.clone(),
        }
    }

    /// Prints the section, or puts the new configuration in place.
    fn give(&self, file: &Path, before: &str, added: &Added, found: &Found, out: &mut Output) -> anyhow::Result<Exit> {
        let written = !self.dry_run;
        if written && let Err(error) = section::put(file, before, &added.whole) {
            out.data(&added.section)?;
            return Err(Broken::new(format!("'{}' is as it was: {error}", file.display()))
                .hint("the section above can be put there by hand, or run this as the one who may write it")
                .into());
        }
        if self.json {
            out.json(&json!({
                "device": self.name, "file": file, "written": written, "section": added.section, "steps": found.steps,
            }))?;
        } else {
            out.data(&added.section)?;
        }
        let noted = found.steps.iter().filter(|step| step.verdict == Verdict::Wrong).count();
        if noted > 0 {
            out.say(format!(
                "{}: added although {noted} steps are wrong (--anyway)",
                self.name
            ));
        }
        out.say(if written {
            format!(
                "{} is in '{}'; the bot knows it when it is started again",
                self.name,
                file.display()
            )
        } else {
            format!(
                "nothing was written (--dry-run); it would stand in '{}'",
                file.display()
            )
        });
        Ok(Exit::Done)
    }
}

/// Neither its name nor its place is another's.
fn is_new(config: &Config, target: &Target) -> Result<(), Refusal> {
    if let Some(there) = config.device(&target.name) {
        let message = format!(
            "there is a device '{}' already, at {} port {}",
            there.name, there.address, there.port
        );
        return Err(Refusal::new("name_taken", message).hint(format!(
            "windlass device check {} tries it; another one needs another name",
            there.name
        )));
    }
    let mut devices = config.devices.iter();
    let same = devices.find(|device| device.address == target.remote.host && device.port == target.remote.port());
    if let Some(there) = same {
        let message = format!(
            "{} port {} is device '{}' already",
            there.address, there.port, there.name
        );
        return Err(Refusal::new("address_taken", message).hint("one device under two names would be flashed twice"));
    }
    Ok(())
}
