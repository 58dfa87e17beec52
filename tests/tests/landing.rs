//! A task's way through all stages.

use windlass_tests::people::ALICE;
use windlass_tests::pipeline::cannot_build;
use windlass_tests::{World, skipped};

#[test]
fn a_pushed_tag_becomes_a_generation_and_the_task_tells_how() -> anyhow::Result<()> {
    if let Some(why) = cannot_build() {
        skipped(&why);
        return Ok(());
    }
    let world = World::that_builds()?;
    let libwind = world.demo_package(&ALICE, "libwind", "1.0-alt1")?;
    let task = world.lands(&libwind, "1.0-alt1")?;
    assert_eq!(world.generation("main")?, 2);
    assert_eq!(
        world.listed("main", "i586")?,
        ["libwind-1.0-alt1.i586", "libwind-devel-1.0-alt1.i586"]
    );
    let log = world.ssh(&ALICE, &["task", "log", &task.to_string()])?.ok()?.out();
    for line in [
        "pkgtar passed",
        "build on i586 passed",
        "build on x86_64 passed",
        "check-build passed",
        "the plan: libwind 1.0-alt1 comes; packages: i586 +2 -0, source +1 -0, x86_64 +2 -0",
        "repo-vercheck passed",
        "repo-unmets passed",
        "check-acl passed",
        "landed: generation 2",
    ] {
        assert!(log.contains(line), "{line} in\n{log}");
    }
    Ok(())
}
