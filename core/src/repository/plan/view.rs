//! A plan as it is shown, in text and JSON, and kept.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{ArchPlan, How, Plan, PlanWarning};
use crate::escape::escaped;
use crate::id::{ArchName, Generation, ObjectId, PackageName, RepositoryName, SubtaskNumber};

/// A plan by names alone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PlanView {
    /// The repository.
    pub repository: RepositoryName,
    /// The generation that it assumes.
    pub base: Generation,
    /// Source packages that come or go, by subtask and name.
    pub changes: Vec<ChangeView>,
    /// What its author should know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<PlanWarning>,
}

/// What happens to one source package.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ChangeView {
    /// The subtask that causes it.
    pub subtask: SubtaskNumber,
    /// The source package.
    pub package: PackageName,
    /// How it comes or goes.
    pub how: How,
    /// What is there now, as \[epoch:\]version-release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// What is there then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// The tag object that it was built from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<ObjectId>,
    /// Its binary packages, by architecture.
    pub arches: BTreeMap<ArchName, ArchView>,
}

/// The binary packages of one source package on one architecture: names, and versions where these are not the source's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ArchView {
    /// Those that come.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub added: Vec<String>,
    /// Those that go, or are replaced.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<String>,
}

/// From how many names on a line only counts them, and names what is new or gone.
const MANY: usize = 8;

impl PlanView {
    /// The view of a plan.
    pub(super) fn of(plan: &Plan) -> Self {
        let changes = plan
            .changes
            .iter()
            .map(|change| {
                let before = change.before.as_ref().map(ToString::to_string);
                let after = change.after.as_ref().map(ToString::to_string);
                let arches = plan.arches.iter().filter_map(|(arch, all)| {
                    let view = ArchView::of(all, &change.package, [before.as_deref(), after.as_deref()]);
                    (view != ArchView::default()).then(|| (arch.clone(), view))
                });
                ChangeView {
                    subtask: change.subtask,
                    package: change.package.clone(),
                    how: change.how,
                    arches: arches.collect(),
                    before,
                    after,
                    tag: change.tag.clone(),
                }
            })
            .collect();
        Self {
            repository: plan.repository.clone(),
            base: plan.base,
            changes,
            warnings: plan.warnings.clone(),
        }
    }
}

impl ArchView {
    fn of(plan: &ArchPlan, source: &PackageName, [before, after]: [Option<&str>; 2]) -> Self {
        let names = |packages: &[std::sync::Arc<crate::rpm::Package>], usual: Option<&str>| -> Vec<String> {
            let mut names: Vec<String> = packages
                .iter()
                .filter(|package| package.source_name() == source.as_str())
                .map(|package| {
                    let evr = package.evr.to_string();
                    if usual == Some(evr.as_str()) {
                        escaped(&package.name)
                    } else {
                        escaped(&format!("{}-{evr}", package.name))
                    }
                })
                .collect();
            names.sort();
            names
        };
        Self {
            added: names(&plan.added, after),
            removed: names(&plan.removed, before),
        }
    }

    /// `libfoo, libfoo-devel, +libfoo-tools, -libfoo0`, or `62 packages, +libfoo-tools`.
    fn text(&self) -> String {
        let added: BTreeSet<&str> = self.added.iter().map(String::as_str).collect();
        let removed: BTreeSet<&str> = self.removed.iter().map(String::as_str).collect();
        if added.is_empty() {
            return counted(&removed, "-");
        }
        if removed.is_empty() {
            return counted(&added, "+");
        }
        let stay: Vec<&str> = added.intersection(&removed).copied().collect();
        let mut parts: Vec<String> = if stay.len() > MANY {
            vec![format!("{} packages", stay.len())]
        } else {
            stay.into_iter().map(str::to_owned).collect()
        };
        for (sign, some) in [("+", &added - &removed), ("-", &removed - &added)] {
            if !some.is_empty() {
                parts.push(counted(&some, sign));
            }
        }
        parts.join(", ")
    }
}

/// The names with a sign, or how many there are.
fn counted(names: &BTreeSet<&str>, sign: &str) -> String {
    if names.len() > MANY {
        return format!("{sign}{} packages", names.len());
    }
    let signed: Vec<String> = names.iter().map(|name| format!("{sign}{name}")).collect();
    signed.join(", ")
}

impl ChangeView {
    /// `1.0-alt1 → 1.1-alt1`.
    fn versions(&self) -> String {
        match (&self.before, &self.after) {
            (Some(before), Some(after)) => format!("{before} → {after}"),
            (None, Some(after)) => format!("new → {after}"),
            (Some(before), None) => format!("{before} → gone"),
            (None, None) => "gone".to_owned(),
        }
    }

    fn how(&self) -> &'static str {
        match self.how {
            How::Build => "",
            How::Rebuild => "built once more",
            How::Copy => "copied",
            How::Removal => "removed",
            How::TakenOver => "replaced by another source",
        }
    }
}

impl fmt::Display for PlanView {
    /// One line a source package, below it its binary packages, architectures with the same ones together; then the warnings.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}, on generation {}:", self.repository, self.base)?;
        let width = |cell: &dyn Fn(&ChangeView) -> String| {
            self.changes
                .iter()
                .map(|change| cell(change).chars().count())
                .max()
                .unwrap_or(0)
        };
        let names = width(&|change| change.package.to_string());
        let versions = width(&|change| change.versions());
        for change in &self.changes {
            let line = format!(
                "  {:>2}  {:names$}  {:versions$}  {}",
                change.subtask,
                change.package,
                change.versions(),
                change.how()
            );
            writeln!(f, "{}", line.trim_end())?;
            let mut lines: Vec<(Vec<&str>, String)> = Vec::new();
            for (arch, view) in &change.arches {
                let text = view.text();
                match lines.iter_mut().find(|(_, known)| *known == text) {
                    Some((arches, _)) => arches.push(arch.as_str()),
                    None => lines.push((vec![arch.as_str()], text)),
                }
            }
            for (arches, text) in lines {
                writeln!(f, "        {}: {text}", arches.join(", "))?;
            }
        }
        for warning in &self.warnings {
            writeln!(f, "warning: {warning}")?;
        }
        Ok(())
    }
}
