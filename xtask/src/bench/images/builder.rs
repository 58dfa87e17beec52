//! The builder that needs no engine, on a tree of 200 MB, against `docker build`, `podman build` and `buildah bud`: taking turns in the same run.
//!
//! The engines store what they copy as it is; ours is a compressed layer with its digests, ready for a registry. Peak memory is what the kernel
//! says of the process while it runs.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use windlass_tests::Cmd;
use windlass_tests::engines::{self, Engine, Kind};
use windlass_tests::programs::Programs;

use super::super::figure::{Figures, Goal, ms};
use super::tree;
use crate::say;

/// What the peak may be.
const MOST_MEMORY: f64 = 100.0;

/// The image's name.
const NAME: &str = "localhost/bench:1";

/// Somebody who builds.
struct Peer {
    name: &'static str,
    build: Cmd,
    clean: Cmd,
    times: Vec<f64>,
    ratios: Vec<f64>,
    // Kept until the end of the run.
    _engine: Option<Engine>,
}

/// Measures, and adds the rows.
pub(super) fn measure(programs: &Programs, runs: usize, figures: &mut Figures) -> anyhow::Result<()> {
    let place = tempfile::Builder::new().prefix("wlb-").tempdir()?;
    let context = place.path().join("context");
    let bytes = tree::make(&context.join("tree"))?;
    std::fs::write(
        context.join("Dockerfile"),
        "FROM scratch\nCOPY tree /opt/tree\nLABEL bench=1\n",
    )?;
    let out = place.path().join("out");
    let mut peers = peers(place.path(), &context)?;
    let (mut times, mut peaks) = (Vec::new(), Vec::new());
    // One round that does not count: files are in memory afterwards, and every store has its folders.
    for round in 0..=runs {
        let (time, peak) = ours(programs, &context, &out)?;
        for peer in &mut peers {
            let theirs = timed(&peer.build)?;
            peer.clean.run()?.ok()?;
            if round > 0 {
                peer.times.push(ms(theirs));
                peer.ratios.push(theirs.as_secs_f64() / time.as_secs_f64());
            }
        }
        if round > 0 {
            times.push(ms(time));
            peaks.push(peak);
        }
    }
    let mib = bytes / (1 << 20);
    figures.add(&format!("image build --engine none, {mib} MiB"), "ms", times);
    figures.add("  its peak memory", "MiB", peaks);
    figures.goal(Goal::AtMost(MOST_MEMORY));
    for peer in peers {
        figures.add(peer.name, "ms", peer.times);
        figures.add(&format!("  {}, of ours", peer.name), "x", peer.ratios);
        figures.goal(Goal::AtLeast(1.0));
    }
    Ok(())
}

/// Builds without an engine; the time, and the peak in MiB.
fn ours(programs: &Programs, context: &Path, out: &Path) -> anyhow::Result<(Duration, f64)> {
    let mut command = Command::new(&programs.windlass);
    command
        .args([
            "image",
            "build",
            "--engine",
            "none",
            "--no-cache",
            "--tag",
            NAME,
            "--file",
        ])
        .arg(context.join("Dockerfile"))
        .arg("--context")
        .arg(context)
        .arg("--output")
        .arg(format!("oci:{}", out.display()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let started = Instant::now();
    let mut child = command.spawn().context("cannot run windlass")?;
    let status = PathBuf::from(format!("/proc/{}/status", child.id()));
    let mut peak = 0.0_f64;
    let ended = loop {
        // The peak only grows: what is missed is what is used in the last moments.
        peak = peak.max(high_water(&status).unwrap_or(0.0));
        if let Some(ended) = child.try_wait()? {
            break ended;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let time = started.elapsed();
    if !ended.success() {
        let mut said = String::new();
        if let Some(mut stderr) = child.stderr.take() {
            std::io::Read::read_to_string(&mut stderr, &mut said)?;
        }
        bail!("image build --engine none: {said}");
    }
    Ok((time, peak))
}

/// The most memory that a process has had, in MiB.
fn high_water(status: &Path) -> Option<f64> {
    let text = std::fs::read_to_string(status).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u32 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(f64::from(kib) / 1024.0)
}

fn timed(command: &Cmd) -> anyhow::Result<Duration> {
    let started = Instant::now();
    command.run()?.ok()?;
    Ok(started.elapsed())
}

/// Those who are here; who is not is told.
fn peers(place: &Path, context: &Path) -> anyhow::Result<Vec<Peer>> {
    let mut peers = Vec::new();
    for (kind, name) in [(Kind::Docker, "docker build"), (Kind::Podman, "podman build")] {
        if let Some(why) = engines::lacking(kind) {
            say::talk(format_args!("SKIPPED: {name}: {why}"));
            continue;
        }
        let engine = Engine::start(kind)?;
        let build = engine
            .cli()
            .env("DOCKER_BUILDKIT", "0")
            .args(["build", "--no-cache", "--quiet", "--tag", NAME])
            .arg(context)
            .limit(Duration::from_mins(10));
        let clean = engine.cli().args(["rmi", "--force", NAME]);
        peers.push(Peer {
            name,
            build,
            clean,
            times: Vec::new(),
            ratios: Vec::new(),
            _engine: Some(engine),
        });
    }
    if Path::new("/usr/bin/buildah").exists() {
        let store = |command: Cmd| {
            command
                .arg("--root")
                .arg(place.join("buildah"))
                .arg("--runroot")
                .arg(place.join("buildah-run"))
        };
        let build = store(Cmd::new("buildah"))
            .args(["bud", "--isolation", "chroot", "--no-cache", "--quiet", "--tag", NAME])
            .arg(context)
            .limit(Duration::from_mins(10));
        peers.push(Peer {
            name: "buildah bud",
            build,
            clean: store(Cmd::new("buildah")).args(["rmi", "--all", "--force"]),
            times: Vec::new(),
            ratios: Vec::new(),
            _engine: None,
        });
    } else {
        say::talk("SKIPPED: buildah bud: there is no buildah");
    }
    Ok(peers)
}
