//! The members that a metadata file is a row of: which there are, how they change.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use windlass_core::hex::hex;
use windlass_core::rpm::Artifact;

use super::codec::{Codec, sha256};
use super::repomd::Data;
use super::{Entry, Order, WriteError, Written, xml};
use crate::repository::files;

/// The version of `members.json` and of what members hold: metadata of another version is not started from.
const VERSION: u32 = 1;

/// The file beside `repodata`.
const NAME: &str = "members.json";

/// The most that is read of it.
const LARGEST: u64 = 4 << 20;

/// How much is copied at once.
const CHUNK: usize = 1 << 20;

/// The three files that list packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    /// What resolving needs.
    Primary,
    /// All files of all packages.
    Filelists,
    /// Changelogs.
    Other,
}

impl Kind {
    pub(super) const ALL: [Self; 3] = [Self::Primary, Self::Filelists, Self::Other];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Filelists => "filelists",
            Self::Other => "other",
        }
    }

    fn head(self, packages: u64) -> String {
        let (root, namespaces) = match self {
            Self::Primary => (
                "metadata",
                "xmlns=\"http://linux.duke.edu/metadata/common\" xmlns:rpm=\"http://linux.duke.edu/metadata/rpm\"",
            ),
            Self::Filelists => ("filelists", "xmlns=\"http://linux.duke.edu/metadata/filelists\""),
            Self::Other => ("otherdata", "xmlns=\"http://linux.duke.edu/metadata/other\""),
        };
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{root} {namespaces} packages=\"{packages}\">\n")
    }

    fn foot(self) -> &'static str {
        match self {
            Self::Primary => "</metadata>\n",
            Self::Filelists => "</filelists>\n",
            Self::Other => "</otherdata>\n",
        }
    }

    fn package(self, entry: &Entry<'_>) -> String {
        match self {
            Self::Primary => xml::primary(entry),
            Self::Filelists => xml::filelists(entry),
            Self::Other => xml::other(entry),
        }
    }

    /// The name and the pkgid, as they stand in the text of one package.
    fn identity(self, text: &str) -> Option<(&str, &str)> {
        let (name, pkgid) = match self {
            Self::Primary => (("<name>", '<'), ("pkgid=\"YES\">", '<')),
            Self::Filelists | Self::Other => ((" name=\"", '"'), ("<package pkgid=\"", '"')),
        };
        let find = |(before, after): (&str, char)| Some(text.split_once(before)?.1.split_once(after)?.0);
        Some((find(name)?, find(pkgid)?))
    }
}

/// One member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Member {
    /// Its size in bytes.
    size: u64,
    /// The size of its text.
    open: u64,
    /// Its SHA-256: two generations with the same have the same packages in it.
    sha256: String,
}

/// The members of one file: a header, the buckets, a footer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Table {
    /// The file's name in `repodata`.
    name: String,
    head: Member,
    buckets: BTreeMap<u8, Member>,
    foot: Member,
}

/// `members.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Members {
    version: u32,
    codec: Codec,
    /// How many packages each bucket has.
    counts: BTreeMap<u8, u64>,
    kinds: BTreeMap<Kind, Table>,
    #[serde(skip)]
    directory: std::path::PathBuf,
}

impl Members {
    pub(super) fn new(codec: Codec, counts: BTreeMap<u8, u64>, kinds: BTreeMap<Kind, Table>) -> Self {
        Self {
            version: VERSION,
            codec,
            counts,
            kinds,
            directory: std::path::PathBuf::new(),
        }
    }

    /// Reads what a directory has.
    pub(super) fn load(directory: &Path) -> Result<Self, WriteError> {
        let path = directory.join(NAME);
        let text = files::read_at_most(&path, LARGEST).map_err(WriteError::file(&path))?;
        let mut members: Self = serde_json::from_str(&text)
            .map_err(|error| WriteError::inconsistent(directory, format!("{NAME}: {error}")))?;
        if members.version != VERSION {
            let what = format!("{NAME} is of version {}, this program knows {VERSION}", members.version);
            return Err(WriteError::inconsistent(directory, what));
        }
        directory.clone_into(&mut members.directory);
        Ok(members)
    }

    pub(super) fn save(&self, directory: &Path) -> Result<(), WriteError> {
        let path = directory.join(NAME);
        let text = serde_json::to_vec(self)
            .map_err(io::Error::other)
            .map_err(WriteError::file(&path))?;
        files::write_new(&path, &text).map_err(WriteError::file(&path))
    }

    fn table(&self, kind: Kind) -> Result<&Table, WriteError> {
        self.kinds
            .get(&kind)
            .ok_or_else(|| WriteError::inconsistent(&self.directory, format!("{NAME} lacks {}", kind.as_str())))
    }
}

impl Table {
    /// Where a bucket's member begins.
    fn offset(&self, bucket: u8) -> u64 {
        let before: u64 = self.buckets.range(..bucket).map(|(_, member)| member.size).sum();
        self.head.size + before
    }
}

/// The bucket of a package, by its name.
fn bucket(name: &str) -> u8 {
    Sha256::digest(name.as_bytes())[0]
}

/// What happens to each bucket.
#[derive(Debug, Default)]
pub(super) struct Changes<'a> {
    added: BTreeMap<u8, Vec<&'a Entry<'a>>>,
    removed: BTreeMap<u8, BTreeSet<&'a str>>,
}

impl<'a> Changes<'a> {
    pub(super) fn of(order: &'a Order<'a>) -> Self {
        let mut changes = Self::default();
        for entry in &order.added {
            let name = &entry.header.package.name;
            changes.added.entry(bucket(name)).or_default().push(entry);
        }
        for removed in &order.removed {
            changes
                .removed
                .entry(bucket(removed.name))
                .or_default()
                .insert(removed.pkgid);
        }
        changes
    }

    fn touches(&self, bucket: u8) -> bool {
        self.added.contains_key(&bucket) || self.removed.contains_key(&bucket)
    }

    /// How many packages each bucket has afterwards; empty ones are left out.
    pub(super) fn counts(&self, order: &Order<'_>, before: Option<&Members>) -> Result<BTreeMap<u8, u64>, WriteError> {
        let mut counts = before.map(|members| members.counts.clone()).unwrap_or_default();
        for (bucket, removed) in &self.removed {
            let count = counts.entry(*bucket).or_default();
            *count = count.checked_sub(removed.len() as u64).ok_or_else(|| {
                WriteError::inconsistent(
                    order.before.unwrap_or(order.directory),
                    "it lacks packages that are to go",
                )
            })?;
        }
        for (bucket, added) in &self.added {
            *counts.entry(*bucket).or_default() += added.len() as u64;
        }
        counts.retain(|_, count| *count > 0);
        Ok(counts)
    }
}

/// Writes one of the three files.
pub(super) fn write_kind(
    kind: Kind,
    order: &Order<'_>,
    before: Option<&Members>,
    changes: &Changes<'_>,
    counts: &BTreeMap<u8, u64>,
    written: &mut Written,
) -> Result<(Table, Data), WriteError> {
    let repodata = order.directory.join("repodata");
    let temporary = repodata.join(format!(".{}", kind.as_str()));
    let mut sink = Sink::create(&temporary, order.codec).map_err(WriteError::file(&temporary))?;
    let old = before.map(|members| Old::open(members, kind)).transpose()?;
    let head = sink
        .member(kind.head(counts.values().sum()).as_bytes())
        .map_err(WriteError::file(&temporary))?;
    let mut buckets = BTreeMap::new();
    for bucket in counts.keys().copied() {
        let kept = old
            .as_ref()
            .filter(|old| old.members.codec == order.codec && !changes.touches(bucket))
            .and_then(|old| Some((old, old.table.buckets.get(&bucket)?)));
        let member = if let Some((old, member)) = kept {
            written.copied += 1;
            sink.copy(&old.file, old.table.offset(bucket), member)
                .map_err(WriteError::file(&old.path))?
        } else {
            written.compressed += 1;
            let text = new_text(kind, bucket, old.as_ref(), changes)?;
            sink.member(text.as_bytes()).map_err(WriteError::file(&temporary))?
        };
        buckets.insert(bucket, member);
    }
    // A bucket that is empty now had what was to go, and nothing else.
    for bucket in changes.removed.keys().filter(|bucket| !counts.contains_key(bucket)) {
        new_text(kind, *bucket, old.as_ref(), changes)?;
    }
    let foot = sink
        .member(kind.foot().as_bytes())
        .map_err(WriteError::file(&temporary))?;
    let open_size = head.open + foot.open + buckets.values().map(|member| member.open).sum::<u64>();
    let (sha256, size) = sink.finish().map_err(WriteError::file(&temporary))?;
    let name = format!("{sha256}-{}.xml.{}", kind.as_str(), order.codec.extension());
    let path = repodata.join(&name);
    std::fs::rename(&temporary, &path).map_err(WriteError::file(&path))?;
    let data = Data {
        kind: kind.as_str(),
        name: name.clone(),
        sha256,
        size,
        open_size,
        time: order.time,
    };
    let table = Table {
        name,
        head,
        buckets,
        foot,
    };
    Ok((table, data))
}

/// The text of a bucket that changes.
fn new_text(kind: Kind, bucket: u8, old: Option<&Old<'_>>, changes: &Changes<'_>) -> Result<String, WriteError> {
    let none = BTreeSet::new();
    let removed = changes.removed.get(&bucket).unwrap_or(&none);
    let before = match old {
        Some(old) => old.text(bucket)?,
        None => String::new(),
    };
    let directory = old.map_or(Path::new(""), |old| old.members.directory.as_path());
    let mut packages = BTreeMap::new();
    let mut gone = 0;
    for text in before.split_inclusive("</package>\n") {
        let (name, pkgid) = kind
            .identity(text)
            .ok_or_else(|| WriteError::inconsistent(directory, "a package in it has no name or digest"))?;
        if removed.contains(pkgid) {
            gone += 1;
        } else {
            packages.insert((name.to_owned(), pkgid.to_owned()), text.to_owned());
        }
    }
    if gone != removed.len() {
        return Err(WriteError::inconsistent(directory, "it lacks packages that are to go"));
    }
    for entry in changes.added.get(&bucket).into_iter().flatten() {
        let text = kind.package(entry);
        let identity = kind
            .identity(&text)
            .map(|(name, pkgid)| (name.to_owned(), pkgid.to_owned()));
        let listed = identity.map(|identity| packages.insert(identity, text));
        if listed.is_none_or(|before| before.is_some()) {
            let what = format!("{} is listed already", entry.header.package.nevra());
            return Err(WriteError::inconsistent(directory, what));
        }
    }
    Ok(packages.into_values().collect())
}

/// One file of the metadata that is started from.
struct Old<'a> {
    members: &'a Members,
    table: &'a Table,
    file: File,
    path: std::path::PathBuf,
}

impl<'a> Old<'a> {
    fn open(members: &'a Members, kind: Kind) -> Result<Self, WriteError> {
        let table = members.table(kind)?;
        let path = members.directory.join("repodata").join(&table.name);
        let file = File::open(&path).map_err(WriteError::file(&path))?;
        Ok(Self {
            members,
            table,
            file,
            path,
        })
    }

    /// The text of one bucket; empty where there is none.
    fn text(&self, bucket: u8) -> Result<String, WriteError> {
        let Some(member) = self.table.buckets.get(&bucket) else {
            return Ok(String::new());
        };
        let read = || {
            let size = usize::try_from(member.size).map_err(io::Error::other)?;
            let mut bytes = vec![0; size];
            self.file.read_exact_at(&mut bytes, self.table.offset(bucket))?;
            if sha256(&bytes) != member.sha256 {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "a member is not as it was written",
                ));
            }
            let text = self.members.codec.decompress(&bytes, member.open)?;
            String::from_utf8(text).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
        };
        read().map_err(WriteError::file(&self.path))
    }
}

/// A file that is written member by member, and its digest.
struct Sink {
    file: File,
    codec: Codec,
    digest: Sha256,
    size: u64,
}

impl Sink {
    fn create(path: &Path, codec: Codec) -> io::Result<Self> {
        Ok(Self {
            file: files::create(path)?,
            codec,
            digest: Sha256::new(),
            size: 0,
        })
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.digest.update(bytes);
        self.size += bytes.len() as u64;
        self.file.write_all(bytes)
    }

    fn member(&mut self, text: &[u8]) -> io::Result<Member> {
        let bytes = self.codec.compress(text)?;
        self.put(&bytes)?;
        Ok(Member {
            size: bytes.len() as u64,
            open: text.len() as u64,
            sha256: sha256(&bytes),
        })
    }

    fn copy(&mut self, from: &File, offset: u64, member: &Member) -> io::Result<Member> {
        let mut left = usize::try_from(member.size).map_err(io::Error::other)?;
        let mut buffer = vec![0; left.min(CHUNK)];
        let mut at = offset;
        while left > 0 {
            let piece = &mut buffer[..left.min(CHUNK)];
            from.read_exact_at(piece, at)?;
            at += piece.len() as u64;
            left -= piece.len();
            let piece: &[u8] = piece;
            self.digest.update(piece);
            self.size += piece.len() as u64;
            self.file.write_all(piece)?;
        }
        Ok(member.clone())
    }

    fn finish(self) -> io::Result<(String, u64)> {
        self.file.sync_all()?;
        Ok((hex(&self.digest.finalize()), self.size))
    }
}

/// The files that a directory's metadata names, bucket by bucket; buckets whose member was seen before are passed over.
///
/// # Errors
/// The metadata cannot be read.
pub fn listed(directory: &Path, seen: &mut BTreeSet<String>) -> Result<Vec<Artifact>, WriteError> {
    let members = Members::load(directory)?;
    let old = Old::open(&members, Kind::Primary)?;
    let mut found = Vec::new();
    for (bucket, member) in &old.table.buckets {
        if !seen.insert(member.sha256.clone()) {
            continue;
        }
        let text = old.text(*bucket)?;
        for package in text.split_inclusive("</package>\n") {
            let artifact = xml::artifact(package).ok_or_else(|| {
                WriteError::inconsistent(directory, "a package in it has no digest, size or location")
            })?;
            found.push(artifact);
        }
    }
    Ok(found)
}
