//! How bubblewrap is called: what a command in the sandbox sees, and as whom it runs.

use super::tree::Tree;
use super::wire::{Job, Role};

/// The user and group that builds run as, in the sandbox.
pub(super) const BUILDER: u32 = 1000;

/// The name of every sandbox' host.
pub(crate) const HOST: &str = "build.invalid";

/// What installing packages needs no right to. Without these a scriptlet cannot mount, load, trace or change limits.
const NOT_FOR_ROOT: [&str; 15] = [
    "CAP_SYS_ADMIN",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_PTRACE",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_BOOT",
    "CAP_SYS_TIME",
    "CAP_SYS_NICE",
    "CAP_SYS_TTY_CONFIG",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_MKNOD",
    "CAP_LINUX_IMMUTABLE",
    "CAP_IPC_LOCK",
    "CAP_SYSLOG",
];

/// The arguments that run a job in a tree.
pub(super) fn arguments(job: &Job, tree: &Tree) -> Vec<String> {
    let mut list = Arguments(Vec::with_capacity(96));
    list.all(&["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts"]);
    list.all(&[
        "--unshare-cgroup-try",
        "--hostname",
        HOST,
        "--die-with-parent",
        "--new-session",
    ]);
    match job.role {
        Role::Root => {
            list.bind("--bind", tree, "");
            list.bind("--ro-bind", tree, "../packages");
            for capability in NOT_FOR_ROOT {
                list.all(&["--cap-drop", capability]);
            }
        }
        Role::Builder => {
            let id = BUILDER.to_string();
            list.all(&["--unshare-user", "--disable-userns", "--uid", &id, "--gid", &id]);
            list.bind("--ro-bind", tree, "");
            for place in ["build", "tmp", "var/tmp"] {
                list.bind("--bind", tree, place);
            }
        }
    }
    if tree.has_local() {
        // What somebody put there by hand is not the distribution's.
        list.all(&["--tmpfs", "/usr/local", "--remount-ro", "/usr/local"]);
    }
    list.all(&["--proc", "/proc", "--dev", "/dev"]);
    list.bind("--bind", tree, "../shm");
    list.all(&["--remount-ro", "/dev", "--clearenv"]);
    for (name, value) in &job.env {
        list.all(&["--setenv", name, value]);
    }
    list.all(&["--chdir", if job.role == Role::Root { "/" } else { "/build" }, "--"]);
    list.0.extend(job.argv.iter().cloned());
    list.0
}

struct Arguments(Vec<String>);

impl Arguments {
    fn all(&mut self, words: &[&str]) {
        self.0.extend(words.iter().map(|word| (*word).to_owned()));
    }

    /// A place of the tree, where it stands in the sandbox; what is beside the tree's root has a place of its own.
    fn bind(&mut self, how: &str, tree: &Tree, place: &str) {
        let (from, to) = match place {
            "../packages" => (tree.packages(), "/run/packages".to_owned()),
            "../shm" => (tree.shm(), "/dev/shm".to_owned()),
            inside => (tree.path(inside), format!("/{inside}")),
        };
        self.all(&[how, &from.display().to_string(), &to]);
    }
}
