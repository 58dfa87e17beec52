use super::super::message::Kind;
use super::*;

/// A partition in memory that can be written so many times.
struct Memory {
    bytes: Vec<u8>,
    writes_left: usize,
}

impl Memory {
    fn new(blocks: usize) -> Self {
        Self {
            bytes: vec![0xee; blocks * BLOCK],
            writes_left: usize::MAX,
        }
    }
}

impl Target for Memory {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.writes_left = self
            .writes_left
            .checked_sub(1)
            .ok_or_else(|| io::Error::from_raw_os_error(28))?;
        let offset = usize::try_from(offset).unwrap();
        self.bytes[offset..offset + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }
}

/// Block `n` is full of `n`.
struct Numbered;

impl Source for Numbered {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        for (at, byte) in into.iter_mut().enumerate() {
            *byte = u8::try_from((offset + at as u64) / BLOCK as u64).map_err(io::Error::other)?;
        }
        Ok(())
    }
}

fn run(operation: &Operation, data: &[u8], target: &mut Memory) -> Result<(), Failed> {
    let size = target.bytes.len() as u64;
    let mut place = Place {
        source: Some(&Numbered),
        target,
        size,
    };
    apply(operation, data, &mut place)
}

fn copy(hash: Digest) -> Operation {
    Operation {
        kind: Kind::SourceCopy.into(),
        src_extents: vec![Extent::new(5, 2), Extent::new(1, 1)],
        dst_extents: vec![Extent::new(2, 1), Extent::new(0, 2)],
        src_hash: Some(hash.bytes().to_vec()),
        ..Operation::default()
    }
}

fn blocks_of(numbers: &[u8]) -> Vec<u8> {
    numbers.iter().flat_map(|number| vec![*number; BLOCK]).collect()
}

fn replace(data: &[u8], blocks: u64) -> Operation {
    Operation {
        kind: Kind::Replace.into(),
        data_hash: Some(Digest::of(data).bytes().to_vec()),
        dst_extents: vec![Extent::new(0, blocks)],
        ..Operation::default()
    }
}

#[test]
fn blocks_are_copied_into_their_places() {
    let mut target = Memory::new(3);
    run(&copy(Digest::of(&blocks_of(&[5, 6, 1]))), &[], &mut target).unwrap();
    assert_eq!(target.bytes, blocks_of(&[6, 1, 5]));
}

#[test]
fn another_source_is_refused_before_anything_is_written() {
    let mut target = Memory::new(3);
    target.writes_left = 0;
    let failed = run(&copy(Digest::of(b"something else")), &[], &mut target);
    assert!(matches!(failed, Err(Failed::Source)));
}

#[test]
fn other_data_is_refused_before_anything_is_written() {
    let mut target = Memory::new(1);
    target.writes_left = 0;
    let failed = run(&replace(&[1; BLOCK], 1), &[2; BLOCK], &mut target);
    assert!(matches!(failed, Err(Failed::Data)));
}

#[test]
fn too_much_and_too_little_data_are_told() {
    let mut target = Memory::new(2);
    let short = vec![1; BLOCK];
    let said = run(&replace(&short, 2), &short, &mut target).unwrap_err().to_string();
    assert_eq!(said, "its data cannot be unpacked: 4096 bytes are missing");
    let long = vec![1; 2 * BLOCK];
    let said = run(&replace(&long, 1), &long, &mut target).unwrap_err().to_string();
    assert_eq!(said, "its data cannot be unpacked: it makes more than its blocks hold");
}

#[test]
fn a_bomb_ends_at_the_operations_blocks() {
    let bomb = codec::xz(&vec![0; 64 << 20]).unwrap();
    assert!(bomb.len() < 16 << 10);
    let mut operation = replace(&bomb, 1);
    operation.kind = Kind::ReplaceXz.into();
    let mut target = Memory::new(1);
    let said = run(&operation, &bomb, &mut target).unwrap_err().to_string();
    assert_eq!(said, "its data cannot be unpacked: it makes more than its blocks hold");
}

#[test]
fn a_target_that_fails_is_no_fault_of_the_data() {
    let data = vec![1; BLOCK];
    let mut target = Memory::new(1);
    target.writes_left = 0;
    assert!(matches!(
        run(&replace(&data, 1), &data, &mut target),
        Err(Failed::Write(_))
    ));
    let mut zero = replace(&[], 1);
    zero.kind = Kind::Zero.into();
    assert!(matches!(run(&zero, &[], &mut target), Err(Failed::Write(_))));
}

/// A partition that ends within its first block.
fn cut(target: &mut Memory) -> Place<'_> {
    Place {
        source: None,
        target,
        size: 100,
    }
}

#[test]
fn the_last_block_may_reach_beyond_the_partition_with_zeros_only() {
    let mut data = vec![1; BLOCK];
    data[100..].fill(0);
    let mut target = Memory::new(1);
    apply(&replace(&data, 1), &data, &mut cut(&mut target)).unwrap();
    assert_eq!((target.bytes[99], target.bytes[100]), (1, 0xee));
    data[100] = 1;
    assert!(apply(&replace(&data, 1), &data, &mut cut(&mut target)).is_err());
}

#[test]
fn zeros_are_written() {
    let mut zero = replace(&[], 2);
    (zero.kind, zero.data_hash) = (Kind::Zero.into(), None);
    let mut target = Memory::new(2);
    run(&zero, &[], &mut target).unwrap();
    assert_eq!(target.bytes, vec![0; 2 * BLOCK]);
}
