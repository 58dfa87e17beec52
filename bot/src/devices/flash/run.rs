//! One flash: what the state machine asks for is done, what came of it is told to the machine, until it is over.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use windlass_core::device::flash::{
    self as machine, Effect, Event, Fault, FlashId, FlashRecord, FlashStep, Look, Outcome, Plan, Seen, State, StepTime,
    Updater, look, reboot_limit,
};
use windlass_core::hex::hex;

use super::goods::Goods;
use super::host::{self, Captured};
use super::locks::{DeviceLock, NoLock};
use super::log::UpdateLog;
use super::order::FlashOrder;
use super::records;
use super::server::OwnServer;
use super::watch::{Progress, Watch};
use crate::devices::driver::{self, Delivery, Driver, DriverError, Meter, Work};
use crate::devices::greeting::greets;
use crate::devices::ssh::{Patience, Ssh, SshError};
use crate::devices::tunnel::Tunnel;
use crate::stop::Stopping;

/// How long is waited before a device that restarts is asked again.
const BREATH: Duration = Duration::from_millis(500);

/// How long one question to a device that restarts may take, and its connection.
const KNOCK: Patience = Patience {
    connect: Duration::from_secs(5),
    command: Duration::from_secs(20),
};

/// How long a device that restarts may take to greet, before it is asked anything.
const GREETING: Duration = Duration::from_secs(1);

/// So many times at most it is asked again only if it greets: one that greets late is asked, too.
const UNASKED: u32 = 5;

/// How often progress is told.
const TICK: Duration = Duration::from_millis(250);

/// How often it is tried to say that what runs is good.
const MARKS: u32 = 3;

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

    /// What comes before the device is asked anything.
    async fn prepare(&mut self, step: FlashStep) -> Result<(), DriverError> {
        if step == FlashStep::Lock {
            return self.lock().await;
        }
        let (parcels, delivery) = (self.order.payload.clone(), self.driver.delivery());
        let goods = tokio::task::spawn_blocking(move || Goods::open(&parcels, delivery)).await;
        let goods = goods.map_err(|error| DriverError::lab(format!("a mistake of our own: {error}")))??;
        self.record.payload = Some(hex(&goods.payload.sha256()));
        self.goods = Some(Arc::new(goods));
        let address = self.order.address.clone();
        let mut ssh = Ssh::to(address, self.order.limits.patience())?;
        if let Some(told) = self.order.told.clone() {
            ssh = ssh.telling(told);
        }
        self.ssh = Some(ssh);
        Ok(())
    }

    async fn lock(&mut self) -> Result<(), DriverError> {
        let (records, device, id) = (self.order.records.clone(), &self.record.device, &self.record.id);
        let update_log = records::path(&records, device, id, "update.log");
        let console_log = records::path(&records, device, id, "console.log");
        let watch = self.watch;
        let waits = |holder: Option<u32>| {
            let by = holder.map_or_else(String::new, |id| format!(" by process {id}"));
            watch.say(&format!("it is being flashed{by}; waiting for that to end"));
        };
        let limits = self.order.limits;
        let lock = DeviceLock::take(&self.order.locks, &self.order.address, limits.lock, waits).await;
        self.lock = Some(lock.map_err(|error| match error {
            NoLock::Taken(_) => DriverError::lab(error.to_string()),
            NoLock::Io(_) => DriverError::lab(format!("{error} ({})", self.order.locks.display())),
        })?);
        // Written now, so that there is one whatever ends us.
        let unwritten =
            |error| DriverError::lab(format!("no record can be written to '{}': {error}", records.display()));
        records::write(&records, &self.record).map_err(unwritten)?;
        self.log = Some(UpdateLog::create(&update_log).map_err(unwritten)?);
        self.record.update_log = Some(update_log);
        if let Some(console) = &self.order.console {
            match Captured::begin(console, &console_log) {
                Ok(captured) => {
                    self.console = Some(captured);
                    self.record.console_log = Some(console_log);
                }
                // What is only looked at is no reason not to flash.
                Err(error) => self.watch.say(&format!("its console cannot be captured: {error}")),
            }
        }
        Ok(())
    }

    fn plan(&self) -> Plan {
        let learned = || reboot_limit(&records::restarts(&self.order.records, &self.record.device));
        Plan {
            board: self.order.board.clone().or_else(|| self.order.payload.board.clone()),
            force_mismatch: self.order.force_mismatch,
            version: self.order.payload.version.clone(),
            serves: self.driver.delivery() == Delivery::Fetched,
            stateful: self.order.payload.stateful.is_some(),
            power: self.order.power_command.is_some(),
            reboot_limit: self.order.limits.reboot.unwrap_or_else(learned),
        }
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

    async fn look(&mut self) -> Result<Event, DriverError> {
        let Looked { look, updater } = look_at(self.ssh()?, self.driver.as_ref()).await?;
        Ok(Event::Looked {
            seen: look.seen,
            board: look.board,
            updater,
        })
    }

    async fn serve(&mut self) -> Result<Event, DriverError> {
        let goods = self.goods()?;
        let server = OwnServer::start(
            self.record.device.as_str(),
            self.order.port,
            self.order.budget.clone(),
            |offers, target| goods.offer(offers, target),
        );
        let server = server.await.map_err(|error| DriverError::lab(error.to_string()))?;
        let port = server.port();
        // Kept first: it is to be closed if the tunnel does not come up.
        self.server = Some(server);
        let limit = self.order.limits.command;
        self.tunnel = Some(Tunnel::open(self.ssh()?, port, self.order.port, limit).await?);
        Ok(Event::Served)
    }

    fn goods(&self) -> Result<Arc<Goods>, DriverError> {
        self.goods
            .clone()
            .ok_or_else(|| DriverError::lab("nothing was read that could be installed"))
    }

    async fn install(&mut self) -> Result<Event, DriverError> {
        self.touched = true;
        let slot = self.through_the_tunnel(Part::Install).await?;
        slot.map(Event::Installed)
            .ok_or_else(|| DriverError::lab("the driver names no slot"))
    }

    async fn add_stateful(&mut self) -> Result<Event, DriverError> {
        self.through_the_tunnel(Part::Stateful).await?;
        Ok(Event::StatefulAdded)
    }

    /// Has the driver do its part, while the tunnel stands, something moves, and progress is told.
    async fn through_the_tunnel(&mut self, part: Part) -> Result<Option<machine::SlotRule>, DriverError> {
        let goods = self.goods()?;
        let base = match (&self.server, &self.tunnel) {
            (Some(server), Some(tunnel)) => Some(server.base(tunnel.port())),
            _ => None,
        };
        // Borrowed apart, since the tunnel is waited for meanwhile.
        let ssh = self
            .ssh
            .as_ref()
            .ok_or_else(|| DriverError::lab("there is no way to the device"))?;
        let (before, log) = (self.before.as_ref(), self.log.as_ref());
        let work = Work {
            ssh,
            limits: &self.order.limits,
            goods: &goods,
            base: base.as_deref(),
            before: before.ok_or_else(|| DriverError::lab("nobody has looked at the device"))?,
            log: log.ok_or_else(|| DriverError::lab("there is no log"))?,
            budget: &self.order.budget,
            meter: &self.meter,
        };
        let cut = async {
            match &mut self.tunnel {
                Some(tunnel) => tunnel.cut().await,
                None => std::future::pending().await,
            }
        };
        let doing = async {
            match part {
                Part::Install => self.driver.install(&work).await.map(Some),
                Part::Stateful => self.driver.add_stateful(&work).await.map(|()| None),
            }
        };
        tokio::select! {
            done = doing => done,
            error = cut => Err(DriverError::lab(format!("the tunnel was cut: {error}"))),
            after = stalled(&goods, &self.meter, self.order.limits.stall, self.watch) => {
                Err(DriverError::lab(format!("nothing has moved for {} s", after.as_secs())))
            }
        }
    }

    async fn restart(&mut self) -> Result<Event, DriverError> {
        // What was fetched was fetched; the device is about to close the tunnel anyway.
        self.close_server().await;
        let command = self.driver.reboot();
        match self.ssh()?.run(&command, self.order.limits.command).await {
            Ok(said) if said.status == 0 => Ok(Event::RestartAsked),
            Ok(said) => Err(DriverError::lab(format!(
                "'{command}' ended with {} on the device: {}",
                said.status, said.err
            ))),
            // A device that goes down need not say good-bye; whether it does is seen by whether it comes back in another boot.
            Err(SshError::Unreachable(_) | SshError::TimedOut { .. }) => Ok(Event::RestartAsked),
            Err(error) => Err(error.into()),
        }
    }

    async fn listen(&mut self) -> Event {
        tokio::time::sleep(BREATH).await;
        let address = &self.order.address;
        // With a configuration of ssh's own only ssh knows the way.
        if address.config.is_none() && self.unasked < UNASKED && !greets(address, GREETING).await {
            self.unasked += 1;
            return Event::Silent;
        }
        self.unasked = 0;
        let Ok(ssh) = self.ssh() else { return Event::Silent };
        match seen(ssh, self.driver.as_ref(), KNOCK).await {
            Ok(looked) => Event::Answered(looked.look.seen),
            Err(error) => {
                tracing::debug!(device.id = %self.record.device, "{} does not answer: {error}", self.record.device);
                Event::Silent
            }
        }
    }

    async fn cycle_power(&mut self) -> Result<(), DriverError> {
        let Some(command) = &self.order.power_command else {
            return Err(DriverError::lab("nothing is said of how its power is cut"));
        };
        self.watch.say("it does not come back: its power is cut and given back");
        host::run(command, self.order.limits.power)
            .await
            .map_err(DriverError::lab)
    }

    async fn mark_good(&mut self) -> Result<Event, DriverError> {
        let Some(command) = self.driver.mark_good() else {
            return Ok(Event::Marked);
        };
        let ssh = self.ssh()?;
        let mut tries = 1;
        loop {
            match ssh.says(&command).await {
                Ok(_) => return Ok(Event::Marked),
                Err(error) if tries == MARKS => return Err(error.into()),
                Err(_) => tries += 1,
            }
            tokio::time::sleep(BREATH).await;
        }
    }

    async fn close_server(&mut self) {
        if let Some(tunnel) = self.tunnel.take() {
            tunnel.close().await;
        }
        if let Some(server) = self.server.take() {
            self.record.events.extend(server.events());
            server.close().await;
        }
        self.fetched = self.goods.as_ref().map_or(0, |goods| goods.fetched());
    }

    /// Clears away what is left: here, and on the device where something was begun.
    async fn clean(&mut self, state: &State) -> Event {
        self.close_server().await;
        let good = matches!(state, State::Cleaning(Outcome::Succeeded));
        if good || self.ssh.is_none() {
            return Event::Cleaned(good.then_some(true));
        }
        let mut looked = self.look_again().await;
        if looked.is_none() && self.touched && self.cycle_power().await.is_ok() {
            // It was in the middle of something; whatever that was, it starts a system.
            let limit = self.plan().reboot_limit;
            let end = Instant::now() + limit;
            while looked.is_none() && Instant::now() < end {
                tokio::time::sleep(BREATH).await;
                looked = self.look_again().await;
            }
        }
        let Some(looked) = looked else {
            return Event::Cleaned(Some(false));
        };
        // Only what does not run may be thrown away.
        let runs_the_old = self.before.as_ref().is_some_and(|before| match &before.slot {
            Some(_) => before.slot == looked.look.seen.slot,
            None => before.boot_id == looked.look.seen.boot_id,
        });
        if self.touched
            && runs_the_old
            && let Ok(ssh) = self.ssh()
        {
            let limit = self.order.limits.clean;
            let undone = tokio::time::timeout(2 * limit, self.driver.undo(ssh, limit)).await;
            let why = match undone {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error.why),
                Err(_) => Some(format!("it was not over after {} s", 2 * limit.as_secs())),
            };
            if let Some(why) = why {
                self.watch
                    .say(&format!("what was begun on the device could not be taken back: {why}"));
            }
        }
        Event::Cleaned(Some(true))
    }

    async fn look_again(&self) -> Option<Looked> {
        let ssh = self.ssh.as_ref()?;
        seen(ssh, self.driver.as_ref(), KNOCK).await.ok()
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

/// What a driver does through the tunnel.
#[derive(Debug, Clone, Copy)]
enum Part {
    Install,
    Stateful,
}

/// Tells progress; comes back when nothing has moved for so long, with how long.
async fn stalled(goods: &Goods, meter: &Meter, limit: Duration, watch: &dyn Watch) -> Duration {
    let mut last = None;
    let mut moved = Instant::now();
    loop {
        let progress = Progress {
            sent: goods.fetched() + meter.sent(),
            total: goods.payload.size() + goods.stateful.as_ref().map_or(0, |stateful| stateful.size()),
            device: meter.device(),
        };
        if last != Some(progress) {
            last = Some(progress);
            moved = Instant::now();
            watch.progress(progress);
        } else if moved.elapsed() > limit {
            return limit;
        }
        tokio::time::sleep(TICK).await;
    }
}

/// Something to tell flashes apart that begin in the same second.
fn chance() -> u32 {
    use std::hash::{BuildHasher as _, RandomState};
    // The standard library draws its keys from the system's randomness.
    let number = RandomState::new().hash_one(std::process::id());
    u32::try_from(number & u64::from(u32::MAX)).unwrap_or(0)
}
