//! What all machines share: Debian's kernel for virtual machines, fetched once, and an initramfs with the boot selector.
//!
//! The kernel's package is fetched by `apt-get download` and unpacked, never installed; a folder below the user's cache keeps what is needed of it.

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use rustix::fs::FlockOperation;
use sha2::{Digest as _, Sha256};

use super::tree::Tree;
use crate::engines::find;
use crate::process::Cmd;

/// What the kernel needs to find its disk, its network and something random, the watchdog, and to mount an image; in the order of loading.
const MODULES: [&str; 6] = [
    "virtio_pci",
    "virtio_blk",
    "virtio_net",
    "virtio-rng",
    "softdog",
    "loop",
];
/// The package that stands for the newest kernel for virtual machines.
const KERNEL: &str = "linux-image-cloud-amd64";
const SELECTOR: &str = include_str!("guest/selector.sh");
pub(super) const CGPT: &str = include_str!("guest/cgpt.sh");

/// Kernel and initramfs.
#[derive(Debug, Clone)]
pub struct Parts {
    /// The kernel as QEMU takes it.
    pub kernel: PathBuf,
    /// The initramfs with the boot selector.
    pub initramfs: PathBuf,
}

impl Parts {
    /// Those in the cache; made when they are not there.
    ///
    /// # Errors
    /// The kernel is not there and cannot be fetched.
    pub fn get() -> anyhow::Result<Self> {
        let cache = cache()?;
        std::fs::create_dir_all(&cache)?;
        let lock = File::create(cache.join("lock"))?;
        rustix::fs::flock(&lock, FlockOperation::LockExclusive)?;
        let modules = MODULES.iter().fold(Sha256::new(), sha2::Digest::chain_update);
        let folder = cache.join(format!("kernel-{}", short(modules)));
        if !folder.is_dir() {
            fetch_kernel(&cache, &folder).context("a kernel for virtual machines cannot be fetched")?;
        }
        Ok(Self {
            initramfs: initramfs(&cache, &folder)?,
            kernel: folder.join("vmlinuz"),
        })
    }
}

/// Where kernel and initramfs are kept between runs.
fn cache() -> anyhow::Result<PathBuf> {
    let home = std::env::var_os("HOME").context("HOME is not set")?;
    let base = std::env::var_os("XDG_CACHE_HOME").map_or_else(|| PathBuf::from(home).join(".cache"), PathBuf::from);
    Ok(base.join("windlass-tools/lab"))
}

/// Puts `vmlinuz`, the modules and a file `order` with their names into `folder`, which is there whole or not at all.
fn fetch_kernel(cache: &Path, folder: &Path) -> anyhow::Result<()> {
    let depends = Cmd::new("apt-cache").args(["depends", KERNEL]).run()?.ok()?.out();
    let package = depends
        .lines()
        .find_map(|line| line.trim().strip_prefix("Depends: "))
        .with_context(|| format!("no package is behind {KERNEL}\n\nhint: apt-get update"))?;
    let work = tempfile::Builder::new().prefix("fetch-").tempdir_in(cache)?;
    Cmd::new("apt-get")
        .args(["-qq", "download", package])
        .dir(work.path())
        .limit(Duration::from_mins(5))
        .run()?
        .ok()?;
    let archive = files(work.path())?
        .into_iter()
        .find(|file| file.extension() == Some(OsStr::new("deb")))
        .context("apt-get leaves the package here")?;
    let root = work.path().join("root");
    Cmd::new("dpkg-deb").arg("-x").args([&archive, &root]).run()?.ok()?;

    let versions = files(&root.join("lib/modules"))?;
    let [modules] = versions.as_slice() else {
        bail!("{package} holds the modules of one kernel, not of {}", versions.len());
    };
    let version = modules.file_name().context("a folder of modules has a name")?;
    let new = work.path().join("kernel");
    std::fs::create_dir_all(new.join("modules"))?;
    let kernel = root.join("boot").join(format!("vmlinuz-{}", version.to_string_lossy()));
    std::fs::copy(&kernel, new.join("vmlinuz")).with_context(|| format!("{package} lacks {}", kernel.display()))?;
    program("depmod")?.arg("-b").arg(&root).arg(version).run()?.ok()?;
    let mut order = Vec::new();
    for module in MODULES {
        let needed = program("modprobe")?
            .arg("-d")
            .arg(&root)
            .arg("-S")
            .arg(version)
            .args(["--show-depends", module])
            .run()?
            .ok()?
            .out();
        for file in needed.lines().filter_map(|line| line.strip_prefix("insmod ")) {
            let file = Path::new(file.split_whitespace().next().unwrap_or_default());
            let name = file.file_name().context("a module has a name")?;
            let name = name.to_string_lossy().into_owned();
            if !order.contains(&name) {
                std::fs::copy(file, new.join("modules").join(&name))?;
                order.push(name);
            }
        }
    }
    std::fs::write(new.join("modules/order"), order.join("\n") + "\n")?;
    std::fs::rename(&new, folder)?;
    Ok(())
}

/// The initramfs, named by the digest of what is in it.
fn initramfs(cache: &Path, kernel: &Path) -> anyhow::Result<PathBuf> {
    let modules = files(&kernel.join("modules"))?;
    let mut digest = Sha256::new();
    digest.update(SELECTOR);
    digest.update(CGPT);
    digest.update(std::fs::read(find("busybox").context("there is no busybox")?)?);
    for module in &modules {
        digest.update(std::fs::read(module)?);
    }
    let file = cache.join(format!("initramfs-{}", short(digest)));
    if file.is_file() {
        return Ok(file);
    }
    let tree = Tree::with_folders(&["sbin", "dev", "proc", "sys", "run", "root", "tmp", "modules"])?;
    tree.add_busybox()?;
    tree.write_program("init", SELECTOR)?;
    tree.write_program("sbin/cgpt", CGPT)?;
    for module in &modules {
        let name = module.file_name().context("a module has a name")?.to_string_lossy();
        tree.write(&format!("modules/{name}"), std::fs::read(module)?)?;
    }
    let list = Cmd::new("find").arg(".").dir(tree.path()).run()?.ok()?.stdout;
    let archive = Cmd::new("cpio")
        .args(["--quiet", "-o", "-H", "newc", "-R", "0:0"])
        .dir(tree.path())
        .stdin(list)
        .run()?
        .ok()?;
    let mut new = tempfile::NamedTempFile::new_in(cache)?;
    std::io::Write::write_all(&mut new, &archive.stdout)?;
    new.persist(&file)?;
    Ok(file)
}

/// Enough of a digest for a file's name.
pub(super) fn short(digest: Sha256) -> String {
    hex(&digest.finalize()[..8])
}

/// Bytes in hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// The names in a folder, in order.
fn files(dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))?;
    let mut files = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<Vec<_>>>()?;
    files.sort();
    Ok(files)
}

fn program(name: &str) -> anyhow::Result<Cmd> {
    Ok(Cmd::new(find(name).with_context(|| format!("there is no {name}"))?))
}
