//! Devices that the lab holds: whoever asks for a flash of one is told why not, before anybody goes there.

use std::net::TcpListener;

use windlass_tests::World;
use windlass_tests::process::Cmd;

/// `windlass device …` for somebody.
fn device(world: &World, words: &[&str], who: &str) -> Cmd {
    world.windlass(["device"]).args(words).args(["--as", who])
}

#[test]
fn a_device_that_is_held_is_flashed_by_nobody_else() -> anyhow::Result<()> {
    let mut world = World::empty()?;
    let closed = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
    let config = std::fs::read_to_string(world.config())?;
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";
    std::fs::write(
        world.config(),
        format!(
            "{config}\n[[device]]\nname = \"lab-1\"\naddress = \"127.0.0.1\"\nport = {closed}\nhost_key = \"{key}\"\n"
        ),
    )?;
    world.enrol_everybody()?;
    world.start_bot()?;
    let image = world.dir().join("image.bin");
    std::fs::write(&image, "a bundle")?;
    let image = image.display().to_string();
    let flash = [
        "flash",
        "--device",
        "lab-1",
        "--driver",
        "rauc",
        "--from",
        image.as_str(),
    ];
    let flashes = world.root().join("state/devices/flashes");

    // Somebody has it.
    device(&world, &["reserve", "lab-1", "-m", "kernel trace"], "alice")
        .run()?
        .ok()?;
    let refused = device(&world, &flash, "bob").run()?.exits(1)?;
    for word in [
        "lab-1 is reserved by alice until",
        "kernel trace",
        "hint: alice can give it back",
    ] {
        assert!(refused.err().contains(word), "{word}: {refused}");
    }
    assert!(!flashes.exists(), "nobody goes there");
    // Whoever has it goes there; nobody answers, and that is another matter.
    let mine = device(&world, &flash, "alice").run()?.exits(1)?;
    assert!(mine.out().contains("Connection refused"), "{mine}");
    device(&world, &["release", "lab-1"], "alice").run()?.ok()?;

    // It is quarantined: for everybody, also while the bot is away.
    device(&world, &["quarantine", "lab-1", "-m", "bad disk"], "admin")
        .run()?
        .ok()?;
    world.stop_bot()?;
    let refused = device(&world, &flash, "alice").run()?.exits(1)?;
    for word in [
        "lab-1 is bad, says admin: bad disk",
        "windlass device health lab-1 good",
    ] {
        assert!(refused.err().contains(word), "{word}: {refused}");
    }
    let checked = world.windlass(["device", "check", "lab-1", "--json"]).run()?.exits(1)?;
    let lab = checked.json()?["steps"][0].clone();
    assert_eq!(
        (&lab["step"], &lab["verdict"]),
        (&"lab".into(), &"wrong".into()),
        "{checked}"
    );
    Ok(())
}
