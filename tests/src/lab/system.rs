//! A system as it stands in a slot: an ext4 file system with busybox, dropbear and an updater, of one board and version.
//!
//! Made once for what is asked, and kept beside the build's other files.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use rustix::fs::FlockOperation;
use sha2::{Digest as _, Sha256};

use super::parts::{CGPT, short};
use super::tree::Tree;
use crate::engines::find;
use crate::process::Cmd;
use crate::programs::profile_folder;

const INIT: &str = include_str!("guest/init.sh");
/// Commands of a system, by where they lie.
const COMMANDS: [(&str, &str); 5] = [
    ("usr/sbin/cgpt", CGPT),
    ("usr/sbin/slotctl", include_str!("guest/slotctl.sh")),
    ("usr/bin/stateful_update", include_str!("guest/stateful_update.sh")),
    ("usr/bin/rootdev", include_str!("guest/rootdev.sh")),
    (
        "usr/sbin/chromeos-setgoodkernel",
        include_str!("guest/chromeos-setgoodkernel.sh"),
    ),
];
/// How many systems are kept; the ones that were not used for longest go first.
const KEPT: usize = 24;

/// What is wrong with a system, for stories in which an update goes badly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// Its first program ends, and the kernel panics.
    Panic,
    /// It hangs before the network is up; the watchdog restarts it.
    Hang,
    /// It comes up but for sshd; the watchdog restarts it.
    NoSsh,
}

impl Fault {
    fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Panic => "panic",
            Self::Hang => "hang",
            Self::NoSsh => "no-ssh",
        }
    }
}

/// What a system is to be.
#[derive(Debug, Clone)]
pub struct System {
    /// `CHROMEOS_RELEASE_BOARD`.
    pub board: String,
    /// `CHROMEOS_RELEASE_VERSION`.
    pub version: String,
    /// What is wrong with it.
    pub fault: Fault,
    /// How many tries a slot gets from `slotctl try`.
    pub tries: u8,
    /// The size of the file system, in MiB.
    pub size_mib: u64,
    /// So many MiB of it are files of no use, half of which can be compressed: an image that takes as long to send as a real one.
    pub ballast_mib: u64,
    /// More files, by where they lie in the system.
    pub files: Vec<(String, Vec<u8>)>,
    /// The program that it updates itself with; the one beside this executable where none is named.
    pub updater: Option<PathBuf>,
}

impl Default for System {
    fn default() -> Self {
        Self {
            board: "vm-lab".to_owned(),
            version: "1.0.0".to_owned(),
            fault: Fault::None,
            tries: 3,
            size_mib: 48,
            ballast_mib: 0,
            files: Vec::new(),
            updater: None,
        }
    }
}

impl System {
    /// The ordinary one in this version.
    pub fn version(version: &str) -> Self {
        Self {
            version: version.to_owned(),
            ..Self::default()
        }
    }

    /// The same with something wrong.
    #[must_use]
    pub fn with(mut self, fault: Fault) -> Self {
        self.fault = fault;
        self
    }

    /// A file with its file system: exactly what is to be written into a slot.
    pub fn image(&self) -> anyhow::Result<PathBuf> {
        let profile = profile_folder()?;
        let target = profile.parent().context("a profile's folder lies in target")?;
        let store = target.join("lab-systems");
        std::fs::create_dir_all(&store)?;
        let lock = File::create(store.join("lock"))?;
        rustix::fs::flock(&lock, FlockOperation::LockExclusive)?;
        let image = store.join(format!("{}-{}.ext4", self.version, self.digest()?));
        if image.is_file() {
            // Used now, so that it is kept.
            File::options()
                .append(true)
                .open(&image)?
                .set_modified(std::time::SystemTime::now())?;
            return Ok(image);
        }
        forget_oldest(&store)?;
        let tree = self.tree()?;
        let new = store.join("new");
        make_ext4(tree.path(), &new, "ROOT", self.size_mib)?;
        std::fs::rename(&new, &image)?;
        Ok(image)
    }

    fn digest(&self) -> anyhow::Result<String> {
        let mut digest = Sha256::new();
        digest.update(format!("{self:?}"));
        digest.update(INIT);
        for (_, script) in COMMANDS {
            digest.update(script);
        }
        for (program, _) in self.programs()? {
            digest.update(std::fs::read(program)?);
        }
        Ok(short(digest))
    }

    pub(super) fn tree(&self) -> anyhow::Result<Tree> {
        let tree = Tree::with_folders(&[
            "dev",
            "proc",
            "sys",
            "run",
            "root",
            "tmp",
            "var",
            "home",
            "mnt/stateful_partition",
        ])?;
        tree.add_busybox()?;
        tree.write_program("sbin/init", INIT)?;
        for (path, script) in COMMANDS {
            tree.write_program(path, script)?;
        }
        for (program, path) in self.programs()? {
            tree.add_program(&program, path)?;
        }
        let (board, version) = (&self.board, &self.version);
        tree.write(
            "etc/lsb-release",
            format!(
                "CHROMEOS_RELEASE_NAME=Windlass Lab\n\
                 CHROMEOS_RELEASE_BOARD={board}\n\
                 CHROMEOS_RELEASE_VERSION={version}\n\
                 CHROMEOS_RELEASE_TRACK=testimage-channel\n"
            ),
        )?;
        tree.write(
            "etc/os-release",
            format!(
                "NAME=\"Windlass Lab\"\nID=windlass-lab\nVERSION_ID={version}\nIMAGE_ID={board}\nIMAGE_VERSION={version}\n"
            ),
        )?;
        tree.write("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n")?;
        tree.write("etc/group", "root:x:0:\n")?;
        tree.write("etc/shells", "/bin/sh\n")?;
        tree.write("etc/hosts", "127.0.0.1 localhost\n::1 localhost\n")?;
        tree.write("etc/lab/tries", format!("{}\n", self.tries))?;
        tree.write("etc/lab/fault", format!("{}\n", self.fault.name()))?;
        for (path, content) in &self.files {
            tree.write(path, content)?;
        }
        if self.ballast_mib > 0 {
            tree.write("usr/share/ballast", ballast(self.ballast_mib))?;
        }
        tree.write_manifest()?;
        Ok(tree)
    }

    /// The programs of this machine that a system needs, with the place of each.
    fn programs(&self) -> anyhow::Result<Vec<(PathBuf, &'static str)>> {
        let client = match &self.updater {
            Some(program) => program.clone(),
            None => profile_folder()?.join("update_engine_client"),
        };
        ensure!(
            client.is_file(),
            "{} is missing\n\nhint: cargo build --workspace",
            client.display()
        );
        let mut programs = vec![(client, "usr/bin/update_engine_client")];
        for (name, path) in [
            ("dropbear", "usr/sbin/dropbear"),
            ("dropbearkey", "usr/bin/dropbearkey"),
        ] {
            programs.push((find(name).with_context(|| format!("there is no {name}"))?, path));
        }
        Ok(programs)
    }
}

/// An ext4 file system of this size with what is in a folder. Without a journal: slots are only read, and the stateful partition is
/// small.
pub(super) fn make_ext4(tree: &Path, file: &Path, label: &str, size_mib: u64) -> anyhow::Result<()> {
    // Left from somebody who was killed.
    let _ = std::fs::remove_file(file);
    let program = find("mkfs.ext4").context("there is no mkfs.ext4\n\nhint: apt-get install e2fsprogs")?;
    Cmd::new(program)
        .args(["-q", "-L", label, "-m", "0", "-O", "^has_journal,^resize_inode"])
        .args(["-U", "c9a3f6a2-8a5c-4d2e-9b39-3f2d1a6c7e51"])
        .args([
            "-E",
            "hash_seed=c9a3f6a2-8a5c-4d2e-9b39-3f2d1a6c7e51,root_owner=0:0,nodiscard",
        ])
        .arg("-d")
        .args([tree, file])
        .arg(format!("{size_mib}M"))
        .run()?
        .ok()?;
    Ok(())
}

/// Bytes of which every other block of 4 KiB repeats itself; the same every time.
fn ballast(mib: u64) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut bytes = Vec::new();
    for block in 0..mib * 256 {
        for word in 0..512_u64 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let value = if block % 2 == 0 { state } else { block ^ (word & 7) };
            bytes.extend(value.to_le_bytes());
        }
    }
    bytes
}

fn forget_oldest(store: &Path) -> anyhow::Result<()> {
    let mut images = Vec::new();
    for entry in std::fs::read_dir(store)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "ext4") {
            images.push((path.metadata()?.modified()?, path));
        }
    }
    images.sort();
    for (_, path) in images.iter().rev().skip(KEPT) {
        std::fs::remove_file(path)?;
    }
    Ok(())
}
