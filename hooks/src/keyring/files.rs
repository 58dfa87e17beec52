//! The files of the keyring's directory: which there are, whose they are, what they hold.

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use windlass_core::id::UserName;
use windlass_core::people::Person;
use windlass_core::signing::openpgp::{Outline, handles_of_all};
use windlass_core::signing::ssh::fingerprint_of;

use super::KeyringError;

/// What may follow a person's name.
const ENDINGS: [&str; 4] = ["toml", "asc", "pgp", "gpg"];

/// A person's file larger than this is not read: certificates with very many foreign signatures are cleaned before they are added.
const LARGEST: u64 = 4 * 1024 * 1024;

/// A file that cannot be read or understood: what is in it does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub why: String,
}

/// What is compared to see whether a file has changed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stamp {
    pub(super) name: String,
    pub(super) modified: (i64, i64),
    pub(super) size: u64,
    pub(super) inode: u64,
}

impl Stamp {
    fn of(name: String, metadata: &std::fs::Metadata) -> Self {
        Self {
            name,
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            size: metadata.size(),
            inode: metadata.ino(),
        }
    }
}

/// The stamps of one person's files.
pub(super) fn stamps(directory: &Path, name: &UserName) -> Result<Vec<Stamp>, KeyringError> {
    let mut stamps = Vec::new();
    for ending in ENDINGS {
        let file = format!("{name}.{ending}");
        let path = directory.join(&file);
        match std::fs::metadata(&path) {
            Ok(metadata) => stamps.push(Stamp::of(file, &metadata)),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(source) => return Err(KeyringError::Read { path, source }),
        }
    }
    Ok(stamps)
}

/// The stamps of all people's files, sorted.
pub(super) fn listing(directory: &Path) -> Result<Vec<Stamp>, KeyringError> {
    let unreadable = |source| KeyringError::Read {
        path: directory.to_owned(),
        source,
    };
    let mut stamps = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let Ok(file) = entry.file_name().into_string() else {
            continue;
        };
        let Some((_, ending)) = file.rsplit_once('.') else {
            continue;
        };
        if file.starts_with('.') || !ENDINGS.contains(&ending) {
            continue;
        }
        // A link is followed; what is gone by now is as if it had never been there.
        match std::fs::metadata(entry.path()) {
            Ok(metadata) if metadata.is_file() => stamps.push(Stamp::of(file, &metadata)),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            // A link that leads in a circle or to where we may not look is its person's misfortune alone: what reads him tells.
            Err(_) => stamps.push(Stamp {
                name: file,
                modified: (0, 0),
                size: 0,
                inode: 0,
            }),
        }
    }
    stamps.sort();
    Ok(stamps)
}

/// The person, from all files of the name; `None` when there is none.
pub(super) fn person(directory: &Path, name: &UserName) -> Result<Option<Person>, KeyringError> {
    let mut whole: Option<Person> = None;
    for ending in ENDINGS {
        let path = directory.join(format!("{name}.{ending}"));
        let bytes = match std::fs::metadata(&path).and_then(|metadata| {
            if metadata.size() > LARGEST {
                return Err(std::io::Error::new(ErrorKind::FileTooLarge, "it is larger than 4 MiB"));
            }
            std::fs::read(&path)
        }) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) if error.kind() == ErrorKind::FileTooLarge => {
                return Err(KeyringError::Malformed {
                    path,
                    why: error.to_string(),
                });
            }
            Err(source) => return Err(KeyringError::Read { path, source }),
        };
        let part = parse(name, ending, &bytes).map_err(|why| KeyringError::Malformed { path, why })?;
        whole = Some(match whole {
            None => part,
            Some(mut person) => {
                person.addresses.extend(
                    part.addresses
                        .into_iter()
                        .filter(|new| !person.addresses.contains(new))
                        .collect::<Vec<_>>(),
                );
                person.openpgp.extend(part.openpgp);
                person
            }
        });
    }
    Ok(whole)
}

fn parse(name: &UserName, ending: &str, bytes: &[u8]) -> Result<Person, String> {
    if ending == "toml" {
        let text = std::str::from_utf8(bytes).map_err(|why| why.to_string())?;
        return Person::from_toml(name.clone(), text).map_err(|why| why.to_string());
    }
    let outlines = Outline::of_all(bytes)?;
    if outlines.is_empty() {
        return Err("there is no certificate in it".to_owned());
    }
    let mut person = Person::from_toml(name.clone(), "").map_err(|why| why.to_string())?;
    for outline in outlines {
        person.addresses.extend(outline.addresses);
        person.openpgp.push(outline.armored);
    }
    Ok(person)
}

/// Everybody, and what is wrong with the files.
pub(super) fn everybody(directory: &Path) -> Result<(Vec<Person>, Vec<Problem>), KeyringError> {
    let mut problems = Vec::new();
    let mut names = Vec::new();
    for stamp in listing(directory)? {
        let (stem, _) = stamp.name.rsplit_once('.').unwrap_or_default();
        match stem.parse::<UserName>() {
            Ok(name) => names.push(name),
            Err(bad) => problems.push(Problem {
                path: directory.join(&stamp.name),
                why: bad.to_string(),
            }),
        }
    }
    names.sort();
    names.dedup();
    let mut people = Vec::new();
    for name in names {
        match person(directory, &name) {
            Ok(found) => people.extend(found),
            Err(KeyringError::Malformed { path, why }) => problems.push(Problem { path, why }),
            Err(KeyringError::Read { path, source } | KeyringError::Write { path, source }) => {
                problems.push(Problem {
                    path,
                    why: source.to_string(),
                });
            }
        }
    }
    Ok((people, problems))
}

/// What a person's keys are looked up by: fingerprints and key ids of certificates and their subkeys, and of SSH keys.
pub(super) fn handles(person: &Person) -> Vec<String> {
    let mut handles = Vec::new();
    for text in &person.openpgp {
        // One that cannot be read has no handles; lint tells.
        handles.extend(handles_of_all(text.as_bytes()).unwrap_or_default());
    }
    handles.extend(
        person
            .ssh
            .iter()
            .filter_map(|key| fingerprint_of(&key.key).ok())
            .map(String::from),
    );
    handles
}
