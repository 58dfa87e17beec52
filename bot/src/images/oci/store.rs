//! Where contents come from while an image is built: files of the context, parts of a base's layers, and a temporary file for what was
//! unpacked or fetched. Nothing here is ever in memory whole.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom, Write};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::OFlags;

use super::base::BaseLayer;
use super::error::OciError;
use super::tree::{Content, HostFile, InLayer, Span};

/// How much is read at once.
const BUFFER: usize = 128 << 10;

/// Where contents come from.
#[derive(Debug)]
pub(super) struct Store {
    spool: File,
    spooled: u64,
    layers: BTreeMap<Arc<str>, BaseLayer>,
    fetched: HashMap<(Arc<str>, Span), Span>,
    lost: RefCell<BTreeSet<String>>,
}

impl Store {
    /// A store with a temporary file in a directory, which has no name there.
    pub(super) fn new(directory: &Path) -> Result<Self, OciError> {
        Ok(Self {
            spool: tempfile::tempfile_in(directory).map_err(OciError::file(directory))?,
            spooled: 0,
            layers: BTreeMap::new(),
            fetched: HashMap::new(),
            lost: RefCell::new(BTreeSet::new()),
        })
    }

    /// Makes a base's layer known.
    pub(super) fn know(&mut self, layer: &BaseLayer) {
        self.layers
            .insert(layer.descriptor.digest.as_str().into(), layer.clone());
    }

    /// Fetches parts of layers, each layer in one go, so that they can be read in any order.
    pub(super) fn fetch<'a>(&mut self, wanted: impl Iterator<Item = &'a InLayer>) -> Result<(), OciError> {
        let mut of_layers: BTreeMap<Arc<str>, BTreeSet<Span>> = BTreeMap::new();
        for part in wanted {
            if part.span.size > 0 && !self.fetched.contains_key(&(Arc::clone(&part.layer), part.span)) {
                of_layers.entry(Arc::clone(&part.layer)).or_default().insert(part.span);
            }
        }
        for (name, spans) in of_layers {
            let Some(layer) = self.layers.get(&name).cloned() else {
                return Err(OciError::Asked(format!("no base has a layer {name}")));
            };
            let path = &layer.path;
            self.spool
                .seek(SeekFrom::Start(self.spooled))
                .map_err(OciError::file(path))?;
            let copied = layer.copy(&spans, &mut self.spool, self.spooled)?;
            for (from, to) in copied {
                self.spooled += to.size;
                self.fetched.insert((Arc::clone(&name), from), to);
            }
        }
        Ok(())
    }

    /// Keeps what a reader gives, `size` bytes.
    pub(super) fn keep(&mut self, from: &mut impl Read, size: u64) -> io::Result<Content> {
        self.spool.seek(SeekFrom::Start(self.spooled))?;
        if io::copy(&mut from.take(size), &mut self.spool)? != size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let span = Span { at: self.spooled, size };
        self.spooled += size;
        Ok(Content::Spool(span))
    }

    /// Opens a file of the context, as it was when the context was gathered: no link has taken its place.
    pub(super) fn open(file: &HostFile) -> io::Result<File> {
        // Not to be kept waiting by a pipe.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        let opened = File::options()
            .read(true)
            .custom_flags(flags.bits().cast_signed())
            .open(file.path.as_path())?;
        let found = opened.metadata()?;
        if !found.is_file() || found.len() != file.size {
            return Err(io::Error::other("it was changed while the image was built"));
        }
        Ok(opened)
    }

    /// Copies a content. What lies in layers was fetched before.
    pub(super) fn copy(&self, content: &Content, out: &mut dyn Write) -> io::Result<()> {
        match content {
            Content::Bytes(bytes) => out.write_all(bytes),
            Content::Host(file) => {
                let within =
                    |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", file.path.display()));
                let mut opened = Self::open(file).map_err(within)?;
                self.note_attributes(&opened, file);
                let mut buffer = vec![0; buffer_for(file.size)];
                loop {
                    match opened.read(&mut buffer) {
                        Ok(0) => return Ok(()),
                        Ok(read) => out.write_all(&buffer[..read])?,
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        Err(error) => return Err(within(error)),
                    }
                }
            }
            Content::Spool(span) => self.copy_spooled(*span, out),
            Content::Layer(part) if part.span.size == 0 => Ok(()),
            Content::Layer(part) => match self.fetched.get(&(Arc::clone(&part.layer), part.span)) {
                Some(span) => self.copy_spooled(*span, out),
                None => Err(io::Error::other("a part of a layer was not fetched")),
            },
        }
    }

    fn copy_spooled(&self, span: Span, out: &mut dyn Write) -> io::Result<()> {
        let mut buffer = vec![0; buffer_for(span.size)];
        let (mut at, end) = (span.at, span.at + span.size);
        while at < end {
            let most = buffer.len().min(usize::try_from(end - at).unwrap_or(usize::MAX));
            self.spool.read_exact_at(&mut buffer[..most], at)?;
            out.write_all(&buffer[..most])?;
            at += most as u64;
        }
        Ok(())
    }

    /// The bytes of a small content; `None` where it is larger than `most`.
    pub(super) fn read(&mut self, content: &Content, most: u64) -> Result<Option<Vec<u8>>, OciError> {
        if content.size() > most {
            return Ok(None);
        }
        if let Content::Layer(part) = content {
            self.fetch(std::iter::once(part))?;
        }
        let mut bytes = Vec::new();
        self.copy(content, &mut bytes).map_err(|error| OciError::File {
            path: "a file that the build needs".into(),
            error,
        })?;
        Ok(Some(bytes))
    }

    /// Remembers whose extended attributes matter and are not taken over.
    fn note_attributes(&self, opened: &File, file: &HostFile) {
        let mut none: [u8; 0] = [];
        if rustix::fs::fgetxattr(opened, "security.capability", &mut none).is_ok_and(|size| size > 0) {
            self.lost.borrow_mut().insert(file.path.display().to_string());
        }
    }

    /// Files of the context whose capabilities the image does not have.
    pub(super) fn lost_attributes(&self) -> Vec<String> {
        self.lost.borrow().iter().cloned().collect()
    }
}

fn buffer_for(size: u64) -> usize {
    // One byte more, so that a small file's end is seen at the second read.
    usize::try_from(size).unwrap_or(BUFFER).saturating_add(1).min(BUFFER)
}
