//! Memory and processes of a whole build, counted by the kernel: control groups of the second kind, or of the first where that is what
//! there is. Where neither can be written to, what one process may have is limited instead.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// The group of our own processes, below one whose controllers count for groups below it.
const LEAF: &str = "windlass-bot";

/// The groups of one sandbox: one directory for each controller, or one for all. Dropped, they are removed.
#[derive(Debug, Default)]
pub(super) struct Cgroups {
    memory: Option<PathBuf>,
    pids: Option<PathBuf>,
}

/// What a build ran into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Hits {
    /// A process was killed because the memory was used up.
    pub(super) memory: bool,
    /// A process could not be started because there were too many.
    pub(super) processes: bool,
}

impl Cgroups {
    /// Makes them below the bot's own groups, as far as they can be made.
    pub(super) fn make(name: &str, memory: u64, processes: u64) -> Self {
        let Ok(own) = fs::read_to_string("/proc/self/cgroup") else {
            return Self::default();
        };
        let mut groups = Self::default();
        for line in own.lines() {
            let mut fields = line.splitn(3, ':').skip(1);
            let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else {
                continue;
            };
            if controllers.is_empty() {
                groups.second_kind(path, name, memory, processes);
                continue;
            }
            for controller in controllers.split(',') {
                let place = Path::new("/sys/fs/cgroup").join(controllers);
                let place = if place.is_dir() {
                    place
                } else {
                    Path::new("/sys/fs/cgroup").join(controller)
                };
                let directory = below(&place, path).join(name);
                let limits: &[(&str, u64)] = match controller {
                    "memory" => &[
                        ("memory.limit_in_bytes", memory),
                        ("memory.memsw.limit_in_bytes", memory),
                    ],
                    "pids" => &[("pids.max", processes)],
                    _ => continue,
                };
                // Swap is not counted everywhere.
                let Ok(()) = make(&directory, &limits[..1]) else {
                    continue;
                };
                let _ = set(&directory, &limits[1..]);
                if controller == "memory" {
                    groups.memory = Some(directory);
                } else {
                    groups.pids = Some(directory);
                }
            }
        }
        groups
    }

    fn second_kind(&mut self, path: &str, name: &str, memory: u64, processes: u64) {
        for mount in ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"] {
            let own = home(below(Path::new(mount), path));
            let Ok(controllers) = fs::read_to_string(own.join("cgroup.controllers")) else {
                continue;
            };
            if !["memory", "pids"]
                .iter()
                .all(|wanted| controllers.split_whitespace().any(|one| one == *wanted))
            {
                continue;
            }
            if !hand_down(&own) {
                continue;
            }
            let directory = own.join(name);
            if make(&directory, &[("memory.max", memory), ("pids.max", processes)]).is_ok() {
                let _ = set(&directory, &[("memory.swap.max", 0)]);
                // The whole build goes, and not whichever of its processes is the largest.
                let _ = set(&directory, &[("memory.oom.group", 1)]);
                self.memory = Some(directory.clone());
                self.pids = Some(directory);
                return;
            }
        }
    }

    /// Whether memory is counted for the whole build.
    pub(super) fn counts_memory(&self) -> bool {
        self.memory.is_some()
    }

    /// Whether processes are counted for the whole build.
    pub(super) fn counts_processes(&self) -> bool {
        self.pids.is_some()
    }

    /// Puts a process in, with all that it starts.
    pub(super) fn add(&self, process: u32) -> io::Result<()> {
        for directory in self.directories() {
            fs::write(directory.join("cgroup.procs"), process.to_string())?;
        }
        Ok(())
    }

    /// What was run into so far.
    pub(super) fn hits(&self) -> Hits {
        let counted = |directory: &Option<PathBuf>, files: &[&str], key: &str| {
            let Some(directory) = directory else { return false };
            files.iter().any(|file| {
                let text = fs::read_to_string(directory.join(file)).unwrap_or_default();
                text.lines().any(|line| {
                    line.strip_prefix(key)
                        .is_some_and(|rest| rest.trim().parse::<u64>().is_ok_and(|count| count > 0))
                })
            })
        };
        Hits {
            memory: counted(&self.memory, &["memory.events", "memory.oom_control"], "oom_kill "),
            processes: counted(&self.pids, &["pids.events"], "max "),
        }
    }

    fn directories(&self) -> impl Iterator<Item = &PathBuf> {
        let pids = self.pids.as_ref().filter(|pids| Some(*pids) != self.memory.as_ref());
        self.memory.iter().chain(pids)
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        for directory in self.directories() {
            remove(directory);
        }
    }
}

/// Removes a group, and whoever is still in it.
fn remove(directory: &Path) {
    while let Err(error) = fs::remove_dir(directory) {
        let text = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
        let processes: Vec<Pid> = text
            .lines()
            .filter_map(|line| Pid::from_raw(line.parse().ok()?))
            .collect();
        if processes.is_empty() || !processes.iter().all(|process| ends(*process)) {
            if error.kind() != io::ErrorKind::NotFound {
                tracing::warn!(path = %directory.display(), %error, "a control group cannot be removed: {error}");
            }
            return;
        }
    }
}

/// Kills a process, and says whether its end was seen.
fn ends(process: Pid) -> bool {
    let Ok(process) = pidfd_open(process, PidfdFlags::empty()) else {
        return true;
    };
    let _ = pidfd_send_signal(&process, Signal::KILL);
    let most = Timespec { tv_sec: 5, tv_nsec: 0 };
    poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&most)).is_ok_and(|ready| ready > 0)
}

/// Whether a process runs. One that has ended and that nobody has asked for yet does not.
fn lives(process: &str) -> bool {
    let stat = fs::read_to_string(Path::new("/proc").join(process).join("stat")).unwrap_or_default();
    let state = stat.rsplit_once(')').map(|(_, rest)| rest.trim_start());
    state.is_some_and(|state| !state.starts_with(['Z', 'X']))
}

/// Removes the groups that bots left which are no more.
pub(super) fn sweep(prefix: &str) {
    let Ok(own) = fs::read_to_string("/proc/self/cgroup") else {
        return;
    };
    for line in own.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else {
            continue;
        };
        for place in [controllers, "unified", ""] {
            let Ok(entries) = fs::read_dir(home(below(&Path::new("/sys/fs/cgroup").join(place), path))) else {
                continue;
            };
            for entry in entries.flatten() {
                let name = entry.file_name();
                let maker = name
                    .to_str()
                    .and_then(|name| name.strip_prefix(prefix)?.split('-').next());
                if maker.is_some_and(|maker| !lives(maker)) {
                    remove(&entry.path());
                }
            }
        }
    }
}

/// The group that was given to us, where our processes are in one of their own below it.
fn home(own: PathBuf) -> PathBuf {
    match own.parent() {
        Some(parent) if own.file_name().is_some_and(|name| name == LEAF) => parent.to_owned(),
        Some(_) | None => own,
    }
}

/// Makes a group's controllers count for those below it. A group that holds processes cannot, so they go into one of their own. That
/// is only done in a group of our own, as a service has whose unit says `Delegate=yes`, and not in that of a whole login.
fn hand_down(own: &Path) -> bool {
    let control = own.join("cgroup.subtree_control");
    let enabled = || {
        let text = fs::read_to_string(&control).unwrap_or_default();
        ["memory", "pids"]
            .iter()
            .all(|wanted| text.split_whitespace().any(|one| one == *wanted))
    };
    if enabled() || fs::write(&control, "+memory +pids").is_ok() && enabled() {
        return true;
    }
    let processes = fs::read_to_string(own.join("cgroup.procs")).unwrap_or_default();
    if !processes.lines().all(|process| process.parse().is_ok_and(is_ours)) {
        return false;
    }
    let leaf = own.join(LEAF);
    if fs::create_dir(&leaf).is_err() && !leaf.is_dir() {
        return false;
    }
    for process in processes.lines() {
        let _ = fs::write(leaf.join("cgroup.procs"), process);
    }
    fs::write(&control, "+memory +pids").is_ok() && enabled()
}

/// Whether a process is this one, or was started by it, or by one that was.
fn is_ours(mut process: u32) -> bool {
    let own = std::process::id();
    for _ in 0..64 {
        if process == own {
            return true;
        }
        let text = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        let parent = text
            .lines()
            .find_map(|line| line.strip_prefix("PPid:")?.trim().parse().ok());
        match parent {
            Some(parent) if parent > 1 => process = parent,
            // One that has ended meanwhile is in nobody's way.
            None if text.is_empty() => return true,
            Some(_) | None => return false,
        }
    }
    false
}

fn make(directory: &Path, limits: &[(&str, u64)]) -> io::Result<()> {
    match fs::create_dir(directory) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            // Nobody is in it, since its ids are ours; made anew it counts from nothing.
            fs::remove_dir(directory)?;
            fs::create_dir(directory)?;
        }
        Err(error) => return Err(error),
    }
    set(directory, limits).inspect_err(|_| {
        let _ = fs::remove_dir(directory);
    })
}

fn set(directory: &Path, limits: &[(&str, u64)]) -> io::Result<()> {
    for (file, value) in limits {
        fs::write(directory.join(file), value.to_string())?;
    }
    Ok(())
}

fn below(mount: &Path, path: &str) -> PathBuf {
    mount.join(path.trim_start_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_group_is_found_again_from_within() {
        let given = PathBuf::from("/sys/fs/cgroup/system.slice/windlass.service");
        assert_eq!(home(given.join(LEAF)), given);
        assert_eq!(home(given.clone()), given);
        assert_eq!(home(PathBuf::from("/")), Path::new("/"));
    }

    #[test]
    fn only_what_we_started_is_ours() {
        assert!(is_ours(std::process::id()));
        assert!(!is_ours(1));
        let mut child = std::process::Command::new("cat")
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        assert!(is_ours(child.id()) && lives(&child.id().to_string()));
        drop(child.stdin.take());
        // Its end is waited for without being asked for: it is a zombie then.
        let number = Pid::from_child(&child);
        let process = pidfd_open(number, PidfdFlags::empty()).unwrap();
        poll(&mut [PollFd::new(&process, PollFlags::IN)], None).unwrap();
        assert!(!lives(&child.id().to_string()));
        child.wait().unwrap();
        assert!(!lives(&child.id().to_string()));
    }
}
