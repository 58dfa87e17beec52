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

    fn write(&self, text: &str) -> anyhow::Result<()> {
        Ok(std::fs::write(&self.file, text)?)
    }

    /// `windlass device add` of the machine.
    fn add(&self, more: &[&str]) -> Cmd {
        self.device(&["add", "lab-1", "--remote"])
            .arg(format!("root@127.0.0.1:{}", self.world.machine.port))
            .arg("--identity")
            .arg(&self.world.machine.identity)
            .args(more)
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
    let first = world.machine.boot_id()?;

    // It is added with the key that it shows, once that is agreed to and everything is as it should be.
    let before = lab.text()?;
    let unknown = lab.add(&[]).run()?.exits(3)?;
    assert!(
        unknown.err().contains("SHA256:") && unknown.err().contains("hint: --accept-new"),
        "{unknown}"
    );
    let stranger = lab.add(&["--host-key", OTHER]).run()?.exits(1)?;
    assert!(stranger.err().contains("host key is not the one"), "{stranger}");
    let powerless = ["--accept-new", "--power-command", "/nonexistent/power,1"];
    let powerless = lab.add(&powerless).run()?.exits(1)?;
    assert!(powerless.err().contains("WRONG  power"), "{powerless}");
    assert!(powerless.err().contains("lab-1 is not added"), "{powerless}");
    let printed = lab.add(&["--accept-new", "--dry-run"]).run()?.ok()?;
    assert!(printed.out().starts_with("[[device]]\nname = \"lab-1\"\n"), "{printed}");
    let wrong = lab.add(&["--accept-new", "--payload", "kiosk"]).run()?.exits(1)?;
    assert!(wrong.err().contains("there is no payload 'kiosk'"), "{wrong}");
    assert_eq!(lab.text()?, before);
    let added = lab.add(&["--accept-new", "--tag", "canary"]).run()?.ok()?;
    assert_eq!(lab.text()?, format!("{before}\n{}", added.out()));
    for line in [
        format!("host_key = \"{}\"\n", world.machine.host_key),
        "board = \"vm-lab\"\n".to_owned(),
        "tags = [\"canary\"]\n".to_owned(),
    ] {
        assert!(added.out().contains(&line), "{line}: {added}");
    }
    let again = lab.add(&["--accept-new"]).run()?.exits(1)?;
    assert!(again.err().contains("there is a device 'lab-1' already"), "{again}");
    world.is_left_well("A", "1.0.0")?;

    // Everything but the power command is as it should be, and nothing is changed.
    lab.write(
        &lab.text()?
            .replace("tags =", "power = [\"/nonexistent/power\", \"1\"]\ntags ="),
    )?;
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
    lab.write(&lab.text()?.replace("/nonexistent/power", "/bin/true"))?;
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
    lab.write(&lab.text()?.replace(&world.machine.host_key, OTHER))?;
    let checked = lab.device(&["check", "lab-1", "--json"]).run()?.exits(1)?;
    let told = checked.json()?;
    let (verdict, found) = step(&told, "ssh");
    assert_eq!(verdict, "wrong", "{checked}");
    assert!(found.contains("host key is not the one"), "{checked}");
    assert_eq!(step(&told, "tunnel").0, "skipped", "{checked}");
    let ran = lab.device(&["flash", "--device", "lab-1", "--json"]).run()?.exits(1)?;
    let told = record(&ran)?;
    assert_eq!(
        (outcome(&told, "step"), outcome(&told, "fault")),
        ("look", "identity"),
        "{ran}"
    );
    assert!(outcome(&told, "why").contains("host key is not the one"), "{ran}");
    world.is_left_well("B", "2.0.0")
}
