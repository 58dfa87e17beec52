//! Chunks compressed and unpacked. Which codec a chunk gets is found out by a look at a few of its blocks.

use std::io::{self, Read, Write};

use liblzma::stream::{Check, Filters, LzmaOptions, Stream};

use super::message::Codec;
use super::{BLOCK, limits};

/// Whether devices are known to understand the newer codec.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Zstd {
    /// Every device understands what is used.
    #[default]
    Never,
    /// Zstandard in place of xz: quicker on both ends, larger, and only for new devices.
    Always,
}

/// A chunk as it goes into a payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// How it is packed.
    pub codec: Codec,
    /// The bytes.
    pub data: Vec<u8>,
}

/// Says what the encoder does, for caches: what was compressed otherwise is not what this one writes.
pub const ENCODER: &str = "xz6 bz9 zstd9 1";

/// xz's preset.
const XZ_PRESET: u32 = 6;
const BZIP2_LEVEL: u32 = 9;
const ZSTD_LEVEL: i32 = 9;
/// How many blocks of a chunk are looked at.
const LOOKED_AT: usize = 16;
/// What shrinks to more than this share, in percent, is left as it is.
const HARDLY: usize = 97;

/// Compresses a chunk of whole blocks; stored as it is where that is no larger.
pub fn encode(chunk: &[u8], zstd: Zstd) -> Encoded {
    let encoded = match (probe(chunk), zstd) {
        (Looks::Packed, _) => None,
        (_, Zstd::Always) => zstd::bulk::compress(chunk, ZSTD_LEVEL)
            .ok()
            .map(|data| (Codec::Zstd, data)),
        (Looks::Text, Zstd::Never) => bzip2(chunk).ok().map(|data| (Codec::Bzip2, data)),
        (Looks::Binary, Zstd::Never) => xz(chunk).ok().map(|data| (Codec::Xz, data)),
    };
    match encoded {
        Some((codec, data)) if data.len() < chunk.len() => Encoded { codec, data },
        _ => Encoded {
            codec: Codec::Stored,
            data: chunk.to_vec(),
        },
    }
}

/// What a chunk seems to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Looks {
    /// Compressed already, or encrypted.
    Packed,
    /// Prose or source, where bzip2 makes less of it than xz does, in a quarter of the time.
    Text,
    /// Anything else.
    Binary,
}

fn probe(chunk: &[u8]) -> Looks {
    let step = (chunk.len() / BLOCK / LOOKED_AT).max(1);
    let sample: Vec<u8> = chunk
        .chunks(BLOCK)
        .step_by(step)
        .take(LOOKED_AT)
        .flatten()
        .copied()
        .collect();
    let printed = sample
        .iter()
        .filter(|byte| matches!(byte, b'\t' | b'\n' | b' '..=b'~'))
        .count();
    if printed == sample.len() {
        return Looks::Text;
    }
    match zstd::bulk::compress(&sample, 1) {
        Ok(packed) if packed.len() * 100 > sample.len() * HARDLY => Looks::Packed,
        _ => Looks::Binary,
    }
}

/// xz of one chunk: with CRC32, which every client checks; the dictionary is no larger than the chunk.
pub fn xz(chunk: &[u8]) -> io::Result<Vec<u8>> {
    let mut options = LzmaOptions::new_preset(XZ_PRESET)?;
    let dictionary = chunk.len().next_power_of_two().clamp(1 << 16, 8 << 20);
    options.dict_size(u32::try_from(dictionary).map_err(io::Error::other)?);
    let mut filters = Filters::new();
    filters.lzma2(&options);
    let stream = Stream::new_stream_encoder(&filters, Check::Crc32)?;
    let mut out = Vec::with_capacity(chunk.len() / 2);
    liblzma::read::XzEncoder::new_stream(chunk, stream).read_to_end(&mut out)?;
    Ok(out)
}

fn bzip2(chunk: &[u8]) -> io::Result<Vec<u8>> {
    let mut out = Vec::with_capacity(chunk.len() / 2);
    bzip2::read::BzEncoder::new(chunk, bzip2::Compression::new(BZIP2_LEVEL)).read_to_end(&mut out)?;
    Ok(out)
}

/// Unpacks an operation's data into `out`, which says when it is too much.
///
/// # Errors
/// The data is not of this kind or has something behind its end; or what `out` says.
pub(super) fn decode(codec: Codec, data: &[u8], out: &mut impl Write) -> io::Result<()> {
    let rest = match codec {
        Codec::Bzip2 => {
            let mut decoder = bzip2::bufread::BzDecoder::new(data);
            io::copy(&mut decoder, out)?;
            decoder.into_inner().len()
        }
        Codec::Xz => {
            let stream = Stream::new_stream_decoder(limits::DECODER, 0)?;
            let mut decoder = liblzma::bufread::XzDecoder::new_stream(data, stream);
            io::copy(&mut decoder, out)?;
            decoder.into_inner().len()
        }
        Codec::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(data)?.single_frame();
            decoder.window_log_max(limits::DECODER.ilog2())?;
            io::copy(&mut decoder, out)?;
            decoder.finish().len()
        }
        Codec::Stored => {
            out.write_all(data)?;
            0
        }
    };
    if rest > 0 {
        return Err(io::Error::other(format!("{rest} bytes stand behind its end")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// Bytes without any pattern.
    fn noise(length: usize) -> Vec<u8> {
        let mut state = 7_u64;
        std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_be_bytes()[3]
        })
        .take(length)
        .collect()
    }

    fn text(length: usize) -> Vec<u8> {
        (0_u32..)
            .flat_map(|number| format!("line {number} of {}\n", number.wrapping_mul(2_654_435_761) % 977).into_bytes())
            .take(length)
            .collect()
    }

    #[rstest]
    #[case::zeros(vec![0; 1 << 20], Zstd::Never, Codec::Xz)]
    #[case::zeros_new(vec![0; 1 << 20], Zstd::Always, Codec::Zstd)]
    #[case::noise(noise(1 << 20), Zstd::Never, Codec::Stored)]
    #[case::noise_new(noise(1 << 20), Zstd::Always, Codec::Stored)]
    #[case::text(text(1 << 20), Zstd::Never, Codec::Bzip2)]
    #[case::half([noise(1 << 19), vec![0; 1 << 19]].concat(), Zstd::Never, Codec::Xz)]
    #[case::one_block(noise(BLOCK), Zstd::Never, Codec::Stored)]
    fn each_gets_its_codec_and_comes_back(#[case] chunk: Vec<u8>, #[case] zstd: Zstd, #[case] codec: Codec) {
        let encoded = encode(&chunk, zstd);
        assert_eq!(encoded.codec, codec);
        assert!(codec == Codec::Stored || encoded.data.len() < chunk.len());
        let mut out = Vec::new();
        decode(codec, &encoded.data, &mut out).unwrap();
        assert!(out == chunk);
    }

    #[rstest]
    #[case(Codec::Xz)]
    #[case(Codec::Bzip2)]
    #[case(Codec::Zstd)]
    fn what_stands_behind_the_end_is_seen(#[case] codec: Codec) {
        let chunk = vec![1; BLOCK];
        let mut data = match codec {
            Codec::Xz => xz(&chunk).unwrap(),
            Codec::Bzip2 => bzip2(&chunk).unwrap(),
            Codec::Zstd | Codec::Stored => zstd::bulk::compress(&chunk, 3).unwrap(),
        };
        assert!(decode(codec, &data, &mut Vec::new()).is_ok());
        data.push(0);
        let error = decode(codec, &data, &mut Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), "1 bytes stand behind its end");
        assert!(decode(codec, &data[..data.len() / 2], &mut Vec::new()).is_err());
    }

    #[test]
    fn xz_has_crc32() {
        // The stream's flags: two bytes after the magic.
        assert_eq!(xz(&[0; BLOCK]).unwrap()[6..8], [0, 1]);
    }
}
