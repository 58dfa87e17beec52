//! System packages: which programs are missing, the Debian packages that bring them, and installing those after asking.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::{process, say};

/// Something that is needed, and the Debian package that brings it.
pub(crate) struct Needed {
    /// How it is found.
    what: What,
    /// The package.
    package: &'static str,
}

/// What is looked for.
enum What {
    /// A program.
    Program(&'static str),
    /// A program that others start, at a place of its own.
    File(&'static str),
    /// The C compiler's other half: it makes programs of 32 bits too.
    Compiles32,
}

const fn program(name: &'static str, package: &'static str) -> Needed {
    Needed {
        what: What::Program(name),
        package,
    }
}

const fn file(path: &'static str, package: &'static str) -> Needed {
    Needed {
        what: What::File(path),
        package,
    }
}

/// What the demonstration runs: a server, people, builds for two architectures, a client.
pub(crate) const DEMO: [Needed; 13] = [
    program("git", "git"),
    program("gpg", "gnupg"),
    program("gpgconf", "gnupg"),
    program("sshd", "openssh-server"),
    program("ssh", "openssh-client"),
    program("ssh-keygen", "openssh-client"),
    program("cc", "gcc"),
    program("make", "make"),
    Needed {
        what: What::Compiles32,
        package: "gcc-multilib",
    },
    program("rpm", "rpm"),
    program("rpmbuild", "rpm"),
    program("bwrap", "bubblewrap"),
    program("dnf", "dnf"),
];

/// What virtual machines need, which stand for lab devices; their kernel is fetched when it is first asked for, and not installed.
pub(crate) const MACHINES: [Needed; 8] = [
    program("busybox", "busybox-static"),
    program("qemu-system-x86_64", "qemu-system-x86"),
    program("dropbear", "dropbear-bin"),
    program("dropbearkey", "dropbear-bin"),
    program("cpio", "cpio"),
    program("modprobe", "kmod"),
    program("sgdisk", "gdisk"),
    program("mkfs.ext4", "e2fsprogs"),
];

/// What the tests run beside both: other clients, the tools whose answers ours are held against, container engines and a registry,
/// other updaters.
///
/// Not dnf-plugins-core: Debian's cannot stand beside zypper, and the test that wants its `repoclosure` unpacks it by itself.
pub(crate) const TESTS: [Needed; 19] = [
    program("createrepo_c", "createrepo-c"),
    program("zypper", "zypper"),
    program("installcheck", "libsolv-tools"),
    program("repo2solv", "libsolv-tools"),
    program("dockerd", "docker.io"),
    program("podman", "podman"),
    program("runc", "runc"),
    program("newuidmap", "uidmap"),
    file("/usr/lib/podman/netavark", "netavark"),
    file("/usr/lib/podman/aardvark-dns", "aardvark-dns"),
    program("docker-registry", "docker-registry"),
    program("skopeo", "skopeo"),
    program("curl", "curl"),
    // A clock that is ahead.
    program("faketime", "faketime"),
    // Signatures and readers of payloads.
    program("openssl", "openssl"),
    program("python3", "python3"),
    // Other updaters.
    program("rauc", "rauc"),
    program("dbus-daemon", "dbus-daemon"),
    program("swupdate", "swupdate"),
];

/// What figures of devices are held against, and what they are made with.
pub(crate) const DEVICES: [Needed; 6] = [
    program("nginx", "nginx-light"),
    program("sgdisk", "gdisk"),
    program("mkfs.ext4", "e2fsprogs"),
    program("xz", "xz-utils"),
    program("gzip", "gzip"),
    program("dpkg-deb", "dpkg"),
];

impl Needed {
    fn is_there(&self) -> bool {
        match self.what {
            What::Program(name) => find(name).is_some(),
            What::File(path) => Path::new(path).is_file(),
            What::Compiles32 => Command::new("cc")
                .args(["-m32", "-shared", "-x", "c", "-o", "/dev/null", "/dev/null"])
                .output()
                .is_ok_and(|output| output.status.success()),
        }
    }
}

/// Where a program is: in PATH or where the system keeps its daemons.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|dir| dir.join(program))
        .find(|file| file.is_file())
}

/// Installs what is missing of these. Asks first, unless `yes` or `CI=true`.
pub(crate) fn ensure<'a>(needed: impl IntoIterator<Item = &'a Needed>, yes: bool) -> anyhow::Result<()> {
    let mut packages: Vec<&str> = needed
        .into_iter()
        .filter(|needed| !needed.is_there())
        .map(|needed| needed.package)
        .collect();
    packages.sort_unstable();
    packages.dedup();
    install(&packages, yes)
}

/// Installs Debian packages. Asks first, unless `yes` or `CI=true`.
pub(crate) fn install(packages: &[&str], yes: bool) -> anyhow::Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    let list = packages.join(" ");
    if find("apt-get").is_none() {
        bail!("these system packages are missing: {list}\n\nhint: install them with your system's package manager");
    }
    if !yes && !in_ci() && !asked(&list)? {
        bail!("these system packages are missing: {list}\n\nhint: apt-get install {list}");
    }
    let mut update = apt();
    update.args(["-qq", "update"]);
    process::run(&mut update)?;
    let mut install = apt();
    install
        .args(["-qq", "install", "-y", "--no-install-recommends"])
        .args(packages);
    if !process::run(&mut install)? {
        bail!("apt-get could not install {list}");
    }
    Ok(())
}

/// Whether a machine runs this, and nobody is there to be asked.
pub(crate) fn in_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| value == "true" || value == "1")
}

fn apt() -> Command {
    let root = Path::new("/proc/self").metadata().is_ok_and(|meta| {
        use std::os::unix::fs::MetadataExt as _;
        meta.uid() == 0
    });
    let mut command = Command::new(if root { "apt-get" } else { "sudo" });
    if !root {
        command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get"]);
    }
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command
}

fn asked(list: &str) -> anyhow::Result<bool> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Ok(false);
    }
    say::talk(format_args!(
        "These system packages are missing:\n  apt-get install --no-install-recommends {list}"
    ));
    let mut stderr = std::io::stderr().lock();
    write!(stderr, "Run that now? [y/N] ")?;
    stderr.flush()?;
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer).context("cannot read the answer")?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
