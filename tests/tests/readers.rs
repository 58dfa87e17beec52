//! Whoever reads while tasks land finds all that the metadata names, with the digests and signatures that it should have.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use windlass_tests::people::ALICE;
use windlass_tests::pipeline::cannot_build;
use windlass_tests::reader::{Reader, Seen, Signed, get};
use windlass_tests::{World, skipped, specs};

/// How many versions land meanwhile.
const LANDINGS: u32 = 8;

/// The base URL that the mirrorlist of one architecture answers now.
fn mirror(world_url: &str, arch: &str) -> anyhow::Result<String> {
    let list = String::from_utf8(get(&format!("{world_url}/repos/main/mirrorlist?arch={arch}"))?)?;
    let first = list.lines().find(|line| line.starts_with("http"));
    Ok(first.context("a mirrorlist names a mirror")?.to_owned())
}

#[test]
fn clients_that_loop_while_tasks_land_never_find_anything_missing_or_wrong() -> anyhow::Result<()> {
    if let Some(why) = cannot_build() {
        skipped(&why);
        return Ok(());
    }
    let world = World::that_builds()?;
    let url = world.url()?;
    let key = world
        .windlass(["repo", "key", "show", "-b", "main"])
        .run()?
        .ok()?
        .stdout;
    let over = AtomicBool::new(false);
    let loops = std::thread::scope(|scope| {
        let reader = |name: &'static str, arch: &'static str, signed: Signed| {
            let dir = world.dir().join(name);
            let (url, key, over) = (&url, &key, &over);
            scope.spawn(move || -> anyhow::Result<Vec<Seen>> {
                let mut reader = Reader::new(&dir, key)?;
                let mut seen: Vec<Seen> = Vec::new();
                // Once more after the last landing.
                loop {
                    let last = over.load(Ordering::SeqCst);
                    let base = match signed {
                        Signed::Always => mirror(url, arch)?,
                        Signed::Perhaps => format!("{url}/repos/main/current/{arch}"),
                    };
                    let now = reader.look(&base, signed)?;
                    if seen.last() != Some(&now) {
                        seen.push(now);
                    }
                    if last {
                        return Ok(seen);
                    }
                }
            })
        };
        let loops = [
            reader("by-mirror", "x86_64", Signed::Always),
            reader("by-mirror-small", "i586", Signed::Always),
            reader("by-baseurl", "x86_64", Signed::Perhaps),
        ];
        let landed = land_many(&world);
        over.store(true, Ordering::SeqCst);
        let loops: Vec<_> = loops.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        landed.map(|()| loops)
    })?;
    for seen in loops {
        let seen = match seen {
            Ok(seen) => seen?,
            Err(_) => anyhow::bail!("a reader panicked"),
        };
        // It was there while things changed, and saw the end.
        assert!(seen.len() >= 3, "{seen:?}");
        let last = seen.last().context("there is one")?;
        assert!(
            last.packages
                .iter()
                .any(|place| place.contains(&format!("breeze-{LANDINGS}.0-alt1"))),
            "{last:?}"
        );
    }
    Ok(())
}

/// Versions of a small package, one after the other.
fn land_many(world: &World) -> anyhow::Result<()> {
    let breeze = world.source(&ALICE, "breeze")?;
    for number in 1..=LANDINGS {
        let version = format!("{number}.0-alt1");
        breeze.commit("breeze.spec", &specs::noarch("breeze", &version, ""))?;
        breeze.tag(&version)?;
        world.lands(&breeze, &version)?;
    }
    Ok(())
}
