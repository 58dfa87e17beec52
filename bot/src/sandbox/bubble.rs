//! How bubblewrap is called: what a command in the sandbox sees, and as whom it runs.

use super::tree::Tree;
use super::wire::{Job, Role};

/// The user and group that builds run as, in the sandbox.
pub(super) const BUILDER: u32 = 1000;

/// The name of every sandbox' host.
pub(crate) const HOST: &str = "build.invalid";

/// What installing packages needs a right to, as the root of a user namespace. Nothing of it lets a scriptlet mount, load or trace.
const FOR_ROOT: [&str; 10] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
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
            list.all(&["--cap-drop", "ALL"]);
            for capability in FOR_ROOT {
                list.all(&["--cap-add", capability]);
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
