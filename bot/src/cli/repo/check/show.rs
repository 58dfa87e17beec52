//! How what was found is told to people.

use std::collections::BTreeSet;

use windlass_core::escape::escaped;

use super::FoundOn;

/// The lines for one architecture.
pub(super) fn lines(found: &FoundOn) -> Vec<String> {
    let arch = &found.arch;
    let packages = counted(found.packages, "package");
    if found.is_whole() {
        return vec![format!("{arch}: {packages}: all can be installed, nothing is unmet")];
    }
    let mut lines = vec![format!(
        "{arch}: {packages}: {} unmet, {} cannot be installed",
        counted(found.unmets.len(), "requirement"),
        counted(found.uninstallable.len(), "package"),
    )];
    let mut told: BTreeSet<&str> = BTreeSet::new();
    for unmet in &found.unmets {
        lines.push(format!("  unmet: {unmet}"));
        told.insert(&unmet.package);
    }
    for unresolvable in &found.uninstallable {
        // Why one cannot be installed that has an unmet requirement is told by that.
        if told.contains(unresolvable.wanted.as_str()) {
            continue;
        }
        lines.push(format!("  cannot be installed: {}", escaped(&unresolvable.wanted)));
        for reason in &unresolvable.reasons {
            lines.push(format!("    {reason}"));
        }
    }
    lines
}

fn counted(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    }
}
