//! The processes of this machine, as `/proc` has them: to find those of one world, by what they run and where.

use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal};

/// A process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub id: i32,
    /// Its command line.
    pub argv: Vec<String>,
    /// Where it works; not to be seen of everybody's.
    pub dir: Option<PathBuf>,
}

/// All processes that belong to a world: they work in its folder, or name it.
pub fn of_world(folder: &Path) -> Vec<Process> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let name = folder.to_string_lossy().into_owned();
    entries
        .flatten()
        .filter_map(|entry| read(entry.file_name().to_str()?.parse().ok()?))
        .filter(|process| {
            process.dir.as_ref().is_some_and(|dir| dir.starts_with(folder))
                || process.argv.iter().any(|word| word.contains(&name))
        })
        .collect()
}

fn read(id: i32) -> Option<Process> {
    let line = std::fs::read(format!("/proc/{id}/cmdline")).ok()?;
    let argv: Vec<String> = line
        .split(|byte| *byte == 0)
        .filter(|word| !word.is_empty())
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect();
    let dir = std::fs::read_link(format!("/proc/{id}/cwd")).ok();
    (!argv.is_empty()).then_some(Process { id, argv, dir })
}

/// All processes below this one, whoever started them in between.
pub fn descendants(of: &Process) -> Vec<Process> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let all: Vec<(i32, i32)> = entries
        .flatten()
        .filter_map(|entry| {
            let id = entry.file_name().to_str()?.parse().ok()?;
            Some((id, parent(id)?))
        })
        .collect();
    let mut found = vec![of.id];
    let mut next = 0;
    while let Some(id) = found.get(next).copied() {
        found.extend(all.iter().filter(|(_, parent)| *parent == id).map(|(id, _)| *id));
        next += 1;
    }
    found.drain(..1);
    found.into_iter().filter_map(read).collect()
}

fn parent(id: i32) -> Option<i32> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
    line.trim().parse().ok()
}

impl Process {
    /// Whether it runs a program of this name.
    pub fn runs(&self, program: &str) -> bool {
        self.argv
            .first()
            .is_some_and(|first| Path::new(first).file_name().is_some_and(|name| name == program))
    }

    /// Ends it at once, wherever it is.
    pub fn kill(&self) {
        if let Some(pid) = Pid::from_raw(self.id) {
            // Gone already is as good.
            let _ = rustix::process::kill_process(pid, Signal::KILL);
        }
    }

    /// The most memory that it has had, in KiB.
    pub fn peak_memory(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.trim().trim_end_matches(" kB").parse().ok()
    }
}
