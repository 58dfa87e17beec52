//! A task's way through all stages, and what its people see of it.

use std::time::Duration;

use anyhow::Context as _;
use windlass_tests::people::{ALICE, Person};
use windlass_tests::pipeline::cannot_build;
use windlass_tests::{Clone, World, proc, skipped, specs, wait};

/// A world that builds, or none where it cannot.
fn world() -> anyhow::Result<Option<World>> {
    if let Some(why) = cannot_build() {
        skipped(&why);
        return Ok(None);
    }
    World::that_builds().map(Some)
}

/// Commits, signs and pushes a spec as a version, to be built; gives the task.
fn push(world: &World, clone: &Clone, version: &str, spec: &str) -> anyhow::Result<u64> {
    clone.commit(&format!("{}.spec", name_of(clone)), spec)?;
    clone.tag(version)?;
    world.pushed_task(clone, &["-o", "build", "main", version])
}

fn name_of(clone: &Clone) -> String {
    let name = clone.dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
    name.trim_end_matches(".git").to_owned()
}

fn says(world: &World, person: &Person, words: &[&str]) -> anyhow::Result<String> {
    Ok(world.ssh(person, words)?.ok()?.out())
}

/// The last line of what is on record of a task that says this, as milliseconds since the epoch.
fn moment(world: &World, task: u64, text: &str) -> anyhow::Result<i64> {
    let ran = world
        .windlass(["task", "log", &task.to_string(), "--json"])
        .run()?
        .ok()?;
    let log = ran.json()?;
    let lines = log["lines"].as_array().context("lines")?;
    let line = lines
        .iter()
        .rev()
        .find(|line| line["text"].as_str().is_some_and(|line| line.contains(text)));
    let at = line
        .and_then(|line| line["at"].as_str())
        .with_context(|| format!("'{text}' in {log}"))?;
    let (seconds, rest) = at.trim_end_matches('Z').split_once('.').unwrap_or((at, "0"));
    let seconds: i64 = seconds
        .rsplit(':')
        .zip([1, 60, 3600])
        .map(|(part, unit)| part.rsplit('T').next().unwrap_or(part).parse::<i64>().unwrap_or(0) * unit)
        .sum();
    let millis: i64 = format!("{rest:0<3}")[..3].parse()?;
    Ok(seconds * 1000 + millis)
}

#[test]
fn a_pushed_tag_becomes_a_generation_and_the_task_tells_how() -> anyhow::Result<()> {
    let Some(world) = world()? else { return Ok(()) };
    let libwind = world.demo_package(&ALICE, "libwind", "1.0-alt1")?;
    let task = world.lands(&libwind, "1.0-alt1")?;
    let id = task.to_string();
    assert_eq!(world.generation("main")?, 2);
    assert_eq!(
        world.listed("main", "i586")?,
        ["libwind-1.0-alt1.i586", "libwind-devel-1.0-alt1.i586"]
    );
    let log = says(&world, &ALICE, &["task", "log", &id])?;
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
    let show = says(&world, &ALICE, &["task", "show", &id])?;
    for line in [
        "i586    3 packages built in ",
        "the plan, on generation 1:",
        "libwind 1.0-alt1 comes (subtask 1)",
        "stages: pkgtar ",
    ] {
        assert!(show.contains(line), "{line} in\n{show}");
    }
    // The package belongs to whoever landed it first.
    let acl = says(&world, &ALICE, &["acl", "main", "libwind", "show"])?;
    assert!(acl.contains("alice"), "{acl}");
    let plan = world.windlass(["repo", "plan", &id]).run()?.ok()?.out();
    assert!(plan.contains("libwind") && plan.contains("libwind-devel"), "{plan}");
    // What each stage wrote.
    let build = says(
        &world,
        &ALICE,
        &["task", "log", &id, "--stage", "build", "--arch", "i586"],
    )?;
    assert!(
        build.contains("== build on i586, subtask 1: ") && build.contains("-march=i586"),
        "{build}"
    );
    assert!(!build.contains("x86_64, subtask"), "{build}");
    let plan = says(&world, &ALICE, &["task", "log", &id, "--stage", "repo-plan"])?;
    assert!(plan.contains("libwind"), "{plan}");
    let commit = says(&world, &ALICE, &["task", "log", &id, "--stage", "repo-commit"])?;
    assert!(commit.contains("generation 2 is there"), "{commit}");
    // Packages are in the repository, only logs stay with the task.
    let run = world.root().join("state/tasks").join(&id).join("1.1/1");
    assert!(run.join("x86_64/log").is_file() && !run.join("pkg.tar").exists());
    Ok(())
}

#[test]
fn an_unchanged_task_builds_nothing_the_second_time_and_takes_under_a_second() -> anyhow::Result<()> {
    let Some(world) = world()? else { return Ok(()) };
    let breeze = world.source(&ALICE, "breeze")?;
    breeze.commit("breeze.spec", &specs::noarch("breeze", "1.0-alt1", ""))?;
    breeze.tag("1.0-alt1")?;
    breeze.push(&["main", "1.0-alt1"])?.ok()?;
    let task = says(&world, &ALICE, &["build", "--test-only", "breeze", "1.0-alt1"])?;
    let id = task.trim();
    world.ends(&ALICE, id.parse()?, "tested")?;
    world.ssh(&ALICE, &["task", "run", id, "--test-only"])?.ok()?;
    world.ends(&ALICE, id.parse()?, "tested")?;
    let shown = world.task(id.parse()?)?;
    let arches = shown["progress"]["subtasks"]["1"]["arches"]
        .as_object()
        .context("arches")?;
    assert_eq!(arches.len(), 2);
    assert!(arches.values().all(|arch| arch["reused"] == true), "{shown}");
    let took = moment(&world, id.parse()?, "try 2 passed")? - moment(&world, id.parse()?, "try 2, iteration 1 begins")?;
    assert!(took < 1000, "the second run took {took} ms");
    // To land it is not run again.
    world.ssh(&ALICE, &["task", "run", id])?.ok()?;
    world.ends(&ALICE, id.parse()?, "done")?;
    let log = says(&world, &ALICE, &["task", "log", id])?;
    assert!(!log.contains("try 3, iteration"), "{log}");
    Ok(())
}

#[test]
fn a_build_that_fails_says_why_and_where_and_waiting_for_it_fails() -> anyhow::Result<()> {
    let Some(world) = world()? else { return Ok(()) };
    let breeze = world.source(&ALICE, "breeze")?;
    let spec = specs::noarch("breeze", "1.0-alt1", "")
        .replace("%install\n", "%build\necho sails are torn >&2\nfalse\n\n%install\n");
    let task = push(&world, &breeze, "1.0-alt1", &spec)?;
    let id = task.to_string();
    let waited = world.wait_for(&ALICE, task)?;
    assert_eq!(waited.code(), 1, "{waited}");
    let why = says(&world, &ALICE, &["task", "why", &id])?;
    for word in [
        "is failed",
        "build on ",
        "sails are torn",
        "the package's fault",
        "task log --stage build",
    ] {
        assert!(why.contains(word), "{word} in\n{why}");
    }
    let log = says(&world, &ALICE, &["task", "log", &id, "--stage", "build"])?;
    assert!(log.contains("sails are torn"), "{log}");
    let run = world.root().join("state/tasks").join(&id).join("1.1/1");
    assert!(!run.join("pkg.tar").exists(), "only logs stay of what is of no use");
    assert_eq!(world.generation("main")?, 1);
    Ok(())
}

/// A package whose build does not end by itself.
fn endless(version: &str) -> String {
    specs::noarch("doldrums", version, "")
        .replace("%install\n", "%build\necho becalmed\nexec sleep 86399\n\n%install\n")
}

/// Whether the endless build of this world runs.
fn is_becalmed() -> bool {
    proc::of_world(std::path::Path::new("86399"))
        .iter()
        .any(|process| process.argv == ["sleep", "86399"])
}

#[test]
fn a_stopped_task_ends_its_build_at_once_and_others_go_on() -> anyhow::Result<()> {
    let Some(mut world) = world()? else { return Ok(()) };
    let doldrums = world.source(&ALICE, "doldrums")?;
    let task = push(&world, &doldrums, "1.0-alt1", &endless("1.0-alt1"))?;
    let id = task.to_string();
    wait::until("the build", || Ok(is_becalmed().then_some(())))?;
    let show = says(&world, &ALICE, &["task", "show", &id])?;
    assert!(show.contains("building since "), "{show}");
    // A bot that is stopped ends the build, and begins it again at its next start.
    world.stop_bot()?;
    wait::until("the end of the build", || Ok((!is_becalmed()).then_some(())))?;
    world.start_bot()?;
    wait::until("the build", || Ok(is_becalmed().then_some(())))?;
    // Whoever follows sees what comes, and the end.
    let words = ["task", "log", &id, "--stage", "build", "--follow"];
    let follow = world.ssh_command(&ALICE, &words)?.start()?;
    wait::until("the follower", || {
        let door = std::fs::read_to_string(world.git_root().join(".windlass/ssh.log"))?;
        Ok(door.contains(&words.join(" ")).then_some(()))
    })?;
    world.ssh(&ALICE, &["task", "abort", &id])?.ok()?;
    wait::until("the end of the build", || Ok((!is_becalmed()).then_some(())))?;
    let followed = follow.finish()?;
    assert!(followed.out().contains("becalmed"), "{followed}");
    assert_eq!(world.state(task)?, "aborted");
    let breeze = world.source(&ALICE, "breeze")?;
    let other = push(&world, &breeze, "1.0-alt1", &specs::noarch("breeze", "1.0-alt1", ""))?;
    world.ends(&ALICE, other, "done")?;
    Ok(())
}

#[test]
fn what_is_there_is_removed_built_once_more_and_copied() -> anyhow::Result<()> {
    let Some(world) = world()? else { return Ok(()) };
    let breeze = world.source(&ALICE, "breeze")?;
    let spec = specs::noarch("breeze", "1.0-alt1", "").replace("Release: alt1", "Release: alt1%{?dist}");
    world.ends(&ALICE, push(&world, &breeze, "1.0-alt1", &spec)?, "done")?;
    let gust = world.source(&ALICE, "gust")?;
    world.ends(
        &ALICE,
        push(&world, &gust, "1.0-alt1", &specs::noarch("gust", "1.0-alt1", ""))?,
        "done",
    )?;

    // Built once more its release grows, twice.
    for (round, release) in [(1, "breeze-1.0-alt1.1.noarch"), (2, "breeze-1.0-alt1.2.noarch")] {
        let id = says(&world, &ALICE, &["task", "new"])?.trim().to_owned();
        world.ssh(&ALICE, &["task", "add", &id, "rebuild", "breeze"])?.ok()?;
        world
            .ssh(
                &ALICE,
                &["task", "run", &id, "-m", &format!("round {round}").replace(' ', "-")],
            )?
            .ok()?;
        world.ends(&ALICE, id.parse()?, "done")?;
        assert!(
            world.listed("main", "i586")?.contains(&release.to_owned()),
            "{:?}",
            world.listed("main", "i586")?
        );
    }
    // What does not count its release up cannot be.
    let id = says(&world, &ALICE, &["task", "new"])?.trim().to_owned();
    world.ssh(&ALICE, &["task", "add", &id, "rebuild", "gust"])?.ok()?;
    world.ssh(&ALICE, &["task", "run", &id, "-m", "again"])?.ok()?;
    world.ends(&ALICE, id.parse()?, "failed")?;
    let why = says(&world, &ALICE, &["task", "why", &id])?;
    assert!(why.contains("%{?dist}"), "{why}");

    // To another repository, and out of this one.
    let id = says(&world, &ALICE, &["task", "new", "stable"])?.trim().to_owned();
    world
        .ssh(&ALICE, &["task", "add", &id, "copy", "breeze", "main"])?
        .ok()?;
    world.ssh(&ALICE, &["task", "run", &id])?.ok()?;
    world.ends(&ALICE, id.parse()?, "done")?;
    assert_eq!(world.listed("stable", "x86_64")?, ["breeze-1.0-alt1.2.noarch"]);
    assert_eq!(world.listed("stable", "source")?, ["breeze-1.0-alt1.2.src"]);
    let id = says(&world, &ALICE, &["task", "new"])?.trim().to_owned();
    world.ssh(&ALICE, &["task", "add", &id, "del", "breeze"])?.ok()?;
    world.ssh(&ALICE, &["task", "run", &id, "-m", "calm"])?.ok()?;
    world.ends(&ALICE, id.parse()?, "done")?;
    assert_eq!(world.listed("main", "x86_64")?, ["gust-1.0-alt1.noarch"]);
    for repository in ["main", "stable"] {
        world.admin(&["repo", "verify", "-b", repository])?.ok()?;
    }
    Ok(())
}

#[test]
fn what_the_machines_cannot_do_fails_no_task_and_is_tried_again() -> anyhow::Result<()> {
    if let Some(why) = cannot_build() {
        skipped(&why);
        return Ok(());
    }
    let mut world = World::that_builds_with(|world| {
        let base = world.dir().join("base");
        let text = std::fs::read_to_string(world.config())?;
        let text = text.replacen(
            "[[repository]]\n",
            &format!("[[repository]]\nbase = [\"{}\"]\n", base.display()),
            1,
        );
        Ok(std::fs::write(world.config(), text)?)
    })?;
    let breeze = world.source(&ALICE, "breeze")?;
    let task = push(&world, &breeze, "1.0-alt1", &specs::noarch("breeze", "1.0-alt1", ""))?;
    let id = task.to_string();
    let why = wait::until("the trouble", || {
        let why = says(&world, &ALICE, &["task", "why", &id])?;
        Ok(why.contains("the infrastructure failed").then_some(why))
    })?;
    assert!(
        why.contains("is awaiting") && why.contains("it is tried again after"),
        "{why}"
    );
    // It keeps its place; nobody has to do anything but mend what is broken. A new start tries at once.
    std::fs::create_dir_all(world.dir().join("base"))?;
    windlass_tests::process::Cmd::new("createrepo_c")
        .arg(world.dir().join("base"))
        .run()?
        .ok()?;
    world.stop_bot()?;
    world.start_bot()?;
    wait::until_within(Duration::from_mins(2), "the landing", || {
        Ok((world.state(task)? == "done").then_some(()))
    })
}
