//! The bot's side of one sandbox: started with limits, told what to do, looked at while it does, and gone when this goes.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use windlass_hooks::process::{Run, Running, Streams};

use super::cgroup::Cgroups;
use super::ids::{self, Slot};
use super::need::{Command, Installation, Limit, SandboxError};
use super::wire::{Answer, Ended, Furniture, Job, Limits, Order, Role, receive, send};
use super::{Builder, enter};
use crate::stages::StopFlag;

/// What the control groups of sandboxes are called, before the number of the process that made them.
pub(super) const GROUP: &str = "windlass-build-";

/// How many processes are the sandbox's own.
const OURS: u64 = 4;

/// How long a sandbox may take to end when it is told to.
const GRACE: Duration = Duration::from_secs(5);

/// One sandbox. Dropped, everything in it is dead.
#[derive(Debug)]
pub(crate) struct Bubblewrap {
    // The order of these fields is the order of their ends: the socket first, which ends the processes.
    socket: Option<UnixStream>,
    running: Running,
    groups: Cgroups,
    slot: Slot,
    stop: StopFlag,
    deadline: Instant,
    timeout: Duration,
}

impl Bubblewrap {
    /// Starts one.
    pub(crate) fn start(builder: &Builder, furnishing: Furnishing, stop: &StopFlag) -> Result<Self, SandboxError> {
        let settings = builder.settings();
        let range = rustix::process::geteuid().is_root();
        let slot = Slot::take(&ids::directory(range, &builder.directory), settings.first_id)?;
        // The file system lies in memory too, and is counted with it.
        let memory = settings.memory.bytes().saturating_add(settings.disk.bytes());
        let groups = Cgroups::make(
            &format!("{GROUP}{}-{}", std::process::id(), slot.number),
            memory,
            u64::from(settings.processes) + OURS,
        );
        let (ours, theirs) = UnixStream::pair()?;
        let running = Run::new(&builder.program)
            .arg(enter::ENTER)
            .clear_env()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .start(Streams {
                stdin: Stdio::from(OwnedFd::from(theirs)),
                stdout: Stdio::null(),
                stderr: Stdio::inherit(),
            })
            .map_err(|error| SandboxError::Broken(error.to_string()))?;
        let timeout = settings.timeout.std();
        let mut sandbox = Self {
            socket: Some(ours),
            running,
            groups,
            slot,
            stop: stop.clone(),
            deadline: Instant::now() + timeout,
            timeout,
        };
        let process = sandbox.running.id();
        sandbox.groups.add(process)?;
        let data = (!sandbox.groups.counts_memory()).then_some(settings.memory.bytes());
        let limits = Limits {
            range,
            // A group tells when it was run into; this one is for where there is none.
            processes: u64::from(settings.processes) + if sandbox.groups.counts_processes() { 64 } else { OURS },
            data,
            file: settings.disk.bytes(),
        };
        if range {
            sandbox.expect(&Order::Begin(limits), None, |answer| matches!(answer, Answer::Unshared))?;
            sandbox.slot.map(process)?;
            sandbox.expect(&Order::Mapped, None, |answer| matches!(answer, Answer::Done))?;
        } else {
            sandbox.expect(&Order::Begin(limits), None, |answer| matches!(answer, Answer::Done))?;
        }
        let furniture = Furniture {
            usr: builder.usr().display().to_string(),
            disk: settings.disk.bytes(),
            files: furnishing.files,
            links: furnishing.links,
        };
        let done = |answer: &Answer| matches!(answer, Answer::Done);
        sandbox.expect(&Order::Furnish(furniture), None, done)?;
        for (path, file) in furnishing.copies {
            let from =
                File::open(&file).map_err(|error| SandboxError::Broken(format!("{}: {error}", file.display())))?;
            sandbox.expect(&Order::Place { path }, Some(from.as_fd()), done)?;
        }
        Ok(sandbox)
    }

    /// Whether the kernel counts memory and processes of all of it together.
    pub(crate) fn counts(&self) -> bool {
        self.groups.counts_memory() && self.groups.counts_processes()
    }

    /// Unpacks `pkg.tar`; says the newest time in it, in seconds since 1970.
    pub(crate) fn unpack(&mut self, archive: BorrowedFd<'_>) -> Result<u64, SandboxError> {
        match self.ask(&Order::Unpack, Some(archive))? {
            (Answer::Unpacked { newest }, _) => Ok(newest),
            (other, _) => Err(odd(&other)),
        }
    }

    /// Brings a package for the next installation.
    pub(crate) fn bring(&mut self, name: &str, package: BorrowedFd<'_>) -> Result<(), SandboxError> {
        let order = Order::Take { name: name.to_owned() };
        self.expect(&order, Some(package), |answer| matches!(answer, Answer::Done))
    }

    /// Makes these directories ones that packages can be installed into.
    pub(crate) fn open(&mut self, directories: Vec<String>) -> Result<(), SandboxError> {
        self.expect(&Order::Open { directories }, None, |answer| {
            matches!(answer, Answer::Done)
        })
    }

    /// Runs a command to its end, or to the first limit that it runs into.
    pub(crate) fn run(&mut self, command: Command, log: BorrowedFd<'_>) -> Result<Ended, SandboxError> {
        let job = Job {
            role: command.role,
            argv: command.argv,
            env: command.env,
            log: command.log,
        };
        let ended = match self.ask(&Order::Run(job), Some(log))? {
            (Answer::Ended(ended), _) => ended,
            (other, _) => return Err(odd(&other)),
        };
        if ended.too_much {
            return Err(SandboxError::Limit(Limit::Log));
        }
        if ended.log_failed {
            return Err(SandboxError::Broken(
                "the log of the build cannot be written: is the disk full?".to_owned(),
            ));
        }
        if ended.code != Some(0) {
            let hits = self.groups.hits();
            if hits.memory {
                return Err(SandboxError::Limit(Limit::Memory));
            }
            if ended.disk_full {
                return Err(SandboxError::Limit(Limit::Disk));
            }
            if hits.processes {
                return Err(SandboxError::Limit(Limit::Processes));
            }
        }
        Ok(ended)
    }

    /// Installs the packages that were brought; it ends with the first command that fails.
    pub(crate) fn install(&mut self, order: &Installation, log: BorrowedFd<'_>) -> Result<Ended, SandboxError> {
        let mut as_root = |argv: Vec<String>| {
            let command = Command {
                role: Role::Root,
                argv,
                env: order.env.clone(),
                log: order.log,
            };
            self.run(command, log)
        };
        let ended = as_root(order.rpm.clone())?;
        if order.libraries && ended.code == Some(0) {
            return as_root(vec!["ldconfig".to_owned()]);
        }
        Ok(ended)
    }

    /// The names of the files in a directory of the tree.
    pub(crate) fn names(&mut self, directory: &str, most: usize) -> Result<Vec<String>, SandboxError> {
        let order = Order::List {
            directory: directory.to_owned(),
            most,
        };
        match self.ask(&order, None)? {
            (Answer::Names(names), _) => Ok(names),
            (other, _) => Err(odd(&other)),
        }
    }

    /// Opens a plain file of the tree.
    pub(crate) fn read(&mut self, path: &str) -> Result<File, SandboxError> {
        match self.ask(&Order::Read { path: path.to_owned() }, None)? {
            (Answer::Opened, Some(file)) => Ok(file.into()),
            (other, _) => Err(odd(&other)),
        }
    }

    fn expect(
        &mut self,
        order: &Order,
        file: Option<BorrowedFd<'_>>,
        good: fn(&Answer) -> bool,
    ) -> Result<(), SandboxError> {
        let (answer, _) = self.ask(order, file)?;
        if good(&answer) { Ok(()) } else { Err(odd(&answer)) }
    }

    fn ask(&mut self, order: &Order, file: Option<BorrowedFd<'_>>) -> Result<(Answer, Option<OwnedFd>), SandboxError> {
        let Some(socket) = &self.socket else {
            return Err(SandboxError::Broken("the sandbox has ended".to_owned()));
        };
        send(socket, order, file).map_err(|error| self.gone(&error))?;
        loop {
            if self.stop.is_set() {
                return Err(SandboxError::Stopped);
            }
            let Some(rest) = self.deadline.checked_duration_since(Instant::now()) else {
                return Err(SandboxError::Limit(Limit::Time(self.timeout)));
            };
            let rest = Timespec {
                tv_sec: i64::try_from(rest.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: i64::from(rest.subsec_nanos()),
            };
            let mut fds = [
                PollFd::new(socket, PollFlags::IN),
                PollFd::new(&self.stop, PollFlags::IN),
            ];
            match poll(&mut fds, Some(&rest)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(io::Error::from(error).into()),
            }
            if !fds[0].revents().is_empty() {
                break;
            }
        }
        match receive::<Answer>(socket).map_err(|error| self.gone(&error))? {
            Some((Answer::Bad(message), _)) if message == super::keeper::FILLED => {
                Err(SandboxError::Limit(Limit::Disk))
            }
            Some((Answer::Bad(message), _)) => Err(SandboxError::Refused(message)),
            Some((Answer::Broken(message), _)) => Err(SandboxError::Broken(message)),
            Some((answer, file)) => Ok((answer, file)),
            None => Err(self.gone(&io::Error::other("it ended by itself"))),
        }
    }

    /// The other side is gone: the memory may have been too little for the keeper too.
    fn gone(&self, error: &io::Error) -> SandboxError {
        if self.groups.hits().memory {
            SandboxError::Limit(Limit::Memory)
        } else {
            SandboxError::Broken(format!("the sandbox is gone: {error}"))
        }
    }
}

impl Drop for Bubblewrap {
    fn drop(&mut self) {
        // The keeper ends when it hears nothing any more, and the kernel kills all the others before its end is seen.
        drop(self.socket.take());
        let grace = Timespec {
            tv_sec: i64::try_from(GRACE.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: 0,
        };
        if poll(&mut [PollFd::new(&self.running, PollFlags::IN)], Some(&grace)).is_ok_and(|ready| ready > 0) {
            let _ = self.running.wait();
        }
    }
}

/// What a sandbox' tree has beside `/usr`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Furnishing {
    /// Files, by their paths relative to the root.
    pub(crate) files: Vec<(String, Vec<u8>)>,
    /// Links: path and target.
    pub(crate) links: Vec<(String, String)>,
    /// Files that are copied: their paths in the tree, and what they are copies of.
    pub(crate) copies: Vec<(String, PathBuf)>,
}

fn odd(answer: &Answer) -> SandboxError {
    SandboxError::Broken(format!("the sandbox said something odd: {answer:?}"))
}
