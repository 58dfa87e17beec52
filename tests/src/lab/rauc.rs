//! A board that is updated by RAUC: the real service on a message bus of its own, plain bundles, slots that are files.
//!
//! Verity bundles need device-mapper, which is not everywhere; plain ones are checked whole before anything is written.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::boards::{Board, Signer};
use super::system::System;
use crate::engines::{Daemon, find};
use crate::process::{Cmd, Ran};
use crate::wait;

const BACKEND: &str = include_str!("guest/rauc-backend.sh");

/// A board with RAUC's service.
#[derive(Debug)]
pub struct Rauc {
    /// What it writes to.
    pub board: Board,
    signer: Signer,
    service: Option<Daemon>,
    bus: Option<Daemon>,
}

/// Why RAUC cannot be run here, for [`crate::skipped`]; nothing when it can.
pub fn lacking() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("RAUC mounts its bundles, which takes root".to_owned());
    }
    let programs = [
        "rauc",
        "dbus-daemon",
        "openssl",
        "mkfs.ext4",
        "debugfs",
        "busybox",
        "dropbear",
    ];
    let absent = programs.into_iter().find(|program| find(program).is_none())?;
    Some(format!("there is no {absent}"))
}

impl Rauc {
    /// A board of this system, with the service running.
    pub fn start(system: &System) -> anyhow::Result<Self> {
        let board = Board::new(system)?;
        let dir = board.dir().to_owned();
        let signer = Signer::new(&dir)?;
        let backend = dir.join("backend");
        std::fs::write(&backend, BACKEND)?;
        Cmd::new("chmod").arg("755").arg(&backend).run()?.ok()?;
        std::fs::write(
            dir.join("system.conf"),
            format!(
                "[system]\ncompatible={}\nbootloader=custom\nstatusfile={place}/status\nbundle-formats=plain\nmountprefix={place}/mount\n\n\
                 [keyring]\npath={}\n\n\
                 [handlers]\nbootloader-custom-backend={}\n\n\
                 [slot.rootfs.0]\ndevice={place}/slot-A\ntype=raw\nbootname=A\n\n\
                 [slot.rootfs.1]\ndevice={place}/slot-B\ntype=raw\nbootname=B\n",
                system.board,
                signer.certificate.display(),
                backend.display(),
                place = dir.display(),
            ),
        )?;
        std::fs::create_dir(dir.join("mount"))?;
        let bus = Daemon::start(
            &Cmd::new("dbus-daemon")
                .args(["--session", "--nofork", "--nopidfile", "--nosyslog"])
                .arg(format!("--address={}", address(&dir))),
            &dir.join("bus.log"),
        )?;
        wait::until("the message bus", || Ok(dir.join("bus").exists().then_some(())))?;
        let mut rauc = Self {
            board,
            signer,
            service: None,
            bus: Some(bus),
        };
        rauc.serve()?;
        Ok(rauc)
    }

    /// Starts the service, which learns from its command line what runs.
    fn serve(&mut self) -> anyhow::Result<()> {
        drop(self.service.take());
        let dir = self.board.dir();
        let log = dir.join("service.log");
        let command = self
            .environment(Cmd::new("rauc"))
            .arg(format!("--conf={}", dir.join("system.conf").display()))
            .arg(format!("--override-boot-slot={}", self.board.get("current")?))
            .arg("service");
        let mut service = Daemon::start(&command, &log)?;
        wait::until("RAUC's answer", || {
            if let Some(status) = service.group.ended()? {
                bail!("rauc ended with {status}: {}", std::fs::read_to_string(&log)?);
            }
            Ok((self.run(&["rauc", "status"])?.code() == 0).then_some(()))
        })?;
        self.service = Some(service);
        Ok(())
    }

    fn environment(&self, command: Cmd) -> Cmd {
        command
            .env("DBUS_SESSION_BUS_ADDRESS", address(self.board.dir()))
            .env("DBUS_STARTER_BUS_TYPE", "session")
            .dir(self.board.dir())
    }

    /// A command as the board itself would run it.
    pub fn command(&self, words: &[&str]) -> anyhow::Result<Cmd> {
        let (program, arguments) = words.split_first().context("a command has a program")?;
        Ok(self.environment(Cmd::new(program)).args(arguments))
    }

    /// Runs a command as the board itself would.
    pub fn run(&self, words: &[&str]) -> anyhow::Result<Ran> {
        self.command(words)?.run()
    }

    /// Restarts the board: the boot loader chooses, the service comes up again.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        self.board.restart()?;
        self.serve()
    }

    /// A signed bundle with this system.
    pub fn bundle(&self, system: &System) -> anyhow::Result<PathBuf> {
        // RAUC writes digests into its input.
        let input = tempfile::Builder::new()
            .prefix("bundle-")
            .tempdir_in(self.board.dir())?;
        std::fs::copy(system.image()?, input.path().join("rootfs.img"))?;
        std::fs::write(
            input.path().join("manifest.raucm"),
            format!(
                "[update]\ncompatible={}\nversion={}\n\n[bundle]\nformat=plain\n\n[image.rootfs]\nfilename=rootfs.img\n",
                system.board, system.version
            ),
        )?;
        let bundle = self
            .board
            .dir()
            .join(format!("{}-{}.raucb", system.board, system.version));
        Cmd::new("rauc")
            .arg("--cert")
            .arg(&self.signer.certificate)
            .arg("--key")
            .arg(&self.signer.key)
            .arg("bundle")
            .args([input.path(), &bundle])
            .run()?
            .ok()?;
        Ok(bundle)
    }
}

impl Drop for Rauc {
    fn drop(&mut self) {
        // The service before the bus that it is on.
        drop(self.service.take());
        drop(self.bus.take());
    }
}

fn address(dir: &Path) -> String {
    format!("unix:path={}", dir.join("bus").display())
}
