//! A machine's disk: a GPT with a stateful partition and two slots.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, ensure};

use super::system::make_ext4;
use super::tree::Tree;
use crate::engines::find;
use crate::process::Cmd;

const MIB: u64 = 1 << 20;

/// One of the two places for a system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Slot {
    /// Partition 2.
    A,
    /// Partition 3.
    B,
}

impl Slot {
    /// As the machine's commands write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::B => "B",
        }
    }

    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    /// Its partition in the machine.
    pub fn device(self) -> &'static str {
        match self {
            Self::A => "/dev/vda2",
            Self::B => "/dev/vda3",
        }
    }
}

impl std::str::FromStr for Slot {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> anyhow::Result<Self> {
        match name {
            "A" => Ok(Self::A),
            "B" => Ok(Self::B),
            other => anyhow::bail!("no slot is called '{other}'"),
        }
    }
}

/// Where things are on a disk.
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    /// The stateful partition's size.
    pub stateful_mib: u64,
    /// A slot's size.
    pub slot_mib: u64,
}

impl Layout {
    /// Where a slot begins, in bytes. Everything begins at a MiB.
    pub fn slot_offset(self, slot: Slot) -> u64 {
        let before = match slot {
            Slot::A => 0,
            Slot::B => self.slot_mib,
        };
        (1 + self.stateful_mib + before) * MIB
    }

    /// Makes the disk: slot A holds a system and is good, slot B holds nothing.
    pub fn make(self, disk: &Path, system: &Path, stateful: &Stateful<'_>) -> anyhow::Result<()> {
        let size = system.metadata()?.len();
        ensure!(
            size <= self.slot_mib * MIB,
            "a system of {size} bytes does not fit into a slot of {} MiB",
            self.slot_mib
        );
        let file = File::create_new(disk)?;
        file.set_len((1 + self.stateful_mib + 2 * self.slot_mib + 1) * MIB)?;
        let sgdisk = find("sgdisk").context("there is no sgdisk\n\nhint: apt-get install gdisk")?;
        Cmd::new(sgdisk)
            .arg(format!("--new=1:2048:+{}M", self.stateful_mib))
            .arg(format!("--new=2:0:+{}M", self.slot_mib))
            .arg(format!("--new=3:0:+{}M", self.slot_mib))
            .args([
                "--change-name=1:STATE",
                "--change-name=2:ROOT-A",
                "--change-name=3:ROOT-B",
            ])
            // Bit 48 is priority 1, bit 56 says successful.
            .args(["--attributes=2:set:48", "--attributes=2:set:56"])
            .arg(disk)
            .run()?
            .ok()?;
        let state = tempfile::NamedTempFile::new_in(disk.parent().context("a disk lies in a folder")?)?;
        make_ext4(stateful.tree()?.path(), state.path(), "STATE", self.stateful_mib)?;
        copy_sparsely(state.path(), &file, MIB)?;
        copy_sparsely(system, &file, self.slot_offset(Slot::A))
    }
}

/// What a machine's stateful partition holds when it leaves the factory.
#[derive(Debug)]
pub struct Stateful<'a> {
    /// The machine's host key as dropbear reads it.
    pub host_key: &'a [u8],
    /// The public key of who may log in.
    pub people: &'a str,
    /// The machine's name.
    pub name: &'a str,
}

impl Stateful<'_> {
    fn tree(&self) -> anyhow::Result<Tree> {
        let tree = Tree::with_folders(&["var", "home/.ssh", "dev_image", "var_overlay"])?;
        tree.write("hostname", self.name)?;
        for (path, content) in [
            ("unencrypted/dropbear/host_key", self.host_key),
            ("home/.ssh/authorized_keys", self.people.as_bytes()),
        ] {
            tree.write(path, content)?;
            std::fs::set_permissions(tree.at(path), std::fs::Permissions::from_mode(0o600))?;
        }
        for private in ["home", "home/.ssh", "unencrypted/dropbear"] {
            std::fs::set_permissions(tree.at(private), std::fs::Permissions::from_mode(0o700))?;
        }
        Ok(tree)
    }
}

/// Copies a file to a place in another that holds zeros, and leaves those out.
pub fn copy_sparsely(from: &Path, mut to: &File, offset: u64) -> anyhow::Result<()> {
    let mut from = File::open(from).with_context(|| format!("cannot read {}", from.display()))?;
    let mut chunk = vec![0; 1 << 16];
    let mut at = offset;
    loop {
        let read = from.read(&mut chunk)?;
        if read == 0 {
            return Ok(());
        }
        if chunk[..read].iter().any(|byte| *byte != 0) {
            to.seek(SeekFrom::Start(at))?;
            to.write_all(&chunk[..read])?;
        }
        at += read as u64;
    }
}
