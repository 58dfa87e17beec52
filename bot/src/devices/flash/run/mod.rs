//! One flash: what the state machine asks for is done, what came of it is told to the machine, until it is over.

mod after;
mod before;
mod install;

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::time::Instant;
use windlass_core::device::flash::{
    self as machine, Effect, Event, Fault, FlashId, FlashRecord, FlashStep, Look, Outcome, Seen, State, StepTime,
    Updater, look,
};

use super::goods::Goods;
use super::host::Captured;
use super::locks::DeviceLock;
use super::log::UpdateLog;
use super::order::FlashOrder;
use super::records;
use super::server::OwnServer;
use super::watch::Watch;
use crate::devices::driver::{self, Driver, DriverError, Meter};
use crate::devices::ssh::{Patience, Ssh};
use crate::devices::tunnel::Tunnel;
use crate::stop::Stopping;

/// Flashes a device. Whatever happens, everything is cleared away and on record when this returns; the record comes back, and is written
/// unless the folder is of no use.
pub async fn flash(order: FlashOrder, watch: &dyn Watch, stop: Stopping) -> FlashRecord {
    let mut run = Run::new(order, watch, stop);
    let outcome = run.outcome().await;
    run.finish(outcome).await
}

/// What was seen of a device that nothing was done to.
#[derive(Debug, Clone)]
pub struct Looked {
    /// What it is.
    pub look: Look,
    /// What its updater does.
    pub updater: Updater,
}

/// Looks at a device; nothing is changed.
///
/// # Errors
/// It cannot be reached, is another one, or says nothing that is understood.
pub async fn look_at(ssh: &Ssh, driver: &dyn Driver) -> Result<Looked, DriverError> {
    let patience = ssh.patience();
    seen(ssh, driver, patience).await
}

async fn seen(ssh: &Ssh, driver: &dyn Driver, patience: Patience) -> Result<Looked, DriverError> {
    let script = look::script(&driver.questions());
    let said = ssh.try_run(&script, patience.connect, patience.command).await?;
    let look = Look::read(&said.out).ok_or_else(|| DriverError::lab("the device does not say which boot this is"))?;
    Ok(Looked {
        updater: driver.updater(&look.status),
        look,
    })
}

/// A flash under way.
struct Run<'a> {
    order: FlashOrder,
    watch: &'a dyn Watch,
    stop: Stopping,
    driver: Box<dyn Driver>,
    record: FlashRecord,
    /// The step that is being done, and since when.
    step: Option<(FlashStep, Timestamp)>,
    log: Option<UpdateLog>,
    /// Whether something may have been begun on the device.
    touched: bool,
    fetched: u64,
    meter: Meter,
    goods: Option<Arc<Goods>>,
    ssh: Option<Ssh>,
    server: Option<OwnServer>,
    tunnel: Option<Tunnel>,
    console: Option<Captured>,
    lock: Option<DeviceLock>,
    before: Option<Seen>,
    /// How many times in a row it was not asked, since it did not greet.
    unasked: u32,
}

/// How something ended that a word to stop may end, too.
enum Ended<T> {
    So(T),
    Stopped,
    Late,
}

impl<'a> Run<'a> {
    fn new(order: FlashOrder, watch: &'a dyn Watch, stop: Stopping) -> Self {
        let now = Timestamp::now();
        let id = FlashId::new(now, chance());
        let record = FlashRecord {
            id,
            device: order.address.name.clone(),
            board: None,
            driver: order.driver.name().to_owned(),
            who: order.who.clone(),
            why: order.why.clone(),
            job: order.job,
            lease: order.lease.clone(),
            payload: None,
            from_version: None,
            to_version: order.payload.version.clone(),
            slot_before: None,
            slot_after: None,
            boot_id_before: None,
            boot_id_after: None,
            began: now,
            ended: now,
            steps: Vec::new(),
            bytes_sent: 0,
            console_log: None,
            update_log: None,
            // What stands there if nobody lives to say more.
            outcome: Outcome::Failed {
                step: FlashStep::Lock,
                why: "it was cut off: whoever did it ended before it was over".to_owned(),
                fault: Fault::Infrastructure,
                device_works: None,
            },
            events: Vec::new(),
        };
        Self {
            driver: driver::of(&order.driver),
            order,
            watch,
            stop,
            record,
            step: None,
            log: None,
            touched: false,
            fetched: 0,
            meter: Meter::default(),
            goods: None,
            ssh: None,
            server: None,
            tunnel: None,
            console: None,
            lock: None,
            before: None,
            unasked: 0,
        }
    }

    /// From the lock to the machine's last state.
    async fn outcome(&mut self) -> Outcome {
        let end = Instant::now() + self.order.limits.total;
        for begin in [FlashStep::Lock, FlashStep::Payload] {
            self.enter(begin);
            let mut stop = self.stop.clone();
            let done = tokio::select! {
                biased;
                () = stop.word() => Ended::Stopped,
                () = tokio::time::sleep_until(end) => Ended::Late,
                done = self.prepare(begin) => Ended::So(done),
            };
            let failed = |why, fault| Outcome::Failed {
                step: begin,
                why,
                fault,
                // Nobody has touched it.
                device_works: None,
            };
            match done {
                Ended::So(Ok(())) => {}
                Ended::So(Err(error)) => return failed(error.why, error.fault),
                Ended::Late => return failed(self.late(), Fault::Infrastructure),
                Ended::Stopped => {
                    return Outcome::Cancelled {
                        step: begin,
                        device_works: None,
                    };
                }
            }
        }
        let plan = self.plan();
        let (mut state, first) = State::begin();
        let mut effect = Some(first);
        while let Some(due) = effect {
            self.enter(due.step());
            let event = if due == Effect::Clean {
                self.clean(&state).await
            } else {
                let mut stop = self.stop.clone();
                let done = tokio::select! {
                    biased;
                    () = stop.word() => Ended::Stopped,
                    () = tokio::time::sleep_until(end) => Ended::Late,
                    event = self.perform(due) => Ended::So(event),
                };
                match done {
                    Ended::So(event) => event,
                    Ended::Stopped => Event::Stop,
                    Ended::Late => Event::Failed {
                        why: self.late(),
                        fault: Fault::Infrastructure,
                    },
                }
            };
            self.note(&event);
            (state, effect) = machine::step(&plan, state, event, Timestamp::now());
        }
        if let State::Done(outcome) = state {
            return outcome;
        }
        // In no other state there is nothing to do; the machine's laws say so.
        Outcome::Failed {
            step: state.step(),
            why: "the flash ended in the middle".to_owned(),
            fault: Fault::Infrastructure,
            device_works: None,
        }
    }

    fn late(&self) -> String {
        format!("it was not over after {} s", self.order.limits.total.as_secs())
    }

    /// Another step begins, or the one that is under way goes on.
    fn enter(&mut self, step: FlashStep) {
        if self.step.is_some_and(|(under_way, _)| under_way == step) {
            return;
        }
        self.leave();
        self.watch.step(step);
        self.step = Some((step, Timestamp::now()));
    }

    fn leave(&mut self) {
        if let Some((step, began)) = self.step.take() {
            self.record.steps.push(StepTime {
                step,
                began,
                ended: Timestamp::now(),
            });
        }
    }

    /// What an event says goes on record.
    fn note(&mut self, event: &Event) {
        match event {
            Event::Looked { seen, board, .. } => {
                self.record.board.clone_from(board);
                self.record.from_version.clone_from(&seen.version);
                self.record.slot_before.clone_from(&seen.slot);
                self.record.boot_id_before = Some(seen.boot_id.clone());
                self.before = Some(seen.clone());
            }
            Event::Answered(seen) => {
                self.record.slot_after.clone_from(&seen.slot);
                self.record.boot_id_after = Some(seen.boot_id.clone());
                if self.record.to_version.is_none() {
                    self.record.to_version.clone_from(&seen.version);
                }
            }
            Event::Served
            | Event::Installed(_)
            | Event::StatefulAdded
            | Event::RestartAsked
            | Event::Silent
            | Event::PowerCycled
            | Event::Marked
            | Event::Cleaned(_)
            | Event::Failed { .. }
            | Event::Stop => {}
        }
    }

    async fn perform(&mut self, effect: Effect) -> Event {
        let done = match effect {
            Effect::Look => self.look().await,
            Effect::Serve => self.serve().await,
            Effect::Install => self.install().await,
            Effect::AddStateful => self.add_stateful().await,
            Effect::Restart => self.restart().await,
            Effect::Listen => Ok(self.listen().await),
            Effect::CyclePower => self.cycle_power().await.map(|()| Event::PowerCycled),
            Effect::MarkGood => self.mark_good().await,
            // It is not to be interrupted, and not done here.
            Effect::Clean => Ok(Event::Cleaned(None)),
        };
        done.unwrap_or_else(|error| Event::Failed {
            why: error.why,
            fault: error.fault,
        })
    }

    fn ssh(&self) -> Result<&Ssh, DriverError> {
        self.ssh
            .as_ref()
            .ok_or_else(|| DriverError::lab("there is no way to the device"))
    }

    async fn finish(mut self, outcome: Outcome) -> FlashRecord {
        self.close_server().await;
        self.leave();
        self.record.ended = Timestamp::now();
        self.record.bytes_sent = self.fetched + self.meter.sent();
        self.record.outcome = outcome;
        if let (Some(log), false) = (&self.log, self.record.outcome.is_good()) {
            for line in log.last() {
                self.watch.say(&format!("  | {line}"));
            }
        }
        drop(self.console.take());
        // Without the lock nothing of this device is touched, and its records are others'.
        match records::write(&self.order.records, &self.record) {
            Ok(_) => records::forget_oldest(&self.order.records, &self.record.device),
            Err(error) => {
                let folder: PathBuf = self.order.records.clone();
                self.watch.say(&format!(
                    "its record cannot be written to '{}': {error}",
                    folder.display()
                ));
                tracing::error!(device.id = %self.record.device, %error, "a flash's record cannot be written");
            }
        }
        drop(self.lock.take());
        self.record
    }
}

/// Something to tell flashes apart that begin in the same second.
fn chance() -> u32 {
    use std::hash::{BuildHasher as _, RandomState};
    // The standard library draws its keys from the system's randomness.
    let number = RandomState::new().hash_one(std::process::id());
    u32::try_from(number & u64::from(u32::MAX)).unwrap_or(0)
}
