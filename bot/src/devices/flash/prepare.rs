//! What a device is flashed with, made of an image: by what the image is, and what the device's driver wants.
//!
//! What is made is kept by *content*: its folder is named by the digest of everything that it is made of. It gets that name when it is whole,
//! so that a run that was cut off leaves nothing that a later one would take.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use ext4_view::{Ext4, Ext4Read};
use sha2::{Digest as _, Sha256};
use windlass_core::device::flash::{DriverChoice, look};
use windlass_core::device::payload::PartitionName;
use windlass_core::device::payload::apply::Source as _;
use windlass_core::device::payload::codec::Zstd;
use windlass_core::hex::hex;

use super::order::Parcels;
use crate::devices::gpt::{self, GptPartition};
use crate::devices::payload::{
    Cache, ChangedPartition, DeltaOrder, GenerateOrder, ImagePart, NewPartition, PayloadError, SigningKey, Work, delta,
    generate,
};
use crate::devices::server::{PAYLOAD, STATEFUL};
use crate::devices::stateful;

/// What payloads begin with.
const PAYLOAD_MAGIC: &[u8] = b"CrAU";

/// How many images' payloads are kept; those that were not used for longest go first.
const KEPT: usize = 12;

/// The most bytes of a release file.
const MOST_RELEASE: u64 = 64 << 10;

/// What is to be made.
#[derive(Debug)]
pub struct Wanted {
    /// The image: a disk with a GPT, a file system, or what needs nothing made: a payload, a bundle, an update.
    pub image: PathBuf,
    /// What updates the device.
    pub driver: DriverChoice,
    /// What runs on the device: only what differs is sent.
    pub delta_from: Option<PathBuf>,
    /// The key that signs the payload, in PEM.
    pub key: Option<PathBuf>,
    /// Whether the device understands Zstandard.
    pub zstd: Zstd,
    /// Whether the stateful partition is archived, too, where there is one.
    pub stateful: bool,
    /// Where what was made is kept.
    pub cache: PathBuf,
}

/// The parts of an image that matter here.
struct Parts {
    /// By the names that they have on the device.
    systems: Vec<(PartitionName, ImagePart)>,
    stateful: Option<ImagePart>,
}

/// Makes what a device is flashed with, or finds it made. Takes a while and blocks.
///
/// # Errors
/// The image cannot be read, is none for this driver, what is made cannot be written, or the word to stop came.
pub fn parcels(wanted: &Wanted, work: &Work<'_>) -> Result<Parcels, PayloadError> {
    if is_payload(&wanted.image)? {
        if let DriverChoice::RawAb(_) = wanted.driver {
            return Err(PayloadError::Asked(format!(
                "'{}' is a payload, and this driver writes images\n\nhint: `windlass payload apply` makes images of it",
                wanted.image.display()
            )));
        }
        let beside = wanted.image.with_file_name(STATEFUL);
        return Ok(Parcels {
            stateful: (wanted.stateful && beside.is_file()).then_some(beside),
            ..Parcels::of(&wanted.image)
        });
    }
    let raw = match &wanted.driver {
        DriverChoice::UpdateEngine(_) => false,
        DriverChoice::RawAb(_) => true,
        // These have formats of their own, which their own tools make and sign.
        DriverChoice::Rauc(_) | DriverChoice::SwUpdate(_) | DriverChoice::Command(_) => {
            return Ok(Parcels::of(&wanted.image));
        }
    };
    let new = Parts::of(&wanted.image)?;
    let old = wanted.delta_from.as_deref().map(Parts::of).transpose()?;
    let (version, board) = new.root().map(release).unwrap_or_default();
    let stateful = new.stateful.as_ref().filter(|_| wanted.stateful && !raw);
    let folder = wanted.cache.join(key(wanted, raw, &new, old.as_ref(), stateful, work)?);
    let payload = folder.join(PAYLOAD);
    let archive = stateful.map(|_| folder.join(STATEFUL));
    if payload.is_file() && archive.as_ref().is_none_or(|archive| archive.is_file()) {
        // Used now, so that it is kept.
        let _ = File::open(&payload).and_then(|file| file.set_modified(SystemTime::now()));
    } else {
        fs::create_dir_all(&folder).map_err(PayloadError::file(&folder))?;
        if let (Some(part), Some(archive)) = (stateful, &archive) {
            stateful::archive(part, work, archive)?;
        }
        make(wanted, raw, new, old, work, &payload)?;
        forget_oldest(&wanted.cache, &folder);
    }
    Ok(Parcels {
        payload,
        stateful: archive,
        version,
        board,
        is_delta: wanted.delta_from.is_some() && !raw,
    })
}

/// The file to be flashed, of what was named: a file, or in a directory the one of this name.
///
/// # Errors
/// There is none.
pub fn image_in(from: &Path, name: &str) -> Result<PathBuf, String> {
    if !from.exists() {
        return Err(format!("'{}' is not there", from.display()));
    }
    let image = if from.is_dir() {
        from.join(name)
    } else {
        from.to_owned()
    };
    if image.is_file() {
        Ok(image)
    } else {
        Err(format!("there is no image '{}'", image.display()))
    }
}

/// The newest image of a board: below `images/BOARD` each build has a directory, and the one that was changed last counts.
///
/// # Errors
/// The directory is there and cannot be read.
pub fn newest(images: &Path, board: &str, name: &str) -> io::Result<Option<PathBuf>> {
    let folder = images.join(board);
    let entries = match fs::read_dir(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let mut newest: Option<(SystemTime, PathBuf)> = None;
    for entry in entries {
        let image = entry?.path().join(name);
        let Ok(facts) = image.metadata() else { continue };
        let found = (facts.modified()?, image);
        if facts.is_file() && newest.as_ref().is_none_or(|newest| found > *newest) {
            newest = Some(found);
        }
    }
    Ok(newest.map(|(_, image)| image))
}

impl Parts {
    fn of(image: &Path) -> Result<Self, PayloadError> {
        let table = match gpt::partitions(image) {
            Ok(table) => table,
            // No disk: then it is a file system.
            Err(PayloadError::Asked(_)) => {
                return Ok(Self {
                    systems: vec![(name("root", image)?, ImagePart::file(image)?)],
                    stateful: None,
                });
            }
            Err(error) => return Err(error),
        };
        let mut systems = Vec::new();
        for partition in &table {
            if let Some(system) = system_name(&partition.name) {
                systems.push((name(&system, image)?, gpt::partition(image, partition.number)?));
            }
        }
        if systems.is_empty() {
            let names: Vec<String> = table.iter().map(|partition| format!("'{}'", partition.name)).collect();
            return Err(PayloadError::Asked(format!(
                "'{}' has no partition for a slot, such as ROOT-A\n\nhint: it has {}; `windlass payload generate --from-disk` makes a payload of any",
                image.display(),
                names.join(", ")
            )));
        }
        let state = |partition: &&GptPartition| partition.name == "STATE" && partition.number == stateful::PARTITION;
        let stateful = match table.iter().find(state) {
            Some(partition) => Some(gpt::partition(image, partition.number)?),
            None => None,
        };
        Ok(Self { systems, stateful })
    }

    /// The one that people mean by "the system".
    fn root(&self) -> Option<&ImagePart> {
        let root = |(name, _): &&(PartitionName, ImagePart)| matches!(name.as_str(), "root" | "rootfs" | "system");
        self.systems.iter().find(root).map(|(_, part)| part)
    }
}

fn name(text: &str, image: &Path) -> Result<PartitionName, PayloadError> {
    text.parse()
        .map_err(|error| PayloadError::Asked(format!("'{}': {error}", image.display())))
}

/// The name on the device of what a partition of the first slot holds: `ROOT-A` is `root`, `KERN-A` is `kernel`, `system_a` is `system`.
fn system_name(partition: &str) -> Option<String> {
    let base = partition.strip_suffix("-A").or_else(|| partition.strip_suffix("_a"))?;
    Some(match base.to_ascii_lowercase().as_str() {
        "kern" => "kernel".to_owned(),
        other => other.to_owned(),
    })
}

fn is_payload(image: &Path) -> Result<bool, PayloadError> {
    let mut magic = [0; 4];
    let mut file = File::open(image).map_err(PayloadError::file(image))?;
    match file.read_exact(&mut magic) {
        Ok(()) => Ok(magic == PAYLOAD_MAGIC),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(PayloadError::file(image)(error)),
    }
}

fn make(
    wanted: &Wanted,
    raw: bool,
    new: Parts,
    old: Option<Parts>,
    work: &Work<'_>,
    payload: &Path,
) -> Result<(), PayloadError> {
    if raw {
        let root = new.root().ok_or_else(|| no_root(&wanted.image))?;
        stateful::archive(root, work, payload)?;
        return Ok(());
    }
    let cache = Some(Cache::open(&wanted.cache.join("chunks"), Cache::LIMIT)?);
    let key = wanted.key.as_deref().map(SigningKey::read).transpose()?;
    if let Some(old) = old {
        let order = DeltaOrder {
            partitions: changed(wanted, new, &old)?,
            key,
            zstd: wanted.zstd,
            cache,
            max_timestamp: None,
        };
        delta(&order, work, payload)?;
    } else {
        let order = GenerateOrder {
            partitions: new
                .systems
                .into_iter()
                .map(|(name, image)| NewPartition { name, image })
                .collect(),
            key,
            zstd: wanted.zstd,
            cache,
            max_timestamp: None,
        };
        generate(&order, work, payload)?;
    }
    Ok(())
}

fn no_root(image: &Path) -> PayloadError {
    PayloadError::Asked(format!("'{}' has no partition for a slot's system", image.display()))
}

/// Each new partition with what the old image has under its name.
fn changed(wanted: &Wanted, new: Parts, old: &Parts) -> Result<Vec<ChangedPartition>, PayloadError> {
    new.systems
        .into_iter()
        .map(|(name, new)| {
            let found = old.systems.iter().find(|(other, _)| *other == name);
            let (_, old) = found.ok_or_else(|| {
                PayloadError::Asked(format!(
                    "'{}' has no partition {name}, of which a delta could be made",
                    wanted.delta_from.as_deref().unwrap_or(Path::new("")).display()
                ))
            })?;
            Ok(ChangedPartition {
                old: old.clone(),
                name,
                new,
            })
        })
        .collect()
}

/// Version and board, by the release files of a system; what cannot be read is not known.
fn release(root: &ImagePart) -> (Option<String>, Option<String>) {
    struct Reading(ImagePart);
    impl Ext4Read for Reading {
        fn read(&mut self, from: u64, into: &mut [u8]) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
            Ok(self.0.read_at(from, into)?)
        }
    }
    let Ok(system) = Ext4::load(Box::new(Reading(root.clone()))) else {
        return (None, None);
    };
    let text = |path: &str| {
        let facts = system.metadata(path).ok()?;
        (facts.len() <= MOST_RELEASE)
            .then(|| system.read_to_string(path).ok())
            .flatten()
    };
    let lsb = text("/etc/lsb-release").unwrap_or_default();
    let os = text("/etc/os-release").unwrap_or_default();
    look::release(&lsb, &os)
}

/// The digest of everything that goes into what is made, as a folder's name.
fn key(
    wanted: &Wanted,
    raw: bool,
    new: &Parts,
    old: Option<&Parts>,
    stateful: Option<&ImagePart>,
    work: &Work<'_>,
) -> Result<String, PayloadError> {
    let mut hash = Sha256::new();
    hash.update(if raw { "raw 1" } else { "payload 1" });
    hash.update([u8::from(wanted.zstd == Zstd::Always)]);
    if let Some(key) = &wanted.key {
        // Only its digest goes into the name's digest.
        hash.update(Sha256::digest(fs::read(key).map_err(PayloadError::file(key))?));
    }
    let mut parts = Vec::new();
    for (place, systems) in [("new", Some(new)), ("old", old)] {
        for (name, part) in systems.iter().flat_map(|parts| &parts.systems) {
            parts.push((format!("{place} {name}"), part));
        }
    }
    parts.extend(stateful.map(|part| ("stateful".to_owned(), part)));
    let total = parts.iter().map(|(_, part)| part.size()).sum();
    let mut done = 0;
    let mut buffer = vec![0; 1 << 20];
    for (name, part) in parts {
        hash.update(format!("\n{name} {}\n", part.size()));
        let mut at = 0;
        while at < part.size() {
            let length = usize::try_from((part.size() - at).min(buffer.len() as u64)).unwrap_or(0);
            part.read(at, &mut buffer[..length])?;
            hash.update(&buffer[..length]);
            at += length as u64;
            done += length as u64;
            work.step(done, total)?;
        }
    }
    Ok(hex(&hash.finalize()[..16]))
}

/// Removes what was not used for longest, but not what is used now.
fn forget_oldest(cache: &Path, used: &Path) {
    let Ok(entries) = fs::read_dir(cache) else { return };
    let mut made: Vec<(SystemTime, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| {
            let folder = entry.path();
            let at = folder.join(PAYLOAD).metadata().ok()?.modified().ok()?;
            (folder != used).then_some((at, folder))
        })
        .collect();
    made.sort();
    for (_, folder) in made.iter().rev().skip(KEPT - 1) {
        let _ = fs::remove_dir_all(folder);
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("ROOT-A", Some("root"))]
    #[case("KERN-A", Some("kernel"))]
    #[case("system_a", Some("system"))]
    #[case("ROOT-B", None)]
    #[case("STATE", None)]
    #[case("EFI-SYSTEM", None)]
    fn slots_are_known_by_their_names(#[case] partition: &str, #[case] system: Option<&str>) {
        assert_eq!(system_name(partition).as_deref(), system);
    }

    #[test]
    fn the_newest_image_of_a_board_is_found() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(newest(dir.path(), "vm", "disk.bin").unwrap(), None);
        for (build, second) in [("R1", 100), ("R3", 300), ("R2", 200)] {
            let folder = dir.path().join("vm").join(build);
            fs::create_dir_all(&folder).unwrap();
            let image = File::create(folder.join("disk.bin")).unwrap();
            image
                .set_modified(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(second))
                .unwrap();
        }
        fs::create_dir_all(dir.path().join("vm/R4")).unwrap();
        let found = newest(dir.path(), "vm", "disk.bin").unwrap().unwrap();
        assert!(found.ends_with("vm/R3/disk.bin"), "{}", found.display());
        assert_eq!(image_in(found.parent().unwrap(), "disk.bin").unwrap(), found);
        assert!(image_in(dir.path(), "disk.bin").is_err());
        assert!(image_in(&dir.path().join("none"), "disk.bin").is_err());
    }
}
