//! Killed anywhere: afterwards the repository is the whole old one or the whole new one, and nothing temporary stays.

use std::time::{Duration, Instant};

use windlass::repository::{GC_POINTS, POINTS};

use crate::world::World;

/// Points that a change without a file of its own does not pass.
const OF_FILES: [&str; 1] = ["commit.pooling"];

/// Looks after a start, by the daemon where `by_daemon`, else by another command.
fn look(world: &World, by_daemon: bool, what: &str) {
    if by_daemon {
        let bot = world.start();
        assert_eq!(bot.stop(), Some(0), "{what}");
    } else {
        // It recovers first, whatever comes of it.
        world.run(&["repo", "gc", "--dry-run"]);
    }
    world.is_whole(what);
}

/// Kills a command at every point; `before` is the generation before it.
fn killed_at_every_point(world: &World, words: &[&str], before: u64) {
    let mut passed = 0;
    for (at, point) in POINTS.into_iter().enumerate() {
        let what = format!("{words:?} at {point}");
        let copy = world.copy();
        let ran = copy.run_to(point, words);
        if !ran.killed && OF_FILES.contains(&point) {
            assert_eq!(ran.code, Some(0), "{what}: {}", ran.err);
            continue;
        }
        assert!(ran.killed, "{what}: {}", ran.err);
        passed += 1;
        look(&copy, at % 3 == 0, &what);
        let is_new = POINTS.iter().position(|point| *point == "commit.switched").unwrap() <= at;
        assert_eq!(copy.current(), if is_new { before + 1 } else { before }, "{what}");
        if !is_new {
            copy.done(words);
            copy.is_whole(&format!("{what}, once more"));
            assert_eq!(copy.current(), before + 1, "{what}");
        }
    }
    assert!(passed >= POINTS.len() - OF_FILES.len());
}

#[test]
fn making_it() {
    let Some(world) = World::empty("") else { return };
    killed_at_every_point(&world, &["repo", "init"], 0);
}

#[test]
fn taking_packages_in() {
    let Some(world) = World::filled("") else { return };
    let tree = world.tree("two");
    killed_at_every_point(&world, &["repo", "import", &tree], 2);
}

#[test]
fn going_back() {
    let Some(world) = World::filled("") else { return };
    world.done(&["repo", "import", &world.tree("two")]);
    killed_at_every_point(&world, &["repo", "rollback", "2"], 3);
}

#[test]
fn changing_the_key() {
    let Some(world) = World::filled("") else { return };
    killed_at_every_point(&world, &["repo", "key", "rotate"], 2);
}

#[test]
fn clearing_away() {
    let Some(world) = World::filled("keep = '0s'\noverlap = '0s'") else {
        return;
    };
    world.done(&["repo", "key", "rotate"]);
    for (at, point) in GC_POINTS.into_iter().enumerate() {
        let what = format!("gc at {point}");
        let copy = world.copy();
        let ran = copy.run_to(point, &["repo", "gc"]);
        assert!(ran.killed, "{what}: {}", ran.err);
        let verified = copy.run(&["repo", "verify", "--all"]);
        let found: Vec<&str> = verified
            .err
            .lines()
            .filter(|line| line.starts_with("windlass: "))
            .collect();
        assert!(
            found.iter().all(|line| line.contains("no generation names it")),
            "{what}, left as it is: {}",
            verified.err
        );
        if at % 2 == 0 {
            // The daemon clears away what the kill has left, before anybody asks.
            let mut bot = copy.start();
            bot.line("main: cleared away");
            assert_eq!(bot.stop(), Some(0));
        } else {
            copy.done(&["repo", "gc"]);
        }
        copy.is_whole(&what);
        let again = copy.json(&["repo", "gc", "--dry-run", "--json"]);
        assert_eq!(
            (&again["generations"], &again["files"]),
            (&serde_json::json!([]), &serde_json::json!([]))
        );
        let kept = std::fs::read_dir(copy.repo("generations")).unwrap().count();
        assert_eq!(kept, 1, "{what}");
    }
}

#[test]
fn at_any_moment() {
    const ROUNDS: u32 = 24;
    let Some(world) = World::filled("keep = '0s'\noverlap = '0s'") else {
        return;
    };
    let (one, two) = (world.tree("one"), world.tree("two"));
    let large = world.tree("large");
    let commands: [&[&str]; 5] = [
        &["repo", "import", &two],
        &["repo", "key", "rotate"],
        &["repo", "import", &large],
        &["repo", "gc"],
        &["repo", "import", &one, "--all-versions"],
    ];
    // How long one takes undisturbed.
    let begin = Instant::now();
    world.copy().done(commands[0]);
    let whole = begin.elapsed();
    for round in 0..ROUNDS {
        let words = commands[round as usize % commands.len()];
        let before = world.current();
        let mut child = world
            .command(words)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        // Spread over the whole run, in steps that fit to no step of it.
        let until = Instant::now() + whole * ((round * 7) % ROUNDS) / ROUNDS;
        while Instant::now() < until && child.try_wait().unwrap().is_none() {
            std::thread::park_timeout(Duration::from_micros(200));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let what = format!("round {round}: {words:?}");
        if words == ["repo", "gc"] {
            // What no generation names any more stays until it is cleared away the next time.
            world.done(words);
        }
        look(&world, round % 4 == 0, &what);
        assert!(world.current() == before || world.current() == before + 1, "{what}");
    }
}
