//! The whole way with a daemon: a push is built in a container and lands; a killed bot leaves nothing after its next start.

use windlass_tests::engines::Kind;
use windlass_tests::people::ALICE;
use windlass_tests::pipeline::cannot_build;
use windlass_tests::{World, engines::Engine, skipped, specs, wait};

use crate::bench::{engines_with_image, left};

/// A world whose packages are built on an engine.
fn world(engine: &Engine) -> anyhow::Result<World> {
    World::that_builds_with(|world| {
        world.set("build", "sandbox", "\"container\"")?;
        let builder = format!(
            "\n[[builder]]\nname = \"{}\"\nhost = \"{}\"\narchitectures = [\"x86_64\", \"i586\"]\nimage = \"localhost/windlass-test-build:1\"\nslots = 2\n",
            engine.kind.name(),
            engine.host()
        );
        let text = std::fs::read_to_string(world.config())?;
        std::fs::write(world.config(), text + &builder)?;
        Ok(())
    })
}

#[test]
fn a_push_is_built_in_a_container_and_lands() -> anyhow::Result<()> {
    if let Some(why) = cannot_build() {
        skipped(&why);
        return Ok(());
    }
    for kind in Kind::ALL {
        let Some(engines) = engines_with_image(&[kind])? else {
            return Ok(());
        };
        let engine = &engines[0];
        let mut world = world(engine)?;
        let breeze = world.source(&ALICE, "breeze")?;
        breeze.commit("breeze.spec", &specs::noarch("breeze", "1.0-alt1", ""))?;
        breeze.tag("1.0-alt1")?;
        let task = world.lands(&breeze, "1.0-alt1")?;
        let log = world.windlass(["task", "log", &task.to_string(), "--stage", "build", "--arch", "x86_64"]);
        let log = log.run()?.ok()?.out();
        assert!(
            log.contains(&format!("in containers on builder {}", kind.name())),
            "{log}"
        );
        assert_eq!(world.listed("main", "i586")?, ["breeze-1.0-alt1.noarch"]);
        world.admin(&["repo", "verify", "-b", "main", "--all"])?.ok()?;
        assert_eq!(left(engine)?, Vec::<String>::new());

        // The bot is killed in the middle of a build: after its next start nothing is left, and the task lands.
        breeze.commit("breeze.spec", &specs::noarch("breeze", "2.0-alt1", "%build\nsleep 5\n"))?;
        breeze.tag("2.0-alt1")?;
        let task = world.pushed_task(&breeze, &["-o", "build", "main", "2.0-alt1"])?;
        wait::until("containers of the build", || {
            Ok((engine.containers()?.len() >= 2).then_some(()))
        })?;
        world.kill_bot();
        let before = engine.containers()?;
        assert!(!before.is_empty(), "a killed bot cannot clear up");
        world.start_bot()?;
        wait::until("what the killed bot left to go", || {
            let now = engine.containers()?;
            Ok((!before.iter().any(|old| now.contains(old))).then_some(()))
        })?;
        world.ends(&ALICE, task, "done")?;
        assert_eq!(left(engine)?, Vec::<String>::new());
    }
    Ok(())
}
