//! The flash of a device: from the job to the order, and from the record to what goes on record of the job and of the device.
//!
//! Whoever flashes clears up by himself, also when told to stop; his record lies in the records' folder before anything of it stands in the
//! journal. A flash that may be tried again is one that failed by no fault of the product.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use windlass_core::device::flash::FlashStep;
use windlass_core::event::Event;
use windlass_core::job::{FlashJob, JobResult};

use super::Trouble;
use super::runner::{JobRunner, Order};
use crate::config::{Device, Lab};
use crate::devices::flash::{Console, FlashOrder, Parcels, Watch, flash};
use crate::devices::server::Budget;
use crate::devices::ssh::{DeviceAddress, HostKey};
use crate::devices::stock::Stock;
use crate::devices::{Place, lab};
use crate::stages::StageLog;
use crate::stop::Stopping;

/// How long whoever flashes may take to clear up when his time is over, beyond it.
pub(super) const CLEARING_UP: Duration = Duration::from_mins(10);

impl Lab {
    /// What the flashes of a bot share: how fast they may send, all together.
    pub fn budget(&self) -> Budget {
        self.bandwidth
            .map_or_else(Budget::default, |size| Budget::of(size.bytes()))
    }
}

/// Writes into the job's log how far a flash is.
struct Told(Mutex<StageLog>);

impl Told {
    fn line(&self, line: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).line(line);
    }
}

impl Watch for Told {
    fn step(&self, step: FlashStep) {
        self.line(step.words());
    }

    fn say(&self, line: &str) {
        self.line(line);
    }
}

/// Flashes a device, and puts on record what that says of the device: also where nobody wants the job any more.
pub(super) async fn make(
    runner: &JobRunner,
    order: &Order,
    job: &FlashJob,
    log: StageLog,
    stop: Stopping,
) -> Result<JobResult, Trouble> {
    let told = Told(Mutex::new(log));
    for reason in order.kind.reasons() {
        told.line(&format!("because: {reason}"));
    }
    let wanted = match wanted(runner, order, job) {
        Ok(wanted) => wanted,
        Err(trouble) => {
            trouble.message.lines().for_each(|line| told.line(line));
            return Err(trouble);
        }
    };
    let record = Box::pin(flash(wanted, &told, stop)).await;
    told.line(&format!("{}; its record: {}", record.outcome, record.id));
    let (device, end, limits) = (job.device.clone(), lab::end(&record), runner.config.lab.limits());
    let recorded = runner.writer.call(move |state| {
        let now = Timestamp::now();
        let before = state.world().devices().get(&device);
        let events: Vec<Event> = limits
            .follows(&before, end, now)
            .into_iter()
            .map(|event| Event::Device {
                name: device.clone(),
                event,
            })
            .collect();
        state.append(&events, now)
    });
    recorded
        .await
        .map_err(|error| Trouble::transient(format!("what became of the device cannot be put on record: {error}")))?;
    lab::result(&record)
}

/// What is wanted of whom, as the configuration is now.
fn wanted(runner: &JobRunner, order: &Order, job: &FlashJob) -> Result<FlashOrder, Trouble> {
    let config = &runner.config;
    let device = config
        .device(&job.device)
        .ok_or_else(|| Trouble::lasting(format!("device {} is not configured any more", job.device)))?;
    let state = runner.paths.state();
    let place = Place::below(&state);
    Ok(FlashOrder {
        address: address(device, &place),
        driver: device.driver.clone(),
        board: device.board.clone(),
        force_mismatch: false,
        payload: parcels(&state, job)?,
        who: "windlass".to_owned(),
        why: job.because.to_string(),
        job: Some(order.id),
        lease: Some(format!("job {}, attempt {}", order.id, order.attempt)),
        limits: config.lab.flash_limits(),
        budget: runner.budget.clone(),
        port: None,
        power_command: (!device.power.is_empty()).then(|| device.power.clone()),
        console: (!device.console.is_empty()).then(|| Console {
            command: device.console.clone(),
        }),
        records: place.records(),
        locks: place.locks(),
        told: None,
    })
}

/// Where a device is, and how it is known to be the one.
pub fn address(device: &Device, place: &Place) -> DeviceAddress {
    DeviceAddress {
        name: device.name.clone(),
        host: device.address.clone(),
        port: device.port,
        user: device.user.clone(),
        identity: device.identity.clone(),
        host_key: device
            .host_key
            .clone()
            .map_or_else(|| HostKey::Known(place.known_hosts()), HostKey::Pinned),
        config: None,
    }
}

/// The payload that a job made, found again.
fn parcels(state: &Path, job: &FlashJob) -> Result<Parcels, Trouble> {
    let stocked = Stock::below(state).get(&job.payload, &job.version).ok_or_else(|| {
        Trouble::lasting(format!(
            "payload {} {} is not kept any more\n\nhint: windlass job build {}",
            job.payload, job.version, job.payload
        ))
    })?;
    Ok(Parcels {
        stateful: stocked.stateful(),
        version: Some(job.version.clone()),
        ..Parcels::of(stocked.payload())
    })
}
