//! Opens one metadata file: its size and digest as `repomd.xml` has them, decompressed on the way.
//!
//! What the file is compressed with is seen in its first bytes, not in its name.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use sha2::{Digest as _, Sha224, Sha256, Sha384, Sha512};

use super::repomd::{Checksum, Data};
use super::{Limits, ReadError};
use windlass_core::hex::hex;

/// How much memory xz may take to decompress: its largest preset takes 65 MiB.
const XZ_MEMORY: u64 = 256 << 20;
/// zstd's largest window, as a power of two: what it takes by itself.
const ZSTD_WINDOW: u32 = 27;
const BUFFER: usize = 128 << 10;

/// A metadata file, read from its beginning.
pub(super) struct Opened {
    text: BufReader<Capped>,
}

impl Opened {
    /// Opens it.
    pub(super) fn new(path: &Path, data: &Data, limits: &Limits) -> Result<Self, ReadError> {
        // A pipe in the place of the file does not stop us.
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed())
            .open(path)
            .map_err(ReadError::file(path))?;
        let meta = file.metadata().map_err(ReadError::file(path))?;
        if !meta.is_file() {
            return Err(ReadError::wrong(path, "it is no file"));
        }
        if meta.len() > limits.file {
            return Err(ReadError::wrong(
                path,
                format!("it has {} bytes, and at most {} are read", meta.len(), limits.file),
            ));
        }
        if let Some(size) = data.size
            && size != meta.len()
        {
            return Err(mismatch(
                path,
                &format!("it has {} bytes, and {size} in repomd.xml", meta.len()),
            ));
        }
        let mut raw = BufReader::with_capacity(
            BUFFER,
            Hashed {
                file: file.take(limits.file),
                digest: Hasher::new(data.checksum.kind),
            },
        );
        let start = raw.fill_buf().map_err(ReadError::file(path))?;
        let decoder = match Codec::of(start) {
            Ok(codec) => codec.decoder(raw).map_err(ReadError::file(path))?,
            Err(what) => return Err(ReadError::wrong(path, what)),
        };
        let left = data.open_size.unwrap_or(limits.opened).min(limits.opened);
        Ok(Self {
            text: BufReader::with_capacity(BUFFER, Capped { decoder, left }),
        })
    }

    /// Reads what is left of the file, and checks all of it.
    pub(super) fn finish(self, path: &Path, data: &Data) -> Result<(), ReadError> {
        let mut raw = self.text.into_inner().decoder.into_raw();
        io::copy(&mut raw, &mut io::sink()).map_err(ReadError::file(path))?;
        let found = raw.into_inner().digest.finish();
        if found == data.checksum.value {
            return Ok(());
        }
        Err(mismatch(
            path,
            &format!(
                "its {} is {found}, and {} in repomd.xml",
                data.checksum.kind.as_str(),
                data.checksum.value
            ),
        ))
    }
}

fn mismatch(path: &Path, what: &str) -> ReadError {
    ReadError::wrong(
        path,
        format!(
            "{what}\n\nhint: it is damaged, or was replaced while it was read; make the metadata anew, or try again"
        ),
    )
}

impl Read for Opened {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.text.read(buffer)
    }
}

impl BufRead for Opened {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.text.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.text.consume(amount);
    }
}

/// A decompressor that gives no more than it may.
struct Capped {
    decoder: Decoder,
    left: u64,
}

impl Read for Capped {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if most == 0 && !buffer.is_empty() {
            // It may end exactly here.
            return match self.decoder.read(&mut [0])? {
                0 => Ok(0),
                _ => Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "decompressed it is larger than repomd.xml says, or than is read",
                )),
            };
        }
        let read = self.decoder.read(&mut buffer[..most])?;
        self.left -= read as u64;
        Ok(read)
    }
}

/// Hashes what goes through it.
struct Hashed {
    file: io::Take<File>,
    digest: Hasher,
}

impl Read for Hashed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.digest.update(&buffer[..read]);
        Ok(read)
    }
}

/// A digest in the making.
enum Hasher {
    Sha224(Sha224),
    Sha256(Sha256),
    Sha384(Sha384),
    Sha512(Sha512),
}

impl Hasher {
    fn new(kind: Checksum) -> Self {
        match kind {
            Checksum::Sha224 => Self::Sha224(Sha224::new()),
            Checksum::Sha256 => Self::Sha256(Sha256::new()),
            Checksum::Sha384 => Self::Sha384(Sha384::new()),
            Checksum::Sha512 => Self::Sha512(Sha512::new()),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha224(digest) => digest.update(bytes),
            Self::Sha256(digest) => digest.update(bytes),
            Self::Sha384(digest) => digest.update(bytes),
            Self::Sha512(digest) => digest.update(bytes),
        }
    }

    fn finish(self) -> String {
        match self {
            Self::Sha224(digest) => hex(&digest.finalize()),
            Self::Sha256(digest) => hex(&digest.finalize()),
            Self::Sha384(digest) => hex(&digest.finalize()),
            Self::Sha512(digest) => hex(&digest.finalize()),
        }
    }
}

type Raw = BufReader<Hashed>;

/// What a file is compressed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Codec {
    Plain,
    Gzip,
    Zstd,
    Xz,
    Bzip2,
}

impl Codec {
    fn of(start: &[u8]) -> Result<Self, &'static str> {
        match start {
            [0x1f, 0x8b, ..] => Ok(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Ok(Self::Zstd),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Ok(Self::Xz),
            [b'B', b'Z', b'h', ..] => Ok(Self::Bzip2),
            [0, b'Z', b'C', b'K', b'1', ..] => Err(
                "it is compressed with zchunk, which is not read\n\nhint: createrepo_c --zck makes it beside another form",
            ),
            _ => Ok(Self::Plain),
        }
    }

    fn decoder(self, raw: Raw) -> io::Result<Decoder> {
        Ok(match self {
            Self::Plain => Decoder::Plain(raw),
            Self::Gzip => Decoder::Gzip(flate2::bufread::MultiGzDecoder::new(raw)),
            Self::Zstd => {
                let mut decoder = zstd::Decoder::with_buffer(raw)?;
                decoder.window_log_max(ZSTD_WINDOW)?;
                Decoder::Zstd(decoder)
            }
            Self::Xz => {
                let stream = liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, liblzma::stream::CONCATENATED)
                    .map_err(io::Error::other)?;
                Decoder::Xz(liblzma::bufread::XzDecoder::new_stream(raw, stream))
            }
            Self::Bzip2 => Decoder::Bzip2(bzip2::bufread::MultiBzDecoder::new(raw)),
        })
    }
}

/// Decompresses a row of frames, members or streams as one.
enum Decoder {
    Plain(Raw),
    Gzip(flate2::bufread::MultiGzDecoder<Raw>),
    Zstd(zstd::Decoder<'static, Raw>),
    Xz(liblzma::bufread::XzDecoder<Raw>),
    Bzip2(bzip2::bufread::MultiBzDecoder<Raw>),
}

impl Decoder {
    fn into_raw(self) -> Raw {
        match self {
            Self::Plain(raw) => raw,
            Self::Gzip(decoder) => decoder.into_inner(),
            Self::Zstd(decoder) => decoder.finish(),
            Self::Xz(decoder) => decoder.into_inner(),
            Self::Bzip2(decoder) => decoder.into_inner(),
        }
    }
}

impl Read for Decoder {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(raw) => raw.read(buffer),
            Self::Gzip(decoder) => decoder.read(buffer),
            Self::Zstd(decoder) => decoder.read(buffer),
            Self::Xz(decoder) => decoder.read(buffer),
            Self::Bzip2(decoder) => decoder.read(buffer),
        }
    }
}
