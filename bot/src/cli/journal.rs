//! `windlass journal`: reads back what happened, and checks that nobody changed it.

use std::path::Path;

use clap::Subcommand;
use jiff::Timestamp;
use windlass_core::escape::escaped;
use windlass_core::event::{Event, Taken};
use windlass_core::id::TaskId;
use windlass_core::reply::log::told;

use super::{Context, Run};
use crate::exit::{Broken, Exit};
use crate::journal::{Head, Journal as _, JournalError, Report, Row, Sqlite};
use crate::serve::StateLock;
use crate::writer::event;

/// How many rows are read at once.
const CHUNK: usize = 1000;

/// Arguments of `windlass journal`.
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true, disable_help_subcommand = true)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

/// What to do with it.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Show what happened, oldest first
    #[command(after_help = "\
Examples:
  windlass journal show --task 7
  windlass journal show --since 2026-11-01T00:00:00Z
  windlass journal show --json | jq 'select(.kind == \"tag-taken\").event'")]
    Show {
        /// Only what concerns this task
        #[arg(long, value_name = "N")]
        task: Option<TaskId>,
        /// Only what happened at this moment (RFC 3339) or later
        #[arg(long, value_name = "TIME")]
        since: Option<Timestamp>,
        /// One JSON object a row
        #[arg(long)]
        json: bool,
    },
    /// Check every row against the chain of hashes; exit code 1 when anything was changed, removed, added or moved
    #[command(after_help = "\
Examples:
  windlass journal verify
  windlass journal verify --head 1042:5d41…c2    # noted earlier, elsewhere: history before it is still the same")]
    Verify {
        /// A head that was noted elsewhere, and must be the head now or one on the way to it
        #[arg(long, value_name = "SEQ:HASH")]
        head: Option<Head>,
        /// Print what was found as JSON
        #[arg(long)]
        json: bool,
    },
    /// Throw away everything that is derived from the journal and make it again; the bot must be stopped
    #[command(after_help = "\
Examples:
  systemctl stop windlass && windlass journal rebuild")]
    Rebuild {
        /// Say what would be done, change nothing
        #[arg(long)]
        dry_run: bool,
    },
}

impl Run for Args {
    fn run(self, context: &mut Context) -> anyhow::Result<Exit> {
        let config = context.config()?;
        let settings = context.settings(&config);
        let path = settings.paths.journal();
        match self.action {
            Action::Show { task, since, json } => show(&open(&path)?, task, since, json, context),
            Action::Verify { head, json } => {
                let report = open(&path)?.verify(head.as_ref())?;
                tell(&report, &path, json, context)
            }
            Action::Rebuild { dry_run } => {
                let rows = open(&path)?.head()?.seq;
                if dry_run {
                    context
                        .output
                        .line(format!("would make the projections of {rows} rows again"))?;
                    return Ok(Exit::Done);
                }
                let _lock = StateLock::take(&settings.paths.state())?;
                Sqlite::open(&path)?.rebuild()?;
                context
                    .output
                    .line(format!("the projections of {rows} rows are made again"))?;
                Ok(Exit::Done)
            }
        }
    }
}

fn open(path: &Path) -> anyhow::Result<Sqlite> {
    if !path.exists() {
        return Err(Broken::new(format!(
            "there is no journal at {}, or it may not be read",
            path.display()
        ))
        .hint("run it as root or as the daemon's user; the journal is made when `windlass serve` starts first")
        .into());
    }
    Ok(Sqlite::open_read_only(path)?)
}

fn show(
    journal: &Sqlite,
    task: Option<TaskId>,
    since: Option<Timestamp>,
    json: bool,
    context: &mut Context,
) -> anyhow::Result<Exit> {
    let mut after = 0;
    loop {
        let rows = match task {
            Some(task) => journal.read_task(task, after, CHUNK)?,
            None => journal.read_from(after, CHUNK)?,
        };
        for row in &rows {
            after = row.seq;
            if since.is_none_or(|since| row.at >= since) {
                context.output.line(if json { as_json(row)? } else { as_text(row) })?;
            }
        }
        if rows.len() < CHUNK {
            return Ok(Exit::Done);
        }
    }
}

fn as_json(row: &Row) -> serde_json::Result<String> {
    let event: serde_json::Value = serde_json::from_str(&row.body)?;
    serde_json::to_string(&serde_json::json!({
        "seq": row.seq,
        "batch": row.batch,
        "at": row.at,
        "kind": row.kind,
        "version": row.version,
        "hash": row.hash,
        "event": event,
    }))
}

fn as_text(row: &Row) -> String {
    let what = match event(row) {
        Ok(event) => describe(&event),
        Err(JournalError::TooNew { found, .. }) => format!("{} (version {found} of the events)", row.kind),
        Err(error) => format!("{}: {error}", row.kind),
    };
    format!(
        "{:>6}  {}  {}",
        row.seq,
        row.at.strftime("%Y-%m-%d %H:%M:%S"),
        escaped(&what)
    )
}

/// One event in a line.
fn describe(event: &Event) -> String {
    match event {
        Event::Answered(answered) => {
            let how = match (answered.exit, answered.task) {
                (0, Some(task)) => format!("task {task}"),
                (0, None) => "done".to_owned(),
                (code, _) => format!("exit code {code}"),
            };
            format!(
                "{} {}: {} → {how}",
                answered.request,
                answered.user,
                answered.words.join(" ")
            )
        }
        Event::TagTaken { pushed, taken } => {
            let became = match taken {
                Taken::Noted => "noted".to_owned(),
                Taken::Task { task } => format!("task {task}"),
                Taken::Refused { refusals } => {
                    let codes: Vec<&str> = refusals.iter().map(|refusal| refusal.code.as_ref()).collect();
                    format!("refused: {}", codes.join(", "))
                }
            };
            format!("{} pushed {} {} → {became}", pushed.pusher, pushed.source, pushed.tag)
        }
        Event::Task { id, event } => format!("task {id}: {}", told(event)),
        Event::Access(change) => format!("{} in {}: its access list changes", change.subject, change.repository),
        Event::Repository { repository, event } => format!("{repository}: {event}"),
        Event::Nightly { name, event } => format!("nightly {name}: {}", windlass_core::reply::nightly::told(event)),
        Event::Device { name, event } => format!("device {name}: {}", windlass_core::reply::device::told(event)),
        Event::Job { id, event } => format!("job {id}: {}", windlass_core::reply::job::told(event)),
    }
}

fn tell(report: &Report, path: &Path, json: bool, context: &mut Context) -> anyhow::Result<Exit> {
    let whole = report.findings.is_empty();
    if json {
        context.output.json(&serde_json::json!({
            "whole": whole,
            "rows": report.rows,
            "head": report.head.to_string(),
            "findings": report.findings,
        }))?;
    } else {
        for finding in &report.findings {
            context.output.say(format!("windlass: {}: {finding}", path.display()));
        }
        let verdict = if whole { "whole" } else { "NOT whole" };
        context
            .output
            .line(format!("{verdict}: {} rows, head {}", report.rows, report.head))?;
    }
    if !whole && !json {
        context
            .output
            .say("\nhint: windlass restore DIR brings the last backup back");
    }
    Ok(if whole { Exit::Done } else { Exit::Failed })
}
