//! Where an image is cut into chunks: where its content says so, at a block.
//!
//! A file that grows moves everything behind it by whole blocks. If chunks ended at every 256th block, all of them would be other ones
//! after that; since they end after blocks that look a certain way, the chunks behind the change are found again in
//! the cache of compressed ones. Chunks have 1 MiB on average.

use super::BLOCK;

/// The fewest blocks of a chunk, the partition's last one excepted.
pub const FEWEST: usize = 128;
/// The most blocks of a chunk.
pub const MOST: usize = 512;
/// The most bytes of a chunk.
pub const LARGEST: usize = MOST * BLOCK;

/// One of so many blocks may be the last one of a chunk.
const ONE_OF: u64 = 128;

/// Cuts a stream of blocks.
#[derive(Debug, Default)]
pub struct Cutter {
    blocks: usize,
}

impl Cutter {
    /// Takes the next block; whether it is the last one of its chunk.
    pub fn ends_after(&mut self, block: &[u8]) -> bool {
        self.blocks += 1;
        let ends = self.blocks >= MOST || (self.blocks >= FEWEST && mark(block).is_multiple_of(ONE_OF));
        if ends {
            self.blocks = 0;
        }
        ends
    }
}

/// A number that depends on all of a block. It is no secret and protects nothing: chunks cut elsewhere are as good.
fn mark(block: &[u8]) -> u64 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut lanes = [1_u64, 2, 3, 4];
    for words in block.chunks(32) {
        for (lane, word) in lanes.iter_mut().zip(words.chunks(8)) {
            let mut eight = [0; 8];
            eight[..word.len()].copy_from_slice(word);
            *lane = (*lane ^ u64::from_le_bytes(eight)).wrapping_mul(FACTOR).rotate_left(29);
        }
    }
    let mixed = lanes.iter().fold(0, |mixed: u64, lane| {
        (mixed ^ lane).wrapping_mul(FACTOR).rotate_left(31)
    });
    mixed >> 32
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// Blocks that differ, each told by its number.
    fn blocks(numbers: impl Iterator<Item = u64>) -> Vec<Vec<u8>> {
        numbers.map(|number| number.to_le_bytes().repeat(BLOCK / 8)).collect()
    }

    fn cut(blocks: &[Vec<u8>]) -> Vec<&[Vec<u8>]> {
        let mut cutter = Cutter::default();
        blocks.split_inclusive(|block| cutter.ends_after(block)).collect()
    }

    #[test]
    fn chunks_have_a_mebibyte_or_so() {
        let blocks = blocks(0..20_000);
        let chunks = cut(&blocks);
        let (_, but_last) = chunks.split_last().unwrap();
        assert!(but_last.iter().all(|chunk| (FEWEST..=MOST).contains(&chunk.len())));
        assert!((50..110).contains(&chunks.len()), "{}", chunks.len());
    }

    #[test]
    fn what_moved_is_cut_as_before() {
        let before = blocks(0..8_000);
        let after = blocks((0..1_000).chain(90_000..90_007).chain(1_000..8_000));
        let known: HashSet<&[Vec<u8>]> = cut(&before).into_iter().collect();
        let chunks = cut(&after);
        let new = chunks.iter().filter(|chunk| !known.contains(*chunk)).count();
        assert!(new <= 3, "{new} of {}", chunks.len());
    }

    #[test]
    fn zeros_are_cut_too() {
        let blocks = vec![vec![0; BLOCK]; 2 * MOST + 1];
        assert!(cut(&blocks).iter().all(|chunk| chunk.len() <= MOST));
    }
}
