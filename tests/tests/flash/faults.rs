//! What goes wrong around a flash: whatever it is, the device is left on a working system, and nothing of the flash is left.

use std::net::TcpListener;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use windlass_tests::lab::machine::Ailment;
use windlass_tests::lab::{self, MachineOrder, System};
use windlass_tests::process::{Cmd, Running};
use windlass_tests::{proc, skipped, wait};

use super::world::{LIMIT, World, outcome, record, text};

/// A system that takes long enough to be sent for something to happen meanwhile.
fn large() -> System {
    System {
        ballast_mib: 6,
        ..System::version("2.0.0")
    }
}

/// How long after it froze a machine is given up at the latest: the stall limit, what clearing up asks of it in vain, and a loaded machine.
const GIVEN_UP: Duration = Duration::from_mins(1);

/// A flash that sends slowly, once the machine downloads.
fn downloading(world: &World, more: &[&str]) -> anyhow::Result<Running> {
    let running = world
        .flash_with(&large())?
        .args(["--bandwidth", "20000"])
        .args(more)
        .start()?;
    wait::until_within(LIMIT, "a download", || {
        let status = world.machine.run("update_engine_client --status")?.out();
        Ok(status.contains("UPDATE_STATUS_DOWNLOADING").then_some(()))
    })?;
    Ok(running)
}

#[test]
fn what_is_in_the_way_of_a_flash_is_told_and_does_no_harm() -> anyhow::Result<()> {
    if let Some(why) = lab::lacking() {
        skipped(&why);
        return Ok(());
    }
    let world = World::of(System::default())?;
    let next = System::version("2.0.0");

    // Nobody there.
    let closed = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
    let away = world
        .elsewhere(closed)
        .arg("--from")
        .arg(next.image()?)
        .run()?
        .exits(1)?;
    let told = record(&away)?;
    assert_eq!(
        (outcome(&told, "step"), outcome(&told, "fault")),
        ("look", "infrastructure")
    );
    assert!(outcome(&told, "why").contains("Connection refused"), "{away}");
    assert_eq!(told["outcome"]["device_works"], false);

    // Somebody else there.
    let other = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";
    let ran = world.with_key(other).arg("--from").arg(next.image()?).run()?.exits(1)?;
    assert!(
        outcome(&record(&ran)?, "why").contains("host key is not the one"),
        "{ran}"
    );
    let ran = world.without_key().arg("--from").arg(next.image()?).run()?.exits(3)?;
    assert!(ran.err().contains("hint: --accept-new"), "{ran}");

    // A port that something on the device has: no warning, an error.
    let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
    world
        .machine
        .says(&format!("(nc -l -p {port} >/dev/null 2>&1 </dev/null &); sleep 1"))?;
    let ran = world
        .flash_with(&next)?
        .args(["--port", &port.to_string()])
        .run()?
        .exits(1)?;
    let told = record(&ran)?;
    assert_eq!(outcome(&told, "step"), "serve", "{ran}");
    assert!(outcome(&told, "why").contains("the tunnel is refused"), "{ran}");
    world.machine.says("killall nc")?;

    // An updater that is at something: it asks a server that never answers.
    world.machine.says(&format!(
        "(sleep 500 | nc -l -p {port} >/dev/null 2>&1 &); sleep 1; \
         update_engine_client --check_for_update --omaha_url=http://127.0.0.1:{port}/update >/dev/null 2>&1"
    ))?;
    let ran = world.flash_with(&next)?.run()?.exits(1)?;
    let told = record(&ran)?;
    assert_eq!(
        (outcome(&told, "step"), outcome(&told, "fault")),
        ("look", "infrastructure"),
        "{ran}"
    );
    assert!(
        outcome(&told, "why").contains("UPDATE_STATUS_CHECKING_FOR_UPDATE"),
        "{ran}"
    );
    assert_eq!(told["outcome"]["device_works"], true);
    world.machine.says("killall nc")?;
    at_rest(&world)?;

    // No room on the device.
    let huge = System {
        size_mib: 64,
        ..System::version("2.0.0")
    };
    let ran = world.flash_with(&huge)?.run()?.exits(1)?;
    let told = record(&ran)?;
    assert_eq!(
        (outcome(&told, "step"), outcome(&told, "fault")),
        ("install", "product"),
        "{ran}"
    );
    assert!(outcome(&told, "why").contains("kNotEnoughSpace"), "{ran}");
    assert!(
        std::fs::read_to_string(text(&told, "update_log"))?.contains("and the slot"),
        "the updater's own log is kept"
    );

    world.is_left_well("A", "1.0.0")
}

#[test]
fn a_flash_that_is_cut_off_leaves_the_old_system() -> anyhow::Result<()> {
    if let Some(why) = lab::lacking() {
        skipped(&why);
        return Ok(());
    }
    let mut world = World::of(System::default())?;

    // Somebody else wants the same device; then the tunnel is cut.
    let running = downloading(&world, &[])?;
    let second = world.flash_with(&large())?.run()?.exits(1)?;
    assert!(
        outcome(&record(&second)?, "why").contains("is being flashed by process"),
        "{second}"
    );
    let tunnel = tunnels(&world);
    assert!(tunnel.len() == 1, "one tunnel, not {tunnel:?}: {}", running.finish()?);
    tunnel[0].kill();
    let ran = running.finish()?.exits(1)?;
    let told = record(&ran)?;
    assert_eq!(
        (outcome(&told, "step"), outcome(&told, "fault")),
        ("install", "infrastructure"),
        "{ran}"
    );
    assert!(outcome(&told, "why").contains("the tunnel was cut"), "{ran}");
    assert_eq!(told["outcome"]["device_works"], true, "{ran}");
    world.is_left_well("A", "1.0.0")?;

    // Interrupted.
    let mut running = downloading(&world, &[])?;
    running.child().signal(Signal::INT);
    let ran = running.finish()?.exits(130)?;
    let told = record(&ran)?;
    assert_eq!(
        (outcome(&told, "is"), outcome(&told, "step")),
        ("cancelled", "install"),
        "{ran}"
    );
    assert_eq!(told["outcome"]["device_works"], true, "{ran}");
    world.is_left_well("A", "1.0.0")?;

    // Whoever flashes is killed: what he started ends with him, and what stands on record says so.
    let mut running = downloading(&world, &[])?;
    running.child().signal(Signal::KILL);
    running.finish()?.exits(137)?;
    wait::until("the tunnel's end", || Ok(tunnels(&world).is_empty().then_some(())))?;
    assert!(!world.is_locked()?);
    let records = world.records()?;
    let last = records.last().map(|told| outcome(told, "why").to_owned());
    assert!(last.is_some_and(|why| why.contains("cut off")), "{records:?}");

    // The machine's power goes in mid-write, and comes back by the power command.
    at_rest(&world)?;
    let (command, marker) = power(&world)?;
    let running = downloading(&world, &["--power-command", &command])?;
    world.machine.power_off();
    wait::until_within(LIMIT, "the power command", || Ok(marker.exists().then_some(())))?;
    world.machine.power_on()?;
    let ran = running.finish()?.exits(1)?;
    let told = record(&ran)?;
    assert_eq!(
        (outcome(&told, "step"), outcome(&told, "fault")),
        ("install", "infrastructure"),
        "{ran}"
    );
    assert_eq!(told["outcome"]["device_works"], true, "{ran}");
    world.is_left_well("A", "1.0.0")
}

#[test]
fn a_machine_that_freezes_in_mid_write_is_given_up_in_time() -> anyhow::Result<()> {
    if let Some(why) = lab::lacking() {
        skipped(&why);
        return Ok(());
    }
    let world = World::of(System::default())?;
    let boot = world.machine.boot_id()?;
    let running = downloading(&world, &["--stall-timeout", "10"])?;
    world.machine.freeze()?;
    let frozen = Instant::now();
    let ran = running.finish()?.exits(1)?;
    // Nothing hangs on it: neither what was sent, nor what is asked of it after.
    assert!(frozen.elapsed() < GIVEN_UP, "{:?}: {ran}", frozen.elapsed());
    let told = record(&ran)?;
    assert_eq!(
        (outcome(&told, "is"), outcome(&told, "step"), outcome(&told, "fault")),
        ("failed", "install", "infrastructure"),
        "{ran}"
    );
    assert_eq!(told["outcome"]["device_works"], false, "{ran}");
    assert_eq!(world.machine.connections(), [], "connections are left");
    assert!(!world.is_locked()?, "a lock is left");

    // It goes on with what it ran, and takes the next flash.
    world.machine.thaw()?;
    at_rest(&world)?;
    assert_eq!(world.machine.boot_id()?, boot);
    world.is_left_well("A", "1.0.0")?;
    world.flash_with(&System::version("2.0.0"))?.run()?.ok()?;
    world.is_left_well("B", "2.0.0")
}

#[test]
fn a_machine_that_stays_off_is_cycled_or_given_up() -> anyhow::Result<()> {
    if let Some(why) = lab::lacking() {
        skipped(&why);
        return Ok(());
    }
    let mut world = World::new(&MachineOrder {
        ailment: Ailment::StaysOff,
        ..MachineOrder::default()
    })?;
    let (command, marker) = power(&world)?;
    let serial = world.machine.serial.clone();
    let console = script(&world, "console", &format!("exec tail -n +1 -F '{}'", serial.display()))?;
    let running = world
        .flash_with(&System::version("2.0.0"))?
        .args([
            "--reboot-timeout",
            "30",
            "--power-command",
            &command,
            "--console-command",
            &console,
        ])
        .start()?;
    wait::until_within(LIMIT, "the power command", || Ok(marker.exists().then_some(())))?;
    assert!(!world.machine.has_power()?);
    world.machine.power_on()?;
    let ran = running.finish()?.ok()?;
    let told = record(&ran)?;
    assert!(ran.err().contains("its power is cut and given back"), "{ran}");
    assert!(
        std::fs::read_to_string(text(&told, "console_log"))?.contains("slot B on trial"),
        "{ran}"
    );
    world.is_left_well("B", "2.0.0")?;

    // Without power it is given up; what was written is whole.
    let ran = world
        .flash_with(&System::version("3.0.0"))?
        .args(["--reboot-timeout", "8"])
        .run()?
        .exits(1)?;
    let told = record(&ran)?;
    assert_eq!(
        (outcome(&told, "step"), outcome(&told, "fault")),
        ("reboot", "product"),
        "{ran}"
    );
    assert!(outcome(&told, "why").contains("it does not answer 8 s after"), "{ran}");
    assert_eq!(told["outcome"]["device_works"], false);
    assert!(ran.err().contains("restarting"), "{ran}");
    world.machine.power_on()?;
    world.machine.wait_until_up()?;
    world.is_left_well("A", "3.0.0")
}

/// A program that leaves a mark: what the machine's power is cut with, since the machine is the story's own.
fn power(world: &World) -> anyhow::Result<(String, PathBuf)> {
    let marker = world.dir.path().join("cycled");
    let program = script(world, "power", &format!("touch '{}'", marker.display()))?;
    Ok((program, marker))
}

fn script(world: &World, name: &str, line: &str) -> anyhow::Result<String> {
    let program = world.dir.path().join(name);
    std::fs::write(&program, format!("#!/bin/sh\n{line}\n"))?;
    Cmd::new("chmod").arg("755").arg(&program).run()?.ok()?;
    Ok(program.display().to_string())
}

/// Waits until the machine's updater does nothing.
fn at_rest(world: &World) -> anyhow::Result<()> {
    wait::until_within(LIMIT, "the updater's rest", || {
        let status = world.machine.run("update_engine_client --status")?.out();
        Ok(status.contains("UPDATE_STATUS_IDLE").then_some(()))
    })
}

/// The tunnels that lead back from the machine.
fn tunnels(world: &World) -> Vec<proc::Process> {
    let mut all = world.machine.connections();
    all.retain(|process| process.argv.iter().any(|word| word == "-R"));
    all
}
