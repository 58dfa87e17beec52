//! Every step of a flash that changes nothing, one after the other, each with what was found and how long it took.
//!
//! A step that fails does not end it: what does not need that step is looked at all the same. The way back is the real one: server, tunnel, and the
//! device fetching something that nobody else knows.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;
use windlass_core::device::flash::{DriverChoice, Look, Updater, shell};
use windlass_core::escape::escaped;
use windlass_core::hex::hex;

use super::goods::Goods;
use super::locks::DeviceLock;
use super::order::Parcels;
use super::run::{Looked, look_at};
use super::server::OwnServer;
use crate::devices::driver::{self, Delivery, Driver};
use crate::devices::server::{Budget, PAYLOAD};
use crate::devices::ssh::{DeviceAddress, HostKey, Patience, Ssh};
use crate::devices::tunnel::Tunnel;

/// The status of a device's shell when it has nothing to fetch with.
const NOTHING: i32 = 127;

/// What is to be checked.
#[derive(Debug, Clone)]
pub struct CheckOrder {
    /// The device.
    pub address: DeviceAddress,
    /// What updates it.
    pub driver: DriverChoice,
    /// The board that it has to have.
    pub board: Option<String>,
    /// The command that cuts its power.
    pub power: Option<Vec<String>>,
    /// The command that says what its console says.
    pub console: Option<Vec<String>>,
    /// Where locks are.
    pub locks: PathBuf,
    /// How long one command may take, and its connection.
    pub patience: Patience,
}

/// How a step went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// As it should be.
    Good,
    /// A flash would go well; a person may want to know this.
    Noted,
    /// A flash would not go well.
    Wrong,
    /// It could not be looked at, or there is nothing to look at.
    Skipped,
}

/// A step that was looked at.
///
/// JSON: `step`, `verdict` (`good`, `noted`, `wrong`, `skipped`), `found` (a line), `seconds`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Checked {
    /// Which.
    pub step: &'static str,
    /// How it went.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
    /// How long it took.
    pub seconds: f64,
}

/// What was found out on the way.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// All steps, in their order.
    pub steps: Vec<Checked>,
    /// What the device is, where it could be asked.
    pub look: Option<Look>,
}

type Step = (Verdict, String);

/// Measures one step.
struct Steps<'t> {
    found: Found,
    tell: &'t mut (dyn FnMut(&Checked) + Send),
}

impl Steps<'_> {
    fn add(&mut self, step: &'static str, began: Instant, (verdict, found): Step) {
        let checked = Checked {
            step,
            verdict,
            found,
            seconds: began.elapsed().as_secs_f64(),
        };
        (self.tell)(&checked);
        self.found.steps.push(checked);
    }

    fn skip(&mut self, steps: &[&'static str], why: &str) {
        for step in steps {
            self.add(step, Instant::now(), (Verdict::Skipped, why.to_owned()));
        }
    }
}

impl Found {
    /// Whether nothing is wrong.
    pub fn is_good(&self) -> bool {
        self.steps.iter().all(|step| step.verdict != Verdict::Wrong)
    }
}

/// Looks at everything; each step is told when it is done. Dropped in the middle it leaves nothing behind.
pub async fn check(order: &CheckOrder, tell: &mut (dyn FnMut(&Checked) + Send)) -> Found {
    let mut steps = Steps {
        found: Found::default(),
        tell,
    };
    let began = Instant::now();
    let lock = lock(order).await;
    steps.add("lock", began, lock);
    on_the_device(order, &mut steps).await;
    for (step, command, lacks) in [
        (
            "power",
            &order.power,
            "no power command: if it does not come back somebody has to go there",
        ),
        (
            "console",
            &order.console,
            "no console command: what it says there is not kept",
        ),
    ] {
        let found = match command {
            Some(words) => program(words),
            None => (Verdict::Noted, lacks.to_owned()),
        };
        steps.add(step, Instant::now(), found);
    }
    steps.found
}

async fn lock(order: &CheckOrder) -> Step {
    // It is given back at once: nobody is to be kept from flashing.
    match DeviceLock::take(&order.locks, &order.address, Duration::ZERO, |_| {}).await {
        Ok(_) => (Verdict::Good, "nobody flashes it".to_owned()),
        Err(error) => (Verdict::Wrong, error.to_string()),
    }
}

async fn on_the_device(order: &CheckOrder, steps: &mut Steps<'_>) {
    let own = driver::of(&order.driver);
    let began = Instant::now();
    let ssh = match reached(order).await {
        Ok((ssh, found)) => {
            steps.add("ssh", began, (Verdict::Good, found));
            ssh
        }
        Err(error) => {
            steps.add("ssh", began, (Verdict::Wrong, error));
            return steps.skip(&["look", "updater", "tunnel", "space"], "the device cannot be asked");
        }
    };
    let began = Instant::now();
    match look_at(&ssh, own.as_ref()).await {
        Ok(Looked { look, updater }) => {
            let seen = looked(order, own.as_ref(), &look);
            steps.add("look", began, seen);
            let rest = rests(&order.driver, &updater);
            steps.add("updater", Instant::now(), rest);
            steps.found.look = Some(look);
        }
        Err(error) => {
            steps.add("look", began, (Verdict::Wrong, error.to_string()));
            steps.skip(&["updater"], "it does not say what it does");
        }
    }
    let began = Instant::now();
    let back = match own.delivery() {
        Delivery::Fetched => fetched(order, &ssh)
            .await
            .unwrap_or_else(|error| (Verdict::Wrong, error)),
        Delivery::Pushed | Delivery::PushedImage => (
            Verdict::Skipped,
            format!("not needed: with {} the update goes over ssh", order.driver),
        ),
    };
    steps.add("tunnel", began, back);
    let began = Instant::now();
    let room = match own.spool() {
        Some(spool) => room(&ssh, spool).await,
        None => (
            Verdict::Skipped,
            format!("{} needs no room beside the slot", order.driver),
        ),
    };
    steps.add("space", began, room);
}

/// The way to the device, once it let us in.
async fn reached(order: &CheckOrder) -> Result<(Ssh, String), String> {
    let address = &order.address;
    let ssh = Ssh::to(address.clone(), order.patience).map_err(|error| error.to_string())?;
    ssh.says("true").await.map_err(|error| error.to_string())?;
    let key = match &address.host_key {
        HostKey::Pinned(_) => "its host key is the pinned one",
        HostKey::AcceptNew(_) | HostKey::Known(_) => "its host key is the one that was agreed to",
    };
    let found = format!("{}@{}, port {}; {key}", address.user, address.host, address.port);
    Ok((ssh, found))
}

fn looked(order: &CheckOrder, own: &dyn Driver, look: &Look) -> Step {
    let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "unknown".to_owned());
    let found = format!(
        "board {}, slot {}, version {}",
        shown(&look.board),
        shown(&look.seen.slot),
        shown(&look.seen.version)
    );
    if let Some(wanted) = &order.board
        && look.board.as_ref() != Some(wanted)
    {
        return (Verdict::Wrong, format!("{found}; it is to have board {wanted}"));
    }
    if look.seen.slot.is_none() && !own.questions().slot.is_empty() {
        let words = shell::command(&own.questions().slot);
        return (
            Verdict::Wrong,
            format!("{found}; '{words}' does not say the slot there"),
        );
    }
    if look.seen.version.is_none() {
        return (
            Verdict::Noted,
            format!("{found}; without a version slot and boot alone are judged"),
        );
    }
    (Verdict::Good, found)
}

fn rests(driver: &DriverChoice, updater: &Updater) -> Step {
    match updater {
        Updater::Idle => (Verdict::Good, format!("{driver} is at rest")),
        Updater::NeedsReboot => (
            Verdict::Noted,
            format!("{driver} waits for a restart: a flash does that first"),
        ),
        Updater::Busy(word) => (Verdict::Wrong, format!("{driver} is busy: {word}")),
        Updater::Unknown(said) => (
            Verdict::Wrong,
            format!("{driver} does not say what it does: {}", escaped(said)),
        ),
    }
}

/// Has the device fetch something through a tunnel from a server of ours.
async fn fetched(order: &CheckOrder, ssh: &Ssh) -> Result<Step, String> {
    let words = |error: &dyn std::fmt::Display| error.to_string();
    let token = token();
    let mut file = tempfile::NamedTempFile::new().map_err(|error| words(&error))?;
    file.write_all(token.as_bytes()).map_err(|error| words(&error))?;
    let goods = Goods::open(&Parcels::of(file.path()), Delivery::Fetched).map_err(|error| words(&error))?;
    let name = order.address.name.as_str();
    let server = OwnServer::start(name, None, Budget::default(), |offers, target| {
        goods.offer(offers, target);
    })
    .await;
    let server = server.map_err(|error| words(&error))?;
    let tunnel = Tunnel::open(ssh, server.port(), None, order.patience.command).await;
    let step = match tunnel {
        Err(error) => Err(words(&error)),
        Ok(tunnel) => {
            let url = format!("{}/{PAYLOAD}", server.base(tunnel.port()));
            let said = ssh.run(&fetching(&url), order.patience.command).await;
            let port = tunnel.port();
            tunnel.close().await;
            match said {
                Err(error) => Err(words(&error)),
                Ok(said) if said.status == NOTHING => Ok((
                    Verdict::Noted,
                    format!("it stands, on port {port} there; the device has neither curl nor wget to try it with"),
                )),
                Ok(said) if said.status == 0 && said.out.trim_end() == token => Ok((
                    Verdict::Good,
                    format!("the device fetched from this machine through its port {port}"),
                )),
                Ok(said) if said.status == 0 => Err(format!(
                    "what the device fetched through its port {port} is not what this machine serves"
                )),
                Ok(said) => Err(format!("the device cannot fetch through its port {port}: {}", said.err)),
            }
        }
    };
    server.close().await;
    step
}

/// What nobody can guess.
fn token() -> String {
    use std::hash::{BuildHasher as _, RandomState};
    // The standard library draws its keys from the system's randomness.
    let half = |n: u8| RandomState::new().hash_one(n).to_be_bytes();
    format!("windlass {}{}", hex(&half(0)), hex(&half(1)))
}

/// Fetches with what the device has. No proxy that is set there is asked.
fn fetching(url: &str) -> String {
    let url = shell::quote(url);
    format!(
        "unset http_proxy; if command -v curl >/dev/null 2>&1; then curl -fsS {url}; \
         elif command -v wget >/dev/null 2>&1; then wget -q -O - {url}; else exit {NOTHING}; fi"
    )
}

/// How much fits into a folder of the device.
async fn room(ssh: &Ssh, spool: &str) -> Step {
    let quoted = shell::quote(spool);
    let command = format!("test -w {quoted} && df -Pk {quoted}");
    let said = match ssh.run(&command, ssh.patience().command).await {
        Err(error) => return (Verdict::Wrong, error.to_string()),
        Ok(said) => said,
    };
    let spool = escaped(spool);
    match (said.status, free(&said.out)) {
        (0, Some(kib)) => (Verdict::Good, format!("{} MiB are free in {spool}", kib >> 10)),
        (0, None) => (Verdict::Noted, format!("'df' does not say how much is free in {spool}")),
        _ => (
            Verdict::Wrong,
            format!("nothing can be written into {spool}: {}", said.err),
        ),
    }
}

/// The KiB that are free, by what `df -Pk` says.
fn free(said: &str) -> Option<u64> {
    let line = said.lines().nth(1)?;
    line.split_whitespace().nth(3)?.parse().ok()
}

/// Whether a command of this machine could be run. It is not.
fn program(words: &[String]) -> Step {
    let Some(program) = words.first() else {
        return (Verdict::Wrong, "no command is named".to_owned());
    };
    let shown = escaped(&words.join(" "));
    let wrong = |why: String| (Verdict::Wrong, format!("'{shown}' cannot be run: {why}"));
    if !program.contains('/') {
        return (
            Verdict::Noted,
            format!("'{shown}', wherever PATH has it; it was not run"),
        );
    }
    match Path::new(program).metadata() {
        Err(error) => wrong(error.to_string()),
        Ok(facts) if !facts.is_file() || facts.permissions().mode() & 0o111 == 0 => {
            wrong("it is no program".to_owned())
        }
        Ok(_) => (Verdict::Good, format!("'{shown}'; it was not run")),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(
        "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/vda1 100 40 60 40% /\n",
        Some(60)
    )]
    #[case("tmpfs", None)]
    #[case("a\nb c d e\n", None)]
    fn room_is_read(#[case] said: &str, #[case] free_kib: Option<u64>) {
        assert_eq!(free(said), free_kib);
    }

    #[test]
    fn a_program_is_looked_at_and_not_run() {
        let words = |program: &str| vec![program.to_owned(), "17".to_owned()];
        assert_eq!(program(&words("/bin/sh")).0, Verdict::Good);
        assert_eq!(program(&words("/bin")).0, Verdict::Wrong);
        assert_eq!(program(&words("/nonexistent/power")).0, Verdict::Wrong);
        assert_eq!(program(&words("power")).0, Verdict::Noted);
        assert_eq!(program(&[]).0, Verdict::Wrong);
    }

    #[test]
    fn an_address_is_one_word_for_the_device() {
        let script = fetching("http://127.0.0.1:1/device/a'; reboot; '/update.gz");
        assert!(!script.contains("a'; reboot"), "{script}");
        assert_ne!(token(), token());
    }
}
