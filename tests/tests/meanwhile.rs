//! What changes between a task's steps: approvals, keys, dependencies; and what each architecture by itself would not show.

use anyhow::Context as _;
use windlass_tests::people::{ALICE, BOB, CAROL};
use windlass_tests::pipeline::cannot_build;
use windlass_tests::{Clone, World, skipped, specs};

/// A world that builds, or none where it cannot.
fn world() -> anyhow::Result<Option<World>> {
    if let Some(why) = cannot_build() {
        skipped(&why);
        return Ok(None);
    }
    World::that_builds().map(Some)
}

/// Commits, signs and pushes a version without asking for a build.
fn push(clone: &Clone, name: &str, version: &str, preamble: &str) -> anyhow::Result<()> {
    clone.commit(&format!("{name}.spec"), &specs::noarch(name, version, preamble))?;
    clone.tag(version)?;
    clone.push(&["main", version])?.ok()?;
    Ok(())
}

/// The number of the newest task.
fn newest(world: &World) -> anyhow::Result<u64> {
    let tasks = world.tasks()?;
    let task = tasks.last().and_then(|task| task["task"].as_u64());
    task.context("there is a task")
}

#[test]
fn an_approval_of_what_was_there_before_does_not_hold_for_what_is_there_now() -> anyhow::Result<()> {
    let Some(world) = world()? else { return Ok(()) };
    let hers = world.source(&ALICE, "breeze")?;
    push(&hers, "breeze", "1.0-alt1", "")?;
    world.ssh(&ALICE, &["build", "breeze", "1.0-alt1"])?.ok()?;
    world.ends(&ALICE, newest(&world)?, "done")?;

    let nmu = world.source(&CAROL, "breeze")?;
    push(&nmu, "breeze", "1.0-alt1.1", "")?;
    push(&nmu, "breeze", "1.0-alt1.2", "Requires: something-else")?;
    world.ssh(&CAROL, &["task", "new"])?.ok()?;
    let task = newest(&world)?;
    let id = task.to_string();
    world
        .ssh(&CAROL, &["task", "add", &id, "repo", "breeze", "1.0-alt1.1"])?
        .ok()?;
    world
        .ssh(&ALICE, &["task", "approve", &id, "1", "-m", "'this one'"])?
        .ok()?;
    // What was approved goes, another tag comes in its place.
    world.ssh(&CAROL, &["task", "delsub", &id, "1"])?.ok()?;
    push(&nmu, "breeze", "1.0-alt1.3", "")?;
    world
        .ssh(&CAROL, &["task", "add", &id, "repo", "breeze", "1.0-alt1.3"])?
        .ok()?;
    world.ssh(&CAROL, &["task", "run", &id])?.ok()?;
    world.ends(&CAROL, task, "eperm")?;
    assert!(
        world
            .listed("main", "x86_64")?
            .iter()
            .any(|name| name == "breeze-1.0-alt1.noarch")
    );

    // An approval of what is there now does.
    let number = world.task(task)?["subtasks"][0]["number"].to_string();
    world
        .ssh(&ALICE, &["task", "approve", &id, &number, "-m", "'and this'"])?
        .ok()?;
    world.reaches(task, "done")?;
    assert!(
        world
            .listed("main", "x86_64")?
            .iter()
            .any(|name| name == "breeze-1.0-alt1.3.noarch")
    );
    Ok(())
}

/// What becomes of Alice's key.
#[derive(Debug, Clone, Copy)]
enum End {
    Revoked,
    Expired,
}

impl End {
    /// The word that a refusal has.
    fn word(self) -> &'static str {
        match self {
            Self::Revoked => "revoked",
            Self::Expired => "expired",
        }
    }

    /// It comes to that, and the server is told.
    fn comes(self, world: &World, clone: &Clone) -> anyhow::Result<()> {
        let gpg = clone.gpg()?;
        let key = clone.home().openpgp.clone().context("Alice signs with OpenPGP")?;
        match self {
            Self::Revoked => drop(gpg.import(gpg.revocation(&key)?)?),
            Self::Expired => gpg.expire(&key, "20210101T000000")?,
        }
        let file = clone.home().dir.join("ended.asc");
        std::fs::write(&file, gpg.export(&key)?)?;
        let add = world.windlass(["keys", "add", "alice", "--openpgp"]);
        add.arg(&file).run()?.ok()?;
        Ok(())
    }
}

#[test]
fn a_key_that_ends_between_the_test_and_the_commit_lets_nothing_land() -> anyhow::Result<()> {
    for end in [End::Revoked, End::Expired] {
        let Some(world) = world()? else { return Ok(()) };
        let breeze = world.source(&ALICE, "breeze")?;
        push(&breeze, "breeze", "1.0-alt1", "")?;
        world.ssh(&ALICE, &["task", "new"])?.ok()?;
        let task = newest(&world)?;
        let id = task.to_string();
        world
            .ssh(&ALICE, &["task", "add", &id, "repo", "breeze", "1.0-alt1"])?
            .ok()?;
        world.ssh(&ALICE, &["task", "run", &id, "--test-only"])?.ok()?;
        world.ends(&ALICE, task, "tested")?;
        end.comes(&world, &breeze)?;

        // Refused at once or found at the commit: it does not land, and the text says what is wrong.
        let asked = world.ssh(&ALICE, &["task", "run", &id, "--commit"])?.read();
        let said = if asked.code() == 0 {
            world.ends(&ALICE, task, "failed")?;
            world.ssh(&ALICE, &["task", "show", &id])?.ok()?.out()
        } else {
            asked.err()
        };
        assert!(said.contains(end.word()), "{said}");
        assert!(world.listed("main", "x86_64")?.is_empty());
    }
    Ok(())
}

#[test]
fn a_key_that_ends_while_its_task_is_on_its_way_lets_nothing_land() -> anyhow::Result<()> {
    for end in [End::Revoked, End::Expired] {
        let Some(mut world) = world()? else { return Ok(()) };
        let breeze = world.source(&ALICE, "breeze")?;
        push(&breeze, "breeze", "1.0-alt1", "")?;
        // All that is tested has passed; what is left is the commit, and the bot is gone.
        world.stop_bot()?;
        world.start_bot_that_dies_at("run.ended")?;
        let asked = world.ssh(&ALICE, &["build", "breeze", "1.0-alt1"])?.read();
        world.bot_dies(windlass_tests::pipeline::TASK)?;
        end.comes(&world, &breeze)?;
        world.start_bot()?;
        let task = newest(&world)?;
        world.ends(&ALICE, task, "failed").with_context(|| asked.err())?;
        let said = world.ssh(&ALICE, &["task", "show", &task.to_string()])?.ok()?.out();
        assert!(said.contains(end.word()), "{said}");
        assert!(world.listed("main", "x86_64")?.is_empty());
    }
    Ok(())
}

#[test]
fn two_sources_that_give_one_name_on_different_architectures_are_found_out() -> anyhow::Result<()> {
    let Some(world) = world()? else { return Ok(()) };
    world.ssh(&ALICE, &["task", "new"])?.ok()?;
    let task = newest(&world)?;
    let id = task.to_string();
    for (name, arch) in [("breeze", "x86_64"), ("gust", "i586")] {
        let clone = world.source(&ALICE, name)?;
        let common = format!(
            "%ifarch {arch}\n%package -n wind-common\nSummary: A package of a story\n%description -n wind-common\nIt.\n\
             %files -n wind-common\n%endif\n"
        );
        let spec = specs::per_arch(name, "1.0-alt1", "") + "\n" + &common;
        clone.commit(&format!("{name}.spec"), &spec)?;
        clone.tag("1.0-alt1")?;
        clone.push(&["main", "1.0-alt1"])?.ok()?;
        world
            .ssh(&ALICE, &["task", "add", &id, "repo", name, "1.0-alt1"])?
            .ok()?;
    }
    world.ssh(&ALICE, &["task", "run", &id])?.ok()?;
    world.ends(&ALICE, task, "failed")?;
    let show = world.ssh(&ALICE, &["task", "show", &id])?.ok()?.out();
    for word in ["check-build", "wind-common", "breeze", "gust"] {
        assert!(show.contains(word), "{word} in\n{show}");
    }
    Ok(())
}

#[test]
fn a_task_whose_dependency_lands_while_it_is_run_does_not_sleep_forever() -> anyhow::Result<()> {
    let Some(world) = world()? else { return Ok(()) };
    let (first, second) = (world.source(&ALICE, "breeze")?, world.source(&BOB, "gust")?);
    for round in 1..=4 {
        let version = format!("{round}.0-alt1");
        push(&first, "breeze", &version, "")?;
        push(&second, "gust", &version, "")?;
        world.ssh(&ALICE, &["task", "new"])?.ok()?;
        let before = newest(&world)?.to_string();
        world
            .ssh(&ALICE, &["task", "add", &before, "repo", "breeze", &version])?
            .ok()?;
        world.ssh(&BOB, &["task", "new"])?.ok()?;
        let after = newest(&world)?.to_string();
        world
            .ssh(&BOB, &["task", "add", &after, "repo", "gust", &version])?
            .ok()?;
        world.ssh(&BOB, &["task", "deps", &after, "set", &before])?.ok()?;
        world.ssh(&ALICE, &["task", "run", &before])?.ok()?;
        // In each round at another moment of the landing: at once, then ever later within it.
        let generation = world.generation("main")?;
        if round == 2 {
            world.reaches(before.parse()?, "building")?;
        } else if round > 2 {
            windlass_tests::wait::until("the landing", || {
                Ok((world.generation("main")? > generation).then_some(()))
            })?;
        }
        world.ssh(&BOB, &["task", "run", &after])?.ok()?;
        world.reaches(after.parse()?, "done")?;
        assert_eq!(world.state(before.parse()?)?, "done");
    }
    Ok(())
}
