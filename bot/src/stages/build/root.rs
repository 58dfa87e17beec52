//! What is installed in a build root: which packages, from which files.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use windlass_core::repository::{Index, Unresolvable, closure};
use windlass_core::rpm::{Dependency, FileKind, Header, Package, Requirement, header};

use super::{BuildOrder, failure};
use crate::digest::sha256_of;
use crate::sandbox::{Host, host};
use crate::stages::StageError;

/// How many packages' headers are remembered.
const REMEMBERED: usize = 20_000;

/// How many lines say what is missing.
const MOST_REASONS: usize = 24;

/// A build root, before it is there.
#[derive(Debug)]
pub(super) struct Root {
    /// Its packages, by name.
    pub(super) members: Vec<Member>,
}

/// One package of a build root.
#[derive(Debug)]
pub(super) struct Member {
    /// What it is called.
    pub(super) nevra: String,
    /// The digest of its header, which signing does not change.
    digest: String,
    /// The directories that it brings files into.
    pub(super) directories: Arc<Vec<String>>,
    /// Whether it has shared libraries.
    pub(super) has_libraries: bool,
    file: PathBuf,
    /// What the repository says that the file's SHA-256 is.
    sha256: Option<String>,
}

/// What is known of a package's file by its digest.
#[derive(Debug, Clone)]
struct Known {
    digest: String,
    directories: Arc<Vec<String>>,
    has_libraries: bool,
}

static KNOWN: LazyLock<Mutex<HashMap<String, Known>>> = LazyLock::new(Mutex::default);

impl Root {
    /// Works out what has to be installed.
    pub(super) fn resolve(order: &BuildOrder, host: &Host, wanted: &[Requirement]) -> Result<Self, StageError> {
        let mut indexes: Vec<&Index> = order.layers.iter().map(|layer| &layer.index).collect();
        indexes.push(&host.index);
        let mut wanted = wanted.to_vec();
        wanted.push(Requirement::Plain(Dependency::any(host::NAME)));
        let chosen = closure(&indexes, &order.arch, &wanted)
            .map_err(|unresolvable| missing(order, &indexes, &wanted, unresolvable))?;
        let mut members = Vec::with_capacity(chosen.len());
        for package in chosen {
            members.push(member(order, host, &package)?);
        }
        Ok(Self { members })
    }

    /// What it consists of, as text for a key.
    pub(super) fn digest(&self) -> String {
        let lines: Vec<String> = self
            .members
            .iter()
            .map(|member| format!("{} {}\n", member.nevra, member.digest))
            .collect();
        lines.concat()
    }
}

/// All that cannot be had, where each can be named by itself.
fn missing(order: &BuildOrder, indexes: &[&Index], wanted: &[Requirement], together: Unresolvable) -> StageError {
    let mut reasons = Vec::new();
    for one in wanted {
        if let Err(alone) = closure(indexes, &order.arch, std::slice::from_ref(one)) {
            reasons.extend(alone.reasons);
        }
        if reasons.len() >= MOST_REASONS {
            reasons.push("…".to_owned());
            break;
        }
    }
    if reasons.is_empty() {
        reasons = together.reasons;
    }
    let message = format!(
        "its build requirements cannot be installed:\n  {}",
        reasons.join("\n  ")
    );
    StageError::package(failure::problem(order, "build_requires", message).hint(
        "land what is missing first, or add it to this task before this package; or mend BuildRequires in the spec",
    ))
}

impl Member {
    /// Whether its file is another than the repository says.
    pub(super) fn is_damaged(&self) -> bool {
        let found = self.open().and_then(sha256_of);
        match (&self.sha256, found) {
            (Some(wanted), Ok((found, _))) => *wanted != found,
            (None, Ok(_)) => false,
            (_, Err(_)) => true,
        }
    }

    /// Its file.
    pub(super) fn path(&self) -> &Path {
        &self.file
    }

    /// Opens its file.
    pub(super) fn open(&self) -> io::Result<File> {
        File::open(&self.file).map_err(|error| io::Error::other(format!("{}: {error}", self.file.display())))
    }
}

fn member(order: &BuildOrder, host: &Host, package: &Arc<Package>) -> Result<Member, StageError> {
    let nevra = package.nevra();
    if Arc::ptr_eq(package, &host.package) {
        return Ok(known(&host.header).member(nevra, host.file.clone(), None));
    }
    let layer = order
        .layers
        .iter()
        .find(|layer| layer.index.named(&package.name).any(|one| one == package))
        .ok_or_else(|| StageError::infrastructure(format!("'{nevra}' is in none of the repositories any more")))?;
    let file = layer.files.path(package)?;
    let artifact = package.artifact.as_ref().map(|artifact| artifact.sha256.clone());
    if let Some(artifact) = &artifact
        && let Some(known) = KNOWN.lock().unwrap_or_else(PoisonError::into_inner).get(artifact)
    {
        return Ok(known.clone().member(nevra, file, Some(artifact.clone())));
    }
    let header = read(&file)?;
    if header.package.nevra() != nevra {
        return Err(StageError::infrastructure(format!(
            "{} holds '{}' and not '{nevra}'",
            file.display(),
            windlass_core::escape::escaped(&header.package.nevra())
        )));
    }
    let known = known(&header);
    if let Some(artifact) = artifact.clone() {
        let mut all = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= REMEMBERED {
            all.clear();
        }
        all.insert(artifact, known.clone());
    }
    Ok(known.member(nevra, file, artifact))
}

fn read(file: &Path) -> Result<Header, StageError> {
    let open = || File::open(file).map_err(header::BadPackage::from);
    open()
        .and_then(|file| header::read(&mut BufReader::new(file)))
        .map_err(|error| StageError::infrastructure(format!("the package {}: {error}", file.display())))
}

fn known(header: &Header) -> Known {
    let mut directories = BTreeSet::new();
    let mut has_libraries = false;
    for file in &header.package.files {
        let (parent, name) = file.path.rsplit_once('/').unwrap_or_default();
        directories.insert(match file.kind {
            FileKind::Directory => file.path.clone(),
            FileKind::Plain | FileKind::Ghost => parent.to_owned(),
        });
        has_libraries |= name.contains(".so") || parent == "/etc/ld.so.conf.d";
    }
    // Old places are links to the new ones.
    let directories = directories.into_iter().map(|path| {
        let old = ["/bin", "/sbin", "/lib", "/lib64", "/lib32"];
        if old
            .iter()
            .any(|old| path == *old || path.starts_with(&format!("{old}/")))
        {
            format!("/usr{path}")
        } else {
            path
        }
    });
    Known {
        digest: header.about.header_sha256.clone(),
        directories: Arc::new(directories.filter(|path| path.starts_with("/usr/")).collect()),
        has_libraries,
    }
}

impl Known {
    fn member(self, nevra: String, file: PathBuf, sha256: Option<String>) -> Member {
        Member {
            nevra,
            digest: self.digest,
            directories: self.directories,
            has_libraries: self.has_libraries,
            file,
            sha256,
        }
    }
}
