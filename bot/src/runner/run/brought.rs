//! What the subtasks bring together, and where its files are.

use std::collections::BTreeMap;
use std::path::PathBuf;

use windlass_core::id::{ArchName, SubtaskNumber};
use windlass_core::repository::{ArchResult, Brought, BroughtBy};
use windlass_core::rpm::Package;

use super::Walk;
use super::builds::Built;
use super::sources::Source;
use crate::repository::{Files, source_directory};

impl Walk<'_> {
    /// What all subtasks bring, and where its files are.
    pub(super) fn brought(&self, sources: &BTreeMap<SubtaskNumber, Source>, mut built: Built) -> (Vec<Brought>, Files) {
        let mut files = Files::default();
        let mut brought = Vec::new();
        for subtask in &self.job.task.subtasks {
            let number = subtask.number;
            let action = match sources.get(&number) {
                None => continue,
                Some(Source::Removal) => BroughtBy::Removal {
                    package: subtask.action.package().clone(),
                },
                Some(Source::Copied(copied)) => {
                    for (arch, copied) in copied {
                        put(&mut files, arch, &copied.result, copied.files_by_name());
                    }
                    BroughtBy::Copy {
                        results: copied
                            .iter()
                            .map(|(arch, copied)| (arch.clone(), copied.result.clone()))
                            .collect(),
                    }
                }
                Some(Source::Archive { tag, .. }) => {
                    let mut results = BTreeMap::new();
                    for arch in self.repository.architectures() {
                        if let Some(outcome) = built.remove(&(number, arch.clone())) {
                            put(&mut files, arch, &outcome.result, &outcome.files);
                            results.insert(arch.clone(), outcome.result);
                        }
                    }
                    BroughtBy::Build {
                        tag: tag.clone(),
                        results,
                    }
                }
            };
            brought.push(Brought {
                subtask: number,
                action,
            });
        }
        (brought, files)
    }
}

/// Where the files of one result are.
fn put(files: &mut Files, arch: &ArchName, result: &ArchResult, by_name: &BTreeMap<String, PathBuf>) {
    let ArchResult::Built { source, binaries } = result else {
        return;
    };
    let file = |package: &Package| by_name.get(&package.nevra()).cloned();
    if let Some(path) = file(&source.package) {
        files.insert_first(source_directory(), &source.package, path);
    }
    for header in binaries {
        if let Some(path) = file(&header.package) {
            files.insert(arch.clone(), &header.package, path);
        }
    }
}
