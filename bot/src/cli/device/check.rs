//! `windlass device check`: every step of a flash that changes nothing.

use std::time::Instant;

use serde_json::json;
use windlass_core::device::lab::Hold;
use windlass_core::id::DeviceName;

use super::holds::Holds;
use super::place;
use super::reach::{ReachArgs, Target};
use crate::cli::Context;
use crate::cli::payload::terminal::Session;
use crate::devices::Place;
use crate::devices::flash::{CheckOrder, Checked, Found, Verdict, check};
use crate::devices::ssh::{DeviceAddress, Patience};
use crate::devices::stock::Stock;
use crate::exit::Exit;
use crate::output::Output;

/// Arguments of `windlass device check`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Nothing is changed on the device, nothing is made, and no restart is asked for: a lock is taken
and given back, the device is asked over ssh what it is and what its updater does, and it fetches
a few bytes from this machine through a tunnel, as it would fetch an update. Each line says how a
step went, what it is, how long it took, and what was found.

Exit codes: 0 a flash can begin, 1 something is wrong, 2 usage, 3 this machine cannot, 130
interrupted.

Examples:
  windlass device check lab-7
  windlass device check --remote root@lab-7:2222 --accept-new
  windlass device check lab-7 --json | jq -r '.steps[] | select(.verdict == \"wrong\").found'")]
pub(super) struct Args {
    /// The device, as the configuration names it
    #[arg(required_unless_present = "remote")]
    name: Option<DeviceName>,
    #[command(flatten)]
    reach: ReachArgs,
    /// The board that it has to have
    #[arg(long, value_name = "BOARD")]
    board: Option<String>,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(super) fn run(self, context: &mut Context) -> anyhow::Result<Exit> {
        let config = self.reach.config(context)?;
        let state = place::state(self.reach.state.as_deref(), config.as_ref(), context)?;
        let place = Place::below(&state);
        let target = self.reach.target(self.name.as_ref(), config.as_ref(), context)?;
        let mut first = Vec::new();
        if let (Some(config), Some(_)) = (&config, &target.known) {
            first.push(held(
                &Holds::read(&context.settings(config).paths.journal(), &target.name)?,
                &target.name,
            ));
        }
        let out = &mut context.output;
        let address = self.reach.address(&target, &place, out)?;
        let session = Session::begin(None)?;
        let order = order(&target, address, self.board.clone(), &place);
        let Some(mut found) = checked(&order, first, &session, &mut |step| {
            if self.json { Ok(()) } else { out.line(line(step)) }
        })?
        else {
            return Ok(session.interrupted());
        };
        if target.known.is_some() {
            let step = stocked(&target, &found, &Stock::below(&state));
            if !self.json {
                out.line(line(&step))?;
            }
            found.steps.push(step);
        }
        tell(&order, &found, self.json, out)?;
        Ok(if found.is_good() { Exit::Done } else { Exit::Failed })
    }
}

/// What is to be checked of a device.
pub(super) fn order(target: &Target, address: DeviceAddress, board: Option<String>, place: &Place) -> CheckOrder {
    CheckOrder {
        address,
        driver: target.driver.clone(),
        board: board.or_else(|| target.board()),
        power: target.power(),
        console: target.console(),
        locks: place.locks(),
        patience: Patience::default(),
    }
}

/// Checks it, after these first steps; nothing comes back of one that was interrupted.
pub(super) fn checked(
    order: &CheckOrder,
    first: Vec<Checked>,
    session: &Session,
    tell: &mut (dyn FnMut(&Checked) -> std::io::Result<()> + Send),
) -> anyhow::Result<Option<Found>> {
    let mut told = Ok(());
    let mut keep = |step: &Checked| {
        if told.is_ok() {
            told = tell(step);
        }
    };
    first.iter().for_each(&mut keep);
    let mut stop = session.stopping();
    let found = session.runtime().block_on(async {
        tokio::select! {
            found = check(order, &mut keep) => Some(found),
            () = stop.word() => None,
        }
    });
    told?;
    Ok(found.map(|mut found| {
        found.steps.splice(0..0, first);
        found
    }))
}

/// A step in a line.
pub(super) fn line(step: &Checked) -> String {
    let mark = match step.verdict {
        Verdict::Good => "good",
        Verdict::Noted => "note",
        Verdict::Wrong => "WRONG",
        Verdict::Skipped => "-",
    };
    format!("{mark:<5}  {:<8} {:>5.1} s  {}", step.step, step.seconds, step.found)
}

/// What the lab has on record of it.
fn held(holds: &Holds, name: &DeviceName) -> Checked {
    let began = Instant::now();
    let (verdict, found) = match (&holds.hold, holds.job) {
        (Some(hold @ Hold::Out { .. }), _) => (
            Verdict::Wrong,
            format!("{hold}; hint: windlass device health {name} good -m REASON"),
        ),
        (Some(hold), _) => (Verdict::Noted, hold.to_string()),
        (None, Some(job)) => (Verdict::Noted, format!("job {job} flashes it at this moment")),
        (None, None) => (Verdict::Good, "nothing keeps it from being flashed".to_owned()),
    };
    Checked {
        step: "lab",
        verdict,
        found,
        seconds: began.elapsed().as_secs_f64(),
    }
}

/// What a flash without an image would take.
fn stocked(target: &Target, found: &Found, stock: &Stock) -> Checked {
    let began = Instant::now();
    let looked = found.look.as_ref().and_then(|look| look.board.clone());
    let board = target.board().or(looked);
    let newest = match (target.payload(), &board) {
        (Some(payload), _) => stock.versions(payload).into_iter().next(),
        (None, Some(board)) => stock.newest_of_board(board),
        (None, None) => None,
    };
    let (verdict, found) = match newest {
        Some(newest) => (
            Verdict::Good,
            format!(
                "{} {} is the newest in stock",
                newest.label.made.payload,
                newest.version()
            ),
        ),
        None => (
            Verdict::Noted,
            "nothing is in stock for it: a flash needs --from".to_owned(),
        ),
    };
    Checked {
        step: "payload",
        verdict,
        found,
        seconds: began.elapsed().as_secs_f64(),
    }
}

fn tell(order: &CheckOrder, found: &Found, json: bool, out: &mut Output) -> anyhow::Result<()> {
    let name = &order.address.name;
    if json {
        let look = found.look.as_ref();
        out.json(&json!({
            "device": name,
            "good": found.is_good(),
            "driver": order.driver.name(),
            "board": look.and_then(|look| look.board.clone()),
            "slot": look.and_then(|look| look.seen.slot.clone()),
            "version": look.and_then(|look| look.seen.version.clone()),
            "steps": found.steps,
        }))?;
        return Ok(());
    }
    let wrong = found.steps.iter().filter(|step| step.verdict == Verdict::Wrong).count();
    out.say(match wrong {
        0 => format!("{name}: a flash can begin"),
        1 => format!("{name}: 1 step is wrong"),
        many => format!("{name}: {many} steps are wrong"),
    });
    Ok(())
}
