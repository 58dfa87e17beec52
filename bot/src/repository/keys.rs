//! The keys that a repository signs with: one at a time, made here, the secret half never anywhere else.
//!
//! `keys/NAME/FINGERPRINT.key` is a secret key (mode 0600), `FINGERPRINT.asc` its public half, which stays after the secret is
//! gone, as long as a generation that it signed is kept. Which one is in use is what `current` says it is signed with.

use std::collections::BTreeSet;
use std::fs::DirBuilder;
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use jiff::Timestamp;
use sequoia_openpgp::armor;
use sequoia_openpgp::crypto::KeyPair;
use sequoia_openpgp::packet::key::{Key4, PrimaryRole, SecretParts};
use sequoia_openpgp::packet::signature::SignatureBuilder;
use sequoia_openpgp::packet::signature::subpacket::{Subpacket, SubpacketValue};
use sequoia_openpgp::packet::{Key, UserID};
use sequoia_openpgp::parse::Parse as _;
use sequoia_openpgp::serialize::SerializeInto as _;
use sequoia_openpgp::serialize::stream::{Armorer, Message, Signer as StreamSigner};
use sequoia_openpgp::types::{Curve, HashAlgorithm, KeyFlags, SignatureType};
use sequoia_openpgp::{Cert, Packet};
use windlass_core::id::{Fingerprint, RepositoryName};

use super::{Dirs, RepositoryError, files};

/// The most that is read of a key.
const LARGEST: u64 = 1 << 20;

/// The keys of one repository.
#[derive(Debug, Clone)]
pub struct Keys {
    directory: PathBuf,
}

/// A key to sign with.
pub(super) struct Signer {
    pair: KeyPair,
    fingerprint: Fingerprint,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer")
            .field("fingerprint", &self.fingerprint)
            .finish_non_exhaustive()
    }
}

fn key_error(what: &str, why: &impl std::fmt::Display) -> RepositoryError {
    RepositoryError::Key(format!("{what}: {why:#}"))
}

fn fingerprint_of(cert: &Cert) -> Result<Fingerprint, RepositoryError> {
    cert.fingerprint()
        .to_hex()
        .parse()
        .map_err(|error| key_error("the key's fingerprint", &error))
}

/// A public key, for people and programs.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Described {
    /// Its fingerprint.
    pub fingerprint: Fingerprint,
    /// What it is called.
    pub user_ids: Vec<String>,
    /// When it was made.
    pub made_at: Timestamp,
}

impl Keys {
    /// What the keys in a text are.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn described(text: &str) -> Result<Vec<Described>, RepositoryError> {
        const END: &str = "-----END PGP PUBLIC KEY BLOCK-----";
        let one = |block: &str| {
            let cert = Cert::from_bytes(block).map_err(|error| key_error("a public key", &error))?;
            let made_at = cert.primary_key().key().creation_time();
            Ok(Described {
                fingerprint: fingerprint_of(&cert)?,
                user_ids: cert
                    .userids()
                    .map(|id| windlass_core::escape::escaped_bytes(id.userid().value()))
                    .collect(),
                made_at: Timestamp::try_from(made_at).map_err(|error| key_error("a public key", &error))?,
            })
        };
        text.split_inclusive(END)
            .filter(|block| block.contains(END))
            .map(one)
            .collect()
    }

    /// Those of a repository.
    pub fn of(dirs: &Dirs) -> Self {
        Self {
            directory: dirs.keys().to_owned(),
        }
    }

    fn path(&self, fingerprint: &Fingerprint, extension: &str) -> PathBuf {
        self.directory.join(format!("{fingerprint}.{extension}"))
    }

    /// Makes a key: Ed25519, which every rpm since 4.15 knows, signs in a millisecond, and has short signatures. It has no end:
    /// a repository whose key ran out could not be read by anybody.
    pub(super) fn generate(&self, repository: &RepositoryName, now: Timestamp) -> Result<Fingerprint, RepositoryError> {
        let what = "a signing key cannot be made";
        let cert = certificate(repository, now).map_err(|error| key_error(what, &error))?;
        let fingerprint = fingerprint_of(&cert)?;
        self.make_directory()?;
        let secret = cert
            .as_tsk()
            .armored()
            .to_vec()
            .map_err(|error| key_error(what, &error))?;
        let public = cert.armored().to_vec().map_err(|error| key_error(what, &error))?;
        // The public half first: a secret key without it would be of no use.
        for (extension, bytes, mode) in [("asc", public, 0o644), ("key", secret, 0o600)] {
            let path = self.path(&fingerprint, extension);
            files::replace(&path, &bytes, mode).map_err(RepositoryError::file(&path))?;
        }
        Ok(fingerprint)
    }

    fn make_directory(&self) -> Result<(), RepositoryError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&self.directory);
        made.map_err(RepositoryError::file(&self.directory))
    }

    /// The key of this fingerprint, for signing.
    pub(super) fn signer(&self, fingerprint: &Fingerprint) -> Result<Signer, RepositoryError> {
        let path = self.path(fingerprint, "key");
        let what = format!("the signing key {}", path.display());
        let text = files::read_at_most(&path, LARGEST).map_err(|error| {
            let hint = "hint: a backup has it (windlass restore); windlass repo key rotate makes a new one";
            RepositoryError::Key(format!("{what} cannot be read: {error}\n\n{hint}"))
        })?;
        let cert = Cert::from_bytes(&text).map_err(|error| key_error(&what, &error))?;
        if fingerprint_of(&cert)? != *fingerprint {
            return Err(RepositoryError::Key(format!("{what} holds another key")));
        }
        let pair = cert
            .primary_key()
            .key()
            .clone()
            .parts_into_secret()
            .and_then(Key::into_keypair)
            .map_err(|error| key_error(&what, &error))?;
        Ok(Signer {
            pair,
            fingerprint: fingerprint.clone(),
        })
    }

    /// The fingerprints of all keys, those whose secret half is gone too.
    ///
    /// # Errors
    /// The directory cannot be listed.
    pub fn list(&self) -> Result<BTreeSet<Fingerprint>, RepositoryError> {
        let entries = match std::fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
            Err(error) => return Err(RepositoryError::file(&self.directory)(error)),
        };
        let mut found = BTreeSet::new();
        for entry in entries {
            let name = entry.map_err(RepositoryError::file(&self.directory))?.file_name();
            let fingerprint = name.to_str().and_then(|name| name.strip_suffix(".asc")?.parse().ok());
            found.extend(fingerprint);
        }
        Ok(found)
    }

    /// The public half of a key, armored.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn public(&self, fingerprint: &Fingerprint) -> Result<String, RepositoryError> {
        let path = self.path(fingerprint, "asc");
        files::read_at_most(&path, LARGEST).map_err(RepositoryError::file(&path))
    }

    /// The certificates of all keys, to verify with.
    pub(super) fn certificates(&self) -> Result<Vec<Cert>, RepositoryError> {
        let read = |fingerprint: &Fingerprint| {
            let text = self.public(fingerprint)?;
            Cert::from_bytes(&text).map_err(|error| key_error(&format!("the public key {fingerprint}"), &error))
        };
        self.list()?.iter().map(read).collect()
    }

    /// Puts the public keys where clients find them, this one first.
    pub(super) fn publish(&self, dirs: &Dirs, first: &Fingerprint) -> Result<(), RepositoryError> {
        let mut text = match self.public(first) {
            // The key is lost: what clients have of it stays, and whoever is to sign says so.
            Err(RepositoryError::File { error, .. }) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other?,
        };
        for other in self.list()?.iter().filter(|other| *other != first) {
            text.push_str(&self.public(other)?);
        }
        let path = dirs.key_file();
        if files::read_at_most(&path, LARGEST).is_ok_and(|there| there == text) {
            return Ok(());
        }
        files::replace(&path, text.as_bytes(), 0o644).map_err(RepositoryError::file(&path))
    }

    /// Removes a key that never signed a generation.
    pub(super) fn discard(&self, fingerprint: &Fingerprint) -> Result<(), RepositoryError> {
        for extension in ["key", "asc"] {
            let path = self.path(fingerprint, extension);
            files::remove(&path).map_err(RepositoryError::file(&path))?;
        }
        Ok(())
    }

    /// Removes all keys, and what clients see of them.
    pub(super) fn discard_all(&self, dirs: &Dirs) -> Result<(), RepositoryError> {
        for key in self.list()? {
            self.discard(&key)?;
        }
        let published = dirs.key_file();
        files::remove(&published).map_err(RepositoryError::file(&published))
    }

    /// Removes the secret halves of all keys but one, and both halves of those that are not `wanted` either.
    pub(super) fn forget(&self, in_use: &Fingerprint, wanted: &BTreeSet<Fingerprint>) -> Result<(), RepositoryError> {
        for key in self.list()?.iter().filter(|key| *key != in_use) {
            let secret = self.path(key, "key");
            files::remove(&secret).map_err(RepositoryError::file(&secret))?;
            if !wanted.contains(key) {
                let public = self.path(key, "asc");
                files::remove(&public).map_err(RepositoryError::file(&public))?;
            }
        }
        Ok(())
    }
}

/// A new key with its one user id. rpm 4.18 refuses a key at whose user id a critical subpacket stands that it does not know,
/// or a signature directly over the key: it is made as `gpg` makes it, not as the library would.
fn certificate(repository: &RepositoryName, now: Timestamp) -> sequoia_openpgp::Result<Cert> {
    let mut key: Key4<SecretParts, PrimaryRole> = Key4::generate_ecc(true, Curve::Ed25519)?;
    key.set_creation_time(SystemTime::from(now))?;
    let key = Key::from(key);
    let mut pair = key.clone().into_keypair()?;
    let user = UserID::from(format!("Windlass repository {repository}"));
    let flags = KeyFlags::empty().set_certification().set_signing();
    let binding = SignatureBuilder::new(SignatureType::PositiveCertification)
        .set_hash_algo(HashAlgorithm::SHA256)
        .set_signature_creation_time(SystemTime::from(now))?
        .modify_hashed_area(|mut area| {
            area.add(Subpacket::new(SubpacketValue::KeyFlags(flags), false)?)?;
            Ok(area)
        })?
        .sign_userid_binding(&mut pair, None, &user)?;
    let packets: [Packet; 3] = [key.into(), user.into(), binding.into()];
    Cert::from_packets(packets.into_iter())
}

impl Signer {
    /// A detached signature over some bytes, in binary.
    pub(super) fn sign(&self, bytes: &[u8], now: Timestamp) -> Result<Vec<u8>, RepositoryError> {
        let mut signature = Vec::new();
        self.write(Message::new(&mut signature), bytes, now)?;
        Ok(signature)
    }

    /// The same, armored.
    pub(super) fn sign_armored(&self, bytes: &[u8], now: Timestamp) -> Result<Vec<u8>, RepositoryError> {
        let mut signature = Vec::new();
        let message = Armorer::new(Message::new(&mut signature))
            .kind(armor::Kind::Signature)
            .build()
            .map_err(|error| key_error("signing", &error))?;
        self.write(message, bytes, now)?;
        Ok(signature)
    }

    fn write(&self, message: Message<'_>, bytes: &[u8], now: Timestamp) -> Result<(), RepositoryError> {
        let failed = |error| key_error("signing", &error);
        let template = SignatureBuilder::new(SignatureType::Binary);
        let mut writer = StreamSigner::with_template(message, self.pair.clone(), template)
            .map_err(failed)?
            .detached()
            .hash_algo(HashAlgorithm::SHA256)
            .map_err(failed)?
            .creation_time(SystemTime::from(now))
            .build()
            .map_err(failed)?;
        writer.write_all(bytes).map_err(|error| key_error("signing", &error))?;
        writer.finalize().map_err(failed)?;
        Ok(())
    }
}

/// Says who made a detached signature, if it is good and by one of these keys.
pub(super) fn verify(certificates: &[Cert], signature: &[u8], bytes: &[u8]) -> Result<Fingerprint, RepositoryError> {
    use sequoia_openpgp::PacketPile;
    use sequoia_openpgp::parse::PacketParser;
    let no = |why: &dyn std::fmt::Display| RepositoryError::Damaged(format!("the signature cannot be read: {why}"));
    let parser = PacketParser::from_bytes(signature).map_err(|error| no(&error))?;
    let pile = PacketPile::try_from(parser).map_err(|error| no(&error))?;
    for packet in pile.children() {
        let Packet::Signature(signature) = packet else { continue };
        for certificate in certificates {
            let key = certificate.primary_key().key();
            let issued = signature
                .get_issuers()
                .iter()
                .any(|issuer| issuer.aliases(key.key_handle()));
            if issued && signature.clone().verify_message(key, bytes).is_ok() {
                return fingerprint_of(certificate);
            }
        }
    }
    Err(RepositoryError::Damaged(
        "it is not signed by a key of this repository".to_owned(),
    ))
}

/// The path of a file's detached signature.
pub(super) fn signature_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".asc");
    PathBuf::from(name)
}
