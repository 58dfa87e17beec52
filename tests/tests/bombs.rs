//! What is small on the wire and large on the server. The server stays within its limits, and says what was too much.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use windlass_tests::people::ALICE;
use windlass_tests::process::Cmd;
use windlass_tests::{Clone, Ran, World, proc};

/// Pushes with all the time it takes, and measures the most memory that one process of the server had meanwhile, in MiB.
fn push_measured(world: &World, clone: &Clone, words: &[&str]) -> anyhow::Result<(Ran, u64)> {
    let peak = AtomicU64::new(0);
    let done = AtomicBool::new(false);
    // The server's side alone: the client packs the bomb, and may.
    let server = world.root();
    let ran = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                for process in proc::of_world(&server) {
                    if !process.argv.iter().any(|word| word == "serve") {
                        peak.fetch_max(process.peak_memory().unwrap_or(0), Ordering::Relaxed);
                    }
                }
                std::thread::park_timeout(Duration::from_millis(3));
            }
        });
        let ran = clone.push_command(words).limit(Duration::from_mins(5)).run();
        done.store(true, Ordering::Relaxed);
        ran
    })?;
    Ok((clone.pushed(ran).read(), peak.load(Ordering::Relaxed) / 1024))
}

/// A well-formed tag whose message has this many bytes.
fn large_tag(clone: &Clone, name: &str, size: usize) -> anyhow::Result<()> {
    let mut bytes = clone.draft(name)?.payload();
    bytes.resize(bytes.len() + size, b'A');
    let hash = clone
        .git([
            "-c",
            "core.compression=1",
            "hash-object",
            "-w",
            "--stdin",
            "--literally",
            "-t",
            "tag",
        ])
        .stdin(bytes)
        .limit(Duration::from_mins(5));
    let object = hash.run()?.ok()?.line();
    clone
        .git(["update-ref", &format!("refs/tags/{name}"), &object])
        .run()?
        .ok()?;
    Ok(())
}

#[test]
#[expect(clippy::print_stdout, reason = "the measured memory is a figure of the report")]
fn half_a_gigabyte_in_a_small_pack() -> anyhow::Result<()> {
    let world = World::new()?;
    let hello = world.repository(&ALICE, "hello")?;
    large_tag(&hello, "1.0-alt1", 512 << 20)?;
    for limit in [256, 1024] {
        world.set("ssh", "memory_limit", &format!("\"{limit}MiB\""))?;
        let (ran, peak) = push_measured(&world, &hello, &["-o", "build", "refs/tags/1.0-alt1"])?;
        let seconds = ran.took.as_secs_f64();
        println!(
            "a tag of 512 MiB under a limit of {limit} MiB: {peak} MiB at the most, refused after {seconds:.1} s: {}",
            ran.err()
        );
        assert_ne!(ran.code(), 0, "{ran}");
        assert!(peak <= limit, "one process of the server had {peak} MiB: {ran}");
        let listed = hello.git(["ls-remote", "--tags", "origin"]).run()?.ok()?;
        assert_eq!(listed.line(), "", "nothing of it is on the server");
    }
    // And the door is open for the next.
    hello.git(["tag", "-d", "1.0-alt1"]).run()?.ok()?;
    hello.tag("1.0-alt2")?;
    hello.push(&["-o", "build", "refs/tags/1.0-alt2"])?.ok()?;
    Ok(())
}

#[test]
#[expect(clippy::print_stdout, reason = "the measured memory is a figure of the report")]
fn what_git_lets_through_the_hook_never_inflates() -> anyhow::Result<()> {
    let world = World::new()?;
    let hello = world.repository(&ALICE, "hello")?;
    large_tag(&hello, "1.0-alt1", 64 << 20)?;
    let ran = hello
        .push_command(&["-o", "build", "refs/tags/1.0-alt1"])
        .limit(Duration::from_mins(5))
        .run()?;
    let ran = hello.pushed(ran).refused(&["too_large"])?;
    println!(
        "a tag of 64 MiB that git let through: refused after {:.1} s",
        ran.took.as_secs_f64()
    );
    Ok(())
}

#[test]
fn many_signatures_cost_nothing() -> anyhow::Result<()> {
    let world = World::new()?;
    let hello = world.repository(&ALICE, "hello")?;
    world.without_fsck(&hello)?;
    let payload = hello.draft("1.0-alt1")?.payload();
    let signature = hello.signature(&payload, &[])?;
    // As many as fit below the limit of a tag: counted, none is verified.
    let mut bytes = payload.clone();
    while bytes.len() + signature.len() < 60 << 10 {
        bytes.extend(&signature);
    }
    hello.make_tag(&bytes, "1.0-alt1")?;
    hello
        .push(&["refs/tags/1.0-alt1"])?
        .refused(&["many_signatures", "trailing_bytes"])?;
    // Ten thousand: too large before anything is looked at.
    let bytes = [payload.clone(), signature.repeat(10_000)].concat();
    hello.make_tag(&bytes, "1.0-alt1")?;
    hello.push(&["refs/tags/1.0-alt1"])?.refused(&["too_large"])?;
    // Many packets in one armor.
    let packet = Cmd::new("gpg")
        .env("GNUPGHOME", hello.home().gnupg())
        .arg("--dearmor")
        .stdin(signature)
        .run()?
        .ok()?;
    let base64 = Cmd::new("base64")
        .args(["-w", "64"])
        .stdin(packet.stdout.repeat(90))
        .run()?
        .ok()?
        .out();
    let armor = format!("-----BEGIN PGP SIGNATURE-----\n\n{base64}-----END PGP SIGNATURE-----\n");
    hello.make_tag(&[payload, armor.into_bytes()].concat(), "1.0-alt1")?;
    hello.push(&["refs/tags/1.0-alt1"])?.refused(&["many_signatures"])?;
    Ok(())
}

#[test]
fn a_push_has_so_many_references_and_no_more() -> anyhow::Result<()> {
    let world = World::new()?;
    let hello = world.repository(&ALICE, "hello")?;
    let head = hello.head()?;
    let refs: Vec<String> = (0..513)
        .map(|number| format!("create refs/heads/b{number} {head}\n"))
        .collect();
    hello.git(["update-ref", "--stdin"]).stdin(refs.concat()).run()?.ok()?;
    hello
        .push(&["refs/heads/b*:refs/heads/b*"])?
        .refused(&["too_many_refs"])?;
    Ok(())
}
