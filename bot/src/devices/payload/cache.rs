//! Compressed chunks, kept from one payload to the next by what they were made from.
//!
//! A file is named by the SHA-256 of chunk and encoder, and holds the SHA-256 of the rest, the operation's kind, and the compressed
//! bytes. What does not check out counts as not there. Only whole files get a name, so that a build that was killed leaves nothing
//! behind that a later one would take.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use windlass_core::device::payload::codec::Encoded;
use windlass_core::device::payload::{Action, Digest, Operation};

use super::PayloadError;

/// A directory of compressed chunks.
#[derive(Debug, Clone)]
pub struct Cache {
    dir: PathBuf,
    /// The most bytes; what was not used for longest goes first.
    limit: u64,
}

impl Cache {
    /// How many bytes are kept unless it is said otherwise.
    pub const LIMIT: u64 = 8 << 30;

    /// A cache in this directory, which is made if it is not there.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn open(dir: &Path, limit: u64) -> Result<Self, PayloadError> {
        fs::create_dir_all(dir).map_err(PayloadError::file(dir))?;
        Ok(Self {
            dir: dir.to_owned(),
            limit,
        })
    }

    fn path(&self, key: &Digest) -> PathBuf {
        let name = key.hex();
        self.dir.join(&name[..2]).join(&name[2..])
    }

    /// What was kept under this key.
    pub(super) fn get(&self, key: &Digest) -> Option<Encoded> {
        let path = self.path(key);
        let mut content = fs::read(&path).ok()?;
        let (digest, rest) = content.split_at_checked(32)?;
        if Digest::of(rest).bytes() != digest {
            return None;
        }
        let operation = Operation {
            kind: i32::from(*rest.first()?),
            ..Operation::default()
        };
        let Some(Action::Unpack(codec)) = operation.action() else {
            return None;
        };
        // Used now; if that cannot be noted, it goes a little earlier.
        let _ = File::open(&path).and_then(|file| file.set_modified(SystemTime::now()));
        content.drain(..33);
        Some(Encoded { codec, data: content })
    }

    /// Keeps something. A cache that is full or cannot be written costs time, and nothing else.
    pub(super) fn put(&self, key: &Digest, encoded: &Encoded) {
        let _ = self.write(key, encoded);
    }

    fn write(&self, key: &Digest, encoded: &Encoded) -> io::Result<()> {
        let path = self.path(key);
        let dir = path.parent().unwrap_or(&self.dir);
        fs::create_dir_all(dir)?;
        let kind = u8::try_from(i32::from(encoded.codec.kind())).map_err(io::Error::other)?;
        let rest = [&[kind], &encoded.data[..]].concat();
        let mut file = tempfile::NamedTempFile::new_in(dir)?;
        file.write_all(Digest::of(&rest).bytes())?;
        file.write_all(&rest)?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    }

    /// Removes what was not used for longest, until the rest is within the limit.
    pub(super) fn trim(&self) {
        let mut files: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
        for dir in entries(&self.dir) {
            for path in entries(&dir) {
                if let Ok(facts) = path.metadata()
                    && let Ok(used) = facts.modified()
                {
                    files.push((used, facts.len(), path));
                }
            }
        }
        let mut total: u64 = files.iter().map(|(_, size, _)| size).sum();
        files.sort();
        for (_, size, path) in files {
            if total <= self.limit {
                break;
            }
            if fs::remove_file(path).is_ok() {
                total -= size;
            }
        }
    }
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    fs::read_dir(dir).map_or_else(
        |_| Vec::new(),
        |entries| entries.flatten().map(|entry| entry.path()).collect(),
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use windlass_core::device::payload::Codec;

    use super::*;

    fn encoded(data: &[u8]) -> Encoded {
        Encoded {
            codec: Codec::Xz,
            data: data.to_vec(),
        }
    }

    #[test]
    fn what_was_kept_is_found_and_what_is_damaged_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(&dir.path().join("new"), Cache::LIMIT).unwrap();
        let key = Digest::of(b"chunk");
        assert_eq!(cache.get(&key), None);
        cache.put(&key, &encoded(b"compressed"));
        assert_eq!(cache.get(&key), Some(encoded(b"compressed")));
        let path = cache.path(&key);
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            fs::write(&path, damaged).unwrap();
            assert_eq!(cache.get(&key), None, "byte {at}");
        }
        fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        assert_eq!(cache.get(&key), None);
        fs::write(&path, b"").unwrap();
        assert_eq!(cache.get(&key), None);
    }

    #[test]
    fn what_was_not_used_for_longest_goes_first() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path(), 250).unwrap();
        let keys: Vec<Digest> = (0..4_u8).map(|number| Digest::of(&[number])).collect();
        for (age, key) in keys.iter().enumerate() {
            cache.put(key, &encoded(&[0; 67]));
            let time = SystemTime::now() - Duration::from_secs(1000 - age as u64);
            File::open(cache.path(key)).unwrap().set_modified(time).unwrap();
        }
        // The oldest is used again.
        assert!(cache.get(&keys[0]).is_some());
        cache.trim();
        let there: Vec<bool> = keys.iter().map(|key| cache.get(key).is_some()).collect();
        assert_eq!(there, [true, false, false, true]);
    }
}
