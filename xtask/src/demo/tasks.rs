//! The steps in between: packages are pushed, refused, built, found wanting, mended, shared, approved.

use anyhow::Context as _;
use windlass_tests::demo;

use super::place::Place;
use super::show::Keep;

/// Lays a version of a package out in somebody's working copy, and commits it.
pub(super) fn write(place: &mut Place, who: &str, package: &str, version: &str) -> anyhow::Result<()> {
    demo::lay_out(package, version, &place.dir.join(who).join(package))?;
    let commit = format!("git add --all && git commit --quiet -m '{package} {version}'");
    place.ok(&format!("{who}/{package}"), &commit, Keep::Unseen)?;
    Ok(())
}

/// Makes a source repository and a working copy with the first version in it.
pub(super) fn begin(place: &mut Place, who: &str, package: &str, version: &str, keep: Keep) -> anyhow::Result<()> {
    place.ok(who, &format!("ssh windlass init-repo {package}"), keep)?;
    let clone = format!("git clone --quiet ssh://windlass/{package} 2> /dev/null");
    place.ok(who, &clone, keep_quiet(keep))?;
    write(place, who, package, version)
}

/// As much as nothing of the output, where the command is shown at all.
fn keep_quiet(keep: Keep) -> Keep {
    match keep {
        Keep::Unseen => Keep::Unseen,
        Keep::All | Keep::Nothing | Keep::With(_) | Keep::First(_) => Keep::Nothing,
    }
}

/// Signs a tag and pushes it with an option.
pub(super) fn push(place: &mut Place, who: &str, tag: &str, option: &str) -> anyhow::Result<()> {
    place.ok(who, &format!("git tag -s -m {tag} {tag}"), Keep::Nothing)?;
    place.ok(
        who,
        &format!("git push -o {option} origin main {tag}"),
        Keep::With(&["windlass:"]),
    )?;
    Ok(())
}

/// Waits for the end of a task's run, which has to be this.
pub(super) fn wait(place: &mut Place, who: &str, task: u32, exit: i32, keep: Keep) -> anyhow::Result<()> {
    place.show.waits(&format!("task {task} runs"));
    let ran = place.run(who, &format!("ssh windlass task wait {task}"), keep)?;
    ran.exits(exit)
        .with_context(|| format!("task {task} ended otherwise than it should"))?;
    Ok(())
}

/// A library lands.
pub(super) fn library(place: &mut Place) -> anyhow::Result<()> {
    place.show.step(
        "A library: a signed tag is all it takes",
        "Alice has a library. She tags it with her key and pushes: the tag becomes a task, is built in a clean root \
         for each architecture, checked against the repository as it would be, and lands whole.",
    );
    begin(place, "alice", "libwind", "1.0-alt1", Keep::First(1))?;
    push(place, "alice/libwind", "1.0-alt1", "build")?;
    wait(place, "alice/libwind", 1, 0, Keep::All)?;
    place.ok(
        "alice/libwind",
        "ssh windlass task log 1 --stage build --arch i586",
        Keep::With(&["Provides: libwind =", "Wrote:", "windlass: time"]),
    )?;
    Ok(())
}

/// Two more land.
pub(super) fn programs(place: &mut Place) -> anyhow::Result<()> {
    place.show.step(
        "A program that needs it, and a script that needs that",
        "windgauge is linked to libwind.so.0; its build root takes libwind-devel from the repository. Bob's windvane is a \
         script, one for all architectures, and .gear/rules say what its sources are packed from.",
    );
    begin(place, "alice", "windgauge", "1.0-alt1", Keep::Unseen)?;
    push(place, "alice/windgauge", "1.0-alt1", "build")?;
    begin(place, "bob", "windvane", "1.0-alt1", Keep::Unseen)?;
    place.ok("bob/windvane", "cat .gear/rules", Keep::All)?;
    push(place, "bob/windvane", "1.0-alt1", "build")?;
    wait(place, "alice/windgauge", 2, 0, Keep::All)?;
    wait(place, "bob/windvane", 3, 0, Keep::All)?;
    Ok(())
}

/// A push is refused.
pub(super) fn wrong_key(place: &mut Place) -> anyhow::Result<()> {
    place.show.step(
        "A key that nobody vouched for",
        "Bob has made himself another key and forgot to tell. The hook refuses the push while git still holds it in \
         quarantine: nothing of it reaches the server.",
    );
    write(place, "bob", "windvane", "2.0-alt1")?;
    place.ok(
        "bob",
        "gpg --quiet --batch --passphrase '' --quick-generate-key 'Bob Baker (laptop) <bob@example.org>' ed25519 sign 1y",
        Keep::Nothing,
    )?;
    place.ok(
        "bob/windvane",
        "git tag -s -u 'Bob Baker (laptop)' -m 2.0-alt1 2.0-alt1",
        Keep::Nothing,
    )?;
    place.refused(
        "bob/windvane",
        "git push -o build origin main 2.0-alt1",
        "refused",
        Keep::With(&["remote:", "rejected"]),
    )?;
    place.ok("bob/windvane", "git tag -d 2.0-alt1", Keep::Unseen)?;
    Ok(())
}

/// A task fails.
pub(super) fn unmet(place: &mut Place) -> anyhow::Result<()> {
    place.show.step(
        "A change that would break somebody else's package",
        "libwind 2.0 has another interface, hence another soname. It builds; but windgauge, which is in the repository, \
         would be left without libwind.so.0. The task fails before anything is touched, and says why.",
    );
    write(place, "alice", "libwind", "2.0-alt1")?;
    push(place, "alice/libwind", "2.0-alt1", "build")?;
    wait(place, "alice/libwind", 4, 1, Keep::All)?;
    Ok(())
}

/// The task is mended and lands.
pub(super) fn repair(place: &mut Place) -> anyhow::Result<()> {
    place.show.step(
        "The repair: the same task, with the program built again",
        "Alice adds windgauge, mended for the new interface, to the task that failed. It is built with what the task \
         itself brings; libwind is not built a second time, for nothing that it was made from has changed.",
    );
    write(place, "alice", "windgauge", "1.1-alt1")?;
    push(place, "alice/windgauge", "1.1-alt1", "task=4")?;
    place.ok("alice/windgauge", "ssh windlass task run 4", Keep::All)?;
    wait(place, "alice/windgauge", 4, 0, Keep::All)?;
    Ok(())
}

/// Two people's changes land together.
pub(super) fn together(place: &mut Place) -> anyhow::Result<()> {
    place.show.step(
        "Two authors, one task",
        "windvane 2.0 needs windgauge 1.2: neither may land without the other. Alice makes a task and shares it; each \
         adds a tag of their own, and both land at once.",
    );
    write(place, "alice", "windgauge", "1.2-alt1")?;
    place.ok("alice/windgauge", "ssh windlass task new", Keep::All)?;
    place.ok("alice/windgauge", "ssh windlass task share 5 on", Keep::All)?;
    push(place, "alice/windgauge", "1.2-alt1", "task=5")?;
    push(place, "bob/windvane", "2.0-alt1", "task=5")?;
    place.ok("alice/windgauge", "ssh windlass task run 5", Keep::All)?;
    wait(place, "alice/windgauge", 5, 0, Keep::All)?;
    Ok(())
}

/// Somebody else's change waits until it is approved.
pub(super) fn approval(place: &mut Place) -> anyhow::Result<()> {
    place.show.step(
        "Somebody else's package: approved first, then landed",
        "Carol mends libwind, which is Alice's. She builds it from a source repository of her own; all checks pass but the \
         last. When Alice has approved it, it lands as it was built and tested.",
    );
    begin(place, "carol", "libwind", "2.0-alt1.1", Keep::Unseen)?;
    push(place, "carol/libwind", "2.0-alt1.1", "build")?;
    wait(place, "carol/libwind", 6, 1, Keep::All)?;
    place.ok("carol/libwind", "ssh windlass task why 6", Keep::All)?;
    place.ok(
        "alice",
        "ssh windlass \"task approve 6 1 -m 'right, calm has a name'\"",
        Keep::All,
    )?;
    wait(place, "carol/libwind", 6, 0, Keep::All)?;
    Ok(())
}
