//! Four machines under one budget of bandwidth, one of which is dead: it delays none of the others, and is flashed when it is back.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use jiff::Timestamp;
use serde_json::Value;
use windlass_tests::lab::{self, Machine, System};
use windlass_tests::{skipped, wait};

use super::lab::{Lab, ROLLOUT, moment};

/// How many bytes go out in a second, to all of them: so few that the machines wait for them, and not the other way round.
const BANDWIDTH: f64 = 256.0 * 1024.0;

/// How long after one flash another one begins at most that is queued with it.
const TOGETHER: Duration = Duration::from_secs(10);

/// What devices tell the update server, by the protocol's numbers.
const DOWNLOAD_STARTED: u64 = 13;
const DOWNLOAD_FINISHED: u64 = 14;

/// One flash, as its record tells it.
struct Flash {
    began: Timestamp,
    /// From when until when it downloaded, as it told itself.
    download: (Timestamp, Timestamp),
    sent: f64,
}

impl Flash {
    /// The only one of a machine.
    fn of(lab: &Lab, machine: &Machine) -> anyhow::Result<Self> {
        let records = lab.records(machine)?;
        let [record] = records.as_slice() else {
            anyhow::bail!("one flash of {}, not {records:?}", machine.name());
        };
        assert_eq!(record["outcome"]["is"], "succeeded", "{record}");
        let told = |event: u64| {
            let mut events = record["events"].as_array().into_iter().flatten();
            let found = events.find(|told| told["event"] == event);
            moment(found.with_context(|| format!("no event {event} in {record}"))?, "at")
        };
        Ok(Self {
            began: moment(record, "began")?,
            download: (told(DOWNLOAD_STARTED)?, told(DOWNLOAD_FINISHED)?),
            sent: record["bytes_sent"].as_f64().context("a number")?,
        })
    }

    /// How long it downloaded, in seconds.
    fn downloaded(&self) -> f64 {
        self.download.1.duration_since(self.download.0).as_secs_f64()
    }
}

#[test]
fn four_share_one_budget_and_a_dead_one_delays_nobody() -> anyhow::Result<()> {
    if let Some(why) = lab::lacking() {
        skipped(&why);
        return Ok(());
    }
    let mut lab = Lab::of(&["lab-1", "lab-2", "lab-3", "lab-4"], &System::version("0.9"))?;
    // The first in line.
    lab.machines[0].power_off();
    let settings = [
        ("lab", "bandwidth", "\"256KiB\""),
        ("lab", "leave_alone", "\"1s\""),
        ("lab", "longest_leave_alone", "\"2s\""),
        ("jobs", "back_off", "\"1s\""),
        ("jobs", "longest_back_off", "\"2s\""),
        ("jobs", "attempts", "1000"),
    ];
    for (section, key, value) in settings {
        lab.world.set(section, key, value)?;
    }
    let image = System::version("2.1").image()?;
    let payload = format!(
        "[[payload]]\nname = \"lab\"\nboard = \"vm-lab\"\nversion = \"2.{{number}}\"\n\
         [[payload.partition]]\nname = \"root\"\nsource = \"{}\"\n",
        image.display()
    );
    lab.begin(&payload, None)?;
    lab.world.job_built("lab")?;
    let open = wait::until_within(ROLLOUT, "three flashes", || {
        let open = lab.jobs(None)?;
        Ok((open.len() == 1).then_some(open))
    });
    let open = open.with_context(|| lab.told())?;
    assert_eq!(open[0]["about"], "device lab-1", "{open:?}");

    // It was tried all the time, from the very first on, and found to be dead.
    let dead = lab.records(&lab.machines[0])?;
    ensure!(dead.len() > 2, "{dead:?}");
    let mut first = Timestamp::MAX;
    for attempt in &dead {
        let outcome = &attempt["outcome"];
        assert_eq!(
            (&outcome["is"], &outcome["fault"]),
            (&Value::from("failed"), &Value::from("infrastructure")),
            "{attempt}"
        );
        first = first.min(moment(attempt, "began")?);
    }
    let alive = &lab.machines[1..];
    let flashes = alive
        .iter()
        .map(|machine| Flash::of(&lab, machine))
        .collect::<anyhow::Result<Vec<_>>>()?;
    for flash in &flashes {
        let apart = flash.began.duration_since(first).unsigned_abs();
        ensure!(apart < TOGETHER, "{apart:?} after the dead one");
    }

    // No more went out than was to, and nobody got more of it than the others.
    let begun = flashes.iter().map(|flash| flash.download.0).min().context("three")?;
    let ended = flashes.iter().map(|flash| flash.download.1).max().context("three")?;
    let seconds = ended.duration_since(begun).as_secs_f64();
    let sent: f64 = flashes.iter().map(|flash| flash.sent).sum();
    // What may go out at once after a pause comes on top, and a piece for each.
    ensure!(sent <= BANDWIDTH * (seconds + 0.2), "{sent} bytes in {seconds} s");
    let took: Vec<f64> = flashes.iter().map(Flash::downloaded).collect();
    let (least, most) = (
        took.iter().copied().fold(f64::MAX, f64::min),
        took.iter().copied().fold(0.0, f64::max),
    );
    // One after another the first of three would be done in less than half the time.
    ensure!(least > 0.7 * most, "they took {took:?}");

    // It comes back, and is flashed by the same job.
    let job = open[0]["id"].clone();
    lab.machines[0].power_on()?;
    lab.settle()?;
    let flash = lab.history(&lab.machines[0])?.swap_remove(0);
    assert_eq!(
        (&flash["outcome"], &flash["job"]),
        (&Value::from("succeeded"), &job),
        "{flash}"
    );
    for machine in &lab.machines {
        assert_eq!(machine.version()?, "2.1", "on {}", machine.name());
        ensure!(lab.is_free(machine)?, "{}", lab.why(machine)?);
    }
    lab.world.stop_bot()
}
