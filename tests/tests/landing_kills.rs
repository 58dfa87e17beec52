//! The bot is killed while tasks run and land: a task lands once or not at all, and the repository is whole.

use std::time::Duration;

use windlass_tests::chance::Chance;
use windlass_tests::people::ALICE;
use windlass_tests::pipeline::{TASK, cannot_build};
use windlass_tests::reader::{Reader, Signed};
use windlass_tests::{World, skipped, specs, wait};

/// What must be true after every kill, once everything has settled.
fn all_is_well(world: &World, landed: u64) -> anyhow::Result<()> {
    assert_eq!(
        world.generation("main")?,
        landed + 1,
        "each task has landed exactly once"
    );
    world.admin(&["repo", "verify", "-b", "main", "--all"])?.ok()?;
    world.admin(&["journal", "verify"])?.ok()?;
    let root = world.root();
    // The bot clears up right after the landing is on record.
    let mut left = Vec::new();
    let gone = wait::until("temporary files to go", || {
        left.clear();
        temporary(&root.join("repos"), &mut left)?;
        temporary(&root.join("state/builds"), &mut left)?;
        packages(&root.join("state/tasks"), &mut left)?;
        Ok(left.is_empty().then_some(()))
    });
    gone.map_err(|error| error.context(format!("they stay: {left:?}")))
}

/// What has a temporary name.
fn temporary(folder: &std::path::Path, left: &mut Vec<String>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(".new") || name.contains("staging") || name.contains(".tmp") || name == ".current.new" {
            left.push(entry.path().display().to_string());
        } else if entry.file_type()?.is_dir() {
            temporary(&entry.path(), left)?;
        }
    }
    Ok(())
}

/// Packages and archives that were built, in the directories of tasks that have all landed.
fn packages(folder: &std::path::Path, left: &mut Vec<String>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry?.path();
        let extension = path.extension().unwrap_or_default();
        if extension == "rpm" || extension == "tar" {
            left.push(path.display().to_string());
        } else if path.is_dir() {
            packages(&path, left)?;
        }
    }
    Ok(())
}

#[test]
fn killed_at_every_point_a_task_lands_once() -> anyhow::Result<()> {
    if let Some(why) = cannot_build() {
        skipped(&why);
        return Ok(());
    }
    let mut world = World::that_builds()?;
    let breeze = world.source(&ALICE, "breeze")?;
    let key = world.admin(&["repo", "key", "show", "-b", "main"])?.ok()?.stdout;
    let mut reader = Reader::new(&world.dir().join("reader"), &key)?;
    let points = windlass::runner::POINTS.iter().chain(&windlass::repository::POINTS);
    let mut landed = 0;
    for point in points {
        landed += 1;
        let version = format!("{landed}.0-alt1");
        breeze.commit("breeze.spec", &specs::noarch("breeze", &version, ""))?;
        breeze.tag(&version)?;
        world.stop_bot()?;
        world.start_bot_that_dies_at(point)?;
        let task = world.pushed_task(&breeze, &["-o", "build", "main", &version])?;
        world.bot_dies(TASK)?;
        // As the kill left it, before anything is mended: a whole old or a whole new generation, signed.
        for arch in ["x86_64", "i586", "source"] {
            let current = world.repository_dir("main").join("current").join(arch);
            let seen = reader.look(&format!("file://{}", current.display()), Signed::Always);
            seen.map_err(|error| error.context(format!("killed at {point}, {arch}")))?;
        }
        world.start_bot()?;
        world
            .ends(&ALICE, task, "done")
            .map_err(|error| error.context(format!("killed at {point}")))?;
        all_is_well(&world, landed).map_err(|error| error.context(format!("killed at {point}")))?;
    }
    Ok(())
}

#[test]
fn killed_anywhere_every_task_lands_once() -> anyhow::Result<()> {
    if let Some(why) = cannot_build() {
        skipped(&why);
        return Ok(());
    }
    let seed = 20_261_121;
    let mut chance = Chance::seeded(seed);
    let mut world = World::that_builds()?;
    let names = ["breeze", "gust", "squall"];
    let clones: Vec<_> = names
        .iter()
        .map(|name| world.source(&ALICE, name))
        .collect::<anyhow::Result<_>>()?;
    let mut tasks = Vec::new();
    for round in 1..=3_u64 {
        let version = format!("{round}.0-alt1");
        for (name, clone) in names.iter().zip(&clones) {
            clone.commit(&format!("{name}.spec"), &specs::noarch(name, &version, ""))?;
            clone.tag(&version)?;
            tasks.push(world.pushed_task(clone, &["-o", "build", "main", &version])?);
        }
        for _ in 0..4 {
            std::thread::park_timeout(chance.millis(1500) + Duration::from_millis(50));
            world.kill_bot();
            world.start_bot()?;
        }
        for task in &tasks {
            world
                .reaches(*task, "done")
                .map_err(|error| error.context(format!("seed {seed}, round {round}")))?;
        }
        all_is_well(&world, round * 3).map_err(|error| error.context(format!("seed {seed}, round {round}")))?;
    }
    Ok(())
}
