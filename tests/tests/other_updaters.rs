//! Updaters of other people, real ones: they install what is signed into the slot that does not run, and refuse what was changed.

use std::path::Path;

use windlass_tests::lab::rauc::{self, Rauc};
use windlass_tests::lab::swupdate::{self, SwUpdate};
use windlass_tests::lab::{Fault, Slot, System, damaged};
use windlass_tests::skipped;

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[test]
fn rauc_installs_a_bundle_and_refuses_another() -> anyhow::Result<()> {
    if let Some(why) = rauc::lacking() {
        skipped(&why);
        return Ok(());
    }
    let mut rauc = Rauc::start(&System::default())?;
    let status = rauc.run(&["rauc", "status", "--output-format=json"])?.ok()?.json()?;
    assert_eq!(status["compatible"], "vm-lab");
    assert_eq!(status["booted"], "A");

    let bundle = rauc.bundle(&System::version("2.0.0"))?;
    let bad = damaged(&bundle)?;
    let refused = rauc.run(&["rauc", "install", &shown(&bad)])?.exits(1)?;
    assert!(
        refused.err().contains("signature verification failed")
            || refused.out().contains("signature verification failed"),
        "{refused}"
    );
    let foreign = rauc.bundle(&System {
        board: "other".to_owned(),
        ..System::version("2.0.0")
    })?;
    let refused = rauc.run(&["rauc", "install", &shown(&foreign)])?.exits(1)?;
    assert!(refused.to_string().contains("Compatible mismatch"), "{refused}");
    assert_eq!(rauc.board.get("primary")?, "A");

    rauc.run(&["rauc", "install", &shown(&bundle)])?.ok()?;
    assert_eq!(rauc.board.version(Slot::B)?, "2.0.0");
    rauc.restart()?;
    let status = rauc.run(&["rauc", "status", "--output-format=json"])?.ok()?.json()?;
    assert_eq!(
        (&status["booted"], &status["boot_primary"]),
        (&"B".into(), &"rootfs.1".into())
    );
    rauc.run(&["rauc", "status", "mark-good"])?.ok()?;

    // One that does not come up: the boot loader goes back.
    let broken = rauc.bundle(&System::version("3.0.0").with(Fault::Panic))?;
    rauc.run(&["rauc", "install", &shown(&broken)])?.ok()?;
    assert_eq!(rauc.board.get("primary")?, "A");
    rauc.restart()?;
    let status = rauc.run(&["rauc", "status", "--output-format=json"])?.ok()?.json()?;
    assert_eq!(status["booted"], "B");
    assert_eq!(rauc.board.get("state-A")?, "bad");
    Ok(())
}

#[test]
fn swupdate_installs_an_update_and_refuses_another() -> anyhow::Result<()> {
    if let Some(why) = swupdate::lacking() {
        skipped(&why);
        return Ok(());
    }
    let board = SwUpdate::new(&System::default())?;
    let update = board.update(&System::version("2.0.0"))?;
    let bad = damaged(&update)?;
    let refused = board.install(&bad)?.exits(1)?;
    assert!(refused.to_string().contains("HASH mismatch"), "{refused}");
    let foreign = board.update(&System {
        board: "other".to_owned(),
        ..System::version("2.0.0")
    })?;
    let refused = board.install(&foreign)?.exits(1)?;
    assert!(
        refused.to_string().contains("not compatible with hardware"),
        "{refused}"
    );
    assert_eq!(board.board.restart()?, Slot::A);

    board.install(&update)?.ok()?;
    assert_eq!(board.board.restart()?, Slot::B);
    assert_eq!(board.board.version(Slot::B)?, "2.0.0");

    let broken = board.update(&System::version("3.0.0").with(Fault::NoSsh))?;
    board.install(&broken)?.ok()?;
    assert_eq!(board.board.restart()?, Slot::B, "slot A does not come up");
    Ok(())
}
