//! Package files, as somebody built them elsewhere, taken for copies that a task's subtasks would bring: one for each source
//! package.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use windlass_core::id::{ArchName, PackageName, SubtaskNumber};
use windlass_core::refusal::Refusal;
use windlass_core::repository::{ArchResult, Brought, BroughtBy, runs_on};
use windlass_core::rpm::Header;

use super::{RepositoryError, sign};

/// Takes the files for copies, and these source packages for removals.
///
/// # Errors
/// A file is no package; a binary package comes without its source package.
pub fn brought(
    files: &[PathBuf],
    removals: &[PackageName],
    architectures: &[ArchName],
) -> Result<Vec<Brought>, RepositoryError> {
    let mut sources: BTreeMap<String, Arc<Header>> = BTreeMap::new();
    let mut binaries: BTreeMap<String, Vec<Arc<Header>>> = BTreeMap::new();
    for file in files {
        let header = Arc::new(sign::read_whole(file)?);
        let package = &header.package;
        if package.is_source() {
            sources.insert(package.file_name(), header);
        } else {
            let source = package.source_rpm.clone().unwrap_or_default();
            binaries.entry(source).or_default().push(header);
        }
    }
    if let Some((source, of_it)) = binaries.iter().find(|(source, _)| !sources.contains_key(*source)) {
        let text = format!(
            "{} was built from {}, which is not among the files",
            of_it[0].package.nevra(),
            windlass_core::escape::escaped(source)
        );
        return Err(Refusal::new("no_source", text)
            .hint("name the source package, too: it comes and goes with all that was built from it")
            .into());
    }
    let builds = sources.into_iter().map(|(name, source)| {
        let binaries = binaries.remove(&name).unwrap_or_default();
        // No tag says what they were built from.
        BroughtBy::Copy {
            results: architectures
                .iter()
                .map(|arch| (arch.clone(), result_for(arch, &source, &binaries)))
                .collect(),
        }
    });
    let removals = removals.iter().map(|package| BroughtBy::Removal {
        package: package.clone(),
    });
    let numbered = builds.chain(removals).zip(1..);
    Ok(numbered
        .map(|(action, number)| Brought {
            subtask: SubtaskNumber(number),
            action,
        })
        .collect())
}

/// What there is for an architecture. Packages for all of them stand for each, unless others say for which the build was.
fn result_for(arch: &ArchName, source: &Arc<Header>, binaries: &[Arc<Header>]) -> ArchResult {
    let is_for_all = |header: &&Arc<Header>| header.package.arch == "noarch";
    let fits = |header: &&Arc<Header>| runs_on(&header.package.arch, arch);
    let of_this: Vec<Arc<Header>> = binaries.iter().filter(fits).cloned().collect();
    let was_built = of_this.iter().any(|header| !is_for_all(&header)) || binaries.iter().all(|one| is_for_all(&one));
    if was_built && !of_this.is_empty() {
        ArchResult::Built {
            source: Arc::clone(source),
            binaries: of_this,
        }
    } else {
        ArchResult::Excluded {
            why: format!("no file for {arch} is given"),
        }
    }
}
