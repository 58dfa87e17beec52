//! One flash of a virtual machine, from the command to the proof that the new system runs; the machine is emulated, and shares this one.

use std::time::Instant;

use anyhow::Context as _;
use jiff::Timestamp;
use serde_json::Value;
use windlass_tests::lab::{self, Machine, MachineOrder, System};
use windlass_tests::process::Cmd;
use windlass_tests::programs::Programs;

use super::super::figure::{Figures, Goal};

/// How many of the image's MiB are files, half of which can be compressed.
const BALLAST_MIB: u64 = 24;

/// Measures, and adds the rows.
pub(super) fn measure(programs: &Programs, runs: usize, figures: &mut Figures) -> anyhow::Result<()> {
    if let Some(why) = lab::lacking() {
        anyhow::bail!("a machine cannot be run: {why}");
    }
    let dir = tempfile::tempdir()?;
    // A device's updater is built as what is measured with it.
    let updater = programs.windlass.with_file_name("update_engine_client");
    let system = |version: String| System {
        ballast_mib: BALLAST_MIB,
        updater: Some(updater.clone()),
        ..System::version(&version)
    };
    let machine = Machine::started(&MachineOrder::with_system(system("1.0.0".to_owned())))?;
    let (mut all, mut restarts, mut installs) = (Vec::new(), Vec::new(), Vec::new());
    for run in 0..runs.max(1) {
        // Another one each time: a payload that was made before is not made again.
        let image = system(format!("2.0.{run}")).image()?;
        let began = Instant::now();
        let told = Cmd::new(&programs.windlass)
            .args(["device", "flash", "--json", "--device", "lab-1", "--remote"])
            .arg(format!("127.0.0.1:{}", machine.port))
            .args(["--host-key", &machine.host_key, "--identity"])
            .arg(&machine.identity)
            .arg("--state")
            .arg(dir.path())
            .arg("--from")
            .arg(&image)
            .run()?
            .ok()?
            .json()?;
        all.push(began.elapsed().as_secs_f64());
        installs.push(step(&told, "install")?);
        restarts.push(step(&told, "reboot")?);
    }
    figures.add("a machine flashed and proven, 48 MiB", "s", all);
    figures.goal(Goal::AtMost(20.0));
    figures.add("  its updater's part", "s", installs);
    figures.add("  its restart", "s", restarts);
    Ok(())
}

/// How long a step of a flash took.
fn step(record: &Value, name: &str) -> anyhow::Result<f64> {
    let steps = record["steps"].as_array().context("a record has steps")?;
    let step = steps
        .iter()
        .find(|step| step["step"] == name)
        .with_context(|| format!("step {name} is missing: {record}"))?;
    let at = |name: &str| -> anyhow::Result<Timestamp> { Ok(step[name].as_str().context("a moment")?.parse()?) };
    Ok((at("ended")? - at("began")?).total(jiff::Unit::Second)?)
}
