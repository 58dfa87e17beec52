//! A payload that comes in, byte after byte: what has come is digested in every way that is asked about later.

use std::io::{self, Read};

use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use sha2::{Digest as _, Sha256};
use windlass_core::device::payload::signature::{self, PublicKey};
use windlass_core::device::payload::structure::{self, Layout};
use windlass_core::device::payload::{Digest, Header, Manifest, Place, Problem, Properties};

use super::PayloadError;

/// How much is read at once where nobody wants to have it whole.
const PIECE: usize = 1 << 20;

/// A payload's bytes as they come.
pub(super) struct Incoming<'a> {
    from: &'a mut dyn Read,
    at: u64,
    file: Sha256,
    sha1: Context,
    /// What the payload's signature is over: all but the signatures.
    signed: Sha256,
}

/// What stands before the blobs.
pub(super) struct Metadata {
    pub(super) header: Header,
    pub(super) manifest: Manifest,
    /// SHA-256 of header and manifest.
    pub(super) digest: Digest,
    /// The message with the signature over that; empty where there is none.
    pub(super) signature: Vec<u8>,
    bytes: Vec<u8>,
}

impl Metadata {
    /// Where things are, if all is in order.
    pub(super) fn layout(&self) -> Result<Layout, Vec<Problem>> {
        structure::check(&self.header, &self.manifest)
    }

    /// What is wrong with the metadata's signature; without a key, with its form.
    pub(super) fn judge(&self, key: Option<&PublicKey>) -> Result<(), Problem> {
        judge(key, &self.digest, &self.signature, Place::MetadataSignature)
    }
}

/// What is wrong with a signature's message; without a key, with its form.
pub(super) fn judge(key: Option<&PublicKey>, digest: &Digest, message: &[u8], place: Place) -> Result<(), Problem> {
    let judged = match key {
        Some(_) if message.is_empty() => Err("is missing".to_owned()),
        Some(key) => key.judge(digest, message),
        None if message.is_empty() => Ok(()),
        None => signature::read(message).map(drop),
    };
    judged.map_err(|what| Problem { place, what })
}

impl<'a> Incoming<'a> {
    pub(super) fn new(from: &'a mut dyn Read) -> Self {
        Self {
            from,
            at: 0,
            file: Sha256::new(),
            sha1: Context::new(&SHA1_FOR_LEGACY_USE_ONLY),
            signed: Sha256::new(),
        }
    }

    /// Header, manifest and the metadata's signature. Nothing in them is verified.
    pub(super) fn metadata(&mut self) -> Result<Metadata, PayloadError> {
        self.metadata_that(|_, _| Ok(()))
    }

    /// As [`Self::metadata`]; `trusted` is asked about the digest and the signature before the manifest is unpacked.
    pub(super) fn metadata_that(
        &mut self,
        trusted: impl FnOnce(&Digest, &[u8]) -> Result<(), PayloadError>,
    ) -> Result<Metadata, PayloadError> {
        let mut bytes = self.exactly(Header::LENGTH as u64)?;
        let mut head = [0; Header::LENGTH];
        head.copy_from_slice(&bytes);
        let header = Header::parse(&head)?;
        bytes.extend(self.exactly(header.manifest_size)?);
        let digest = Digest::of(&bytes);
        self.signed.update(&bytes);
        let signature = self.exactly(u64::from(header.signature_size))?;
        trusted(&digest, &signature)?;
        let manifest = Manifest::read(&bytes[Header::LENGTH..])?;
        Ok(Metadata {
            header,
            manifest,
            digest,
            signature,
            bytes,
        })
    }

    /// An operation's data.
    pub(super) fn blob(&mut self, length: u64) -> Result<Vec<u8>, PayloadError> {
        let bytes = self.exactly(length)?;
        self.signed.update(&bytes);
        Ok(bytes)
    }

    /// The digest of an operation's data, which is not kept.
    pub(super) fn blob_digest(&mut self, length: u64) -> Result<Digest, PayloadError> {
        let mut hash = Sha256::new();
        let mut left = length;
        while left > 0 {
            let piece = self.blob(left.min(PIECE as u64))?;
            hash.update(&piece);
            left -= piece.len() as u64;
        }
        Ok(Digest::from(<[u8; 32]>::from(hash.finalize())))
    }

    /// The payload's signature: its message, and the digest that it is over.
    pub(super) fn signature(&mut self, length: u64) -> Result<(Digest, Vec<u8>), PayloadError> {
        let signed = Digest::from(<[u8; 32]>::from(self.signed.clone().finalize()));
        Ok((signed, self.exactly(length)?))
    }

    /// Reads what is left; whether there was something.
    pub(super) fn rest(&mut self) -> Result<u64, PayloadError> {
        let begin = self.at;
        loop {
            let mut piece = Vec::new();
            self.take(PIECE as u64, &mut piece)?;
            if piece.is_empty() {
                return Ok(self.at - begin);
            }
        }
    }

    /// What the payload is known by, as far as it was read.
    pub(super) fn properties(self, metadata: &Metadata) -> Properties {
        Properties {
            file_size: self.at,
            file_hash: Digest::from(<[u8; 32]>::from(self.file.finalize())),
            file_sha1: Some(super::verify::base64(self.sha1.finish().as_ref())),
            metadata_size: metadata.bytes.len() as u64,
            metadata_hash: metadata.digest,
        }
    }

    fn exactly(&mut self, length: u64) -> Result<Vec<u8>, PayloadError> {
        // It grows with what really comes: the length is a claim.
        let mut bytes = Vec::new();
        self.take(length, &mut bytes)?;
        if bytes.len() as u64 == length {
            Ok(bytes)
        } else {
            Err(PayloadError::Cut {
                at: self.at,
                error: io::Error::new(io::ErrorKind::UnexpectedEof, "it ends there"),
            })
        }
    }

    fn take(&mut self, length: u64, into: &mut Vec<u8>) -> Result<(), PayloadError> {
        let read = self.from.take(length).read_to_end(into);
        self.at += into.len() as u64;
        self.file.update(&*into);
        self.sha1.update(into);
        read.map_err(|error| PayloadError::Cut { at: self.at, error })?;
        Ok(())
    }
}
