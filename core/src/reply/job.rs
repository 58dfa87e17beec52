//! How jobs are shown: one of them, a list of them, what happened to one in a line.

use std::fmt::Write as _;

use jiff::Timestamp;
use serde::Serialize;

use super::table::table;
use super::time::{moment, moment_to_the_second, since};
use crate::id::{JobId, TaskId};
use crate::job::{
    Attempt, BuiltImage, Flashed, Job, JobEvent, JobKind, JobResult, JobState, JobStateName, MadePayload, Subject,
};
use crate::world::World;

/// `job show`.
///
/// JSON: `id`, `job` and what belongs to it (of an `image-build`: `image`, `repository`, `generation`, `because`;
/// of a `payload-build` `payload` in place of `image`; of a `flash`: `device`, `payload`, `version`, `because`, `canary`), `state`, `since`,
/// `queued`, `tasks` (whose landing caused it), `after` (`job`, `state`: the jobs that come before it), `attempts` (`number`, `began`,
/// `ended`, `trouble`), `not_before`, `image_built` (null unless it made one: `name`, `digest`, `pushed`, `reused`, `generations`,
/// `packages`, `provenance`, `sbom`), `payload_made` (null unless it made one: `payload`, `board`, `version`, `number`, `digest`, `size`, `reused`,
/// `stateful` and `disk` (`digest`, `size`), `delta` (`from`, `digest`, `size`), `generations`, `packages`), `flashed` (null
/// unless it flashed one: `flash`, `device`, `from`, `to`, `slot`, `seconds`), `told` (lines: why it stands there).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JobView {
    /// Its number.
    pub id: JobId,
    /// What is to be done.
    #[serde(flatten)]
    pub kind: JobKind,
    /// Where it stands.
    pub state: JobStateName,
    /// Since when.
    pub since: Timestamp,
    /// When it was queued.
    pub queued: Timestamp,
    /// The tasks whose landing caused it.
    pub tasks: Vec<TaskId>,
    /// The jobs that come before it.
    pub after: Vec<JobRef>,
    /// The last attempts, oldest first.
    pub attempts: Vec<Attempt>,
    /// When it is tried again.
    pub not_before: Option<Timestamp>,
    /// What it made.
    pub image_built: Option<BuiltImage>,
    /// The same where that is a payload.
    pub payload_made: Option<MadePayload>,
    /// The same where a device was flashed.
    pub flashed: Option<Flashed>,
    /// Why it stands there.
    pub told: Vec<String>,
    /// The moment of looking; not in JSON.
    #[serde(skip)]
    pub now: Timestamp,
}

/// Another job, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JobRef {
    /// Its number.
    pub job: JobId,
    /// Where it stands.
    pub state: JobStateName,
    /// What it is about; not in JSON.
    #[serde(skip)]
    pub about: String,
}

/// One line of `job ls`.
///
/// JSON: `id`, `state`, `since`, `about`, `tasks`, `attempts` (how many), `told`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JobRow {
    /// Its number.
    pub id: JobId,
    /// Where it stands.
    pub state: JobStateName,
    /// Since when.
    pub since: Timestamp,
    /// What it is about.
    pub about: String,
    /// The tasks whose landing caused it.
    pub tasks: Vec<TaskId>,
    /// How often it was tried.
    pub attempts: u32,
    /// Why it stands there, in a line.
    pub told: String,
}

/// The jobs that a task caused, as references.
pub fn of_task(world: &World, task: TaskId) -> Vec<JobRef> {
    world.jobs().of_task(task).map(|job| reference(world, job)).collect()
}

fn reference(world: &World, job: &Job) -> JobRef {
    JobRef {
        job: job.id,
        state: world.jobs().state_name(job),
        about: job.kind.subject().to_string(),
    }
}

impl JobView {
    /// The view of a job.
    pub fn of(world: &World, job: &Job, now: Timestamp) -> Self {
        let before = job.after.iter().filter_map(|id| world.jobs().get(*id));
        let (image_built, payload_made) = match result(job) {
            Some(JobResult::Image(built)) => (Some(built.clone()), None),
            Some(JobResult::Payload(made)) => (None, Some(made.as_ref().clone())),
            Some(JobResult::Flashed(_) | JobResult::Skipped { .. }) | None => (None, None),
        };
        let flashed = match result(job) {
            Some(JobResult::Flashed(flashed)) => Some(flashed.as_ref().clone()),
            Some(JobResult::Image(_) | JobResult::Payload(_) | JobResult::Skipped { .. }) | None => None,
        };
        Self {
            id: job.id,
            kind: job.kind.clone(),
            state: world.jobs().state_name(job),
            since: job.since,
            queued: job.queued,
            tasks: job.tasks.iter().copied().collect(),
            after: before.map(|job| reference(world, job)).collect(),
            attempts: job.history.clone(),
            not_before: not_before(job),
            image_built,
            payload_made,
            flashed,
            told: why(world, job, now),
            now,
        }
    }

    /// Lines for a terminal.
    pub fn text(&self) -> String {
        let mut out = format!(
            "job {}: {}: {} since {} ({})\n",
            self.id,
            self.kind,
            self.state,
            moment(self.since),
            since(self.since, self.now)
        );
        let mut say = |line: &str| {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "  {line}");
        };
        for line in self.told.iter().flat_map(|text| text.lines()) {
            say(line);
        }
        let tasks: Vec<String> = self.tasks.iter().map(|task| format!("task {task}")).collect();
        let by = if tasks.is_empty() {
            String::new()
        } else {
            format!(", caused by {}", tasks.join(", "))
        };
        let reasons = self.kind.reasons();
        let because = if reasons.is_empty() { "" } else { ", because:" };
        say(&format!("queued {}{by}{because}", moment(self.queued)));
        for reason in reasons {
            say(&format!("   {reason}"));
        }
        if !self.after.is_empty() {
            let after: Vec<String> = self
                .after
                .iter()
                .map(|before| format!("{} ({}, {})", before.job, before.about, before.state))
                .collect();
            say(&format!("after job {}", after.join(", ")));
        }
        for attempt in &self.attempts {
            let ended = attempt
                .ended
                .map_or_else(|| "goes on".to_owned(), |at| format!("to {}", moment_to_the_second(at)));
            let trouble = attempt.trouble.as_deref().unwrap_or_default();
            let mut lines = trouble.lines();
            let first = lines.next().map(|line| format!(": {line}")).unwrap_or_default();
            say(&format!(
                "attempt {}, {} {ended}{first}",
                attempt.number,
                moment_to_the_second(attempt.began)
            ));
            for line in lines {
                say(&format!("   {line}"));
            }
        }
        out
    }
}

impl JobRow {
    /// The row of a job.
    pub fn of(world: &World, job: &Job, now: Timestamp) -> Self {
        let told = why(world, job, now).into_iter().next().unwrap_or_default();
        Self {
            id: job.id,
            state: world.jobs().state_name(job),
            since: job.since,
            about: job.kind.subject().to_string(),
            tasks: job.tasks.iter().copied().collect(),
            attempts: job.attempts,
            told: told.lines().next().unwrap_or_default().to_owned(),
        }
    }
}

/// Rows as a table for a terminal.
pub fn rows_text(rows: &[JobRow]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let head = ["JOB", "STATE", "SINCE (UTC)", "WHAT", "TASKS", ""].map(str::to_owned);
    let lines = rows.iter().map(|row| {
        let tasks: Vec<String> = row.tasks.iter().map(ToString::to_string).collect();
        [
            row.id.to_string(),
            row.state.to_string(),
            moment(row.since),
            row.about.clone(),
            tasks.join(" "),
            row.told.clone(),
        ]
    });
    table(&std::iter::once(head).chain(lines).collect::<Vec<_>>())
}

fn not_before(job: &Job) -> Option<Timestamp> {
    match &job.state {
        JobState::Queued { not_before, .. } => *not_before,
        JobState::Leased { .. } | JobState::Done { .. } | JobState::Failed { .. } | JobState::Cancelled { .. } => None,
    }
}

/// What came of a job.
fn result(job: &Job) -> Option<&JobResult> {
    match &job.state {
        JobState::Done { result } => Some(result),
        JobState::Queued { .. } | JobState::Leased { .. } | JobState::Failed { .. } | JobState::Cancelled { .. } => {
            None
        }
    }
}

/// What a job that is queued waits for, besides its turn.
pub(super) fn waiting_for(world: &World, job: &Job, now: Timestamp) -> Vec<String> {
    let mut lines = Vec::new();
    for id in world.jobs().waits_for(job) {
        let Some(before) = world.jobs().get(id) else { continue };
        let (about, state) = (before.kind.subject(), world.jobs().state_name(before));
        let way_out = match state {
            JobStateName::Failed | JobStateName::Cancelled => format!("; hint: job retry {id}"),
            JobStateName::Queued
            | JobStateName::Retrying
            | JobStateName::Waiting
            | JobStateName::Running
            | JobStateName::Done
            | JobStateName::Skipped => String::new(),
        };
        lines.push(format!("it waits for job {id}, {about}, which is {state}{way_out}"));
    }
    if let Subject::Device(device) = job.kind.subject()
        && let Some(hold) = world.devices().get(&device).hold(now)
    {
        lines.push(format!("device {device} cannot be had: {hold}"));
    }
    if let Some(at) = not_before(job).filter(|at| *at > now) {
        lines.push(format!("it is tried again after {}", moment_to_the_second(at)));
    }
    lines
}

/// Why a job stands where it does.
fn why(world: &World, job: &Job, now: Timestamp) -> Vec<String> {
    let id = job.id;
    match &job.state {
        JobState::Queued { trouble, .. } => {
            let mut lines = waiting_for(world, job, now);
            if let Some(trouble) = trouble {
                lines.push(format!("last time: {trouble}"));
            }
            if lines.is_empty() {
                lines.push("it waits for its turn".to_owned());
            }
            lines
        }
        JobState::Leased { attempt, until, .. } => vec![format!(
            "attempt {attempt} runs; its lease ends at {} unless it is renewed",
            moment_to_the_second(*until)
        )],
        JobState::Done { result } => vec![result.to_string()],
        JobState::Failed { message, transient } => {
            let lasting = if *transient {
                "; it was tried as often as is allowed"
            } else {
                ""
            };
            let (first, rest) = message.split_once('\n').unwrap_or((message, ""));
            let mut lines = vec![format!("{first}{lasting}")];
            lines.extend(rest.lines().filter(|line| !line.is_empty()).map(str::to_owned));
            lines.push(format!("hint: job show {id} --log; then job retry {id}"));
            lines
        }
        JobState::Cancelled { by } => vec![by.to_string()],
    }
}

/// An event in one line.
pub fn told(event: &JobEvent) -> String {
    let again = |at: &Option<Timestamp>| {
        at.map(|at| format!("; tried again after {}", moment_to_the_second(at)))
            .unwrap_or_default()
    };
    match event {
        JobEvent::Queued { kind, .. } => format!("queued: {kind}"),
        JobEvent::Updated { kind, .. } => format!("a newer cause before it was begun: {kind}"),
        JobEvent::Leased { attempt, until } => {
            format!(
                "attempt {attempt} begins, leased until {}",
                moment_to_the_second(*until)
            )
        }
        JobEvent::Renewed { attempt, until } => {
            format!(
                "attempt {attempt} goes on, leased until {}",
                moment_to_the_second(*until)
            )
        }
        JobEvent::Succeeded { attempt, result } => format!("attempt {attempt}: {result}"),
        JobEvent::Failed {
            attempt,
            message,
            retry_at,
            ..
        } => format!(
            "attempt {attempt} failed: {}{}",
            message.lines().next().unwrap_or_default(),
            again(retry_at)
        ),
        JobEvent::Lost { attempt, retry_at } => {
            format!("attempt {attempt}: whoever worked on it is gone{}", again(retry_at))
        }
        JobEvent::Cancelled { by } => by.to_string(),
        JobEvent::AskedAgain { by } => format!("{by} wants it to be tried once more"),
    }
}
