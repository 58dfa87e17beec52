//! What the host stands for in build roots, as a package: `windlass-host`, generated, in a repository of its own.
//!
//! It is a real package with a real name for everything that the host's `/usr` provides, so that rpm, dnf and we agree on what is
//! installed. Its release is a digest of the host: when that changes, the package does, and with it the key of every build.

mod image;
mod package;
mod scan;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use windlass_core::id::ArchName;
use windlass_core::repository::Index;
use windlass_core::rpm::{Header, Package};

use super::macros::{Target, Values};
use super::need::{Command, SandboxError};
use super::session::Bubblewrap;
use super::wire::Role;
use super::{Builder, etc};
use crate::stages::StopFlag;

pub(super) use image::Image;
use windlass_core::hex::hex;

/// The package's name.
pub const NAME: &str = "windlass-host";

/// Raised when what is scanned or written changes.
const FORMAT: u32 = 3;

/// Where rpm has its database in a root.
const RPM: &str = "var/lib/rpm";

/// The copy of it beside the package, as it is when the package is installed.
const DATABASE: &str = "rpm";

/// The largest file of those.
const LARGEST: u64 = 256 << 20;

/// Where a host has its libraries, below its tree.
const LIBRARIES: [&str; 7] = [
    "usr/lib",
    "usr/lib32",
    "usr/lib64",
    "usr/share",
    "usr/lib/x86_64-linux-gnu",
    "usr/lib/i386-linux-gnu",
    "usr/lib/aarch64-linux-gnu",
];

/// What tells that the host has changed, by being newer.
const SIGNS: [&str; 16] = [
    "usr/bin",
    "usr/sbin",
    "usr/lib/pkgconfig",
    "usr/lib/rpm",
    "usr/lib/rpm/macros.d",
    "usr/lib/x86_64-linux-gnu/pkgconfig",
    "usr/share/pkgconfig",
    "usr/include",
    "var/lib/dpkg/status",
    "var/lib/rpm/rpmdb.sqlite",
    "var/lib/rpm/Packages",
    "usr/lib/sysimage/rpm/rpmdb.sqlite",
    "usr/lib/sysimage/rpm/Packages.db",
    "etc/alternatives",
    "usr/lib/python3/dist-packages",
    "usr/share/perl5",
];

/// The host as one architecture's builds see it.
#[derive(Debug)]
pub struct Host {
    /// All that builds can depend on of it, as 64 lower-case hexadecimal digits.
    pub digest: String,
    /// The package.
    pub package: Arc<Package>,
    /// What it says of itself.
    pub(crate) header: Header,
    /// The package alone.
    pub index: Arc<Index>,
    /// Its file; the directory that holds it is a repository.
    pub file: PathBuf,
    /// What a root has in which the package is installed: the loader's cache, rpm's database. Paths in the root, and files.
    pub(super) state: Vec<(String, PathBuf)>,
    /// Where rpm has its database, where that is elsewhere than usual.
    pub(crate) database: Option<String>,
}

/// Found once, and again when the signs of its change are seen.
static KNOWN: LazyLock<Mutex<Known>> = LazyLock::new(Mutex::default);

/// By the directory that it is written down in, and the architecture. Each is looked at by one at a time.
type Known = HashMap<(PathBuf, ArchName), Arc<Mutex<Option<(Signs, Arc<Host>)>>>>;

/// The state of all that tells of a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Signs(String);

/// What is kept beside the package.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    signs: Signs,
    digest: String,
}

impl Builder {
    /// The host as this architecture's builds see it; scanned when it has changed.
    ///
    /// # Errors
    /// It cannot be scanned or written down, or this machine does not build for the architecture.
    pub fn host(&self, arch: &ArchName) -> io::Result<Arc<Host>> {
        if self.pool.is_some() {
            let found = self.site(arch, &StopFlag::new()?);
            return found
                .map(|(host, _)| host)
                .map_err(|error| io::Error::other(error.to_string()));
        }
        let target = Target::of(arch).ok_or_else(|| {
            io::Error::other(format!(
                "this machine ({}) does not build for '{arch}'\n\nhint: take it out of `architectures`",
                std::env::consts::ARCH
            ))
        })?;
        let signs = Signs::read(self, &target);
        let place = (self.directory.clone(), arch.clone());
        let known = Arc::clone(
            KNOWN
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .entry(place)
                .or_default(),
        );
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((seen, host)) = &*known
            && *seen == signs
            && host.file.is_file()
        {
            return Ok(Arc::clone(host));
        }
        let host = Arc::new(match Host::kept(self, &target, &signs) {
            Some(host) => host,
            None => Host::scan(self, &target, &signs)?,
        });
        *known = Some((signs, Arc::clone(&host)));
        Ok(host)
    }
}

impl Signs {
    fn read(builder: &Builder, target: &Target) -> Self {
        let tree = builder.tree();
        let mut text = format!("{FORMAT} {} {:?}\n", target.arch, builder.settings.host_provides);
        for sign in SIGNS.iter().chain(&LIBRARIES) {
            if let Ok(data) = fs::metadata(tree.join(sign)) {
                let _ = writeln!(
                    text,
                    "{sign} {} {} {}.{}",
                    data.ino(),
                    data.size(),
                    data.ctime(),
                    data.ctime_nsec()
                );
            }
        }
        Self(text)
    }

    /// What is the same for all architectures.
    fn of_tree(&self) -> &str {
        self.0.split_once('\n').map_or("", |(_, tree)| tree)
    }
}

impl Host {
    /// The one that was written down, if nothing has changed since.
    fn kept(builder: &Builder, target: &Target, signs: &Signs) -> Option<Self> {
        let text = fs::read(note(builder, target)).ok()?;
        let kept: Kept = serde_json::from_slice(&text).ok()?;
        if kept.signs != *signs {
            return None;
        }
        Self::read(builder, target, kept.digest).ok()
    }

    fn read(builder: &Builder, target: &Target, digest: String) -> io::Result<Self> {
        let directory = place(builder, target, &digest);
        let file = directory.join(package::file_name(target, &digest));
        let (header, artifact) = package::read(&file)?;
        let package = Package {
            artifact: Some(artifact),
            ..Package::clone(&header.package)
        };
        let package = Arc::new(package);
        let mut state = vec![("etc/ld.so.cache".to_owned(), directory.join("ld.so.cache"))];
        for entry in fs::read_dir(directory.join(DATABASE))? {
            let entry = entry?;
            if let Some(name) = entry.file_name().to_str() {
                state.push((format!("{RPM}/{name}"), entry.path()));
            }
        }
        Ok(Self {
            digest,
            index: Arc::new(Index::of([Arc::clone(&package)])),
            package,
            header,
            file,
            state,
            database: None,
        })
    }

    /// Looks at everything, and writes it down.
    fn scan(builder: &Builder, target: &Target, signs: &Signs) -> io::Result<Self> {
        let tree = builder.tree();
        let configured = builder.settings.host_provides.iter();
        let provides = scan::provides(
            &tree,
            signs.of_tree(),
            target,
            configured.map(|(name, path)| (name.as_str(), path.as_str())),
        )?;
        let mut all = Sha256::new();
        all.update(format!("windlass-host {FORMAT} {}\n", target.arch));
        for provide in &provides {
            all.update(format!("{provide}\n"));
        }
        installed(&tree, &mut all)?;
        let digest = hex(&all.finalize());
        let directory = place(builder, target, &digest);
        if !directory.join(DATABASE).is_dir() {
            let parent = directory.parent().unwrap_or(&directory).to_owned();
            fs::create_dir_all(&parent)?;
            let new = tempfile::Builder::new().prefix(".new-").tempdir_in(&parent)?;
            package::write(new.path(), target, &digest, &provides)?;
            furnish(builder, target, &digest, new.path()).map_err(|error| io::Error::other(error.to_string()))?;
            // The repository is for other programs to read, as for who serves it.
            fs::set_permissions(new.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
            if directory.exists() {
                fs::remove_dir_all(&directory)?;
            }
            match fs::rename(new.path(), &directory) {
                Ok(()) => drop(new.keep()),
                // Somebody else was quicker.
                Err(_) if directory.join(DATABASE).is_dir() => {}
                Err(error) => return Err(error),
            }
        }
        let kept = Kept {
            signs: signs.clone(),
            digest: digest.clone(),
        };
        let mut new = tempfile::Builder::new()
            .prefix(".new-")
            .tempfile_in(directory.parent().unwrap_or(&directory))?;
        serde_json::to_writer(&mut new, &kept)?;
        new.persist(note(builder, target))?;
        Self::read(builder, target, digest)
    }
}

/// What a root is like in which the package in this directory is installed, put beside it.
fn furnish(builder: &Builder, target: &Target, digest: &str, directory: &Path) -> Result<(), SandboxError> {
    let macros = target.macros(&builder.settings, &Values::default());
    let furnishing = etc::furnishing(&builder.tree(), target, &macros, Vec::new());
    let mut sandbox = Bubblewrap::start(builder, furnishing, &StopFlag::new()?)?;
    as_root(&mut sandbox, target, &["ldconfig"])?;
    let package = File::open(directory.join(package::file_name(target, digest)))?;
    sandbox.bring("host.rpm", package.as_fd())?;
    let install = ["rpm", "-i", "--nosignature", "/run/packages/host.rpm"];
    as_root(&mut sandbox, target, &install)?;
    let copy = |from: File, to: PathBuf| -> io::Result<()> {
        io::copy(&mut io::Read::take(from, LARGEST), &mut File::create_new(to)?)?;
        Ok(())
    };
    copy(sandbox.read("etc/ld.so.cache")?, directory.join("ld.so.cache"))?;
    let database = directory.join(DATABASE);
    fs::create_dir(&database)?;
    for name in sandbox.names(RPM, 100)? {
        if name != ".rpm.lock" {
            copy(sandbox.read(&format!("{RPM}/{name}"))?, database.join(&name))?;
        }
    }
    Ok(())
}

fn as_root(sandbox: &mut Bubblewrap, target: &Target, words: &[&str]) -> Result<(), SandboxError> {
    let mut log = tempfile::tempfile()?;
    let command = Command {
        role: Role::Root,
        argv: target.command(words),
        env: Target::root_environment(),
        log: 64 << 10,
    };
    let ended = sandbox.run(command, log.as_fd())?;
    if ended.code == Some(0) {
        return Ok(());
    }
    let mut said = Vec::new();
    io::Seek::rewind(&mut log)?;
    io::Read::read_to_end(&mut log, &mut said)?;
    let said = windlass_core::escape::escaped_bytes(said.trim_ascii());
    let program = words.first().copied().unwrap_or_default();
    Err(SandboxError::Broken(format!(
        "{program} failed in the build root: {said}"
    )))
}

/// The list of what is installed, as its package manager keeps it.
fn installed(tree: &Path, into: &mut Sha256) -> io::Result<()> {
    if let Ok(status) = fs::read_to_string(tree.join("var/lib/dpkg/status")) {
        let wanted = ["Package: ", "Version: ", "Architecture: ", "Status: "];
        for line in status
            .lines()
            .filter(|line| wanted.iter().any(|one| line.starts_with(one)))
        {
            into.update(line);
            into.update("\n");
        }
        return Ok(());
    }
    for sign in SIGNS.iter().filter(|sign| sign.contains("rpm/")) {
        let path = tree.join(sign);
        if path.is_file() {
            into.update(fs::read(path)?);
        }
    }
    Ok(())
}

fn note(builder: &Builder, target: &Target) -> PathBuf {
    builder.directory.join("host").join(format!("{}.json", target.arch))
}

fn place(builder: &Builder, target: &Target, digest: &str) -> PathBuf {
    builder
        .directory
        .join("host")
        .join(format!("{}-{}", target.arch, &digest[..16]))
}
