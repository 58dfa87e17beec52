//! What an instruction says, as values.
//!
//! Texts stand here as they are written, with quotes and variables, until a [`Scope`](super::scope::Scope) gives the same
//! instruction with everything filled in. What never has variables (the commands of RUN, CMD, ENTRYPOINT, HEALTHCHECK,
//! SHELL) stays as it is.

use std::time::Duration;

use super::heredoc::Heredoc;
use super::problem::Lines;

/// One instruction below a FROM, or an ARG above the first one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instruction {
    /// Where it stands, with its continuations and heredocs.
    pub lines: Lines,
    /// What it says.
    pub kind: Kind,
}

/// What an instruction says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// `ADD`.
    Add(Add),
    /// `ARG`: one or several names, each with its default, if it has one.
    Arg(Vec<Argument>),
    /// `CMD`.
    Cmd(CommandLine),
    /// `COPY`.
    Copy(Copy),
    /// `ENTRYPOINT`.
    Entrypoint(CommandLine),
    /// `ENV`.
    Env(Vec<Pair>),
    /// `EXPOSE`: ports, as in `80/tcp` or `8000-8010`.
    Expose(Vec<String>),
    /// `HEALTHCHECK`.
    Healthcheck(Healthcheck),
    /// `LABEL`.
    Label(Vec<Pair>),
    /// `MAINTAINER`.
    Maintainer(String),
    /// `ONBUILD`: carried out by the images that are built on this one.
    Onbuild(Trigger),
    /// `RUN`.
    Run(Run),
    /// `SHELL`: what the shell form of later instructions is run by.
    Shell(Vec<String>),
    /// `STOPSIGNAL`.
    Stopsignal(String),
    /// `USER`.
    User(String),
    /// `VOLUME`.
    Volume(Vec<String>),
    /// `WORKDIR`.
    Workdir(String),
}

impl Kind {
    /// The instruction's name, in capitals.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Add(_) => "ADD",
            Self::Arg(_) => "ARG",
            Self::Cmd(_) => "CMD",
            Self::Copy(_) => "COPY",
            Self::Entrypoint(_) => "ENTRYPOINT",
            Self::Env(_) => "ENV",
            Self::Expose(_) => "EXPOSE",
            Self::Healthcheck(_) => "HEALTHCHECK",
            Self::Label(_) => "LABEL",
            Self::Maintainer(_) => "MAINTAINER",
            Self::Onbuild(_) => "ONBUILD",
            Self::Run(_) => "RUN",
            Self::Shell(_) => "SHELL",
            Self::Stopsignal(_) => "STOPSIGNAL",
            Self::User(_) => "USER",
            Self::Volume(_) => "VOLUME",
            Self::Workdir(_) => "WORKDIR",
        }
    }

    /// What it says as an `ADD`, where it is one.
    pub fn as_add(&self) -> Option<&Add> {
        if let Self::Add(add) = self { Some(add) } else { None }
    }

    /// What it says as a `COPY`, where it is one.
    pub fn as_copy(&self) -> Option<&Copy> {
        if let Self::Copy(copy) = self { Some(copy) } else { None }
    }

    /// What it says as an `ONBUILD`, where it is one.
    pub fn as_onbuild(&self) -> Option<&Trigger> {
        if let Self::Onbuild(trigger) = self {
            Some(trigger)
        } else {
            None
        }
    }

    /// What it says as a `RUN`, where it is one.
    pub fn as_run(&self) -> Option<&Run> {
        if let Self::Run(run) = self { Some(run) } else { None }
    }

    /// What it copies where to, where it is a `COPY` or an `ADD`.
    pub fn transfer(&self) -> Option<&Transfer> {
        let added = self.as_add().map(|add| &add.transfer);
        added.or_else(|| self.as_copy().map(|copy| &copy.transfer))
    }
}

/// All names of instructions.
pub(super) const NAMES: [&str; 18] = [
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// A name and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// Before the `=`.
    pub name: String,
    /// Behind it.
    pub value: String,
}

/// A build argument that a Dockerfile declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argument {
    /// Its name.
    pub name: String,
    /// What it is where nobody says otherwise.
    pub default: Option<String>,
}

/// A command in one of its two forms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandLine {
    /// `["program", "argument"]`: run as it is. Empty, it takes a command away that a base has.
    Exec(Vec<String>),
    /// A text for the shell.
    Shell(String),
}

/// What COPY and ADD have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// What is copied, in order.
    pub sources: Vec<Source>,
    /// Where it goes.
    pub destination: String,
    /// `--chown=`: user and group, by name or number.
    pub chown: Option<String>,
    /// `--chmod=`.
    pub chmod: Option<String>,
    /// `--link`.
    pub link: bool,
    /// `--exclude=`, each of them.
    pub exclude: Vec<String>,
}

/// One source of COPY or ADD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A path, a pattern, or, for ADD, an address.
    Path(String),
    /// A file that stands in the Dockerfile itself.
    Inline(Heredoc),
}

/// `COPY`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// What goes where, and whose it becomes.
    pub transfer: Transfer,
    /// `--from=`: a stage, by name or number, or an image.
    pub from: Option<String>,
    /// `--parents`: directories above a source are made, too.
    pub parents: bool,
}

/// `ADD`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Add {
    /// What goes where, and whose it becomes.
    pub transfer: Transfer,
    /// `--checksum=`: what the file from an address must have.
    pub checksum: Option<String>,
    /// `--keep-git-dir`.
    pub keep_git_dir: Option<bool>,
    /// `--unpack`: whether archives are unpacked; without it, local ones are.
    pub unpack: Option<bool>,
}

/// `RUN`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// What is run.
    pub command: CommandLine,
    /// What the command's `<<` stand for.
    pub heredocs: Vec<Heredoc>,
    /// `--mount=`, each of them.
    pub mounts: Vec<Mount>,
    /// `--network=`: `default`, `none` or `host`.
    pub network: Option<String>,
    /// `--security=`: `sandbox` or `insecure`.
    pub security: Option<String>,
    /// `--device=`, each of them.
    pub devices: Vec<String>,
}

/// What a RUN sees besides the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Of what kind it is; a variable in it leaves that open.
    pub kind: MountKind,
    /// `from=`: a stage, by name, or an image.
    pub from: Option<String>,
    /// `source=`, or `src=`.
    pub source: Option<String>,
    /// `target=`, `dst=` or `destination=`.
    pub target: Option<String>,
    /// Everything else, in order: `readonly`, `id=…`, `sharing=…`.
    pub options: Vec<(String, Option<String>)>,
}

/// The kind of a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MountKind {
    /// Files of the context, of a stage, of an image.
    Bind,
    /// A directory that is kept between builds.
    Cache,
    /// An empty directory in memory.
    Tmpfs,
    /// A file that nobody finds in the image.
    Secret,
    /// The ssh agent.
    Ssh,
    /// A variable stands where the kind is to stand.
    Open,
}

/// `HEALTHCHECK`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Healthcheck {
    /// `NONE`: the base's check does not count.
    None,
    /// `CMD`: what tells whether a container is well.
    Command {
        /// What is run.
        command: CommandLine,
        /// `--interval=`.
        interval: Option<Duration>,
        /// `--timeout=`.
        timeout: Option<Duration>,
        /// `--start-period=`.
        start_period: Option<Duration>,
        /// `--start-interval=`.
        start_interval: Option<Duration>,
        /// `--retries=`.
        retries: Option<u32>,
    },
}

/// An instruction for the images that are built on this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    /// The instruction's text, as the image's configuration keeps it.
    pub text: String,
    /// What it says.
    pub kind: Box<Kind>,
}
