//! How packages, generations and differences are written for people.

use windlass_core::escape::escaped;
use windlass_core::id::ArchName;
use windlass_core::repository::record::LogEntry;
use windlass_core::rpm::Package;

use crate::repository::Difference;

/// How many packages a generation's entry names before it only counts.
const NAMED: usize = 6;

/// A package as JSON.
pub(super) fn package(directory: &ArchName, package: &Package) -> serde_json::Value {
    serde_json::json!({
        "directory": directory,
        "name": package.name,
        "evr": package.evr.to_string(),
        "arch": package.arch,
        "source_rpm": package.source_rpm,
        "location": package.artifact.as_ref().map(|artifact| &artifact.location),
        "size": package.artifact.as_ref().map(|artifact| artifact.size),
        "sha256": package.artifact.as_ref().map(|artifact| &artifact.sha256),
    })
}

/// Rows as lines, the columns one below the other.
pub(super) fn table<const N: usize>(rows: impl Iterator<Item = [String; N]>) -> Vec<String> {
    let rows: Vec<[String; N]> = rows.map(|row| row.map(|cell| escaped(&cell))).collect();
    let mut widths = [0; N];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    rows.iter()
        .map(|row| {
            let cells: Vec<String> = row
                .iter()
                .zip(widths)
                .map(|(cell, width)| format!("{cell:<width$}"))
                .collect();
            cells.join("  ").trim_end().to_owned()
        })
        .collect()
}

/// One generation of the log.
pub(super) fn generation(entry: &LogEntry, is_newest: bool) -> Vec<String> {
    let mark = if is_newest {
        "  (current)"
    } else if entry.collected {
        "  (removed from disk)"
    } else {
        ""
    };
    let mut lines = vec![format!(
        "{:>5}  {}  {}{mark}",
        entry.generation,
        entry.at.strftime("%Y-%m-%d %H:%M:%S"),
        entry.cause
    )];
    for (sign, names) in [('+', &entry.came), ('-', &entry.went)] {
        for name in names.iter().take(NAMED) {
            lines.push(format!("       {sign} {}", escaped(name)));
        }
        if names.len() > NAMED {
            lines.push(format!("       {sign} and {} more", names.len() - NAMED));
        }
    }
    lines
}

/// Differences, one a line.
pub(super) fn differences(found: &[Difference]) -> Vec<String> {
    table(found.iter().map(|one| {
        let (sign, versions) = match (one.before.is_empty(), one.after.is_empty()) {
            (true, _) => ("+", one.after.join(", ")),
            (false, true) => ("-", one.before.join(", ")),
            (false, false) if one.before == one.after => {
                ("~", format!("{} (built or signed anew)", one.after.join(", ")))
            }
            (false, false) => ("~", format!("{} → {}", one.before.join(", "), one.after.join(", "))),
        };
        [
            sign.to_owned(),
            one.directory.to_string(),
            one.package.clone(),
            versions,
        ]
    }))
}
