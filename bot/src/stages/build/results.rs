//! What was built, kept by its key, so that it is not built again.
//!
//! ```text
//! builds/results/KEY/result.json     the packages' files with their digests
//!                    log             the log of the build
//!                    *.rpm
//! ```
//! An entry appears by one rename and is checked whenever it is used; one that is damaged is built again.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW, utimensat};

use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use windlass_core::repository::ArchResult;
use windlass_core::rpm::{Header, header};

use super::{BuildOrder, BuildOutcome, Step};
use crate::digest::sha256_of;
use crate::sandbox::Builder;
use crate::stages::StageError;

/// Raised when what is kept has another form.
const FORMAT: u32 = 1;

/// When old results were last looked for since the start, which did it too.
static LAST_FORGOTTEN: Mutex<Option<Instant>> = Mutex::new(None);

const DAY: Duration = Duration::from_hours(24);

/// The results of all builds.
#[derive(Debug)]
pub(super) struct Results {
    directory: PathBuf,
}

/// Packages that a build made, in a directory that goes with this.
#[derive(Debug)]
pub(super) struct Built {
    pub(super) directory: TempDir,
    pub(super) source: Taken,
    pub(super) binaries: Vec<Taken>,
}

/// One package that was taken out of a build.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) header: Header,
    pub(super) name: String,
    pub(super) sha256: String,
    pub(super) size: u64,
}

/// A result that is kept.
#[derive(Debug)]
pub(super) struct KeptResult {
    source: Arc<Header>,
    binaries: Vec<Arc<Header>>,
    files: BTreeMap<String, PathBuf>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    format: u32,
    key: String,
    source: Entry,
    binaries: Vec<Entry>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    file: String,
    sha256: String,
    size: u64,
}

impl Results {
    pub(super) fn of(builder: &Builder) -> Self {
        Self {
            directory: builder.directory().join("results"),
        }
    }

    /// A directory for packages that are taken out of a build.
    pub(super) fn new_directory(&self) -> Result<TempDir, StageError> {
        fs::create_dir_all(&self.directory)
            .and_then(|()| tempfile::Builder::new().prefix(".new-").tempdir_in(&self.directory))
            .map_err(|error| StageError::io(&format!("a directory in {}", self.directory.display()), &error))
    }

    /// Takes over what was built under a key, if it is there and whole.
    pub(super) fn take(&self, key: &str, order: &BuildOrder) -> Result<Option<KeptResult>, StageError> {
        let directory = self.directory.join(key);
        if !directory.is_dir() {
            return Ok(None);
        }
        let (note, headers) = match check(&directory, key) {
            Ok(good) => good,
            Err(error) => {
                tracing::warn!(path = %directory.display(), %error, "a kept build is damaged and is built again: {error}");
                fs::remove_dir_all(&directory)
                    .map_err(|error| StageError::io(&format!("{}", directory.display()), &error))?;
                return Ok(None);
            }
        };
        let kept = hand_out(&directory, &note, headers, order)
            .map_err(|error| StageError::io(&format!("the packages in {}", order.out.display()), &error))?;
        let copied = fs::remove_file(&order.log).and_then(|()| fs::copy(directory.join("log"), &order.log));
        if let Err(error) = copied {
            tracing::warn!(path = %order.log.display(), %error, "the log of a kept build cannot be copied: {error}");
        }
        let first = fs::metadata(directory.join("result.json")).and_then(|data| data.modified());
        let age = first.ok().and_then(|first| first.elapsed().ok()).unwrap_or_default();
        touch(&directory);
        super::work::append(
            &order.log,
            &format!(
                "windlass: nothing was built: this was, from the same, {} ago\n",
                ago(age)
            ),
        );
        Ok(Some(kept))
    }

    /// Keeps what was built, and hands it out. Once a day, what nobody takes any more goes.
    pub(super) fn keep(
        &self,
        builder: &Builder,
        built: Built,
        key: &str,
        order: &BuildOrder,
    ) -> Result<KeptResult, StageError> {
        let due = {
            let mut last = LAST_FORGOTTEN.lock().unwrap_or_else(PoisonError::into_inner);
            let due = last.is_some_and(|last| last.elapsed() > DAY);
            if due || last.is_none() {
                *last = Some(Instant::now());
            }
            due
        };
        if due {
            builder.forget_old();
        }
        let io = |error: io::Error| StageError::io(&format!("{}", self.directory.display()), &error);
        let entry = |taken: &Taken| Entry {
            file: taken.name.clone(),
            sha256: taken.sha256.clone(),
            size: taken.size,
        };
        let note = Note {
            format: FORMAT,
            key: key.to_owned(),
            source: entry(&built.source),
            binaries: built.binaries.iter().map(entry).collect(),
        };
        let path = built.directory.path();
        fs::copy(&order.log, path.join("log")).map_err(io)?;
        let text = serde_json::to_vec_pretty(&note).map_err(|error| io(error.into()))?;
        fs::write(path.join("result.json"), text).map_err(io)?;
        // A file that is named must be on the disk, after a power cut too: a cut one would be found, and only be built again.
        let directory = self.directory.join(key);
        match fs::rename(path, &directory) {
            Ok(()) => drop(built.directory.keep()),
            // Somebody else built the same meanwhile; whose it is makes no difference, since both are from the same.
            Err(_) if directory.join("result.json").is_file() => fs::remove_dir_all(&directory)
                .and_then(|()| fs::rename(path, &directory))
                .map(|()| drop(built.directory.keep()))
                .map_err(io)?,
            Err(error) => return Err(io(error)),
        }
        let headers = std::iter::once(built.source.header)
            .chain(built.binaries.into_iter().map(|taken| taken.header))
            .collect();
        hand_out(&directory, &note, headers, order).map_err(io)
    }
}

impl KeptResult {
    /// What the stage answers with.
    pub(super) fn outcome(
        self,
        key: String,
        reused: bool,
        order: &BuildOrder,
        timings: Vec<(Step, Duration)>,
    ) -> BuildOutcome {
        BuildOutcome {
            key,
            reused,
            result: ArchResult::Built {
                source: self.source,
                binaries: self.binaries,
            },
            files: self.files,
            log: order.log.clone(),
            timings,
        }
    }
}

/// It was used now. That this cannot be said harms nothing: it is built again some day.
fn touch(path: &Path) {
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: UTIME_NOW,
    };
    let now = Timestamps {
        last_access: now,
        last_modification: now,
    };
    if let Err(error) = utimensat(CWD, path, &now, AtFlags::empty()) {
        tracing::debug!(path = %path.display(), %error, "the use of a kept build cannot be noted: {error}");
    }
}

/// Reads an entry, and everything in it.
fn check(directory: &Path, key: &str) -> io::Result<(Note, Vec<Header>)> {
    let note: Note = serde_json::from_reader(BufReader::new(File::open(directory.join("result.json"))?))?;
    if note.format != FORMAT || note.key != key {
        return Err(io::Error::other("it is kept under another key"));
    }
    let mut headers = Vec::new();
    for entry in std::iter::once(&note.source).chain(&note.binaries) {
        let path = directory.join(&entry.file);
        if sha256_of(File::open(&path)?)? != (entry.sha256.clone(), entry.size) {
            return Err(io::Error::other(format!("{} is not what was built", path.display())));
        }
        headers.push(header::read(&mut BufReader::new(File::open(&path)?)).map_err(io::Error::other)?);
    }
    Ok((note, headers))
}

/// Puts the packages where the task has them: the same files, so that a large one is there once.
fn hand_out(directory: &Path, note: &Note, headers: Vec<Header>, order: &BuildOrder) -> io::Result<KeptResult> {
    fs::create_dir_all(&order.out)?;
    let mut files = BTreeMap::new();
    let mut all = Vec::with_capacity(headers.len());
    for (entry, header) in std::iter::once(&note.source).chain(&note.binaries).zip(headers) {
        let (from, to) = (directory.join(&entry.file), order.out.join(&entry.file));
        match fs::remove_file(&to) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        if fs::hard_link(&from, &to).is_err() {
            fs::copy(&from, &to)?;
        }
        files.insert(header.package.nevra(), to);
        all.push(Arc::new(header));
    }
    let source = all.remove(0);
    Ok(KeptResult {
        source,
        binaries: all,
        files,
    })
}

fn ago(age: Duration) -> String {
    let seconds = age.as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}
