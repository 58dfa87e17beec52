//! Devices that are updated by something else than `update_engine`.

use windlass_tests::lab::{self, Fault, System};
use windlass_tests::skipped;

use super::world::{World, outcome, record, text};

#[test]
fn a_machine_without_an_updater_is_flashed() -> anyhow::Result<()> {
    if let Some(why) = lab::lacking() {
        skipped(&why);
        return Ok(());
    }
    let world = World::of(System::default())?;
    let raw = |system: &System| anyhow::Ok(world.flash_with(system)?.args(["--driver", "raw-ab"]));
    let ran = raw(&System::version("2.0.0"))?.run()?.ok()?;
    let told = record(&ran)?;
    assert_eq!(
        (text(&told, "slot_before"), text(&told, "slot_after")),
        ("A", "B"),
        "{ran}"
    );
    assert_eq!((text(&told, "driver"), text(&told, "to_version")), ("raw-ab", "2.0.0"));
    assert!(world.machine.says("slotctl status")?.contains("successful=1 active"));
    world.is_left_well("B", "2.0.0")?;

    let broken = System {
        tries: 2,
        ..System::version("3.0.0")
    };
    let ran = raw(&broken.with(Fault::Panic))?.run()?.exits(1)?;
    assert_eq!(outcome(&record(&ran)?, "is"), "rolled-back", "{ran}");
    world.is_left_well("B", "2.0.0")?;

    // What is said to be gzip and is none is not sent.
    let cut = world.dir.path().join("cut.gz");
    std::fs::write(&cut, b"\x1f\x8b\x08\0\0\0\0\0")?;
    let ran = world.flash().args(["--driver", "raw-ab", "--from"]).arg(&cut).run()?;
    assert_eq!(ran.code(), 1, "{ran}");
    world.is_left_well("B", "2.0.0")?;

    // Any updater, by its commands.
    let driver = world.dir.path().join("driver.toml");
    std::fs::write(
        &driver,
        "kind = \"command\"\n\
         install = [\"update_engine_client\", \"--update\", \"--omaha_url={base}/update\"]\n\
         active = [\"slotctl\", \"active\"]\nother = [\"slotctl\", \"other\"]\ngood = [\"slotctl\", \"good\"]\n",
    )?;
    let payload = world.payload(&System::version("4.0.0"))?;
    let ran = world
        .flash()
        .arg("--driver-file")
        .arg(&driver)
        .arg("--from")
        .arg(&payload)
        .args(["--to-version", "4.0.0"])
        .run()?
        .ok()?;
    let told = record(&ran)?;
    assert_eq!(
        (text(&told, "driver"), text(&told, "slot_after")),
        ("command", "A"),
        "{ran}"
    );
    world.is_left_well("A", "4.0.0")
}
