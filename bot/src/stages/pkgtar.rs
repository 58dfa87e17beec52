//! Stage pkgtar: a tag becomes `pkg.tar`. Judging the tag again is done elsewhere.
//!
//! The same tag gives the same bytes, so what was made once is kept, named by the tag object, with its digest beside it. What is kept is
//! hashed again before it is used, and made anew when it does not match.

use std::fs::File;
use std::io::{self, BufWriter, Read as _, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;
use windlass_core::gear::{GearError, Limits, ObjectFault, Plan, Preamble, Scratch, ScratchFile, Value};
use windlass_core::hex::hex;
use windlass_core::id::{ObjectId, SubtaskNumber};
use windlass_core::repository::Problem;
use windlass_hooks::settings::Paths;

use super::{StageError, StopFlag};
use crate::git::GitObjects;

/// The version of what is kept: another one whenever the same tag gives other bytes than before.
const VERSION: &str = "v1";

/// The largest description of a kept archive.
const LARGEST_NOTE: u64 = 1 << 20;

/// What is made before its size is known stays in memory up to this many bytes.
const IN_MEMORY: usize = 4 << 20;

/// What is to be made.
#[derive(Debug, Clone)]
pub struct PkgTarOrder {
    /// The subtask, for what is told of it.
    pub subtask: SubtaskNumber,
    /// The source repository.
    pub git_dir: PathBuf,
    /// The tag object, judged good.
    pub tag: ObjectId,
    /// Where what was made is kept: [`kept`].
    pub kept: PathBuf,
    /// Where it is wanted.
    pub out: PathBuf,
}

/// Where archives are kept.
pub fn kept(paths: &Paths) -> PathBuf {
    paths.builds().join("pkgtar")
}

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PkgTar {
    /// Where it is: as ordered.
    pub path: PathBuf,
    /// Whether it was made before, for another run.
    pub reused: bool,
    /// What it is.
    pub about: About,
}

/// What an archive is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// Its SHA-256, 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// Its size in bytes.
    pub size: u64,
    /// The spec file's name in it.
    pub spec: String,
    /// Its label: the spec's name, after `type:` and a slash where the rules have that.
    pub label: String,
    /// The spec's name tag, as far as it is known before rpm reads it.
    pub name: Option<Told>,
    /// The epoch.
    pub epoch: Option<Told>,
    /// The version.
    pub version: Option<Told>,
    /// The release.
    pub release: Option<Told>,
    /// Its files, in order.
    pub files: Vec<FileIn>,
    /// What the packager should know.
    pub notes: Vec<String>,
}

/// A value of the spec.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Told {
    /// The text.
    pub text: String,
    /// Whether rpm is sure to see the same.
    pub certain: bool,
}

/// A file in an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileIn {
    /// Its name.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// What it comes from, as in `line 3: tar`.
    pub from: String,
}

/// Makes it, or takes what was made before. `log` hears what is in it.
///
/// # Errors
/// [`StageError::Failed`] when what was tagged cannot be exported, [`StageError::Infrastructure`] when the repository cannot be read or
/// nothing can be written, [`StageError::Stopped`].
pub fn run(order: &PkgTarOrder, stop: &StopFlag, log: &mut dyn Write) -> Result<PkgTar, StageError> {
    let shelf = Shelf::of(order);
    let mut reused = true;
    let about = if let Some(about) = shelf.take() {
        about
    } else {
        reused = false;
        make(order, &shelf, stop)?
    };
    hand_out(&shelf.archive, &order.out).map_err(|error| cannot("hand out", &order.out, &error))?;
    // A log that cannot be written fails no stage.
    let _ = tell(order, &about, reused, log);
    Ok(PkgTar {
        path: order.out.clone(),
        reused,
        about,
    })
}

fn tell(order: &PkgTarOrder, about: &About, reused: bool, log: &mut dyn Write) -> io::Result<()> {
    let how = if reused { ", made before" } else { "" };
    writeln!(log, "tag {}: {}, {} bytes{how}", order.tag, about.label, about.size)?;
    for file in &about.files {
        writeln!(log, "{:>12}  {}  ({})", file.size, file.name, file.from)?;
    }
    for note in &about.notes {
        writeln!(log, "note: {note}")?;
    }
    writeln!(log, "sha256 {}", about.sha256)
}

/// Where one tag's archive is kept.
struct Shelf {
    dir: PathBuf,
    archive: PathBuf,
    note: PathBuf,
}

impl Shelf {
    fn of(order: &PkgTarOrder) -> Self {
        let (tag, dir) = (order.tag.as_str(), order.kept.join(VERSION));
        Self {
            archive: dir.join(format!("{tag}.tar")),
            note: dir.join(format!("{tag}.json")),
            dir,
        }
    }

    /// What is kept, if it is whole.
    fn take(&self) -> Option<About> {
        let mut text = String::new();
        File::open(&self.note)
            .ok()?
            .take(LARGEST_NOTE)
            .read_to_string(&mut text)
            .ok()?;
        let about: About = serde_json::from_str(&text).ok()?;
        let mut hasher = Hashing::new(io::sink());
        let size = io::copy(&mut File::open(&self.archive).ok()?.take(about.size + 1), &mut hasher).ok()?;
        if size == about.size && hasher.digest() == about.sha256 {
            return Some(about);
        }
        tracing::warn!(path = %self.archive.display(), "{} is not what was kept: it is made anew", self.archive.display());
        None
    }
}

fn make(order: &PkgTarOrder, shelf: &Shelf, stop: &StopFlag) -> Result<About, StageError> {
    let objects = GitObjects::at(&order.git_dir)
        .map_err(|error| StageError::infrastructure(error.to_string()))?
        .until(stop.clone());
    let limits = Limits::default();
    let wrong = |error| failure(order.subtask, error);
    let plan = Plan::of(&objects, &order.tag, &limits).map_err(wrong)?;
    let io = |error: io::Error| cannot("write", &shelf.dir, &error);
    std::fs::create_dir_all(&shelf.dir).map_err(io)?;
    let file = NamedTempFile::with_prefix_in(".tmp-", &shelf.dir).map_err(io)?;
    let mut out = Hashing::new(BufWriter::with_capacity(256 << 10, file));
    let mut files = Vec::new();
    let mut notes = plan.notes.clone();
    let scratch = Spooled { dir: shelf.dir.clone() };
    let size = plan
        .write((&objects, &limits), &scratch, &mut out, &mut |written| {
            files.push(FileIn {
                name: written.member.name.clone(),
                size: written.size,
                from: written.member.from.clone(),
            });
            notes.extend(written.note());
        })
        .map_err(wrong)?;
    let sha256 = out.digest();
    let file = out
        .out
        .into_inner()
        .map_err(io::IntoInnerError::into_error)
        .map_err(io)?;
    file.as_file().sync_all().map_err(io)?;
    file.as_file()
        .set_permissions(std::fs::Permissions::from_mode(0o444))
        .map_err(io)?;
    file.persist(&shelf.archive).map_err(|error| io(error.error))?;
    let told = |value: &Option<Value>| {
        value.as_ref().map(|value| Told {
            text: value.text.clone(),
            certain: value.certain,
        })
    };
    let Preamble {
        name,
        epoch,
        version,
        release,
    } = &plan.preamble;
    let about = About {
        sha256,
        size,
        label: plan.label(),
        name: told(name),
        epoch: told(epoch),
        version: told(version),
        release: told(release),
        spec: plan.spec,
        files,
        notes,
    };
    // The description comes last: what has none is not taken.
    let mut note = NamedTempFile::with_prefix_in(".tmp-", &shelf.dir).map_err(io)?;
    let text = serde_json::to_vec_pretty(&about).map_err(|error| io(error.into()))?;
    note.write_all(&text).map_err(io)?;
    note.as_file().sync_all().map_err(io)?;
    note.persist(&shelf.note).map_err(|error| io(error.error))?;
    Ok(about)
}

/// Puts what is kept where it is wanted: the same file under another name, or a copy.
fn hand_out(archive: &Path, out: &Path) -> io::Result<()> {
    let dir = out.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(dir)?;
    match std::fs::remove_file(out) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    if std::fs::hard_link(archive, out).is_ok() {
        return Ok(());
    }
    // Another file system.
    let mut copy = NamedTempFile::with_prefix_in(".tmp-", dir)?;
    io::copy(&mut File::open(archive)?, &mut copy)?;
    copy.as_file().set_permissions(std::fs::Permissions::from_mode(0o444))?;
    copy.persist(out)?;
    Ok(())
}

fn cannot(what: &str, path: &Path, error: &io::Error) -> StageError {
    StageError::io(&format!("cannot {what} pkg.tar in '{}'", path.display()), error)
}

/// Whose fault it is that there is no archive.
fn failure(subtask: SubtaskNumber, error: GearError) -> StageError {
    match error {
        GearError::Refused(refusal) => StageError::package(Problem {
            code: refusal.code,
            subtask: Some(subtask),
            arch: None,
            message: refusal.message,
            hint: refusal.hint,
        }),
        GearError::Objects(ObjectFault::Stopped) => StageError::Stopped,
        error @ (GearError::Objects(_) | GearError::Io(_)) => StageError::infrastructure(error.to_string()),
    }
}

/// Scratch files: in memory while they are small, then without a name in a directory.
#[derive(Debug)]
pub struct Spooled {
    /// The directory.
    pub dir: PathBuf,
}

impl Scratch for Spooled {
    fn file(&self) -> io::Result<Box<dyn ScratchFile + '_>> {
        Ok(Box::new(tempfile::spooled_tempfile_in(IN_MEMORY, &self.dir)))
    }
}

/// Hashes what goes through.
struct Hashing<W> {
    out: W,
    sha256: Sha256,
}

impl<W> Hashing<W> {
    fn new(out: W) -> Self {
        Self {
            out,
            sha256: Sha256::new(),
        }
    }

    fn digest(&self) -> String {
        hex(&self.sha256.clone().finalize())
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.sha256.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
