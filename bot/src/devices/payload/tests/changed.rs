//! Delta payloads: what they make of an old image is the new one, and they are small.

use proptest::prelude::*;
use windlass_core::device::payload::BLOCK;

use super::*;

impl Images {
    fn changed(&self, partitions: &[(&str, &[u8], &[u8])]) -> DeltaOrder {
        DeltaOrder {
            partitions: partitions
                .iter()
                .map(|(partition, old, new)| ChangedPartition {
                    name: name(partition),
                    old: self.image(&format!("{partition}.old"), old),
                    new: self.image(&format!("{partition}.new"), new),
                })
                .collect(),
            key: None,
            zstd: Zstd::Never,
            cache: None,
            max_timestamp: None,
        }
    }

    fn delta(&self, order: &DeltaOrder) -> (Generated, Vec<u8>) {
        let out = self.path("delta");
        let made = delta(order, &Work::default(), &out).unwrap();
        (made, std::fs::read(out).unwrap())
    }
}

/// The new image of a build: something inserted, something moved, bytes changed, zeros.
fn rebuilt(old: &[u8]) -> Vec<u8> {
    let at = |block: usize| block * BLOCK;
    let mut new = [
        &old[at(600)..at(700)],
        &noise(77, 3 * BLOCK),
        &old[..at(300)],
        &vec![0; 50 * BLOCK],
        // Not by whole blocks.
        &old[at(300) + 100..at(600)],
        &old[at(700)..],
    ]
    .concat();
    for place in (at(720)..at(800)).step_by(700) {
        new[place] ^= 0x40;
    }
    new
}

#[test]
fn a_rebuilt_image_is_a_small_delta() {
    let images = Images::new();
    let old = noise(11, 1000 * BLOCK);
    let new = rebuilt(&old);
    let mut order = images.changed(&[("root", &old, &new)]);
    order.key = Some(signing_key());
    let (made, payload) = images.delta(&order);
    assert!(payload.len() < 40_000, "{} for {}", payload.len(), new.len());
    assert_eq!(made.content, new.len() as u64);
    assert_eq!(images.problems(&payload, &by_key()), Vec::<String>::new());
    let shown = inspect(&images.path("delta"), false).unwrap();
    let kinds: Vec<&str> = shown.partitions[0].kinds.keys().map(String::as_str).collect();
    assert_eq!(kinds, ["SOURCE_BSDIFF", "SOURCE_COPY", "ZERO"]);
    let mut device = Device::with_old(&[("root", &old)]);
    device.apply(&payload, &by_key()).unwrap();
    assert!(device.holds("root") == new);
}

#[test]
fn the_same_delta_comes_from_any_number_of_threads() {
    let images = Images::new();
    let old = noise(12, 1000 * BLOCK);
    let order = images.changed(&[("root", &old, &rebuilt(&old))]);
    let (_, payload) = images.delta(&order);
    let work = Work {
        jobs: std::num::NonZeroUsize::new(5).unwrap(),
        ..Work::default()
    };
    delta(&order, &work, &images.path("many")).unwrap();
    assert!(std::fs::read(images.path("many")).unwrap() == payload);
}

#[test]
fn a_device_that_holds_something_else_is_left_alone() {
    let images = Images::new();
    let old = noise(13, 100 * BLOCK);
    let new = [&old[10 * BLOCK..], &old[..10 * BLOCK]].concat();
    let (_, payload) = images.delta(&images.changed(&[("root", &old, &new)]));
    let mut other = old.clone();
    other[5] ^= 1;
    for old in [&other[..], &old[..50 * BLOCK]] {
        let mut device = Device::with_old(&[("root", old)]);
        assert!(device.apply(&payload, &Trust::none()).is_err());
    }
    let error = Device::default().apply(&payload, &Trust::none()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "partition root: nothing is said of what partition root holds now"
    );
}

/// An image of blocks that are drawn from few, so that they come again, with zeros and bytes of their own between them.
fn image() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => (0..20_u64, 1..20_usize).prop_map(|(seed, blocks)| noise(seed, blocks * BLOCK)),
        2 => (1..30_usize).prop_map(|blocks| vec![0; blocks * BLOCK]),
        1 => (any::<u64>(), 1..5_000_usize).prop_map(|(seed, length)| noise(seed, length)),
        1 => (0..5_usize, 1..30_000_usize).prop_map(|(kind, length)| format!("words {kind} ").bytes().cycle().take(length).collect()),
    ];
    prop::collection::vec(piece, 1..12).prop_map(|pieces| pieces.concat())
}

/// An old image, and a new one that is partly made of it.
fn pair() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let cut = (any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..3_u8);
    (image(), image(), prop::collection::vec(cut, 0..6)).prop_map(|(old, other, cuts)| {
        let mut new = other;
        for (from, to, how) in cuts {
            let (from, to) = (from.index(old.len()), to.index(old.len()));
            let (from, to) = (from.min(to), from.max(to) + 1);
            let (from, to) = match how {
                0 => (from / BLOCK * BLOCK, to),
                _ => (from, to),
            };
            new.extend_from_slice(&old[from..to]);
            if how == 2 {
                let last = new.len() - 1;
                new[last] ^= 1;
            }
        }
        (old, new)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_delta_makes_the_new_from_the_old(pairs in prop::collection::vec(pair(), 1..4)) {
        let images = Images::new();
        let partitions: Vec<(&str, &[u8], &[u8])> = ["root", "kernel", "vendor"]
            .into_iter()
            .zip(&pairs)
            .map(|(partition, (old, new))| (partition, &old[..], &new[..]))
            .collect();
        let (made, payload) = images.delta(&images.changed(&partitions));
        prop_assert_eq!(images.problems(&payload, &Trust::none()), Vec::<String>::new());
        let old: Vec<(&str, &[u8])> = partitions.iter().map(|(partition, old, _)| (*partition, *old)).collect();
        let mut device = Device::with_old(&old);
        let trust = Trust { key: None, properties: Some(made.properties) };
        device.apply(&payload, &trust).unwrap();
        for (partition, _, new) in partitions {
            prop_assert!(device.holds(partition) == new);
        }
    }
}
