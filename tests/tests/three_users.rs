//! A server as it is meant to be: git, the bot and the administrator are three Unix users, and each can do its own part alone.

use windlass_tests::people::{ALICE, CAROL};
use windlass_tests::process::Cmd;
use windlass_tests::{World, skipped, wait};

/// The world, or why there is none here.
fn world() -> anyhow::Result<Option<World>> {
    if !rustix::process::geteuid().is_root() {
        skipped("three Unix users can be set up by root alone");
        return Ok(None);
    }
    World::of_three_users().map(Some)
}

#[test]
fn a_push_passes_through_all_of_them() -> anyhow::Result<()> {
    let Some(mut world) = world()? else { return Ok(()) };
    let hello = world.repository(&ALICE, "hello")?;
    hello.tag("1.0-alt1")?;
    let ran = hello.push(&["-o", "build", "refs/tags/1.0-alt1"])?.ok()?;
    assert!(ran.err().contains("task 1"), "{ran}");
    hello.git(["tag", "-a", "-m", "x", "1.0-alt2"]).run()?.ok()?;
    hello.push(&["refs/tags/1.0-alt2"])?.refused(&["unsigned"])?;
    world.ssh(&CAROL, &["task", "show", "1"])?.ok()?;

    // The bot away: git's user leaves it in a directory that it cannot read, the bot takes it from there, once.
    world.stop_bot()?;
    hello.tag("1.0-alt3")?;
    hello.push(&["-o", "build", "refs/tags/1.0-alt3"])?.ok()?;
    assert_eq!(world.spooled()?.len(), 1);
    world.start_bot()?;
    wait::until("an empty spool", || Ok(world.spooled()?.is_empty().then_some(())))?;
    assert_eq!(world.tasks()?.len(), 2);
    world.admin(&["journal", "verify"])?.ok()?;
    Ok(())
}

#[test]
fn each_can_do_its_own_part_alone() -> anyhow::Result<()> {
    let Some(world) = world()? else { return Ok(()) };
    world.repository(&ALICE, "hello")?;
    let Some(accounts) = world.accounts() else {
        return Ok(());
    };
    let root = world.root();
    let may = |user: &str, script: &str| -> anyhow::Result<bool> {
        let ran = Cmd::new("sh")
            .args(["-c", script, "sh"])
            .arg(&root)
            .dir("/")
            .as_user(user)
            .run()?;
        Ok(ran.code() == 0)
    };
    let mut wrong = Vec::new();
    let (git, bot) = (accounts.git.as_str(), accounts.bot.as_str());
    for (user, script, expected) in [
        (git, "ls $1/spool", false),
        (git, "ls $1/state", false),
        (git, "cat $1/state/journal.sqlite", false),
        (git, "cat $1/people/alice.toml", true),
        (git, "echo >> $1/people/alice.toml", false),
        (git, "touch $1/people/mallory.toml", false),
        (git, "ls $1/git/people/alice/packages/hello.git", true),
        (git, "echo >> $1/windlass.toml", false),
        (bot, "ls $1/git/people/alice/packages/hello.git/objects", true),
        (bot, "touch $1/git/people/alice/packages/hello.git/x", false),
        (bot, "ls $1/git/.ssh", false),
        (bot, "ls $1/spool", true),
        ("nobody", "ls $1/git", false),
        ("nobody", "ls $1/people", false),
        ("nobody", "touch $1/spool/x", false),
        ("nobody", "ls $1/run", false),
    ] {
        if may(user, script)? != expected {
            wrong.push(format!("{user} {} `{script}`", if expected { "cannot" } else { "can" }));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // Somebody else on the machine is not let in at the socket either.
    let list = world.windlass(["task", "ls"]).dir("/").as_user("nobody").run()?;
    assert_ne!(list.code(), 0, "{list}");
    Ok(())
}
