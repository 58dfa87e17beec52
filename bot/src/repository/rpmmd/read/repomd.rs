//! Reads `repomd.xml`: which metadata there is, where, with which digest.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};
use windlass_core::escape::escaped;

use super::xml::{Attributes, Visit, walk};
use super::{Limits, ReadError};
use windlass_core::hex::hex;

/// How many pieces of metadata there may be.
const MOST: usize = 256;
/// The longest place of a file, in bytes.
const LONGEST: usize = 1024;

/// What `repomd.xml` says.
#[derive(Debug, Clone, Default)]
pub(in crate::repository) struct Repomd {
    /// The SHA-256 of its bytes.
    pub(in crate::repository) sha256: String,
    data: Vec<Data>,
}

/// One piece of metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::repository) struct Data {
    kind: String,
    /// Where it is, relative to the directory that holds `repodata`; leads nowhere else.
    pub(in crate::repository) location: String,
    /// Its digest.
    pub(super) checksum: Digest,
    /// Its size in bytes.
    pub(super) size: Option<u64>,
    /// Its size once it is decompressed.
    pub(super) open_size: Option<u64>,
}

/// A digest with its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Digest {
    pub(super) kind: Checksum,
    /// In lower-case hexadecimal digits.
    pub(super) value: String,
}

/// The kinds of digest that prove something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Checksum {
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

impl Checksum {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Sha224 => "sha224",
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    fn digits(self) -> usize {
        match self {
            Self::Sha224 => 56,
            Self::Sha256 => 64,
            Self::Sha384 => 96,
            Self::Sha512 => 128,
        }
    }

    pub(super) fn of(kind: &str) -> Option<Self> {
        [Self::Sha224, Self::Sha256, Self::Sha384, Self::Sha512]
            .into_iter()
            .find(|known| known.as_str() == kind)
    }
}

impl Digest {
    /// The digest that an element of these words holds.
    pub(super) fn of(kind: &str, value: &str) -> Result<Self, String> {
        let known = Checksum::of(kind).ok_or_else(|| {
            format!(
                "digests of the kind '{}' prove nothing, or are not known\n\nhint: createrepo_c --checksum sha256",
                escaped(kind)
            )
        })?;
        let value = value.trim_ascii().to_ascii_lowercase();
        if value.len() == known.digits() && value.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            Ok(Self { kind: known, value })
        } else {
            Err(format!("'{}' is no {kind}", escaped(&value)))
        }
    }
}

/// A place below the directory that holds `repodata`, if it is one.
pub(in crate::repository) fn location(href: &str) -> Result<&str, String> {
    let is_below = !href.is_empty()
        && href.len() <= LONGEST
        && href.split('/').all(|part| !matches!(part, "" | "." | ".."))
        && !href.contains(|c: char| c.is_control() || c == '\\');
    if is_below {
        Ok(href)
    } else {
        let shown: String = href.chars().take(100).collect();
        Err(format!("'{}' is no place below the repository", escaped(&shown)))
    }
}

impl Repomd {
    /// Reads the one of a directory.
    pub(in crate::repository) fn load(directory: &Path, limits: &Limits) -> Result<Self, ReadError> {
        let path = directory.join("repodata/repomd.xml");
        let mut bytes = Vec::new();
        match File::open(&path) {
            Ok(file) => file.take(limits.repomd + 1).read_to_end(&mut bytes),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(ReadError::NoRepository(super::shown(directory)));
            }
            Err(error) => Err(error),
        }
        .map_err(ReadError::file(&path))?;
        Self::parse(&bytes, limits).map_err(|what| ReadError::wrong(&path, what))
    }

    /// Reads its bytes.
    pub(in crate::repository) fn parse(bytes: &[u8], limits: &Limits) -> Result<Self, String> {
        if bytes.len() as u64 > limits.repomd {
            return Err(format!("it has more than {} bytes", limits.repomd));
        }
        let mut visitor = Visitor::default();
        walk(bytes, "repomd", limits.text, &mut visitor).map_err(|fault| match fault {
            super::Fault::Read(error) => error.to_string(),
            super::Fault::Wrong(what) => what,
        })?;
        Ok(Self {
            sha256: hex(&Sha256::digest(bytes)),
            data: visitor.data,
        })
    }

    /// One kind of metadata.
    pub(in crate::repository) fn data(&self, kind: &str) -> Option<&Data> {
        self.data.iter().find(|data| data.kind == kind)
    }

    /// The one that has to be there.
    pub(super) fn primary(&self, directory: &Path) -> Result<&Data, ReadError> {
        self.data("primary").ok_or_else(|| {
            ReadError::wrong(
                &directory.join("repodata/repomd.xml"),
                "it names no 'primary'\n\nhint: createrepo_c makes one; metadata in SQLite alone is not read",
            )
        })
    }
}

#[derive(Default)]
struct Visitor {
    data: Vec<Data>,
    draft: Option<Draft>,
}

/// A piece of metadata while it is read.
#[derive(Default)]
struct Draft {
    kind: String,
    location: Option<String>,
    checksum_kind: Option<String>,
    checksum: Option<Digest>,
    size: Option<u64>,
    open_size: Option<u64>,
}

impl Draft {
    fn is_wanted(&self) -> bool {
        matches!(self.kind.as_str(), "primary" | "filelists")
    }

    fn finish(self) -> Result<Data, String> {
        let kind = escaped(&self.kind);
        Ok(Data {
            location: self.location.ok_or_else(|| format!("'{kind}' has no location"))?,
            checksum: self.checksum.ok_or_else(|| format!("'{kind}' has no checksum"))?,
            kind: self.kind,
            size: self.size,
            open_size: self.open_size,
        })
    }
}

impl Visit for Visitor {
    fn open(&mut self, depth: usize, name: &str, attributes: &Attributes<'_>) -> Result<(), String> {
        match (depth, name) {
            (1, "data") => {
                self.draft = Some(Draft {
                    kind: attributes.need("type")?.into_owned(),
                    ..Draft::default()
                });
            }
            (2, "location") => {
                if let Some(draft) = self.draft.as_mut().filter(|draft| draft.is_wanted()) {
                    if attributes.get("base")?.is_some() {
                        return Err(format!(
                            "'{}' lies elsewhere (xml:base), which is not followed",
                            escaped(&draft.kind)
                        ));
                    }
                    draft.location = Some(location(&attributes.need("href")?)?.to_owned());
                }
            }
            (2, "checksum") => {
                if let Some(draft) = &mut self.draft {
                    draft.checksum_kind = Some(attributes.need("type")?.into_owned());
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self, depth: usize, name: &str, text: &str) -> Result<(), String> {
        let size = || {
            text.trim_ascii()
                .parse()
                .map(Some)
                .map_err(|_| format!("'{}' is no size", escaped(text)))
        };
        match (depth, name) {
            (1, "data") => {
                let draft = self.draft.take().filter(Draft::is_wanted);
                if let Some(draft) = draft {
                    if self.data.iter().any(|known| known.kind == draft.kind) {
                        return Err(format!("'{}' is there twice", draft.kind));
                    }
                    if self.data.len() >= MOST {
                        return Err(format!("it names more than {MOST} files"));
                    }
                    self.data.push(draft.finish()?);
                }
            }
            (2, _) => {
                if let Some(draft) = self.draft.as_mut().filter(|draft| draft.is_wanted()) {
                    match name {
                        "checksum" => {
                            let kind = draft.checksum_kind.take().unwrap_or_default();
                            draft.checksum = Some(Digest::of(&kind, text)?);
                        }
                        "size" => draft.size = size()?,
                        "open-size" => draft.open_size = size()?,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}
