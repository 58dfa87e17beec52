//! What stages wrote: `task log --stage S [--arch A] [--follow]` shows the logs themselves, without leaving the terminal.
//!
//! They lie in the directory of the task's last run. What is in them was written by builds: nothing of it reaches a terminal
//! that could move its cursor.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::broadcast;
use windlass_core::decide::has_ended;
use windlass_core::escape::escaped_bytes;
use windlass_core::id::{ArchName, JobId, SubtaskNumber, TaskId};
use windlass_core::task::Stage;
use windlass_core::world::World;

use super::follow::{Woken, stopped};
use super::frames::Frames;
use super::{Commands, Trouble};
use crate::jobs::JobLogs;
use crate::stages::RunDir;

/// How often logs that grow are looked at.
const LOOK: Duration = Duration::from_millis(250);

/// How much is read at once.
const CHUNK: u64 = 256 * 1024;

/// The longest line that is shown whole, in bytes; a longer one is cut into several.
const WIDEST: usize = 16 * 1024;

/// Which logs are wanted.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) task: TaskId,
    pub(super) stage: Stage,
    pub(super) arch: Option<ArchName>,
    pub(super) follow: bool,
}

/// A log on disk, and what it is called.
#[derive(Debug, Clone, PartialEq, Eq)]
struct LogFile {
    title: String,
    path: PathBuf,
}

/// How far a log was shown.
#[derive(Debug, Default)]
struct Shown {
    to: u64,
    /// A line that has no end yet.
    line: Vec<u8>,
}

/// Where the logs are now, and whether nothing is added to them any more.
struct Place {
    dir: Option<RunDir>,
    subtasks: Vec<SubtaskNumber>,
    ended: bool,
}

impl Commands {
    /// Shows logs, and what is added to them until the run ends, where that is wanted.
    pub(super) async fn show_logs(
        &self,
        wanted: Wanted,
        mut changes: broadcast::Receiver<TaskId>,
        frames: &Frames,
    ) -> Result<(), Trouble> {
        let tasks = self.paths().tasks();
        let mut shown: BTreeMap<PathBuf, Shown> = BTreeMap::new();
        let mut last = None;
        loop {
            let (task, root) = (wanted.task, tasks.clone());
            let place = self
                .writer
                .call(move |state| Ok(place(state.world(), task, &root)))
                .await?;
            let over = place.ended || !wanted.follow;
            let files = {
                let wanted = wanted.clone();
                tokio::task::spawn_blocking(move || files(&place, &wanted)).await?
            };
            for file in &files {
                self.show_one(file, &mut shown, &mut last, over, frames).await?;
            }
            if over {
                if shown.is_empty() {
                    let Wanted { task, stage, .. } = &wanted;
                    let arch = wanted
                        .arch
                        .as_ref()
                        .map(|arch| format!(" on {arch}"))
                        .unwrap_or_default();
                    frames
                        .err(&format!(
                            "task {task} has no log of {stage}{arch}: it has not come so far\n"
                        ))
                        .await;
                }
                frames.exit(0).await;
                return Ok(());
            }
            match tokio::time::timeout(LOOK, self.woken(&mut changes, wanted.task, frames)).await {
                Err(_) | Ok(Woken::Changed) => {}
                Ok(Woken::Gone) => return Ok(()),
                Ok(Woken::Stopping) => return stopped(frames).await,
            }
        }
    }

    /// Shows what the last attempt at a job wrote, as far as it has come.
    pub(super) async fn show_job_log(&self, job: JobId, frames: &Frames) -> Result<(), Trouble> {
        let attempt = self
            .writer
            .call(move |state| Ok(state.world().jobs().get(job).map_or(0, |job| job.attempts)))
            .await?;
        let path = JobLogs::below(&self.paths().state()).path(job, attempt);
        if attempt == 0 || !path.is_file() {
            frames
                .err(&format!("job {job} has no log: nobody has worked on it\n"))
                .await;
        } else {
            let file = LogFile {
                title: format!("job {job}, attempt {attempt}"),
                path,
            };
            self.show_one(&file, &mut BTreeMap::new(), &mut None, true, frames)
                .await?;
        }
        frames.exit(0).await;
        Ok(())
    }

    /// Shows what came to one log since it was looked at last.
    async fn show_one(
        &self,
        file: &LogFile,
        shown: &mut BTreeMap<PathBuf, Shown>,
        last: &mut Option<PathBuf>,
        over: bool,
        frames: &Frames,
    ) -> Result<(), Trouble> {
        let first = !shown.contains_key(&file.path);
        let so_far = shown.entry(file.path.clone()).or_default();
        let mut titled = first;
        loop {
            let (path, from) = (file.path.clone(), so_far.to);
            let bytes = match tokio::task::spawn_blocking(move || chunk(&path, from)).await? {
                Ok(bytes) => bytes,
                Err(error) => {
                    frames
                        .err(&format!("windlass: {}: {error}\n", file.path.display()))
                        .await;
                    return Ok(());
                }
            };
            let at_end = bytes.is_empty();
            so_far.to += bytes.len() as u64;
            let mut text = lines(&mut so_far.line, &bytes);
            if at_end && over && !so_far.line.is_empty() {
                text.push_str(&line(&std::mem::take(&mut so_far.line)));
            }
            if !text.is_empty() || titled {
                if last.as_ref() != Some(&file.path) {
                    frames.out(&format!("== {}\n", file.title)).await;
                    *last = Some(file.path.clone());
                }
                titled = false;
                frames.out(&text).await;
            }
            if at_end {
                return Ok(());
            }
        }
    }
}

fn place(world: &World, task: TaskId, tasks: &Path) -> Place {
    let Some(task) = world.task(task) else {
        return Place {
            dir: None,
            subtasks: Vec::new(),
            ended: true,
        };
    };
    let progress = task.progress.as_deref();
    Place {
        dir: progress.map(|progress| RunDir::of(tasks, task.id, progress.try_number, progress.iteration)),
        subtasks: task.subtasks.iter().map(|subtask| subtask.number).collect(),
        ended: has_ended(task),
    }
}

/// The logs that are there of a stage: of all of it, then of its subtasks, architecture by architecture.
fn files(place: &Place, wanted: &Wanted) -> Vec<LogFile> {
    let Some(dir) = &place.dir else {
        return Vec::new();
    };
    let stage = wanted.stage;
    let mut all: Vec<(String, PathBuf)> = Vec::new();
    if wanted.arch.is_none() {
        all.push((stage.to_string(), dir.log(stage, None, None)));
    }
    for &subtask in &place.subtasks {
        if wanted.arch.is_none() {
            all.push((
                format!("{stage}, subtask {subtask}"),
                dir.log(stage, Some(subtask), None),
            ));
        }
        for arch in arches(&dir.subtask(subtask)) {
            if wanted.arch.as_ref().is_none_or(|wanted| *wanted == arch) {
                let path = dir.log(stage, Some(subtask), Some(&arch));
                all.push((format!("{stage} on {arch}, subtask {subtask}"), path));
            }
        }
    }
    all.retain(|(_, path)| path.is_file());
    all.into_iter()
        .map(|(title, path)| LogFile {
            title: format!("{title}: {}", dir.recorded(&path)),
            path,
        })
        .collect()
}

/// The architectures for which a subtask has a directory.
fn arches(dir: &Path) -> Vec<ArchName> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut arches: Vec<ArchName> = entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    arches.sort();
    arches
}

fn chunk(path: &Path, from: u64) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(CHUNK).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The lines that are whole now, safe to show; the rest stays in `open`.
fn lines(open: &mut Vec<u8>, bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
        open.extend_from_slice(piece);
        if open.last() == Some(&b'\n') {
            open.pop();
            out.push_str(&line(&std::mem::take(open)));
        } else if open.len() > WIDEST {
            out.push_str(&line(&std::mem::take(open)));
        }
    }
    out
}

/// One line as it is shown, tabs as blanks.
fn line(bytes: &[u8]) -> String {
    let mut plain = Vec::with_capacity(bytes.len());
    for byte in bytes {
        if *byte == b'\t' {
            let width = 8 - plain.len() % 8;
            plain.extend(std::iter::repeat_n(b' ', width));
        } else {
            plain.push(*byte);
        }
    }
    let mut text = escaped_bytes(&plain);
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_shown_when_they_are_whole_and_cannot_move_a_cursor() {
        let mut open = Vec::new();
        assert_eq!(lines(&mut open, b"one\ntw"), "one\n");
        assert_eq!(
            lines(&mut open, b"o\x1b[2J\n\tthree\nfo"),
            "two\\u{1b}[2J\n        three\n"
        );
        assert_eq!(open, b"fo");
        let long = lines(&mut open, &vec![b'x'; 2 * WIDEST]);
        assert_eq!(
            long.len(),
            2 + 2 * WIDEST + 1,
            "a line without an end is not kept for ever"
        );
        assert!(open.is_empty());
    }
}
