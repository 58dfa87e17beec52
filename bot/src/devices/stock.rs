//! The payloads that jobs made, found again: `<state>/payloads/NAME/VERSION/`, each directory with all of its files or not there.
//!
//! ```text
//! payload.bin          what devices with any version can take
//! delta.bin            what leads from the version before, where that was wanted
//! stateful.image.gz    the archive of the partition that stays, where there is one
//! disk.img             a whole disk, where that was wanted
//! partition-NAME.img   what each partition holds: kept of the newest version, for the next one's delta
//! made.json            what it is
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use windlass_core::device::payload::PartitionName;
use windlass_core::device::version;
use windlass_core::id::{JobId, PayloadName};
use windlass_core::job::MadePayload;

/// The payload's file.
pub const PAYLOAD: &str = "payload.bin";

/// The delta's.
pub const DELTA: &str = "delta.bin";

/// The stateful archive's.
pub const STATEFUL: &str = "stateful.image.gz";

/// The disk image's.
pub const DISK: &str = "disk.img";

/// What says what the others are.
const MADE: &str = "made.json";

/// How the name of a directory begins that is not whole.
const NEW: &str = ".new-";

/// All payloads that jobs made.
#[derive(Debug, Clone)]
pub struct Stock(PathBuf);

/// What is written beside a payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// When it was made.
    pub at: Timestamp,
    /// The job that made it.
    pub job: JobId,
    /// The digest of all that went into it.
    pub inputs: String,
    /// The payload.
    pub made: MadePayload,
}

/// One version of a payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stocked {
    /// What it is.
    pub label: Label,
    dir: PathBuf,
}

/// A version that is being made, under a temporary name: dropped, it is gone.
#[derive(Debug)]
pub struct Draft {
    dir: TempDir,
    payloads: PathBuf,
}

impl Stock {
    /// Those of a bot with this state directory.
    pub fn below(state: &Path) -> Self {
        Self(state.join("payloads"))
    }

    /// Where compressed chunks of all payloads are kept.
    pub fn chunks(&self) -> PathBuf {
        self.0.join(".chunks")
    }

    /// The versions of a payload that are there, newest first. What cannot be read is none.
    pub fn versions(&self, payload: &PayloadName) -> Vec<Stocked> {
        let mut all: Vec<Stocked> = directories(&self.0.join(payload.as_str()))
            .into_iter()
            .filter_map(Stocked::open)
            .collect();
        all.sort_by(|one, other| {
            let number = |stocked: &Stocked| stocked.label.made.number;
            number(other)
                .cmp(&number(one))
                .then_with(|| version::compare(other.version(), one.version()))
        });
        all
    }

    /// One version.
    pub fn get(&self, payload: &PayloadName, version: &str) -> Option<Stocked> {
        self.versions(payload)
            .into_iter()
            .find(|stocked| stocked.version() == version)
    }

    /// The newest payload for each board.
    pub fn boards(&self) -> BTreeMap<String, Stocked> {
        let mut boards: BTreeMap<String, Stocked> = BTreeMap::new();
        for dir in directories(&self.0) {
            let name = dir
                .file_name()
                .and_then(|name| name.to_str()?.parse::<PayloadName>().ok());
            let Some(newest) = name.and_then(|name| self.versions(&name).into_iter().next()) else {
                continue;
            };
            let board = newest.label.made.board.clone();
            match boards.get(&board) {
                Some(other) if other.label.at >= newest.label.at => {}
                Some(_) | None => {
                    boards.insert(board, newest);
                }
            }
        }
        boards
    }

    /// The newest payload for a board.
    pub fn newest_of_board(&self, board: &str) -> Option<Stocked> {
        self.boards().remove(board)
    }

    /// Begins a version. What an attempt that was killed left of one is removed: one at a time makes a payload.
    ///
    /// # Errors
    /// The system refuses.
    pub fn begin(&self, payload: &PayloadName) -> io::Result<Draft> {
        let payloads = self.0.join(payload.as_str());
        fs::create_dir_all(&payloads)?;
        for entry in fs::read_dir(&payloads)?.flatten() {
            if entry.file_name().as_encoded_bytes().starts_with(NEW.as_bytes()) {
                fs::remove_dir_all(entry.path())?;
            }
        }
        let dir = tempfile::Builder::new().prefix(NEW).tempdir_in(&payloads)?;
        Ok(Draft { dir, payloads })
    }

    /// Removes all but the newest versions, and what only the next delta of the newest needs of the others.
    ///
    /// # Errors
    /// The system refuses.
    pub fn clear(&self, payload: &PayloadName, keep: usize) -> io::Result<()> {
        for (at, stocked) in self.versions(payload).into_iter().enumerate() {
            if at >= keep.max(1) {
                fs::remove_dir_all(&stocked.dir)?;
            } else if at > 0 {
                for image in stocked.images() {
                    fs::remove_file(image)?;
                }
            }
        }
        Ok(())
    }
}

impl Draft {
    /// Where its files go.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The file of a partition's content.
    pub fn image(&self, partition: &PartitionName) -> PathBuf {
        image(self.path(), partition)
    }

    /// It is whole: from now on it is found.
    ///
    /// # Errors
    /// The system refuses, or this version is there already.
    pub fn finish(self, label: &Label) -> io::Result<Stocked> {
        let text = serde_json::to_vec_pretty(label).map_err(io::Error::other)?;
        fs::write(self.path().join(MADE), text)?;
        for entry in fs::read_dir(self.path())? {
            fs::File::open(entry?.path())?.sync_all()?;
        }
        fs::File::open(self.path())?.sync_all()?;
        let dir = self.payloads.join(&label.made.version);
        let made = self.dir.keep();
        if let Err(error) = fs::rename(&made, &dir) {
            fs::remove_dir_all(&made)?;
            return Err(error);
        }
        fs::File::open(&self.payloads)?.sync_all()?;
        Ok(Stocked {
            label: label.clone(),
            dir,
        })
    }
}

impl Stocked {
    fn open(dir: PathBuf) -> Option<Self> {
        let text = fs::read(dir.join(MADE)).ok()?;
        let label: Label = serde_json::from_slice(&text).ok()?;
        let is_own = dir.file_name().and_then(|name| name.to_str()) == Some(label.made.version.as_str());
        is_own.then_some(Self { label, dir })
    }

    /// The version that it brings.
    pub fn version(&self) -> &str {
        &self.label.made.version
    }

    /// The payload.
    pub fn payload(&self) -> PathBuf {
        self.dir.join(PAYLOAD)
    }

    /// The archive of the partition that stays, where there is one.
    pub fn stateful(&self) -> Option<PathBuf> {
        self.label.made.stateful.as_ref().map(|_| self.dir.join(STATEFUL))
    }

    /// What leads from the version before, where there is such.
    pub fn delta(&self) -> Option<PathBuf> {
        self.label.made.delta.as_ref().map(|_| self.dir.join(DELTA))
    }

    /// The whole disk, where there is one.
    pub fn disk(&self) -> Option<PathBuf> {
        self.label.made.disk.as_ref().map(|_| self.dir.join(DISK))
    }

    /// What a partition holds, where that is kept.
    pub fn image(&self, partition: &PartitionName) -> Option<PathBuf> {
        let path = image(&self.dir, partition);
        path.is_file().then_some(path)
    }

    fn images(&self) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(&self.dir) else {
            return Vec::new();
        };
        let paths = entries.flatten().map(|entry| entry.path());
        paths
            .filter(|path| path.extension().is_some_and(|end| end == "img") && !path.ends_with(DISK))
            .collect()
    }
}

/// A partition may be called `disk`: its file is another one all the same.
fn image(dir: &Path, partition: &PartitionName) -> PathBuf {
    dir.join(format!("partition-{partition}.img"))
}

fn directories(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else {
        return Vec::new();
    };
    let is_whole = |entry: &fs::DirEntry| !entry.file_name().as_encoded_bytes().starts_with(b".");
    let entries = entries.flatten().filter(is_whole);
    entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(payload: &str, board: &str, number: u64) -> Label {
        Label {
            at: Timestamp::from_second(i64::try_from(number).unwrap()).unwrap(),
            job: JobId::FIRST,
            inputs: "00".to_owned(),
            made: MadePayload {
                payload: payload.parse().unwrap(),
                board: board.to_owned(),
                version: format!("1.{number}"),
                number,
                digest: "00".repeat(32),
                size: 1,
                reused: false,
                stateful: None,
                disk: None,
                delta: None,
                generations: BTreeMap::new(),
                packages: Vec::new(),
            },
        }
    }

    fn put(stock: &Stock, label: &Label) -> io::Result<Stocked> {
        let draft = stock.begin(&label.made.payload)?;
        fs::write(draft.path().join(PAYLOAD), b"x")?;
        fs::write(draft.image(&"root".parse().unwrap()), b"root")?;
        draft.finish(label)
    }

    #[test]
    fn what_was_made_is_found_again_and_what_is_old_goes() {
        let dir = tempfile::tempdir().unwrap();
        let stock = Stock::below(dir.path());
        let kiosk: PayloadName = "kiosk".parse().unwrap();
        assert!(stock.versions(&kiosk).is_empty() && stock.newest_of_board("k").is_none());
        for number in [2, 9, 10] {
            put(&stock, &label("kiosk", "k", number)).unwrap();
        }
        put(&stock, &label("other", "o", 4)).unwrap();
        assert!(put(&stock, &label("kiosk", "k", 10)).is_err(), "it is there");
        // An attempt that was killed.
        let left = stock.begin(&kiosk).unwrap();
        let left = left.dir.keep();
        let names = |stock: &Stock| -> Vec<String> {
            let versions = stock.versions(&kiosk);
            versions.iter().map(|one| one.version().to_owned()).collect()
        };
        assert_eq!(names(&stock), ["1.10", "1.9", "1.2"]);
        assert_eq!(stock.newest_of_board("k").unwrap().version(), "1.10");
        assert_eq!(stock.boards().len(), 2);
        let root = "root".parse().unwrap();
        assert!(stock.get(&kiosk, "1.9").unwrap().image(&root).is_some());
        stock.clear(&kiosk, 2).unwrap();
        assert_eq!(names(&stock), ["1.10", "1.9"]);
        assert!(stock.get(&kiosk, "1.9").unwrap().image(&root).is_none());
        assert!(stock.get(&kiosk, "1.10").unwrap().image(&root).is_some());
        drop(stock.begin(&kiosk).unwrap());
        assert!(!left.exists());
        fs::write(stock.get(&kiosk, "1.10").unwrap().dir.join(MADE), b"{").unwrap();
        assert_eq!(names(&stock), ["1.9"], "what cannot be read is none");
    }
}
