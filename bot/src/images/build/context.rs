//! The context of one build: a directory of its own for what `.pre` makes, and the list of everything that the build gets to see.
//!
//! The directory is the user's alone and goes with this value, on every way out. What is in the person's own directory stays where it is.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::binfmt::{self, Place};
use super::error::BuildError;
use super::executable::{Host, Piece};
use super::family::Member;
use super::ignored::Ignored;
use super::pre::{self, Outcome};
use super::request::Pre;
use super::tree::{Nothing, Tree};

/// What the machine offers to a context; tests bring their own.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Where libraries are found.
    pub host: Host,
    /// Where the kernel shows what it starts.
    pub binfmt: PathBuf,
}

impl Default for Machine {
    fn default() -> Self {
        Self {
            host: Host::default(),
            binfmt: binfmt::ENTRIES.into(),
        }
    }
}

/// What a build gets to see.
#[derive(Debug)]
pub struct Context {
    /// Everything.
    pub tree: Tree,
    /// What `.pre` made, alone; nothing where it was not run.
    pub made: Option<Tree>,
    /// The executable and its libraries.
    pub pieces: Vec<Piece>,
    /// What there is to say about them.
    pub notes: Vec<String>,
    _dir: Option<TempDir>,
}

/// What came of preparing one.
#[derive(Debug)]
pub enum Prepared {
    /// It is there.
    Ready(Box<Context>),
    /// `.pre` says that the image cannot be built here.
    Skipped(String),
}

/// Lists what a build would get to see, without running anything.
///
/// # Errors
/// Something is not there or cannot be read.
pub fn look(member: &Member, machine: &Machine) -> Result<Context, BuildError> {
    gather(member, machine, None)
}

/// Runs `.pre`, and lists what the build gets to see.
///
/// # Errors
/// The script fails; something is not there or cannot be read.
pub async fn prepare(
    member: &Member,
    machine: &Machine,
    say: &mut (dyn FnMut(&str) + Send),
) -> Result<Prepared, BuildError> {
    let request = &member.request;
    let script = pre::script_of(&request.dockerfile);
    if std::fs::symlink_metadata(&script).is_err() {
        return Ok(Prepared::Ready(Box::new(gather(member, machine, None)?)));
    }
    let Pre::Run(timeout) = request.pre else {
        return Err(BuildError::PreRefused(script));
    };
    let dir = tempfile::Builder::new()
        .prefix("windlass-build-")
        .tempdir()
        .map_err(BuildError::file(&std::env::temp_dir()))?;
    if let Outcome::Skipped(why) =
        pre::run_with(&request.dockerfile, dir.path(), &request.environment, timeout, say).await?
    {
        return Ok(Prepared::Skipped(why));
    }
    Ok(Prepared::Ready(Box::new(gather(member, machine, Some(dir))?)))
}

fn gather(member: &Member, machine: &Machine, made: Option<TempDir>) -> Result<Context, BuildError> {
    let what = &member.request.what;
    let limits = member.request.limits;
    let mut tree = Tree::new(limits);
    if let Some(folder) = &what.context {
        let ignored = Ignored::of(folder, &member.request.dockerfile)?;
        tree.add_folder(folder, &ignored)?;
    }
    let mut alone = None;
    if let Some(dir) = &made {
        tree.add_folder(dir.path(), &Nothing)?;
        let mut only = Tree::new(limits);
        only.add_folder(dir.path(), &Nothing)?;
        alone = Some(only);
    }
    tree.add_files(&what.extra_files)?;
    let mut notes = Vec::new();
    let mut pieces = Vec::new();
    if let Some(executable) = &what.executable {
        let place = place(executable, what.skip_binfmt, machine, &mut notes)?;
        let closure = machine.host.closure(executable, place.as_deref())?;
        tree.add_pieces(&closure.pieces)?;
        notes.extend(closure.notes);
        pieces = closure.pieces;
    }
    Ok(Context {
        tree,
        made: alone,
        pieces,
        notes,
        _dir: made,
    })
}

/// Where an executable goes in the image; nowhere, where only its libraries are wanted.
///
/// # Errors
/// The kernel does not start it.
pub fn place(
    executable: &Path,
    skip_binfmt: bool,
    machine: &Machine,
    notes: &mut Vec<String>,
) -> Result<Option<PathBuf>, BuildError> {
    if skip_binfmt {
        let own = std::path::absolute(executable).map_err(BuildError::file(executable))?;
        return Ok(Some(own));
    }
    let registered = binfmt::look_up(&machine.binfmt, executable)?;
    notes.extend(registered.note);
    Ok(match registered.place {
        Place::At(path) => Some(path),
        Place::LibrariesOnly => None,
    })
}
