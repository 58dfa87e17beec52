//! Records of flashes: a folder for each device, a JSON file for each flash, its logs beside it.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use windlass_core::device::flash::{FlashId, FlashRecord};
use windlass_core::id::DeviceName;

/// The most bytes of a record.
const MOST: u64 = 4 << 20;

/// How many flashes of a device are kept; the oldest go first, with their logs.
const KEPT: usize = 500;

/// From how many restarts a limit is learned, the last ones.
const LEARNED: usize = 50;

/// The folder of a device.
fn folder(records: &Path, device: &DeviceName) -> PathBuf {
    records.join(device.as_str())
}

/// Where a flash's file with this ending is.
pub fn path(records: &Path, device: &DeviceName, id: &FlashId, ending: &str) -> PathBuf {
    folder(records, device).join(format!("{id}.{ending}"))
}

/// Writes a record, at once or not at all, in place of what was written of the same flash.
///
/// # Errors
/// It cannot be written.
pub fn write(records: &Path, record: &FlashRecord) -> io::Result<PathBuf> {
    let folder = folder(records, &record.device);
    fs::create_dir_all(&folder)?;
    let path = path(records, &record.device, &record.id, "json");
    let mut file = tempfile::Builder::new().prefix(".record-").tempfile_in(&folder)?;
    serde_json::to_writer_pretty(&mut file, record)?;
    writeln!(file)?;
    file.as_file().sync_all()?;
    file.persist(&path)?;
    File::open(&folder)?.sync_all()?;
    Ok(path)
}

/// What is on record of a device, the newest first. What cannot be read is left out.
///
/// # Errors
/// The folder cannot be read.
pub fn of(records: &Path, device: &DeviceName) -> io::Result<Vec<FlashRecord>> {
    let ids = ids(records, device)?;
    Ok(ids
        .iter()
        .filter_map(|id| read(&path(records, device, id, "json")).ok())
        .collect())
}

/// The record of a flash, of whichever device; nothing if there is none.
///
/// # Errors
/// A folder or the record cannot be read.
pub fn get(records: &Path, id: &FlashId) -> io::Result<Option<FlashRecord>> {
    for entry in entries(records)? {
        let Ok(device) = entry.parse::<DeviceName>() else {
            continue;
        };
        let path = path(records, &device, id, "json");
        if path.is_file() {
            return read(&path).map(Some);
        }
    }
    Ok(None)
}

/// How long the restarts of a device took that went well, the last first: what a limit is learned from.
pub fn restarts(records: &Path, device: &DeviceName) -> Vec<Duration> {
    let ids = ids(records, device).unwrap_or_default();
    let read = |id| read(&path(records, device, id, "json")).ok();
    ids.iter()
        .filter_map(read)
        .filter_map(|record| record.restart_took())
        .take(LEARNED)
        .collect()
}

/// Removes the oldest records of a device, so that not too many are kept.
pub(super) fn forget_oldest(records: &Path, device: &DeviceName) {
    for id in ids(records, device).unwrap_or_default().iter().skip(KEPT) {
        for ending in ["json", "update.log", "console.log"] {
            let _ = fs::remove_file(path(records, device, id, ending));
        }
    }
}

/// The flashes of a device, the newest first.
fn ids(records: &Path, device: &DeviceName) -> io::Result<Vec<FlashId>> {
    let names = entries(&folder(records, device))?;
    let mut ids: Vec<FlashId> = names
        .iter()
        .filter_map(|name| name.strip_suffix(".json")?.parse().ok())
        .collect();
    ids.sort_unstable();
    ids.reverse();
    Ok(ids)
}

/// The names in a folder; none where there is no folder.
fn entries(folder: &Path) -> io::Result<Vec<String>> {
    match fs::read_dir(folder) {
        Ok(entries) => Ok(entries
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn read(path: &Path) -> io::Result<FlashRecord> {
    let file = File::open(path)?;
    serde_json::from_reader(io::BufReader::new(io::Read::take(file, MOST))).map_err(io::Error::from)
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};
    use windlass_core::device::flash::{FlashStep, Outcome, StepTime};

    use super::*;

    fn record(second: i64, took: i64, outcome: Outcome) -> FlashRecord {
        let began = Timestamp::from_second(second).unwrap();
        FlashRecord {
            id: FlashId::new(began, 7),
            device: "lab-1".parse().unwrap(),
            board: Some("vm-lab".to_owned()),
            driver: "update_engine".to_owned(),
            who: "alice".to_owned(),
            why: "asked".to_owned(),
            job: None,
            lease: None,
            payload: None,
            from_version: None,
            to_version: None,
            slot_before: None,
            slot_after: None,
            boot_id_before: None,
            boot_id_after: None,
            began,
            ended: began,
            steps: vec![StepTime {
                step: FlashStep::Reboot,
                began,
                ended: began + SignedDuration::from_secs(took),
            }],
            bytes_sent: 3,
            console_log: None,
            update_log: None,
            outcome,
            events: Vec::new(),
        }
    }

    #[test]
    fn records_are_kept_and_learned_from() {
        let dir = tempfile::tempdir().unwrap();
        let device: DeviceName = "lab-1".parse().unwrap();
        assert_eq!(of(dir.path(), &device).unwrap(), []);
        let good = record(1_000, 9, Outcome::Succeeded);
        let bad = record(2_000, 99, Outcome::RolledBack { why: "so".to_owned() });
        write(dir.path(), &bad).unwrap();
        write(dir.path(), &good).unwrap();
        // What is no record does no harm.
        fs::write(
            path(dir.path(), &device, &record(3_000, 1, Outcome::Succeeded).id, "json"),
            "{",
        )
        .unwrap();
        assert_eq!(of(dir.path(), &device).unwrap(), [bad.clone(), good.clone()]);
        assert_eq!(get(dir.path(), &bad.id).unwrap(), Some(bad));
        assert_eq!(get(dir.path(), &record(5, 1, Outcome::Succeeded).id).unwrap(), None);
        assert_eq!(restarts(dir.path(), &device), [Duration::from_secs(9)]);
    }
}
