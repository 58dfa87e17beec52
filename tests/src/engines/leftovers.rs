//! What an engine that was ended may have left, found by the name of its directory: processes, mounts, control groups.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rustix::mount::{UnmountFlags, unmount};

use crate::proc::{self, Process};

/// Everything that is still there of an engine in this directory that had these containers: for stories about ends. Empty when nothing is.
pub fn remains(dir: &Path, containers: &[String]) -> Vec<String> {
    let processes = proc::of_world(dir).into_iter().map(|one| one.argv.join(" "));
    let mounts = mounts(dir)
        .into_iter()
        .map(|mount| format!("mounted: {}", mount.display()));
    let groups = groups_of(&containers.iter().cloned().collect());
    let groups = groups.into_iter().map(|group| group.display().to_string());
    processes.chain(mounts).chain(groups).collect()
}

/// Ends and removes what is still there of an engine in this directory; the directory itself stays.
pub fn clear(dir: &Path) {
    let groups = groups(dir);
    // Minders of containers name the directory; the containers below them do not.
    let minders = proc::of_world(dir);
    let below: Vec<Process> = minders.iter().flat_map(proc::descendants).collect();
    for process in minders.iter().chain(&below) {
        process.kill();
    }
    // The last mounted first.
    for mount in mounts(dir).into_iter().rev() {
        // Gone already is as good.
        let _ = unmount(&mount, UnmountFlags::DETACH);
    }
    for group in groups {
        let _ = std::fs::remove_dir(group);
    }
}

fn mounts(dir: &Path) -> Vec<PathBuf> {
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let points = table.lines().filter_map(|line| line.split(' ').nth(4));
    points
        .map(PathBuf::from)
        .filter(|point| point.starts_with(dir))
        .collect()
}

/// Control groups of containers that this directory knows, in every hierarchy and under every engine's parent.
fn groups(dir: &Path) -> Vec<PathBuf> {
    let mut ids = BTreeSet::new();
    for folder in ["data/containers", "root/overlay-containers"] {
        let entries = std::fs::read_dir(dir.join(folder)).into_iter().flatten().flatten();
        ids.extend(entries.filter_map(|entry| entry.file_name().into_string().ok()));
    }
    groups_of(&ids)
}

fn groups_of(ids: &BTreeSet<String>) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for hierarchy in std::fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten() {
        for id in ids {
            for name in [
                format!("docker/{id}"),
                format!("libpod_parent/libpod-{id}"),
                format!("libpod_parent/libpod-conmon-{id}"),
            ] {
                let group = hierarchy.path().join(name);
                if group.is_dir() {
                    found.push(group);
                }
            }
        }
    }
    found
}
