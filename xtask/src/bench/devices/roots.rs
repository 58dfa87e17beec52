//! Two real root file systems, one build apart: the files of two versions of a kernel's package, as the archive has them now.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use windlass_tests::process::Cmd;

use crate::process;

/// Two images; the older one first.
pub(super) struct Roots {
    pub(super) old: PathBuf,
    pub(super) new: PathBuf,
}

/// File systems of these many bytes, with the same identity and times.
const SIZE: &str = "192M";
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
        let image = |name: &str| image(folder, name);
        Ok(Self {
            old: image(old)?,
            new: image(new)?,
        })
    }
}

fn image(folder: &Path, package: &str) -> anyhow::Result<PathBuf> {
    let place = folder.join(package);
    let root = place.join("root");
    std::fs::create_dir_all(&root)?;
    let mut fetch = Command::new("apt-get");
    fetch.args(["-qq", "download", package]).current_dir(&place);
    if !process::run(&mut fetch)? {
        bail!("apt-get could not fetch {package}");
    }
    let fetched = std::fs::read_dir(&place)?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .with_context(|| format!("apt-get fetched no {package}"))?;
    Cmd::new("dpkg-deb").arg("-x").arg(fetched).arg(&root).run()?.ok()?;
    let image = place.join("root.img");
    Cmd::new("/usr/sbin/mkfs.ext4")
        .env("E2FSPROGS_FAKE_TIME", "1700000000")
        .args(["-q", "-F", "-U", IDENTITY, "-E", &format!("hash_seed={IDENTITY}"), "-d"])
        .args([root.as_path(), image.as_path()])
        .arg(SIZE)
        .run()?
        .ok()?;
    Ok(image)
}
