//! A machine, and a person who flashes it.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;
use windlass_tests::lab::disk::{Layout, Stateful};
use windlass_tests::lab::{Machine, MachineOrder, System};
use windlass_tests::proc;
use windlass_tests::process::{Cmd, Ran};
use windlass_tests::programs::Programs;

/// How long a flash may take in a story, restarts that fail included.
pub(crate) const LIMIT: Duration = Duration::from_mins(5);

/// A machine and a place for records.
pub(crate) struct World {
    pub(crate) machine: Machine,
    pub(crate) dir: tempfile::TempDir,
    windlass: PathBuf,
}

impl World {
    pub(crate) fn new(order: &MachineOrder) -> anyhow::Result<Self> {
        Ok(Self {
            windlass: Programs::built()?.windlass,
            machine: Machine::started(order)?,
            dir: tempfile::Builder::new().prefix("wlf-").tempdir()?,
        })
    }

    pub(crate) fn of(system: System) -> anyhow::Result<Self> {
        Self::new(&MachineOrder::with_system(system))
    }

    /// `windlass device flash` of the machine, to be completed by an image.
    pub(crate) fn flash(&self) -> Cmd {
        self.with_key(&self.machine.host_key)
    }

    /// The same with another host key.
    pub(crate) fn with_key(&self, key: &str) -> Cmd {
        self.at(self.machine.port).args(["--host-key", key])
    }

    /// The same, and nobody says which host key it has.
    pub(crate) fn without_key(&self) -> Cmd {
        self.at(self.machine.port)
    }

    /// The same at another port, where the machine is not.
    pub(crate) fn elsewhere(&self, port: u16) -> Cmd {
        self.at(port).args(["--host-key", &self.machine.host_key])
    }

    /// `windlass`, to be completed.
    pub(crate) fn windlass(&self) -> Cmd {
        Cmd::new(&self.windlass)
    }

    fn at(&self, port: u16) -> Cmd {
        self.windlass()
            .args(["device", "flash", "--json", "--device", "lab-1", "--remote"])
            .arg(format!("127.0.0.1:{port}"))
            .arg("--identity")
            .arg(&self.machine.identity)
            .arg("--state")
            .arg(self.state())
            .limit(LIMIT)
    }

    /// A payload with this system.
    pub(crate) fn payload(&self, system: &System) -> anyhow::Result<PathBuf> {
        let payload = self.dir.path().join(format!("{}.payload", system.version));
        Cmd::new(&self.windlass)
            .args(["payload", "generate", "--partition"])
            .arg(format!("root={}", system.image()?.display()))
            .arg("-o")
            .arg(&payload)
            .limit(LIMIT)
            .run()?
            .ok()?;
        Ok(payload)
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// The same with this system's image.
    pub(crate) fn flash_with(&self, system: &System) -> anyhow::Result<Cmd> {
        Ok(self.flash().arg("--from").arg(system.image()?))
    }

    /// A disk image as a build makes it: with both slots and the stateful partition.
    pub(crate) fn disk(&self, system: &System, name: &str) -> anyhow::Result<PathBuf> {
        let disk = self.dir.path().join(name);
        Layout {
            stateful_mib: 8,
            slot_mib: system.size_mib,
        }
        .make(
            &disk,
            &system.image()?,
            &Stateful {
                host_key: b"",
                people: "",
                name: "image",
            },
        )?;
        Ok(disk)
    }

    /// The records on disk, by their names.
    pub(crate) fn records(&self) -> anyhow::Result<Vec<Value>> {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(self.state().join("devices/flashes/lab-1"))? {
            let file = entry?.path();
            if file.extension().is_some_and(|extension| extension == "json") {
                files.push(file);
            }
        }
        files.sort();
        files
            .iter()
            .map(|file| Ok(serde_json::from_slice(&std::fs::read(file)?)?))
            .collect()
    }

    /// The machine runs this version from this slot, answers, and nothing of a flash is left: no process, no tunnel, no lock.
    pub(crate) fn is_left_well(&self, slot: &str, version: &str) -> anyhow::Result<()> {
        let left: Vec<String> = proc::of_world(self.dir.path())
            .into_iter()
            .filter(|process| process.id != i32::try_from(std::process::id()).unwrap_or(0))
            .map(|process| process.argv.join(" "))
            .collect();
        assert_eq!(left, [""; 0], "processes are left");
        assert_eq!(self.machine.connections(), [], "connections are left");
        assert_eq!(self.machine.says("slotctl active")?, slot);
        assert_eq!(self.machine.version()?, version);
        assert_eq!(self.machine.servers()?, 1, "a port is left");
        assert!(!self.is_locked()?, "a lock is left");
        Ok(())
    }

    /// Whether somebody has the machine's lock.
    pub(crate) fn is_locked(&self) -> anyhow::Result<bool> {
        self.machine.is_locked(&self.state())
    }
}

/// A record's value as text.
pub(crate) fn text<'a>(record: &'a Value, name: &str) -> &'a str {
    record[name].as_str().unwrap_or_default()
}

/// How a record says that a flash ended: a word, and where and why it failed.
pub(crate) fn outcome<'a>(record: &'a Value, name: &str) -> &'a str {
    text(&record["outcome"], name)
}

/// The record that a flash printed.
pub(crate) fn record(ran: &Ran) -> anyhow::Result<Value> {
    ran.json().with_context(|| format!("{ran}"))
}
