//! How nightly runs are shown.

use jiff::Timestamp;
use serde::Serialize;

use super::table::table;
use super::time::{moment, moment_to_the_second};
use crate::decide::NightlyFacts;
use crate::device::lab::nightly::{NightlyEvent, Run};
use crate::id::{JobId, NightlyName};
use crate::job::JobState;
use crate::world::World;

/// One line of `device nightly ls`.
///
/// JSON: `nightly`, `calendar`, `next`, `last` (null, or `at`, `run`, `jobs`, `done`, `failed`, `given_up`, `open` (how many), `told`), `left_out`
/// (of the last run: `device`, `why`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NightlyRow {
    /// Its name.
    pub nightly: NightlyName,
    /// Its calendar.
    pub calendar: String,
    /// When it is due next.
    pub next: Option<Timestamp>,
    /// What the last run came to.
    pub last: Option<RunView>,
    /// The devices that the last run left out.
    pub left_out: Vec<crate::device::lab::nightly::LeftOut>,
}

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RunView {
    /// When it began.
    pub at: Timestamp,
    /// Its number.
    pub run: u32,
    /// The flashes that it consists of.
    pub jobs: Vec<JobId>,
    /// How many of them are done.
    pub done: usize,
    /// How many failed.
    pub failed: usize,
    /// How many were given up.
    pub given_up: usize,
    /// How many have no end yet.
    pub open: usize,
    /// All that in a line.
    pub told: String,
}

impl RunView {
    /// The view of a run.
    pub fn of(world: &World, run: &Run, at: Timestamp) -> Self {
        let mut view = Self {
            at,
            run: run.run,
            jobs: run.jobs.clone(),
            done: 0,
            failed: 0,
            given_up: 0,
            open: 0,
            told: String::new(),
        };
        for job in run.jobs.iter().filter_map(|id| world.jobs().get(*id)) {
            match &job.state {
                JobState::Done { .. } => view.done += 1,
                JobState::Failed { .. } => view.failed += 1,
                JobState::Cancelled { .. } => view.given_up += 1,
                JobState::Queued { .. } | JobState::Leased { .. } => view.open += 1,
            }
        }
        let parts = [
            (view.done, "done"),
            (view.failed, "failed"),
            (view.given_up, "given up"),
            (view.open, "under way"),
        ];
        let parts = parts.iter().filter(|(many, _)| *many > 0);
        let parts: Vec<String> = parts.map(|(many, word)| format!("{many} {word}")).collect();
        view.told = run
            .nothing
            .as_ref()
            .map_or_else(|| parts.join(", "), |why| format!("nothing was flashed: {why}"));
        view
    }
}

impl NightlyRow {
    /// The row of a nightly run.
    pub fn of(world: &World, (name, nightly): (&NightlyName, &NightlyFacts), now: Timestamp) -> Self {
        let last = world.nightlies().get(name).and_then(|record| record.last.last());
        Self {
            nightly: name.clone(),
            calendar: nightly.calendar.to_string(),
            next: nightly.calendar.next(now),
            last: last.map(|(at, run)| RunView::of(world, run, *at)),
            left_out: last.map(|(_, run)| run.left_out.clone()).unwrap_or_default(),
        }
    }
}

/// Rows as a table for a terminal.
pub fn rows_text(rows: &[NightlyRow]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let head = ["NIGHTLY", "CALENDAR", "NEXT (UTC)", "RUN", "LAST (UTC)", ""].map(str::to_owned);
    let dash = || "-".to_owned();
    let lines = rows.iter().map(|row| {
        let last = row.last.as_ref();
        let left_out = match row.left_out.len() {
            0 => String::new(),
            many => format!("; {many} left out"),
        };
        [
            row.nightly.to_string(),
            row.calendar.clone(),
            row.next.map_or_else(dash, moment),
            last.map_or_else(dash, |last| last.run.to_string()),
            last.map_or_else(dash, |last| moment(last.at)),
            last.map(|last| format!("{}{left_out}", last.told)).unwrap_or_default(),
        ]
    });
    table(&std::iter::once(head).chain(lines).collect::<Vec<_>>())
}

/// A run in one line.
pub fn ran(run: &Run) -> String {
    let why = match (&run.due, &run.by) {
        (Some(due), _) => format!("due at {}", moment_to_the_second(*due)),
        (None, Some(by)) => format!("{by} asked for it"),
        (None, None) => "nobody knows why".to_owned(),
    };
    let what = match (&run.nothing, run.jobs.as_slice()) {
        (Some(why), _) => format!("nothing is flashed: {why}"),
        (None, [one]) => format!("job {one} flashes one device"),
        (None, jobs) => {
            let ids: Vec<String> = jobs.iter().map(ToString::to_string).collect();
            format!("jobs {} flash {} devices", ids.join(", "), jobs.len())
        }
    };
    let left_out: Vec<String> = run
        .left_out
        .iter()
        .map(|left| format!("; {} is left out: {}", left.device, left.why))
        .collect();
    format!("run {} ({why}): {what}{}", run.run, left_out.concat())
}

/// An event in one line.
pub fn told(event: &NightlyEvent) -> String {
    match event {
        NightlyEvent::Planned { calendar } => format!("its calendar is followed from now on: {calendar}"),
        NightlyEvent::Ran(run) => ran(run),
    }
}
