//! The virtual lab: machines that boot, take another system, restart into it, and fall back from a bad one.

use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use windlass_tests::lab::machine::Ailment;
use windlass_tests::lab::{self, Fault, Machine, MachineOrder, Slot, System};
use windlass_tests::process::Group;
use windlass_tests::{skipped, wait};

/// How long a machine may take from power to ssh on a machine that does other things too.
const SOON: Duration = Duration::from_mins(1);

/// Whether machines can be run here; says why not.
fn can_run() -> bool {
    lab::lacking().inspect(|why| skipped(why)).is_none()
}

#[test]
fn a_machine_boots_and_says_who_it_is() -> anyhow::Result<()> {
    if !can_run() {
        return Ok(());
    }
    let mut machine = Machine::start(&MachineOrder::default())?;
    let took = machine.wait_until_up()?;
    assert!(took < SOON, "took {took:?}");
    assert_eq!(machine.slot()?, Slot::A);
    assert_eq!(machine.version()?, "1.0.0");
    let release = machine.says("cat /etc/lsb-release")?;
    assert!(release.contains("CHROMEOS_RELEASE_BOARD=vm-lab"), "{release}");
    assert_eq!(machine.says("hostname")?, "lab-1");
    assert_eq!(machine.says("rootdev -s")?, "/dev/vda2");
    assert_eq!(
        machine.says("slotctl status")?,
        "A priority=1 tries=0 successful=1 active\nB priority=0 tries=0 successful=0"
    );
    assert!(
        machine.run("touch /etc/anything")?.err().contains("Read-only"),
        "a system in a slot does not change"
    );
    Ok(())
}

#[test]
fn a_system_written_into_the_other_slot_runs_after_a_restart_and_stays_once_it_is_good() -> anyhow::Result<()> {
    if !can_run() {
        return Ok(());
    }
    let mut machine = Machine::started(&MachineOrder::default())?;
    let boot_id = machine.boot_id()?;
    machine.install(&System::version("2.0.0").image()?, Slot::B)?;
    assert_eq!(machine.version()?, "1.0.0", "until it restarts");
    machine.reboot()?;
    assert_ne!(machine.boot_id()?, boot_id);
    assert_eq!(machine.slot()?, Slot::B);
    assert_eq!(machine.version()?, "2.0.0");
    machine.says("slotctl good")?;
    machine.power_cycle()?;
    machine.wait_until_up()?;
    assert_eq!(machine.slot()?, Slot::B, "good without tries");
    assert_eq!(
        machine.says("slotctl status")?,
        "A priority=1 tries=0 successful=1\nB priority=15 tries=0 successful=1 active"
    );
    // The way back is the same.
    machine.install(&System::version("3.0.0").image()?, Slot::A)?;
    machine.reboot()?;
    assert_eq!(machine.version()?, "3.0.0");
    Ok(())
}

#[test]
fn a_system_that_nobody_calls_good_is_left_after_its_tries() -> anyhow::Result<()> {
    if !can_run() {
        return Ok(());
    }
    let mut machine = Machine::started(&MachineOrder::default())?;
    let twice = System {
        tries: 2,
        ..System::default()
    };
    machine.install(&System::version("2.0.0").image()?, Slot::B)?;
    machine.says(&format!("slotctl try B {}", twice.tries))?;
    machine.reboot()?;
    assert_eq!(machine.version()?, "2.0.0");
    machine.reboot()?;
    assert_eq!(machine.version()?, "2.0.0");
    machine.reboot()?;
    assert_eq!(machine.version()?, "1.0.0");
    assert!(
        machine
            .says("slotctl status")?
            .contains("B priority=15 tries=0 successful=0"),
        "it is not forgotten, only not started"
    );
    Ok(())
}

#[test]
fn a_system_that_panics_is_left_after_its_tries() -> anyhow::Result<()> {
    if !can_run() {
        return Ok(());
    }
    let mut machine = Machine::started(&MachineOrder::default())?;
    let boot_id = machine.boot_id()?;
    let bad = System::version("2.0.0").with(Fault::Panic);
    machine.install(&bad.image()?, Slot::B)?;
    machine.says("slotctl try B 2")?;
    machine.run("reboot")?;
    machine.wait_for_boot_other_than(&boot_id)?;
    assert_eq!((machine.slot()?, machine.version()?), (Slot::A, "1.0.0".to_owned()));
    let console = machine.console();
    assert_eq!(console.matches("Kernel panic").count(), 2, "{console}");
    assert!(console.contains("slot B on trial, 0 tries left"), "{console}");
    Ok(())
}

#[test]
fn a_system_that_does_not_come_up_is_left_by_the_watchdog() -> anyhow::Result<()> {
    if !can_run() {
        return Ok(());
    }
    for fault in [Fault::NoSsh, Fault::Hang] {
        let mut machine = Machine::started(&MachineOrder {
            watchdog: Duration::from_secs(20),
            ..MachineOrder::default()
        })?;
        let boot_id = machine.boot_id()?;
        machine.install(&System::version("2.0.0").with(fault).image()?, Slot::B)?;
        machine.says("slotctl try B 1")?;
        machine.run("reboot")?;
        machine.wait_for_boot_other_than(&boot_id)?;
        assert_eq!(machine.version()?, "1.0.0", "{fault:?}");
        assert!(machine.console().contains("init: vm-lab 2.0.0 in slot B"), "{fault:?}");
    }
    Ok(())
}

#[test]
fn a_damaged_system_is_not_started_at_all() -> anyhow::Result<()> {
    if !can_run() {
        return Ok(());
    }
    let mut machine = Machine::started(&MachineOrder::default())?;
    let mut image = std::fs::read(System::version("2.0.0").image()?)?;
    let words = b"CHROMEOS_RELEASE_NAME=Windlass Lab";
    let at = image.windows(words.len()).position(|window| window == words);
    image[at.context("the file is in the image")?] ^= 1;
    let damaged = machine.dir().join("damaged");
    std::fs::write(&damaged, image)?;
    machine.install(&damaged, Slot::B)?;
    machine.reboot()?;
    assert_eq!(machine.version()?, "1.0.0");
    assert!(machine.console().contains("slot B is broken"), "{}", machine.console());
    assert!(
        machine
            .says("slotctl status")?
            .contains("B priority=0 tries=0 successful=0")
    );
    Ok(())
}

#[test]
fn a_machine_killed_in_mid_write_runs_its_old_system() -> anyhow::Result<()> {
    if !can_run() {
        return Ok(());
    }
    let mut machine = Machine::started(&MachineOrder::default())?;
    // The slot was worth starting before: it must not be any more.
    machine.install(&System::version("2.0.0").image()?, Slot::B)?;
    let image = std::fs::read(System::version("3.0.0").image()?)?;
    let mut command = machine
        .ssh()
        .arg("slotctl disable B && dd of=/dev/vda3 bs=64k && slotctl try B")
        .command();
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child = command.spawn()?;
    let mut stdin = child.stdin.take().context("stdin is piped")?;
    let _writer = Group::of(child);
    stdin.write_all(&image[..image.len() / 4])?;
    wait::until("the beginning of the write", || {
        let words = machine.run("slotctl status; grep -c 3.0.0 /dev/vda3")?.out();
        Ok((words.contains("B priority=0") && !words.trim_end().ends_with("\n0")).then_some(()))
    })?;
    machine.power_cycle()?;
    machine.wait_until_up()?;
    assert_eq!((machine.slot()?, machine.version()?), (Slot::A, "1.0.0".to_owned()));
    assert!(
        machine
            .says("slotctl status")?
            .contains("B priority=0 tries=0 successful=0")
    );
    Ok(())
}

#[test]
fn a_broken_partition_table_is_read_from_its_copy_and_mended() -> anyhow::Result<()> {
    if !can_run() {
        return Ok(());
    }
    let mut machine = Machine::started(&MachineOrder::default())?;
    machine.says("dd if=/dev/zero of=/dev/vda bs=512 seek=1 count=1 conv=fsync,notrunc")?;
    machine.power_cycle()?;
    machine.wait_until_up()?;
    machine.says("slotctl try B")?;
    let check = windlass_tests::Cmd::new("sgdisk")
        .arg("-v")
        .arg(machine.dir().join("disk"))
        .run()?;
    assert!(check.out().contains("No problems found"), "{check}");
    Ok(())
}

#[test]
fn a_machine_can_be_cut_off_frozen_and_stay_off() -> anyhow::Result<()> {
    if !can_run() {
        return Ok(());
    }
    let mut machine = Machine::started(&MachineOrder {
        ailment: Ailment::StaysOff,
        name: "lab-ill".to_owned(),
        ..MachineOrder::default()
    })?;
    let quick = |machine: &Machine| machine.ssh().arg("true").limit(Duration::from_secs(3)).run();
    for (cut, mend) in [
        (
            Machine::unplug as fn(&Machine) -> anyhow::Result<()>,
            Machine::plug as fn(&Machine) -> anyhow::Result<()>,
        ),
        (Machine::freeze, Machine::thaw),
    ] {
        cut(&machine)?;
        assert!(quick(&machine).is_err(), "nothing answers");
        mend(&machine)?;
        machine.wait_until_up()?;
    }
    machine.run("reboot")?;
    wait::until("the machine's going off", || Ok((!machine.has_power()?).then_some(())))?;
    machine.power_on()?;
    machine.wait_until_up()?;
    assert_eq!(machine.version()?, "1.0.0");
    Ok(())
}

#[test]
fn four_machines_run_at_once_and_leave_nothing() -> anyhow::Result<()> {
    if !can_run() {
        return Ok(());
    }
    let mut machines = Vec::new();
    for number in 1..=4 {
        machines.push(Machine::start(&MachineOrder {
            name: format!("lab-{number}"),
            ..MachineOrder::default()
        })?);
    }
    let mut dirs = Vec::new();
    for (number, machine) in (1..).zip(&mut machines) {
        machine.wait_until_up()?;
        assert_eq!(machine.says("hostname")?, format!("lab-{number}"));
        dirs.push(machine.dir().to_owned());
    }
    assert_ne!(machines[0].host_key, machines[1].host_key);
    drop(machines);
    for dir in dirs {
        assert_eq!(windlass_tests::proc::of_world(&dir), []);
        assert!(!dir.exists());
    }
    Ok(())
}
