//! `update_engine`, through its client: it fetches the payload from our Omaha server, and `stateful_update` the archive beside it.

use std::time::{Duration, Instant};

use windlass_core::device::flash::driver::UpdateEngine;
use windlass_core::device::flash::look::{Questions, variable};
use windlass_core::device::flash::{SlotRule, Updater, shell};
use windlass_core::escape::escaped;

use super::{Delivery, Doing, Driver, DriverError, Work};
use crate::devices::ssh::Ssh;

/// How often an updater is asked that is to come to rest.
const LOOK: Duration = Duration::from_millis(500);

/// Where a helper of ours lies on the device.
const HELPER: &str = "/tmp/windlass-stateful-update";

/// The updater's numbers for what is no fault of the payload: the server could not be asked, or the download was cut.
const OF_THE_LAB: [&str; 4] = [
    "kOmahaRequestError",
    "kDownloadTransferError",
    "kOmahaErrorInHTTPResponse",
    "kDownloadWriteError",
];

/// `update_engine`.
#[derive(Debug)]
pub(super) struct UpdateEngineDriver(pub(super) UpdateEngine);

impl UpdateEngineDriver {
    fn client(&self, flag: &str) -> String {
        shell::command(&[self.0.client.as_str(), flag])
    }

    /// Has it update, and says how far it is once a second, in one session: the connection costs more than the question.
    fn script(&self, url: &str) -> String {
        let update = shell::command(&[self.0.client.as_str(), "--update", &format!("--omaha_url={url}")]);
        let status = self.client("--status");
        format!("{update} 2>&1 & p=$!; while sleep 1 && kill -0 $p 2>/dev/null; do {status} 2>/dev/null; done; wait $p")
    }

    /// The end of the updater's own log goes into ours.
    async fn keep_log(&self, work: &Work<'_>) {
        if self.0.log.is_empty() {
            return;
        }
        let tail = shell::command(&["tail", "-n", "40", &self.0.log]);
        if let Ok(said) = work.ssh.says(&tail).await {
            work.log.line(&format!("-- the end of {} on the device:", self.0.log));
            said.out.lines().for_each(|line| work.log.line(line));
        }
    }

    async fn status(&self, ssh: &Ssh) -> Result<Updater, DriverError> {
        let said = ssh.run(&self.client("--status"), ssh.patience().command).await?;
        Ok(read(&said.out))
    }
}

/// What `--status` said.
fn read(status: &str) -> Updater {
    match variable(status, "CURRENT_OP").as_deref() {
        Some("UPDATE_STATUS_IDLE") => Updater::Idle,
        Some("UPDATE_STATUS_UPDATED_NEED_REBOOT") => Updater::NeedsReboot,
        Some(other) => Updater::Busy(other.to_owned()),
        None => Updater::Unknown(escaped(status.lines().next().unwrap_or("nothing"))),
    }
}

/// `0.250000` as thousandths.
fn thousandths(progress: &str) -> Option<u64> {
    let (whole, part) = progress.trim().split_once('.')?;
    let part: u64 = format!("{part:0<3}").get(..3)?.parse().ok()?;
    Some(whole.parse::<u64>().ok()?.checked_mul(1000)? + part)
}

impl Driver for UpdateEngineDriver {
    fn questions(&self) -> Questions {
        Questions {
            slot: self.0.slot.clone(),
            status: vec![self.0.client.clone(), "--status".to_owned()],
            ..Questions::default()
        }
    }

    fn updater(&self, status: &str) -> Updater {
        read(status)
    }

    fn delivery(&self) -> Delivery {
        Delivery::Fetched
    }

    fn install<'a>(&'a self, work: &'a Work<'a>) -> Doing<'a, SlotRule> {
        Box::pin(async move {
            let url = format!("{}/update", work.base()?);
            let mut error = None;
            let hear = |line: &str| {
                if let Some(progress) = line.strip_prefix("PROGRESS=") {
                    if let Some(at) = thousandths(progress) {
                        work.meter.device_is_at(at);
                    }
                } else if !is_status(line) {
                    if line.contains(":ERROR") || line.contains("[ERROR") {
                        error = Some(escaped(line.split_once("] ").map_or(line, |(_, said)| said)));
                    }
                    work.log.line(line);
                }
            };
            let (status, complaints) = work.ssh.follow(&self.script(&url), work.limits.install, hear).await?;
            complaints.lines().for_each(|line| work.log.line(line));
            let now = if status == 0 {
                self.status(work.ssh).await?
            } else {
                self.keep_log(work).await;
                let said = error.unwrap_or_else(|| format!("its client ended with {status}"));
                return Err(if OF_THE_LAB.iter().any(|code| said.contains(code)) {
                    DriverError::lab(said)
                } else {
                    DriverError::product(said)
                });
            };
            match now {
                Updater::NeedsReboot => Ok(match &work.before.slot {
                    Some(slot) => SlotRule::OtherThan(slot.clone()),
                    None => SlotRule::Any,
                }),
                other @ (Updater::Idle | Updater::Busy(_) | Updater::Unknown(_)) => {
                    self.keep_log(work).await;
                    Err(DriverError::product(format!(
                        "its client says that the update is done, and its updater {other:?}"
                    )))
                }
            }
        })
    }

    fn add_stateful<'a>(&'a self, work: &'a Work<'a>) -> Doing<'a, ()> {
        Box::pin(async move {
            let base = work.base()?;
            let program = match &self.0.helper {
                None => self.0.stateful_update.as_str(),
                Some(helper) => {
                    let mut file = tokio::fs::File::open(helper).await.map_err(|error| {
                        DriverError::lab(format!("the helper '{}' cannot be read: {error}", helper.display()))
                    })?;
                    let take = format!("umask 077; cat >{HELPER} && chmod 700 {HELPER}");
                    let (status, complaints) = work.ssh.feed(&take, &mut file, work.limits.command, |_| {}).await?;
                    if status != 0 {
                        return Err(DriverError::lab(format!("the helper cannot be copied: {complaints}")));
                    }
                    HELPER
                }
            };
            let command = format!("{} 2>&1", shell::command(&[program, base]));
            let mut last = String::new();
            let hear = |line: &str| {
                work.log.line(line);
                escaped(line).clone_into(&mut last);
            };
            let (status, complaints) = work.ssh.follow(&command, work.limits.stateful, hear).await?;
            complaints.lines().for_each(|line| work.log.line(line));
            if status == 0 {
                Ok(())
            } else {
                Err(DriverError::product(format!("{program} ended with {status}: {last}")))
            }
        })
    }

    fn undo<'a>(&'a self, ssh: &'a Ssh, limit: Duration) -> Doing<'a, ()> {
        Box::pin(async move {
            let end = Instant::now() + limit;
            // What it is at fails by itself: its server is gone.
            while let Updater::Busy(_) = self.status(ssh).await? {
                if Instant::now() > end {
                    return Err(DriverError::lab("its updater does not come to rest"));
                }
                tokio::time::sleep(LOOK).await;
            }
            if self.status(ssh).await? == Updater::NeedsReboot {
                ssh.says(&self.client("--reset_status")).await?;
            }
            let stateful = shell::command(&[self.0.stateful_update.as_str(), "--stateful_change=reset"]);
            // There need not be one.
            ssh.run(&stateful, ssh.patience().command).await?;
            Ok(())
        })
    }

    fn mark_good(&self) -> Option<String> {
        super::optional(&self.0.good)
    }

    fn reboot(&self) -> String {
        super::or_reboot(&self.0.reboot)
    }
}

/// Whether a line is one of those that `--status` says.
fn is_status(line: &str) -> bool {
    [
        "LAST_CHECKED_TIME=",
        "PROGRESS=",
        "CURRENT_OP=",
        "CURRENT_OPERATION=",
        "NEW_VERSION=",
        "NEW_SIZE=",
        "IS_ENTERPRISE_ROLLBACK=",
        "IS_INSTALL=",
        "WILL_POWERWASH_AFTER_REBOOT=",
    ]
    .iter()
    .any(|name| line.starts_with(name))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("PROGRESS=0.0\nCURRENT_OP=UPDATE_STATUS_IDLE\n", Updater::Idle)]
    #[case("CURRENT_OP = UPDATE_STATUS_UPDATED_NEED_REBOOT", Updater::NeedsReboot)]
    #[case("CURRENT_OP=UPDATE_STATUS_DOWNLOADING", Updater::Busy("UPDATE_STATUS_DOWNLOADING".to_owned()))]
    #[case("sh: not found", Updater::Unknown("sh: not found".to_owned()))]
    #[case("", Updater::Unknown("nothing".to_owned()))]
    fn statuses(#[case] status: &str, #[case] updater: Updater) {
        assert_eq!(read(status), updater);
    }

    #[rstest]
    #[case("0.000000", Some(0))]
    #[case("0.25", Some(250))]
    #[case("1.000000", Some(1000))]
    #[case("nan", None)]
    #[case("99999999999999999999.0", None)]
    fn progress(#[case] said: &str, #[case] at: Option<u64>) {
        assert_eq!(thousandths(said), at);
    }

    #[test]
    fn an_address_is_one_word_of_the_script() {
        let script = UpdateEngineDriver(UpdateEngine::default()).script("http://127.0.0.1:1/device/x;reboot/update");
        assert!(
            script.starts_with(
                "update_engine_client --update '--omaha_url=http://127.0.0.1:1/device/x;reboot/update' 2>&1 &"
            ),
            "{script}"
        );
    }
}
