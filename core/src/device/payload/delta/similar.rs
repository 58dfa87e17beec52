//! Which places in the old image resemble a piece of the new one: they have fingerprints in common.
//!
//! A fingerprint is a rolling hash of the last 64 bytes, taken wherever its highest bits are zero. Where that is depends on the content
//! alone, so that the same bytes have the same fingerprints wherever they stand, in whichever block, at whichever offset.

use std::collections::BTreeMap;

use super::{BLOCK, Extent};

/// The most blocks of the old image that a patch is made against.
pub const MOST_BLOCKS: u64 = 1536;

/// One of so many places has a fingerprint, as bits; in images beyond a gibibyte fewer have.
const RARITY: u32 = 7;
/// The most fingerprints of an image.
const MOST: u64 = 1 << 23;
/// What stands in more places than these tells nothing.
const COMMON: usize = 16;
/// Blocks around one that resembles are taken, too.
const AROUND: u64 = 2;
/// Runs with no more between them are taken as one.
const GAP: u64 = 4;

/// Where fingerprints are taken.
#[derive(Debug, Clone, Copy)]
pub struct Fingerprints {
    mask: u64,
}

/// A number for each value of a byte: any numbers will do.
const GEAR: [u64; 256] = {
    let mut table = [0; 256];
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut at = 0;
    while at < 256 {
        // splitmix64
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        table[at] = mixed ^ (mixed >> 31);
        at += 1;
    }
    table
};

impl Fingerprints {
    /// As many as is right for an image of this size.
    pub fn of_image(size: u64) -> Self {
        let needed = (size / MOST).max(1).next_power_of_two().ilog2();
        Self {
            mask: !(u64::MAX >> RARITY.max(needed)),
        }
    }

    /// The fingerprints of some bytes, each with the place behind it.
    pub fn each(self, bytes: &[u8], mut found: impl FnMut(usize, u64)) {
        let (mut hash, mut last) = (0_u64, 0);
        for (at, byte) in bytes.iter().enumerate() {
            hash = (hash << 1).wrapping_add(GEAR[usize::from(*byte)]);
            // Of a run of the same byte, the first is enough.
            if hash & self.mask == 0 && at >= 64 && hash != last {
                found(at, hash);
                last = hash;
            }
        }
    }
}

/// The fingerprints of the old image.
#[derive(Debug, Default)]
pub struct Index {
    /// Each with its block; sorted once it is complete.
    entries: Vec<(u64, u32)>,
}

impl Index {
    /// Takes the fingerprints of a stretch of the image that begins with this block.
    pub fn add(&mut self, first_block: u64, fingerprints: &[(usize, u64)]) {
        for (at, hash) in fingerprints {
            // Images have fewer than 2^32 blocks: 16 TiB.
            if let Ok(block) = u32::try_from(first_block + (at / BLOCK) as u64) {
                self.entries.push((*hash, block));
            }
        }
    }

    /// Now it can be asked.
    #[must_use]
    pub fn complete(mut self) -> Self {
        self.entries.sort_unstable();
        self.entries.dedup();
        self
    }

    /// Which blocks of the old image a patch for something with these fingerprints is best made against: `near` ones count as much as
    /// those that resemble.
    pub fn resembling(&self, fingerprints: &[(usize, u64)], near: &[u64], old_blocks: u64) -> Vec<Extent> {
        let mut votes: BTreeMap<u64, u64> = BTreeMap::new();
        for (_, hash) in fingerprints {
            let from = self.entries.partition_point(|(entry, _)| entry < hash);
            let places = self.entries[from..].iter().take_while(|(entry, _)| entry == hash);
            let places: Vec<u64> = places.take(COMMON + 1).map(|(_, block)| u64::from(*block)).collect();
            if places.len() <= COMMON {
                for block in &places {
                    *votes.entry(*block).or_default() += (COMMON / places.len()) as u64;
                }
            }
        }
        for block in near {
            *votes.entry(*block).or_default() += COMMON as u64;
        }
        best(runs(&votes, old_blocks))
    }
}

/// A run of blocks, and how much it has in common.
#[derive(Debug, Clone, Copy)]
struct Run {
    start: u64,
    end: u64,
    votes: u64,
}

fn runs(votes: &BTreeMap<u64, u64>, old_blocks: u64) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (block, votes) in votes {
        let start = block.saturating_sub(AROUND);
        let end = (block + AROUND + 1).min(old_blocks);
        match runs.last_mut() {
            Some(last) if start <= last.end + GAP && end - last.start <= MOST_BLOCKS => {
                last.end = end.max(last.end);
                last.votes += votes;
            }
            last => {
                // A run that grew too long ends where the next one begins.
                let start = last.map_or(start, |last| start.max(last.end));
                let votes = *votes;
                runs.push(Run { start, end, votes });
            }
        }
    }
    runs.retain(|run| run.end > run.start);
    runs
}

/// Those with the most in common for their length, as many as there is room for; in the image's order.
fn best(mut runs: Vec<Run>) -> Vec<Extent> {
    // What many images have in each file would win by length alone.
    runs.sort_by_key(|run| std::cmp::Reverse((run.votes * COMMON as u64 / (run.end - run.start), run.start)));
    let mut room = MOST_BLOCKS;
    runs.retain(|run| {
        let fits = run.end - run.start <= room && run.votes > 1;
        if fits {
            room -= run.end - run.start;
        }
        fits
    });
    runs.truncate(super::EXTENTS);
    runs.sort_by_key(|run| run.start);
    runs.iter()
        .map(|run| Extent::new(run.start, run.end - run.start))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(length: usize) -> Vec<u8> {
        let mut state = 99_u64;
        std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_be_bytes()[3]
        })
        .take(length)
        .collect()
    }

    fn fingerprints(bytes: &[u8]) -> Vec<(usize, u64)> {
        let mut found = Vec::new();
        Fingerprints::of_image(1 << 20).each(bytes, |at, hash| found.push((at, hash)));
        found
    }

    #[test]
    fn what_was_shifted_by_bytes_is_found_where_it_was() {
        let old = noise(1000 * BLOCK);
        let mut index = Index::default();
        index.add(0, &fingerprints(&old));
        let index = index.complete();
        // Two stretches of it, shifted, with something new around them.
        let new = [
            &[1; 333][..],
            &old[100 * BLOCK + 77..120 * BLOCK],
            &[2; 5000],
            &old[700 * BLOCK..705 * BLOCK + 9],
        ]
        .concat();
        let found = index.resembling(&fingerprints(&new), &[], 1000);
        assert_eq!(found.len(), 2, "{found:?}");
        for (extent, (from, to)) in found.iter().zip([(100, 120), (700, 705)]) {
            let end = extent.start_block() + extent.num_blocks();
            assert!((from - 3..=from + 1).contains(&extent.start_block()), "{found:?}");
            assert!((to - 1..=to + 3).contains(&end), "{found:?}");
        }
        assert_eq!(index.resembling(&[], &[999], 1000), [Extent::new(997, 3)]);
        assert_eq!(index.resembling(&fingerprints(&[7; 9000]), &[], 1000), []);
    }

    #[test]
    fn there_is_never_more_than_a_patch_can_bear() {
        let old = noise(4000 * BLOCK);
        let mut index = Index::default();
        index.add(0, &fingerprints(&old));
        let found = index.complete().resembling(&fingerprints(&old), &[], 4000);
        let blocks: u64 = found.iter().map(Extent::num_blocks).sum();
        assert!((MOST_BLOCKS / 2..=MOST_BLOCKS).contains(&blocks), "{blocks}");
        let mut end = 0;
        for extent in &found {
            assert!(extent.start_block() >= end);
            end = extent.start_block() + extent.num_blocks();
        }
        assert!(end <= 4000);
    }

    #[test]
    fn fingerprints_are_as_rare_as_the_image_is_large() {
        let bytes = noise(1 << 20);
        let count = |size: u64| {
            let mut count = 0;
            Fingerprints::of_image(size).each(&bytes, |_, _| count += 1);
            count
        };
        assert!((6_000..11_000).contains(&count(1 << 20)), "{}", count(1 << 20));
        assert!((1_500..2_700).contains(&count(4 << 30)), "{}", count(4 << 30));
    }
}
