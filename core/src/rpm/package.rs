//! One package as a repository knows it.

use super::{Dependency, Evr, Requirement};

/// What resolving needs to know of a package. What only people read (description, changelog) is not here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its epoch, version, release.
    pub evr: Evr,
    /// `x86_64`, `noarch`, …; `src` for a source package.
    pub arch: String,
    /// The file name of the source package that it was built from; none for a source package.
    pub source_rpm: Option<String>,
    /// What it provides, its own name included.
    pub provides: Vec<Dependency>,
    /// What it needs; for a source package: what its build needs. `rpmlib(…)` is left out: every installer has it.
    pub requires: Vec<Requirement>,
    /// With what it cannot stand together.
    pub conflicts: Vec<Requirement>,
    /// What it replaces when it is installed.
    pub obsoletes: Vec<Dependency>,
    /// What is installed with it where that is possible.
    pub recommends: Vec<Requirement>,
    /// Its files.
    pub files: Vec<File>,
    /// The file that it is in; none for one that is thought up.
    pub artifact: Option<Artifact>,
}

impl Package {
    /// Whether it is a source package.
    pub fn is_source(&self) -> bool {
        matches!(self.arch.as_str(), "src" | "nosrc")
    }

    /// The name of the source package that it was built from, or is. One that names no source package is its own.
    pub fn source_name(&self) -> &str {
        let Some(file) = self.source_rpm.as_deref().filter(|_| !self.is_source()) else {
            return &self.name;
        };
        // name-version-release.src.rpm; neither version nor release has a '-'.
        match file.rmatch_indices('-').nth(1) {
            Some((end, _)) if end > 0 => &file[..end],
            _ => &self.name,
        }
    }

    /// `name-[epoch:]version-release.architecture`: what it is called in texts.
    pub fn nevra(&self) -> String {
        format!("{}-{}.{}", self.name, self.evr, self.arch)
    }

    /// `name-version-release.architecture.rpm`: what its file is called. The epoch is not in it.
    pub fn file_name(&self) -> String {
        format!("{}-{}.{}.rpm", self.name, self.evr.without_epoch(), self.arch)
    }
}

/// The file that holds a package.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Artifact {
    /// Its SHA-256, 64 lower-case hexadecimal digits: what rpm-md calls `pkgid`.
    pub sha256: String,
    /// Its size in bytes.
    pub size: u64,
    /// Where it is, relative to the directory that holds `repodata`.
    pub location: String,
}

/// One file of a package.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct File {
    /// Its absolute path.
    pub path: String,
    /// What it is.
    pub kind: FileKind,
}

/// What a file of a package is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FileKind {
    /// A file, link, device.
    Plain,
    /// A directory.
    Directory,
    /// Belongs to the package and is not in it.
    Ghost,
}
