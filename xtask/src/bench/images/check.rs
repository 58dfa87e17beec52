//! `image check` of what has not changed: against the script whose place it took, and of fifty images against one.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, bail};
use windlass_tests::Cmd;
use windlass_tests::engines::{Engine, Kind, lacking};
use windlass_tests::programs::Programs;

use super::super::figure::{Figures, Goal, ms};
use crate::say;

/// Images that stand on each other.
const CHAIN: usize = 50;

/// Where the script is had.
const NO_PEER: &str = "SKIPPED: image check against the script: --peer FILE or WINDLASS_DOCKER_PY names QEMU's tests/docker/docker.py \
                       (Debian: `apt-get source qemu`); it needs python3 and docker's client";

/// Measures both.
pub(super) fn measure(
    programs: &Programs,
    peer: Option<&Path>,
    runs: usize,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    if let Some(why) = lacking(Kind::Docker) {
        say::talk(format!("SKIPPED: image check: {why}"));
        return Ok(());
    }
    let engine = Engine::start(Kind::Docker)?;
    engine.make_busybox("localhost/busybox:latest")?;
    let dir = tempfile::Builder::new().prefix("wlb-").tempdir()?;
    let place = Place {
        windlass: programs.windlass.clone(),
        host: engine.host(),
        dir: dir.path().to_owned(),
    };
    std::fs::write(
        place.dir.join("one.docker"),
        "FROM localhost/busybox:latest\nENV one=1\n",
    )?;
    place.windlass("build -t one -f one.docker")?.run()?.ok()?;
    match peer {
        Some(peer) => against(&place, peer, runs, figures)?,
        None => say::talk(NO_PEER),
    }
    let last = CHAIN - 1;
    for number in 0..CHAIN {
        let below = match number.checked_sub(1) {
            Some(below) => format!("localhost/image{below}"),
            None => "localhost/busybox:latest".to_owned(),
        };
        let text = format!("FROM {below}\nENV number={number}\n");
        std::fs::write(place.dir.join(format!("image{number}.docker")), text)?;
    }
    place
        .windlass(&format!("build -t image{last} -f image{last}.docker"))?
        .run()?
        .ok()?;
    let one = place.windlass("check one one.docker")?;
    let many = place.windlass(&format!("check image{last} image{last}.docker"))?;
    let mut ratios = Vec::new();
    let (mut ones, mut manies) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        let (single, all) = (timed(&one)?, timed(&many)?);
        ratios.push(all / single);
        ones.push(single);
        manies.push(all);
    }
    figures.add("image check, one image", "ms", ones);
    figures.add(&format!("image check, {CHAIN} images on each other"), "ms", manies);
    figures.add("the second by the first", "×", ratios);
    figures.goal(Goal::AtMost(3.0));
    Ok(())
}

struct Place {
    windlass: PathBuf,
    host: String,
    dir: PathBuf,
}

impl Place {
    fn windlass(&self, args: &str) -> anyhow::Result<Cmd> {
        let home = self.dir.join("home");
        std::fs::create_dir_all(&home)?;
        let image = Cmd::new(&self.windlass).args(["image", "--host", &self.host]);
        Ok(image.args(args.split(' ')).dir(&self.dir).env("HOME", home))
    }

    /// The script, with the docker client that it starts.
    fn peer(&self, peer: &Path, args: &str) -> Cmd {
        let script = Cmd::new("python3").arg(peer).args(["--engine", "docker"]);
        let script = script.args(args.split(' ')).dir(&self.dir);
        script
            .env("DOCKER_HOST", &self.host)
            .env("HOME", &self.dir)
            .env("TRAVIS", "1")
    }
}

/// The same question to both, in turns.
fn against(place: &Place, peer: &Path, runs: usize, figures: &mut Figures) -> anyhow::Result<()> {
    let peer = std::fs::canonicalize(peer).with_context(|| format!("cannot find the script {}", peer.display()))?;
    std::fs::write(
        place.dir.join("theirs.docker"),
        "FROM localhost/busybox:latest\nENV one=1\n",
    )?;
    place
        .peer(&peer, "build -t localhost/theirs -f theirs.docker")
        .run()?
        .ok()?;
    let theirs = place.peer(&peer, "check localhost/theirs theirs.docker");
    let ours = place.windlass("check one one.docker")?;
    let (mut them, mut us, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..runs {
        let (their, our) = (timed(&theirs)?, timed(&ours)?);
        ratios.push(their / our);
        them.push(their);
        us.push(our);
    }
    figures.add("image check, the script's", "ms", them);
    figures.add("image check, ours", "ms", us);
    figures.add("the first by the second", "×", ratios);
    figures.goal(Goal::AtLeast(10.0));
    Ok(())
}

/// From start to end, in milliseconds; the answer has to be that all is up to date.
fn timed(command: &Cmd) -> anyhow::Result<f64> {
    let mut child: Command = command.command();
    child.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let started = Instant::now();
    let status = child.status()?;
    let took = ms(started.elapsed());
    if !status.success() {
        bail!("{}: {status}", command.shown());
    }
    Ok(took)
}
