//! Real root file systems: a small Debian, with one of two versions of a kernel, and with one library as it was before its last update;
//! as the archive has them now.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use windlass_tests::process::Cmd;

use crate::process;

/// Three images.
pub(super) struct Roots {
    /// With the older kernel.
    pub(super) old: PathBuf,
    /// With the newer kernel.
    pub(super) new: PathBuf,
    /// As the newer one, but for one library, which is as it was before its last update: the build before.
    pub(super) similar: PathBuf,
}

/// What each of them has beside the kernel.
const BASE: [&str; 16] = [
    "apt",
    "bash",
    "coreutils",
    "dpkg",
    "findutils",
    "grep",
    "iproute2",
    "libc6",
    "libc-bin",
    "libssl3",
    "libstdc++6",
    "openssh-server",
    "perl-base",
    "systemd",
    "tar",
    "util-linux",
];
/// The one of which two versions are taken.
const UPDATED: &str = "libssl3";

/// File systems of these many bytes, with the same identity and times.
const SIZE: &str = "256M";
const IDENTITY: &str = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";

impl Roots {
    /// Fetches the packages and makes the images in this folder.
    pub(super) fn make(folder: &Path) -> anyhow::Result<Self> {
        let names = Cmd::new("apt-cache")
            .args(["search", "--names-only", "^linux-image-[0-9.]+-[0-9]+-cloud-amd64$"])
            .run()?
            .ok()?
            .out();
        let mut names: Vec<(u32, &str)> = names
            .lines()
            .filter_map(|line| line.split_whitespace().next())
            .filter_map(|name| Some((name.split('-').nth(3)?.parse().ok()?, name)))
            .collect();
        names.sort_unstable();
        let [.., (_, old), (_, new)] = names[..] else {
            bail!("the package archive has no two versions of a kernel\n\nhint: apt-get update");
        };
        let versions = Cmd::new("apt-cache").args(["madison", UPDATED]).run()?.ok()?.out();
        let versions: Vec<&str> = versions.lines().filter_map(|line| line.split('|').nth(1)).collect();
        let [_, before, ..] = versions[..] else {
            bail!("the package archive has no two versions of {UPDATED}\n\nhint: apt-get update");
        };
        let newest = Pool::fetch(folder, "packages", &[&BASE[..], &[old, new]].concat())?;
        let before = Pool::fetch(folder, "before", &[&format!("{UPDATED}={}", before.trim())])?;
        let of = |kernel: &str, library: &Pool| -> anyhow::Result<Vec<PathBuf>> {
            let pool = |package: &str| if package == UPDATED { library } else { &newest };
            let packages = BASE.iter().copied().chain(std::iter::once(kernel));
            packages.map(|package| pool(package).find(package)).collect()
        };
        Ok(Self {
            old: image(folder, "old", &of(old, &newest)?)?,
            new: image(folder, "new", &of(new, &newest)?)?,
            similar: image(folder, "similar", &of(new, &before)?)?,
        })
    }
}

/// Packages that were fetched.
struct Pool(PathBuf);

impl Pool {
    fn fetch(folder: &Path, name: &str, packages: &[&str]) -> anyhow::Result<Self> {
        let pool = folder.join(name);
        std::fs::create_dir_all(&pool)?;
        let mut fetch = Command::new("apt-get");
        fetch.args(["-qq", "-o", "APT::Sandbox::User=root", "download"]);
        if !process::run(fetch.args(packages).current_dir(&pool))? {
            bail!("apt-get could not fetch {}", packages.join(", "));
        }
        Ok(Self(pool))
    }

    fn find(&self, package: &str) -> anyhow::Result<PathBuf> {
        std::fs::read_dir(&self.0)?
            .flatten()
            .map(|entry| entry.path())
            .find(|path| {
                let file = path.file_name().unwrap_or_default().to_string_lossy();
                file.split('_').next() == Some(package)
            })
            .with_context(|| format!("apt-get fetched no {package}"))
    }
}

fn image(folder: &Path, name: &str, packages: &[PathBuf]) -> anyhow::Result<PathBuf> {
    let place = folder.join(name);
    let root = place.join("root");
    std::fs::create_dir_all(&root)?;
    for package in packages {
        Cmd::new("dpkg-deb").arg("-x").arg(package).arg(&root).run()?.ok()?;
    }
    let image = place.join("root.img");
    Cmd::new("/usr/sbin/mkfs.ext4")
        .env("E2FSPROGS_FAKE_TIME", "1700000000")
        .args([
            "-q",
            "-F",
            "-b",
            "4096",
            "-U",
            IDENTITY,
            "-E",
            &format!("hash_seed={IDENTITY}"),
            "-d",
        ])
        .args([root.as_path(), image.as_path()])
        .arg(SIZE)
        .run()?
        .ok()?;
    Ok(image)
}
