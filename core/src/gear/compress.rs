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
                match level.filter(|level| range.contains(level)) {
                    Some(level) => self.level = level,
                    None => {
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
                    }
                }
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
        let preset = self.level | if self.extreme { 1 << 31 } else { 0 };
        Ok(match self.codec {
            Codec::Gzip => {
                let mtime = u32::try_from(mtime).unwrap_or(u32::MAX);
                // 3: Unix. The library would tell the machine's own.
                let header = GzBuilder::new().mtime(mtime).operating_system(3);
                Encoder::Gzip(header.write(out, flate2::Compression::new(self.level)))
            }
            Codec::Bzip2 => Encoder::Bzip2(BzEncoder::new(out, bzip2::Compression::new(self.level))),
            Codec::Xz => Encoder::Lzma(XzEncoder::new_stream(
                out,
                Stream::new_easy_encoder(preset, Check::Crc64)?,
            )),
            Codec::Lzma => {
                let options = LzmaOptions::new_preset(preset)?;
                Encoder::Lzma(XzEncoder::new_stream(out, Stream::new_lzma_encoder(&options)?))
            }
            Codec::Zstd => {
                let level = i32::try_from(self.level).map_err(io::Error::other)?;
                let mut encoder = zstd::stream::write::Encoder::new(out, level)?;
                encoder.include_checksum(true)?;
                Encoder::Zstd(encoder)
            }
        })
    }
}

/// A writer that compresses into another one; it must be finished.
#[expect(missing_debug_implementations, reason = "zstd's encoder has none")]
pub enum Encoder<W: Write> {
    /// gzip
    Gzip(GzEncoder<W>),
    /// bzip2
    Bzip2(BzEncoder<W>),
    /// xz, and lzma alone
    Lzma(XzEncoder<W>),
    /// zstd
    Zstd(zstd::stream::write::Encoder<'static, W>),
}

impl<W: Write> Encoder<W> {
    /// Writes the end; gives the writer back.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(self) -> io::Result<W> {
        match self {
            Self::Gzip(encoder) => encoder.finish(),
            Self::Bzip2(encoder) => encoder.finish(),
            Self::Lzma(encoder) => encoder.finish(),
            Self::Zstd(encoder) => encoder.finish(),
        }
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Gzip(encoder) => encoder.write(bytes),
            Self::Bzip2(encoder) => encoder.write(bytes),
            Self::Lzma(encoder) => encoder.write(bytes),
            Self::Zstd(encoder) => encoder.write(bytes),
        }
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
    fn what_comes_out_is_pinned() {
        // These bytes may change with a new version of a library; then the stage's cache gets another version, too.
        let text = b"the same tag gives the same bytes\n".repeat(100);
        for codec in Codec::ALL {
            let once = |pieces: usize| {
                let mut writer = codec.usual().writer(Vec::new(), 1_735_776_000).unwrap();
                for piece in text.chunks(pieces) {
                    writer.write_all(piece).unwrap();
                    writer.flush().unwrap();
                }
                writer.finish().unwrap()
            };
            assert_eq!(once(7), once(text.len()), "{codec:?}");
        }
    }
}
