//! `cargo xtask demo --devices`: what lands goes to two lab devices, virtual machines here, which really restart; and a payload that does not come
//! up goes no further than the canary.

use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context as _, bail};
use windlass_tests::lab::package::PACKAGE;
use windlass_tests::lab::{Machine, MachineOrder, System};
use windlass_tests::{settings, wait};

use super::place::Place;
use super::show::Keep;
use super::tasks;

/// How long making a payload and flashing the devices may take on a loaded machine.
const FLASHES: Duration = Duration::from_mins(10);

/// The devices; the first one is the canary.
const DEVICES: [&str; 2] = ["lab-1", "lab-2"];

/// Two machines come up.
pub(super) fn machines(place: &mut Place) -> anyhow::Result<()> {
    place.show.step(
        "Two lab devices",
        "They are virtual machines, emulated in software: a disk with two slots for a system and one partition that stays, an ssh server, \
         and a boot selector that gives a new system one try and then goes back to the old one.",
    );
    place.show.waits("the machines start");
    for name in DEVICES {
        let order = MachineOrder {
            name: name.to_owned(),
            ..MachineOrder::with_system(system("0.9"))
        };
        place.machines.push(Machine::start(&order)?);
    }
    for machine in &mut place.machines {
        machine.wait_until_up()?;
    }
    let mut config = Vec::new();
    for (name, machine) in DEVICES.iter().zip(&place.machines) {
        write!(
            config,
            "Host {name}\n\tHostName 127.0.0.1\n\tPort {}\n\tUser root\n\tIdentityFile {}\n\tIdentitiesOnly yes\n\
             \tUserKnownHostsFile {}\n\tBatchMode yes\n\tLogLevel ERROR\n",
            machine.port,
            machine.identity.display(),
            machine.known_hosts.display(),
        )?;
    }
    let folder = place.dir.join(".ssh");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("config"), config)?;
    place.ok(
        "admin",
        "ssh lab-1 cat /etc/lsb-release",
        Keep::With(&["BOARD", "VERSION"]),
    )?;
    Ok(())
}

fn system(version: &str) -> System {
    System {
        tries: 1,
        ..System::version(version)
    }
}

/// A server that knows them.
pub(super) fn server(place: &mut Place) -> anyhow::Result<()> {
    place.show.step(
        "A server that makes payloads for them",
        "A payload is told by its packages: the system that the devices need to come up, which is in the repository, and windsock, which is \
         not there yet. Both devices take it whenever a landing made a new one, the canary first.",
    );
    place.ok(
        "admin",
        "windlass init --yes --one-user admin --dir \"$PWD/srv\" --repository main --architecture x86_64",
        Keep::With(&["Done"]),
    )?;
    let listen = format!("\"127.0.0.1:{}\"", place.port);
    settings::set(&place.config(), "http", "listen", &listen)?;
    place.ok("admin", "windlass repo init", Keep::All)?;
    let packages = place.dir.join("lab");
    std::fs::create_dir_all(&packages)?;
    let package = system("1.0").package(&packages)?;
    let import = format!(
        "windlass repo import {}",
        package.parent().context("it is in a folder")?.display()
    );
    place.ok("admin", &import, Keep::Unseen)?;
    let mut config = std::fs::OpenOptions::new().append(true).open(place.config())?;
    write!(
        config,
        "\n[[payload]]\nname = \"lab\"\nboard = \"vm-lab\"\n\n[[payload.partition]]\nname = \"root\"\npackages = [\"{PACKAGE}\", \"windsock\"]\n\
         size = \"48MiB\"\n\n[[payload.partition.file]]\npath = \"/etc/lsb-release\"\n\
         content = \"CHROMEOS_RELEASE_BOARD={{board}}\\nCHROMEOS_RELEASE_VERSION={{version}}\\nCHROMEOS_RELEASE_TRACK=testimage-channel\\n\"\n"
    )?;
    for (at, (name, machine)) in DEVICES.iter().zip(&place.machines).enumerate() {
        let tags = if at == 0 { "[\"canary\"]" } else { "[]" };
        write!(
            config,
            "\n[[device]]\nname = \"{name}\"\naddress = \"127.0.0.1\"\nport = {}\nidentity = \"{}\"\nhost_key = \"{}\"\nboard = \"vm-lab\"\n\
             tags = {tags}\npayload = \"lab\"\nafter_merge = true\n",
            machine.port,
            machine.identity.display(),
            machine.host_key,
        )?;
    }
    drop(config);
    place.ok("admin", "sed -n '/^\\[\\[payload/,$p' srv/windlass.toml", Keep::All)?;
    place.start_bot()?;
    place.start_sshd()
}

/// What lands goes to both.
pub(super) fn good(place: &mut Place) -> anyhow::Result<()> {
    place.show.step(
        "A signed tag, and both devices have it",
        "Alice pushes. What lands makes the payload stale in the very transaction that records it; the payload is made, the canary takes it, \
         restarts, runs the new version from the other slot, and then the second device takes it.",
    );
    tasks::begin(place, "alice", "windsock", "1.0-alt1", Keep::Unseen)?;
    tasks::push(place, "alice/windsock", "1.0-alt1", "build")?;
    tasks::wait(place, "alice/windsock", 1, 0, Keep::All)?;
    settle(place)?;
    place.ok("alice", "ssh windlass job ls --state done", Keep::All)?;
    place.ok("alice", "ssh windlass device ls", Keep::All)?;
    runs(place, "windsock 1.0: from the south")
}

/// What does not come up goes no further than the canary.
pub(super) fn bad(place: &mut Place) -> anyhow::Result<()> {
    place.show.step(
        "A version that does not come up",
        "windsock 1.1 passes every check of a package, and breaks the start of the system. The canary's boot selector goes back to the old \
         system; that it was rolled back is told as what it is, and the second device is left alone.",
    );
    tasks::write(place, "alice", "windsock", "1.1-alt1")?;
    tasks::push(place, "alice/windsock", "1.1-alt1", "build")?;
    tasks::wait(place, "alice/windsock", 2, 0, Keep::With(&["landed"]))?;
    settle(place)?;
    place.ok("alice", "ssh windlass device ls", Keep::All)?;
    place.ok("alice", "ssh windlass job ls --state failed,cancelled", Keep::All)?;
    runs(place, "windsock 1.0: from the south")
}

/// The repair goes to both.
pub(super) fn mended(place: &mut Place) -> anyhow::Result<()> {
    place.show.step(
        "The repair, and what is on record",
        "windsock 1.2 is flashed like the first one. Each flash has left one record: from which version to which, which slot, which boots, \
         how long each step took.",
    );
    tasks::write(place, "alice", "windsock", "1.2-alt1")?;
    tasks::push(place, "alice/windsock", "1.2-alt1", "build")?;
    tasks::wait(place, "alice/windsock", 3, 0, Keep::With(&["landed"]))?;
    settle(place)?;
    runs(place, "windsock 1.2: from the south, force 2")?;
    place.ok("alice", "ssh windlass device history lab-1", Keep::All)?;
    place.ok("admin", "windlass journal verify", Keep::All)?;
    Ok(())
}

/// Asks both devices.
fn runs(place: &mut Place, expected: &str) -> anyhow::Result<()> {
    for name in DEVICES {
        let said = place.ok("admin", &format!("ssh {name} windsock"), Keep::All)?;
        if said.line() != expected {
            bail!("{name} says otherwise, not '{expected}': {said}");
        }
    }
    Ok(())
}

/// Waits until no job is left to do.
fn settle(place: &mut Place) -> anyhow::Result<()> {
    place.show.waits("the payload is made and flashed");
    wait::until_within(FLASHES, "the jobs to end", || {
        let list = place.ok("alice", "ssh windlass job ls --json", Keep::Unseen)?.json()?;
        Ok(list.as_array().is_some_and(Vec::is_empty).then_some(()))
    })
}
