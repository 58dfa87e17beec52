//! A server, and the machines that it knows.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;
use windlass_tests::lab::{Machine, MachineOrder, System};
use windlass_tests::pipeline::free_port;
use windlass_tests::{World, wait};

/// How long a rollout to all machines may take on a loaded machine.
pub(crate) const ROLLOUT: Duration = Duration::from_mins(6);

/// How often a job's lease is renewed: thrice in the two minutes that it holds by default.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(40);

/// A server, and the machines that it knows.
pub(crate) struct Lab {
    // Ends before the machines do.
    pub(crate) world: World,
    pub(crate) machines: Vec<Machine>,
}

impl Lab {
    /// Machines of these names, and a server with one repository; nothing of it runs, and it knows nothing of the machines.
    pub(crate) fn of(names: &[&str], system: &System) -> anyhow::Result<Self> {
        let order = |name: &str| MachineOrder {
            name: name.to_owned(),
            ..MachineOrder::with_system(system.clone())
        };
        let machines = names
            .iter()
            .map(|name| Machine::start(&order(name)))
            .collect::<anyhow::Result<_>>()?;
        let world = World::empty()?;
        world.set("http", "listen", &format!("\"127.0.0.1:{}\"", free_port()?))?;
        for repository in ["main", "stable"] {
            world.windlass(["repo", "init", "-b", repository]).run()?.ok()?;
        }
        Ok(Self { world, machines })
    }

    /// Has the server know all machines, and these sections; starts it, and waits for the machines that have power.
    pub(crate) fn begin(&mut self, sections: &str, canary: Option<&str>) -> anyhow::Result<()> {
        let mut config = std::fs::read_to_string(self.world.config())?;
        write!(config, "\n{sections}")?;
        for machine in &self.machines {
            let tag = canary
                .filter(|canary| *canary == machine.name())
                .map_or("", |_| "\"canary\"");
            write!(
                config,
                "\n[[device]]\nname = \"{}\"\naddress = \"127.0.0.1\"\nport = {}\nidentity = \"{}\"\nhost_key = \"{}\"\nboard = \"vm-lab\"\n\
                 tags = [{tag}]\npayload = \"lab\"\nafter_merge = true\n",
                machine.name(),
                machine.port,
                machine.identity.display(),
                machine.host_key,
            )?;
        }
        std::fs::write(self.world.config(), config)?;
        self.world.enrol_everybody()?;
        self.world.start_sshd()?;
        self.world.start_bot()?;
        for machine in &mut self.machines {
            if machine.has_power()? {
                machine.wait_until_up()?;
            }
        }
        Ok(())
    }

    /// The state directory.
    pub(crate) fn state(&self) -> PathBuf {
        self.world.root().join("state")
    }

    /// Jobs in these states, as `job ls` has them; those that have no end yet where none is named.
    pub(crate) fn jobs(&self, states: Option<&str>) -> anyhow::Result<Vec<Value>> {
        let states = states.map(|states| format!("--state={states}"));
        let words: Vec<&str> = ["job", "ls", "--json"].into_iter().chain(states.as_deref()).collect();
        list(&self.world.admin(&words)?.ok()?.json()?)
    }

    /// Waits until no job is left to do; all that ended otherwise is told.
    pub(crate) fn settle(&self) -> anyhow::Result<()> {
        let ended = wait::until_within(ROLLOUT, "all jobs to end", || {
            Ok(self.jobs(None)?.is_empty().then_some(()))
        });
        ended.with_context(|| self.told())
    }

    /// All that is known of the jobs, for whoever has to find out why a story failed.
    pub(crate) fn told(&self) -> String {
        let all = self.jobs(Some("queued,running,retrying,done,failed,cancelled"));
        let mut told = String::new();
        for job in all.unwrap_or_default() {
            let log = job["id"].as_u64().map(|id| self.world.job_log(id)).unwrap_or_default();
            let _ = write!(told, "{job}\n{log}\n");
        }
        told
    }

    /// The job of this device that is worked on.
    pub(crate) fn flashing(&self, machine: &Machine) -> anyhow::Result<u64> {
        let about = format!("device {}", machine.name());
        let begun = wait::until_within(ROLLOUT, &format!("a flash of {}", machine.name()), || {
            let jobs = self.jobs(Some("running"))?;
            Ok(jobs
                .iter()
                .find(|job| job["about"] == about)
                .and_then(|job| job["id"].as_u64()))
        });
        begun.with_context(|| self.told())
    }

    /// What `device history` says of a device, the newest first.
    pub(crate) fn history(&self, machine: &Machine) -> anyhow::Result<Vec<Value>> {
        list(
            &self
                .world
                .admin(&["device", "history", machine.name(), "--json"])?
                .ok()?
                .json()?,
        )
    }

    /// The records of a device's flashes, in no order.
    pub(crate) fn records(&self, machine: &Machine) -> anyhow::Result<Vec<Value>> {
        let mut records = Vec::new();
        for entry in std::fs::read_dir(self.state().join("devices/flashes").join(machine.name()))? {
            let file = entry?.path();
            if file.extension().is_some_and(|extension| extension == "json") {
                records.push(serde_json::from_slice(&std::fs::read(file)?)?);
            }
        }
        Ok(records)
    }

    /// Why a device waits, in a line.
    pub(crate) fn why(&self, machine: &Machine) -> anyhow::Result<String> {
        Ok(self.world.admin(&["device", "why", machine.name()])?.ok()?.out())
    }

    /// Whether nothing of a flash is left: no job of the device, no lock, no connection to it.
    pub(crate) fn is_free(&self, machine: &Machine) -> anyhow::Result<bool> {
        Ok(self.why(machine)?.contains("it is free")
            && !machine.is_locked(&self.state())?
            && machine.connections().is_empty())
    }
}

fn list(json: &Value) -> anyhow::Result<Vec<Value>> {
    Ok(json.as_array().with_context(|| format!("no list: {json}"))?.clone())
}

/// A moment that a record tells.
pub(crate) fn moment(record: &Value, name: &str) -> anyhow::Result<jiff::Timestamp> {
    let text = record[name]
        .as_str()
        .with_context(|| format!("no {name} in {record}"))?;
    Ok(text.parse()?)
}
