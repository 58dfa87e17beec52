//! The container image that follows the repository: it is built again whenever a package lands that it holds.

use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context as _, bail};
use windlass_tests::{demo, wait};

use super::place::Place;
use super::show::Keep;

/// How long its jobs may take on a loaded machine.
const JOBS: Duration = Duration::from_mins(3);

/// Names the image in the server's configuration.
pub(super) fn configure(place: &Place) -> anyhow::Result<()> {
    let dir = place.dir.join("image");
    demo::lay_out_image(&dir, &place.dir.join("srv"))?;
    let mut config = std::fs::OpenOptions::new().append(true).open(place.config())?;
    write!(
        config,
        "\n[[image]]\nname = \"windvane\"\ndockerfile = \"{}\"\npackages = [\"windvane\"]\narchitecture = \"x86_64\"\nengine = \"none\"\n",
        dir.join("Dockerfile").display()
    )?;
    Ok(())
}

/// Shows what became of it.
pub(super) fn follows(place: &mut Place) -> anyhow::Result<()> {
    place.show.step(
        "A container image that follows",
        "The server was told of an image that holds windvane. Each landing that changed windvane, or what it needs, queued its \
         build in the very transaction that recorded the landing. Its Dockerfile has no RUN, so no container engine is asked.",
    );
    place.ok("admin", "grep -A5 '^\\[\\[image\\]\\]' srv/windlass.toml", Keep::All)?;
    place.ok("admin", "cat image/Dockerfile", Keep::All)?;
    place.show.waits("the image is built");
    let last = last_job(place)?;
    place.ok("alice", "ssh windlass job ls --state done", Keep::All)?;
    place.ok("alice", &format!("ssh windlass job show {last}"), Keep::All)?;
    let log = place.ok(
        "alice",
        &format!("ssh windlass job show {last} --log"),
        Keep::With(&["because:", "package generation:", "windvane-", "libwind-", "database"]),
    )?;
    if !log.out().contains("because: libwind 2.0-alt1 → 2.0-alt1.1") {
        bail!("the image was not built for libwind 2.0-alt1.1:\n{}", log.out());
    }
    Ok(())
}

/// Waits until no job is left to do; gives the number of the last one, if all went well.
fn last_job(place: &mut Place) -> anyhow::Result<u64> {
    wait::until_within(JOBS, "the image's jobs to end", || {
        Ok(jobs(place, "")?.is_empty().then_some(()))
    })?;
    if let Some(failed) = jobs(place, " --state failed,cancelled")?.first() {
        let log = place.run("alice", &format!("ssh windlass job show {failed} --log"), Keep::Unseen)?;
        bail!("job {failed} did not end well:\n{}{}", log.out(), log.err());
    }
    jobs(place, " --state done")?
        .into_iter()
        .max()
        .context("no job was done")
}

/// The numbers of the jobs that `windlass job ls` names.
fn jobs(place: &mut Place, which: &str) -> anyhow::Result<Vec<u64>> {
    let list = place
        .ok("alice", &format!("ssh windlass job ls{which} --json"), Keep::Unseen)?
        .json()?;
    let rows = list.as_array().context("a list of jobs")?;
    Ok(rows.iter().filter_map(|row| row["id"].as_u64()).collect())
}
