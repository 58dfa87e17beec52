//! What happened, a line of JSON each, appended to a file: no line is ever half a line, and nothing in it can break a line.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde::Serialize;

use crate::claims::give_to_owner_of;

/// Appends one record. One `write` of one line: lines of concurrent writers do not mix.
pub fn append(path: &Path, record: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(record)?;
    line.push(b'\n');
    let open = || OpenOptions::new().append(true).open(path);
    let mut file = match open() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(path)?,
        other => other?,
    };
    file.write_all(&line)
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
    fn every_record_is_a_line() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("git/.windlass/ssh.log");
        std::fs::create_dir(dir.path().join("git")).unwrap();
        append(&log, &["a\nb", "\u{1b}[2J"]).unwrap();
        append(&log, &7).unwrap();
        assert_eq!(std::fs::read_to_string(log).unwrap(), "[\"a\\nb\",\"\\u001b[2J\"]\n7\n");
    }
}
