//! A tree of 200 MB to copy into an image: made, so that it is the same everywhere. Some large files, many small ones; about half of it can be
//! compressed, as in programs and their data.

use std::fs;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use anyhow::Context as _;

/// How many files of which size there are: 200 MB in all.
const FILES: [(usize, usize); 3] = [(10, 8_000_000), (100, 600_000), (3000, 20_000)];

/// How many bytes are of one kind before the other comes.
const STRETCH: usize = 4096;

/// Makes the tree; says how many bytes it has.
pub(super) fn make(root: &Path) -> anyhow::Result<u64> {
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    let mut bytes = 0;
    for (kind, (count, size)) in FILES.iter().enumerate() {
        for number in 0..*count {
            let directory = root.join(format!("{kind}/{}", number / 50));
            fs::create_dir_all(&directory)?;
            let path = directory.join(number.to_string());
            write(&path, *size, &mut chance).with_context(|| format!("cannot write {}", path.display()))?;
            bytes += *size as u64;
        }
    }
    Ok(bytes)
}

fn write(path: &Path, size: usize, chance: &mut Chance) -> anyhow::Result<()> {
    let mut out = BufWriter::new(fs::File::create(path)?);
    let mut left = size;
    let mut is_text = true;
    while left > 0 {
        let stretch = STRETCH.min(left);
        let bytes: Vec<u8> = if is_text {
            chance.text(stretch)
        } else {
            chance.noise(stretch)
        };
        out.write_all(&bytes)?;
        left -= stretch;
        is_text = !is_text;
    }
    Ok(out.flush()?)
}

/// A sequence of numbers without a pattern (xorshift), the same each time.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn noise(&mut self, size: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(size + 8);
        while bytes.len() < size {
            bytes.extend_from_slice(&self.next().to_le_bytes());
        }
        bytes.truncate(size);
        bytes
    }

    fn text(&mut self, size: usize) -> Vec<u8> {
        const WORDS: [&str; 16] = [
            "package", "merge", "queue", "task", "tag", "the", "of", "signed", "build", "image", "layer", "and", "to",
            "journal", "commit", "is",
        ];
        let mut bytes = Vec::with_capacity(size + 16);
        while bytes.len() < size {
            let word = WORDS[usize::try_from(self.next() % 16).unwrap_or(0)];
            bytes.extend_from_slice(word.as_bytes());
            bytes.push(b' ');
        }
        bytes.truncate(size);
        bytes
    }
}
