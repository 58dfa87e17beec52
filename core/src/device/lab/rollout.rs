//! Which flash waits for which, and when what is left of a rollout is given up.
//!
//! The canaries of a rollout come first; the others come after them. One canary that took it is enough: those that could not be
//! reached meanwhile, or wait for a moment, delay nobody. A canary at which the product fails ends the rollout, as does a rollout of which too many
//! flashes failed, or of which no canary could be flashed at all. What runs already comes to its own end.

use crate::id::JobId;
use crate::job::{FlashJob, Job, JobKind, JobState, Jobs};

/// Of the canaries that are not done, those that have to be waited for.
pub fn still_waits(jobs: &Jobs, job: &Job, mut not_done: Vec<JobId>) -> Vec<JobId> {
    let is_done = |id: &JobId| matches!(jobs.get(*id).map(|canary| &canary.state), Some(JobState::Done { .. }));
    if job.after.iter().any(is_done) {
        // What was never tried may still find something out; what was tried and could not be told is not waited for.
        not_done.retain(|id| match jobs.get(*id).map(|canary| &canary.state) {
            Some(JobState::Leased { .. } | JobState::Queued { trouble: None, .. }) => true,
            Some(
                JobState::Queued { trouble: Some(_), .. }
                | JobState::Done { .. }
                | JobState::Failed { .. }
                | JobState::Cancelled { .. },
            )
            | None => false,
        });
    }
    not_done
}

/// Why a flash that was not begun is given up; nothing where it is not.
pub fn given_up(jobs: &Jobs, job: &Job) -> Option<String> {
    let JobKind::Flash(flash) = &job.kind else { return None };
    let canaries: Vec<&Job> = job.after.iter().filter_map(|id| jobs.get(*id)).collect();
    for canary in &canaries {
        if let JobState::Failed {
            message,
            transient: false,
        } = &canary.state
        {
            let why = message.lines().next().unwrap_or_default();
            return Some(format!("canary {} failed (job {}): {why}", device(canary), canary.id));
        }
    }
    let is_done = |canary: &&Job| matches!(canary.state, JobState::Done { .. });
    if !canaries.is_empty() && canaries.iter().all(|canary| canary.state.is_end()) && !canaries.iter().any(is_done) {
        let names: Vec<String> = canaries
            .iter()
            .map(|canary| format!("{} (job {}, {})", device(canary), canary.id, canary.state.name()))
            .collect();
        return Some(format!("no canary was flashed: {}", names.join(", ")));
    }
    too_many_failed(jobs, flash)
}

fn device(job: &Job) -> String {
    match &job.kind {
        JobKind::Flash(flash) => flash.device.to_string(),
        JobKind::ImageBuild(_) | JobKind::PayloadBuild(_) => job.kind.subject().to_string(),
    }
}

fn too_many_failed(jobs: &Jobs, flash: &FlashJob) -> Option<String> {
    let stop_at = flash.stop_at?;
    let (mut all, mut failed) = (0_usize, 0_usize);
    for job in jobs.iter() {
        if let JobKind::Flash(other) = &job.kind
            && other.because == flash.because
        {
            all += 1;
            failed += usize::from(matches!(job.state, JobState::Failed { .. }));
        }
    }
    (failed > 0 && failed * 100 >= usize::from(stop_at) * all)
        .then(|| format!("{failed} of {all} flashes failed, and {stop_at} of 100 may not"))
}

/// The jobs of a rollout: those of the canaries first, then the others, which come after them.
#[cfg(feature = "task")]
pub fn wanted(flashes: Vec<FlashJob>) -> Vec<crate::job::Wanted> {
    use crate::job::{Subject, Wanted};
    let (canaries, others): (Vec<FlashJob>, Vec<FlashJob>) = flashes.into_iter().partition(|flash| flash.canary);
    let first: Vec<Subject> = canaries
        .iter()
        .map(|flash| Subject::Device(flash.device.clone()))
        .collect();
    let canaries = canaries.into_iter().map(|flash| (flash, Vec::new()));
    let others = others.into_iter().map(|flash| (flash, first.clone()));
    canaries
        .chain(others)
        .map(|(flash, after)| Wanted {
            kind: JobKind::Flash(flash),
            after,
        })
        .collect()
}
