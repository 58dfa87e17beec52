//! A disk that is full: the change fails with a clear word, and the repository is as it was.

use std::process::Command;

use crate::world::{World, ended};

/// A small file system of its own, mounted where only the script sees it.
fn script(world: &World, size: &str, body: &str) -> Option<crate::world::Ran> {
    let repos = world.path("repos");
    std::fs::create_dir_all(&repos).unwrap();
    let text = format!(
        "mount -t tmpfs -o size={size} tmpfs '{}' || exit 99\nw() {{ '{}' --config '{}' \"$@\"; }}\n{body}",
        repos.display(),
        env!("CARGO_BIN_EXE_windlass"),
        world.path("windlass.toml").display()
    );
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", &text])
        .output();
    let ran = output.map(|output| ended(&output));
    match ran {
        Ok(ran) if ran.code != Some(99) && !ran.err.starts_with("unshare:") => Some(ran),
        other => {
            eprintln!("SKIPPED: no file system of one's own can be mounted here: {other:?}");
            None
        }
    }
}

#[test]
fn the_change_fails_and_nothing_of_it_stays() {
    let Some(world) = World::empty("") else { return };
    let (one, two, large) = (world.tree("one"), world.tree("two"), world.tree("large"));
    let body = format!(
        "w repo init || exit 1\n w repo import '{one}' || exit 2\n\
         w repo import '{large}'; code=$?\n\
         test $code = 3 || {{ echo \"the exit code is $code\"; exit 3; }}\n\
         find '{repos}' -name '.staging*' -o -name '.new*' -o -name '*.unverified' -o -name 'wheel*' | grep . && exit 4\n\
         w repo verify --all || exit 5\n w journal verify || exit 6\n\
         w repo import '{two}' || exit 7\n w repo verify --all || exit 8\n w repo log",
        repos = world.path("repos").display()
    );
    let Some(ran) = script(&world, "1500k", &body) else {
        return;
    };
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    assert!(ran.err.contains("No space left on device"), "{}", ran.err);
    assert!(ran.out.contains("    3  "), "{}", ran.out);
}

#[test]
fn it_may_be_full_at_any_moment() {
    let Some(world) = World::empty("") else { return };
    let (one, large) = (world.tree("one"), world.tree("large"));
    // A filler leaves a little more room each time, until it is enough.
    let body = format!(
        "w repo init || exit 1\n w repo import '{one}' || exit 2\n\
         fails=0\n\
         for left in 0 8 16 32 64 128 256 512 1024 2048 2200 2400 4200 4300 4400 4600 6400 6600 9000; do\n\
           free=$(df -k --output=avail '{repos}' | tail -1)\n\
           test $free -gt $left && head -c $(( (free - left) * 1024 )) /dev/zero > '{repos}/filler'\n\
           before=$(readlink '{repos}/main/current')\n\
           if w repo import '{large}'; then done=1; else done=0; fails=$((fails + 1)); fi\n\
           rm -f '{repos}/filler'\n\
           find '{repos}' -name '.staging*' -o -name '.new*' -o -name '*.unverified' | grep . && exit 4\n\
           w repo verify --all || exit 5\n\
           test $done = 1 && break\n\
           test \"$before\" = \"$(readlink '{repos}/main/current')\" || exit 6\n\
         done\n\
         w journal verify || exit 7\n echo $fails times\n test $done = 1 && test $fails -ge 8",
        repos = world.path("repos").display()
    );
    let Some(ran) = script(&world, "12m", &body) else {
        return;
    };
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
}
