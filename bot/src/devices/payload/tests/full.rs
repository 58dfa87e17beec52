//! Full payloads.

use std::num::NonZeroUsize;

use proptest::prelude::*;
use windlass_core::device::payload::BLOCK;

use super::*;

#[test]
fn a_signed_payload_of_two_partitions_makes_them() {
    let images = Images::new();
    let root = [noise(1, 3 * BLOCK), vec![0; 5 << 20], b"text\n".repeat(300_000)].concat();
    let kernel = noise(2, 5000);
    let mut order = images.order(&[("root", &root), ("kernel", &kernel)]);
    order.key = Some(signing_key());
    order.max_timestamp = Some(1_700_000_000);
    let (made, payload) = images.full(&order);
    assert_eq!(made.content, (root.len() + kernel.len()) as u64);
    assert!(payload.len() < 100_000, "{}", payload.len());
    let mut device = Device::default();
    let applied = device.apply(&payload, &by_key()).unwrap();
    assert!(device.holds("root") == root && device.holds("kernel") == kernel);
    assert_eq!(applied.properties, made.properties);
    assert_eq!(images.problems(&payload, &by_key()), Vec::<String>::new());
    assert_eq!(properties(&images.path("payload")).unwrap(), made.properties);
    let shown = inspect(&images.path("payload"), true).unwrap();
    assert!(shown.full && shown.signed && shown.problems.is_empty());
    assert_eq!(shown.max_timestamp, Some(1_700_000_000));
    let names: Vec<&str> = shown
        .partitions
        .iter()
        .map(|partition| partition.name.as_str())
        .collect();
    assert_eq!(names, ["root", "kernel"]);
    // Nothing is left beside the payload and what was made for the test.
    assert_eq!(std::fs::read_dir(images.0.path()).unwrap().count(), 4);
}

#[test]
fn the_same_images_make_the_same_payload() {
    let images = Images::new();
    let root = [noise(3, 4 << 20), b"some words again and again ".repeat(200_000)].concat();
    let mut order = images.order(&[("root", &root)]);
    let (_, alone) = images.full(&order);
    let work = Work {
        jobs: NonZeroUsize::new(5).unwrap(),
        ..Work::default()
    };
    generate(&order, &work, &images.path("many")).unwrap();
    assert!(std::fs::read(images.path("many")).unwrap() == alone);
    // From the cache, and with what is damaged in it made anew.
    let dir = images.path("cache");
    order.cache = Some(Cache::open(&dir, Cache::LIMIT).unwrap());
    for _ in 0..2 {
        assert!(images.full(&order).1 == alone);
    }
    let chunks = std::fs::read_dir(&dir).unwrap().flatten();
    for (number, file) in chunks
        .flat_map(|part| std::fs::read_dir(part.path()).unwrap().flatten())
        .enumerate()
    {
        if number % 2 == 0 {
            std::fs::write(file.path(), b"damaged").unwrap();
        }
    }
    assert!(images.full(&order).1 == alone);
}

#[test]
fn new_devices_get_zstandard() {
    let images = Images::new();
    let root = b"some words again and again ".repeat(200_000);
    let mut order = images.order(&[("root", &root)]);
    order.zstd = Zstd::Always;
    let (_, payload) = images.full(&order);
    let shown = inspect(&images.path("payload"), false).unwrap();
    assert!(
        shown.partitions[0].kinds.keys().all(|kind| kind == "REPLACE_ZSTD"),
        "{shown:?}"
    );
    let mut device = Device::default();
    device.apply(&payload, &Trust::none()).unwrap();
    assert!(device.holds("root") == root);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let images = Images::new();
    let said = |order: &GenerateOrder| {
        generate(order, &Work::default(), &images.path("no"))
            .unwrap_err()
            .to_string()
    };
    assert_eq!(said(&images.order(&[])), "a payload needs a partition");
    assert_eq!(
        said(&images.order(&[("root", b"a"), ("root", b"b")])),
        "partition root is named twice"
    );
    std::fs::write(images.path("empty"), b"").unwrap();
    assert!(ImagePart::file(&images.path("empty")).is_err());
    for no_key in ["key.pub", "mod.rs"] {
        let error = SigningKey::read(&key_file(no_key)).unwrap_err().to_string();
        assert!(error.contains("hint: "), "{error}");
    }
    assert!(public_key(&key_file("key.pem")).is_err());
    assert!(!images.path("no").exists());
}

#[test]
fn the_word_to_stop_leaves_nothing_behind() {
    let images = Images::new();
    let order = images.order(&[("root", &noise(4, 8 << 20))]);
    let work = Work {
        stopped: &|| true,
        ..Work::default()
    };
    assert!(matches!(
        generate(&order, &work, &images.path("payload")),
        Err(PayloadError::Stopped)
    ));
    assert_eq!(std::fs::read_dir(images.0.path()).unwrap().count(), 1);
}

/// A piece of an image: zeros, text, noise; of any length.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    (0..3_u8, any::<u64>(), 1..40_000_usize).prop_map(|(kind, seed, length)| match kind {
        0 => vec![0; length],
        1 => format!("line {seed}\n").bytes().cycle().take(length).collect(),
        _ => noise(seed, length),
    })
}

fn image() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(piece(), 1..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_generated_makes_the_images(contents in prop::collection::vec(image(), 1..4), zstd in any::<bool>()) {
        let images = Images::new();
        let names = ["root", "kernel", "vendor"];
        let partitions: Vec<(&str, &[u8])> = names.into_iter().zip(contents.iter().map(Vec::as_slice)).collect();
        let mut order = images.order(&partitions);
        order.zstd = if zstd { Zstd::Always } else { Zstd::Never };
        let (made, payload) = images.full(&order);
        prop_assert_eq!(images.problems(&payload, &Trust::none()), Vec::<String>::new());
        let mut device = Device::default();
        let trust = Trust { key: None, properties: Some(made.properties) };
        device.apply(&payload, &trust).unwrap();
        for (partition, content) in partitions {
            prop_assert!(device.holds(partition) == content);
        }
    }
}
