//! Signs a package: its signature header is written anew, the main header and the payload are copied byte by byte.
//!
//! All digests that the signature header holds stay in it, those of old packages over their payload too; signatures that it
//! came with go. What comes in is a foreign file: it was read by `core::rpm` under its limits before, and what is read here
//! is bounded again.

use std::fs::File;
use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use jiff::Timestamp;
use windlass_core::rpm::{Header, header};

use super::keys::Signer;
use super::{RepositoryError, files};
use crate::digest::sha256_of;

/// The lead in front of everything.
const LEAD: usize = 96;

/// How every header begins.
const MAGIC: [u8; 8] = [0x8e, 0xad, 0xe8, 0x01, 0, 0, 0, 0];

/// The most entries and the most bytes that a signature header may have; signatures of single files make it long.
const MOST_ENTRIES: u32 = 256;
const MOST_BYTES: u32 = 64 << 20;

/// The region that a signature header is.
const REGION: u32 = 62;

/// The signature over the main header by an `EdDSA` or DSA key.
const DSA_HEADER: u32 = 267;

/// What goes: signatures over the main header, over header and payload, and the room that was left for some.
const SIGNATURES: [u32; 8] = [DSA_HEADER, 268, 278, 1002, 1005, 1006, 1008, 999];

/// How many bytes header and payload have, small and large.
const SIZE: u32 = 1000;
const LONG_SIZE: u32 = 270;

/// rpm's number of the type of raw bytes.
const BIN: u32 = 7;

/// A signed package.
#[derive(Debug)]
pub(super) struct Signed {
    /// What it says.
    pub(super) header: Header,
    /// The SHA-256 of the file.
    pub(super) sha256: String,
    /// Its size.
    pub(super) size: u64,
}

/// Reads a package's headers.
pub(super) fn read_header(path: &Path) -> Result<Header, RepositoryError> {
    let file = open(path)?;
    header::read(&mut BufReader::new(file)).map_err(|error| bad(path, error))
}

/// Reads a package's headers, and sees that all of the payload is there that the signature header speaks of.
pub(super) fn read_whole(path: &Path) -> Result<Header, RepositoryError> {
    let header = read_header(path)?;
    let mut source = open(path)?;
    let size = source.metadata().map_err(RepositoryError::file(path))?.len();
    source
        .seek(SeekFrom::Start(LEAD as u64))
        .map_err(RepositoryError::file(path))?;
    let entries = Entries::read(&mut BufReader::new(source)).map_err(|error| bad(path, error))?;
    let told = entries.0.iter().find_map(|entry| match (entry.tag, entry.data.len()) {
        (SIZE, 4) => Some(u64::from(word(&entry.data, 0))),
        (LONG_SIZE, 8) => Some((u64::from(word(&entry.data, 0)) << 32) | u64::from(word(&entry.data, 4))),
        _ => None,
    });
    let there = size.saturating_sub(header.about.header_range.start);
    match told {
        Some(told) if told != there => Err(bad(
            path,
            format!("header and payload are {there} bytes, and {told} are announced: it is cut off, or more is in it"),
        )),
        _ => Ok(header),
    }
}

fn open(path: &Path) -> Result<File, RepositoryError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let file = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
        .map_err(RepositoryError::file(path))?;
    let meta = file.metadata().map_err(RepositoryError::file(path))?;
    if !meta.is_file() {
        return Err(bad(path, "it is no plain file"));
    }
    Ok(file)
}

fn bad(path: &Path, why: impl std::fmt::Display) -> RepositoryError {
    RepositoryError::Package {
        file: path.to_owned(),
        why: why.to_string(),
    }
}

/// Writes a package anew, signed. The new file is on disk when this returns.
pub(super) fn sign(from: &Path, to: &Path, signer: &Signer, now: Timestamp) -> Result<Signed, RepositoryError> {
    let before = read_header(from)?;
    let mut source = BufReader::new(open(from)?);
    let mut lead = [0; LEAD];
    source.read_exact(&mut lead).map_err(|error| bad(from, error))?;
    let old = Entries::read(&mut source).map_err(|error| bad(from, error))?;
    let range = &before.about.header_range;
    let length = usize::try_from(range.end.saturating_sub(range.start)).map_err(|error| bad(from, error))?;
    let mut main = vec![0; length];
    source
        .seek(SeekFrom::Start(range.start))
        .and_then(|_| source.read_exact(&mut main))
        .map_err(|error| bad(from, error))?;
    let signature = signer.sign(&main, now)?;
    let mut file = files::create(to).map_err(RepositoryError::file(to))?;
    let write = || {
        file.write_all(&lead)?;
        file.write_all(&old.with(signature).bytes())?;
        file.write_all(&main)?;
        io::copy(&mut source, &mut file)?;
        file.set_modified(now.into())?;
        file.sync_all()?;
        file.rewind()?;
        sha256_of(&file)
    };
    let (sha256, size) = write().map_err(RepositoryError::file(to))?;
    let header = read_header(to)?;
    // A build is known by this digest, whoever signed it.
    if header.about.header_sha256 != before.about.header_sha256 {
        return Err(bad(from, "signing would change its header"));
    }
    Ok(Signed { header, sha256, size })
}

/// The signature over a package's main header, with that header's bytes.
pub(super) fn signature_of(path: &Path) -> Result<(Vec<u8>, Vec<u8>), RepositoryError> {
    let header = read_header(path)?;
    let mut source = BufReader::new(open(path)?);
    let mut read = || {
        source.seek(SeekFrom::Start(LEAD as u64))?;
        let entries = Entries::read(&mut source)?;
        let range = header.about.header_range.clone();
        let length = usize::try_from(range.end.saturating_sub(range.start)).map_err(io::Error::other)?;
        let mut main = vec![0; length];
        source.seek(SeekFrom::Start(range.start))?;
        source.read_exact(&mut main)?;
        let signature = entries.0.into_iter().find(|entry| entry.tag == DSA_HEADER);
        Ok((signature.map(|entry| entry.data).unwrap_or_default(), main))
    };
    read().map_err(RepositoryError::file(path))
}

/// One entry of a header, with its data.
#[derive(Debug)]
struct Entry {
    tag: u32,
    kind: u32,
    count: u32,
    data: Vec<u8>,
}

/// What a signature header holds, its region aside.
#[derive(Debug)]
struct Entries(Vec<Entry>);

impl Entries {
    /// Reads a signature header, with what fills it up to eight bytes.
    fn read(from: &mut impl io::Read) -> io::Result<Self> {
        let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidData, format!("its signature header {what}"));
        let mut intro = [0; 16];
        from.read_exact(&mut intro)?;
        let (entries, bytes) = (word(&intro, 8), word(&intro, 12));
        if intro[..4] != MAGIC[..4] || entries > MOST_ENTRIES || bytes > MOST_BYTES {
            return Err(wrong("is none, or too large"));
        }
        let mut index = vec![0; entries as usize * 16];
        from.read_exact(&mut index)?;
        let filling = bytes.next_multiple_of(8) - bytes;
        let mut data = Vec::new();
        let length = u64::from(bytes) + u64::from(filling);
        if from.take(length).read_to_end(&mut data)? as u64 != length {
            return Err(wrong("ends too early"));
        }
        data.truncate(bytes as usize);
        let mut found = Vec::new();
        for entry in index.chunks_exact(16) {
            let (tag, kind, offset, count) = (word(entry, 0), word(entry, 4), word(entry, 8), word(entry, 12));
            if matches!(tag, 61..=63) {
                continue;
            }
            let rest = data
                .get(offset as usize..)
                .ok_or_else(|| wrong("points behind its end"))?;
            let length = length_of(kind, count, rest).ok_or_else(|| wrong("holds what cannot be read"))?;
            let data = rest
                .get(..length)
                .ok_or_else(|| wrong("points behind its end"))?
                .to_vec();
            found.push(Entry { tag, kind, count, data });
        }
        Ok(Self(found))
    }

    /// The same with this signature alone.
    fn with(mut self, signature: Vec<u8>) -> Self {
        self.0.retain(|entry| !SIGNATURES.contains(&entry.tag));
        self.0.push(Entry {
            tag: DSA_HEADER,
            kind: BIN,
            count: u32::try_from(signature.len()).expect("a signature has some hundred bytes"),
            data: signature,
        });
        self.0.sort_by_key(|entry| entry.tag);
        self
    }

    /// The header's bytes, filled up to eight.
    fn bytes(&self) -> Vec<u8> {
        let (mut index, mut data) = (Vec::new(), Vec::new());
        for entry in &self.0 {
            let alignment = match entry.kind {
                3 => 2,
                4 => 4,
                5 => 8,
                _ => 1,
            };
            data.resize(data.len().next_multiple_of(alignment), 0);
            push_entry(&mut index, [entry.tag, entry.kind, length(&data), entry.count]);
            data.extend_from_slice(&entry.data);
        }
        let entries = length(&self.0) + 1;
        let mut region = Vec::new();
        push_entry(&mut region, [REGION, BIN, length(&data), 16]);
        // The region's trailer says how far before it the index begins: the negative of the index' size.
        push_entry(&mut data, [REGION, BIN, (entries * 16).wrapping_neg(), 16]);
        let mut all = MAGIC.to_vec();
        all.extend(entries.to_be_bytes());
        all.extend(length(&data).to_be_bytes());
        all.extend(region);
        all.extend(index);
        all.extend(data);
        all.resize(all.len().next_multiple_of(8), 0);
        all
    }
}

fn push_entry(to: &mut Vec<u8>, words: [u32; 4]) {
    to.extend(words.into_iter().flat_map(u32::to_be_bytes));
}

fn length<T>(of: &[T]) -> u32 {
    u32::try_from(of.len()).expect("what was read is bounded far below")
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4]
        .iter()
        .fold(0, |word, byte| (word << 8) | u32::from(*byte))
}

/// How many bytes an entry's data has.
fn length_of(kind: u32, count: u32, data: &[u8]) -> Option<usize> {
    let count = count as usize;
    match kind {
        0 => Some(0),
        1 | 2 | BIN => Some(count),
        3 => count.checked_mul(2),
        4 => count.checked_mul(4),
        5 => count.checked_mul(8),
        6 | 8 | 9 => {
            let mut at = 0;
            for _ in 0..count {
                at += data.get(at..)?.iter().position(|byte| *byte == 0)? + 1;
            }
            Some(at)
        }
        _ => None,
    }
}
