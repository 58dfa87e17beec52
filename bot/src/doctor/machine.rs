//! The machine: its clock, its disks, and the journal on them.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use jiff::{SignedDuration, Timestamp};
use windlass_hooks::process::Run;

use super::{Finding, Site, unreadable};
use crate::journal::{Journal as _, Sqlite};

/// A file system with less is as good as full: a push may be larger.
const FULL: u64 = 64 << 20;

/// A larger journal is not read whole: `windlass journal verify` does that.
const LARGEST_READ: u64 = 256 << 20;

pub(super) fn examine(site: &Site) -> Vec<Finding> {
    let mut findings = disks(site);
    findings.extend(journal(site));
    findings.extend(clock(site));
    findings
}

fn disks(site: &Site) -> Vec<Finding> {
    let paths = &site.config.paths;
    let mut seen: Vec<u64> = Vec::new();
    let mut findings = Vec::new();
    for path in [paths.state(), paths.spool(), paths.git()] {
        let Ok(metadata) = path.metadata() else { continue };
        if seen.contains(&metadata.dev()) {
            continue;
        }
        seen.push(metadata.dev());
        match rustix::fs::statvfs(&path) {
            Ok(found) => findings.extend(disk(&path, &found)),
            Err(error) => findings.push(unreadable(&format!("the disk of '{}'", path.display()), &error)),
        }
    }
    findings
}

fn disk(path: &Path, found: &rustix::fs::StatVfs) -> Option<Finding> {
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    let size = found.f_blocks.saturating_mul(found.f_frsize);
    let shown = format!("{}: {} MiB of {} MiB free", path.display(), free >> 20, size >> 20);
    let inodes_are_low = found.f_files > 0 && found.f_favail < found.f_files / 100;
    let mend = "make room, or move the directory: [paths] in windlass.toml";
    if free < FULL {
        let message = "the disk is full: nothing can be pushed or recorded";
        return Some(Finding::error("disk_full", message).value(shown).mend(mend));
    }
    if inodes_are_low {
        let shown = format!(
            "{}: {} of {} inodes free",
            path.display(),
            found.f_favail,
            found.f_files
        );
        return Some(
            Finding::warning("disk_low", "the file system has few inodes left")
                .value(shown)
                .mend(mend),
        );
    }
    (free < size / 20 && free < 2 << 30).then(|| {
        Finding::warning("disk_low", "the disk is nearly full")
            .value(shown)
            .mend(mend)
    })
}

fn journal(site: &Site) -> Vec<Finding> {
    let path = site.config.paths.journal();
    let Ok(metadata) = path.metadata() else {
        return Vec::new();
    };
    let broken = |what: String| {
        Finding::error("journal_damaged", "the journal is not as the bot left it")
            .value(format!("{}: {what}", path.display()))
            .mend("windlass journal verify; `windlass restore DIR` takes a backup")
    };
    let journal = match Sqlite::open_read_only(&path) {
        Ok(journal) => journal,
        Err(error) => return vec![broken(error.to_string())],
    };
    let mut findings = Vec::new();
    if metadata.size() <= LARGEST_READ {
        match journal.verify(None) {
            Ok(report) => findings.extend(report.findings.first().map(|first| broken(first.to_string()))),
            Err(error) => findings.push(broken(error.to_string())),
        }
    }
    let last = journal
        .head()
        .and_then(|head| journal.read_from(head.seq.saturating_sub(1), 1))
        .ok()
        .and_then(|rows| rows.first().map(|row| row.at));
    findings.extend(last.and_then(|last| behind(site, last, "the journal's last row")));
    findings
}

/// The clock stands before something that has happened.
fn behind(site: &Site, last: Timestamp, what: &str) -> Option<Finding> {
    let tolerance = site
        .config
        .signing
        .future_tolerance
        .signed()
        .max(SignedDuration::from_secs(60));
    (last > site.now && last.duration_since(site.now) > tolerance).then(|| {
        Finding::error(
            "clock_behind",
            "the clock is behind: keys and signatures are judged by it",
        )
        .value(format!("it is {} here, and {what} is of {last}", site.now))
        .mend("timedatectl set-ntp true")
    })
}

fn clock(site: &Site) -> Vec<Finding> {
    let mut findings = Vec::new();
    let made = site
        .installation
        .program
        .metadata()
        .and_then(|found| found.modified())
        .ok();
    let made = made.and_then(|made: SystemTime| Timestamp::try_from(made).ok());
    findings.extend(made.and_then(|made| behind(site, made, "the program's own file")));
    // Where nobody can say, nothing is said.
    let asked = PathBuf::from("/usr/bin/timedatectl");
    if asked.exists() {
        let run = Run::new(&asked)
            .args(["show", "--property=NTPSynchronized", "--value"])
            .timeout(Duration::from_secs(5));
        if run.ok().is_ok_and(|done| done.stdout.trim_ascii() == b"no") {
            findings.push(
                Finding::note("clock_alone", "the clock is not kept right over the network")
                    .value("NTPSynchronized=no")
                    .mend("timedatectl set-ntp true"),
            );
        }
    }
    findings
}
