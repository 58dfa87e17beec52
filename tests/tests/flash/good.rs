//! Flashes that go well, and what is refused before anything is done.

use windlass_tests::lab::{self, System};
use windlass_tests::skipped;

use super::world::{World, outcome, record, text};

#[test]
fn a_machine_is_flashed_and_proven() -> anyhow::Result<()> {
    if let Some(why) = lab::lacking() {
        skipped(&why);
        return Ok(());
    }
    let world = World::of(System::default())?;
    let first = world.machine.boot_id()?;

    // Looking changes nothing.
    let looked = world
        .flash_with(&System::version("2.0.0"))?
        .arg("--dry-run")
        .run()?
        .ok()?;
    let looked = looked.json()?;
    assert_eq!(
        (
            text(&looked, "board"),
            text(&looked, "version"),
            text(&looked, "slot"),
            text(&looked, "boot_id")
        ),
        ("vm-lab", "1.0.0", "/dev/vda2", first.as_str())
    );
    assert!(!world.state().join("devices/flashes").exists());

    // Another board is refused, by name.
    let foreign = System {
        board: "other".to_owned(),
        ..System::version("9.0.0")
    };
    let refused = world.flash_with(&foreign)?.run()?.exits(1)?;
    let why = record(&refused)?;
    assert_eq!(outcome(&why, "is"), "failed");
    assert_eq!((outcome(&why, "step"), outcome(&why, "fault")), ("look", "product"));
    for word in ["vm-lab", "other", "--force-mismatch"] {
        assert!(outcome(&why, "why").contains(word), "{refused}");
    }
    assert_eq!(world.machine.boot_id()?, first);
    world.is_left_well("A", "1.0.0")?;

    // A disk image, with its stateful partition.
    let disk = world.disk(&System::version("2.0.0"), "chromiumos_image.bin")?;
    let flashed = world
        .flash()
        .arg("--from")
        .arg(world.dir.path())
        .args(["-m", "a story", "--patch_kernel", "--verbose"])
        .run()?
        .ok()?;
    let told = record(&flashed)?;
    assert_eq!(outcome(&told, "is"), "succeeded", "{flashed}");
    assert_eq!(
        (text(&told, "from_version"), text(&told, "to_version")),
        ("1.0.0", "2.0.0")
    );
    assert_eq!(
        (text(&told, "slot_before"), text(&told, "slot_after")),
        ("/dev/vda2", "/dev/vda3")
    );
    assert_eq!(text(&told, "boot_id_before"), first);
    assert_eq!(text(&told, "boot_id_after"), world.machine.boot_id()?);
    assert_eq!(
        (text(&told, "board"), text(&told, "driver"), text(&told, "why")),
        ("vm-lab", "update_engine", "a story")
    );
    let events: Vec<u64> = told["events"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|event| event["event"].as_u64())
        .collect();
    assert_eq!(events, [13, 14, 3]);
    assert!(told["bytes_sent"].as_u64().unwrap_or(0) > 100_000, "{flashed}");
    assert_eq!(text(&told, "payload").len(), 64);
    let steps: Vec<&str> = told["steps"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|step| text(step, "step"))
        .collect();
    assert_eq!(
        steps,
        [
            "lock",
            "payload",
            "look",
            "serve",
            "install",
            "stateful",
            "reboot",
            "mark-good",
            "clean"
        ]
    );
    for word in ["--patch_kernel is ignored", "ssh -T", "installing", "restarting"] {
        assert!(flashed.err().contains(word), "{word} in {flashed}");
    }
    assert!(std::fs::read_to_string(text(&told, "update_log"))?.contains("Update succeeded"));
    assert_eq!(world.records()?.last(), Some(&told));
    world.is_left_well("B", "2.0.0")?;
    // It is marked good, and will be started again.
    assert!(
        world.machine.says("slotctl status")?.contains("successful=1 active"),
        "{}",
        world.machine.says("slotctl status")?
    );
    assert!(world.machine.console().contains("the stateful update is in place"));

    // What differs from the image that it runs, and another board by force.
    let next = World::disk(
        &world,
        &System {
            board: "other".to_owned(),
            ..System::version("3.0.0")
        },
        "next.bin",
    )?;
    let delta = world
        .flash()
        .args(["--board", "other", "--force-mismatch", "--no-stateful", "--from"])
        .arg(&next)
        .arg("--delta-from")
        .arg(&disk)
        .run()?
        .ok()?;
    let smaller = record(&delta)?;
    assert_eq!(
        (outcome(&smaller, "is"), text(&smaller, "to_version")),
        ("succeeded", "3.0.0")
    );
    let sent = |record: &serde_json::Value| record["bytes_sent"].as_u64().unwrap_or(0);
    assert!(
        sent(&smaller) * 4 < sent(&told),
        "{} of {}",
        sent(&smaller),
        sent(&told)
    );
    world.is_left_well("A", "3.0.0")?;
    Ok(())
}
