//! Which blocks of the new image stand in the old one, and where.

use std::collections::HashMap;

use sha2::{Digest as _, Sha256};

use super::{BLOCK, COPIED, EXTENTS, Extent, Part, WINDOW, add};

/// A block's content, by half a SHA-256: nobody makes two that are alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BlockId([u8; 16]);

impl BlockId {
    /// Of a whole block.
    pub fn of(block: &[u8]) -> Self {
        let mut half = [0; 16];
        half.copy_from_slice(&Sha256::digest(block)[..16]);
        Self(half)
    }
}

/// Where a block of the new image comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Zero,
    Old(u64),
    Nowhere,
}

/// Says of every block of the new image what becomes of it; in parts, by where they begin.
pub fn parts(old: &[BlockId], new: &[BlockId]) -> Vec<Part> {
    let mut parts = Vec::new();
    let (mut zero, mut copy, mut changed) = (Zeros::default(), Copies::default(), Window::default());
    for (block, origin) in (0..).zip(origins(old, new)) {
        match origin {
            Origin::Zero => parts.extend(zero.add(block)),
            Origin::Old(from) => {
                parts.extend(copy.add(block, from));
                changed.after = Some((block, from));
            }
            Origin::Nowhere => parts.extend(changed.add(block, old.len() as u64)),
        }
    }
    parts.extend(zero.end());
    parts.extend(copy.end());
    parts.extend(changed.end());
    // Whoever applies it writes from the front to the back, as far as that goes.
    parts.sort_by_key(|part| match part {
        Part::Zero(destination) | Part::Copy { destination, .. } | Part::Changed { destination, .. } => {
            destination.first().map_or(0, Extent::start_block)
        }
    });
    parts
}

fn origins(old: &[BlockId], new: &[BlockId]) -> impl Iterator<Item = Origin> {
    let zero = BlockId::of(&[0; BLOCK]);
    let mut places: HashMap<BlockId, u64> = HashMap::with_capacity(old.len());
    for (block, id) in (0..).zip(old) {
        places.entry(*id).or_insert(block);
    }
    let at = |block: u64| usize::try_from(block).ok().and_then(|block| old.get(block));
    let mut last = None;
    (0..).zip(new).map(move |(block, id)| {
        if *id == zero {
            return Origin::Zero;
        }
        // A run is copied as one: better the next block than the same one elsewhere.
        let next = last.map(|last: u64| last + 1);
        let found = [next, Some(block)]
            .into_iter()
            .flatten()
            .find(|place| at(*place) == Some(id))
            .or_else(|| places.get(id).copied());
        last = found;
        found.map_or(Origin::Nowhere, Origin::Old)
    })
}

/// Zeros that are not written yet.
#[derive(Default)]
struct Zeros {
    extents: Vec<Extent>,
    blocks: u64,
}

impl Zeros {
    fn add(&mut self, block: u64) -> Option<Part> {
        let full = if self.blocks >= COPIED * 16 || self.extents.len() >= EXTENTS {
            self.end()
        } else {
            None
        };
        add(&mut self.extents, block);
        self.blocks += 1;
        full
    }

    fn end(&mut self) -> Option<Part> {
        let Self { extents, .. } = std::mem::take(self);
        (!extents.is_empty()).then_some(Part::Zero(extents))
    }
}

/// Blocks that are not copied yet.
#[derive(Default)]
struct Copies {
    source: Vec<Extent>,
    destination: Vec<Extent>,
    blocks: u64,
}

impl Copies {
    fn add(&mut self, block: u64, from: u64) -> Option<Part> {
        let full = if self.blocks >= COPIED || self.source.len().max(self.destination.len()) >= EXTENTS {
            self.end()
        } else {
            None
        };
        add(&mut self.source, from);
        add(&mut self.destination, block);
        self.blocks += 1;
        full
    }

    fn end(&mut self) -> Option<Part> {
        let Self {
            source, destination, ..
        } = std::mem::take(self);
        (!source.is_empty()).then_some(Part::Copy { source, destination })
    }
}

/// Changed blocks that are not patched yet.
#[derive(Default)]
struct Window {
    destination: Vec<Extent>,
    near: Vec<u64>,
    blocks: u64,
    /// The last block that was found, and where.
    after: Option<(u64, u64)>,
}

/// How far behind a block that was found its neighbours are expected to be.
const NEAR: u64 = 64;

impl Window {
    fn add(&mut self, block: u64, old_blocks: u64) -> Option<Part> {
        let full = if self.blocks >= WINDOW || self.destination.len() >= EXTENTS {
            self.end()
        } else {
            None
        };
        add(&mut self.destination, block);
        self.blocks += 1;
        if let Some((found, from)) = self.after
            && block - found <= NEAR
            && from + (block - found) < old_blocks
        {
            self.near.push(from + (block - found));
        }
        full
    }

    fn end(&mut self) -> Option<Part> {
        let after = self.after;
        let Self { destination, near, .. } = std::mem::take(self);
        self.after = after;
        (!destination.is_empty()).then_some(Part::Changed { destination, near })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ids(numbers: &[u16]) -> Vec<BlockId> {
        numbers
            .iter()
            .map(|number| BlockId::of(&number.to_le_bytes().repeat(BLOCK / 2)))
            .collect()
    }

    fn blocks(extents: &[Extent]) -> Vec<u64> {
        extents
            .iter()
            .flat_map(|extent| extent.start_block()..extent.start_block() + extent.num_blocks())
            .collect()
    }

    #[test]
    fn what_moved_is_one_copy() {
        let old: Vec<u16> = (1..100).collect();
        let new: Vec<u16> = [1, 1, 500, 0, 0].into_iter().chain(20..40).collect();
        assert_eq!(
            parts(&ids(&old), &ids(&new)),
            [
                Part::Copy {
                    source: vec![Extent::new(0, 1), Extent::new(0, 1), Extent::new(19, 20)],
                    destination: vec![Extent::new(0, 2), Extent::new(5, 20)],
                },
                Part::Changed {
                    destination: vec![Extent::new(2, 1)],
                    near: vec![1],
                },
                Part::Zero(vec![Extent::new(3, 2)]),
            ]
        );
    }

    #[test]
    fn a_run_is_not_torn() {
        // Block 7 stands in two places: first, and in the run.
        let old = ids(&[7, 1, 2, 3, 7, 5]);
        let new = ids(&[9, 9, 3, 7, 5]);
        let Part::Copy { source, .. } = &parts(&old, &new)[1] else {
            panic!("a copy");
        };
        assert_eq!(*source, [Extent::new(3, 3)]);
    }

    proptest! {
        #[test]
        fn every_block_is_in_one_part(
            old in proptest::collection::vec(0..50_u16, 0..600),
            new in proptest::collection::vec(0..60_u16, 0..3000),
        ) {
            let mut seen = vec![0; new.len()];
            for part in parts(&ids(&old), &ids(&new)) {
                let destination = match &part {
                    Part::Zero(destination) => {
                        for block in blocks(destination) {
                            prop_assert_eq!(new[usize::try_from(block).unwrap()], 0);
                        }
                        destination
                    }
                    Part::Copy { source, destination } => {
                        prop_assert!(source.len() <= EXTENTS && destination.len() <= EXTENTS);
                        prop_assert_eq!(blocks(source).len(), blocks(destination).len());
                        for (from, to) in blocks(source).into_iter().zip(blocks(destination)) {
                            prop_assert_eq!(old[usize::try_from(from).unwrap()], new[usize::try_from(to).unwrap()]);
                        }
                        destination
                    }
                    Part::Changed { destination, near } => {
                        prop_assert!(blocks(destination).len() as u64 <= WINDOW);
                        prop_assert!(near.iter().all(|block| *block < old.len() as u64));
                        destination
                    }
                };
                for block in blocks(destination) {
                    seen[usize::try_from(block).unwrap()] += 1;
                }
            }
            prop_assert!(seen.iter().all(|times| *times == 1));
        }
    }
}
