//! An image that packages can be built in, made from what this Debian machine has installed: nothing can be pulled.
//!
//! rpm, a compiler, perl and what they depend on, as the package database says, without documentation and what nobody runs. It is made
//! once a machine and kept in `target/build-image`, under a name that changes when the packages do: an archive as `docker save` writes
//! one, which both engines load under the same id.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use sha2::{Digest as _, Sha256};

use super::{Engine, request};
use crate::process::Cmd;

/// What it is called.
const NAME: &str = "localhost/windlass-test-build:1";

/// Raised when it is made in another way.
const FORMAT: u32 = 1;

/// Packages that builds need, with what they depend on.
const PACKAGES: [&str; 25] = [
    "base-files",
    "bash",
    "bzip2",
    "coreutils",
    "cpio",
    "dash",
    "diffutils",
    "file",
    "findutils",
    "gawk",
    "gcc",
    "grep",
    "gzip",
    "hostname",
    "libc-bin",
    "libc6-dev",
    "make",
    "passwd",
    "patch",
    "perl",
    "procps",
    "rpm",
    "sed",
    "util-linux",
    "xz-utils",
];

/// Places and files that nobody needs in there, by how their paths begin.
const WITHOUT: [&str; 10] = [
    "/usr/share/doc",
    "/usr/share/gdb",
    "/usr/share/info",
    "/usr/share/lintian",
    "/usr/share/locale",
    "/usr/share/man",
    "/usr/bin/x86_64-linux-gnu-lto-dump",
    "/usr/lib/gcc/x86_64-linux-gnu/12/lto1",
    "/usr/lib/x86_64-linux-gnu/perl/5.36.0/CORE",
    "/usr/share/perl/5.36.0/unicore/lib",
];

/// Places that are links into `/usr`.
const MERGED: [&str; 4] = ["bin", "lib", "lib64", "sbin"];

/// The image as a file.
#[derive(Debug)]
pub struct BuildImage {
    archive: PathBuf,
}

impl BuildImage {
    /// Why it cannot be made here, if it cannot.
    pub fn lacking() -> Option<String> {
        let there = |program: &str| super::find(program).is_some();
        let missing = ["dpkg-query", "tar", "rpmbuild", "gcc"]
            .into_iter()
            .find(|program| !there(program))?;
        Some(format!("there is no {missing} to make an image of"))
    }

    /// The one that was made before, or a new one.
    pub fn get() -> anyhow::Result<Self> {
        let target = std::env::current_exe()?;
        let target = target
            .ancestors()
            .find(|dir| dir.ends_with("target"))
            .context("a test lies in target")?;
        let place = target.join("build-image");
        fs::create_dir_all(&place)?;
        let (files, versions) = installed()?;
        let key = hex(&Sha256::digest(format!("{FORMAT} {PACKAGES:?} {WITHOUT:?} {versions}")));
        let archive = place.join(format!("{}.tar", &key[..16]));
        // One at a time makes it; the others wait for it.
        let lock = fs::File::create(place.join("lock"))?;
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive)?;
        if !archive.exists() {
            for old in fs::read_dir(&place)?.flatten() {
                if old.path().extension().is_some_and(|extension| extension == "tar") {
                    fs::remove_file(old.path())?;
                }
            }
            make(&files, &archive)?;
        }
        Ok(Self { archive })
    }

    /// Has an engine load it; gives its name there.
    pub fn load(&self, engine: &Engine) -> anyhow::Result<&'static str> {
        let bytes = fs::read(&self.archive)?;
        let answer = request(&engine.socket, "POST", "/images/load", "application/x-tar", &bytes)?.ok()?;
        if engine.request("GET", &format!("/images/{NAME}/json"))?.status != 200 {
            bail!("the image was not loaded: {}", answer.text());
        }
        Ok(NAME)
    }
}

/// The files of the packages and of those that they depend on, and the versions of all.
fn installed() -> anyhow::Result<(BTreeSet<String>, String)> {
    let format = "${Package}\t${Version}\t${Pre-Depends}, ${Depends}\t${Provides}\t${db:Status-Abbrev}\n";
    let said = Cmd::new("dpkg-query").args(["-W", "-f", format]).run()?.ok()?.out();
    let mut known: BTreeMap<&str, (&str, &str)> = BTreeMap::new();
    let mut by_others: BTreeMap<&str, &str> = BTreeMap::new();
    let word = |text: &'_ str| -> usize {
        text.trim_start()
            .find([' ', '(', ':'])
            .unwrap_or(text.trim_start().len())
    };
    let first = |text: &str| text.trim_start()[..word(text)].to_owned();
    for line in said.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let [name, version, depends, provides, status] = fields.as_slice() else {
            continue;
        };
        if !status.starts_with("ii") {
            continue;
        }
        known.insert(name, (version, depends));
        for one in provides.split(',').filter(|one| !one.trim().is_empty()) {
            let one = one.trim_start();
            by_others.insert(&one[..word(one)], name);
        }
    }
    let mut chosen = BTreeSet::new();
    let mut todo: Vec<String> = PACKAGES.map(str::to_owned).into();
    while let Some(name) = todo.pop() {
        let Some((_, depends)) = known.get(name.as_str()) else {
            continue;
        };
        if !chosen.insert(name) {
            continue;
        }
        for group in depends.split(',').filter(|group| !group.trim().is_empty()) {
            let mut choices = group.split('|').map(&first);
            let there = choices.find_map(|one| {
                let direct = known.contains_key(one.as_str()).then(|| one.clone());
                direct.or_else(|| by_others.get(one.as_str()).map(|by| (*by).to_owned()))
            });
            todo.extend(there);
        }
    }
    let mut versions = String::new();
    for name in &chosen {
        // Writing to a String cannot fail.
        let _ = writeln!(versions, "{name} {}", known[name.as_str()].0);
    }
    let said = Cmd::new("dpkg").arg("-L").args(&chosen).run()?.out();
    let files = said.lines().filter_map(canonical).collect();
    Ok((files, versions))
}

/// The path below `/usr` of a file that is wanted, without the first `/`.
fn canonical(path: &str) -> Option<String> {
    if WITHOUT.iter().any(|prefix| path.starts_with(prefix))
        || (Path::new(path).extension().is_some_and(|extension| extension == "a")
            && !path.contains("nonshared")
            && !path.contains("libgcc"))
    {
        return None;
    }
    let below = path.strip_prefix('/')?;
    let first = below.split('/').next()?;
    if below == first {
        return None;
    }
    let path = if MERGED.contains(&first) {
        format!("usr/{below}")
    } else {
        below.to_owned()
    };
    let there = fs::symlink_metadata(Path::new("/").join(&path)).is_ok();
    (there && !["var/tmp"].contains(&path.as_str())).then_some(path)
}

fn make(files: &BTreeSet<String>, archive: &Path) -> anyhow::Result<()> {
    let dir = tempfile::Builder::new()
        .prefix(".new-")
        .tempdir_in(archive.parent().context("it has a parent")?)?;
    let stage = dir.path().join("stage");
    for (folder, mode) in [
        ("etc", 0o755),
        ("run", 0o755),
        ("tmp", 0o1777),
        ("var/tmp", 0o1777),
        ("root", 0o700),
        ("usr", 0o755),
    ] {
        fs::create_dir_all(stage.join(folder))?;
        fs::set_permissions(stage.join(folder), fs::Permissions::from_mode(mode))?;
    }
    for name in MERGED {
        symlink(format!("usr/{name}"), stage.join(name))?;
    }
    fs::write(stage.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n")?;
    fs::write(stage.join("etc/group"), "root:x:0:\n")?;
    let mut list: Vec<String> = files.iter().cloned().collect();
    list.extend(alternatives(files)?);
    let names = dir.path().join("files");
    fs::write(&names, list.join("\n"))?;
    let layer = dir.path().join("layer.tar");
    Cmd::new("tar")
        .args([
            "--create",
            "--format=gnu",
            "--sort=name",
            "--mtime=@0",
            "--owner=0",
            "--group=0",
            "--numeric-owner",
            "--file",
        ])
        .arg(&layer)
        .arg("--directory")
        .arg(&stage)
        .arg(".")
        .args(["--directory", "/", "--no-recursion", "--files-from"])
        .arg(&names)
        .limit(Duration::from_mins(3))
        .run()?
        .ok()?;
    let mut digest = Sha256::new();
    let mut file = fs::File::open(&layer)?;
    let mut piece = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut piece)?;
        if read == 0 {
            break;
        }
        digest.update(&piece[..read]);
    }
    let layer_id = hex(&digest.finalize());
    let config = serde_json::json!({
        "architecture": "amd64",
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": {"Env": ["PATH=/usr/bin", "SECRET=of-the-image"]},
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{layer_id}")]},
        "history": [{"created": "1970-01-01T00:00:00Z"}],
    });
    let config = config.to_string();
    let config_id = hex(&Sha256::digest(&config));
    let manifest =
        serde_json::json!([{"Config": format!("{config_id}.json"), "RepoTags": [NAME], "Layers": ["layer.tar"]}]);
    fs::write(dir.path().join(format!("{config_id}.json")), config)?;
    fs::write(dir.path().join("manifest.json"), manifest.to_string())?;
    let new = dir.path().join("image.tar");
    Cmd::new("tar")
        .args(["--create", "--format=gnu", "--file"])
        .arg(&new)
        .arg("--directory")
        .arg(dir.path())
        .args([
            format!("{config_id}.json"),
            "layer.tar".to_owned(),
            "manifest.json".to_owned(),
        ])
        .limit(Duration::from_mins(3))
        .run()?
        .ok()?;
    fs::rename(new, archive)?;
    Ok(())
}

/// The links that say what `cc` and `awk` are, where what they say is there.
fn alternatives(files: &BTreeSet<String>) -> anyhow::Result<Vec<String>> {
    let mut links = Vec::new();
    for entry in fs::read_dir("/etc/alternatives")? {
        let entry = entry?;
        let Ok(target) = fs::read_link(entry.path()) else {
            continue;
        };
        let name = entry.file_name().into_string().unwrap_or_default();
        let target = target.to_string_lossy().trim_start_matches('/').to_owned();
        let link = format!("usr/bin/{name}");
        let points = fs::read_link(Path::new("/").join(&link)).is_ok_and(|to| to == entry.path());
        if files.contains(&target) && points {
            links.extend([format!("etc/alternatives/{name}"), link]);
        }
    }
    Ok(links)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
