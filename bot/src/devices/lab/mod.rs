//! What a flash's record says: of the job that did it, of the device, and to people who list flashes.

use std::path::Path;

use windlass_core::device::flash::{Fault, FlashRecord, FlashStep, Outcome};
use windlass_core::device::lab::{Ending, FlashEnd, FlashLine};
use windlass_core::id::DeviceName;
use windlass_core::job::{Flashed, JobResult};

use super::Place;
use super::flash::records;
use crate::jobs::Trouble;

/// What comes of the job: a device that runs what it should, or why not. The product's faults stay, the others may pass.
///
/// # Errors
/// It was no good end.
pub fn result(record: &FlashRecord) -> Result<JobResult, Trouble> {
    let told = record.outcome.to_string();
    match &record.outcome {
        Outcome::Succeeded => Ok(JobResult::Flashed(Box::new(Flashed {
            flash: record.id.to_string(),
            device: record.device.clone(),
            from: record.from_version.clone(),
            to: record.to_version.clone(),
            slot: record.slot_after.clone(),
            seconds: record.took().as_secs(),
        }))),
        Outcome::RolledBack { .. }
        | Outcome::Failed {
            fault: Fault::Product, ..
        } => Err(Trouble::lasting(told)),
        // Whoever looked says so, and then it may go on: what is held is not tried meanwhile.
        Outcome::Failed {
            fault: Fault::Infrastructure | Fault::Identity,
            ..
        }
        | Outcome::Cancelled { .. } => Err(Trouble::transient(told)),
    }
}

/// What it says of the device.
pub fn end(record: &FlashRecord) -> FlashEnd {
    FlashEnd {
        flash: record.id.to_string(),
        job: record.job,
        from: record.from_version.clone(),
        to: record.to_version.clone(),
        ending: ending(&record.outcome),
        told: record.outcome.to_string(),
    }
}

fn ending(outcome: &Outcome) -> Ending {
    match outcome {
        Outcome::Succeeded => Ending::Succeeded,
        Outcome::RolledBack { .. } => Ending::Product,
        // Before it was asked anything nothing is known of it.
        Outcome::Failed {
            step: FlashStep::Lock | FlashStep::Payload,
            ..
        }
        | Outcome::Cancelled { .. } => Ending::Nothing,
        Outcome::Failed {
            fault, device_works, ..
        } => match (fault, device_works) {
            (Fault::Product, Some(true)) => Ending::Product,
            (Fault::Product, Some(false) | None) => Ending::Looping,
            (Fault::Identity, _) => Ending::Stranger,
            (Fault::Infrastructure, Some(true)) => Ending::Trouble,
            (Fault::Infrastructure, Some(false) | None) => Ending::Silent,
        },
    }
}

/// The newest flashes of a device, for a list. What cannot be read is left out, and told in the log.
pub fn flashes(state: &Path, device: &DeviceName, most: u32) -> Vec<FlashLine> {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    match records::of(&Place::below(state).records(), device) {
        Ok(all) => all.iter().take(most).map(line).collect(),
        Err(error) => {
            tracing::warn!(device = %device, %error, "the flashes of {device} cannot be listed: {error}");
            Vec::new()
        }
    }
}

fn line(record: &FlashRecord) -> FlashLine {
    FlashLine {
        flash: record.id.to_string(),
        device: record.device.clone(),
        began: record.began,
        ended: record.ended,
        who: record.who.clone(),
        why: record.why.clone(),
        job: record.job,
        driver: record.driver.clone(),
        payload: record.payload.clone(),
        from_version: record.from_version.clone(),
        to_version: record.to_version.clone(),
        slot_before: record.slot_before.clone(),
        slot_after: record.slot_after.clone(),
        bytes_sent: record.bytes_sent,
        outcome: record.outcome.word().to_owned(),
        told: record.outcome.to_string(),
        restart_seconds: record.restart_took().map(|took| took.as_secs()),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn failed(step: FlashStep, fault: Fault, device_works: Option<bool>) -> Outcome {
        Outcome::Failed {
            step,
            why: "so".to_owned(),
            fault,
            device_works,
        }
    }

    #[rstest]
    #[case(Outcome::Succeeded, Ending::Succeeded)]
    #[case(Outcome::RolledBack { why: "so".to_owned() }, Ending::Product)]
    #[case(failed(FlashStep::Install, Fault::Product, Some(true)), Ending::Product)]
    #[case(failed(FlashStep::Reboot, Fault::Product, Some(false)), Ending::Looping)]
    #[case(failed(FlashStep::Install, Fault::Infrastructure, Some(true)), Ending::Trouble)]
    #[case(failed(FlashStep::Look, Fault::Infrastructure, None), Ending::Silent)]
    #[case(failed(FlashStep::Look, Fault::Identity, Some(false)), Ending::Stranger)]
    #[case(failed(FlashStep::Reboot, Fault::Identity, None), Ending::Stranger)]
    #[case(failed(FlashStep::Lock, Fault::Infrastructure, None), Ending::Nothing)]
    #[case(failed(FlashStep::Payload, Fault::Product, None), Ending::Nothing)]
    #[case(Outcome::Cancelled { step: FlashStep::Install, device_works: Some(true) }, Ending::Nothing)]
    fn whose_fault_it_is(#[case] outcome: Outcome, #[case] expected: Ending) {
        assert_eq!(ending(&outcome), expected);
    }
}
