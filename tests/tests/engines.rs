//! Container engines: what `windlass image` does on real ones.

use windlass_tests::engines::{self, Engine, Kind, Registry, Setup};
use windlass_tests::skipped;

#[test]
fn engines_start_side_by_side_and_leave_nothing() -> anyhow::Result<()> {
    for kind in Kind::ALL {
        if let Some(why) = engines::lacking(kind) {
            skipped(&why);
            continue;
        }
        let engine = Engine::start(kind)?;
        let other = Engine::start(kind)?;
        assert_ne!(engine.socket, other.socket);
        engine.make_busybox("localhost/busybox:latest")?;
        assert_eq!(engine.image_names()?, ["localhost/busybox:latest"]);
        assert!(other.image_names()?.is_empty(), "each has images of its own");
        let container = engine.run_by_hand("localhost/busybox:latest", &["sleep", "1000"])?;
        let containers = [container];
        assert_eq!(engine.containers()?, containers);
        let dirs = [engine.dir().to_owned(), other.dir().to_owned()];
        assert!(!engines::remains(&dirs[0], &containers).is_empty());
        drop((engine, other));
        for dir in dirs {
            assert_eq!(
                engines::remains(&dir, &containers),
                Vec::<String>::new(),
                "{}",
                kind.name()
            );
            assert!(!dir.exists(), "{} leaves {}", kind.name(), dir.display());
        }
    }
    Ok(())
}

#[test]
fn the_registry_takes_and_gives_with_its_password_only() -> anyhow::Result<()> {
    if let Some(why) = Registry::lacking() {
        skipped(&why);
        return Ok(());
    }
    let open = Registry::start()?;
    assert_eq!(open.get("/v2/_catalog")?["repositories"], serde_json::json!([]));
    assert!(open.tags("nothing/here")?.is_empty());
    let closed = Registry::start_with_password()?;
    assert!(closed.get("/v2/_catalog").is_ok());
    assert_eq!(closed.status_without_password()?, 401);
    if let Some(why) = engines::lacking(Kind::Podman) {
        skipped(&why);
        return Ok(());
    }
    let setup = Setup {
        plain_registries: vec![open.address()],
        ..Setup::default()
    };
    let podman = Engine::start_with(Kind::Podman, &setup)?;
    let name = format!("{}/base/busybox:1", open.address());
    podman.make_busybox(&name)?;
    podman.cli().args(["push", &name]).run()?.ok()?;
    assert_eq!(open.tags("base/busybox")?, ["1"]);
    Ok(())
}
