//! Whoever is killed, wherever: nothing that was answered is lost, and nothing happens twice.

use std::collections::BTreeMap;

use windlass_tests::chance::Chance;
use windlass_tests::people::ALICE;
use windlass_tests::process::Running;
use windlass_tests::{Clone, World, proc, wait};

/// Kills one of the world's processes that run this program, so long after it was first seen; whether there was one before the push ended.
fn kill_soon(world: &World, program: &str, push: &mut Running, after: std::time::Duration) -> anyhow::Result<bool> {
    let folder = world.root();
    let seen = || {
        proc::of_world(&folder).into_iter().find(|process| {
            process.runs(program)
                || (program == "git"
                    && process
                        .argv
                        .iter()
                        .any(|word| word.contains("receive-pack") && !word.contains("shell")))
        })
    };
    // Looked for without a pause: a hook lives for some milliseconds only.
    let victim = loop {
        if let Some(victim) = seen() {
            break Some(victim);
        }
        if push.child().ended()?.is_some() {
            break None;
        }
    };
    if let Some(victim) = &victim {
        std::thread::park_timeout(after);
        victim.kill();
    }
    Ok(victim.is_some())
}

/// The tasks, by the tag that they build.
fn tasks_by_tag(world: &World) -> anyhow::Result<BTreeMap<String, usize>> {
    let mut counts = BTreeMap::new();
    for task in world.tasks()? {
        for subtask in task["subtasks"].as_array().into_iter().flatten() {
            let text = subtask.as_str().unwrap_or_default();
            let tag = text.rsplit('=').next().unwrap_or_default().to_owned();
            *counts.entry(tag).or_default() += 1;
        }
    }
    Ok(counts)
}

/// How many milliseconds a push takes that nobody disturbs: the points to kill at lie within them.
fn undisturbed(clone: &Clone) -> anyhow::Result<u64> {
    clone.tag("0-0")?;
    let ran = clone.push(&["-o", "build", "refs/tags/0-0"])?.ok()?;
    Ok(u64::try_from(ran.took.as_millis())?.max(20))
}

/// Whether the tag is on the server.
fn is_there(world: &World, clone: &Clone, tag: &str) -> anyhow::Result<bool> {
    let ran = world
        .git_in(clone, ["rev-parse", "--verify", "--quiet", &format!("refs/tags/{tag}")])
        .run()?;
    Ok(ran.code() == 0)
}

/// What a push or a `build` promised: a task's number, or a request that waits.
fn promised(said: &str) -> bool {
    said.lines()
        .any(|line| line.contains("task ") && line.contains("subtask"))
        || said.contains("r-")
}

/// Kills at many points until `count` kills have met somebody alive; each round is one tag. `victims` are programs, `bot` is the
/// bot itself.
fn rounds(seed: u64, victims: &[&str], count: usize) -> anyhow::Result<()> {
    let mut chance = Chance::seeded(seed);
    let mut world = World::new()?;
    let hello = world.repository(&ALICE, "hello")?;
    let whole = undisturbed(&hello)?;
    let mut hits = 0;
    let mut promises = Vec::new();
    let mut tags = Vec::new();
    // On a busy machine a victim may be gone before it is seen: then the round does not count.
    let most = count * 4;
    for round in 0..most {
        if hits == count {
            break;
        }
        let tag = format!("1.{round}-alt1");
        hello.tag(&tag)?;
        tags.push(tag.clone());
        let reference = format!("refs/tags/{tag}");
        let victim = chance.one_of(victims).copied().unwrap_or("bot");
        let mut push = hello.push_command(&["-o", "build", &reference]).start()?;
        if victim == "bot" {
            std::thread::park_timeout(chance.millis(whole));
            world.kill_bot();
            world.start_bot()?;
            hits += 1;
        } else {
            // A hook lives for some milliseconds, the door and git for most of a push.
            let within = if victim == "windlass-hook" { 30 } else { whole };
            hits += usize::from(kill_soon(&world, victim, &mut push, chance.millis(within))?);
        }
        let said = push.finish()?.err();
        if promised(&said) {
            promises.push(tag.clone());
        }
        // What the pusher does who saw it fail: the same again.
        if !is_there(&world, &hello, &tag)? {
            wait::until("the push to pass", || {
                let again = hello.push(&["-o", "build", &reference])?.read();
                Ok((again.code() == 0).then_some(()))
            })?;
        }
    }
    assert!(
        hits > count / 4,
        "seed {seed}: only {hits} of {most} pushes were disturbed"
    );
    // Restarted, the bot takes up what was missed, by itself.
    world.stop_bot()?;
    world.start_bot()?;
    wait::until("all requests to be taken up", || {
        let counts = tasks_by_tag(&world)?;
        Ok((world.spooled()?.is_empty() && tags.iter().all(|tag| counts.contains_key(tag))).then_some(()))
    })
    .map_err(|error| {
        let counts = tasks_by_tag(&world).unwrap_or_default();
        let missing: Vec<_> = tags.iter().filter(|tag| !counts.contains_key(*tag)).collect();
        let lost: Vec<_> = missing.iter().filter(|tag| promises.contains(tag)).collect();
        error.context(format!(
            "seed {seed}: without a task {missing:?}, of which were promised {lost:?}"
        ))
    })?;
    let counts = tasks_by_tag(&world)?;
    assert!(
        counts.values().all(|count| *count == 1),
        "seed {seed}: twice: {counts:?}"
    );
    // A repeated wish is the same task.
    for tag in &tags {
        world.ssh(&ALICE, &["build", "hello", tag])?.ok()?;
    }
    assert_eq!(tasks_by_tag(&world)?, counts, "seed {seed}");
    world.admin(&["journal", "verify"])?.ok()?;
    Ok(())
}

#[test]
fn the_hook_is_killed() -> anyhow::Result<()> {
    rounds(11, &["windlass-hook"], 12)
}

#[test]
fn the_door_and_git_are_killed() -> anyhow::Result<()> {
    rounds(12, &["windlass-shell", "git"], 12)
}

#[test]
fn the_bot_is_killed() -> anyhow::Result<()> {
    rounds(13, &["bot"], 12)
}

#[test]
fn a_client_hangs_up() -> anyhow::Result<()> {
    let seed = 14;
    let mut chance = Chance::seeded(seed);
    let mut world = World::new()?;
    let hello = world.repository(&ALICE, "hello")?;
    let whole = undisturbed(&hello)?;
    let mut there = vec!["0-0".to_owned()];
    for round in 0..20 {
        let tag = format!("1.{round}-alt1");
        hello.tag(&tag)?;
        let mut push = hello
            .push_command(&["-o", "build", &format!("refs/tags/{tag}")])
            .start()?;
        std::thread::park_timeout(chance.millis(whole));
        push.child().kill();
        drop(push);
        wait::until("the server's side to end", || {
            let busy = proc::of_world(&world.root());
            let busy = busy
                .iter()
                .any(|process| process.argv.iter().any(|word| word.contains("receive")));
            Ok((!busy).then_some(()))
        })?;
        if is_there(&world, &hello, &tag)? {
            there.push(tag);
        }
    }
    world.stop_bot()?;
    world.start_bot()?;
    // What git took is a task, though nobody read the answer.
    wait::until("what is there to be tasks", || {
        let counts = tasks_by_tag(&world)?;
        Ok(there.iter().all(|tag| counts.get(tag) == Some(&1)).then_some(()))
    })
    .map_err(|error| error.context(format!("seed {seed}: there are {there:?}")))?;
    assert_eq!(
        tasks_by_tag(&world)?.len(),
        there.len(),
        "seed {seed}: only what is there is built"
    );
    Ok(())
}

#[test]
fn commands_survive_the_bots_death() -> anyhow::Result<()> {
    let seed = 15;
    let mut chance = Chance::seeded(seed);
    let mut world = World::new()?;
    let mut answered = Vec::new();
    for round in 0..20u64 {
        let request = windlass_tests::door::request_id(round + 1);
        let command = world.ssh_command(&ALICE, &["task", "new", "--json", "--request-id", &request])?;
        let running = command.start()?;
        std::thread::park_timeout(chance.millis(150));
        world.kill_bot();
        let first = world.note(running.finish()?).read();
        world.start_bot()?;
        if first.code() == 0 {
            answered.push((request.clone(), first.out()));
        }
        // The same request again has no second effect and the same answer.
        let again = world
            .ssh(&ALICE, &["task", "new", "--json", "--request-id", &request])?
            .ok()?;
        if first.code() == 0 {
            assert_eq!(again.out(), first.out(), "seed {seed}, round {round}");
        }
    }
    assert_eq!(world.tasks()?.len(), 20, "seed {seed}: answered were {answered:?}");
    Ok(())
}
