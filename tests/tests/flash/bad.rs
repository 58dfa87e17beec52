//! Flashes that go badly: the old system still runs, and the record says what happened.

use windlass_tests::lab::{self, Fault, System};
use windlass_tests::skipped;

use super::world::{World, outcome, record, text};

#[test]
fn a_system_that_does_not_come_up_is_rolled_back() -> anyhow::Result<()> {
    if let Some(why) = lab::lacking() {
        skipped(&why);
        return Ok(());
    }
    let world = World::of(System::default())?;
    let first = world.machine.boot_id()?;
    let broken = System {
        tries: 2,
        ..System::version("2.0.0")
    };
    let ran = world.flash_with(&broken.with(Fault::Panic))?.run()?.exits(1)?;
    let told = record(&ran)?;
    assert_eq!(outcome(&told, "is"), "rolled-back", "{ran}");
    assert!(outcome(&told, "why").contains("/dev/vda2"), "{ran}");
    assert_eq!(
        (text(&told, "slot_before"), text(&told, "slot_after")),
        ("/dev/vda2", "/dev/vda2")
    );
    assert_ne!(text(&told, "boot_id_after"), first);
    world.is_left_well("A", "1.0.0")?;
    assert!(
        world.machine.says("slotctl status")?.contains("tries=0 successful=0"),
        "it is not tried again"
    );

    // A payload with a changed byte is refused by the device.
    let payload = world.dir.path().join("update.gz");
    let made = world.state().join("devices/made");
    let whole = std::fs::read_dir(made)?
        .flatten()
        .map(|entry| entry.path().join("update.gz"))
        .find(|path| path.is_file());
    let mut bytes = std::fs::read(whole.ok_or_else(|| anyhow::anyhow!("a payload was made"))?)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&payload, bytes)?;
    let ran = world
        .flash()
        .arg("--from")
        .arg(&payload)
        .args(["--to-version", "2.0.0"])
        .run()?
        .exits(1)?;
    let told = record(&ran)?;
    assert_eq!(
        (outcome(&told, "is"), outcome(&told, "step"), outcome(&told, "fault")),
        ("failed", "install", "product"),
        "{ran}"
    );
    assert!(
        outcome(&told, "why").contains("kDownloadOperationHashMismatch"),
        "{ran}"
    );
    assert_eq!(told["outcome"]["device_works"], true);
    // The end of the updater's log is shown.
    assert!(ran.err().contains("lab-1:   | "), "{ran}");
    world.is_left_well("A", "1.0.0")?;
    Ok(())
}
