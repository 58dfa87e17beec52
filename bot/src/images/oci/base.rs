//! Reads the layers of a base: into an index of its files once, and the contents that are wanted later.
//!
//! A layer is not trusted: its digest and the digest of what it holds are computed while it is read, names stay below the root, and there
//! are limits on how many entries and bytes there may be.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use tar::EntryType;
use windlass_core::escape::escaped_bytes;
use windlass_core::hex::hex;
use windlass_core::image::Digest;

use super::error::OciError;
use super::spec::Descriptor;
use super::tree::{Content, Device, InLayer, Kind, Name, Node, Owner, Span, Tree, base, joined, parent, parts};

/// How many entries a layer may have.
const MOST_ENTRIES: usize = 4_000_000;

/// How many bytes a layer may have, uncompressed: 256 GiB.
const MOST_BYTES: u64 = 256 << 30;

/// The longest name.
const LONGEST: usize = 4096;

/// What stands before the name of something that a layer takes away.
const WHITEOUT: &[u8] = b".wh.";

/// Takes away all that lower layers have in a directory.
const OPAQUE: &[u8] = b".wh..wh..opq";

/// A layer of a base.
#[derive(Debug, Clone)]
pub(super) struct BaseLayer {
    /// How the manifest names it.
    pub(super) descriptor: Descriptor,
    /// The digest of the archive in it.
    pub(super) diff_id: Digest,
    /// Where it is.
    pub(super) path: PathBuf,
}

impl BaseLayer {
    fn bad(&self, why: impl std::fmt::Display) -> OciError {
        OciError::layout(&self.path, format!("the layer cannot be read: {why}"))
    }

    /// Opens it, decompressed; the hasher sees the bytes as they are on disk.
    fn open(&self) -> Result<Decoder, OciError> {
        let file = File::open(&self.path).map_err(OciError::file(&self.path))?;
        let mut raw = BufReader::with_capacity(256 << 10, Hashing::new(file));
        let magic = io::BufRead::fill_buf(&mut raw).map_err(OciError::file(&self.path))?;
        // What it says it is, is not believed: engines write other names than the specification.
        Ok(match magic {
            [0x1f, 0x8b, ..] => Decoder::Gzip(Box::new(flate2::bufread::MultiGzDecoder::new(raw))),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => {
                Decoder::Zstd(zstd::Decoder::with_buffer(raw).map_err(OciError::file(&self.path))?)
            }
            _ => Decoder::Plain(raw),
        })
    }

    /// Lays it over a tree, and checks that it is what its digests say.
    pub(super) fn lay_over(&self, tree: &mut Tree) -> Result<(), OciError> {
        let mut inner = Hashing::new(self.open()?);
        let mut found = Found::default();
        {
            let mut archive = tar::Archive::new((&mut inner).take(MOST_BYTES));
            let layer: Arc<str> = self.descriptor.digest.as_str().into();
            for (at, entry) in archive.entries().map_err(|error| self.bad(error))?.enumerate() {
                if at >= MOST_ENTRIES {
                    return Err(self.bad(format!("it holds more than {MOST_ENTRIES} entries")));
                }
                let mut entry = entry.map_err(|error| self.bad(error))?;
                found.take(&mut entry, &layer, tree).map_err(|why| self.bad(why))?;
            }
        }
        let diff_id = inner.drained(MOST_BYTES).map_err(|error| self.bad(error))?;
        let digest = inner.from.drained().map_err(|error| self.bad(error))?;
        for (what, want, is) in [
            ("the layer's digest", self.descriptor.digest.digits(), &digest),
            ("the digest of what is in it", self.diff_id.digits(), &diff_id),
        ] {
            if want != is {
                return Err(self.bad(format!("{what} is sha256:{is}, and not sha256:{want}")));
            }
        }
        found.over(tree);
        Ok(())
    }

    /// Copies parts of the archive in it one after the other; says where each begins.
    pub(super) fn copy(
        &self,
        wanted: &BTreeSet<Span>,
        out: &mut impl Write,
        from: u64,
    ) -> Result<Vec<(Span, Span)>, OciError> {
        let mut layer = self.open()?;
        let mut at = 0;
        let mut written = from;
        let mut copied = Vec::with_capacity(wanted.len());
        for span in wanted {
            // Hard links share a content: sorted by where it begins, one never overlaps another.
            let skip = span
                .at
                .checked_sub(at)
                .ok_or_else(|| self.bad("contents overlap in it"))?;
            let skipped = io::copy(&mut (&mut layer).take(skip), &mut io::sink()).map_err(|error| self.bad(error))?;
            let copied_bytes = io::copy(&mut (&mut layer).take(span.size), out).map_err(|error| self.bad(error))?;
            if skipped != skip || copied_bytes != span.size {
                return Err(self.bad("it is shorter than it was"));
            }
            copied.push((
                *span,
                Span {
                    at: written,
                    size: span.size,
                },
            ));
            at = span.at + span.size;
            written += span.size;
        }
        Ok(copied)
    }
}

/// What a layer holds.
#[derive(Debug, Default)]
struct Found {
    nodes: BTreeMap<Name, Node>,
    gone: BTreeSet<Name>,
    emptied: BTreeSet<Name>,
}

impl Found {
    fn take<R: Read>(&mut self, entry: &mut tar::Entry<'_, R>, layer: &Arc<str>, below: &Tree) -> Result<(), String> {
        let header = entry.header();
        let entry_type = header.entry_type();
        if matches!(entry_type, EntryType::XGlobalHeader) {
            return Ok(());
        }
        let path = entry.path_bytes().into_owned();
        let shown = || escaped_bytes(&path);
        if path.len() > LONGEST {
            return Err(format!("a name in it has more than {LONGEST} bytes"));
        }
        let name = below_root(&path).ok_or_else(|| format!("'{}' leads out of it", shown()))?;
        let odd = |error: io::Error| format!("'{}': {error}", escaped_bytes(&path));
        if let Some(hidden) = base(&name).strip_prefix(WHITEOUT) {
            let directory = parent(&name).unwrap_or_default();
            if base(&name) == OPAQUE {
                self.emptied.insert(directory.to_vec());
            } else if !hidden.is_empty() && !hidden.starts_with(WHITEOUT) {
                self.gone.insert(joined(directory, hidden));
            }
            return Ok(());
        }
        let number = |number: u64| u32::try_from(number).map_err(|_| format!("'{}' has no owner that can be", shown()));
        let owner = Owner {
            user: number(header.uid().map_err(odd)?)?,
            group: number(header.gid().map_err(odd)?)?,
        };
        let mode = header.mode().map_err(odd)? & 0o7777;
        let device = |of_characters| -> Result<Kind, String> {
            Ok(Kind::Device(Device {
                of_characters,
                major: header.device_major().map_err(odd)?.unwrap_or(0),
                minor: header.device_minor().map_err(odd)?.unwrap_or(0),
            }))
        };
        // Types as POSIX numbers them; 0 is an old file's.
        let kind = match entry_type.as_byte() {
            b'5' => Kind::Directory,
            0 | b'0' | b'7' => Kind::File(Content::Layer(InLayer {
                layer: Arc::clone(layer),
                span: Span {
                    at: entry.raw_file_position(),
                    size: entry.size(),
                },
            })),
            b'2' => Kind::Link(link(entry, &path)?),
            b'1' => {
                let target = link(entry, &path)?;
                let same = below_root(&target)
                    .and_then(|target| self.nodes.get(&target).or_else(|| below.look(&target)))
                    .filter(|node| !node.is_directory())
                    .ok_or_else(|| format!("'{}' is a hard link to nothing", shown()))?
                    .clone();
                self.nodes.insert(name, same);
                return Ok(());
            }
            b'6' => Kind::Pipe,
            b'3' => device(true)?,
            b'4' => device(false)?,
            _ => return Err(format!("'{}' is of a kind that no layer has", shown())),
        };
        if !name.is_empty() || matches!(kind, Kind::Directory) {
            self.nodes.insert(name, Node { kind, mode, owner });
        }
        Ok(())
    }

    /// Lays what was found over a tree: first all that goes, which is of lower layers only, then what comes.
    fn over(self, tree: &mut Tree) {
        for name in &self.emptied {
            tree.remove_below(name);
        }
        for name in &self.gone {
            tree.remove(name);
        }
        for (name, node) in self.nodes {
            make_parents(tree, &name);
            tree.put(name, node);
        }
    }
}

fn link<R: Read>(entry: &tar::Entry<'_, R>, path: &[u8]) -> Result<Vec<u8>, String> {
    match entry.link_name_bytes() {
        Some(target) if target.len() <= LONGEST => Ok(target.into_owned()),
        Some(_) | None => Err(format!("'{}' is a link that leads nowhere", escaped_bytes(path))),
    }
}

/// A name as an archive has it, if it stays below the root.
pub(super) fn below_root(path: &[u8]) -> Option<Name> {
    let mut name = Vec::with_capacity(path.len());
    for part in parts(path) {
        if part == b".." || part.contains(&0) {
            return None;
        }
        super::tree::push(&mut name, part);
    }
    Some(name)
}

/// Makes the directories above a name that an archive leaves out.
fn make_parents(tree: &mut Tree, name: &[u8]) {
    let Some(above) = parent(name) else { return };
    if !tree.is_directory(above) {
        make_parents(tree, above);
        tree.put(above.to_vec(), Node::directory());
    }
}

/// A layer, decompressed.
enum Decoder {
    Plain(BufReader<Hashing<File>>),
    Gzip(Box<flate2::bufread::MultiGzDecoder<BufReader<Hashing<File>>>>),
    Zstd(zstd::Decoder<'static, BufReader<Hashing<File>>>),
}

impl Decoder {
    /// Reads what stands behind the last byte of content, and gives the digest of all.
    fn drained(&mut self) -> io::Result<String> {
        let raw = match self {
            Self::Plain(raw) => raw,
            Self::Gzip(gzip) => gzip.get_mut(),
            Self::Zstd(zstd) => zstd.get_mut(),
        };
        io::copy(raw, &mut io::sink())?;
        raw.get_mut().drained(u64::MAX)
    }
}

impl Read for Decoder {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(raw) => raw.read(buffer),
            Self::Gzip(gzip) => gzip.read(buffer),
            Self::Zstd(zstd) => zstd.read(buffer),
        }
    }
}

/// Computes the digest of what is read through it.
struct Hashing<R> {
    from: R,
    digest: Sha256,
}

impl<R: Read> Hashing<R> {
    fn new(from: R) -> Self {
        Self {
            from,
            digest: Sha256::new(),
        }
    }

    /// Reads what is left, and gives the digest of all.
    fn drained(&mut self, most: u64) -> io::Result<String> {
        if io::copy(&mut Read::take(&mut *self, most), &mut io::sink())? == most {
            return Err(io::Error::other("it is larger than anything that is taken"));
        }
        Ok(hex(&self.digest.clone().finalize()))
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        self.digest.update(&buffer[..read]);
        Ok(read)
    }
}
