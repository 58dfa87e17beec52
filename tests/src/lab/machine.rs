//! A machine that runs: ssh to it, what it says of itself, its serial console, its power.

use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::json;
use tempfile::TempDir;

use super::disk::{Layout, Slot, Stateful};
use super::parts::Parts;
use super::qmp;
use super::system::System;
use crate::engines::{Daemon, find};
use crate::process::{Cmd, Ran};
use crate::wait;

/// How long a machine may take until it answers over ssh, all boots that fail before included. One takes five seconds on a quiet machine with two
/// cores, and half a minute on one that compiles meanwhile.
pub const BOOT: Duration = Duration::from_mins(5);

/// What a machine is to be.
#[derive(Debug, Clone)]
pub struct MachineOrder {
    /// The system in slot A.
    pub system: System,
    /// The machine's name.
    pub name: String,
    /// A slot's size.
    pub slot_mib: u64,
    /// The stateful partition's size.
    pub stateful_mib: u64,
    /// So long a system may take until it feeds the watchdog. Generous: it must never end a good one.
    pub watchdog: Duration,
    /// What is wrong with the machine itself.
    pub ailment: Ailment,
}

/// What can be wrong with a machine, whatever its system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ailment {
    /// Nothing.
    #[default]
    None,
    /// It goes off when it should restart, and stays off until somebody switches it on.
    StaysOff,
}

impl Default for MachineOrder {
    fn default() -> Self {
        Self {
            system: System::default(),
            name: "lab-1".to_owned(),
            slot_mib: 48,
            stateful_mib: 32,
            watchdog: Duration::from_mins(1),
            ailment: Ailment::None,
        }
    }
}

impl MachineOrder {
    /// The ordinary machine with this system.
    pub fn with_system(system: System) -> Self {
        Self {
            system,
            ..Self::default()
        }
    }
}

/// A machine; its QEMU ends when this is dropped, and when the test's process dies.
#[derive(Debug)]
pub struct Machine {
    /// Its ssh server is at this port of 127.0.0.1.
    pub port: u16,
    /// The private key of who may log in as root.
    pub identity: PathBuf,
    /// Its host key, as `ssh-ed25519 AAAA…`.
    pub host_key: String,
    /// A file of known hosts with that key.
    pub known_hosts: PathBuf,
    /// What its serial console says, over all boots.
    pub serial: PathBuf,
    order: MachineOrder,
    daemon: Option<Daemon>,
    dir: TempDir,
}

impl Machine {
    /// Makes a machine as it leaves the factory and switches it on; does not wait for it.
    pub fn start(order: &MachineOrder) -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new().prefix("wlm-").tempdir()?;
        let place = dir.path();
        let identity = place.join("id");
        Cmd::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f"])
            .arg(&identity)
            .run()?
            .ok()?;
        let (host_key, secret) = host_key(place)?;
        Layout {
            stateful_mib: order.stateful_mib,
            slot_mib: order.slot_mib,
        }
        .make(
            &place.join("disk"),
            &order.system.image()?,
            &Stateful {
                host_key: &secret,
                people: &std::fs::read_to_string(identity.with_extension("pub"))?,
                name: &order.name,
            },
        )?;
        let mut machine = Self {
            port: 0,
            identity,
            host_key,
            known_hosts: place.join("known_hosts"),
            serial: place.join("serial"),
            order: order.clone(),
            daemon: None,
            dir,
        };
        let mut last = None;
        // The port is free when it is looked up, and may be taken when it is used.
        for _ in 0..5 {
            machine.port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
            match machine.power_on() {
                Ok(()) => {
                    let line = format!("[127.0.0.1]:{} {}\n", machine.port, machine.host_key);
                    std::fs::write(&machine.known_hosts, line)?;
                    return Ok(machine);
                }
                Err(error) => last = Some(error),
            }
        }
        Err(last.context("five tries were made")?)
    }

    /// The same, and waits until it answers over ssh.
    pub fn started(order: &MachineOrder) -> anyhow::Result<Self> {
        let mut machine = Self::start(order)?;
        machine.wait_until_up()?;
        Ok(machine)
    }

    /// Switches it on, at the port that it has. Returns when QEMU runs.
    pub fn power_on(&mut self) -> anyhow::Result<()> {
        let parts = Parts::get()?;
        let place = self.dir.path();
        let socket = place.join("qmp");
        // Of the boot before.
        let _ = std::fs::remove_file(&socket);
        let words = format!(
            "console=ttyS0 panic=1 loglevel=3 mitigations=off nokaslr audit=0 apparmor=0 cryptomgr.notests no_timer_check gpt lab.watchdog={}",
            self.order.watchdog.as_secs()
        );
        let mut command = Cmd::new(find("qemu-system-x86_64").context("there is no qemu-system-x86_64")?)
            .args([
                "-name",
                &self.order.name,
                "-nodefaults",
                "-no-user-config",
                "-display",
                "none",
            ])
            .args(["-accel", "tcg", "-cpu", "qemu64", "-smp", "1", "-m", "512"])
            .arg("-kernel")
            .arg(&parts.kernel)
            .arg("-initrd")
            .arg(&parts.initramfs)
            .args(["-append", &words])
            .arg("-drive")
            .arg(format!(
                "file={},format=raw,if=virtio,cache=writeback",
                place.join("disk").display()
            ))
            .arg("-netdev")
            .arg(format!(
                "user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{}-:22",
                self.port
            ))
            .args([
                "-device",
                "virtio-net-pci,netdev=net,id=nic",
                "-device",
                "virtio-rng-pci",
            ])
            .arg("-chardev")
            .arg(format!("file,id=serial,append=on,path={}", self.serial.display()))
            .args(["-serial", "chardev:serial", "-qmp"])
            .arg(format!("unix:{},server=on,wait=off", socket.display()));
        if self.order.ailment == Ailment::StaysOff {
            command = command.arg("-no-reboot");
        }
        let log = place.join("qemu.log");
        let mut daemon = Daemon::start(&command, &log)?;
        wait::until("QEMU's control socket", || {
            if let Some(status) = daemon.group.ended()? {
                bail!("QEMU ended with {status}: {}", std::fs::read_to_string(&log)?);
            }
            Ok(socket.exists().then_some(()))
        })?;
        self.daemon = Some(daemon);
        Ok(())
    }

    /// Takes its power away, at once: nothing that it had not written stays.
    pub fn power_off(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.group.kill();
        }
    }

    /// Takes its power away and switches it on again.
    pub fn power_cycle(&mut self) -> anyhow::Result<()> {
        self.power_off();
        self.power_on()
    }

    /// Whether it has power: one that went off by itself has none.
    pub fn has_power(&mut self) -> anyhow::Result<bool> {
        match &mut self.daemon {
            Some(daemon) => Ok(daemon.group.ended()?.is_none()),
            None => Ok(false),
        }
    }

    /// Stops its processor: connections stand, and nothing answers.
    pub fn freeze(&self) -> anyhow::Result<()> {
        self.control("stop", &json!({}))
    }

    /// Lets it go on after [`Machine::freeze`].
    pub fn thaw(&self) -> anyhow::Result<()> {
        self.control("cont", &json!({}))
    }

    /// Pulls its network cable.
    pub fn unplug(&self) -> anyhow::Result<()> {
        self.control("set_link", &json!({"name": "nic", "up": false}))
    }

    /// Puts its network cable back.
    pub fn plug(&self) -> anyhow::Result<()> {
        self.control("set_link", &json!({"name": "nic", "up": true}))
    }

    fn control(&self, command: &str, arguments: &serde_json::Value) -> anyhow::Result<()> {
        qmp::command(&self.dir.path().join("qmp"), command, arguments)?;
        Ok(())
    }

    /// `ssh` to it with everything but the command; a command is one word for its shell.
    pub fn ssh(&self) -> Cmd {
        Cmd::new("ssh")
            .args(["-F", "/dev/null", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes"])
            .args([
                "-o",
                "StrictHostKeyChecking=yes",
                "-o",
                "ConnectTimeout=10",
                "-o",
                "LogLevel=ERROR",
            ])
            .arg("-o")
            .arg(format!("UserKnownHostsFile={}", self.known_hosts.display()))
            .arg("-i")
            .arg(&self.identity)
            .args(["-p", &self.port.to_string(), "root@127.0.0.1"])
    }

    /// Has its shell carry out a command.
    pub fn run(&self, command: &str) -> anyhow::Result<Ran> {
        self.ssh().arg(command).run()
    }

    /// What a command says that has to work.
    pub fn says(&self, command: &str) -> anyhow::Result<String> {
        Ok(self.run(command)?.ok()?.line())
    }

    /// The kernel's name for this boot.
    pub fn boot_id(&self) -> anyhow::Result<String> {
        self.says("cat /proc/sys/kernel/random/boot_id")
    }

    /// The slot that it runs from.
    pub fn slot(&self) -> anyhow::Result<Slot> {
        self.says("slotctl active")?.parse()
    }

    /// The version that it runs.
    pub fn version(&self) -> anyhow::Result<String> {
        self.says("sed -n s/^CHROMEOS_RELEASE_VERSION=//p /etc/lsb-release")
    }

    /// Waits until it answers over ssh; gives how long that took.
    pub fn wait_until_up(&mut self) -> anyhow::Result<Duration> {
        self.wait_for_boot_other_than("")
    }

    /// Waits until it answers over ssh in another boot than this one.
    pub fn wait_for_boot_other_than(&mut self, boot_id: &str) -> anyhow::Result<Duration> {
        let began = Instant::now();
        let up = wait::until_within(BOOT, "the machine's ssh server", || {
            if !self.has_power()? {
                bail!("the machine is off");
            }
            if !greets(self.port) {
                return Ok(None);
            }
            let answer = self.run("cat /proc/sys/kernel/random/boot_id")?;
            Ok((answer.code() == 0 && answer.line() != boot_id).then_some(()))
        });
        up.with_context(|| format!("its console says:\n{}", self.console()))?;
        Ok(began.elapsed())
    }

    /// Has it restart in an orderly way and waits until it answers again.
    pub fn reboot(&mut self) -> anyhow::Result<Duration> {
        let boot_id = self.boot_id()?;
        // The connection may be cut before the answer.
        self.run("reboot")?;
        self.wait_for_boot_other_than(&boot_id)
    }

    /// What its serial console has said until now.
    pub fn console(&self) -> String {
        let bytes = std::fs::read(&self.serial).unwrap_or_default();
        String::from_utf8_lossy(&bytes).replace('\r', "")
    }

    /// Waits until its serial console has said this.
    pub fn wait_for_console(&self, words: &str) -> anyhow::Result<()> {
        wait::until_within(BOOT, &format!("'{words}' on the console"), || {
            Ok(self.console().contains(words).then_some(()))
        })
        .with_context(|| format!("its console says:\n{}", self.console()))
    }

    /// Writes an image into a slot over ssh and has the machine try it next. A slot that is half written is not started.
    pub fn install(&self, image: &Path, slot: Slot) -> anyhow::Result<()> {
        let name = slot.name();
        let squeezed = Cmd::new("gzip").args(["-1", "-n", "-c"]).arg(image).run()?.ok()?.stdout;
        self.ssh()
            .arg(format!(
                "set -o pipefail; slotctl disable {name} && gunzip -c | dd of={} bs=1M conv=fsync && slotctl try {name}",
                slot.device()
            ))
            .stdin(squeezed)
            .run()?
            .ok()?;
        Ok(())
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.order.name
    }

    /// Where its disk and its other files are.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }
}

/// A host key as dropbear writes it, and its public half.
fn host_key(dir: &Path) -> anyhow::Result<(String, Vec<u8>)> {
    let file = dir.join("host_key");
    let said = Cmd::new(find("dropbearkey").context("there is no dropbearkey")?)
        .args(["-t", "ed25519", "-f"])
        .arg(&file)
        .run()?
        .ok()?
        .out();
    let line = said
        .lines()
        .find(|line| line.starts_with("ssh-ed25519 "))
        .context("dropbearkey shows the public key")?;
    let public: Vec<&str> = line.split(' ').take(2).collect();
    Ok((public.join(" "), std::fs::read(&file)?))
}

/// Whether an ssh server speaks at this port. QEMU itself takes the connection, whatever the machine does.
fn greets(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else {
        return false;
    };
    let mut greeting = [0; 4];
    stream.set_read_timeout(Some(Duration::from_millis(500))).is_ok()
        && stream.read_exact(&mut greeting).is_ok()
        && &greeting == b"SSH-"
}
