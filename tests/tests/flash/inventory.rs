//! A device of the inventory: added, checked, flashed with what is in stock, and not flashed when it is another one.

use std::path::PathBuf;

use serde_json::{Value, json};
use windlass_tests::lab::{self, System};
use windlass_tests::process::Cmd;
use windlass_tests::skipped;

use super::world::{LIMIT, World, outcome, record, text};

/// A key that no machine has.
const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";

/// A configuration for the world's state directory.
struct Inventory<'w> {
    world: &'w World,
    file: PathBuf,
}

impl<'w> Inventory<'w> {
    /// It begins with a comment and without devices.
    fn new(world: &'w World) -> anyhow::Result<Self> {
        let file = world.dir.path().join("windlass.toml");
        let root = world.dir.path().join("root");
        let text = format!(
            "# The lab in the cellar.\n[paths]   # all of them\nroot = \"{}\"\nstate = \"{}\"\n",
            root.display(),
            world.state().display()
        );
        std::fs::write(&file, text)?;
        Ok(Self { world, file })
    }

    /// `windlass --config FILE device …`.
    fn device(&self, words: &[&str]) -> Cmd {
        self.world
            .windlass()
            .arg("--config")
            .arg(&self.file)
            .arg("device")
            .args(words)
            .limit(LIMIT)
    }

    fn text(&self) -> anyhow::Result<String> {
        Ok(std::fs::read_to_string(&self.file)?)
    }

    fn add_text(&self, more: &str) -> anyhow::Result<()> {
        Ok(std::fs::write(&self.file, self.text()? + more)?)
    }
}

/// The verdict of a step, and what was found.
fn step<'a>(checked: &'a Value, name: &str) -> (&'a str, &'a str) {
    let steps = checked["steps"].as_array().into_iter().flatten();
    let found = steps.into_iter().find(|step| step["step"] == name);
    found.map_or(("", ""), |step| (text(step, "verdict"), text(step, "found")))
}

/// A version in the stock, as a job leaves it there.
fn stock(world: &World, system: &System) -> anyhow::Result<()> {
    let folder = world.state().join("payloads/kiosk").join(&system.version);
    std::fs::create_dir_all(&folder)?;
    std::fs::rename(world.payload(system)?, folder.join("payload.bin"))?;
    let made = json!({
        "at": "2026-01-31T12:00:00Z", "job": 1, "inputs": "00",
        "made": {
            "payload": "kiosk", "board": "vm-lab", "version": system.version, "number": 2, "digest": "00".repeat(32), "size": 1, "reused": false,
            "generations": {}, "packages": [],
        },
    });
    Ok(std::fs::write(folder.join("made.json"), made.to_string())?)
}

#[test]
fn a_device_of_the_inventory_is_checked_and_flashed_from_the_stock() -> anyhow::Result<()> {
    if let Some(why) = lab::lacking() {
        skipped(&why);
        return Ok(());
    }
    let world = World::of(System::default())?;
    let lab = Inventory::new(&world)?;
    lab.add_text(&format!(
        "\n[[device]]\nname = \"lab-1\"\naddress = \"127.0.0.1\"\nport = {}\nidentity = \"{}\"\nhost_key = \"{}\"\nboard = \"vm-lab\"\n\
         power = [\"/nonexistent/power\", \"1\"]\n",
        world.machine.port,
        world.machine.identity.display(),
        world.machine.host_key
    ))?;
    let first = world.machine.boot_id()?;

    // Everything but the power command is as it should be, and nothing is changed.
    let checked = lab.device(&["check", "lab-1", "--json"]).run()?.exits(1)?;
    let told = checked.json()?;
    for name in ["lab", "lock", "ssh", "look", "updater", "tunnel"] {
        assert_eq!(step(&told, name).0, "good", "{name}: {checked}");
    }
    assert!(
        step(&told, "look")
            .1
            .contains("board vm-lab, slot /dev/vda2, version 1.0.0"),
        "{checked}"
    );
    assert!(
        step(&told, "tunnel").1.contains("fetched from this machine"),
        "{checked}"
    );
    assert_eq!(step(&told, "power").0, "wrong", "{checked}");
    assert_eq!(step(&told, "payload").0, "noted", "{checked}");
    std::fs::write(&lab.file, lab.text()?.replace("/nonexistent/power", "/bin/true"))?;
    let checked = lab.device(&["check", "lab-1"]).run()?.ok()?;
    for word in ["good   ssh", "good   tunnel", "note   console", "port "] {
        assert!(checked.out().contains(word), "{word}: {checked}");
    }
    assert!(checked.err().contains("lab-1: a flash can begin"), "{checked}");
    assert_eq!(world.machine.boot_id()?, first);
    world.is_left_well("A", "1.0.0")?;

    // A name that nobody knows, and nothing in stock.
    let unknown = lab.device(&["flash", "--device", "lab-2"]).run()?.exits(2)?;
    assert!(unknown.err().contains("hint: did you mean 'lab-1'?"), "{unknown}");
    let empty = lab.device(&["flash", "--device", "lab-1"]).run()?.exits(2)?;
    assert!(
        empty.err().contains("no payload for board vm-lab is in stock"),
        "{empty}"
    );
    assert!(empty.err().contains("hint: name an image: --from FILE"), "{empty}");

    // What is in stock is taken as it is, and proven.
    stock(&world, &System::version("2.0.0"))?;
    let planned = lab.device(&["flash", "--device", "lab-1", "--dry-run"]).run()?.ok()?;
    assert!(planned.out().contains("with payload kiosk 2.0.0"), "{planned}");
    let ran = lab
        .device(&["flash", "--device", "lab-1", "--json", "-m", "a story"])
        .run()?
        .ok()?;
    let told = record(&ran)?;
    assert_eq!(
        (outcome(&told, "is"), text(&told, "to_version")),
        ("succeeded", "2.0.0"),
        "{ran}"
    );
    assert!(!world.state().join("devices/made").exists(), "no payload is made again");
    world.is_left_well("B", "2.0.0")?;

    // The one that answers is another one: nothing goes there.
    std::fs::write(&lab.file, lab.text()?.replace(&world.machine.host_key, OTHER))?;
    let checked = lab.device(&["check", "lab-1", "--json"]).run()?.exits(1)?;
    let told = checked.json()?;
    let (verdict, found) = step(&told, "ssh");
    assert_eq!(verdict, "wrong", "{checked}");
    assert!(found.contains("host key is not the one"), "{checked}");
    assert_eq!(step(&told, "tunnel").0, "skipped", "{checked}");
    let ran = lab.device(&["flash", "--device", "lab-1", "--json"]).run()?.exits(1)?;
    assert!(
        outcome(&record(&ran)?, "why").contains("host key is not the one"),
        "{ran}"
    );
    world.is_left_well("B", "2.0.0")
}
