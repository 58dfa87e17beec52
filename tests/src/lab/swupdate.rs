//! A board that is updated by `SWUpdate`: the real program, updates signed by CMS, slots that are files.

use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::boards::{Board, Signer};
use super::disk::Slot;
use super::parts::hex;
use super::system::System;
use crate::engines::find;
use crate::process::{Cmd, Ran};

/// A board with `SWUpdate`.
#[derive(Debug)]
pub struct SwUpdate {
    /// What it writes to.
    pub board: Board,
    hardware: String,
    signer: Signer,
}

/// Why `SWUpdate` cannot be run here, for [`crate::skipped`]; nothing when it can.
pub fn lacking() -> Option<String> {
    let programs = [
        "swupdate",
        "openssl",
        "cpio",
        "mkfs.ext4",
        "debugfs",
        "busybox",
        "dropbear",
    ];
    let absent = programs.into_iter().find(|program| find(program).is_none())?;
    Some(format!("there is no {absent}"))
}

impl SwUpdate {
    /// A board of this system.
    pub fn new(system: &System) -> anyhow::Result<Self> {
        let board = Board::new(system)?;
        Ok(Self {
            signer: Signer::new(board.dir())?,
            hardware: system.board.clone(),
            board,
        })
    }

    /// `swupdate` as the board itself would run it, for the slot that does not run; what to install is to be added: `-i FILE`, or
    /// `-d "-u URL"`.
    pub fn command(&self) -> anyhow::Result<Cmd> {
        let slot = self.board.slot()?.other();
        Ok(Cmd::new(find("swupdate").unwrap_or_else(|| "swupdate".into()))
            .dir(self.board.dir())
            .env("TMPDIR", self.board.dir())
            .args(["-e", &format!("stable,{}", slot.name())])
            .args(["-H", &format!("lab:{}", self.hardware)])
            .arg("-k")
            .arg(&self.signer.certificate))
    }

    /// Installs an update, and has the slot tried next if that went well.
    pub fn install(&self, update: &Path) -> anyhow::Result<Ran> {
        let slot = self.board.slot()?.other();
        let ran = self.command()?.arg("-i").arg(update).run()?;
        if ran.code() == 0 {
            self.board.try_next(slot)?;
        }
        Ok(ran)
    }

    /// A signed update with this system, for either slot.
    pub fn update(&self, system: &System) -> anyhow::Result<PathBuf> {
        let work = tempfile::Builder::new()
            .prefix("update-")
            .tempdir_in(self.board.dir())?;
        let image = std::fs::read(system.image()?)?;
        let digest = hex(&Sha256::digest(&image));
        std::fs::write(work.path().join("rootfs.img"), image)?;
        let images = |slot: Slot| {
            format!(
                "\t\t{}: {{ images: ( {{ filename = \"rootfs.img\"; device = \"{}\"; type = \"raw\"; sha256 = \"{digest}\"; }} ); }};\n",
                slot.name(),
                self.board.device(slot).display()
            )
        };
        std::fs::write(
            work.path().join("sw-description"),
            format!(
                "software = {{\n\tversion = \"{}\";\n\thardware-compatibility: [ \"{}\" ];\n\tstable: {{\n{}{}\t}};\n}};\n",
                system.version,
                system.board,
                images(Slot::A),
                images(Slot::B)
            ),
        )?;
        Cmd::new("openssl")
            .args(["cms", "-sign", "-in", "sw-description", "-out", "sw-description.sig"])
            .args(["-outform", "DER", "-nosmimecap", "-binary", "-signer"])
            .arg(&self.signer.certificate)
            .arg("-inkey")
            .arg(&self.signer.key)
            .dir(work.path())
            .run()?
            .ok()?;
        let archive = Cmd::new("cpio")
            .args(["--quiet", "-o", "-H", "crc"])
            .dir(work.path())
            .stdin("sw-description\nsw-description.sig\nrootfs.img\n")
            .run()?
            .ok()?;
        let update = self
            .board
            .dir()
            .join(format!("{}-{}.swu", system.board, system.version));
        std::fs::write(&update, archive.stdout)?;
        Ok(update)
    }
}
