//! Takes a payload as it comes in, operation by operation, and writes it into the slot that does not run.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::os::unix::fs::FileExt as _;

use sha2::{Digest as _, Sha256};
use windlass_core::device::payload::apply::{self, Failed, Place, Source, Target};
use windlass_core::device::payload::signature::PublicKey;
use windlass_core::device::payload::structure::{self, Content, Layout};
use windlass_core::device::payload::{Digest, Header, Manifest, PartitionName};

use super::http::Download;
use super::{Code, Failure, slotctl};

/// Where a system has the key that its updates are signed with, if they have to be.
const KEY: &str = "/usr/share/update_engine/update-payload-key.pub.pem";
/// How much of a partition is read at once.
const PIECE: usize = 1 << 20;

/// A payload on its way in.
pub(super) struct Payload<'a> {
    download: Download,
    size: u64,
    done: u64,
    /// Over everything, as the server's hash is.
    all: Sha256,
    /// Over header, manifest and blobs, as the payload's signature is.
    signed: Sha256,
    progress: &'a mut dyn FnMut(f64) -> Result<(), Failure>,
}

/// What is left to be made sure of.
pub(super) struct Written {
    /// Digest of all bytes.
    pub(super) digest: Digest,
    partitions: Vec<(File, Content)>,
}

impl<'a> Payload<'a> {
    pub(super) fn new(download: Download, size: u64, progress: &'a mut dyn FnMut(f64) -> Result<(), Failure>) -> Self {
        Self {
            download,
            size,
            done: 0,
            all: Sha256::new(),
            signed: Sha256::new(),
            progress,
        }
    }

    fn read(&mut self, length: u64) -> Result<Vec<u8>, Failure> {
        if length > self.size - self.done {
            return Err(Code::PayloadSizeMismatch.because("the payload wants to be longer than the server said"));
        }
        let length = usize::try_from(length).map_err(|_| Code::ManifestParse.because("it does not fit into memory"))?;
        let mut bytes = vec![0; length];
        self.download.read(&mut bytes)?;
        self.all.update(&bytes);
        self.done += length as u64;
        #[expect(clippy::cast_precision_loss, reason = "a share need not be exact")]
        let share = self.done as f64 / self.size as f64;
        (self.progress)(share)?;
        Ok(bytes)
    }

    /// Header and manifest, judged; with a key only what it signed.
    fn metadata(&mut self, key: Option<&PublicKey>) -> Result<(Manifest, Layout), Failure> {
        let header = self.read(Header::LENGTH as u64)?;
        self.signed.update(&header);
        let header = <&[u8; Header::LENGTH]>::try_from(header.as_slice())
            .map_err(|_| Code::MetadataMagic.because("the header is short"))?;
        let header = Header::parse(header).map_err(|problem| Code::MetadataMagic.because(problem))?;
        let manifest = self.read(header.manifest_size)?;
        self.signed.update(&manifest);
        let signature = self.read(u64::from(header.signature_size))?;
        if let Some(key) = key {
            key.judge(&finished(&self.signed), &signature)
                .map_err(|what| Code::MetadataSignatureMismatch.because(format!("the metadata's signature {what}")))?;
        }
        let manifest = Manifest::read(&manifest).map_err(|problem| Code::ManifestParse.because(problem))?;
        let layout = structure::check(&header, &manifest).map_err(|problems| {
            let words: Vec<String> = problems.iter().map(ToString::to_string).collect();
            Code::ManifestParse.because(words.join("; "))
        })?;
        if layout.size() != self.size {
            return Err(Code::PayloadSizeMismatch.because(format!(
                "the payload has {} bytes, and the server said {}",
                layout.size(),
                self.size
            )));
        }
        Ok((manifest, layout))
    }

    /// Writes everything into the slot.
    pub(super) fn write(mut self, slot: &str) -> Result<Written, Failure> {
        let key = match std::fs::read_to_string(KEY) {
            Ok(pem) => Some(PublicKey::from_pem(&pem).map_err(|error| Code::Error.because(error))?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error.into()),
        };
        let (manifest, layout) = self.metadata(key.as_ref())?;
        let mut partitions = Vec::new();
        for (partition, sizes) in manifest.partitions.iter().zip(&layout.partitions) {
            let mut target = open(&sizes.name, slot, true)?;
            let room = target.seek(io::SeekFrom::End(0))?;
            if sizes.new.size > room {
                return Err(Code::NotEnoughSpace.because(format!(
                    "{} has {} bytes, and the slot {room}",
                    sizes.name, sizes.new.size
                )));
            }
            let source = Reading(open(&sizes.name, &slotctl(&["active"])?, false)?);
            if let Some(old) = sizes.old
                && !holds(&source.0, &old)?
            {
                return Err(
                    Code::OperationExecution.because("this payload was made for another system than the one that runs")
                );
            }
            let mut target = Writing(target);
            for (index, operation) in partition.operations.iter().enumerate() {
                let data = self.read(operation.data_length.unwrap_or(0))?;
                self.signed.update(&data);
                let mut place = Place {
                    source: Some(&source),
                    target: &mut target,
                    size: sizes.new.size,
                };
                apply::apply(operation, &data, &mut place).map_err(|failed| {
                    code(&failed).because(format!("operation {index} of {}: {failed}", sizes.name))
                })?;
            }
            target.0.sync_all()?;
            partitions.push((target.0, sizes.new));
        }
        let signature = self.read(layout.signature_size)?;
        if let Some(key) = key {
            key.judge(&finished(&self.signed), &signature)
                .map_err(|what| Code::PayloadSignature.because(format!("the payload's signature {what}")))?;
        }
        Ok(Written {
            digest: finished(&self.all),
            partitions,
        })
    }
}

impl Written {
    /// Reads what was written and compares it with what should have been.
    pub(super) fn verify(&self) -> Result<(), Failure> {
        for (file, content) in &self.partitions {
            if !holds(file, content)? {
                return Err(Code::NewRootfsVerification.because("the slot does not hold what was written into it"));
            }
        }
        Ok(())
    }
}

fn finished(hash: &Sha256) -> Digest {
    let bytes: [u8; 32] = hash.clone().finalize().into();
    Digest::from(bytes)
}

fn code(failed: &Failed) -> Code {
    match failed {
        Failed::Data => Code::OperationHashMismatch,
        Failed::Unknown | Failed::Source | Failed::Unpack(_) | Failed::Read(_) => Code::OperationExecution,
        Failed::Write(_) => Code::DownloadWrite,
    }
}

/// A payload's partition in a slot. There is one in each.
fn open(name: &PartitionName, slot: &str, write: bool) -> Result<File, Failure> {
    if !matches!(name.as_str(), "root" | "rootfs" | "system") {
        return Err(Code::InstallDeviceOpen.because(format!("this machine has no partition '{name}'")));
    }
    let device = slotctl(&["device", slot])?;
    File::options()
        .read(true)
        .write(write)
        .open(&device)
        .map_err(|error| Code::InstallDeviceOpen.because(format!("{device}: {error}")))
}

fn holds(file: &File, content: &Content) -> Result<bool, Failure> {
    let mut file = file;
    file.rewind()?;
    let mut file = file.take(content.size);
    let mut hash = Sha256::new();
    let mut piece = vec![0; PIECE];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(finished(&hash) == content.hash),
            read => hash.update(&piece[..read]),
        }
    }
}

struct Reading(File);

impl Source for Reading {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(into, offset)
    }
}

struct Writing(File);

impl Target for Writing {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }
}
