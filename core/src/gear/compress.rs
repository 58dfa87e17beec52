//! Compresses in this process: at fixed levels, in one thread, with the tagger's date where a format has one.

use std::io::{self, Write};

use bzip2::write::BzEncoder;
use flate2::GzBuilder;
use flate2::write::GzEncoder;
use liblzma::stream::{Check, LzmaOptions, Stream};
use liblzma::write::XzEncoder;

/// A compressed format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// `.gz`
    Gzip,
    /// `.bz2`
    Bzip2,
    /// `.lzma`
    Lzma,
    /// `.xz`
    Xz,
    /// `.zst`
    Zstd,
}

impl Codec {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Gzip, Self::Bzip2, Self::Lzma, Self::Xz, Self::Zstd];

    /// The name of the program, which is the directive's.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Bzip2 => "bzip2",
            Self::Lzma => "lzma",
            Self::Xz => "xz",
            Self::Zstd => "zstd",
        }
    }

    /// What a file's name gets, with the dot.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Gzip => ".gz",
            Self::Bzip2 => ".bz2",
            Self::Lzma => ".lzma",
            Self::Xz => ".xz",
            Self::Zstd => ".zst",
        }
    }

    /// How it compresses when nothing is said: the levels of the programs, xz's for lzma.
    pub fn usual(self) -> Compression {
        let level = match self {
            Self::Gzip | Self::Lzma | Self::Xz => 6,
            Self::Bzip2 => 9,
            Self::Zstd => 3,
        };
        Compression {
            codec: self,
            level,
            extreme: false,
        }
    }
}

/// How something is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Compression {
    /// The format.
    pub codec: Codec,
    /// How hard it tries, on the program's own scale.
    pub level: u32,
    /// `--extreme` of xz and lzma.
    pub extreme: bool,
}

impl Compression {
    /// Takes one option of the program, as in `-9`.
    ///
    /// # Errors
    /// What is allowed instead.
    pub fn option(&mut self, word: &str) -> Result<(), String> {
        let codec = self.codec;
        let range = match codec {
            Codec::Gzip | Codec::Bzip2 => 1..=9,
            Codec::Lzma | Codec::Xz => 0..=9,
            Codec::Zstd => 1..=19,
        };
        match (codec, word) {
            (Codec::Gzip | Codec::Bzip2, "--fast") => self.level = 1,
            (Codec::Lzma | Codec::Xz, "--fast") => self.level = 0,
            (Codec::Gzip | Codec::Bzip2 | Codec::Lzma | Codec::Xz, "--best") => self.level = 9,
            (Codec::Lzma | Codec::Xz, "-e" | "--extreme") => self.extreme = true,
            // That is how it is always done.
            (Codec::Gzip, "-n" | "--no-name") => {}
            _ => {
                let digits = word.strip_prefix('-').unwrap_or_default();
                let (digits, extreme) = match (codec, digits.strip_suffix('e')) {
                    (Codec::Lzma | Codec::Xz, Some(digits)) => (digits, true),
                    _ => (digits, false),
                };
                let level = digits
                    .bytes()
                    .all(|byte| byte.is_ascii_digit())
                    .then(|| digits.parse().ok())
                    .flatten();
                let Some(level) = level.filter(|level| range.contains(level)) else {
                    let others = match codec {
                        Codec::Gzip => ", --fast, --best, -n",
                        Codec::Bzip2 => ", --fast, --best",
                        Codec::Lzma | Codec::Xz => ", --fast, --best, -e",
                        Codec::Zstd => "",
                    };
                    return Err(format!(
                        "{} takes -{} to -{}{others}",
                        codec.as_str(),
                        range.start(),
                        range.end()
                    ));
                };
                self.level = level;
                self.extreme |= extreme;
            }
        }
        Ok(())
    }

    /// A writer that compresses into another one.
    ///
    /// # Errors
    /// When the level needs more memory than there is.
    pub fn writer<W: Write>(self, out: W, mtime: u64) -> io::Result<Encoder<W>> {
        Ok(Encoder {
            coder: self.coder(out, mtime)?,
            block: Vec::with_capacity(BLOCK),
        })
    }

    fn coder<W: Write>(self, out: W, mtime: u64) -> io::Result<Coder<W>> {
        let preset = self.level | if self.extreme { 1 << 31 } else { 0 };
        Ok(match self.codec {
            Codec::Gzip => {
                let mtime = u32::try_from(mtime).unwrap_or(u32::MAX);
                // 3: Unix. The library would tell the machine's own.
                let header = GzBuilder::new().mtime(mtime).operating_system(3);
                Coder::Gzip(header.write(out, flate2::Compression::new(self.level)))
            }
            Codec::Bzip2 => Coder::Bzip2(BzEncoder::new(out, bzip2::Compression::new(self.level))),
            Codec::Xz => Coder::Lzma(XzEncoder::new_stream(
                out,
                Stream::new_easy_encoder(preset, Check::Crc64)?,
            )),
            Codec::Lzma => {
                let options = LzmaOptions::new_preset(preset)?;
                Coder::Lzma(XzEncoder::new_stream(out, Stream::new_lzma_encoder(&options)?))
            }
            Codec::Zstd => {
                let level = i32::try_from(self.level).map_err(io::Error::other)?;
                let mut encoder = zstd::stream::write::Encoder::new(out, level)?;
                encoder.include_checksum(true)?;
                Coder::Zstd(encoder)
            }
        })
    }
}

/// How much a coder gets at once. What zlib makes depends on where its input is cut.
const BLOCK: usize = 64 << 10;

/// A writer that compresses into another one; it must be finished. The same bytes give the same bytes, however they come.
#[expect(missing_debug_implementations, reason = "zstd's encoder has none")]
pub struct Encoder<W: Write> {
    coder: Coder<W>,
    /// What the coder did not get yet: less than a block.
    block: Vec<u8>,
}

enum Coder<W: Write> {
    Gzip(GzEncoder<W>),
    Bzip2(BzEncoder<W>),
    /// xz, and lzma alone.
    Lzma(XzEncoder<W>),
    Zstd(zstd::stream::write::Encoder<'static, W>),
}

impl<W: Write> Encoder<W> {
    fn pass_on(&mut self) -> io::Result<()> {
        match &mut self.coder {
            Coder::Gzip(coder) => coder.write_all(&self.block)?,
            Coder::Bzip2(coder) => coder.write_all(&self.block)?,
            Coder::Lzma(coder) => coder.write_all(&self.block)?,
            Coder::Zstd(coder) => coder.write_all(&self.block)?,
        }
        self.block.clear();
        Ok(())
    }

    /// Writes the end; gives the writer back.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(mut self) -> io::Result<W> {
        self.pass_on()?;
        match self.coder {
            Coder::Gzip(coder) => coder.finish(),
            Coder::Bzip2(coder) => coder.finish(),
            Coder::Lzma(coder) => coder.finish(),
            Coder::Zstd(coder) => coder.finish(),
        }
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(BLOCK - self.block.len());
        self.block.extend_from_slice(&bytes[..taken]);
        if self.block.len() == BLOCK {
            self.pass_on()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        // A flush would end a block: how often somebody flushes must not change a byte.
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(Codec::Gzip, &["-9"], Some((9, false)))]
    #[case(Codec::Gzip, &["-n", "--best", "-1"], Some((1, false)))]
    #[case(Codec::Gzip, &["-0"], None)]
    #[case(Codec::Gzip, &["--rsyncable"], None)]
    #[case(Codec::Gzip, &["-e"], None)]
    #[case(Codec::Bzip2, &["--fast"], Some((1, false)))]
    #[case(Codec::Xz, &["-6e"], Some((6, true)))]
    #[case(Codec::Xz, &["-0", "-e"], Some((0, true)))]
    #[case(Codec::Xz, &["-T0"], None)]
    #[case(Codec::Xz, &["-10"], None)]
    #[case(Codec::Lzma, &["--best"], Some((9, false)))]
    #[case(Codec::Zstd, &["-19"], Some((19, false)))]
    #[case(Codec::Zstd, &["-20"], None)]
    #[case(Codec::Zstd, &["-"], None)]
    #[case(Codec::Zstd, &["-+3"], None)]
    fn options(#[case] codec: Codec, #[case] words: &[&str], #[case] expected: Option<(u32, bool)>) {
        let mut compression = codec.usual();
        let taken = words.iter().try_for_each(|word| compression.option(word));
        assert_eq!(taken.ok().map(|()| (compression.level, compression.extreme)), expected);
    }

    #[test]
    fn how_the_bytes_come_changes_nothing() {
        let text = b"the same tag gives the same bytes\n".repeat(8_000);
        for codec in Codec::ALL {
            let once = |pieces: usize| {
                let mut writer = codec.usual().writer(Vec::new(), 1_735_776_000).unwrap();
                for piece in text.chunks(pieces) {
                    writer.write_all(piece).unwrap();
                    writer.flush().unwrap();
                }
                writer.finish().unwrap()
            };
            assert_eq!(once(77), once(text.len()), "{codec:?}");
        }
    }
}
