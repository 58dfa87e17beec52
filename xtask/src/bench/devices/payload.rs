//! Full payloads against xz, a second build against the first, deltas against full ones, the stateful archive against `dd | gzip`.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use windlass_tests::proc::Process;
use windlass_tests::process::Cmd;
use windlass_tests::programs::Programs;

use super::super::figure::{Figures, Goal};
use super::roots::Roots;

/// Where the state partition begins on the disk, in sectors.
const BEGIN: u64 = 2048;

/// Measures, and adds the rows.
pub(super) fn measure(programs: &Programs, runs: usize, figures: &mut Figures) -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let roots = Roots::make(dir.path())?;
    let place = Place {
        dir: dir.path(),
        windlass: &programs.windlass,
        roots: &roots,
        runs: runs.max(1),
    };
    place.full(figures)?;
    place.delta(figures)?;
    place.stateful(figures)
}

/// Where it is measured.
struct Place<'a> {
    dir: &'a Path,
    windlass: &'a Path,
    roots: &'a Roots,
    runs: usize,
}

impl Place<'_> {
    fn windlass(&self, args: &[&str]) -> Command {
        let mut command = Command::new(self.windlass);
        command
            .arg("payload")
            .args(args)
            .current_dir(self.dir)
            .stdout(Stdio::null());
        command
    }

    fn generate(&self, image: &Path, more: &[&str]) -> Command {
        let mut command = self.windlass(&["generate", "-o", "full", "--partition"]);
        command.arg(named(image)).args(more);
        command
    }

    fn size(&self, file: &str) -> anyhow::Result<f64> {
        let bytes = self.dir.join(file).metadata()?.len();
        Ok(f64::from(u32::try_from(bytes / 1024)?) / 1024.0)
    }

    /// The peer in the same round as ours, so that both have the same machine.
    fn full(&self, figures: &mut Figures) -> anyhow::Result<()> {
        let (mut peer, mut ours, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        let (mut again, mut faster) = (Vec::new(), Vec::new());
        let (mut zstd, mut much_faster) = (Vec::new(), Vec::new());
        for run in 0..self.runs {
            let out = File::create(self.dir.join("xz"))?;
            let mut xz = Command::new("xz");
            xz.args(["-6", "-T1", "--block-size=1MiB", "--check=crc32", "-c"]);
            let serial = timed(xz.arg(&self.roots.new).stdout(out))?.0;
            let full = timed(&mut self.generate(&self.roots.new, &[]))?.0;
            let cache = format!("cache{run}");
            timed(&mut self.generate(&self.roots.similar, &["--cache", &cache]))?;
            let next = timed(&mut self.generate(&self.roots.new, &["--cache", &cache]))?.0;
            let quick = timed(&mut self.generate(&self.roots.new, &["--zstd"]))?.0;
            peer.push(serial);
            ours.push(full);
            ratios.push(serial / full);
            again.push(next);
            faster.push(full / next);
            zstd.push(quick);
            much_faster.push(serial / quick);
        }
        figures.add("xz -6 in blocks of 1 MiB, one thread", "s", peer);
        figures.one("its size", "MiB", self.size("xz")?);
        figures.add("payload generate", "s", ours);
        figures.add("how many times faster", "x", ratios);
        figures.goal(Goal::AtLeast(1.8));
        figures.add(
            "payload generate, with the chunks of the build before a library was updated",
            "s",
            again,
        );
        figures.add("how many times faster than without", "x", faster);
        figures.goal(Goal::AtLeast(3.0));
        figures.add("payload generate --zstd", "s", zstd);
        figures.add("how many times faster than xz", "x", much_faster);
        figures.goal(Goal::AtLeast(20.0));
        figures.one("its size", "MiB", self.size("full")?);
        Ok(())
    }

    fn delta(&self, figures: &mut Figures) -> anyhow::Result<()> {
        let (mut shares, mut times, mut peaks) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..self.runs {
            let (full, _) = timed(&mut self.generate(&self.roots.new, &[]))?;
            let mut delta = self.windlass(&["delta", "-o", "delta", "--partition"]);
            let old = self.roots.old.display();
            delta.arg(format!("root={old}:{}", self.roots.new.display()));
            let (took, peak) = timed(&mut delta)?;
            shares.push(self.size("delta")? / self.size("full")? * 100.0);
            times.push(took / full);
            peaks.push(peak);
        }
        figures.one("full payload, size", "MiB", self.size("full")?);
        figures.one("delta, size", "MiB", self.size("delta")?);
        figures.add("delta, share of the full payload's size", "%", shares);
        figures.goal(Goal::AtMost(15.0));
        figures.add("delta, time in times of the full payload's", "x", times);
        figures.goal(Goal::AtMost(1.0));
        figures.add("delta, peak memory", "MiB", peaks);
        figures.goal(Goal::AtMost(1024.0));
        let sources = format!("root={}", self.roots.old.display());
        let applied =
            timed(&mut self.windlass(&["apply", "delta", "--unverified", "--source", &sources, "-o", "applied"]))?;
        figures.one("payload apply, of the delta", "s", applied.0);
        let made = std::fs::read(self.dir.join("applied/root.img"))?;
        if made != std::fs::read(&self.roots.new)? {
            bail!("the delta does not make the new image");
        }
        Ok(())
    }

    fn stateful(&self, figures: &mut Figures) -> anyhow::Result<()> {
        let disk = self.dir.join("disk");
        let size = self.roots.new.metadata()?.len();
        File::create(&disk)?.set_len(size + (4 << 20))?;
        let end = BEGIN + size / 512 - 1;
        let table = Cmd::new("/usr/sbin/sgdisk").args(["-n", &format!("1:{BEGIN}:{end}")]);
        table.arg(&disk).run()?.ok()?;
        let mut copy = Cmd::new("dd").arg(format!("if={}", self.roots.new.display()));
        copy = copy.arg(format!("of={}", disk.display()));
        copy.args(["bs=1M", "seek=1", "conv=notrunc", "status=none"])
            .run()?
            .ok()?;
        let (mut peer, mut ours, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..self.runs {
            let script = format!(
                "dd if=disk bs=512 skip={BEGIN} count={} status=none | gzip -c > gzip",
                size / 512
            );
            let serial = timed(Command::new("sh").args(["-c", &script]).current_dir(self.dir))?.0;
            let archive = timed(&mut self.windlass(&["stateful", "--image", "disk", "-o", "stateful"]))?.0;
            peer.push(serial);
            ours.push(archive);
            ratios.push(serial / archive);
        }
        figures.add("dd | gzip -c", "s", peer);
        figures.add("payload stateful", "s", ours);
        figures.add("how many times faster", "x", ratios);
        figures.goal(Goal::AtLeast(6.0));
        let share = self.size("stateful")? / self.size("gzip")? * 100.0;
        figures.one("its size, share of gzip's", "%", share);
        figures.goal(Goal::AtMost(102.0));
        Ok(())
    }
}

fn named(image: &Path) -> String {
    format!("root={}", image.display())
}

/// How many seconds a command takes, and the most MiB of memory that it has had.
fn timed(command: &mut Command) -> anyhow::Result<(f64, f64)> {
    let started = Instant::now();
    let mut child = command.stdin(Stdio::null()).spawn().context("cannot start it")?;
    let process = Process {
        id: i32::try_from(child.id())?,
        argv: Vec::new(),
        dir: None,
    };
    let mut peak = 0;
    loop {
        peak = process.peak_memory().unwrap_or(0).max(peak);
        if let Some(status) = child.try_wait()? {
            if !status.success() {
                bail!("{command:?} failed");
            }
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let mebibytes = f64::from(u32::try_from(peak)?) / 1024.0;
    Ok((started.elapsed().as_secs_f64(), mebibytes))
}
