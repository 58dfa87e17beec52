//! Whether runs of blocks cover a partition: each block exactly once.

/// Runs of blocks, in any order.
#[derive(Debug, Default)]
pub(super) struct Cover(Vec<(u64, u64)>);

impl Cover {
    /// So many blocks from this one on; that they lie inside was seen before.
    pub(super) fn add(&mut self, start: u64, count: u64) {
        match self.0.last_mut() {
            // Mostly they come in order.
            Some((_, end)) if *end == start => *end = start.saturating_add(count),
            _ => self.0.push((start, start.saturating_add(count))),
        }
    }

    /// Whether they are the first `blocks` blocks; if not, the first one that is not there once.
    pub(super) fn exactly(mut self, blocks: u64) -> Result<(), String> {
        self.0.sort_unstable();
        let mut next = 0;
        for (start, end) in self.0 {
            if start > next {
                return Err(format!("has block {next}, which no operation writes"));
            }
            if start < next {
                return Err(format!("has block {start}, which is written twice"));
            }
            next = end;
        }
        if next == blocks {
            Ok(())
        } else {
            Err(format!("has block {next}, which no operation writes"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(runs: &[(u64, u64)], blocks: u64) -> Result<(), String> {
        let mut cover = Cover::default();
        for (start, count) in runs {
            cover.add(*start, *count);
        }
        cover.exactly(blocks)
    }

    #[test]
    fn each_block_exactly_once() {
        assert_eq!(said(&[(0, 4), (8, 2), (4, 4)], 10), Ok(()));
        let missing = |block| Err(format!("has block {block}, which no operation writes"));
        assert_eq!(said(&[], 1), missing(0));
        assert_eq!(said(&[(0, 4), (5, 5)], 10), missing(4));
        assert_eq!(said(&[(0, 4)], 10), missing(4));
        assert_eq!(
            said(&[(0, 4), (3, 7)], 10),
            Err("has block 3, which is written twice".to_owned())
        );
    }
}
