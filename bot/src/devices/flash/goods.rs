//! What a device is flashed with, opened and read once: what is served or sent is what was read.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;

use flate2::read::MultiGzDecoder;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use windlass_core::device::flash::Fault;

use super::order::Parcels;
use crate::devices::driver::{Delivery, DriverError};
use crate::devices::payload::{ImagePart, Work};
use crate::devices::server::{Offers, PAYLOAD, Parcel, Shelf, Target, Update};
use crate::devices::stateful;

/// The most bytes of a slot.
const MOST: u64 = 64 << 30;

/// What a device is flashed with.
#[derive(Debug)]
pub struct Goods {
    /// The payload.
    pub payload: Arc<Parcel>,
    /// The archive of the stateful partition.
    pub stateful: Option<Arc<Parcel>>,
    /// What comes of the payload when it is uncompressed, where it is the image of a slot.
    pub content: Option<Content>,
    /// The version that it brings.
    pub version: Option<String>,
    is_delta: bool,
    /// Where something lies that was made of the payload for this flash.
    _dir: Option<TempDir>,
}

/// The content of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content {
    /// Its bytes.
    pub size: u64,
    /// Their SHA-256.
    pub sha256: [u8; 32],
}

impl Goods {
    /// Reads everything: this takes a while and blocks.
    pub(super) fn open(parcels: &Parcels, delivery: Delivery) -> Result<Self, DriverError> {
        let parcel = |path: &Path| {
            Parcel::open(path, None)
                .map(Arc::new)
                .map_err(|error| DriverError::lab(error.to_string()))
        };
        let unread = |error: io::Error| DriverError {
            why: format!("'{}' cannot be read: {error}", parcels.payload.display()),
            fault: Fault::Infrastructure,
        };
        let (payload, content, dir) = match delivery {
            Delivery::Fetched | Delivery::Pushed => (parcel(&parcels.payload)?, None, None),
            Delivery::PushedImage if is_gzip(&parcels.payload).map_err(unread)? => {
                let file = File::open(&parcels.payload).map_err(unread)?;
                let content = content(MultiGzDecoder::new(io::BufReader::new(file)));
                let content = content.map_err(|error| {
                    DriverError::product(format!(
                        "'{}' is no whole gzip file: {error}",
                        parcels.payload.display()
                    ))
                })?;
                (parcel(&parcels.payload)?, Some(content), None)
            }
            Delivery::PushedImage => {
                let dir = tempfile::Builder::new()
                    .prefix("windlass-image-")
                    .tempdir()
                    .map_err(unread)?;
                let squeezed = dir.path().join(PAYLOAD);
                let content = content(File::open(&parcels.payload).map_err(unread)?).map_err(unread)?;
                let image = ImagePart::file(&parcels.payload).map_err(|error| DriverError::lab(error.to_string()))?;
                stateful::archive(&image, &Work::default(), &squeezed)
                    .map_err(|error| DriverError::lab(error.to_string()))?;
                (parcel(&squeezed)?, Some(content), Some(dir))
            }
        };
        Ok(Self {
            payload,
            stateful: parcels.stateful.as_deref().map(parcel).transpose()?,
            content,
            version: parcels.version.clone(),
            is_delta: parcels.is_delta,
            _dir: dir,
        })
    }

    /// How many bytes of it a device fetched.
    pub(super) fn fetched(&self) -> u64 {
        self.payload.sent() + self.stateful.as_ref().map_or(0, |stateful| stateful.sent())
    }

    /// Puts everything up for a device.
    pub(super) fn offer(&self, offers: &Offers, target: Target) {
        let update = Update {
            version: self.version.clone().unwrap_or_default(),
            app: None,
            metadata: None,
            is_delta: self.is_delta,
        };
        let mut stock = Shelf::default().with_payload(update, Arc::clone(&self.payload));
        if let Some(stateful) = &self.stateful {
            stock = stock.with_stateful(Arc::clone(stateful));
        }
        offers.put(target, stock);
    }
}

fn is_gzip(path: &Path) -> io::Result<bool> {
    let mut magic = [0; 2];
    match File::open(path)?.read_exact(&mut magic) {
        Ok(()) => Ok(magic == [0x1f, 0x8b]),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

fn content(mut from: impl io::Read) -> io::Result<Content> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 256 << 10];
    let mut size = 0_u64;
    loop {
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => {
                size += read as u64;
                if size > MOST {
                    return Err(io::Error::other("it is larger than any slot"));
                }
                hash.update(&buffer[..read]);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Content {
        size,
        sha256: hash.finalize().into(),
    })
}
