//! What a copy brings: a source package of another repository, with all that was built from it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use windlass_core::escape::escaped;
use windlass_core::id::{ArchName, PackageName, RepositoryName, SubtaskNumber};
use windlass_core::repository::{ArchResult, Problem};
use windlass_core::rpm::{Header, Package, header};
use windlass_core::task::ArchOutcome;

use super::Runner;
use crate::repository::source_directory;
use crate::stages::StageError;

/// What is copied for one architecture.
#[derive(Debug, Clone)]
pub(super) struct Copied {
    pub(super) result: ArchResult,
    files: BTreeMap<String, PathBuf>,
}

impl Copied {
    /// The binary packages.
    pub(super) fn packages(&self) -> Vec<Arc<Package>> {
        match &self.result {
            ArchResult::Built { binaries, .. } => binaries.iter().map(|header| Arc::clone(&header.package)).collect(),
            ArchResult::Excluded { .. } => Vec::new(),
        }
    }

    /// Where the files are, by what [`Package::nevra`] says.
    pub(super) fn files_by_name(&self) -> &BTreeMap<String, PathBuf> {
        &self.files
    }

    /// The same, to keep.
    pub(super) fn files(&self) -> BTreeMap<String, PathBuf> {
        self.files.clone()
    }

    /// As it goes on record.
    pub(super) fn outcome(&self) -> ArchOutcome {
        match &self.result {
            ArchResult::Built { source, binaries } => ArchOutcome::Copied {
                packages: std::iter::once(source)
                    .chain(binaries)
                    .map(|header| escaped(&header.package.nevra()))
                    .collect(),
            },
            ArchResult::Excluded { why } => ArchOutcome::Excluded { why: escaped(why) },
        }
    }
}

/// Finds a package in another repository, as that is now.
pub(super) fn run(
    runner: &Runner,
    architectures: &[ArchName],
    subtask: SubtaskNumber,
    package: &PackageName,
    from: &RepositoryName,
) -> Result<BTreeMap<ArchName, Copied>, StageError> {
    let wrong = |code: &'static str, message: String| StageError::package(Problem::new(code, message).of(subtask));
    let Some(other) = runner.repositories.get(from) else {
        return Err(wrong(
            "unknown_repository",
            format!("there is no repository {from} any more"),
        ));
    };
    let content = other.content();
    let Some(source) = content.source.named(package.as_str()).max_by(|a, b| a.evr.cmp(&b.evr)) else {
        return Err(wrong("not_there", format!("{package} is not in {from}")));
    };
    let source_file = other.pool_file(&source_directory(), source);
    let source_header = read(source_file.as_deref(), source)?;
    let source_rpm = source.file_name();
    let mut copied = BTreeMap::new();
    for arch in architectures {
        let found = content
            .arches
            .get(arch)
            .map(|index| index.built_from(&source_rpm))
            .unwrap_or_default();
        let mut files = BTreeMap::new();
        let mut binaries = Vec::new();
        for binary in found {
            let path = other.pool_file(arch, binary);
            binaries.push(read(path.as_deref(), binary)?);
            files.extend(path.map(|path| (binary.nevra(), path)));
        }
        let result = if binaries.is_empty() {
            ArchResult::Excluded {
                why: format!("{from} has nothing of it for {arch}"),
            }
        } else {
            files.extend(source_file.clone().map(|path| (source.nevra(), path)));
            ArchResult::Built {
                source: Arc::clone(&source_header),
                binaries,
            }
        };
        copied.insert(arch.clone(), Copied { result, files });
    }
    if copied.values().all(|copied| copied.files.is_empty()) {
        let message = format!("{package} of {from} is for none of the architectures here");
        return Err(wrong("not_there", message));
    }
    Ok(copied)
}

fn read(path: Option<&Path>, package: &Package) -> Result<Arc<Header>, StageError> {
    let name = package.nevra();
    let path = path.ok_or_else(|| StageError::infrastructure(format!("{name} has no file")))?;
    let file = File::open(path).map_err(|error| StageError::io(&path.display().to_string(), &error))?;
    header::read(&mut BufReader::new(file))
        .map(Arc::new)
        .map_err(|error| StageError::infrastructure(format!("{}: {error}", path.display())))
}
