//! Boards without a machine: two slots that are files, and a boot loader that is a folder of small files. What real updaters that run on this very
//! machine write to, and what a restart chooses from.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use tempfile::TempDir;

use super::disk::Slot;
use super::system::System;
use crate::engines::find;
use crate::process::Cmd;

/// How often a slot is tried that nobody has called good.
const TRIES: u32 = 2;

/// Two slots and what the boot loader knows of them: `current`, `primary`, and for each slot `state-SLOT` (good or bad) and `tries-SLOT`.
#[derive(Debug)]
pub struct Board {
    dir: TempDir,
}

impl Board {
    /// One that runs this system from slot A.
    pub fn new(system: &System) -> anyhow::Result<Self> {
        let board = Self {
            dir: tempfile::Builder::new().prefix("wlb-").tempdir()?,
        };
        for slot in [Slot::A, Slot::B] {
            File::create_new(board.device(slot))?.set_len(system.size_mib << 20)?;
            board.set(&format!("tries-{}", slot.name()), "0")?;
        }
        std::fs::copy(system.image()?, board.device(Slot::A))?;
        board.set("current", "A")?;
        board.set("primary", "A")?;
        board.set("state-A", "good")?;
        board.set("state-B", "bad")?;
        Ok(board)
    }

    /// Where its files are.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The file that is a slot.
    pub fn device(&self, slot: Slot) -> PathBuf {
        self.dir().join(format!("slot-{}", slot.name()))
    }

    /// Something that the boot loader knows.
    pub fn get(&self, name: &str) -> anyhow::Result<String> {
        let file = self.dir().join(name);
        let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        Ok(text.trim().to_owned())
    }

    fn set(&self, name: &str, value: &str) -> anyhow::Result<()> {
        Ok(std::fs::write(self.dir().join(name), format!("{value}\n"))?)
    }

    /// The slot that it runs from.
    pub fn slot(&self) -> anyhow::Result<Slot> {
        self.get("current")?.parse()
    }

    /// The version of the system in a slot, read from its file system; an error if there is none.
    pub fn version(&self, slot: Slot) -> anyhow::Result<String> {
        let release = self.file(slot, "/etc/lsb-release")?;
        let version = release
            .lines()
            .find_map(|line| line.strip_prefix("CHROMEOS_RELEASE_VERSION="));
        Ok(version.context("a release has a version")?.to_owned())
    }

    /// A file of the system in a slot.
    fn file(&self, slot: Slot, path: &str) -> anyhow::Result<String> {
        let ran = Cmd::new(find("debugfs").context("there is no debugfs\n\nhint: apt-get install e2fsprogs")?)
            .args(["-R", &format!("cat {path}")])
            .arg(self.device(slot))
            .run()?
            .ok()?;
        let text = ran.out();
        if text.is_empty() {
            bail!("slot {} has no {path}: {}", slot.name(), ran.err());
        }
        Ok(text)
    }

    /// Has a slot tried at the next restarts.
    pub fn try_next(&self, slot: Slot) -> anyhow::Result<()> {
        self.set("primary", slot.name())?;
        self.set(&format!("state-{}", slot.name()), "good")?;
        self.set(&format!("tries-{}", slot.name()), &TRIES.to_string())
    }

    /// What a boot loader does: the primary slot, unless it is bad, has no file system, or does not come up in its tries; then the other one.
    pub fn restart(&self) -> anyhow::Result<Slot> {
        let primary: Slot = self.get("primary")?.parse()?;
        let comes_up = |slot: Slot| {
            self.get(&format!("state-{}", slot.name()))
                .is_ok_and(|state| state == "good")
                && self
                    .file(slot, "/etc/lab/fault")
                    .is_ok_and(|fault| fault.trim() == "none")
        };
        let slot = if comes_up(primary) { primary } else { primary.other() };
        if slot != primary {
            self.set(&format!("state-{}", primary.name()), "bad")?;
            self.set(&format!("tries-{}", primary.name()), "0")?;
            self.set("primary", slot.name())?;
        }
        if !comes_up(slot) {
            bail!("neither slot can be started");
        }
        self.set("current", slot.name())?;
        Ok(slot)
    }
}

/// A self-signed certificate that may sign updates, and its key.
#[derive(Debug)]
pub struct Signer {
    /// The key.
    pub key: PathBuf,
    /// The certificate, which is the authority, too.
    pub certificate: PathBuf,
}

impl Signer {
    /// A new one with its files in a folder.
    pub fn new(dir: &Path) -> anyhow::Result<Self> {
        let signer = Self {
            key: dir.join("key.pem"),
            certificate: dir.join("cert.pem"),
        };
        Cmd::new("openssl")
            .args([
                "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650", "-subj", "/CN=lab",
            ])
            .args(["-addext", "keyUsage=digitalSignature"])
            // SWUpdate asks for the first.
            .args(["-addext", "extendedKeyUsage=emailProtection,codeSigning"])
            .arg("-keyout")
            .arg(&signer.key)
            .arg("-out")
            .arg(&signer.certificate)
            .run()?
            .ok()?;
        Ok(signer)
    }
}
