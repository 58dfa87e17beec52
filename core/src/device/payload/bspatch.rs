//! Applies a BSDIFF40 patch from somebody who is not trusted: never outside the source, never more than was announced.
//!
//! ```text
//! "BSDIFF40"  i64 size of the controls  i64 size of the differences  i64 size of what it makes
//! controls, differences, new bytes: each packed by bzip2
//! ```
//! Numbers are little-endian with the sign in the highest bit. A control has three: so many bytes of the source, to which
//! differences are added; so many new bytes; and by how much the place in the source moves after that.

use std::io::{self, Read, Write};

use bzip2::read::BzDecoder;

const MAGIC: &[u8] = b"BSDIFF40";
const HEADER: usize = 32;
/// How much is worked on at once.
const PIECE: usize = 64 << 10;

/// Writes what `patch` makes of `source`, which has to be `length` bytes.
pub(super) fn bspatch(source: &[u8], patch: &[u8], length: u64, out: &mut impl Write) -> io::Result<()> {
    let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let (header, rest) = patch
        .split_at_checked(HEADER)
        .filter(|(header, _)| header.starts_with(MAGIC))
        .ok_or_else(|| bad("it is no BSDIFF40 patch"))?;
    let size = |at: usize| usize::try_from(number(&header[at..at + 8])).ok();
    let (controls, rest) = size(8)
        .and_then(|size| rest.split_at_checked(size))
        .ok_or_else(|| bad("the patch is cut off"))?;
    let (differences, new) = size(16)
        .and_then(|size| rest.split_at_checked(size))
        .ok_or_else(|| bad("the patch is cut off"))?;
    if u64::try_from(number(&header[24..32])).ok() != Some(length) {
        return Err(bad("the patch makes another number of bytes"));
    }
    let mut controls = BzDecoder::new(controls);
    let mut differences = BzDecoder::new(differences);
    let mut new = BzDecoder::new(new);
    let mut buffer = vec![0; PIECE];
    let (mut written, mut place) = (0_u64, 0_i64);
    // Controls that do nothing are possible; a patch of nothing else would keep us busy for ever.
    let mut patience = length + 1024;
    while written < length {
        patience = patience.checked_sub(1).ok_or_else(|| bad("the patch does nothing"))?;
        let mut control = [0; 24];
        controls.read_exact(&mut control)?;
        let add = u64::try_from(number(&control[..8])).map_err(|_| bad("the patch goes backwards"))?;
        let copy = u64::try_from(number(&control[8..16])).map_err(|_| bad("the patch goes backwards"))?;
        let total = add.checked_add(copy).and_then(|both| both.checked_add(written));
        written = total
            .filter(|total| *total <= length)
            .ok_or_else(|| bad("the patch makes more than it says"))?;
        let begin = usize::try_from(place).map_err(|_| bad("the patch reads before the source"))?;
        let read = usize::try_from(add)
            .ok()
            .and_then(|add| source.get(begin..begin.checked_add(add)?))
            .ok_or_else(|| bad("the patch reads behind the source"))?;
        for old in read.chunks(PIECE) {
            let piece = &mut buffer[..old.len()];
            differences.read_exact(piece)?;
            for (byte, old) in piece.iter_mut().zip(old) {
                *byte = byte.wrapping_add(*old);
            }
            out.write_all(piece)?;
        }
        if io::copy(&mut (&mut new).take(copy), out)? != copy {
            return Err(bad("the patch is cut off"));
        }
        place = i64::try_from(begin + read.len())
            .ok()
            .and_then(|place| place.checked_add(number(&control[16..])))
            .ok_or_else(|| bad("the patch reads behind the source"))?;
    }
    Ok(())
}

/// Eight bytes: the amount, and the sign in the highest bit.
fn number(bytes: &[u8]) -> i64 {
    let mut eight = [0; 8];
    eight.copy_from_slice(bytes);
    let raw = i64::from_le_bytes(eight);
    let amount = raw & i64::MAX;
    if raw < 0 { -amount } else { amount }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use qbsdiff::{Bsdiff, ParallelScheme};

    use super::*;

    fn diff(old: &[u8], new: &[u8]) -> Vec<u8> {
        let mut patch = Vec::new();
        Bsdiff::new(old, new)
            .parallel_scheme(ParallelScheme::Never)
            .compare(io::Cursor::new(&mut patch))
            .unwrap();
        patch
    }

    fn patched(old: &[u8], patch: &[u8], length: usize) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        bspatch(old, patch, length as u64, &mut out)?;
        assert!(out.len() == length);
        Ok(out)
    }

    proptest! {
        #[test]
        fn a_patch_makes_the_new_from_the_old(old in vec(0_u8..4, 0..3000), new in vec(0_u8..4, 0..3000), cut in 0_usize..3000) {
            // Something of the old one stands in the new one.
            let new = [&old[cut.min(old.len())..], &new].concat();
            let patch = diff(&old, &new);
            prop_assert_eq!(patched(&old, &patch, new.len()).unwrap(), new);
        }

        #[test]
        fn no_patch_does_harm(old in vec(any::<u8>(), 0..300), mut patch in vec(any::<u8>(), 32..300), length in 0_usize..3000) {
            patch[..8].copy_from_slice(MAGIC);
            patch[24..32].copy_from_slice(&(length as u64).to_le_bytes());
            let _ = patched(&old, &patch, length);
        }

        #[test]
        fn a_changed_patch_does_no_harm(old in vec(0_u8..4, 100..3000), at in any::<prop::sample::Index>(), bit in 0..8_u8) {
            let new: Vec<u8> = old.iter().rev().copied().collect();
            let mut patch = diff(&old, &new);
            let at = at.index(patch.len());
            patch[at] ^= 1_u8 << bit;
            let _ = patched(&old, &patch, new.len());
        }
    }

    /// A patch of these controls, with zeros as differences and as new bytes.
    fn made(controls: &[[i64; 3]], length: i64) -> Vec<u8> {
        let pack = |bytes: &[u8]| {
            let mut out = Vec::new();
            bzip2::read::BzEncoder::new(bytes, bzip2::Compression::best())
                .read_to_end(&mut out)
                .unwrap();
            out
        };
        let raw = |number: i64| {
            if number < 0 {
                number.unsigned_abs() | 1 << 63
            } else {
                number.unsigned_abs()
            }
        };
        let controls: Vec<u8> = controls
            .iter()
            .flatten()
            .flat_map(|number| raw(*number).to_le_bytes())
            .collect();
        let (controls, zeros) = (pack(&controls), pack(&[0; 1000]));
        [
            MAGIC,
            &(controls.len() as u64).to_le_bytes(),
            &(zeros.len() as u64).to_le_bytes(),
            &length.to_le_bytes(),
            &controls,
            &zeros,
            &zeros,
        ]
        .concat()
    }

    #[test]
    fn what_a_hostile_patch_asks_for_is_refused() {
        let said = |controls: &[[i64; 3]], length: i64| {
            let length_wanted = usize::try_from(length).unwrap();
            patched(&[7; 10], &made(controls, length), length_wanted)
                .unwrap_err()
                .to_string()
        };
        assert_eq!(patched(&[7; 10], &made(&[[3, 2, 0]], 5), 5).unwrap(), [7, 7, 7, 0, 0]);
        assert_eq!(said(&[[11, 0, 0]], 11), "the patch reads behind the source");
        assert_eq!(said(&[[1, 0, -2], [1, 0, 0]], 2), "the patch reads before the source");
        assert_eq!(said(&[[1, 0, 10], [1, 0, 0]], 2), "the patch reads behind the source");
        assert_eq!(said(&[[-1, 2, 0]], 1), "the patch goes backwards");
        assert_eq!(said(&[[1, i64::MAX, 0]], 5), "the patch makes more than it says");
        assert_eq!(said(&vec![[0, 0, 0]; 2000], 5), "the patch does nothing");
        let short = patched(&[7; 10], &made(&[[3, 2, 0]], 5), 6).unwrap_err();
        assert_eq!(short.to_string(), "the patch makes another number of bytes");
    }
}
