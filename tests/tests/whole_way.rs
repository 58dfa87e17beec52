//! The whole way: a person over ssh, git, hooks, bot, a task; with the bot there, and with the bot away.

use windlass_tests::World;
use windlass_tests::people::{ALICE, BOB, CAROL, Person};

/// The tasks as `ID OWNER STATE`.
fn tasks(world: &World) -> anyhow::Result<Vec<String>> {
    let text = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let tasks = world.tasks()?;
    Ok(tasks
        .iter()
        .map(|task| {
            format!(
                "{} {} {}",
                text(&task["task"]),
                text(&task["owner"]),
                text(&task["state"])
            )
        })
        .collect())
}

#[test]
fn everybody_pushes_a_signed_tag_and_it_becomes_a_task() -> anyhow::Result<()> {
    let world = World::new()?;
    for (number, person) in [ALICE, BOB, CAROL].iter().enumerate() {
        let hello = world.repository(person, "hello")?;
        hello.tag("1.0-alt1")?;
        let ran = hello.push(&["-o", "build", "refs/tags/1.0-alt1"])?.ok()?;
        let task = format!("task {}", number + 1);
        assert!(ran.err().contains(&task), "the pusher is told of {task}: {ran}");
    }
    assert_eq!(tasks(&world)?.len(), 3);
    insta::assert_snapshot!(world.report()?);
    Ok(())
}

#[test]
fn a_tag_that_is_there_is_built_on_request() -> anyhow::Result<()> {
    let world = World::new()?;
    for person in [&ALICE, &BOB, &CAROL] {
        let hello = world.repository(person, "hello")?;
        hello.tag("1.0-alt1")?;
        hello.push(&["refs/tags/1.0-alt1"])?.ok()?;
        let own = format!("--user={}", person.name);
        let listed = world.ssh(person, &["task", "ls", &own, "--json"])?.ok()?;
        assert_eq!(listed.line(), "[]", "nobody asked for a build");
        world.ssh(person, &["build", "hello", "1.0-alt1"])?.ok()?;
        // The same wish again is the same task.
        let before = tasks(&world)?;
        world.ssh(person, &["build", "hello", "1.0-alt1"])?.ok()?;
        assert_eq!(tasks(&world)?, before);
    }
    assert_eq!(tasks(&world)?.len(), 3);
    // One names one's own alone; somebody else's tag is not for taking.
    world
        .ssh(&BOB, &["build", "alice/hello", "1.0-alt1"])?
        .refused(&["not_yours"])?;
    Ok(())
}

#[test]
fn a_task_is_made_filled_shared_and_explained_over_ssh() -> anyhow::Result<()> {
    let world = World::new()?;
    for (person, name) in [(&ALICE, "hello"), (&BOB, "world")] {
        let clone = world.repository(person, name)?;
        clone.tag("1.0-alt1")?;
        clone.push(&["refs/tags/1.0-alt1"])?.ok()?;
    }
    let ssh = |person: &Person, words: &[&str]| world.ssh(person, words);
    ssh(&ALICE, &["task", "new"])?.ok()?;
    ssh(&ALICE, &["task", "add", "repo", "hello", "1.0-alt1"])?.ok()?;
    ssh(&BOB, &["task", "add", "1", "repo", "world", "1.0-alt1"])?.refused(&["not_shared"])?;
    ssh(&ALICE, &["task", "share", "1", "on"])?.ok()?;
    ssh(&BOB, &["task", "add", "1", "repo", "world", "1.0-alt1"])?.ok()?;
    ssh(&BOB, &["task", "run", "1"])?.refused(&["not_owner"])?;
    ssh(&ALICE, &["task", "run", "1", "--dry-run"])?.ok()?;
    ssh(&ALICE, &["task", "run"])?.ok()?;
    let why = ssh(&ALICE, &["task", "why"])?.ok()?;
    assert!(!why.out().is_empty());
    insta::assert_snapshot!(world.report()?);
    Ok(())
}

#[test]
fn while_the_bot_is_away_requests_wait_and_are_taken_once() -> anyhow::Result<()> {
    let mut world = World::new()?;
    let hello = world.repository(&ALICE, "hello")?;
    world.stop_bot()?;

    hello.tag("1.0-alt1")?;
    let pushed = hello.push(&["-o", "build", "refs/tags/1.0-alt1"])?.ok()?;
    let request = request_id(&pushed.err());
    hello.tag("1.0-alt2")?;
    hello.push(&["refs/tags/1.0-alt2"])?.ok()?;
    let asked = world.ssh(&ALICE, &["build", "hello", "1.0-alt2"])?.ok()?;
    assert_eq!(world.spooled()?.len(), 2, "{pushed}{asked}");
    // Whatever needs an answer says so, and that the environment is at fault.
    let ran = world.ssh(&ALICE, &["task", "ls"])?.exits(3)?;
    assert!(!ran.err().is_empty());

    world.start_bot()?;
    windlass_tests::wait::until("an empty spool", || Ok(world.spooled()?.is_empty().then_some(())))?;
    assert_eq!(tasks(&world)?.len(), 2);
    // The id that was printed then names the task now.
    let request = request.ok_or_else(|| anyhow::anyhow!("no request id was printed: {pushed}"))?;
    world.ssh(&ALICE, &["task", "show", &request])?.ok()?;

    // Again, and after another start: nothing new.
    world.stop_bot()?;
    world.start_bot()?;
    world.admin(&["journal", "verify"])?.ok()?;
    assert_eq!(tasks(&world)?.len(), 2);
    Ok(())
}

fn request_id(text: &str) -> Option<String> {
    let start = text.find("r-")?;
    let rest = &text[start + 2..];
    let end = rest.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(rest.len());
    (end >= 16).then(|| text[start..start + 2 + end].to_owned())
}
