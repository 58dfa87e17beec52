//! Digests of files, kept from one look to the next, so that looking at what has not changed is quick.
//!
//! A kept digest counts only while path, device, inode, size, modification time and change time of the file are the same. And, as in git's
//! index, only if both times were at least [`SETTLED`] in the past when the file was read: a file that changes twice within one tick of
//! the clock looks the same from outside. A file with a time in the future is read every time. The change time cannot be set back by a
//! program, so that `touch -d` and `cp -p` deceive nobody.
//!
//! What is kept is a file of ours below `XDG_CACHE_HOME`; where it is damaged or cannot be written everything is read.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::OFlags;
use sha2::{Digest as _, Sha256};
use windlass_core::hex::hex;

use crate::digest::sha256_of;

/// How old a file's times have to be for its digest to be kept: more than the clock of any file system in use (FAT has two seconds).
pub const SETTLED: Duration = Duration::from_secs(2);

/// The first line of a file of digests; another one is thrown away.
const HEAD: &str = "windlass digests 1";
/// The longest file of digests that is read.
const MOST: u64 = 256 << 20;
/// How often a file is read that changes while it is read.
const TRIES: usize = 3;

/// What tells whether a file is still the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: i128,
    changed: i128,
}

/// Digests of files, known or to be found.
#[derive(Debug)]
pub struct Digests {
    place: Option<PathBuf>,
    known: BTreeMap<PathBuf, (Stamp, String)>,
    used: BTreeMap<PathBuf, (Stamp, String)>,
    read: u64,
}

impl Stamp {
    /// Of a file's metadata.
    pub fn of(metadata: &std::fs::Metadata) -> Self {
        let time = |seconds: i64, nanoseconds: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds);
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: time(metadata.mtime(), metadata.mtime_nsec()),
            changed: time(metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    fn settled(self, now: SystemTime) -> bool {
        let limit = now
            .checked_sub(SETTLED)
            .and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let limit = limit.and_then(|limit| i128::try_from(limit.as_nanos()).ok());
        limit.is_some_and(|limit| self.modified < limit && self.changed < limit)
    }
}

/// Below `XDG_CACHE_HOME`, else below `~/.cache`; `None` where neither is known.
pub fn directory() -> Option<PathBuf> {
    let absolute = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let cache = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
    Some(cache.join("windlass/images"))
}

impl Digests {
    /// Nothing kept, and nothing to be kept.
    pub fn none() -> Self {
        Self {
            place: None,
            known: BTreeMap::new(),
            used: BTreeMap::new(),
            read: 0,
        }
    }

    /// What is kept below `dir` about the files of `subject` (one image of one Dockerfile).
    pub fn open(dir: &Path, subject: &str) -> Self {
        let place = dir.join(format!("{}.digests", &hex(&Sha256::digest(subject))[..32]));
        Self {
            // A damaged one is as good as none.
            known: load(&place).unwrap_or_default(),
            place: Some(place),
            ..Self::none()
        }
    }

    /// How many files were read because their digest was not known.
    pub fn read(&self) -> u64 {
        self.read
    }

    /// The SHA-256 of a file. The last part of the path is not followed if it is a link.
    ///
    /// # Errors
    /// It cannot be read, is not a file, or changes all the time.
    pub fn of(&mut self, path: &Path) -> io::Result<[u8; 32]> {
        let digits = self.digits(path)?;
        unhex(&digits).ok_or_else(|| io::Error::other("its digest is none"))
    }

    fn digits(&mut self, path: &Path) -> io::Result<String> {
        let stamp = Stamp::of(&std::fs::symlink_metadata(path)?);
        if let Some((known, digest)) = self.used.get(path).or_else(|| self.known.get(path))
            && *known == stamp
        {
            let digest = digest.clone();
            self.used.insert(path.to_owned(), (stamp, digest.clone()));
            return Ok(digest);
        }
        self.read += 1;
        for _ in 0..TRIES {
            let now = SystemTime::now();
            let file = open(path)?;
            let before = Stamp::of(&file.metadata()?);
            let (digest, _) = sha256_of(&file)?;
            if Stamp::of(&file.metadata()?) == before {
                if before.settled(now) {
                    self.used.insert(path.to_owned(), (before, digest.clone()));
                }
                return Ok(digest);
            }
        }
        Err(io::Error::other("it changes while it is read"))
    }

    /// Keeps what was found, where something new was; nothing depends on it, so that a failure is no error.
    pub fn keep(&self) {
        if self.used == self.known {
            return;
        }
        if let Some(place) = &self.place {
            let _ = self.write(place);
        }
    }

    fn write(&self, place: &Path) -> io::Result<()> {
        let dir = place.parent().unwrap_or(Path::new("/"));
        std::fs::create_dir_all(dir)?;
        let mut file = tempfile::Builder::new().prefix(".new").tempfile_in(dir)?;
        let mut text = Vec::new();
        writeln!(text, "{HEAD}")?;
        for (path, (stamp, digest)) in &self.used {
            let Stamp {
                device,
                inode,
                size,
                modified,
                changed,
            } = stamp;
            let name = path.as_os_str().as_bytes();
            // A line per file: a name with a line break in it is read anew every time.
            if !name.contains(&b'\n') {
                write!(text, "{digest} {device} {inode} {size} {modified} {changed} ")?;
                text.extend_from_slice(name);
                text.push(b'\n');
            }
        }
        file.write_all(&text)?;
        file.persist(place)?;
        Ok(())
    }
}

fn unhex(digits: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if digits.len() != 64 {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(digits.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

/// Opens a file for reading, never through a link and never to wait for somebody at the other end.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file"))
    }
}

fn load(place: &Path) -> Option<BTreeMap<PathBuf, (Stamp, String)>> {
    let file = open(place).ok()?;
    let mut lines = BufReader::new(file.take(MOST)).split(b'\n');
    if lines.next()?.ok()? != HEAD.as_bytes() {
        return None;
    }
    lines.map(|line| entry(&line.ok()?)).collect()
}

fn entry(line: &[u8]) -> Option<(PathBuf, (Stamp, String))> {
    let mut words = line.splitn(7, |byte| *byte == b' ');
    let mut word = || std::str::from_utf8(words.next()?).ok();
    let digest = word()?.to_owned();
    let stamp = Stamp {
        device: word()?.parse().ok()?,
        inode: word()?.parse().ok()?,
        size: word()?.parse().ok()?,
        modified: word()?.parse().ok()?,
        changed: word()?.parse().ok()?,
    };
    let path = words.next()?;
    let good = digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
    good.then(|| {
        (
            PathBuf::from(std::ffi::OsString::from_vec(path.to_vec())),
            (stamp, digest),
        )
    })
}

#[cfg(test)]
mod tests {
    use std::fs::FileTimes;

    use super::*;

    /// A file whose change time is far enough in the past is waited for: nobody can set it.
    fn settle(path: &Path) {
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        while !Stamp::of(&std::fs::metadata(path).unwrap()).settled(SystemTime::now()) {
            assert!(std::time::Instant::now() < deadline, "it never settles");
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_file_is_read_once_and_again_when_anything_about_it_changes() {
        let dir = tempfile::tempdir().unwrap();
        let cache = dir.path().join("cache");
        let path = dir.path().join("file");
        std::fs::write(&path, "one").unwrap();
        let time = std::fs::metadata(&path).unwrap().modified().unwrap();
        // Not settled: it is read every time.
        let look = || {
            let mut digests = Digests::open(&cache, "x");
            let digest = digests.of(&path).unwrap();
            digests.keep();
            (digest, digests.read())
        };
        let one = look();
        assert_eq!((one.1, look().1), (1, 1));
        settle(&path);
        assert_eq!((look(), look()), (one, (one.0, 0)));
        // The same size and the same modification time, set on purpose: the change time tells.
        std::fs::write(&path, "two").unwrap();
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_times(FileTimes::new().set_modified(time))
            .unwrap();
        let two = look();
        assert_ne!(two.0, one.0);
        assert_eq!(two.1, 1);
    }

    #[test]
    fn damage_to_what_is_kept_costs_time_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, "one").unwrap();
        let right = Digests::none().of(&path).unwrap();
        let place = Digests::open(dir.path(), "x").place.unwrap();
        for damage in [
            "",
            "windlass digests 2\n",
            &format!("{HEAD}\nnonsense\n"),
            &format!("{HEAD}\n00 1 2 3 4 5 /x\n"),
        ] {
            std::fs::write(&place, damage).unwrap();
            let mut digests = Digests::open(dir.path(), "x");
            assert!(digests.known.is_empty());
            assert_eq!(digests.of(&path).unwrap(), right);
        }
    }

    #[test]
    fn links_and_pipes_are_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink("/etc/passwd", &link).unwrap();
        assert!(Digests::none().of(&link).is_err());
        assert!(Digests::none().of(dir.path()).is_err());
    }
}
