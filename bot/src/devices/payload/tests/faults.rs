//! Damaged payloads, and partitions that fail.

use windlass_core::device::payload::BLOCK;

use super::*;

/// A small signed payload, its properties, and what it makes.
fn small(images: &Images) -> (Generated, Vec<u8>, Vec<u8>) {
    let root = [vec![7; 2 * BLOCK], noise(5, 40), vec![0; BLOCK]].concat();
    let mut order = images.order(&[("root", &root), ("kernel", b"kernel")]);
    order.key = Some(signing_key());
    let (made, payload) = images.full(&order);
    (made, payload, root)
}

#[test]
fn every_changed_byte_is_found() {
    let images = Images::new();
    let (made, mut payload, _) = small(&images);
    assert!(payload.len() < 2000, "{}", payload.len());
    let by_properties = Trust {
        key: None,
        properties: Some(made.properties),
    };
    let by_key = by_key();
    assert_eq!(images.problems(&payload, &by_key), Vec::<String>::new());
    assert_eq!(images.problems(&payload, &by_properties), Vec::<String>::new());
    for at in 0..payload.len() {
        for flip in [1, 0x80, 0xff] {
            payload[at] ^= flip;
            assert!(!images.problems(&payload, &by_key).is_empty(), "byte {at} by key");
            assert!(
                !images.problems(&payload, &by_properties).is_empty(),
                "byte {at} by properties"
            );
            payload[at] ^= flip;
        }
    }
}

#[test]
fn no_changed_byte_is_applied() {
    let images = Images::new();
    let (_, mut payload, _) = small(&images);
    let by_key = by_key();
    for at in 0..payload.len() {
        payload[at] ^= 0x10;
        let mut device = Device::default();
        assert!(device.apply(&payload, &by_key).is_err(), "byte {at}");
        payload[at] ^= 0x10;
    }
    // What is wrong before the blobs is found before a partition is opened.
    let blobs = inspect(&images.path("payload"), false).unwrap().metadata_size + 264;
    for at in 0..usize::try_from(blobs).unwrap() {
        payload[at] ^= 0x10;
        let mut device = Device::default();
        assert!(device.apply(&payload, &by_key).is_err());
        assert!(device.new.is_empty(), "byte {at}");
        payload[at] ^= 0x10;
    }
}

#[test]
fn every_cut_and_every_addition_is_found() {
    let images = Images::new();
    let (_, payload, _) = small(&images);
    for length in 0..payload.len() {
        assert!(!images.problems(&payload[..length], &by_key()).is_empty(), "{length}");
        assert!(
            Device::default().apply(&payload[..length], &by_key()).is_err(),
            "{length}"
        );
    }
    let longer = [&payload[..], &[0]].concat();
    let size = payload.len();
    assert_eq!(
        images.problems(&longer, &by_key()),
        [format!(
            "the payload ends after {size} bytes, and the file has {}",
            size + 1
        )]
    );
    let error = Device::default().apply(&longer, &by_key()).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("the payload is not in order: the payload ends after {size} bytes, and more came")
    );
}

#[test]
fn what_another_key_signed_is_refused() {
    let images = Images::new();
    let order = images.order(&[("root", b"root")]);
    let (_, unsigned) = images.full(&order);
    assert_eq!(
        images.problems(&unsigned, &by_key()),
        [
            "the metadata's signature is missing",
            "the payload's signature is missing"
        ]
    );
    assert!(Device::default().apply(&unsigned, &by_key()).is_err());
    // Without anything to hold it against it is in order.
    assert_eq!(images.problems(&unsigned, &Trust::none()), Vec::<String>::new());
}

#[test]
fn a_full_disk_ends_it_and_is_told_as_such() {
    let images = Images::new();
    let (_, payload, _) = small(&images);
    let mut device = Device {
        writes_left: Some(1),
        ..Device::default()
    };
    let error = device.apply(&payload, &by_key()).unwrap_err();
    assert!(error.is_environment());
    assert!(error.to_string().contains("cannot write: No space left"), "{error}");
}

#[test]
fn a_partition_that_forgets_is_noticed() {
    let images = Images::new();
    let (_, payload, _) = small(&images);
    let mut device = Device {
        forgets: true,
        ..Device::default()
    };
    let error = device.apply(&payload, &by_key()).unwrap_err();
    assert!(
        error.to_string().contains("partition root does not hold what"),
        "{error}"
    );
}

#[test]
fn files_get_their_names_only_when_all_is_verified() {
    let images = Images::new();
    let (_, mut payload, root) = small(&images);
    let folder = images.path("unpacked");
    std::fs::create_dir(&folder).unwrap();
    let apply_to = |payload: &[u8]| {
        let mut targets = FileTargets::new(BTreeMap::new(), Some(folder.clone()));
        apply(&mut &payload[..], &by_key(), &(), &mut targets, &Work::default())?;
        targets.settle()
    };
    let last = payload.len() - 1;
    payload[last] ^= 1;
    assert!(apply_to(&payload).is_err());
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
    payload[last] ^= 1;
    assert_eq!(apply_to(&payload).unwrap().len(), 2);
    assert!(std::fs::read(folder.join("root.img")).unwrap() == root);
}
