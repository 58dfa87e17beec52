//! Which devices are flashed, and in which order: after a payload was made, in a nightly run.

use jiff::Timestamp;

use super::facts::{DeviceFacts, Facts, NightlyFacts};
use crate::device::lab::nightly::{LeftOut, NightlyEvent, Run};
use crate::device::lab::{Hold, rollout};
use crate::event::Event;
use crate::id::{DeviceName, JobId, NightlyName, PayloadName, TaskId, UserName};
use crate::job::{FlashJob, MadePayload, Rollout, queue};
use crate::world::World;

/// Why a nightly run begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// Its moment has come.
    Due(Timestamp),
    /// Somebody asked for it.
    Asked(UserName),
}

/// A device that is to be flashed.
struct Chosen<'a> {
    device: &'a DeviceName,
    facts: &'a DeviceFacts,
    payload: PayloadName,
    version: String,
    is_held: bool,
}

/// The flashes that a new version of a payload causes, as events: those of the devices that ask for it, canaries first.
pub fn after_payload(
    world: &World,
    facts: &Facts,
    made: &MadePayload,
    (by_job, task): (JobId, Option<TaskId>),
    now: Timestamp,
) -> Vec<Event> {
    if made.reused {
        return Vec::new();
    }
    let asks = |(device, facts): (&DeviceName, &DeviceFacts)| {
        facts.after_merge
            && facts.payload.as_ref() == Some(&made.payload)
            && facts.board.as_ref().is_none_or(|board| *board == made.board)
            && !world.devices().get(device).standing.health.is_out()
    };
    let devices = facts.devices.iter().filter(|one| asks(*one));
    let chosen: Vec<Chosen<'_>> = devices
        .map(|(device, own)| Chosen {
            device,
            facts: own,
            payload: made.payload.clone(),
            version: made.version.clone(),
            is_held: world.devices().get(device).hold(now).is_some(),
        })
        .collect();
    let canaries = canaries(&chosen, &facts.lab.canary, None);
    let flash = |one: &Chosen<'_>| FlashJob {
        device: one.device.clone(),
        payload: one.payload.clone(),
        version: one.version.clone(),
        because: Rollout::Made { by_job },
        canary: canaries.contains(&one.device),
        retries: None,
        stop_at: None,
    };
    queue(world.jobs(), &rollout::wanted(chosen.iter().map(flash).collect()), task)
}

/// Those that come first: the ones with the tag, so many of them. One that cannot be had now would delay the others: it is none, unless there
/// are no others.
fn canaries<'a>(chosen: &[Chosen<'a>], tag: &str, most: Option<u32>) -> Vec<&'a DeviceName> {
    let tagged: Vec<&Chosen<'a>> = chosen.iter().filter(|one| one.facts.tags.contains(tag)).collect();
    let mut free: Vec<&Chosen<'a>> = tagged.iter().copied().filter(|one| !one.is_held).collect();
    if free.is_empty() {
        free = tagged;
    }
    let most = most.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX));
    free.into_iter().take(most).map(|one| one.device).collect()
}

/// A nightly run that begins now, as events.
///
/// # Errors
/// Why there is nothing to flash; then the events say that.
pub fn begin_nightly(
    world: &World,
    facts: &Facts,
    (name, nightly): (&NightlyName, &NightlyFacts),
    cause: &Cause,
    now: Timestamp,
) -> Result<Vec<Event>, (String, Vec<Event>)> {
    let number = world
        .nightlies()
        .get(name)
        .map_or(0, |record| record.runs)
        .saturating_add(1);
    let (chosen, left_out) = choose(world, facts, nightly, now);
    let tag = nightly.canary_tag.as_ref().unwrap_or(&facts.lab.canary);
    let canaries = canaries(&chosen, tag, nightly.canaries);
    let flash = |one: &Chosen<'_>| FlashJob {
        device: one.device.clone(),
        payload: one.payload.clone(),
        version: one.version.clone(),
        because: Rollout::Nightly {
            nightly: name.clone(),
            run: number,
        },
        canary: canaries.contains(&one.device),
        retries: Some(nightly.retries),
        stop_at: Some(nightly.stop_at),
    };
    let mut events = queue(world.jobs(), &rollout::wanted(chosen.iter().map(flash).collect()), None);
    let jobs: Vec<JobId> = events
        .iter()
        .filter_map(|event| match event {
            Event::Job { id, .. } => Some(*id),
            Event::Answered(_)
            | Event::TagTaken { .. }
            | Event::Task { .. }
            | Event::Access(_)
            | Event::Repository { .. }
            | Event::Device { .. }
            | Event::Nightly { .. } => None,
        })
        .collect();
    let nothing = jobs.is_empty().then(|| nothing(&left_out));
    let (due, by) = match cause {
        Cause::Due(due) => (Some(*due), None),
        Cause::Asked(by) => (None, Some(by.clone())),
    };
    events.push(Event::Nightly {
        name: name.clone(),
        event: NightlyEvent::Ran(Run {
            run: number,
            due,
            by,
            jobs,
            left_out,
            nothing: nothing.clone(),
        }),
    });
    match nothing {
        Some(why) => Err((why, events)),
        None => Ok(events),
    }
}

fn nothing(left_out: &[LeftOut]) -> String {
    match left_out {
        [] => "no configured device has its tags and its board".to_owned(),
        [first, rest @ ..] => {
            let more = if rest.is_empty() {
                String::new()
            } else {
                format!(", and {} more are left out", rest.len())
            };
            format!("{} is left out: {}{more}", first.device, first.why)
        }
    }
}

/// The devices that a run flashes, and those that it would, were it not for something.
fn choose<'a>(
    world: &World,
    facts: &'a Facts,
    nightly: &NightlyFacts,
    now: Timestamp,
) -> (Vec<Chosen<'a>>, Vec<LeftOut>) {
    let (mut chosen, mut left_out) = (Vec::new(), Vec::new());
    for (device, own) in &facts.devices {
        let meant = nightly.tags.iter().all(|tag| own.tags.contains(tag))
            && nightly
                .board
                .as_ref()
                .is_none_or(|board| own.board.as_ref() == Some(board));
        if !meant {
            continue;
        }
        let hold = world.devices().get(device).hold(now);
        let payload = nightly.payload.as_ref().or(own.payload.as_ref());
        let made = payload.and_then(|payload| world.jobs().payload(payload)?.last.as_ref());
        let why = match (&hold, payload, made) {
            // One that does not answer is tried when its pause is over.
            (Some(hold @ (Hold::Out { .. } | Hold::Reserved { .. })), _, _) => hold.to_string(),
            (_, None, _) => "neither it nor the run names a payload".to_owned(),
            (_, Some(payload), None) => format!("no version of payload {payload} was made yet"),
            (_, Some(_), Some(made)) if own.board.as_ref().is_some_and(|board| *board != made.board) => {
                format!("payload {} is for board {}", made.payload, made.board)
            }
            (_, Some(_), Some(made)) => {
                chosen.push(Chosen {
                    device,
                    facts: own,
                    payload: made.payload.clone(),
                    version: made.version.clone(),
                    is_held: hold.is_some(),
                });
                continue;
            }
        };
        left_out.push(LeftOut {
            device: device.clone(),
            why,
        });
    }
    (chosen, left_out)
}
