//! What a build gets to see: the context directory after its ignore file, what `.pre` made, extra files, the executable and its libraries.
//!
//! It is a list of names and of where their content is; nothing is copied. Links are entries of their own and are never followed, so that
//! nothing from outside the directory comes along. Sockets, pipes and devices are left out. What stands later in the list above hides
//! what stands earlier.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::Metadata;
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use windlass_core::escape::escaped_bytes;

use super::digests;
use super::executable::Piece;

/// How much a context may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes in all files together.
    pub bytes: u64,
    /// Files, directories and links.
    pub entries: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 20 << 30,
            entries: 1_000_000,
        }
    }
}

/// What one name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A directory.
    Directory,
    /// A file, with its content here.
    File {
        /// Where.
        host: PathBuf,
        /// How long it was when it was looked at.
        size: u64,
    },
    /// A file with this content.
    Text(Vec<u8>),
    /// A symbolic link to this.
    Link(PathBuf),
}

/// One name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it stands for.
    pub content: Content,
    /// Permissions.
    pub mode: u32,
    /// Modification time in seconds.
    pub modified: u64,
}

/// All of a context, by relative path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    entries: BTreeMap<PathBuf, Entry>,
    bytes: u64,
    limits: Limits,
}

/// Which paths an ignore file takes out.
pub trait Ignoring {
    /// Whether the path is taken out.
    fn excludes(&self, path: &str, directory: bool) -> bool;
    /// Whether nothing below a directory that is taken out can be brought back.
    fn prunes(&self, path: &str) -> bool;
}

/// Takes nothing out.
#[derive(Debug, Clone, Copy)]
pub struct Nothing;

impl Ignoring for Nothing {
    fn excludes(&self, _: &str, _: bool) -> bool {
        false
    }

    fn prunes(&self, _: &str) -> bool {
        true
    }
}

/// Why there is no context.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// Something cannot be read.
    #[error("cannot read '{}': {error}", path.display())]
    Read {
        /// Which file or directory.
        path: PathBuf,
        /// Why; not a source, since the message has it.
        error: io::Error,
    },
    /// A file that was named is none.
    #[error("'{}' is not a file\n\nhint: --extra-files takes files; --context DIR takes a directory", .0.display())]
    NoFile(PathBuf),
    /// Two files would have one name.
    #[error("two files would both be '{}' in the context: '{}' and '{}'", name.display(), first.display(), second.display())]
    Twice {
        /// The name.
        name: PathBuf,
        /// The one.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// It is too large.
    #[error("the context is larger than {what}, at '{}'\n\nhint: a .dockerignore file takes out what the build does not need; --context-limit MIB allows more", path.display())]
    TooLarge {
        /// The limit.
        what: String,
        /// Where it was reached.
        path: PathBuf,
    },
    /// A file changed its length while it was packed.
    #[error("'{}' changed while it was packed\n\nhint: let whoever writes it finish, and build again", .0.display())]
    Changed(PathBuf),
    /// It cannot be written.
    #[error("cannot pack the context: {0}")]
    Write(io::Error),
}

fn read(path: &Path) -> impl FnOnce(io::Error) -> TreeError {
    let path = path.to_owned();
    move |error| TreeError::Read { path, error }
}

impl Tree {
    /// An empty one with these limits.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// All names with what they stand for; a directory before what is in it.
    pub fn entries(&self) -> impl Iterator<Item = (&Path, &Entry)> {
        self.entries.iter().map(|(path, entry)| (path.as_path(), entry))
    }

    /// One name.
    pub fn get(&self, path: &Path) -> Option<&Entry> {
        self.entries.get(path)
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds everything in a directory but what is ignored.
    ///
    /// # Errors
    /// Something cannot be read, or it is too much.
    pub fn add_folder(&mut self, folder: &Path, ignoring: &dyn Ignoring) -> Result<(), TreeError> {
        self.below(folder, Path::new(""), ignoring)
    }

    fn below(&mut self, folder: &Path, relative: &Path, ignoring: &dyn Ignoring) -> Result<(), TreeError> {
        let dir = folder.join(relative);
        let entries = std::fs::read_dir(&dir).map_err(read(&dir))?;
        let mut names: Vec<OsString> = Vec::new();
        for entry in entries {
            names.push(entry.map_err(read(&dir))?.file_name());
        }
        names.sort();
        for name in names {
            let path = relative.join(&name);
            let host = folder.join(&path);
            let metadata = match std::fs::symlink_metadata(&host) {
                Ok(metadata) => metadata,
                // Gone since: as if it had never been.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(read(&host)(error)),
            };
            // Patterns are text; a name that is none is matched by what can be shown of it.
            let text = path.to_string_lossy();
            let excluded = ignoring.excludes(&text, metadata.is_dir());
            if metadata.is_dir() {
                if !excluded {
                    self.put(path.clone(), entry_of(&metadata, Content::Directory))?;
                }
                if !(excluded && ignoring.prunes(&text)) {
                    self.below(folder, &path, ignoring)?;
                }
            } else if !excluded {
                if path
                    .parent()
                    .is_some_and(|parent| !parent.as_os_str().is_empty() && !self.entries.contains_key(parent))
                {
                    self.brought_back(folder, &path)?;
                }
                self.one(&host, path, &metadata)?;
            }
        }
        Ok(())
    }

    /// The directories above a file that was brought back from below one that is taken out.
    fn brought_back(&mut self, folder: &Path, path: &Path) -> Result<(), TreeError> {
        let above: Vec<&Path> = path
            .ancestors()
            .skip(1)
            .filter(|path| !path.as_os_str().is_empty())
            .collect();
        for dir in above {
            if !self.entries.contains_key(dir) {
                let host = folder.join(dir);
                let metadata = std::fs::symlink_metadata(&host).map_err(read(&host))?;
                self.put(dir.to_owned(), entry_of(&metadata, Content::Directory))?;
            }
        }
        Ok(())
    }

    fn one(&mut self, host: &Path, path: PathBuf, metadata: &Metadata) -> Result<(), TreeError> {
        let content = if metadata.is_symlink() {
            Content::Link(std::fs::read_link(host).map_err(read(host))?)
        } else if metadata.is_file() {
            Content::File {
                host: host.to_owned(),
                size: metadata.len(),
            }
        } else {
            return Ok(());
        };
        self.put(path, entry_of(metadata, content))
    }

    /// Adds files under their own last names.
    ///
    /// # Errors
    /// One is not there or is no file, or two have one name.
    pub fn add_files(&mut self, files: &[PathBuf]) -> Result<(), TreeError> {
        let mut seen: BTreeMap<PathBuf, &PathBuf> = BTreeMap::new();
        for file in files {
            let Some(name) = file.file_name().map(PathBuf::from) else {
                return Err(TreeError::NoFile(file.clone()));
            };
            let twice = seen.insert(name.clone(), file).filter(|first| *first != file);
            if let Some(first) = twice {
                return Err(TreeError::Twice {
                    name,
                    first: first.clone(),
                    second: file.clone(),
                });
            }
            // Whoever names a link means what it points to.
            let host = std::fs::canonicalize(file).map_err(read(file))?;
            let metadata = std::fs::metadata(&host).map_err(read(file))?;
            if !metadata.is_file() {
                return Err(TreeError::NoFile(file.clone()));
            }
            self.one(&host, name, &metadata)?;
        }
        Ok(())
    }

    /// Adds an executable and its libraries under their paths in the image.
    ///
    /// # Errors
    /// One cannot be read.
    pub fn add_pieces(&mut self, pieces: &[Piece]) -> Result<(), TreeError> {
        for piece in pieces {
            let metadata = std::fs::metadata(&piece.host).map_err(read(&piece.host))?;
            let path = piece.image.strip_prefix("/").unwrap_or(&piece.image).to_owned();
            self.above(&path)?;
            self.one(&piece.host, path, &metadata)?;
        }
        Ok(())
    }

    /// Adds a file with this content, for everybody to read.
    ///
    /// # Errors
    /// It is too much.
    pub fn add_text(&mut self, path: impl Into<PathBuf>, text: impl Into<Vec<u8>>) -> Result<(), TreeError> {
        self.add_file(path, text, 0o644)
    }

    /// Adds a file with this content and these permissions.
    ///
    /// # Errors
    /// It is too much.
    pub fn add_file(
        &mut self,
        path: impl Into<PathBuf>,
        content: impl Into<Vec<u8>>,
        mode: u32,
    ) -> Result<(), TreeError> {
        let path = path.into();
        self.above(&path)?;
        let entry = Entry {
            content: Content::Text(content.into()),
            mode,
            modified: 0,
        };
        self.put(path, entry)
    }

    /// Adds another tree below a directory.
    ///
    /// # Errors
    /// It is too much.
    pub fn add_tree(&mut self, dir: &Path, tree: &Self) -> Result<(), TreeError> {
        self.put(dir.to_owned(), directory())?;
        tree.entries
            .iter()
            .try_for_each(|(path, entry)| self.put(dir.join(path), entry.clone()))
    }

    /// Makes the directories above a path that are not there.
    fn above(&mut self, path: &Path) -> Result<(), TreeError> {
        for dir in path.ancestors().skip(1).filter(|path| !path.as_os_str().is_empty()) {
            // A link of the context's own in its way would lead out of it: it gives way.
            if !matches!(
                self.entries.get(dir).map(|entry| &entry.content),
                Some(Content::Directory)
            ) {
                self.put(dir.to_owned(), directory())?;
            }
        }
        Ok(())
    }

    fn put(&mut self, path: PathBuf, entry: Entry) -> Result<(), TreeError> {
        let size = entry.content.size();
        let before = self.entries.get(&path).map_or(0, |entry| entry.content.size());
        if !matches!(entry.content, Content::Directory) {
            // What is no directory hides everything below it.
            let below: Vec<PathBuf> = self
                .entries
                .range(path.clone()..)
                .skip_while(|(have, _)| **have == path)
                .take_while(|(have, _)| have.starts_with(&path))
                .map(|(have, _)| have.clone())
                .collect();
            for hidden in below {
                if let Some(gone) = self.entries.remove(&hidden) {
                    self.bytes -= gone.content.size();
                }
            }
        }
        self.bytes = self.bytes - before + size;
        let too_large = |what: String| TreeError::TooLarge {
            what,
            path: path.clone(),
        };
        if self.bytes > self.limits.bytes {
            return Err(too_large(format!("{} MiB", self.limits.bytes >> 20)));
        }
        if self.entries.len() >= self.limits.entries {
            return Err(too_large(format!("{} files", self.limits.entries)));
        }
        self.entries.insert(path, entry);
        Ok(())
    }

    /// Writes it as a tar archive: sorted, root's, with the files' own times and permissions.
    ///
    /// # Errors
    /// A file cannot be read, or has another length by now.
    pub fn pack(&self, to: impl Write) -> Result<(), TreeError> {
        let mut archive = tar::Builder::new(to);
        for (path, entry) in &self.entries {
            let mut header = tar::Header::new_gnu();
            header.set_mode(entry.mode);
            header.set_uid(0);
            header.set_gid(0);
            header.set_mtime(entry.modified);
            header.set_size(entry.content.size());
            match &entry.content {
                Content::Directory => {
                    header.set_entry_type(tar::EntryType::Directory);
                    archive.append_data(&mut header, path, io::empty())
                }
                Content::Text(text) => archive.append_data(&mut header, path, text.as_slice()),
                Content::Link(target) => {
                    header.set_entry_type(tar::EntryType::Symlink);
                    archive.append_link(&mut header, path, target)
                }
                Content::File { host, size } => {
                    let file = digests::open(host).map_err(read(host))?;
                    let mut exactly = Exactly {
                        from: file,
                        rest: *size,
                        changed: false,
                    };
                    let packed = archive.append_data(&mut header, path, &mut exactly);
                    if exactly.changed {
                        return Err(TreeError::Changed(host.clone()));
                    }
                    packed
                }
            }
            .map_err(TreeError::Write)?;
        }
        archive
            .into_inner()
            .and_then(|mut to| to.flush())
            .map_err(TreeError::Write)
    }
}

impl Content {
    fn size(&self) -> u64 {
        match self {
            Self::File { size, .. } => *size,
            Self::Text(text) => text.len() as u64,
            Self::Directory | Self::Link(_) => 0,
        }
    }
}

fn directory() -> Entry {
    Entry {
        content: Content::Directory,
        mode: 0o755,
        modified: 0,
    }
}

fn entry_of(metadata: &Metadata, content: Content) -> Entry {
    Entry {
        mode: metadata.mode() & 0o7777,
        modified: u64::try_from(metadata.mtime()).unwrap_or(0),
        content,
    }
}

/// A path as it is written in lists: with `/` between its parts, everything that cannot be shown escaped.
pub fn shown(path: &Path) -> String {
    escaped_bytes(path.as_os_str().as_encoded_bytes())
}

/// As many bytes as were promised, or a fault.
struct Exactly<R> {
    from: R,
    rest: u64,
    changed: bool,
}

impl<R: Read> Read for Exactly<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.rest).unwrap_or(usize::MAX).min(buffer.len());
        let read = if most == 0 {
            0
        } else {
            self.from.read(&mut buffer[..most])?
        };
        self.rest -= read as u64;
        let longer = self.rest == 0 && !buffer.is_empty() && read == 0 && self.from.read(&mut [0])? != 0;
        if (read == 0 && self.rest != 0 && !buffer.is_empty()) || longer {
            self.changed = true;
            return Err(io::Error::other("it changed"));
        }
        Ok(read)
    }
}

#[cfg(test)]
#[path = "tree/tests.rs"]
mod tests;
