//! What a stage says, in a file: appended as it comes, so that whoever follows sees it, and bounded.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// The largest log, in bytes. What comes after is counted, not kept.
const LARGEST: u64 = 64 << 20;

/// An open log.
#[derive(Debug)]
pub struct StageLog {
    file: File,
    path: PathBuf,
    written: u64,
    dropped: u64,
}

impl StageLog {
    /// Makes a log, with the directories that lead to it; one that is there is emptied.
    ///
    /// # Errors
    /// The system refuses.
    pub fn create(path: &Path) -> io::Result<Self> {
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir)?;
        }
        let file = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .mode(0o640)
            .open(path)?;
        Ok(Self {
            file,
            path: path.to_owned(),
            written: 0,
            dropped: 0,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds a line. A log that cannot be written fails no build: whatever needs the disk next will.
    pub fn line(&mut self, text: impl AsRef<str>) {
        let text = text.as_ref();
        let mut bytes = Vec::with_capacity(text.len() + 1);
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(b'\n');
        if let Err(error) = self.write_all(&bytes) {
            tracing::warn!(path = %self.path.display(), %error, "a log cannot be written: {error}");
        }
    }
}

impl Write for StageLog {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = LARGEST.saturating_sub(self.written);
        let fits = bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX));
        if let Some(kept) = bytes.get(..fits)
            && !kept.is_empty()
        {
            self.file.write_all(kept)?;
        }
        self.written += fits as u64;
        self.dropped += (bytes.len() - fits) as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for StageLog {
    fn drop(&mut self) {
        if self.dropped > 0 {
            // Nothing can be told to anybody if this fails.
            let _ = writeln!(self.file, "\n[{} more bytes are not kept]", self.dropped);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_bounded_and_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/log");
        let mut log = StageLog::create(&path).unwrap();
        log.line("begins");
        log.written = LARGEST - 2;
        log.line("long");
        drop(log);
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, "begins\nlo\n[3 more bytes are not kept]\n");
    }
}
