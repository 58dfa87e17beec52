use proptest::prelude::*;
use rstest::rstest;

use super::*;

const HEADER: Header = Header {
    manifest_size: 100,
    signature_size: 264,
};

fn data(kind: Kind, offset: u64, length: u64, destination: Extent) -> Operation {
    Operation {
        kind: kind.into(),
        data_offset: Some(offset),
        data_length: Some(length),
        dst_extents: vec![destination],
        data_hash: Some(vec![1; 32]),
        ..Operation::default()
    }
}

fn info(size: u64) -> PartitionInfo {
    PartitionInfo {
        size: Some(size),
        hash: Some(vec![2; 32]),
    }
}

/// Ten blocks and a bit, in two operations.
fn full() -> Manifest {
    Manifest {
        block_size: Some(4096),
        signatures_offset: Some(4196),
        signatures_size: Some(264),
        minor_version: Some(0),
        partitions: vec![Partition {
            name: "root".to_owned(),
            old: None,
            new: Some(info(10 * 4096 + 5)),
            operations: vec![
                data(Kind::ReplaceXz, 0, 100, Extent::new(0, 10)),
                data(Kind::Replace, 100, 4096, Extent::new(10, 1)),
            ],
        }],
        max_timestamp: None,
    }
}

/// Ten blocks: two copied, one zeroed, three patched, four new.
fn delta() -> Manifest {
    let with_source = |kind: Kind, from: Extent, to: Extent| Operation {
        kind: kind.into(),
        src_extents: vec![from],
        dst_extents: vec![to],
        src_hash: Some(vec![3; 32]),
        ..Operation::default()
    };
    let mut patch = with_source(Kind::SourceBsdiff, Extent::new(4, 4), Extent::new(3, 3));
    patch.data_offset = Some(0);
    patch.data_length = Some(50);
    patch.data_hash = Some(vec![1; 32]);
    Manifest {
        signatures_offset: Some(150),
        signatures_size: Some(264),
        minor_version: Some(4),
        partitions: vec![Partition {
            name: "root".to_owned(),
            old: Some(info(8 * 4096)),
            new: Some(info(10 * 4096)),
            operations: vec![
                with_source(Kind::SourceCopy, Extent::new(6, 2), Extent::new(0, 2)),
                Operation {
                    kind: Kind::Zero.into(),
                    dst_extents: vec![Extent::new(2, 1)],
                    ..Operation::default()
                },
                patch,
                data(Kind::ReplaceBz, 50, 100, Extent::new(6, 4)),
            ],
        }],
        ..Manifest::default()
    }
}

#[test]
fn what_is_in_order_has_a_layout() {
    let layout = check(&HEADER, &full()).unwrap();
    assert_eq!(
        (layout.blobs, layout.blobs_size, layout.signature_size),
        (24 + 100 + 264, 4196, 264)
    );
    assert_eq!(layout.size(), 24 + 100 + 264 + 4196 + 264);
    assert_eq!(layout.partitions[0].new.size, 10 * 4096 + 5);
    let layout = check(&HEADER, &delta()).unwrap();
    assert_eq!(layout.partitions[0].old.unwrap().size, 8 * 4096);
}

#[rstest]
#[case::blocks(|m: &mut Manifest| m.block_size = Some(512), "the manifest says blocks of 512 bytes; they have 4096")]
#[case::minor(|m: &mut Manifest| m.minor_version = Some(2), "the manifest says minor version 2; known are 0 (full) and those from 4 on (delta)")]
#[case::nothing(|m: &mut Manifest| m.partitions.clear(), "the manifest names no partition")]
#[case::name(|m: &mut Manifest| m.partitions[0].name = "../etc".to_owned(), "partition number 1 has a name that cannot be one")]
#[case::twice(|m: &mut Manifest| m.partitions.push(m.partitions[0].clone()), "partition root comes twice")]
#[case::no_size(|m: &mut Manifest| m.partitions[0].new = Some(info(0)), "partition root has a new size of 0 bytes; it has 1 to 4398046511104")]
#[case::no_hash(|m: &mut Manifest| m.partitions[0].new.as_mut().unwrap().hash = Some(vec![]), "partition root has no SHA-256 of its new content")]
#[case::old(|m: &mut Manifest| m.partitions[0].old = Some(info(5)), "partition root says what it was, in a full payload")]
#[case::missing(|m: &mut Manifest| { m.partitions[0].operations.pop(); m.signatures_offset = Some(100); }, "partition root has block 10, which no operation writes")]
#[case::unknown(|m: &mut Manifest| m.partitions[0].operations[0].kind = 77, "partition root, operation 0: its kind, 77, is not known")]
#[case::unsupported(|m: &mut Manifest| m.partitions[0].operations[0].kind = 9, "partition root, operation 0: it is PUFFDIFF, which this program does not apply")]
#[case::zero(|m: &mut Manifest| m.partitions[0].operations[0].kind = 6, "partition root, operation 0: it is ZERO, which a full payload must not have")]
#[case::outside(|m: &mut Manifest| m.partitions[0].operations[1].dst_extents[0] = Extent::new(10, 2), "partition root, operation 1: it names 2 blocks from block 10 on, and the new partition has 11")]
#[case::overflow(|m: &mut Manifest| m.partitions[0].operations[1].dst_extents[0] = Extent::new(u64::MAX, 2), "partition root, operation 1: it names 2 blocks from block 18446744073709551615 on, and the new partition has 11")]
#[case::empty(|m: &mut Manifest| m.partitions[0].operations[1].dst_extents.clear(), "partition root, operation 1: it names no blocks of the new partition")]
#[case::gap(|m: &mut Manifest| m.partitions[0].operations[1].data_offset = Some(101), "partition root, operation 1: its data begins at 101; what is before it ends at 100")]
#[case::no_data(|m: &mut Manifest| m.partitions[0].operations[1].data_length = None, "partition root, operation 1: its data has 0 bytes; it has 1 to 268435456")]
#[case::no_data_hash(|m: &mut Manifest| m.partitions[0].operations[1].data_hash = None, "partition root, operation 1: its data has no SHA-256")]
#[case::short(|m: &mut Manifest| m.partitions[0].operations[1].data_length = Some(4095), "partition root, operation 1: its 4095 bytes are to fill 4096")]
#[case::no_smaller(|m: &mut Manifest| { m.partitions[0].operations[0].data_length = Some(40960); m.partitions[0].operations[1].data_offset = Some(40960); }, "partition root, operation 0: it is REPLACE_XZ, and its data is no smaller than what it makes")]
#[case::reads(|m: &mut Manifest| m.partitions[0].operations[0].src_extents = vec![Extent::new(0, 1)], "partition root, operation 0: it is REPLACE_XZ and reads the old partition")]
#[case::length(|m: &mut Manifest| m.partitions[0].operations[0].dst_length = Some(7), "partition root, operation 0: it says that it writes 7 bytes; its blocks have 40960")]
#[case::signature(|m: &mut Manifest| m.signatures_offset = Some(7), "the payload's signature begins at 7; the blobs end at 4196")]
#[case::half(|m: &mut Manifest| m.signatures_size = None, "the payload is signed by half: of the metadata's and the payload's signature, one is missing")]
#[case::large(|m: &mut Manifest| m.signatures_size = Some(1 << 40), "the payload's signature is said to have 1099511627776 bytes; 65536 are the most")]
fn what_is_wrong_is_told(#[case] spoil: fn(&mut Manifest), #[case] said: &str) {
    let mut manifest = full();
    spoil(&mut manifest);
    let problems = check(&HEADER, &manifest).unwrap_err();
    assert_eq!(problems[0].to_string(), said);
}

#[rstest]
#[case::no_source_hash(|m: &mut Manifest| m.partitions[0].operations[0].src_hash = None, "partition root, operation 0: it reads the old partition and has no SHA-256 of what it has to find there")]
#[case::behind(|m: &mut Manifest| m.partitions[0].operations[0].src_extents[0] = Extent::new(7, 2), "partition root, operation 0: it names 2 blocks from block 7 on, and the old partition has 8")]
#[case::no_old(|m: &mut Manifest| m.partitions[0].old = None, "partition root, operation 0: it names 2 blocks from block 6 on, and the old partition has 0")]
#[case::unequal(|m: &mut Manifest| m.partitions[0].operations[0].src_extents[0] = Extent::new(0, 3), "partition root, operation 0: it copies 3 blocks into 2")]
#[case::twice(|m: &mut Manifest| m.partitions[0].operations[1].dst_extents[0] = Extent::new(1, 2), "partition root has block 1, which is written twice")]
#[case::data(|m: &mut Manifest| m.partitions[0].operations[1].data_length = Some(1), "partition root, operation 1: it is ZERO and brings data")]
fn what_is_wrong_with_a_delta_is_told(#[case] spoil: fn(&mut Manifest), #[case] said: &str) {
    let mut manifest = delta();
    spoil(&mut manifest);
    let problems = check(&HEADER, &manifest).unwrap_err();
    assert_eq!(problems[0].to_string(), said);
}

#[test]
fn no_more_problems_are_listed_than_a_person_reads() {
    let mut manifest = full();
    manifest.partitions[0].operations = vec![data(Kind::Puffdiff, 0, 1, Extent::new(0, 1)); 10_000];
    assert_eq!(check(&HEADER, &manifest).unwrap_err().len(), limits::PROBLEMS);
}

proptest! {
    #[test]
    fn no_bytes_do_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(manifest) = Manifest::read(&bytes) {
            let _ = check(&HEADER, &manifest);
        }
    }

    #[test]
    fn no_changed_manifest_does_harm(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = delta().write();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(manifest) = Manifest::read(&bytes) {
            let _ = check(&HEADER, &manifest);
        }
    }
}

#[test]
fn a_manifest_is_read_as_it_was_written() {
    for manifest in [full(), delta()] {
        assert_eq!(Manifest::read(&manifest.write()).unwrap(), manifest);
    }
    // Without fields that are not there: the bytes are the same wherever they are written.
    assert_eq!(Manifest::default().write(), b"");
}
