//! What happened, a line of JSON each, appended to a file: no line is ever half a line, and nothing in it can break a line.
//!
//! A file that has grown large is put aside under the moment's name and nothing of it is lost. A hook runs under the limits of a
//! push: a file of the size that these allow could not be appended to any more, and nobody could push.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use jiff::Timestamp;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use serde::Serialize;

use crate::claims::give_to_owner_of;

/// A file that is larger is put aside: far below what `ssh.file_size_limit` allows.
const LARGE: u64 = 16 << 20;

/// Appends one record. One `write` of one line: lines of concurrent writers do not mix.
pub fn append(path: &Path, record: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(record)?;
    line.push(b'\n');
    let open = || OpenOptions::new().append(true).open(path);
    let there = match open() {
        Ok(file) if file.metadata()?.len() > LARGE => {
            put_aside(path)?;
            open()
        }
        other => other,
    };
    let mut file = match there {
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(path)?,
        other => other?,
    };
    file.write_all(&line)
}

/// Gives the file another name, which nobody has had before. Who comes too late finds it gone, which is as good.
fn put_aside(path: &Path) -> io::Result<()> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(Timestamp::now().strftime(".%Y%m%dT%H%M%S%.9fZ").to_string());
    match renameat_with(CWD, path, CWD, aside, RenameFlags::NOREPLACE) {
        Ok(()) | Err(Errno::NOENT | Errno::EXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn make(path: &Path) -> io::Result<std::fs::File> {
    if let Some(dir) = path.parent()
        && !dir.exists()
    {
        std::fs::create_dir_all(dir)?;
        if let Some(above) = dir.parent() {
            give_to_owner_of(above, dir)?;
        }
    }
    let file = OpenOptions::new().append(true).create(true).mode(0o640).open(path)?;
    if let Some(dir) = path.parent() {
        give_to_owner_of(dir, path)?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_file_is_put_aside_whole() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("ssh.log");
        append(&log, &1).unwrap();
        OpenOptions::new()
            .write(true)
            .open(&log)
            .unwrap()
            .set_len(LARGE + 1)
            .unwrap();
        append(&log, &2).unwrap();
        append(&log, &3).unwrap();
        assert_eq!(std::fs::read_to_string(&log).unwrap(), "2\n3\n");
        let mut sizes: Vec<u64> = std::fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().metadata().unwrap().len())
            .collect();
        sizes.sort_unstable();
        assert_eq!(sizes, [4, LARGE + 1]);
    }

    #[test]
    fn every_record_is_a_line() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("git/.windlass/ssh.log");
        std::fs::create_dir(dir.path().join("git")).unwrap();
        append(&log, &["a\nb", "\u{1b}[2J"]).unwrap();
        append(&log, &7).unwrap();
        assert_eq!(std::fs::read_to_string(log).unwrap(), "[\"a\\nb\",\"\\u001b[2J\"]\n7\n");
    }
}
