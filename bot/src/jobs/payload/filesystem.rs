//! A file system, made in a sandbox: nothing of this machine goes into it, and scriptlets of packages get no further than there.
//!
//! Packages are installed by rpm into an empty root as the sandbox's root, who is nobody outside; an image's files are unpacked there. What
//! `make.sh` then makes of it depends on nothing but that: no clock, no random number, no order of a directory.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use windlass_core::escape::escaped_bytes;
use windlass_core::id::ArchName;

use super::files::{self, Words};
use super::inputs::{Content, From};
use crate::devices::gpt::fixed_uuid;
use crate::jobs::Trouble;
use crate::jobs::logs::Log;
use crate::sandbox::{Builder, Command, Limit, Role, Sandbox, SandboxError, Target, Values};
use crate::stages::StopFlag;

/// What makes the file system.
pub(super) const SCRIPT: &str = include_str!("make.sh");

/// How much a command may say.
const LONGEST: u64 = 1 << 20;

/// How much of that is told where it fails.
const TOLD: usize = 40;

/// Makes file systems.
pub(super) struct Maker<'a> {
    pub(super) builder: &'a Builder,
    pub(super) arch: &'a ArchName,
    /// Where rpm has its database in them.
    pub(super) database: &'a Path,
    pub(super) words: Words<'a>,
    pub(super) log: &'a Log,
    pub(super) stop: &'a StopFlag,
}

impl Maker<'_> {
    /// Makes one, into a new file.
    pub(super) fn make(&self, content: &Content, out: &Path) -> Result<(), Trouble> {
        let name = &content.partition.name;
        let made = self.in_sandbox(content, out);
        made.map_err(|wrong| match wrong {
            Wrong::Sandbox(error) => trouble(&format!("partition {name}"), &error),
            Wrong::Io(error) => Trouble::transient(format!("partition {name}: {error}")),
            Wrong::Said { doing, said } => {
                Trouble::lasting(format!("partition {name}: {doing} failed:\n  {}", said.join("\n  ")))
            }
        })
    }

    fn in_sandbox(&self, content: &Content, out: &Path) -> Result<(), Wrong> {
        let (host, target) = self.builder.site(self.arch, self.stop)?;
        let values = Values {
            dist: None,
            database: host.database.as_deref(),
        };
        let macros = target.macros(self.builder.settings(), &values);
        let mut session = Session {
            sandbox: self.builder.start(&target, &macros, &host, self.stop)?,
            log: self.log,
            at: content.newest,
        };
        session.run("mkdir", &["mkdir", "-m", "755", "/build/root"], &[])?;
        match &content.from {
            From::Packages(chosen) if !chosen.is_empty() => {
                let list: Vec<&str> = chosen.iter().map(|one| one.nevra.as_str()).collect();
                let partition = &content.partition.name;
                self.log.say(&format!("into partition {partition}: {}", list.join(" ")));
                let database = format!("_dbpath {}", self.database.display());
                let mut words = target.command(&["rpm", "--root", "/build/root", "--define", &database]);
                words.extend(["-i", "--nosignature", "--ignorearch"].map(str::to_owned));
                for (at, one) in chosen.iter().enumerate() {
                    let file = format!("{at}.rpm");
                    let package = File::open(&one.file)?;
                    session.sandbox.bring(&file, package.as_fd())?;
                    words.push(format!("/run/packages/{file}"));
                }
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                session.run("the installation of its packages", &words, &[])?;
            }
            From::Image(tree) => {
                (&tree.archive).seek(SeekFrom::Start(0))?;
                session.sandbox.bring("tree.tar", tree.archive.as_fd())?;
                let devices = ["--exclude=dev/*", "--exclude=./dev/*"];
                let mut words = vec!["tar", "--extract", "--file", "/run/packages/tree.tar"];
                words.extend(devices);
                words.extend(["--directory", "/build/root", "--numeric-owner", "--same-permissions"]);
                session.run("unpacking the image", &words, &[])?;
            }
            From::Packages(_) | From::Source(_) => {}
        }
        self.finish(&mut session, content)?;
        copy(&session.sandbox.read("build/image")?, out)?;
        Ok(())
    }

    /// Has the script make it of what is there by now.
    fn finish(&self, session: &mut Session<'_>, content: &Content) -> Result<(), Wrong> {
        let partition = &content.partition;
        let mut script = tempfile::tempfile()?;
        io::copy(&mut SCRIPT.as_bytes(), &mut script)?;
        script.rewind()?;
        session.sandbox.bring("make.sh", script.as_fd())?;
        if let Some(files) = files::archive(&partition.files, &self.words, content.newest)? {
            session.sandbox.bring("files.tar", files.as_fd())?;
        }
        let kib = |size: Option<windlass_hooks::settings::Size>| size.map_or(0, |size| size.bytes() / 1024).to_string();
        let settings = [
            ("LABEL", partition.name.to_string()),
            ("UUID", fixed_uuid(&format!("file system {}", partition.name))),
            ("DATABASE", self.database.display().to_string()),
            ("KIB", kib(partition.size)),
            ("SLACK_KIB", kib(partition.slack)),
        ];
        session.run("making the file system", &["sh", "/run/packages/make.sh"], &settings)
    }
}

/// A sandbox in which a file system comes to be.
struct Session<'a> {
    sandbox: Sandbox,
    log: &'a Log,
    at: i64,
}

impl Session<'_> {
    /// Runs a command as root; what it says goes into the log.
    fn run(&mut self, doing: &'static str, words: &[&str], settings: &[(&str, String)]) -> Result<(), Wrong> {
        let mut env = Target::root_environment();
        env.push(("SOURCE_DATE_EPOCH".to_owned(), self.at.to_string()));
        env.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        let command = Command {
            role: Role::Root,
            argv: words.iter().map(|word| (*word).to_owned()).collect(),
            env,
            log: LONGEST,
        };
        let mut said = tempfile::tempfile()?;
        let to: BorrowedFd<'_> = said.as_fd();
        let ended = self.sandbox.run(command, to)?;
        let mut text = Vec::new();
        said.rewind()?;
        said.take(LONGEST).read_to_end(&mut text)?;
        let lines: Vec<String> = text
            .split(|byte| *byte == b'\n')
            .map(|line| escaped_bytes(line.trim_ascii_end()))
            .filter(|line| !line.is_empty())
            .collect();
        for line in &lines {
            self.log.say(line);
        }
        if ended.code == Some(0) {
            return Ok(());
        }
        let last = lines.len().saturating_sub(TOLD);
        Err(Wrong::Said {
            doing,
            said: lines[last..].to_vec(),
        })
    }
}

/// Why there is no file system.
enum Wrong {
    Sandbox(SandboxError),
    Io(io::Error),
    /// A command ended with an error, and said this.
    Said {
        doing: &'static str,
        said: Vec<String>,
    },
}

impl std::convert::From<SandboxError> for Wrong {
    fn from(error: SandboxError) -> Self {
        Self::Sandbox(error)
    }
}

impl std::convert::From<io::Error> for Wrong {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

fn trouble(what: &str, error: &SandboxError) -> Trouble {
    match error {
        SandboxError::Limit(limit) => {
            let way_out = match limit {
                Limit::Disk => "\n\nhint: it is made in memory: [build] disk says of how much",
                Limit::Memory => "\n\nhint: [build] memory says how much there is",
                Limit::Time(_) => "\n\nhint: [build] timeout says how long it may take",
                Limit::Processes | Limit::Log => "",
            };
            Trouble::lasting(format!("{what}: {error}{way_out}"))
        }
        SandboxError::Refused(_) => Trouble::lasting(format!("{what}: {error}")),
        SandboxError::Stopped
        | SandboxError::Broken(_)
        | SandboxError::Lost(_)
        | SandboxError::NoEngine { .. }
        | SandboxError::Ended(_) => Trouble::transient(format!("{what}: {error}")),
    }
}

/// Copies a file; what is zero in it is a hole in the copy.
pub(super) fn copy(from: &File, out: &Path) -> io::Result<()> {
    let to = File::create_new(out)?;
    let size = from.metadata()?.len();
    to.set_len(size)?;
    let mut buffer = vec![0; 1 << 20];
    let mut at = 0;
    while at < size {
        let length = usize::try_from(size - at).map_or(buffer.len(), |left| left.min(buffer.len()));
        let piece = &mut buffer[..length];
        from.read_exact_at(piece, at)?;
        if piece.iter().any(|byte| *byte != 0) {
            to.write_all_at(piece, at)?;
        }
        at += length as u64;
    }
    Ok(())
}
