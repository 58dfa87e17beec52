//! `windlass device flash`: one device updated, restarted, and proven.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use serde_json::json;
use tokio::sync::mpsc::unbounded_channel;
use windlass_core::device::flash::{DriverChoice, FlashRecord, Outcome};
use windlass_core::id::DeviceName;

use super::holds::{Holds, Leave};
use super::image::{Image, ImageArgs};
use super::place;
use super::reach::ReachArgs;
use super::screen::Screen;
use super::serve;
use crate::cli::Context;
use crate::cli::payload::terminal::Session;
use crate::cli::remote::{self, Caller};
use crate::config::Config;
use crate::devices::Place;
use crate::devices::driver;
use crate::devices::flash::{Console, FlashOrder, Limits, Looked, Watch as _, flash, look_at};
use crate::devices::server::Budget;
use crate::devices::ssh::{DeviceAddress, Patience, Ssh};
use crate::devices::stock::Stock;
use crate::exit::Exit;
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

Of a device that the configuration names everything is known: --device NAME. What is said here
besides counts more. One that is quarantined, or that somebody else has, is not flashed. Without
--from it gets the newest version of its payload, or of the payload for its board.

Exit codes: 0 flashed and proven, 1 failed or rolled back, 2 usage, 3 this machine cannot,
130 interrupted: the device goes on with what it runs.

Examples:
  windlass device flash --device lab-7
  windlass device flash --device lab-7 --from chromiumos_image.bin -m trial
  windlass device flash --remote 10.0.0.7 --from chromiumos_image.bin --accept-new
  windlass device flash --remote root@lab-7:2222 --from build/eve --image-name test.bin
  windlass device flash --remote lab-7 --from new.bin --delta-from old.bin --key signing.pem
  windlass device flash --remote lab-7 --driver raw-ab --from rootfs.ext4 --dry-run
  windlass device flash --server-only --port 8081 --from chromiumos_image.bin")]
pub(super) struct Args {
    #[command(flatten)]
    image: ImageArgs,
    /// The device: its name in the configuration, or with --remote what its lock and records go by
    #[arg(long, value_name = "NAME", required_unless_present_any = ["remote", "server_only"])]
    device: Option<DeviceName>,
    #[command(flatten)]
    reach: ReachArgs,
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
    /// The most seconds that all of it may take; by default what the configuration says, or two hours
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    timeout: Option<u64>,
    /// The most seconds that the restart may take; by default what the configuration says, or learned from its history
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    reboot_timeout: Option<u64>,
    /// The most seconds without any progress; by default what the configuration says, or 180
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    stall_timeout: Option<u64>,
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

impl Args {
    pub(super) fn run(self, context: &mut Context, caller: &Caller) -> anyhow::Result<Exit> {
        let config = self.reach.config(context)?;
        let state = place::state(self.reach.state.as_deref(), config.as_ref(), context)?;
        let (place, stock) = (Place::below(&state), Stock::below(&state));
        if self.server_only {
            return self.serve(&place, &stock, context);
        }
        let target = self.reach.target(self.device.as_ref(), config.as_ref(), context)?;
        if let (Some(config), Some(_)) = (&config, &target.known) {
            let settings = context.settings(config);
            let me = remote::who(caller, &settings).ok().or_else(|| user().parse().ok());
            match Holds::read(&settings.paths.journal(), &target.name)?.leave(&target.name, me.as_ref(), self.wait > 0)
            {
                Leave::Free => {}
                Leave::Noted(note) => context.output.say(note),
                Leave::Refused(refusal) => return Err(refusal.into()),
            }
        }
        let out = &mut context.output;
        let board = self.image.board.clone().or_else(|| target.board());
        let named = self.image.named(board.as_deref(), out)?;
        let session = Session::begin(None)?;
        let address = self.reach.address(&target, &place, out)?;
        let driver = target.driver.clone();
        let image = match named {
            Some(image) => image,
            None if board.is_none() && target.payload().is_none() => {
                // Nobody says which board it is: it does.
                let Some(looked) = look(&address, &driver, &session)? else {
                    return Ok(session.interrupted());
                };
                self.image.stocked(&stock, None, looked.look.board.as_deref())?
            }
            None => self.image.stocked(&stock, target.payload(), board.as_deref())?,
        };
        if self.dry_run {
            return self.tell_plan(&image, board.as_deref(), &address, &driver, &session, out);
        }
        if matches!(image, Image::Stocked(_)) {
            out.say(format!("{}: {image} is the newest in stock", target.name));
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
            board,
            force_mismatch: self.image.force_mismatch,
            payload: parcels.clone(),
            who: user(),
            why: self.why.clone(),
            job: None,
            lease: None,
            limits: self.limits(config.as_ref()),
            budget: self.bandwidth.map_or_else(Budget::default, Budget::of),
            port: self.port,
            power_command: self.power_command.as_ref().map(program).or_else(|| target.power()),
            console: self
                .console_command
                .as_ref()
                .map(program)
                .or_else(|| target.console())
                .map(|command| Console { command }),
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

    fn limits(&self, config: Option<&Config>) -> Limits {
        let usual = config.map_or_else(Limits::default, |config| config.lab.flash_limits());
        let or = |seconds: Option<u64>, usual: Duration| seconds.map_or(usual, Duration::from_secs);
        Limits {
            total: or(self.timeout, usual.total),
            lock: Duration::from_secs(self.wait),
            stall: or(self.stall_timeout, usual.stall),
            reboot: self.reboot_timeout.map(Duration::from_secs).or(usual.reboot),
            ..usual
        }
    }

    fn serve(&self, place: &Place, stock: &Stock, context: &mut Context) -> anyhow::Result<Exit> {
        let out = &mut context.output;
        let board = self.image.board.as_deref();
        let image = match self.image.named(board, out)? {
            Some(image) => image,
            None => self.image.stocked(stock, None, board)?,
        };
        let driver = self.reach.driver()?.unwrap_or_default();
        let session = Session::begin(None)?;
        match self.image.parcels(image, &driver, place, &session, out)? {
            Ok(parcels) => serve::serve(&parcels, self.listen, self.port.unwrap_or(PORT), &session, out),
            Err(exit) => Ok(exit),
        }
    }

    /// What would be done, as far as looking tells.
    fn tell_plan(
        &self,
        image: &Image,
        board: Option<&str>,
        address: &DeviceAddress,
        driver: &DriverChoice,
        session: &Session,
        out: &mut Output,
    ) -> anyhow::Result<Exit> {
        let name = &address.name;
        let Some(looked) = look(address, driver, session)? else {
            return Ok(session.interrupted());
        };
        let Looked { look, updater } = looked;
        let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "unknown".to_owned());
        if self.json {
            out.json(&json!({
                "device": name, "driver": driver.name(), "image": image.to_string(), "board": look.board, "version": look.seen.version,
                "slot": look.seen.slot, "boot_id": look.seen.boot_id, "updater": format!("{updater:?}"),
            }))?;
        } else {
            out.line(format!(
                "would flash {name} ({}, version {}, slot {}) by {driver} with {}",
                shown(&look.board),
                shown(&look.seen.version),
                shown(&look.seen.slot),
                image
            ))?;
        }
        if let Some(wanted) = board
            && look.board.as_deref() != Some(wanted)
            && !self.image.force_mismatch
        {
            out.say(format!(
                "the device's board is {}, and the update is for {wanted} (--force-mismatch overrides this)",
                shown(&look.board)
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

/// Looks at a device, unless somebody says to stop.
fn look(address: &DeviceAddress, driver: &DriverChoice, session: &Session) -> anyhow::Result<Option<Looked>> {
    let ssh = Ssh::to(address.clone(), Patience::default())?;
    let own = driver::of(driver);
    let mut stop = session.stopping();
    let looked = session.runtime().block_on(async {
        tokio::select! {
            looked = look_at(&ssh, own.as_ref()) => Some(looked),
            () = stop.word() => None,
        }
    });
    Ok(looked.transpose()?)
}

/// Who asks, for the record.
pub(super) fn user() -> String {
    let name = ["SUDO_USER", "USER", "LOGNAME"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    let name = name.unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()));
    windlass_core::escape::escaped(&name)
}
