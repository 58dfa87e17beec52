//! The files that the configuration names, as an archive that is unpacked over a file system.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Seek as _};
use std::path::{Path, PathBuf};

use tar::{Builder, EntryType, Header};

use crate::config::PayloadFile;

/// What stands for something in their contents.
pub(super) struct Words<'a> {
    pub(super) version: &'a str,
    pub(super) board: &'a str,
}

/// An archive of them with the directories that they are in, all of this time; nothing where there are none.
pub(super) fn archive(files: &[PayloadFile], words: &Words<'_>, at: i64) -> io::Result<Option<File>> {
    if files.is_empty() {
        return Ok(None);
    }
    let mut archive = Builder::new(tempfile::tempfile()?);
    let header = |kind: EntryType, mode: u32, size: u64| {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(size);
        header.set_mtime(u64::try_from(at).unwrap_or(0));
        header.set_uid(0);
        header.set_gid(0);
        header
    };
    let mut above: BTreeSet<PathBuf> = BTreeSet::new();
    for file in files {
        let path = Path::new(file.path.trim_start_matches('/'));
        let mut leading: Vec<&Path> = path.ancestors().skip(1).filter(|dir| *dir != Path::new("")).collect();
        leading.reverse();
        for dir in leading {
            if above.insert(dir.to_owned()) {
                archive.append_data(&mut header(EntryType::Directory, 0o755, 0), dir, io::empty())?;
            }
        }
        let content = file
            .content
            .replace("{version}", words.version)
            .replace("{board}", words.board);
        let mode = file
            .mode()
            .ok_or_else(|| io::Error::other("permissions that are none"))?;
        archive.append_data(
            &mut header(EntryType::Regular, mode, content.len() as u64),
            path,
            content.as_bytes(),
        )?;
    }
    let mut file = archive.into_inner()?;
    file.rewind()?;
    Ok(Some(file))
}
