//! Payloads made, verified, applied; damaged byte by byte; and applied to partitions that fail.

mod changed;
mod faults;
mod full;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use windlass_core::device::payload::PartitionName;
use windlass_core::device::payload::apply::{Source, Target};
use windlass_core::device::payload::codec::Zstd;

use super::*;

/// A key of nobody's.
fn key_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/devices/payload/tests")
        .join(name)
}

fn signing_key() -> SigningKey {
    SigningKey::read(&key_file("key.pem")).unwrap()
}

/// Held against the key.
fn by_key() -> Trust {
    Trust {
        key: Some(public_key(&key_file("key.pub")).unwrap()),
        properties: None,
    }
}

fn name(name: &str) -> PartitionName {
    name.parse().unwrap()
}

/// Partitions in memory, which may fail.
#[derive(Default)]
struct Device {
    old: BTreeMap<PartitionName, Vec<u8>>,
    new: BTreeMap<PartitionName, Rc<RefCell<Vec<u8>>>>,
    /// How many writes succeed.
    writes_left: Option<usize>,
    /// What is read back is damaged.
    forgets: bool,
}

impl Device {
    fn with_old(old: &[(&str, &[u8])]) -> Self {
        Self {
            old: old.iter().map(|(text, bytes)| (name(text), bytes.to_vec())).collect(),
            ..Self::default()
        }
    }

    fn holds(&self, partition: &str) -> Vec<u8> {
        self.new[&name(partition)].borrow().clone()
    }

    /// Applies a payload to this device.
    fn apply(&mut self, payload: &[u8], trust: &Trust) -> Result<Applied, PayloadError> {
        let old = Old(self.old.clone());
        apply(&mut &payload[..], trust, &old, self, &Work::default())
    }
}

struct Old(BTreeMap<PartitionName, Vec<u8>>);
struct Bytes<'a>(&'a [u8]);

impl Source for Bytes<'_> {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        let bytes = self.0.get(offset..offset + into.len());
        into.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

impl Sources for Old {
    fn source(&self, name: &PartitionName) -> io::Result<Box<dyn Source + '_>> {
        match self.0.get(name) {
            Some(bytes) => Ok(Box::new(Bytes(bytes))),
            None => ().source(name),
        }
    }
}

impl Targets for Device {
    fn target(&mut self, name: &PartitionName, size: u64) -> io::Result<Box<dyn Slot + '_>> {
        let bytes = Rc::new(RefCell::new(vec![0xee; usize::try_from(size).unwrap()]));
        self.new.insert(name.clone(), Rc::clone(&bytes));
        Ok(Box::new(MemorySlot { bytes, device: self }))
    }
}

struct MemorySlot<'a> {
    bytes: Rc<RefCell<Vec<u8>>>,
    device: &'a mut Device,
}

impl Target for MemorySlot<'_> {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if let Some(left) = &mut self.device.writes_left {
            *left = left.checked_sub(1).ok_or_else(|| io::Error::from_raw_os_error(28))?;
        }
        let offset = usize::try_from(offset).unwrap();
        self.bytes.borrow_mut()[offset..offset + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }
}

impl Slot for MemorySlot<'_> {
    fn read_back(&mut self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        Bytes(&self.bytes.borrow()).read_at(offset, into)?;
        if self.device.forgets {
            into[0] ^= 1;
        }
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A directory with images.
struct Images(tempfile::TempDir);

impl Images {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    fn image(&self, file: &str, bytes: &[u8]) -> ImagePart {
        std::fs::write(self.path(file), bytes).unwrap();
        ImagePart::file(&self.path(file)).unwrap()
    }

    fn order(&self, partitions: &[(&str, &[u8])]) -> GenerateOrder {
        GenerateOrder {
            partitions: partitions
                .iter()
                .map(|(partition, bytes)| NewPartition {
                    name: name(partition),
                    image: self.image(partition, bytes),
                })
                .collect(),
            key: None,
            zstd: Zstd::Never,
            cache: None,
            max_timestamp: None,
        }
    }

    /// Makes a payload and gives its bytes.
    fn full(&self, order: &GenerateOrder) -> (Generated, Vec<u8>) {
        let out = self.path("payload");
        let made = generate(order, &Work::default(), &out).unwrap();
        (made, std::fs::read(out).unwrap())
    }

    /// What `verify` finds in these bytes; a payload that cannot be read is one problem.
    fn problems(&self, payload: &[u8], trust: &Trust) -> Vec<String> {
        let path = self.path("verified");
        std::fs::write(&path, payload).unwrap();
        match verify(&path, trust, &Work::default()) {
            Ok(verified) => verified.problems.iter().map(ToString::to_string).collect(),
            Err(error) => vec![error.to_string()],
        }
    }
}

/// Bytes without any pattern.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_be_bytes()[3]
    })
    .take(length)
    .collect()
}
