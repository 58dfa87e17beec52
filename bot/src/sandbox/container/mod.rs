//! Builds in containers, on the engines of `[[builder]]`: this machine's, or those of other hosts.
//!
//! ```text
//! image ──▶ prepared ──▶ root ──▶ …      images: rpm's macros and `windlass-host` come first, then what the build needs; each by one
//!              │           │            container that root's rpm runs in, and that is then gone
//!              ▼           ▼
//!            command     command         one container each, its root read-only, as id 1000, with no rights and none to be had
//!              └─ /build ──┴─ keeper     a volume in memory; the keeper holds it while nothing runs, sources go in and packages out by it
//! ```
//! Nothing of the host is mounted, there is no network and no engine's socket. What a command leaves running ends with its container, as
//! in bubblewrap. `order` says who may what.
//!
//! # What counts as the host
//! In place of the machine's `/usr` there is the image. The same generated package `windlass-host` says what it provides: made of its
//! files, as for the machine, and of its rpm database where it has one. It is installed in the prepared image and counts for closures
//! exactly as the machine's. The key of a build holds the image's id, the architecture and what is configured to be provided, in place
//! of the digest of the machine: whatever is in the image is in its id. All builders of an architecture have the same image, so that a
//! result does not depend on where it was built.
//!
//! # Limits, and what holds
//! * Time: ours. The container is removed when it is over.
//! * Memory: the engine's control group, for each command with all its files in memory (`memory` + `disk`). Docker tells when it was run
//!   into; Podman with control groups of the first kind does not, and then what the programs say is told.
//! * Processes: the engine's control group. No engine tells when it was run into; what the programs say is told.
//! * Disk: what the builder writes lies in `/build`, `/tmp`, `/var/tmp` and `/dev/shm`, each of which holds `disk` and no more; its root
//!   is read-only. Root's rpm writes into the container's own layer, on the engine's disk: its size is asked every two seconds, so a
//!   scriptlet can write past `disk` by what the disk takes in that time.
//! * Log: ours, counted as it is said; the engine keeps none.
//!
//! # What is less than in bubblewrap
//! The container's root is the root of the engine's machine, unless the engine maps its ids (rootless, `userns-remap`): with nine rights
//! and none that opens files by handle, mounts, traces or loads, behind the engine's own filters. And Podman's filter lets a build make
//! user namespaces; Docker's does not. `windlass doctor` says so of engines that it is true of.

mod engine;
mod label;
mod order;
pub(crate) mod pool;
mod prepare;
mod results;
mod tree;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use bollard::models::ContainerCreateBody;
use windlass_core::id::ArchName;

use self::engine::{Fault, Followed, Patience, Trouble};
use self::order::{INSTALL, INSTALL_LIBRARIES, Order};
pub(crate) use self::pool::{Lease, NoEngine, Pool};
use self::results::Taken;
use super::bubble::BUILDER;
use super::need::{Command, Installation, Limit, SandboxError};
use super::wire::{Ended, Role};
use super::{Host, Target, unpack};
use crate::config::Build;
use crate::stages::StopFlag;

/// Directories of a build's file system.
const DIRECTORIES: [&str; 6] = ["BUILD", "BUILDROOT", "RPMS", "SOURCES", "SRPMS", "home"];

/// What programs say when there is no room left; no engine tells.
const FULL: [&[u8]; 2] = [b"No space left on device", b"Disk quota exceeded"];

/// How much of what is said last is looked through for that.
const TAIL: usize = 16 << 10;

/// How a container ends that was ended from outside, and not by its command: [`order::RUN`] never says these.
const ENDED_BY_OTHERS: [i64; 2] = [128 + 9, 128 + 15];

/// How many sandboxes this process has had.
static COUNT: AtomicU64 = AtomicU64::new(0);

/// One sandbox on an engine. Dropped, nothing of it is there any more.
#[derive(Debug)]
pub(crate) struct Contained {
    site: Site,
    /// The container that keeps the build's file system.
    keeper: String,
    /// The image that commands run in, and those that were made for this build.
    image: String,
    roots: Vec<String>,
    /// Packages for the next installation.
    packages: Option<Packages>,
    /// Directories that were looked at since the last command.
    taken: BTreeMap<String, Taken>,
}

/// An archive in the making.
struct Packages(tar::Builder<File>);

impl fmt::Debug for Packages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packages").finish_non_exhaustive()
    }
}

/// Where containers run, and what they may.
#[derive(Debug)]
struct Site {
    lease: Lease,
    settings: Arc<Build>,
    patience: Patience,
    labels: HashMap<String, String>,
    /// What the volume is called, and everything else after it.
    name: String,
    is_lost: bool,
}

/// What a container said and how it ended.
struct Run<'r> {
    body: ContainerCreateBody,
    /// An archive that is unpacked in it first, and where.
    archive: Option<(&'static str, File)>,
    log: BorrowedFd<'r>,
    /// How much it may say, and write into its own layer.
    most_said: u64,
    most_written: Option<u64>,
}

impl Contained {
    /// Starts one on an engine, for an architecture with these macros.
    pub(super) fn start(
        lease: Lease,
        settings: &Arc<Build>,
        furniture: &Furniture<'_>,
        stop: &StopFlag,
    ) -> Result<Self, SandboxError> {
        let mut site = Site::new(lease, settings, stop);
        let image = site.prepared(furniture)?;
        let volume = site
            .lease
            .ready()
            .link
            .create_volume(&site.name, settings.disk.bytes(), site.labels.clone());
        volume.map_err(|fault| site.fault(fault))?;
        // From here on it is removed when it is dropped.
        let mut sandbox = Self {
            keeper: site.name.clone(),
            site,
            image,
            roots: Vec::new(),
            packages: None,
            taken: BTreeMap::new(),
        };
        let body = sandbox.site.order(&sandbox.image, true).keeper();
        let link = sandbox.site.lease.ready().link.clone();
        let made = link.create(Some(&sandbox.site.name), body).and_then(|keeper| {
            link.start(&keeper)?;
            Ok(keeper)
        });
        sandbox.keeper = made.map_err(|fault| sandbox.site.fault(fault))?;
        Ok(sandbox)
    }

    /// What it is called, where it runs.
    pub(crate) fn place(&self) -> &str {
        self.site.lease.name()
    }

    /// Unpacks `pkg.tar`; says the newest time in it, in seconds since 1970.
    pub(super) fn unpack(&mut self, archive: BorrowedFd<'_>) -> Result<u64, SandboxError> {
        let mut clean = tar::Builder::new(tempfile::tempfile()?);
        for name in DIRECTORIES {
            clean.append(
                &header(name, tar::EntryType::Directory, 0o755, 0, 0, BUILDER)?,
                io::empty(),
            )?;
        }
        let archive = File::from(archive.try_clone_to_owned()?);
        let newest = unpack::each(archive, |source, content| {
            let name = format!("SOURCES/{}", source.name);
            let kind = tar::EntryType::Regular;
            let mut header = header(&name, kind, source.mode, source.size, source.time, BUILDER)?;
            clean.append_data(&mut header, &name, content)?;
            Ok(())
        });
        let newest = newest.map_err(|trouble| match trouble {
            super::keeper::Trouble::Package(message) => SandboxError::Refused(message),
            super::keeper::Trouble::Gone => SandboxError::Broken("the sandbox has ended".to_owned()),
            super::keeper::Trouble::Io(error) => error.into(),
        })?;
        let clean = clean.into_inner()?;
        let (link, keeper) = (&self.site.lease.ready().link, &self.keeper);
        let sent = link.put(keeper, order::PLACE, clean, &self.site.patience);
        sent.map_err(|trouble| self.site.trouble(trouble))?;
        Ok(newest)
    }

    /// Brings a package for the next installation.
    pub(super) fn bring(&mut self, name: &str, package: BorrowedFd<'_>) -> Result<(), SandboxError> {
        let packages = match &mut self.packages {
            Some(packages) => packages,
            none => {
                let mut new = tar::Builder::new(tempfile::tempfile()?);
                new.append(
                    &header("packages", tar::EntryType::Directory, 0o755, 0, 0, 0)?,
                    io::empty(),
                )?;
                none.insert(Packages(new))
            }
        };
        let file = File::from(package.try_clone_to_owned()?);
        append_file(&mut packages.0, &format!("packages/{name}"), &file)?;
        Ok(())
    }

    /// Runs a command to its end, or to the first limit that it runs into.
    pub(super) fn run(&mut self, command: &Command, log: BorrowedFd<'_>) -> Result<Ended, SandboxError> {
        self.taken.clear();
        let body = self
            .site
            .order(&self.image, true)
            .command(command.role, &command.argv, &command.env);
        let run = Run {
            body,
            archive: None,
            log,
            most_said: command.log,
            most_written: (command.role == Role::Root).then(|| self.site.settings.disk.bytes()),
        };
        self.site.follow(run, None)
    }

    /// Installs the packages that were brought: in a container of its own, of which an image is made.
    pub(super) fn install(&mut self, order: &Installation, log: BorrowedFd<'_>) -> Result<Ended, SandboxError> {
        self.taken.clear();
        let script = if order.libraries { INSTALL_LIBRARIES } else { INSTALL };
        let packages = self
            .packages
            .take()
            .map(|packages| packages.0.into_inner())
            .transpose()?;
        let run = Run {
            // It does not see the build's files: nothing of those is needed to install packages.
            body: self
                .site
                .order(&self.image, false)
                .script(script, &order.rpm, &order.env),
            archive: packages.map(|packages| ("/run", packages)),
            log,
            most_said: order.log,
            most_written: Some(self.site.settings.disk.bytes()),
        };
        let root = Kept {
            image: format!("localhost/{}", self.site.name),
            tag: format!("root{}", self.roots.len()),
            labels: self.site.labels.clone(),
        };
        let name = root.name();
        self.roots.push(name.clone());
        let ended = self.site.follow(run, Some(&root))?;
        if ended.code == Some(0) {
            self.image = name;
        }
        Ok(ended)
    }

    /// The names of the files in a directory of the tree.
    pub(super) fn names(&mut self, directory: &str, most: usize) -> Result<Vec<String>, SandboxError> {
        let path = format!("/{directory}");
        let link = self.site.lease.ready().link.clone();
        if !link
            .is_directory(&self.keeper, &path)
            .map_err(|fault| self.site.fault(fault))?
        {
            return Err(SandboxError::Refused(format!("{path} is no directory any more")));
        }
        let archive = self.archive(&path)?;
        let taken = Taken::directory(archive, directory, most)?;
        let names = taken.names();
        self.taken.insert(directory.to_owned(), taken);
        Ok(names)
    }

    /// A copy of a plain file of the tree.
    pub(super) fn read(&mut self, path: &str) -> Result<File, SandboxError> {
        let most = self.site.settings.max_package;
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        if let Some(taken) = self.taken.get(directory) {
            return taken.read(name, path, most.bytes(), &most.to_string());
        }
        let archive = self.archive(&format!("/{path}"))?;
        Taken::file(archive, name)?.read(name, path, most.bytes(), &most.to_string())
    }

    fn archive(&mut self, path: &str) -> Result<File, SandboxError> {
        // What lies in memory is no larger than the disk; what is has holes.
        let most = self.site.settings.disk.bytes().saturating_add(64 << 20);
        let got = self
            .site
            .lease
            .ready()
            .link
            .get(&self.keeper, path, most, &self.site.patience);
        let shown = windlass_core::escape::escaped(path);
        match got {
            Ok(Some(archive)) => Ok(archive),
            Ok(None) => Err(SandboxError::Refused(format!(
                "{shown} holds files that are larger than {}, and {} are taken: [build] max_package",
                self.site.settings.disk, self.site.settings.max_package
            ))),
            Err(Trouble::Engine(Fault::Absent(_))) => Err(SandboxError::Refused(format!(
                "{shown} cannot be read: it is not there"
            ))),
            Err(trouble) => Err(self.site.trouble(trouble)),
        }
    }
}

impl Drop for Contained {
    fn drop(&mut self) {
        let site = &self.site;
        if !site.is_lost {
            let link = &site.lease.ready().link;
            let mut removed = link.remove(&self.keeper).and_then(|()| link.remove_volume(&site.name));
            // The newest first: they stand on one another.
            for image in self.roots.iter().rev() {
                removed = removed.and_then(|()| link.remove_image(image));
            }
            match removed {
                Ok(()) => site.lease.succeeded(),
                Err(fault) => {
                    let (name, why) = (site.lease.name(), fault.message());
                    tracing::warn!(builder = %name, "builder {name}: what a build left cannot be removed: {why}");
                    site.lease.failed(why);
                }
            }
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.lease.ours().remove(&self.name);
    }
}

/// What the image of an architecture stands for, on which machine; looked at when it was not.
pub(super) fn host(
    pool: &Arc<Pool>,
    builder: &super::Builder,
    arch: &ArchName,
    stop: &StopFlag,
) -> Result<(Arc<Host>, Target), SandboxError> {
    let (image, machine) = pool.image(arch, stop).map_err(SandboxError::from)?;
    let target = Target::on(arch, &machine).ok_or_else(|| {
        SandboxError::Broken(format!(
            "the image for '{arch}' is for {machine}, on which nothing is built for '{arch}'\n\nhint: take it out of `architectures` of the \
             [[builder]]"
        ))
    })?;
    let digest = Host::digest_of(builder, &target, &image);
    if let Some(host) = pool.host(arch, &digest) {
        return Ok((host, target));
    }
    let host = if let Ok(host) = Host::known_image(builder, &target, &digest) {
        host
    } else {
        let mut site = Site::new(
            pool.take(arch, stop).map_err(SandboxError::from)?,
            &builder.settings,
            stop,
        );
        prepare::host_of(&mut site, builder, &target, &digest)?
    };
    let host = Arc::new(host);
    pool.know(arch, &host);
    Ok((host, target))
}

/// An image that is to be made of what a container became.
struct Kept {
    image: String,
    tag: String,
    labels: HashMap<String, String>,
}

impl Kept {
    fn name(&self) -> String {
        format!("{}:{}", self.image, self.tag)
    }
}

/// What a build root has beside what is in the image.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Furniture<'f> {
    /// The architecture.
    pub(crate) target: &'f Target,
    /// rpm's macros.
    pub(crate) macros: &'f str,
    /// What the image stands for.
    pub(crate) host: &'f Host,
}

impl Site {
    fn new(lease: Lease, settings: &Arc<Build>, stop: &StopFlag) -> Self {
        let timeout = settings.timeout.std();
        let patience = Patience {
            stop: stop.clone(),
            deadline: Instant::now() + timeout,
            timeout,
        };
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("windlass-build-{}-{}-{number}", lease.instance(), std::process::id());
        lease.ours().insert(name.clone());
        Self {
            labels: label::of(lease.instance(), &name),
            lease,
            settings: Arc::clone(settings),
            patience,
            name,
            is_lost: false,
        }
    }

    fn order<'o>(&'o self, image: &'o str, with_volume: bool) -> Order<'o> {
        Order {
            image,
            labels: &self.labels,
            volume: with_volume.then_some(self.name.as_str()),
            settings: &self.settings,
        }
    }

    /// Runs a container to its end and removes it; what it became is kept if it ended well and is to be.
    fn follow(&mut self, run: Run<'_>, keep: Option<&Kept>) -> Result<Ended, SandboxError> {
        let link = self.lease.ready().link.clone();
        let container = link.create(None, run.body).map_err(|fault| self.fault(fault))?;
        let ended = self.followed(&container, run.archive, run.log, run.most_said, run.most_written);
        let kept = match (&ended, keep) {
            (Ok(Ended { code: Some(0), .. }), Some(keep)) => {
                link.commit(&container, &keep.image, &keep.tag, keep.labels.clone())
            }
            _ => Ok(()),
        };
        let removed = if self.is_lost { Ok(()) } else { link.remove(&container) };
        let ended = ended?;
        kept.and(removed).map_err(|fault| self.fault(fault))?;
        Ok(ended)
    }

    fn followed(
        &mut self,
        container: &str,
        archive: Option<(&str, File)>,
        log: BorrowedFd<'_>,
        most_said: u64,
        most_written: Option<u64>,
    ) -> Result<Ended, SandboxError> {
        let link = self.lease.ready().link.clone();
        if let Some((place, archive)) = archive {
            let sent = link.put(container, place, archive, &self.patience);
            sent.map_err(|trouble| self.trouble(trouble))?;
        }
        let mut log = File::from(log.try_clone_to_owned()?);
        let (mut ended, mut tail) = (Ended::default(), Vec::new());
        let mut room = most_said;
        let mut said = |piece: &[u8]| {
            let fits = usize::try_from(room).unwrap_or(usize::MAX).min(piece.len());
            room -= fits as u64;
            ended.said += fits as u64;
            ended.log_failed |= log.write_all(&piece[..fits]).is_err();
            tail.extend_from_slice(&piece[..fits]);
            if tail.len() > 2 * TAIL {
                tail.drain(..tail.len() - TAIL);
            }
            fits == piece.len()
        };
        let state = match link.follow(container, &self.patience, &mut said, most_written) {
            Ok(Followed::Ended(state)) => state,
            Ok(Followed::SaidTooMuch) => return Err(SandboxError::Limit(Limit::Log)),
            Ok(Followed::WroteTooMuch) => return Err(SandboxError::Limit(Limit::Disk)),
            Err(trouble) => return Err(self.trouble(trouble)),
        };
        if ended.log_failed {
            return Err(SandboxError::Broken(
                "the log of the build cannot be written: is the disk full?".to_owned(),
            ));
        }
        let code = state.exit_code.unwrap_or(-1);
        if code != 0 {
            if state.oom_killed == Some(true) {
                return Err(SandboxError::Limit(Limit::Memory));
            }
            if ENDED_BY_OTHERS.contains(&code) || code < 0 {
                let why = state
                    .error
                    .filter(|why| !why.is_empty())
                    .unwrap_or_else(|| format!("status {code}"));
                let why = windlass_core::escape::escaped(&why);
                return Err(SandboxError::Ended(format!(
                    "builder {}: somebody ended its container: {why}",
                    self.lease.name()
                )));
            }
            if FULL
                .iter()
                .any(|full| tail.windows(full.len()).any(|part| part == *full))
            {
                return Err(SandboxError::Limit(Limit::Disk));
            }
        }
        ended.code = i32::try_from(order::status(code)).ok();
        Ok(ended)
    }

    /// What a failure of the engine means to a build. It is let alone from then on, unless it only refuses something.
    fn fault(&mut self, fault: Fault) -> SandboxError {
        let name = self.lease.name().to_owned();
        match fault {
            Fault::Lost(why) if why.to_ascii_lowercase().contains("no space left on device") && !self.is_lost => {
                // The volume is full, or the engine's disk is: it is the build that fills the one, and the other would be found by all.
                SandboxError::Limit(Limit::Disk)
            }
            // A container of ours that is not there any more was removed by somebody: another engine may keep it.
            Fault::Lost(why) | Fault::Absent(why) => {
                self.is_lost = true;
                self.lease.failed(&why);
                SandboxError::Lost(format!("builder {name} is lost: {why}"))
            }
            Fault::Refused(why) => SandboxError::Broken(format!("builder {name}: {why}")),
        }
    }

    fn trouble(&mut self, trouble: Trouble) -> SandboxError {
        match trouble {
            Trouble::Over(error) => error,
            Trouble::Engine(fault) => self.fault(fault),
        }
    }
}

impl From<NoEngine> for SandboxError {
    fn from(none: NoEngine) -> Self {
        match none {
            NoEngine::Stopped => Self::Stopped,
            NoEngine::None { message, again } => Self::NoEngine { message, again },
        }
    }
}

/// The head of an entry of ours.
fn header(name: &str, kind: tar::EntryType, mode: u32, size: u64, time: u64, owner: u32) -> io::Result<tar::Header> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_path(name)?;
    header.set_mode(mode);
    header.set_size(size);
    header.set_mtime(time);
    header.set_uid(owner.into());
    header.set_gid(owner.into());
    header.set_cksum();
    Ok(header)
}

/// Adds a file under a name, as root's.
fn append_file(to: &mut tar::Builder<File>, name: &str, file: &File) -> io::Result<()> {
    let size = file.metadata()?.len();
    let head = header(name, tar::EntryType::Regular, 0o644, size, 0, 0)?;
    let mut content = io::Read::take(file, size);
    to.append(&head, &mut content)?;
    if content.limit() > 0 {
        return Err(io::Error::other("a package was cut while it was read"));
    }
    Ok(())
}
