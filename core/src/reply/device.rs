//! How devices are shown: one of them, a list of them, why one waits, what was flashed.

use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::table::table;
use super::time::{moment, moment_to_the_second, since};
use crate::decide::{DeviceFacts, Facts};
use crate::device::flash::Outcome;
use crate::device::lab::{Device, DeviceEvent, FlashLine, Health};
use crate::id::{DeviceName, JobId, PayloadName, UserName};
use crate::job::{Job, JobState, Subject};
use crate::world::World;

/// `device show`, `device health`.
///
/// JSON: `device`, `board`, `address`, `driver`, `tags`, `payload`, `after_merge`, `health`, `health_why`, `health_by`, `health_since`,
/// `version`, `bad_in_a_row`, `silent_in_a_row`, `left_alone_until`, `reservation` (null, or `by`, `since`, `until`, `reason`), `job` (what
/// works on it or waits for it), `why` (a line), `flashes` (the newest, as in `device history`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeviceView {
    /// Its name.
    pub device: DeviceName,
    /// Its board.
    pub board: Option<String>,
    /// How it is reached.
    pub address: String,
    /// What updates it.
    pub driver: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// The payload that it takes.
    pub payload: Option<PayloadName>,
    /// Whether it takes it after each commit that made a new one.
    pub after_merge: bool,
    /// How it is.
    pub health: Health,
    /// Why.
    pub health_why: String,
    /// Who said so.
    pub health_by: Option<UserName>,
    /// Since when.
    pub health_since: Option<Timestamp>,
    /// The version that it ran after its last good flash.
    pub version: Option<String>,
    /// How many flashes in a row failed by its own fault.
    pub bad_in_a_row: u32,
    /// How many times in a row it did not answer.
    pub silent_in_a_row: u32,
    /// Until when nobody tries.
    pub left_alone_until: Option<Timestamp>,
    /// Who has it.
    pub reservation: Option<ReservationView>,
    /// What works on it or waits for it.
    pub job: Option<JobId>,
    /// What it does or waits for.
    pub why: String,
    /// The newest flashes.
    pub flashes: Vec<FlashLine>,
    /// The moment of looking; not in JSON.
    #[serde(skip)]
    pub now: Timestamp,
}

/// Who has a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReservationView {
    /// Who.
    pub by: UserName,
    /// Since when.
    pub since: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// What for.
    pub reason: String,
}

/// One line of `device ls`.
///
/// JSON: `device`, `board`, `health`, `health_since`, `version`, `tags`, `why`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeviceRow {
    /// Its name.
    pub device: DeviceName,
    /// Its board.
    pub board: Option<String>,
    /// How it is.
    pub health: Health,
    /// Since when.
    pub health_since: Option<Timestamp>,
    /// The version that it ran after its last good flash.
    pub version: Option<String>,
    /// Its tags.
    pub tags: Vec<String>,
    /// What it does or waits for.
    pub why: String,
}

/// What a device does or waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeviceWhy {
    /// The device.
    pub device: DeviceName,
    /// In a line.
    pub why: String,
}

/// The job that works on a device, or else the oldest that waits for it.
fn job_of<'w>(world: &'w World, name: &DeviceName) -> Option<&'w Job> {
    let subject = Subject::Device(name.clone());
    let of_it: Vec<&Job> = world
        .jobs()
        .open()
        .filter(|job| job.kind.subject() == subject)
        .collect();
    let works = |job: &&&Job| matches!(job.state, JobState::Leased { .. });
    of_it.iter().find(works).or_else(|| of_it.first()).copied()
}

/// The last rollback of a device, in a sentence; nothing once a later flash has succeeded. The flashes are the newest, newest first.
pub fn rolled_back(flashes: &[FlashLine], name: &DeviceName) -> Option<String> {
    let back = Outcome::RolledBack { why: String::new() }.word();
    let succeeded = |line: &&FlashLine| line.outcome == Outcome::Succeeded.word();
    let own = flashes.iter().filter(|line| line.device == *name);
    let mut since = own.take_while(|line| !succeeded(line));
    let last = since.find(|line| line.outcome == back)?;
    let version = |version: &Option<String>| version.clone().unwrap_or_else(|| "of before".to_owned());
    let to = last.to_version.as_deref().unwrap_or("that was new");
    Some(format!(
        "version {to} was rolled back to version {} at {} UTC, by flash {}",
        version(&last.from_version),
        moment_to_the_second(last.ended),
        last.flash
    ))
}

/// What a device does or waits for, in one line; and that its last update was rolled back.
pub fn why(world: &World, facts: &Facts, name: &DeviceName, now: Timestamp) -> String {
    let waits = waits(world, facts, name, now);
    match rolled_back(&facts.flashes, name) {
        Some(back) => format!("{waits}; {back}"),
        None => waits,
    }
}

fn waits(world: &World, facts: &Facts, name: &DeviceName, now: Timestamp) -> String {
    let device = world.devices().get(name);
    let job = job_of(world, name);
    if let Some(job) = job
        && let JobState::Leased { attempt, .. } = job.state
    {
        return format!(
            "job {}, attempt {attempt}, does it since {}: {}",
            job.id,
            moment_to_the_second(job.since),
            job.kind
        );
    }
    let waits = job.map(|job| format!("job {} waits for it", job.id));
    let kept = device.hold(now).map(|hold| {
        let way_out = match hold {
            crate::device::lab::Hold::Out { .. } => format!("; hint: device health {name} good -m REASON"),
            crate::device::lab::Hold::Reserved { .. } | crate::device::lab::Hold::LeftAlone { .. } => String::new(),
        };
        (hold.to_string(), way_out)
    });
    match (job, kept) {
        (_, Some((hold, way_out))) => {
            let waits = waits.map(|waits| format!("; {waits}")).unwrap_or_default();
            format!("{hold}{waits}{way_out}")
        }
        (Some(job), None) => {
            let first = super::job::waiting_for(world, job, now).into_iter().next();
            let turn = || {
                let busy = world.jobs().open().filter(|other| {
                    matches!(other.state, JobState::Leased { .. }) && matches!(other.kind.subject(), Subject::Device(_))
                });
                match (busy.count(), facts.lab.at_once) {
                    (busy, most) if busy >= most => {
                        format!(
                            "it waits for its turn: {busy} devices are flashed, and {most} may be at once ([lab] at_once)"
                        )
                    }
                    _ => "it begins at once".to_owned(),
                }
            };
            format!("job {} ({}): {}", job.id, job.kind, first.unwrap_or_else(turn))
        }
        (None, None) if device.standing.health == Health::Looping => {
            format!("it does not come back since its last flash: {}", device.standing.why)
        }
        (None, None) => "it is free: nothing waits for it".to_owned(),
    }
}

impl DeviceView {
    /// The view of a device.
    pub fn of(world: &World, facts: &Facts, (name, own): (&DeviceName, &DeviceFacts), now: Timestamp) -> Self {
        let device: Device = world.devices().get(name);
        Self {
            device: name.clone(),
            board: own.board.clone(),
            address: own.address.clone(),
            driver: own.driver.clone(),
            tags: own.tags.iter().cloned().collect(),
            payload: own.payload.clone(),
            after_merge: own.after_merge,
            health: device.standing.health,
            health_why: device.standing.why.clone(),
            health_by: device.standing.by.clone(),
            health_since: device.standing.since,
            version: device.version.clone(),
            bad_in_a_row: device.bad_in_a_row,
            silent_in_a_row: device.silent_in_a_row,
            left_alone_until: device.left_alone.filter(|until| *until > now),
            reservation: device.reservation(now).map(|held| ReservationView {
                by: held.by.clone(),
                since: held.since,
                until: held.until,
                reason: held.reason.as_str().to_owned(),
            }),
            job: job_of(world, name).map(|job| job.id),
            why: why(world, facts, name, now),
            flashes: facts.flashes.clone(),
            now,
        }
    }

    /// Lines for a terminal.
    pub fn text(&self) -> String {
        let since = self
            .health_since
            .map(|at| format!(" since {} ({})", moment(at), since(at, self.now)))
            .unwrap_or_default();
        let mut out = format!("device {}: {}{since}\n", self.device, self.health);
        let mut say = |line: &str| {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "  {line}");
        };
        if !self.health_why.is_empty() {
            let by = self.health_by.as_ref().map(|by| format!("{by}: ")).unwrap_or_default();
            say(&format!("{by}{}", self.health_why));
        }
        say(&self.why);
        let board = self.board.as_deref().unwrap_or("any board");
        say(&format!("{board} at {}, by {}", self.address, self.driver));
        if !self.tags.is_empty() {
            say(&format!("tags: {}", self.tags.join(", ")));
        }
        if let Some(payload) = &self.payload {
            let when = if self.after_merge {
                "after each commit that makes a new one"
            } else {
                "when somebody asks for it"
            };
            say(&format!("takes payload {payload}, {when}"));
        }
        if let Some(version) = &self.version {
            say(&format!("version {version} after its last good flash"));
        }
        if self.bad_in_a_row > 0 {
            say(&format!("bad flashes in a row: {}", self.bad_in_a_row));
        }
        if !self.flashes.is_empty() {
            say("its last flashes:");
        }
        for line in flashes_text(&self.flashes).lines() {
            say(&format!("   {line}"));
        }
        out
    }
}

impl DeviceRow {
    /// The row of a device.
    pub fn of(world: &World, facts: &Facts, (name, own): (&DeviceName, &DeviceFacts), now: Timestamp) -> Self {
        let device = world.devices().get(name);
        Self {
            device: name.clone(),
            board: own.board.clone(),
            health: device.standing.health,
            health_since: device.standing.since,
            version: device.version,
            tags: own.tags.iter().cloned().collect(),
            why: why(world, facts, name, now),
        }
    }
}

fn or_dash(text: Option<&str>) -> String {
    text.unwrap_or("-").to_owned()
}

/// Rows as a table for a terminal.
pub fn rows_text(rows: &[DeviceRow]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let head = ["DEVICE", "BOARD", "STATE", "SINCE (UTC)", "VERSION", "TAGS", ""].map(str::to_owned);
    let lines = rows.iter().map(|row| {
        [
            row.device.to_string(),
            or_dash(row.board.as_deref()),
            row.health.to_string(),
            row.health_since.map_or_else(|| "-".to_owned(), moment),
            or_dash(row.version.as_deref()),
            if row.tags.is_empty() {
                "-".to_owned()
            } else {
                row.tags.join(" ")
            },
            row.why.clone(),
        ]
    });
    table(&std::iter::once(head).chain(lines).collect::<Vec<_>>())
}

/// Reasons as lines for a terminal.
pub fn why_text(lines: &[DeviceWhy]) -> String {
    let parts = lines
        .iter()
        .flat_map(|line| [line.device.as_str(), ": ", &line.why, "\n"]);
    parts.collect()
}

/// Flashes as a table for a terminal.
pub fn flashes_text(lines: &[FlashLine]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let head = ["BEGAN (UTC)", "TOOK", "VERSIONS", "SLOTS", "WHO", "JOB", "OUTCOME"].map(str::to_owned);
    let rows = lines.iter().map(|line| {
        let way = |from: &Option<String>, to: &Option<String>| match (from, to) {
            (None, None) => "-".to_owned(),
            (from, to) => format!("{} → {}", from.as_deref().unwrap_or("?"), to.as_deref().unwrap_or("?")),
        };
        [
            moment_to_the_second(line.began),
            took(line.ended.duration_since(line.began)),
            way(&line.from_version, &line.to_version),
            way(&line.slot_before, &line.slot_after),
            line.who.clone(),
            line.job.map_or_else(|| "-".to_owned(), |job| job.to_string()),
            line.told.lines().next().unwrap_or_default().to_owned(),
        ]
    });
    table(&std::iter::once(head).chain(rows).collect::<Vec<_>>())
}

fn took(length: SignedDuration) -> String {
    let seconds = length.as_secs().max(0);
    if seconds < 60 {
        format!("{seconds} s")
    } else {
        format!("{} min {} s", seconds / 60, seconds % 60)
    }
}

/// An event in one line.
pub fn told(event: &DeviceEvent) -> String {
    match event {
        DeviceEvent::Flashed(end) => format!("flash {}: {}", end.flash, end.told.lines().next().unwrap_or_default()),
        DeviceEvent::LeftAlone { until } => format!("left alone until {}", moment_to_the_second(*until)),
        DeviceEvent::Reserved { by, until, reason } => {
            format!(
                "reserved by {by} until {}: {}",
                moment_to_the_second(*until),
                reason.as_str()
            )
        }
        DeviceEvent::Released { by } => format!("released by {by}"),
        DeviceEvent::Judged {
            health,
            why,
            by: Some(by),
        } => format!("{health}, says {by}: {why}"),
        DeviceEvent::Judged { health, why, by: None } => format!("{health}: {why}"),
    }
}
