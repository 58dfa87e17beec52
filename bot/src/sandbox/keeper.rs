//! `windlass sandbox-keep`: the first process of a sandbox's process namespace. It makes the file systems, runs commands through
//! bubblewrap, and hands files in and out; everything as the namespace's root, who is nobody on the host.
//!
//! It runs nothing that a package brings. When the bot lets go of the socket it ends, and the kernel kills everything else.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, openat2, statvfs};
use rustix::process::{Resource, Rlimit, Signal, set_parent_process_death_signal, setrlimit};
use windlass_hooks::process::{Run, Running, Streams};

use super::enter::socket;
use super::tree::{self, Tree};
use super::wire::{Answer, Ended, Job, Limits, Order, Role, receive, send};
use super::{bubble, unpack};
use crate::exit::Exit;

/// The word on the command line.
pub(crate) const KEEP: &str = "sandbox-keep";

/// How long after a command's end what it said is waited for: all that it started is dead by then.
const GRACE: Duration = Duration::from_secs(2);

/// How often the file system is looked at while a command runs.
const TICK: Duration = Duration::from_millis(200);

/// Less free than this is full.
const FULL: u64 = 64 << 10;

/// Serves the bot until it lets go.
pub(crate) fn main(limits: &str) -> Exit {
    let Ok(socket) = socket() else { return Exit::Usage };
    match keep(&socket, limits) {
        Ok(()) => Exit::Done,
        Err(error) => {
            let _ = send(&socket, &Answer::Broken(error.to_string()), None);
            Exit::Environment
        }
    }
}

fn keep(socket: &UnixStream, limits: &str) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let limits: Limits = serde_json::from_str(limits)?;
    restrain(limits)?;
    rustix::process::umask(Mode::from_raw_mode(0o022));
    tree::leave_the_host()?;
    send(socket, &Answer::Done, None)?;
    let mut keeper = Keeper {
        socket,
        limits,
        tree: None,
    };
    while let Some((order, file)) = receive::<Order>(socket)? {
        let (answer, file) = match keeper.obey(order, file) {
            Ok(done) => done,
            Err(Trouble::Package(message)) => (Answer::Bad(message), None),
            Err(Trouble::Gone) => return Ok(()),
            Err(Trouble::Io(error)) if full(&error) => (Answer::Bad(FILLED.to_owned()), None),
            Err(Trouble::Io(error)) => (Answer::Broken(error.to_string()), None),
        };
        send(socket, &answer, file.as_ref().map(std::os::fd::AsFd::as_fd))?;
    }
    Ok(())
}

/// What is said when the build's file system has no room left.
pub(super) const FILLED: &str = "the file system of the build is full";

/// Why an order was not carried out.
pub(super) enum Trouble {
    /// The package wants what it does not get.
    Package(String),
    /// The bot is gone.
    Gone,
    /// The system refuses.
    Io(io::Error),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<rustix::io::Errno> for Trouble {
    fn from(error: rustix::io::Errno) -> Self {
        Self::Io(error.into())
    }
}

fn full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

/// Limits that the kernel keeps by process and by user.
fn restrain(limits: Limits) -> io::Result<()> {
    let most = |value: u64| Rlimit {
        current: Some(value),
        maximum: Some(value),
    };
    setrlimit(Resource::Core, most(0))?;
    setrlimit(Resource::Nproc, most(limits.processes))?;
    setrlimit(Resource::Fsize, most(limits.file))?;
    if let Some(data) = limits.data {
        setrlimit(Resource::Data, most(data))?;
    }
    Ok(())
}

struct Keeper<'s> {
    socket: &'s UnixStream,
    limits: Limits,
    tree: Option<Tree>,
}

type Done = (Answer, Option<OwnedFd>);

impl Keeper<'_> {
    fn obey(&mut self, order: Order, file: Option<OwnedFd>) -> Result<Done, Trouble> {
        let done = |answer| Ok((answer, None));
        match order {
            Order::Begin(_) | Order::Mapped => Err(Trouble::Io(io::Error::other("that was done before"))),
            Order::Furnish(furniture) => {
                self.tree = Some(Tree::furnish(&furniture, self.limits.range)?);
                done(Answer::Done)
            }
            Order::Place { path } => {
                let path = self.tree()?.path(&path);
                io::copy(&mut File::from(had(file)?), &mut File::create_new(path)?)?;
                done(Answer::Done)
            }
            Order::Unpack => {
                let newest = unpack::sources(File::from(had(file)?), &self.tree()?.sources(), self.owner())?;
                done(Answer::Unpacked { newest })
            }
            Order::Take { name } => {
                let path = self.tree()?.packages().join(plain(&name)?);
                io::copy(&mut File::from(had(file)?), &mut File::create_new(path)?)?;
                done(Answer::Done)
            }
            Order::Open { directories } => {
                self.tree()?.open(&directories)?;
                done(Answer::Done)
            }
            Order::Run(job) => {
                let log = File::from(had(file)?);
                let ended = self.run(&job, log)?;
                if job.role == Role::Root {
                    self.tree()?.drop_packages()?;
                }
                done(Answer::Ended(ended))
            }
            Order::List { directory, most } => done(Answer::Names(self.tree()?.names(&directory, most)?)),
            Order::Read { path } => Ok((Answer::Opened, Some(self.open(&path)?))),
        }
    }

    fn tree(&mut self) -> io::Result<&mut Tree> {
        self.tree
            .as_mut()
            .ok_or_else(|| io::Error::other("there is no tree yet"))
    }

    /// Whose the build's files are, as the namespace counts.
    fn owner(&self) -> u32 {
        if self.limits.range { bubble::BUILDER } else { 0 }
    }

    /// Opens what a build left, which may be anything: no link is followed, nothing but a plain file is opened.
    fn open(&mut self, path: &str) -> Result<OwnedFd, Trouble> {
        let root = self.tree()?.root()?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        let within = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let shown = windlass_core::escape::escaped(path);
        let kind = rustix::fs::statat(&root, path, AtFlags::SYMLINK_NOFOLLOW)
            .map(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode));
        match kind {
            Ok(rustix::fs::FileType::RegularFile) => {}
            Ok(_) => return Err(Trouble::Package(format!("/{shown} is no plain file"))),
            Err(error) => return Err(Trouble::Package(format!("/{shown} cannot be read: {error}"))),
        }
        openat2(&root, path, flags, Mode::empty(), within)
            .map_err(|error| Trouble::Package(format!("/{shown} cannot be read: {error}")))
    }

    /// Runs a command in the sandbox to its end.
    fn run(&mut self, job: &Job, log: File) -> Result<Ended, Trouble> {
        let range = self.limits.range;
        let tree = self.tree()?;
        let mut run = Run::new("bwrap").args(bubble::arguments(job, tree)).clear_env();
        run = run.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        if job.role == Role::Builder && range {
            run = run.user(bubble::BUILDER, bubble::BUILDER);
        }
        let (reader, writer) = io::pipe()?;
        let running = run
            .start(Streams {
                stdin: Stdio::null(),
                stdout: Stdio::from(writer.try_clone()?),
                stderr: Stdio::from(writer),
            })
            .map_err(|error| {
                io::Error::other(format!(
                    "{error}\n\nhint: builds run in bubblewrap; install it (Debian: `apt-get install bubblewrap`)"
                ))
            })?;
        rustix::io::ioctl_fionbio(&reader, true)?;
        let mut watch = Watch {
            reader: Some(reader),
            log,
            room: job.log,
            ended: Ended::default(),
        };
        let base = tree.base().to_owned();
        watch.follow(running, self.socket, &base)?;
        Ok(watch.ended)
    }
}

/// What is looked at while a command runs.
struct Watch {
    reader: Option<io::PipeReader>,
    log: File,
    room: u64,
    ended: Ended,
}

impl Watch {
    fn follow(&mut self, mut running: Running, socket: &UnixStream, base: &Path) -> Result<(), Trouble> {
        loop {
            let mut fds = vec![PollFd::new(&running, PollFlags::IN), PollFd::new(socket, PollFlags::IN)];
            if let Some(reader) = &self.reader {
                fds.push(PollFd::new(reader, PollFlags::IN));
            }
            wait(&mut fds, TICK)?;
            let (over, gone) = (!fds[0].revents().is_empty(), !fds[1].revents().is_empty());
            drop(fds);
            if gone {
                // While a command runs the bot has nothing to say but that it goes.
                return Err(Trouble::Gone);
            }
            self.look(base);
            self.pump()?;
            if self.ended.too_much {
                // Dropped, it is killed.
                return Ok(());
            }
            if over {
                break;
            }
        }
        let status = running.wait()?;
        self.ended.code = status.code();
        self.ended.signal = status.signal();
        let until = Instant::now() + GRACE;
        while let Some(reader) = &self.reader
            && let Some(rest) = until.checked_duration_since(Instant::now())
            && !self.ended.too_much
        {
            wait(&mut [PollFd::new(reader, PollFlags::IN)], rest)?;
            self.pump()?;
        }
        self.look(base);
        Ok(())
    }

    fn look(&mut self, base: &Path) {
        if let Ok(room) = statvfs(base) {
            self.ended.disk_full |= room.f_bavail * room.f_frsize < FULL || room.f_ffree < 8;
        }
    }

    /// Takes what was said.
    fn pump(&mut self) -> io::Result<()> {
        let Some(reader) = &mut self.reader else { return Ok(()) };
        let mut buffer = [0; 16 << 10];
        match reader.read(&mut buffer) {
            Ok(0) => self.reader = None,
            Ok(read) => {
                let fits = usize::try_from(self.room).unwrap_or(usize::MAX).min(read);
                self.ended.too_much |= fits < read;
                self.room -= fits as u64;
                self.ended.said += fits as u64;
                self.ended.log_failed |= self.log.write_all(&buffer[..fits]).is_err();
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

fn wait(fds: &mut [PollFd<'_>], most: Duration) -> io::Result<()> {
    let most = Timespec {
        tv_sec: i64::try_from(most.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(most.subsec_nanos()),
    };
    match poll(fds, Some(&most)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn had(file: Option<OwnedFd>) -> io::Result<OwnedFd> {
    file.ok_or_else(|| io::Error::other("the file is missing"))
}

/// A name that is one component of a path.
fn plain(name: &str) -> io::Result<&str> {
    if name.is_empty() || name.contains('/') || name == "." || name == ".." {
        Err(io::Error::other("that is no file's name"))
    } else {
        Ok(name)
    }
}
