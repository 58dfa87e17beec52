//! A build under way: its sandbox, started when the first thing has to be run, and its log.

use std::cell::Cell;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use windlass_core::rpm::{Header, Requirement, header};

use super::root::{Member, Root};
use super::{BuildOrder, Clock, Lost, Step, failure};
use crate::sandbox::{Builder, Command, Ended, Host, Installation, Role, Sandbox, Target};
use crate::stages::{StageError, StopFlag};

/// Where the sources are, in the sandbox.
const SOURCES: &str = "/build/SOURCES";

/// Where a source package goes that is only made to be read.
const ASKED: &str = "build/home/asked";

/// rpmbuild's exit status when a package needs more to say what it needs.
const MORE_NEEDED: i32 = 11;

/// The longest header of a package that is read.
const LONGEST_HEADER: u64 = 64 << 20;

/// How much rpm may say when it installs a build root.
const LONGEST_INSTALL: u64 = 1 << 20;

/// A build under way.
pub(super) struct Work<'o> {
    pub(super) builder: &'o Builder,
    pub(super) order: &'o BuildOrder,
    place: Place<'o>,
    log: File,
    started: Option<Started>,
}

/// What is built, and what is known of where.
#[derive(Clone, Copy)]
pub(super) struct Place<'o> {
    pub(super) builder: &'o Builder,
    pub(super) order: &'o BuildOrder,
    pub(super) stop: &'o StopFlag,
    pub(super) target: &'o Target,
    pub(super) macros: &'o str,
    pub(super) host: &'o Host,
    /// Gets why it is worth another try, if it is.
    pub(super) lost: &'o Cell<Option<Lost>>,
    /// Whether there was no other try; one that was has its words in the log.
    pub(super) is_first: bool,
}

/// What there is once something runs.
struct Started {
    sandbox: Sandbox,
    /// What the sources are dated, in seconds since 1970.
    date: u64,
    /// What is installed, by name-version-release.architecture.
    installed: Vec<String>,
}

impl<'o> Work<'o> {
    pub(super) fn new(place: Place<'o>) -> Result<Self, StageError> {
        let order = place.order;
        let log = open_log(&order.log, place.is_first)
            .map_err(|error| StageError::io(&format!("the log {}", order.log.display()), &error))?;
        Ok(Self {
            builder: place.builder,
            order,
            place,
            log,
            started: None,
        })
    }

    /// Whether anything was run.
    pub(super) fn is_started(&self) -> bool {
        self.started.is_some()
    }

    /// Adds a line of ours to the log.
    pub(super) fn say(&self, line: &str) {
        let mut log = &self.log;
        if let Err(error) = writeln!(log, "windlass: {line}") {
            tracing::warn!(path = %self.order.log.display(), %error, "a log cannot be written: {error}");
        }
    }

    /// The sandbox, with the sources in it.
    pub(super) fn sandbox(&mut self, clock: &mut Clock) -> Result<&mut Sandbox, StageError> {
        if self.started.is_none() {
            let place = self.place;
            let started = self.builder.start(place.target, place.macros, place.host, place.stop);
            let mut sandbox = started.map_err(|error| self.failed(error))?;
            if let Some(builder) = sandbox.place() {
                self.say(&format!("in containers on builder {builder}"));
            }
            clock.lap(Step::Sandbox);
            let archive = File::open(&self.order.pkgtar)
                .map_err(|error| StageError::io(&format!("{}", self.order.pkgtar.display()), &error))?;
            let date = sandbox.unpack(archive.as_fd()).map_err(|error| self.failed(error))?;
            clock.lap(Step::Unpack);
            self.started = Some(Started {
                sandbox,
                date,
                // It came with the tree.
                installed: vec![self.place.host.package.nevra()],
            });
        }
        match &mut self.started {
            Some(started) => Ok(&mut started.sandbox),
            None => Err(StageError::infrastructure("the sandbox has not started")),
        }
    }

    /// What rpm says that the package needs, before anything is installed.
    pub(super) fn ask(&mut self, clock: &mut Clock) -> Result<Header, StageError> {
        let define = format!("_srcrpmdir /{ASKED}");
        let spec = self.spec();
        let arch = self.order.arch.clone();
        let words = [
            "rpmbuild",
            "-bs",
            "--nodeps",
            "--target",
            arch.as_str(),
            "--define",
            &define,
            &spec,
        ];
        let ended = self.rpmbuild(&words, clock)?;
        if ended.code != Some(0) {
            return Err(failure::of_log(self.order, &ended));
        }
        self.asked()
    }

    /// Whether rpm goes on with a package on this architecture, which it decides by more than the lists in the package.
    pub(super) fn is_for_us(&mut self, clock: &mut Clock) -> Result<bool, StageError> {
        let spec = self.spec();
        let arch = self.order.arch.clone();
        let words = [
            "rpmbuild",
            "-bp",
            "--nobuild",
            "--nodeps",
            "--target",
            arch.as_str(),
            &spec,
        ];
        Ok(self.rpmbuild(&words, clock)?.code == Some(0))
    }

    /// What the package needs beside what is installed; nothing if it needs no more.
    pub(super) fn ask_again(&mut self, clock: &mut Clock) -> Result<Vec<Requirement>, StageError> {
        let define = format!("_srcrpmdir /{ASKED}");
        let spec = self.spec();
        let arch = self.order.arch.clone();
        let words = ["rpmbuild", "-br", "--target", arch.as_str(), "--define", &define, &spec];
        let ended = self.rpmbuild(&words, clock)?;
        match ended.code {
            Some(0 | MORE_NEEDED) => Ok(self.asked()?.package.requires.clone()),
            _ => Err(failure::of_log(self.order, &ended)),
        }
    }

    /// Reads the source package that rpm made to be read.
    fn asked(&mut self) -> Result<Header, StageError> {
        let names = self.names(ASKED)?;
        // The newest question's answer has the longer name; the others are of the questions before.
        let name = names
            .iter()
            .filter(|name| Path::new(name).extension().is_some_and(|extension| extension == "rpm"))
            .max_by_key(|name| name.contains(".buildreqs."))
            .ok_or_else(|| failure::strange(self.order, "rpmbuild made no source package"))?
            .clone();
        self.header(&format!("{ASKED}/{name}"))
    }

    fn names(&mut self, directory: &str) -> Result<Vec<String>, StageError> {
        let most = self.builder.settings().max_packages as usize;
        let found = match &mut self.started {
            Some(started) => started.sandbox.names(directory, most),
            None => Ok(Vec::new()),
        };
        found.map_err(|error| self.failed(error))
    }

    /// The names of the files in a directory of results.
    pub(super) fn results(&mut self, directory: &str) -> Result<Vec<String>, StageError> {
        self.names(directory)
    }

    /// Opens what the build left.
    pub(super) fn open(&mut self, path: &str) -> Result<File, StageError> {
        let opened = match &mut self.started {
            Some(started) => started.sandbox.read(path),
            None => return Err(StageError::infrastructure("the sandbox has not started")),
        };
        opened.map_err(|error| self.failed(error))
    }

    fn header(&mut self, path: &str) -> Result<Header, StageError> {
        let file = self.open(path)?;
        header::read(&mut io::BufReader::new(file.take(LONGEST_HEADER)))
            .map_err(|error| failure::strange(self.order, &format!("/{path} is no package: {error}")))
    }

    /// Installs a build root, or what is missing of it.
    pub(super) fn install(&mut self, root: &Root, clock: &mut Clock) -> Result<(), StageError> {
        self.sandbox(clock)?;
        let Some(started) = &mut self.started else {
            return Ok(());
        };
        let missing: Vec<&Member> = root
            .members
            .iter()
            .filter(|member| !started.installed.contains(&member.nevra))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let list: Vec<&str> = missing.iter().map(|member| member.nevra.as_str()).collect();
        let line = format!("windlass: into the build root: {}\n", list.join(" "));
        let _ = (&self.log).write_all(line.as_bytes());
        let done = install(&mut started.sandbox, self.place.target, &missing);
        let said = match done {
            Ok(None) => {
                started
                    .installed
                    .extend(missing.iter().map(|member| member.nevra.clone()));
                clock.lap(Step::Root);
                return Ok(());
            }
            Ok(Some(said)) => said,
            Err(error) => return Err(self.failed(error)),
        };
        let _ = (&self.log).write_all(said.as_bytes());
        // A file that is damaged is no fault of the package that is built.
        if let Some(damaged) = missing.iter().find(|member| member.is_damaged()) {
            let message = format!(
                "{} is not the file that its repository names: '{}' cannot be installed into build roots\n\nhint: `windlass repo verify` \
                 finds all damaged files",
                damaged.path().display(),
                damaged.nevra
            );
            return Err(StageError::infrastructure(message));
        }
        Err(failure::of_root(self.order, &said))
    }

    /// Builds. If the package turns out to need more than it said, nothing is built, and that is the answer.
    pub(super) fn build(&mut self, clock: &mut Clock) -> Result<Option<Vec<Requirement>>, StageError> {
        let spec = self.spec();
        let arch = self.order.arch.clone();
        let define = format!("_srcrpmdir /{ASKED}");
        let ended = self.rpmbuild(&["rpmbuild", "-ba", "--target", arch.as_str(), &spec], clock)?;
        clock.lap(Step::Build);
        match ended.code {
            Some(0) => Ok(None),
            Some(MORE_NEEDED) => {
                let words = ["rpmbuild", "-br", "--target", arch.as_str(), "--define", &define, &spec];
                let asked = self.rpmbuild(&words, clock)?;
                clock.lap(Step::Requires);
                if asked.code == Some(MORE_NEEDED) {
                    Ok(Some(self.asked()?.package.requires.clone()))
                } else {
                    Err(failure::of_log(self.order, &ended))
                }
            }
            _ => Err(failure::of_log(self.order, &ended)),
        }
    }

    fn spec(&self) -> String {
        format!("{SOURCES}/{}", self.order.spec)
    }

    fn rpmbuild(&mut self, words: &[&str], clock: &mut Clock) -> Result<Ended, StageError> {
        self.sandbox(clock)?;
        let settings = self.builder.settings();
        let Some(started) = &mut self.started else {
            return Err(StageError::infrastructure("the sandbox has not started"));
        };
        let command = Command {
            role: Role::Builder,
            argv: self.place.target.command(words),
            env: self.place.target.environment(settings, started.date),
            log: settings.log.bytes(),
        };
        let _ = (&self.log).write_all(format!("+ {}\n", words.join(" ")).as_bytes());
        let ended = started.sandbox.run(command, self.log.as_fd());
        ended.map_err(|error| self.failed(error))
    }

    /// What an error of the sandbox means to whoever reads the task.
    pub(super) fn failed(&self, error: crate::sandbox::SandboxError) -> StageError {
        let error = failure::of_sandbox(self.order, self.builder.settings(), error, self.place.lost);
        if let StageError::Failed { problems, .. } = &error {
            for problem in problems {
                self.say(&problem.message);
            }
        }
        error
    }
}

/// Installs packages with rpm itself; gives back what it said if it did not.
fn install(
    sandbox: &mut Sandbox,
    target: &Target,
    missing: &[&Member],
) -> Result<Option<String>, crate::sandbox::SandboxError> {
    let mut directories: Vec<String> = missing
        .iter()
        .flat_map(|member| member.directories.iter().cloned())
        .collect();
    directories.sort();
    directories.dedup();
    if !directories.is_empty() {
        sandbox.open(directories)?;
    }
    let mut words = vec!["rpm".to_owned(), "-i".to_owned(), "--nosignature".to_owned()];
    for (at, member) in missing.iter().enumerate() {
        let name = format!("{at}.rpm");
        sandbox.bring(&name, member.open()?.as_fd())?;
        words.push(format!("/run/packages/{name}"));
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let order = Installation {
        rpm: target.command(&words),
        libraries: missing.iter().any(|member| member.has_libraries),
        env: Target::root_environment(),
        log: LONGEST_INSTALL,
    };
    let mut said = tempfile::tempfile()?;
    if sandbox.install(&order, said.as_fd())?.code == Some(0) {
        return Ok(None);
    }
    let mut text = Vec::new();
    io::Seek::rewind(&mut said)?;
    said.take(2 * LONGEST_INSTALL).read_to_end(&mut text)?;
    let lines = text
        .split(|byte| *byte == b'\n')
        .map(|line| windlass_core::escape::escaped_bytes(line.trim_ascii()));
    Ok(Some(lines.collect::<Vec<_>>().join("\n")))
}

/// Everybody who adds to it adds to its end.
fn open_log(path: &Path, is_new: bool) -> io::Result<File> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    let mut open = OpenOptions::new();
    open.append(true).mode(0o640);
    if !is_new {
        return open.create(true).open(path);
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    open.create_new(true).open(path)
}

/// Adds to a log that is not open.
pub(super) fn append(path: &Path, text: &str) {
    let written = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o640)
        .open(path)
        .and_then(|mut log| log.write_all(text.as_bytes()));
    if let Err(error) = written {
        tracing::warn!(path = %path.display(), %error, "a log cannot be written: {error}");
    }
}
