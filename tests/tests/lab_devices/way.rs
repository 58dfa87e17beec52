//! The whole way: a signed tag lands, a payload is made of it, the canary takes it and then the other machine; what is cancelled in mid-flash
//! leaves the old system; at night, by the calendar, what is newest goes to all.
//!
//! The night is six hours after the story's begin. For it the server is started again with a clock that is a few seconds before that moment
//! (libfaketime); the machines, and whoever looks at all this, keep theirs.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use jiff::{SignedDuration, Timestamp, Unit};
use serde_json::Value;
use windlass_tests::lab::package::PACKAGE;
use windlass_tests::lab::{self, Slot, System};
use windlass_tests::people::ALICE;
use windlass_tests::pipeline::cannot_build;
use windlass_tests::{Clone, clock, skipped, wait};

use super::lab::{HEARTBEAT, Lab, ROLLOUT, moment};

/// How long after the start of the story it is night: long enough that no night falls into it by itself.
const UNTIL_NIGHT: SignedDuration = SignedDuration::from_hours(6);

/// How long before its moment the server is started that is to see it come.
const BEFORE: SignedDuration = SignedDuration::from_secs(8);

/// A payload of the system that machines need to come up, which is imported, and of a package that lands.
fn payload() -> String {
    format!(
        "[[payload]]\nname = \"lab\"\nboard = \"vm-lab\"\narchitecture = \"x86_64\"\nrepositories = [\"main\"]\n\
         [[payload.partition]]\nname = \"root\"\npackages = [\"{PACKAGE}\", \"breeze\"]\nsize = \"48MiB\"\n\
         [[payload.partition.file]]\npath = \"/etc/lsb-release\"\n\
         content = \"CHROMEOS_RELEASE_BOARD={{board}}\\nCHROMEOS_RELEASE_VERSION={{version}}\\nCHROMEOS_RELEASE_TRACK=testimage-channel\\n\"\n"
    )
}

#[test]
fn what_lands_reaches_the_devices_canary_first_and_at_night() -> anyhow::Result<()> {
    if let Some(why) = cannot_build().or_else(lab::lacking).or_else(clock::lacking) {
        skipped(&why);
        return Ok(());
    }
    let night = (Timestamp::now() + UNTIL_NIGHT).round(Unit::Minute)?;
    let calendar = night.strftime("%M %H * * *").to_string();
    let mut lab = Lab::of(&["lab-1", "lab-2"], &System::version("0.9"))?;
    let packages = lab.world.dir().join("lab");
    std::fs::create_dir_all(&packages)?;
    let package = System::version("1.0").package(&packages)?;
    let tree = package.parent().context("it is in a folder")?;
    lab.world
        .windlass(["repo", "import", "-b", "main"])
        .arg(tree)
        .run()?
        .ok()?;
    let nightly = format!("[[nightly]]\nname = \"all\"\ncalendar = \"{calendar}\"\n");
    lab.begin(&(payload() + &nightly), Some("lab-1"))?;
    let breeze = lab.world.source(&ALICE, "breeze")?;

    goes_to_the_canary_and_then_to_the_other(&lab, &breeze)?;
    cancelled_in_mid_flash_the_old_system_stays(&mut lab, &breeze)?;
    comes_by_itself_at_night(&mut lab, night)
}

/// All machines run this version of breeze, each from this slot.
fn run(lab: &Lab, version: &str, slot: Slot) -> anyhow::Result<()> {
    for machine in &lab.machines {
        let says = machine.says("breeze").with_context(|| lab.told())?;
        assert_eq!(
            says,
            format!("breeze {version}"),
            "on {}: {}",
            machine.name(),
            lab.told()
        );
        assert_eq!(machine.slot()?, slot, "on {}", machine.name());
    }
    Ok(())
}

fn goes_to_the_canary_and_then_to_the_other(lab: &Lab, breeze: &Clone) -> anyhow::Result<()> {
    let task = lab.world.lands_spec(breeze, "breeze", "1.0-alt1")?;
    lab.settle()?;
    run(lab, "1.0-alt1", Slot::B)?;
    assert_eq!(lab.world.abouts(task)?, ["device lab-1", "device lab-2", "payload lab"]);
    let jobs = lab.world.jobs_of(task)?;
    let made = lab.world.job(jobs[2]["id"].as_u64().context("a number")?)?["payload_made"].clone();
    let mut flashes = Vec::new();
    for (machine, job) in lab.machines.iter().zip(&jobs) {
        let told = lab.history(machine)?;
        let [flash] = told.as_slice() else {
            anyhow::bail!("one flash of {}, not {told:?}", machine.name());
        };
        assert_eq!(flash["outcome"], "succeeded", "{flash}");
        assert_eq!(flash["job"], job["id"], "{flash}");
        assert_eq!(
            (&flash["from_version"], &flash["to_version"], &flash["payload"]),
            (&Value::from("0.9"), &made["version"], &made["digest"]),
            "{flash}"
        );
        assert_eq!(machine.version()?, made["version"].as_str().unwrap_or_default());
        ensure!(lab.is_free(machine)?, "{}", lab.why(machine)?);
        flashes.push(flash.clone());
    }
    // The other one only when the canary was proven.
    ensure!(
        moment(&flashes[1], "began")? >= moment(&flashes[0], "ended")?,
        "{flashes:?}"
    );
    Ok(())
}

fn cancelled_in_mid_flash_the_old_system_stays(lab: &mut Lab, breeze: &Clone) -> anyhow::Result<()> {
    // So slowly that there is a middle.
    lab.world.stop_bot()?;
    lab.world.set("lab", "bandwidth", "\"64KiB\"")?;
    lab.world.start_bot()?;
    let canary = &lab.machines[0];
    let boot = canary.boot_id()?;
    lab.world.lands_spec(breeze, "breeze", "1.1-alt1")?;
    let flash = lab.flashing(canary)?;
    wait::until_within(ROLLOUT, "a download", || {
        let status = canary.run("update_engine_client --status")?.out();
        Ok(status.contains("UPDATE_STATUS_DOWNLOADING").then_some(()))
    })
    .with_context(|| lab.told())?;
    lab.world.admin(&["job", "cancel", &flash.to_string()])?.ok()?;
    // What takes longest is the updater that gives its download up: it tries twenty times, once a second.
    wait::until_within(HEARTBEAT, "the canary to be free again", || {
        Ok(lab.is_free(canary)?.then_some(()))
    })
    .with_context(|| {
        format!(
            "{}: {:?}; {}",
            lab.why(canary).unwrap_or_default(),
            canary.connections(),
            lab.told()
        )
    })?;
    lab.settle()?;

    // What waited for it was given up, and says why.
    let job = lab.world.job(flash)?;
    assert_eq!(job["state"], "cancelled", "{job}");
    let given_up = lab.jobs(Some("cancelled"))?;
    let other = given_up.iter().find(|job| job["about"] == "device lab-2");
    let told = other.map(|job| job["told"].to_string()).unwrap_or_default();
    ensure!(told.contains("no canary was flashed"), "{given_up:?}");
    let history = lab.history(canary)?;
    assert_eq!(
        (&history[0]["outcome"], &history[0]["job"]),
        (&Value::from("cancelled"), &Value::from(flash)),
        "{history:?}"
    );
    assert_eq!(lab.history(&lab.machines[1])?.len(), 1);

    // The machine has not even restarted, listens nowhere but at its ssh server, and its updater is at rest.
    run(lab, "1.0-alt1", Slot::B)?;
    assert_eq!(canary.boot_id()?, boot);
    assert_eq!(canary.servers()?, 1, "a port is left");
    let status = canary.says("update_engine_client --status 2>&1 | grep CURRENT_OP")?;
    ensure!(status.contains("UPDATE_STATUS_IDLE"), "{status}");
    Ok(())
}

fn comes_by_itself_at_night(lab: &mut Lab, night: Timestamp) -> anyhow::Result<()> {
    lab.world.stop_bot()?;
    lab.world.set("lab", "bandwidth", "\"1GiB\"")?;
    let ahead = Duration::try_from(night.duration_since(Timestamp::now()) - BEFORE)?;
    lab.world.start_bot_ahead(ahead)?;
    let begun = wait::until_within(ROLLOUT, "the night", || {
        let run = last_run(lab)?;
        Ok((!run.is_null()).then_some(run))
    })?;
    let late = moment(&begun, "at")?.duration_since(night);
    ensure!(
        !late.is_negative() && late < SignedDuration::from_secs(30),
        "{night}: {begun}"
    );
    lab.settle()?;
    run(lab, "1.1-alt1", Slot::A)?;
    for machine in &lab.machines {
        let flash = lab.history(machine)?.swap_remove(0);
        assert_eq!(flash["outcome"], "succeeded", "{flash}");
        ensure!(moment(&flash, "began")? >= night, "{flash}");
        ensure!(lab.is_free(machine)?, "{}", lab.why(machine)?);
    }
    let run = last_run(lab)?;
    assert_eq!(
        (&run["run"], &run["told"]),
        (&Value::from(1), &Value::from("2 done")),
        "{run}"
    );
    lab.world.stop_bot()
}

/// What `device nightly ls` says of the last run of the only one that there is.
fn last_run(lab: &Lab) -> anyhow::Result<Value> {
    let list = lab.world.admin(&["device", "nightly", "ls", "--json"])?.ok()?.json()?;
    Ok(list[0]["last"].clone())
}
