//! The binary form: an index of typed entries, and the store that they point into.
//!
//! Source: rpm's manual, "Package format". As in rpm, entries follow each other in the store without overlapping, so that all
//! of them together are no bigger than it. What is claimed is bounded, and memory is taken for what is there, not for what is claimed.

use crate::hex::hex;
use std::collections::BTreeMap;
use std::io::{Read, Take};
use std::ops::Range;

use sha2::{Digest as _, Sha256};

use super::{BadPackage, TagDigest};

/// The most bytes that are read of a header's store: rpm's own limit is four times this.
pub(super) const MOST_BYTES: u64 = 64 * 1024 * 1024;
/// The most entries of a header's index, as in rpm.
pub(super) const MOST_ENTRIES: u64 = 65_535;
/// The most translations of one text.
const MOST_LOCALES: usize = 1_000;

const INTRO: usize = 16;
const ENTRY: usize = 16;
const MAGIC: [u8; 4] = [0x8e, 0xad, 0xe8, 0x01];

/// One header: tag → typed data.
pub(super) struct Store {
    /// All of its bytes: introduction, index, store.
    bytes: Vec<u8>,
    entries: BTreeMap<u32, Entry>,
}

/// Where the data of a tag is.
#[derive(Clone)]
struct Entry {
    kind: Kind,
    count: usize,
    range: Range<usize>,
}

/// The type of an entry's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Null,
    Char,
    Int8,
    Int16,
    Int32,
    Int64,
    String,
    Bin,
    StringArray,
    I18nString,
}

impl Kind {
    fn of(number: u32) -> Option<Self> {
        Some(match number {
            0 => Self::Null,
            1 => Self::Char,
            2 => Self::Int8,
            3 => Self::Int16,
            4 => Self::Int32,
            5 => Self::Int64,
            6 => Self::String,
            7 => Self::Bin,
            8 => Self::StringArray,
            9 => Self::I18nString,
            _ => return None,
        })
    }

    /// The size of one item; nothing for texts.
    fn width(self) -> Option<usize> {
        match self {
            Self::Null => Some(0),
            Self::Char | Self::Int8 | Self::Bin => Some(1),
            Self::Int16 => Some(2),
            Self::Int32 => Some(4),
            Self::Int64 => Some(8),
            Self::String | Self::StringArray | Self::I18nString => None,
        }
    }
}

/// Reads as many bytes as are claimed, taking memory only for those that come.
pub(super) fn read_exactly(from: &mut impl Read, count: u64, what: &'static str) -> Result<Vec<u8>, BadPackage> {
    let mut bytes = Vec::new();
    let mut limited: Take<_> = from.take(count);
    limited.read_to_end(&mut bytes)?;
    if (bytes.len() as u64) < count {
        return Err(BadPackage::Short(what));
    }
    Ok(bytes)
}

fn be32(bytes: &[u8]) -> u32 {
    bytes.first_chunk::<4>().map_or(0, |four| u32::from_be_bytes(*four))
}

impl Store {
    /// Reads one header.
    pub(super) fn read(from: &mut impl Read, what: &'static str) -> Result<Self, BadPackage> {
        let mut bytes = read_exactly(from, INTRO as u64, what)?;
        if bytes[..4] != MAGIC {
            return Err(BadPackage::Alien("a header does not begin as headers do"));
        }
        let (entries, size) = (u64::from(be32(&bytes[8..])), u64::from(be32(&bytes[12..])));
        let too_big = |claimed, most| BadPackage::TooBig { what, claimed, most };
        if entries > MOST_ENTRIES {
            return Err(too_big(entries, MOST_ENTRIES));
        }
        if size > MOST_BYTES {
            return Err(too_big(size, MOST_BYTES));
        }
        bytes.append(&mut read_exactly(from, entries * ENTRY as u64 + size, what)?);
        Self::parse(bytes)
    }

    /// How many bytes it is long.
    pub(super) fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// The SHA-256 of its bytes, as rpm itself computes it: 64 hexadecimal digits.
    pub(super) fn sha256(&self) -> String {
        hex(&Sha256::digest(&self.bytes))
    }

    fn parse(bytes: Vec<u8>) -> Result<Self, BadPackage> {
        let wrong = |why: String| BadPackage::Wrong { what: "the index", why };
        let count = be32(&bytes[8..]) as usize;
        let store = INTRO + count * ENTRY;
        let mut entries = BTreeMap::new();
        // Where the data of the entry before ends.
        let mut end = store;
        for at in 0..count {
            let entry = &bytes[INTRO + at * ENTRY..][..ENTRY];
            let (tag, kind) = (be32(entry), be32(&entry[4..]));
            let (offset, items) = (be32(&entry[8..]), be32(&entry[12..]) as usize);
            let kind = Kind::of(kind).ok_or_else(|| wrong(format!("tag {tag} is of the unknown type {kind}")))?;
            // A region's entry stands first and points at its trailer, behind all the data; what it frames is read as it is.
            if at == 0 && (61..=63).contains(&tag) {
                continue;
            }
            let start = store
                .checked_add(offset as usize)
                .filter(|start| (end..=bytes.len()).contains(start))
                .ok_or_else(|| wrong(format!("the data of tag {tag} is outside, or in that of another")))?;
            let length = length(&bytes[start..], kind, items)
                .ok_or_else(|| wrong(format!("the data of tag {tag} goes beyond the end")))?;
            end = start + length;
            let entry = Entry {
                kind,
                count: items,
                range: start..end,
            };
            if entries.insert(tag, entry).is_some() {
                return Err(wrong(format!("tag {tag} is there twice")));
            }
        }
        Ok(Self { bytes, entries })
    }

    /// The digests of all tags.
    pub(super) fn digests(&self) -> BTreeMap<u32, TagDigest> {
        self.entries
            .iter()
            .map(|(tag, entry)| {
                let mut hash = Sha256::new();
                hash.update([entry.kind as u8]);
                hash.update(&self.bytes[entry.range.clone()]);
                let digest = hash.finalize();
                (*tag, TagDigest(*digest.first_chunk().expect("32 bytes begin with 16")))
            })
            .collect()
    }

    /// Whether a tag is there.
    pub(super) fn has(&self, tag: u32) -> bool {
        self.entries.contains_key(&tag)
    }

    /// The entry of a tag, unless it has more items than may be.
    fn entry(&self, tag: u32, what: &'static str, most: usize) -> Result<Option<&Entry>, BadPackage> {
        match self.entries.get(&tag) {
            Some(entry) if entry.count > most => Err(BadPackage::TooBig {
                what,
                claimed: entry.count as u64,
                most: most as u64,
            }),
            found => Ok(found),
        }
    }

    /// A tag's texts; none where the tag is not there.
    pub(super) fn texts(&self, tag: u32, what: &'static str, most: usize) -> Result<Vec<String>, BadPackage> {
        let Some(entry) = self.entry(tag, what, most)? else {
            return Ok(Vec::new());
        };
        match entry.kind {
            Kind::String | Kind::StringArray | Kind::I18nString => {
                let data = &self.bytes[entry.range.clone()];
                // Each one ends with a zero, and so does the last.
                let mut texts: Vec<String> = data.split(|b| *b == 0).map(text).collect();
                texts.truncate(entry.count);
                Ok(texts)
            }
            Kind::Null | Kind::Char | Kind::Int8 | Kind::Int16 | Kind::Int32 | Kind::Int64 | Kind::Bin => {
                Err(BadPackage::Wrong {
                    what,
                    why: format!("it is no text (tag {tag})"),
                })
            }
        }
    }

    /// A tag's first text.
    pub(super) fn text(&self, tag: u32, what: &'static str) -> Result<Option<String>, BadPackage> {
        Ok(self.texts(tag, what, MOST_LOCALES)?.into_iter().next())
    }

    /// A tag's numbers; none where the tag is not there.
    pub(super) fn numbers(&self, tag: u32, what: &'static str, most: usize) -> Result<Vec<u64>, BadPackage> {
        let Some(entry) = self.entry(tag, what, most)? else {
            return Ok(Vec::new());
        };
        let data = &self.bytes[entry.range.clone()];
        let width = match entry.kind {
            Kind::Char | Kind::Int8 => 1,
            Kind::Int16 => 2,
            Kind::Int32 => 4,
            Kind::Int64 => 8,
            Kind::Null | Kind::String | Kind::Bin | Kind::StringArray | Kind::I18nString => {
                return Err(BadPackage::Wrong {
                    what,
                    why: format!("it is no number (tag {tag})"),
                });
            }
        };
        Ok(data
            .chunks_exact(width)
            .map(|item| item.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
            .collect())
    }

    /// A tag's first number.
    pub(super) fn number(&self, tag: u32, what: &'static str) -> Result<Option<u64>, BadPackage> {
        Ok(self.numbers(tag, what, 1)?.into_iter().next())
    }
}

/// How many bytes so many items take, if they are all there.
fn length(data: &[u8], kind: Kind, items: usize) -> Option<usize> {
    if let Some(width) = kind.width() {
        return items.checked_mul(width).filter(|length| *length <= data.len());
    }
    let items = if kind == Kind::String { 1 } else { items };
    let mut length = 0;
    for _ in 0..items {
        length += data[length..].iter().position(|b| *b == 0)? + 1;
    }
    Some(length)
}

/// A text; what is no UTF-8 was written before there was any, and is read as Latin-1.
fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().copied().map(char::from).collect(),
    }
}
