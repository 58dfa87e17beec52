//! The file systems of a sandbox: one of limited size in memory that holds everything that is written, and `/usr` as an overlay of
//! the host's with what packages bring.
//!
//! The host's files belong to nobody in the user namespace, so its directories cannot be written to, whatever one's rights there. A
//! directory into which packages are installed is therefore made in the upper layer, where it belongs to the namespace's root.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Gid, Mode, OFlags, Uid, chown};
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_change, unmount};

use super::bubble::BUILDER;
use super::wire::Furniture;

/// Directories below `/usr` that are always open.
const OPEN: [&str; 22] = [
    "bin",
    "games",
    "include",
    "lib",
    "lib/pkgconfig",
    "lib/rpm",
    "lib/rpm/fileattrs",
    "lib/rpm/macros.d",
    "lib/systemd",
    "lib32",
    "lib64",
    "lib64/pkgconfig",
    "libexec",
    "sbin",
    "share",
    "share/doc",
    "share/info",
    "share/licenses",
    "share/man",
    "share/man/man1",
    "share/pkgconfig",
    "src",
];

/// Directories of the root, with their modes.
const DIRECTORIES: [(&str, u32); 28] = [
    ("boot", 0o755),
    ("build", 0o755),
    ("build/BUILD", 0o755),
    ("build/BUILDROOT", 0o755),
    ("build/RPMS", 0o755),
    ("build/SOURCES", 0o755),
    ("build/SRPMS", 0o755),
    ("build/home", 0o755),
    ("dev", 0o755),
    ("etc", 0o755),
    ("etc/rpm", 0o755),
    ("home", 0o755),
    ("media", 0o755),
    ("mnt", 0o755),
    ("opt", 0o755),
    ("proc", 0o755),
    ("root", 0o700),
    ("run", 0o755),
    ("run/lock", 0o755),
    ("run/packages", 0o755),
    ("srv", 0o755),
    ("tmp", 0o1777),
    ("usr", 0o755),
    ("var/cache", 0o755),
    ("var/lib/rpm", 0o755),
    ("var/lib/misc", 0o755),
    ("var/log", 0o755),
    ("var/tmp", 0o1777),
];

/// Makes the mounts private, and `/proc` that of our process namespace, as bubblewrap expects it.
pub(super) fn leave_the_host() -> io::Result<()> {
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("proc", "/proc", "proc", flags, None)
        .map_err(|error| io::Error::other(format!("/proc cannot be mounted in a user namespace: {error}")))?;
    Ok(())
}

/// The file systems of one sandbox.
#[derive(Debug)]
pub(super) struct Tree {
    base: PathBuf,
    lower: PathBuf,
    mounted: bool,
}

impl Tree {
    /// Makes them.
    pub(super) fn furnish(furniture: &Furniture, range: bool) -> io::Result<Self> {
        let lower = fs::canonicalize(&furniture.usr)
            .map_err(|error| io::Error::other(format!("the build root's '{}': {error}", furniture.usr)))?;
        // Our own view of that directory is covered, so it must not hold what is needed.
        let base = PathBuf::from(if lower.starts_with("/tmp") { "/var/tmp" } else { "/tmp" });
        let inodes = (furniture.disk / 8192).max(65_536);
        let options = text(&format!("mode=0755,size={},nr_inodes={inodes}", furniture.disk))?;
        mount(
            "windlass",
            &base,
            "tmpfs",
            MountFlags::NOSUID | MountFlags::NODEV,
            options.as_c_str(),
        )?;
        let mut tree = Self {
            base,
            lower,
            mounted: false,
        };
        for place in ["root", "upper", "work", "packages", "shm"] {
            fs::create_dir(tree.base.join(place))?;
        }
        for (path, mode) in DIRECTORIES {
            let path = tree.path(path);
            fs::create_dir_all(&path)?;
            rustix::fs::chmod(&path, Mode::from_raw_mode(mode))?;
        }
        rustix::fs::chmod(tree.shm(), Mode::from_raw_mode(0o1777))?;
        for (path, target) in &furniture.links {
            let path = tree.path(path);
            fs::create_dir_all(path.parent().unwrap_or(&tree.base))?;
            std::os::unix::fs::symlink(target, path)?;
        }
        for (path, content) in &furniture.files {
            let path = tree.path(path);
            fs::create_dir_all(path.parent().unwrap_or(&tree.base))?;
            fs::write(&path, content)?;
            // A program is known by its first line.
            if content.starts_with(b"#!") {
                rustix::fs::chmod(&path, Mode::from_raw_mode(0o755))?;
            }
        }
        if range {
            let owner = (Some(Uid::from_raw(BUILDER)), Some(Gid::from_raw(BUILDER)));
            for (path, _) in DIRECTORIES.iter().filter(|(path, _)| path.starts_with("build")) {
                chown(tree.path(path), owner.0, owner.1)?;
            }
        }
        let open: Vec<String> = OPEN.iter().map(|path| format!("/usr/{path}")).collect();
        tree.open(&open)?;
        Ok(tree)
    }

    /// Opens directories to packages, with all above them that the host has.
    pub(super) fn open(&mut self, directories: &[String]) -> io::Result<()> {
        let usr = self.path("usr");
        if self.mounted {
            // What an overlay lies on may not be changed while it is there.
            unmount(&usr, UnmountFlags::empty())?;
            self.mounted = false;
        }
        for directory in directories {
            let Some(below) = directory.strip_prefix("/usr/") else {
                continue;
            };
            let mut path = PathBuf::new();
            for part in Path::new(below).components() {
                let Component::Normal(part) = part else { break };
                path.push(part);
                let there = fs::symlink_metadata(self.lower.join(&path)).is_ok_and(|there| there.is_dir());
                if !there {
                    break;
                }
                match fs::create_dir(self.base.join("upper").join(&path)) {
                    Ok(()) => {}
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                    Err(error) => return Err(error),
                }
            }
        }
        let options = format!(
            "lowerdir={},upperdir={},workdir={},userxattr",
            escaped(&self.lower)?,
            self.base.join("upper").display(),
            self.base.join("work").display(),
        );
        mount(
            "windlass",
            &usr,
            "overlay",
            MountFlags::NOSUID | MountFlags::NODEV,
            text(&options)?.as_c_str(),
        )
        .map_err(|error| {
            io::Error::other(format!(
                "an overlay cannot be mounted in a user namespace: {error}\n\nhint: Linux can do it from 5.11 on"
            ))
        })?;
        self.mounted = true;
        Ok(())
    }

    /// A place of the root, given without the first `/`.
    pub(super) fn path(&self, inside: &str) -> PathBuf {
        self.base.join("root").join(inside.trim_start_matches('/'))
    }

    /// The file system that everything is written to.
    pub(super) fn base(&self) -> &Path {
        &self.base
    }

    /// Where packages wait for their installation.
    pub(super) fn packages(&self) -> PathBuf {
        self.base.join("packages")
    }

    /// What becomes `/dev/shm`.
    pub(super) fn shm(&self) -> PathBuf {
        self.base.join("shm")
    }

    /// Where sources are unpacked.
    pub(super) fn sources(&self) -> PathBuf {
        self.path("build/SOURCES")
    }

    /// Whether there is a `/usr/local` to hide.
    pub(super) fn has_local(&self) -> bool {
        self.lower.join("local").is_dir()
    }

    /// The root, to open what is in it.
    pub(super) fn root(&self) -> io::Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(rustix::fs::open(self.path(""), flags, Mode::empty())?)
    }

    /// Removes the packages that are installed now.
    pub(super) fn drop_packages(&self) -> io::Result<()> {
        for entry in fs::read_dir(self.packages())? {
            fs::remove_file(entry?.path())?;
        }
        Ok(())
    }

    /// The names in a directory that a build could write to; more than `most` are an error of the package's.
    pub(super) fn names(&self, directory: &str, most: usize) -> Result<Vec<String>, super::keeper::Trouble> {
        use super::keeper::Trouble;
        let path = self.path(directory);
        if !fs::symlink_metadata(&path).is_ok_and(|there| there.is_dir()) {
            return Err(Trouble::Package(format!("/{directory} is no directory any more")));
        }
        let mut names = Vec::new();
        for entry in fs::read_dir(path)? {
            let name = entry?.file_name();
            let Some(name) = name.to_str() else {
                let shown = windlass_core::escape::escaped_bytes(name.as_encoded_bytes());
                return Err(Trouble::Package(format!(
                    "/{directory} holds a file of the name '{shown}'"
                )));
            };
            names.push(name.to_owned());
            if names.len() > most {
                return Err(Trouble::Package(format!("/{directory} holds more than {most} files")));
            }
        }
        names.sort();
        Ok(names)
    }
}

fn text(options: &str) -> io::Result<CString> {
    CString::new(options).map_err(io::Error::other)
}

/// A path as a mount option takes it.
fn escaped(path: &Path) -> io::Result<String> {
    let path = path
        .to_str()
        .ok_or_else(|| io::Error::other("the build root's path is no UTF-8"))?;
    Ok(path.replace('\\', "\\\\").replace(':', "\\:").replace(',', "\\,"))
}
