//! The main job: signed tags become packages that clients install; what would break the repository does not land.

use windlass_tests::gpg::GpgHome;
use windlass_tests::people::{ALICE, BOB, CAROL};
use windlass_tests::pipeline::cannot_build;
use windlass_tests::process::Cmd;
use windlass_tests::{Client, World, skipped};

/// The packages without the one that stands for the host.
fn of_ours(mut names: Vec<String>) -> Vec<String> {
    names.retain(|name| !name.starts_with("windlass-host"));
    names
}

#[test]
fn a_library_its_program_and_a_script_land_break_are_mended_and_are_installed() -> anyhow::Result<()> {
    if let Some(why) = cannot_build() {
        skipped(&why);
        return Ok(());
    }
    let world = World::that_builds()?;
    let empty = world.generation("main")?;

    // A library, a program that is linked to it, a script for all architectures.
    let libwind = world.demo_package(&ALICE, "libwind", "1.0-alt1")?;
    world.lands(&libwind, "1.0-alt1")?;
    let windgauge = world.demo_package(&ALICE, "windgauge", "1.0-alt1")?;
    world.lands(&windgauge, "1.0-alt1")?;
    let windvane = world.demo_package(&BOB, "windvane", "1.0-alt1")?;
    world.lands(&windvane, "1.0-alt1")?;
    assert_eq!(world.generation("main")?, empty + 3, "each landing is a generation");
    for arch in ["x86_64", "i586"] {
        let expected = [
            format!("libwind-1.0-alt1.{arch}"),
            format!("libwind-devel-1.0-alt1.{arch}"),
            format!("windgauge-1.0-alt1.{arch}"),
            "windvane-1.0-alt1.noarch".to_owned(),
        ];
        assert_eq!(world.listed("main", arch)?, expected);
    }
    let sources = [
        "libwind-1.0-alt1.src",
        "windgauge-1.0-alt1.src",
        "windvane-1.0-alt1.src",
    ];
    assert_eq!(world.listed("main", "source")?, sources);
    let client = Client::of(&world, "client", "main", "x86_64")?;
    client.dnf(&["install", "windvane"]).run()?.ok()?;
    assert_eq!(
        client.runs("windvane", &["200", "9"])?.ok()?.line(),
        "from south: force 5, fresh breeze"
    );

    // A key that nobody vouched for.
    let stranger = windvane.gpg()?;
    stranger.make_key(
        "Bob Baker (laptop) <bob@example.org>",
        "ed25519",
        "20260101T000000",
        "never",
    )?;
    windlass_tests::demo::lay_out("windvane", "2.0-alt1", &windvane.dir)?;
    windvane.commit_all("windvane 2.0-alt1")?;
    let wrong = ["tag", "-s", "-u", "Bob Baker (laptop)", "-m", "2.0-alt1", "2.0-alt1"];
    windvane.git(wrong).run()?.ok()?;
    windvane
        .push(&["-o", "build", "main", "2.0-alt1"])?
        .refused(&["unknown_key"])?;
    windvane.git(["tag", "-d", "2.0-alt1"]).run()?.ok()?;

    // A new soname would leave the program without its library: nothing is touched, and the task says why.
    let before = world.generation("main")?;
    world.demo_version(&libwind, "libwind", "2.0-alt1")?;
    let task = world.pushed_task(&libwind, &["-o", "build", "main", "2.0-alt1"])?;
    world.ends(&ALICE, task, "failed")?;
    let show = world.ssh(&ALICE, &["task", "show", &task.to_string()])?.ok()?.out();
    for word in [
        "repo-unmets",
        "windgauge-1.0-alt1.i586 needs libwind.so.0:",
        "libwind-1.0-alt1",
    ] {
        assert!(show.contains(word), "{word} in\n{show}");
    }
    let log = world.ssh(&ALICE, &["task", "log", &task.to_string()])?.ok()?.out();
    let other = "windgauge-1.0-alt1.x86_64 needs libwind.so.0()(64bit):";
    assert!(
        log.contains(other) && log.contains("task add rebuild windgauge"),
        "{log}"
    );
    assert_eq!(world.generation("main")?, before);

    // With the program in the same task it lands; what was built is not built again.
    world.demo_version(&windgauge, "windgauge", "1.1-alt1")?;
    let option = format!("task={task}");
    windgauge.push(&["-o", &option, "main", "1.1-alt1"])?.ok()?;
    world.ssh(&ALICE, &["task", "run", &task.to_string()])?.ok()?;
    world.ends(&ALICE, task, "done")?;
    let log = world.ssh(&ALICE, &["task", "log", &task.to_string()])?.ok()?.out();
    let second = log.split("try 2, iteration 1 begins").nth(1).unwrap_or_default();
    for arch in ["x86_64", "i586"] {
        assert!(says(second, &format!("subtask 1 on {arch}: "), "built before"), "{log}");
        assert!(says(second, &format!("subtask 2 on {arch}: "), "built in"), "{log}");
    }

    // Two authors, one task: neither lands alone.
    world.ssh(&ALICE, &["task", "new"])?.ok()?;
    let shared = world.tasks()?.len().to_string();
    world.ssh(&ALICE, &["task", "share", &shared, "on"])?.ok()?;
    world.demo_version(&windgauge, "windgauge", "1.2-alt1")?;
    let option = format!("task={shared}");
    windgauge.push(&["-o", &option, "main", "1.2-alt1"])?.ok()?;
    windvane.tag("2.0-alt1")?;
    windvane.push(&["-o", &option, "main", "2.0-alt1"])?.ok()?;
    let before = world.generation("main")?;
    world.ssh(&ALICE, &["task", "run", &shared])?.ok()?;
    world.ends(&ALICE, shared.parse()?, "done")?;
    assert_eq!(world.generation("main")?, before + 1, "both at once");

    // Somebody else's package waits for its owner's word, and lands as it was built.
    let nmu = world.demo_package(&CAROL, "libwind", "2.0-alt1.1")?;
    let task = world.pushed_task(&nmu, &["-o", "build", "main", "2.0-alt1.1"])?;
    world.ends(&CAROL, task, "eperm")?;
    world
        .ssh(
            &ALICE,
            &["task", "approve", &task.to_string(), "1", "-m", "'calm it is'"],
        )?
        .ok()?;
    world.reaches(task, "done")?;

    // What stands there now is installed by dnf on both architectures and by zypper, and runs.
    let expected = |arch: &str| {
        [
            format!("libwind-2.0-alt1.1.{arch}"),
            format!("windgauge-1.2-alt1.{arch}"),
            "windvane-2.0-alt1.noarch".to_owned(),
        ]
    };
    client.dnf(&["upgrade", "--refresh"]).run()?.ok()?;
    assert_eq!(of_ours(client.installed()?), expected("x86_64"));
    assert_eq!(
        client.runs("windvane", &["200", "0.1"])?.ok()?.line(),
        "calm from the south"
    );
    let small = Client::of(&world, "small", "main", "i586")?;
    small.dnf(&["install", "windvane"]).run()?.ok()?;
    assert_eq!(of_ours(small.installed()?), expected("i586"));
    assert_eq!(
        small.runs("windvane", &["200", "0.1"])?.ok()?.line(),
        "calm from the south"
    );
    let other = Client::of(&world, "other", "main", "x86_64")?;
    other.zypper(&["install", "windvane"]).run()?.ok()?;
    assert_eq!(of_ours(other.installed()?), expected("x86_64"));

    // Everything on record and on disk agrees, in our words and in others'.
    world.admin(&["repo", "verify", "-b", "main", "--all"])?.ok()?;
    world.admin(&["journal", "verify"])?.ok()?;
    let key = world
        .windlass(["repo", "key", "show", "-b", "main"])
        .run()?
        .ok()?
        .stdout;
    let gpg = GpgHome::at(world.dir().join("verify"))?;
    gpg.import(key)?;
    for arch in ["x86_64", "i586", "source"] {
        let repodata = world.repository_dir("main").join("current").join(arch).join("repodata");
        Cmd::new("gpg")
            .env("GNUPGHOME", gpg.dir())
            .args(["--batch", "--no-autostart", "--verify"])
            .args([repodata.join("repomd.xml.asc"), repodata.join("repomd.xml")])
            .run()?
            .ok()?;
    }
    Ok(())
}

/// Whether a line of a log has both.
fn says(log: &str, one: &str, other: &str) -> bool {
    log.lines().any(|line| line.contains(one) && line.contains(other))
}
