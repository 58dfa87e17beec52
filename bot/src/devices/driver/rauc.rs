//! RAUC: the bundle is sent, RAUC verifies and installs it into the group of slots that does not run.

use std::time::Duration;

use serde_json::Value;
use windlass_core::device::flash::driver::Rauc;
use windlass_core::device::flash::look::Questions;
use windlass_core::device::flash::{SlotRule, Updater, shell};
use windlass_core::escape::{escaped, shortened};

use super::{Delivery, Doing, Driver, DriverError, Work, push};
use crate::devices::ssh::Ssh;

/// RAUC.
#[derive(Debug)]
pub(super) struct RaucDriver(pub(super) Rauc);

impl RaucDriver {
    fn command(&self, words: &[&str]) -> String {
        let words: Vec<&str> = std::iter::once(self.0.client.as_str())
            .chain(words.iter().copied())
            .collect();
        shell::command(&words)
    }
}

/// What `rauc status` says in JSON.
#[derive(Debug, Default, PartialEq, Eq)]
struct Status {
    booted: Option<String>,
    /// The slot that is started next, as the boot loader names it.
    primary: Option<String>,
    /// The one that does not run, as the boot loader names it.
    other: Option<String>,
}

impl Status {
    fn read(json: &str) -> Option<Self> {
        let status: Value = serde_json::from_str(json).ok()?;
        let text = |value: &Value| value.as_str().map(|text| shortened(escaped(text), 64));
        let booted = text(&status["booted"]);
        // Each is an object with the slot's name as its only key.
        let slots: Vec<(&String, &Value)> = status["slots"]
            .as_array()?
            .iter()
            .filter_map(Value::as_object)
            .flatten()
            .collect();
        let name = |slot: &Value| text(&slot["bootname"]);
        let primary = status["boot_primary"].as_str();
        Some(Self {
            primary: slots
                .iter()
                .find_map(|(key, slot)| (Some(key.as_str()) == primary).then(|| name(slot)).flatten()),
            other: slots
                .iter()
                .filter_map(|(_, slot)| name(slot))
                .find(|name| Some(name) != booted.as_ref()),
            booted,
        })
    }
}

impl Driver for RaucDriver {
    fn questions(&self) -> Questions {
        let client = self.0.client.as_str();
        Questions {
            // The kernel's command line says it to RAUC; RAUC says it to us.
            slot: ["sh", "-c"]
                .map(str::to_owned)
                .into_iter()
                .chain([format!(
                    "{} | sed -n \"s/^RAUC_SYSTEM_BOOTED_BOOTNAME='\\(.*\\)'$/\\1/p\"",
                    shell::command(&[client, "status", "--output-format=shell"])
                )])
                .collect(),
            status: [client, "status", "--output-format=json"].map(str::to_owned).to_vec(),
            ..Questions::default()
        }
    }

    fn updater(&self, status: &str) -> Updater {
        match Status::read(status.trim()) {
            Some(status) if status.booted.is_some() && status.primary.is_some() && status.primary != status.booted => {
                Updater::NeedsReboot
            }
            Some(_) => Updater::Idle,
            None => Updater::Unknown(escaped(status.trim().lines().next().unwrap_or("nothing"))),
        }
    }

    fn spool(&self) -> Option<&str> {
        Some(&self.0.spool)
    }

    fn delivery(&self) -> Delivery {
        Delivery::Pushed
    }

    fn install<'a>(&'a self, work: &'a Work<'a>) -> Doing<'a, SlotRule> {
        Box::pin(async move {
            let bundle = push::file(work, &self.0.spool, ".raucb").await?;
            let mut error = None;
            let hear = |line: &str| {
                work.log.line(line);
                let line = line.trim();
                if let Some(at) = line.split_once('%').and_then(|(at, _)| at.parse::<u64>().ok()) {
                    work.meter.device_is_at(at * 10);
                }
                if let Some(said) = line.strip_prefix("LastError: ") {
                    error = Some(escaped(said));
                }
            };
            let install = format!("{} 2>&1", self.command(&["install", &bundle]));
            let done = work.ssh.follow(&install, work.limits.install, hear).await;
            push::remove(work, &bundle).await;
            let (status, _) = done?;
            if status != 0 {
                let said = error.unwrap_or_else(|| format!("rauc install ended with {status}"));
                return Err(DriverError::product(said));
            }
            let said = work
                .ssh
                .says(&self.command(&["status", "--output-format=json"]))
                .await?;
            let status = Status::read(said.out.trim()).unwrap_or_default();
            Ok(status.other.map_or(SlotRule::Any, SlotRule::Is))
        })
    }

    fn undo<'a>(&'a self, ssh: &'a Ssh, _limit: Duration) -> Doing<'a, ()> {
        Box::pin(async move {
            // What runs is made the one that is started next.
            ssh.says(&self.command(&["status", "mark-active", "booted"])).await?;
            Ok(())
        })
    }

    fn mark_good(&self) -> Option<String> {
        Some(self.command(&["status", "mark-good"]))
    }

    fn reboot(&self) -> String {
        super::or_reboot(&self.0.reboot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = r#"{"compatible":"vm-lab","variant":"","booted":"A","boot_primary":"rootfs.1","slots":[
        {"rootfs.1":{"class":"rootfs","device":"/x/slot-B","type":"raw","bootname":"B","state":"inactive","boot_status":"good"}},
        {"rootfs.0":{"class":"rootfs","device":"/x/slot-A","type":"raw","bootname":"A","state":"booted","boot_status":"good"}}]}"#;

    #[test]
    fn the_status_is_read() {
        let status = Status::read(SAID).unwrap();
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            (status.booted, status.primary, status.other),
            (some("A"), some("B"), some("B"))
        );
        let driver = RaucDriver(Rauc::default());
        assert_eq!(driver.updater(SAID), Updater::NeedsReboot);
        assert_eq!(
            driver.updater(&SAID.replace("rootfs.1\",\"slots", "rootfs.0\",\"slots")),
            Updater::Idle
        );
        assert!(matches!(driver.updater("Error"), Updater::Unknown(_)));
        assert!(matches!(driver.updater("{\"slots\":3}"), Updater::Unknown(_)));
    }
}
