//! What is made of an image before builds run in it: rpm's macros, the builder's name, and the installed `windlass-host`. Once on each
//! engine for each image and set of macros. Nothing of a package's runs here.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::AsFd as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};
use windlass_core::escape::escaped_bytes;
use windlass_core::hex::hex;

use super::super::host::{Image, NAME};
use super::super::need::SandboxError;
use super::{Furniture, Kept, Run, Site, append_file, header, label, tree};
use crate::sandbox::{Host, Target};

/// Raised when something else is made of an image.
const FORMAT: u32 = 1;

/// How much is said when it fails.
const SAID: u64 = 256 << 10;

/// The largest image that is looked at.
const LARGEST: u64 = 32 << 30;

/// Directories that builds need. Podman gives the volume the owner and the mode of the directory that it is mounted on.
const DIRECTORIES: [(&str, u32); 10] = [
    ("build", 0o777),
    ("etc", 0o755),
    ("etc/ld.so.conf.d", 0o755),
    ("etc/rpm", 0o755),
    ("etc/windlass", 0o755),
    ("etc/windlass/bin", 0o755),
    ("run", 0o755),
    ("run/packages", 0o755),
    ("tmp", 0o1777),
    ("var/tmp", 0o1777),
];

/// Gives the builder a name, has the loader look where rpm puts libraries, and installs what the image stands for.
const PREPARE: &str = "set -e
grep -q '^[^:]*:[^:]*:1000:' /etc/passwd || echo 'builder:x:1000:1000:builder:/build/home:/bin/sh' >> /etc/passwd
grep -q '^[^:]*:[^:]*:1000:' /etc/group || echo 'builder:x:1000:' >> /etc/group
test -e /etc/ld.so.conf || echo 'include /etc/ld.so.conf.d/*.conf' > /etc/ld.so.conf
ldconfig
rpm -i --nosignature /run/packages/host.rpm
rm -rf /run/packages
";

/// Asks rpm what all packages of its database provide.
const PROVIDED: &str =
    "exec rpm --dbpath \"$1\" -qa --qf '[%{PROVIDENAME} %{PROVIDEFLAGS:depflags} %{PROVIDEVERSION}\\n]'";

impl Site {
    /// The image that a build begins in; made where it is not there yet.
    pub(super) fn prepared(&mut self, furniture: &Furniture<'_>) -> Result<String, SandboxError> {
        let ready = self.lease.ready().clone();
        let key = hex(&Sha256::digest(format!(
            "{FORMAT} {} {} {}",
            ready.image, furniture.host.digest, furniture.macros
        )));
        let (key, name) = (
            &key[..16],
            format!("localhost/windlass-sandbox-{}", self.lease.instance()),
        );
        let build = format!("prepared-{key}");
        let kept = Kept {
            labels: label::of(self.lease.instance(), &build),
            image: name,
            tag: key.to_owned(),
        };
        let name = kept.name();
        let pool = self.lease.pool();
        let _one_at_a_time = pool.preparing(&self.lease);
        self.lease.ours().insert(build);
        if ready.link.image(&name).map_err(|fault| self.fault(fault))?.is_some() {
            return Ok(name);
        }
        let archive = archive(furniture)?;
        let said = tempfile::tempfile()?;
        let run = Run {
            body: self
                .order(&ready.image, false)
                .script(PREPARE, &[], &Target::root_environment()),
            archive: Some(("/", archive)),
            log: said.as_fd(),
            most_said: SAID,
            most_written: None,
        };
        let ended = self.follow(run, Some(&kept))?;
        if ended.code == Some(0) {
            return Ok(name);
        }
        Err(SandboxError::Broken(format!(
            "builder {}: its image cannot be made ready for builds: {}\n\nhint: it needs rpm, rpmbuild, a shell, grep, coreutils and ldconfig",
            self.lease.name(),
            last_words(said)?
        )))
    }
}

fn archive(furniture: &Furniture<'_>) -> io::Result<File> {
    let mut tar = tar::Builder::new(tempfile::tempfile()?);
    for (name, mode) in DIRECTORIES {
        tar.append(&header(name, tar::EntryType::Directory, mode, 0, 0, 0)?, io::empty())?;
    }
    let libraries = format!("{}\n", furniture.target.libraries());
    let mut texts = vec![
        ("etc/rpm/macros".to_owned(), furniture.macros.as_bytes().to_vec(), 0o644),
        (
            "etc/ld.so.conf.d/windlass.conf".to_owned(),
            libraries.into_bytes(),
            0o644,
        ),
    ];
    texts.extend(
        furniture
            .target
            .programs()
            .into_iter()
            .map(|(name, text)| (name, text, 0o755)),
    );
    for (name, text, mode) in texts {
        let head = header(&name, tar::EntryType::Regular, mode, text.len() as u64, 0, 0)?;
        tar.append(&head, text.as_slice())?;
    }
    append_file(&mut tar, "run/packages/host.rpm", &File::open(&furniture.host.file)?)?;
    tar.into_inner()
}

/// An image as the scan of what it provides sees it.
pub(super) struct Looked<'s> {
    /// Where containers can be made of it; one at a time.
    pub(super) site: std::cell::RefCell<&'s mut Site>,
}

impl Image for Looked<'_> {
    fn lay_out(&self, directory: &Path) -> io::Result<()> {
        let mut site = self.site.borrow_mut();
        let ready = site.lease.ready().clone();
        // It is never started.
        let body = site.order(&ready.image, false).script("exit 0", &[], &[]);
        let container = ready
            .link
            .create(None, body)
            .map_err(|fault| other(&site.fault(fault)))?;
        let archive = ready.link.export(&container, LARGEST, &site.patience);
        let removed = ready.link.remove(&container);
        let archive = archive.map_err(|trouble| other(&site.trouble(trouble)))?;
        removed.map_err(|fault| other(&site.fault(fault)))?;
        let archive =
            archive.ok_or_else(|| io::Error::other(format!("the image is larger than {} GiB", LARGEST >> 30)))?;
        tree::lay_out(&archive, directory)
    }

    fn provided(&self, database: &str) -> io::Result<String> {
        let mut site = self.site.borrow_mut();
        let ready = site.lease.ready().clone();
        let mut said = tempfile::tempfile()?;
        let words = [database.to_owned()];
        let run = Run {
            body: site
                .order(&ready.image, false)
                .script(PROVIDED, &words, &Target::root_environment()),
            archive: None,
            log: said.as_fd(),
            most_said: 64 << 20,
            most_written: None,
        };
        if site.follow(run, None).map_err(|error| other(&error))?.code != Some(0) {
            return Err(io::Error::other(format!(
                "rpm cannot read the image's database: {}",
                last_words(said)?
            )));
        }
        let mut text = String::new();
        said.rewind()?;
        said.read_to_string(&mut text)?;
        // Without a version there are two blanks at the end; a package of ours is none of the image's.
        let lines = text.lines().map(str::trim).filter(|line| !line.starts_with(NAME));
        Ok(lines.collect::<Vec<_>>().join("\n"))
    }
}

fn other(error: &SandboxError) -> io::Error {
    io::Error::other(error.to_string())
}

/// The end of what was said, safe to show.
fn last_words(mut said: File) -> io::Result<String> {
    said.flush()?;
    let size = said.metadata()?.len();
    said.seek(io::SeekFrom::Start(size.saturating_sub(1000)))?;
    let mut text = Vec::new();
    said.read_to_end(&mut text)?;
    Ok(escaped_bytes(text.trim_ascii()))
}

/// What an image stands for, looked at on an engine that has it.
pub(super) fn host_of(
    site: &mut Site,
    builder: &super::super::Builder,
    target: &Target,
    digest: &str,
) -> Result<Host, SandboxError> {
    let found = {
        let site = std::cell::RefCell::new(&mut *site);
        Host::of_image(builder, target, digest, &Looked { site })
    };
    found.map_err(|error| {
        if site.is_lost {
            SandboxError::Lost(error.to_string())
        } else {
            SandboxError::Broken(error.to_string())
        }
    })
}
