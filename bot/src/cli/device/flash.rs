//! `windlass device flash`: one device updated, restarted, and proven.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use tokio::sync::mpsc::unbounded_channel;
use windlass_core::device::flash::{DriverChoice, FlashRecord, Outcome};
use windlass_core::id::DeviceName;

use super::image::ImageArgs;
use super::screen::Screen;
use super::{hostkey, place, serve};
use crate::cli::Context;
use crate::cli::payload::terminal::Session;
use crate::devices::Place;
use crate::devices::driver;
use crate::devices::flash::{Console, FlashOrder, Limits, Looked, Watch as _, flash, look_at};
use crate::devices::server::Budget;
use crate::devices::ssh::{DeviceAddress, HostKey, Patience, Ssh};
use crate::exit::{Broken, Exit, Usage};
use crate::output::Output;

/// The port of the server alone, as scripts know it.
const PORT: u16 = 8081;

/// Arguments of `windlass device flash`.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "one flag each")]
#[command(after_help = "\
The device is reached over ssh, and fetches from a server on this machine's loopback, through
that ssh. A flash has succeeded when the device has restarted (its boot_id is another one), runs
from the slot that was written, and in the version that was meant; then it is marked good.
Otherwise it was rolled back, or it failed; in any case there is a record of it, with the log of
the updater. Two flashes of one device never overlap.

Exit codes: 0 flashed and proven, 1 failed or rolled back, 2 usage, 3 this machine cannot,
130 interrupted: the device goes on with what it runs.

Examples:
  windlass device flash --remote 10.0.0.7 --from chromiumos_image.bin --accept-new
  windlass device flash --remote root@lab-7:2222 --from build/eve --image-name test.bin
  windlass device flash --remote lab-7 --from new.bin --delta-from old.bin --key signing.pem
  windlass device flash --remote lab-7 --driver raw-ab --from rootfs.ext4 --dry-run
  windlass device flash --server-only --port 8081 --from chromiumos_image.bin")]
pub(super) struct Args {
    #[command(flatten)]
    image: ImageArgs,
    /// The device: its host, with the user and the port of its ssh server
    #[arg(long, value_name = "[USER@]HOST[:PORT]", required_unless_present = "server_only")]
    remote: Option<Remote>,
    /// What it is called here: lock and records go by that; by default its host
    #[arg(long, value_name = "NAME")]
    device: Option<DeviceName>,
    /// The private key that the device lets in
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
    /// The host key that the device has to have, as in 'ssh-ed25519 AAAA…'
    #[arg(long, value_name = "KEY", conflicts_with = "accept_new")]
    host_key: Option<String>,
    /// Take the host key that it shows, if none is known; from then on it is
    #[arg(long)]
    accept_new: bool,
    /// An ssh configuration to read, too; not even the user's own is read otherwise
    #[arg(long, value_name = "FILE")]
    ssh_config: Option<PathBuf>,
    /// What updates the device: `update_engine`, raw-ab, rauc, swupdate or command
    #[arg(long, value_name = "NAME", default_value = "update_engine")]
    driver: DriverChoice,
    /// The driver with settings, as a TOML file with the keys of `[device.driver]`
    #[arg(long, value_name = "FILE", conflicts_with = "driver")]
    driver_file: Option<PathBuf>,
    /// The port of the server, here and on the device; by default any that is free
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// The most bytes that are sent in a second
    #[arg(long, value_name = "BYTES")]
    bandwidth: Option<u64>,
    /// Make the payload and serve it; touch no device
    #[arg(long)]
    server_only: bool,
    /// Where --server-only listens
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    listen: IpAddr,
    /// Go on serving the payload when the device is done, until interrupted
    #[arg(long, conflicts_with_all = ["server_only", "dry_run"])]
    keep_server: bool,
    /// The most seconds that all of it may take
    #[arg(long, value_name = "SECONDS", default_value_t = 7200, value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
    /// The most seconds that the restart may take; by default learned from the device's history
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    reboot_timeout: Option<u64>,
    /// The most seconds without any progress
    #[arg(long, value_name = "SECONDS", default_value_t = 180, value_parser = clap::value_parser!(u64).range(1..))]
    stall_timeout: u64,
    /// How many seconds to wait for somebody else who flashes it
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    wait: u64,
    /// A program that cuts the device's power and gives it back; run if it does not come back
    #[arg(long, value_name = "PROGRAM")]
    power_command: Option<String>,
    /// A program that says what the device's console says; it is kept
    #[arg(long, value_name = "PROGRAM")]
    console_command: Option<String>,
    /// What it is done for, for the record
    #[arg(
        short = 'm',
        long = "message",
        value_name = "WHY",
        default_value = "asked for on the command line"
    )]
    why: String,
    /// Where records and locks are; by default the daemon's state, or the user's
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Look at the device and say what would be done; change nothing
    #[arg(long, conflicts_with = "server_only")]
    dry_run: bool,
    /// Show the commands that are run
    #[arg(short, long)]
    verbose: bool,
    /// Answer in JSON: the record
    #[arg(long)]
    json: bool,
}

/// `[USER@]HOST[:PORT]`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Remote {
    user: Option<String>,
    host: String,
    port: u16,
}

impl std::str::FromStr for Remote {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (user, place) = match text.split_once('@') {
            Some((user, place)) => (Some(user.to_owned()), place),
            None => (None, text),
        };
        // An IPv6 address has colons of its own; with a port it stands in brackets.
        let (host, port) = match place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, rest)) => (host, rest.strip_prefix(':')),
            None => match place.split_once(':') {
                Some((host, port)) if !port.contains(':') => (host, Some(port)),
                _ => (place, None),
            },
        };
        let port = match port {
            None => 22,
            Some(port) => port.parse().map_err(|_| format!("'{port}' is no port"))?,
        };
        if host.is_empty() || user.as_deref() == Some("") {
            return Err("it is HOST, USER@HOST or USER@HOST:PORT".to_owned());
        }
        Ok(Self {
            user,
            host: host.to_owned(),
            port,
        })
    }
}

impl Remote {
    /// A name made of the host.
    fn name(&self) -> Option<DeviceName> {
        let host = self.host.replace(':', "-");
        let name = if self.port == 22 {
            host
        } else {
            format!("{host}-{}", self.port)
        };
        name.parse().ok()
    }
}

impl Args {
    pub(super) fn run(self, context: &mut Context) -> anyhow::Result<Exit> {
        let place = place::find(self.state.as_deref(), context)?;
        let out = &mut context.output;
        let image = self.image.image(out)?;
        let driver = self.driver()?;
        let session = Session::begin(None)?;
        let Some(remote) = &self.remote else {
            return self.serve(image, &driver, &place, &session, out);
        };
        let Some(name) = self.device.clone().or_else(|| remote.name()) else {
            return Err(Usage::new("the device needs a name").hint("--device NAME").into());
        };
        let host_key = hostkey::settle(
            self.host_key.clone(),
            self.accept_new,
            &place.known_hosts(),
            &name,
            (&remote.host, remote.port),
            out,
        )?;
        let address = self.address(remote, name, host_key);
        if self.dry_run {
            return self.look(&image, address, &driver, &session, out);
        }
        let parcels = match self.image.parcels(image, &driver, &place, &session, out)? {
            Ok(parcels) => parcels,
            Err(exit) => return Ok(exit),
        };
        if parcels.version.is_none() {
            out.say("nobody knows which version the image has: slot and boot alone are judged (--to-version says it)");
        }
        let program = |program: &String| vec![program.clone()];
        let (told, mut telling) = unbounded_channel();
        let order = FlashOrder {
            driver,
            board: self.image.board.clone(),
            force_mismatch: self.image.force_mismatch,
            payload: parcels.clone(),
            who: user(),
            why: self.why.clone(),
            job: None,
            lease: None,
            limits: self.limits(),
            budget: self.bandwidth.map_or_else(Budget::default, Budget::of),
            port: self.port,
            power_command: self.power_command.as_ref().map(program),
            console: self
                .console_command
                .as_ref()
                .map(|name| Console { command: program(name) }),
            records: place.records(),
            locks: place.locks(),
            told: self.verbose.then_some(told),
            address,
        };
        let screen = Screen::new(order.address.name.clone(), out);
        let record = session.runtime().block_on(async {
            let telling = async {
                while let Some(line) = telling.recv().await {
                    screen.say(&line);
                }
                // The flash alone ends it.
                std::future::pending().await
            };
            tokio::select! {
                record = flash(order, &screen, session.stopping()) => record,
                record = telling => record,
            }
        });
        screen.end();
        drop(screen);
        let exit = self.tell(&record, &session, out)?;
        if self.keep_server && !session.stopping().is_given() {
            serve::serve(&parcels, self.listen, self.port.unwrap_or(0), &session, out)?;
        }
        Ok(exit)
    }

    fn driver(&self) -> anyhow::Result<DriverChoice> {
        let Some(file) = &self.driver_file else {
            return Ok(self.driver.clone());
        };
        let text = std::fs::read_to_string(file)
            .map_err(|error| Broken::new(format!("'{}' cannot be read: {error}", file.display())))?;
        let driver = toml::from_str(&text);
        Ok(driver.map_err(|error| Usage::new(format!("'{}' describes no driver: {error}", file.display())))?)
    }

    fn address(&self, remote: &Remote, name: DeviceName, host_key: HostKey) -> DeviceAddress {
        DeviceAddress {
            name,
            host: remote.host.clone(),
            port: remote.port,
            user: remote.user.clone().unwrap_or_else(|| "root".to_owned()),
            identity: self.identity.clone(),
            host_key,
            config: self.ssh_config.clone(),
        }
    }

    fn limits(&self) -> Limits {
        Limits {
            total: Duration::from_secs(self.timeout),
            lock: Duration::from_secs(self.wait),
            stall: Duration::from_secs(self.stall_timeout),
            reboot: self.reboot_timeout.map(Duration::from_secs),
            ..Limits::default()
        }
    }

    fn serve(
        &self,
        image: PathBuf,
        driver: &DriverChoice,
        place: &Place,
        session: &Session,
        out: &mut Output,
    ) -> anyhow::Result<Exit> {
        match self.image.parcels(image, driver, place, session, out)? {
            Ok(parcels) => serve::serve(&parcels, self.listen, self.port.unwrap_or(PORT), session, out),
            Err(exit) => Ok(exit),
        }
    }

    /// What would be done, as far as looking tells.
    fn look(
        &self,
        image: &Path,
        address: DeviceAddress,
        driver: &DriverChoice,
        session: &Session,
        out: &mut Output,
    ) -> anyhow::Result<Exit> {
        let name = address.name.clone();
        let ssh = Ssh::to(address, Patience::default())?;
        let own = driver::of(driver);
        let mut stop = session.stopping();
        let looked = session.runtime().block_on(async {
            tokio::select! {
                looked = look_at(&ssh, own.as_ref()) => Some(looked),
                () = stop.word() => None,
            }
        });
        let Some(looked) = looked else {
            return Ok(session.interrupted());
        };
        let Looked { look, updater } = looked?;
        let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "unknown".to_owned());
        if self.json {
            out.json(&json!({
                "device": name, "driver": driver.name(), "image": image, "board": look.board, "version": look.seen.version,
                "slot": look.seen.slot, "boot_id": look.seen.boot_id, "updater": format!("{updater:?}"),
            }))?;
        } else {
            out.line(format!(
                "would flash {name} ({}, version {}, slot {}) by {driver} with {}",
                shown(&look.board),
                shown(&look.seen.version),
                shown(&look.seen.slot),
                image.display()
            ))?;
        }
        let wanted = self.image.board.as_ref();
        if wanted.is_some() && wanted != look.board.as_ref() && !self.image.force_mismatch {
            out.say(format!(
                "the device's board is {}, and the update is for {} (--force-mismatch overrides this)",
                shown(&look.board),
                shown(&self.image.board)
            ));
            return Ok(Exit::Failed);
        }
        Ok(Exit::Done)
    }

    /// Says how it ended.
    fn tell(&self, record: &FlashRecord, session: &Session, out: &mut Output) -> anyhow::Result<Exit> {
        if self.json {
            out.json(record)?;
        } else {
            let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "unknown".to_owned());
            let line = match &record.outcome {
                Outcome::Succeeded => format!(
                    "{}: {} -> {}, slot {} -> {}, proven after {:.1} s",
                    record.device,
                    shown(&record.from_version),
                    shown(&record.to_version),
                    shown(&record.slot_before),
                    shown(&record.slot_after),
                    record.took().as_secs_f64()
                ),
                other @ (Outcome::RolledBack { .. } | Outcome::Failed { .. } | Outcome::Cancelled { .. }) => {
                    format!("{}: {other}", record.device)
                }
            };
            out.line(line)?;
            out.say(format!("record: {}", record.id));
            if let (Some(log), false) = (&record.update_log, record.outcome.is_good()) {
                out.say(format!("log: {}", log.display()));
            }
        }
        Ok(match record.outcome {
            Outcome::Succeeded => Exit::Done,
            Outcome::Cancelled { .. } => session.interrupted(),
            Outcome::RolledBack { .. } | Outcome::Failed { .. } => Exit::Failed,
        })
    }
}

/// Who asks, for the record.
fn user() -> String {
    let name = ["SUDO_USER", "USER", "LOGNAME"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    let name = name.unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()));
    windlass_core::escape::escaped(&name)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("10.0.0.7", None, "10.0.0.7", 22, "10.0.0.7")]
    #[case("lab-7:2222", None, "lab-7", 2222, "lab-7-2222")]
    #[case("chronos@lab-7", Some("chronos"), "lab-7", 22, "lab-7")]
    #[case("fe80::1", None, "fe80::1", 22, "fe80--1")]
    #[case("root@[fe80::1]:2222", Some("root"), "fe80::1", 2222, "fe80--1-2222")]
    fn remotes(
        #[case] text: &str,
        #[case] user: Option<&str>,
        #[case] host: &str,
        #[case] port: u16,
        #[case] name: &str,
    ) {
        let remote: Remote = text.parse().unwrap();
        assert_eq!(
            (remote.user.as_deref(), remote.host.as_str(), remote.port),
            (user, host, port)
        );
        assert_eq!(remote.name().unwrap().as_str(), name);
    }

    #[rstest]
    #[case("")]
    #[case("@host")]
    #[case("host:port")]
    #[case("host:99999")]
    fn no_remotes(#[case] text: &str) {
        assert!(text.parse::<Remote>().is_err());
    }
}
