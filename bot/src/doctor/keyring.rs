//! People's keys, by the keyring's own lint, and the index over them.

use std::path::Path;
use std::time::SystemTime;

use windlass_core::signing::lint;
use windlass_hooks::keyring::Keyring;

use super::{Finding, Fix, Severity, Site, unreadable};
use crate::cli::keys::measure;

pub(super) fn examine(site: &Site) -> Vec<Finding> {
    let directory = site.config.paths.people();
    if !directory.exists() {
        return Vec::new();
    }
    let mut findings = Vec::new();
    let linted = Keyring::open(&directory).and_then(|keyring| keyring.lint(&measure(&site.config, site.now)));
    match linted {
        Ok(linted) => findings.extend(linted.into_iter().map(told)),
        Err(error) => findings.push(unreadable("the people's keys", &error)),
    }
    findings.extend(index(&directory));
    findings
}

fn told(finding: lint::Finding) -> Finding {
    let severity = match finding.severity {
        lint::Severity::Warning => Severity::Warning,
        lint::Severity::Error => Severity::Error,
    };
    Finding {
        severity,
        code: finding.code,
        message: finding.message,
        value: finding.key.unwrap_or_default(),
        mend: finding.hint.unwrap_or_default(),
        fix: None,
    }
}

/// Without the index every push reads every person's file.
fn index(directory: &Path) -> Option<Finding> {
    let modified = |path: &Path| path.metadata().and_then(|found| found.modified()).ok();
    let newest: Option<SystemTime> = std::fs::read_dir(directory)
        .ok()?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            path.extension()
                .is_some_and(|ending| ["toml", "asc", "pgp", "gpg"].iter().any(|e| ending == *e))
        })
        .filter_map(|path| modified(&path))
        .max();
    let newest = newest?;
    let index = directory.join(".index");
    let is_stale = modified(&index).is_none_or(|made| made < newest);
    is_stale.then(|| {
        Finding::warning(
            "index_stale",
            "the index over people's keys is older than their files: pushes are slower",
        )
        .value(index.display().to_string())
        .mend("windlass keys index")
        .fix(Fix::Index)
    })
}
