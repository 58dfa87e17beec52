//! Certificates on their way into the keyring: whether one brings secrets along, and how a newer copy joins an older one.

use sequoia_openpgp::Cert;
use sequoia_openpgp::cert::raw::RawCertParser;
use sequoia_openpgp::packet::Tag;
use sequoia_openpgp::parse::Parse as _;

/// Whether any certificate in the bytes has a secret key with it. Bytes that cannot be read have none.
pub fn holds_secret(bytes: &[u8]) -> bool {
    let Ok(parser) = RawCertParser::from_bytes(bytes) else {
        return false;
    };
    parser.flatten().any(|cert| {
        cert.packets()
            .any(|packet| matches!(packet.tag(), Tag::SecretKey | Tag::SecretSubkey))
    })
}

/// Two copies of one certificate in one: what either has, revocations above all, the result has too.
///
/// # Errors
/// Why a copy cannot be read; copies of two certificates are an error.
pub fn merged(old: &str, new: &str) -> Result<String, String> {
    let read = |text: &str| Cert::from_bytes(text.as_bytes()).map_err(|why| format!("{why:#}"));
    let cert = read(old)?.merge_public(read(new)?).map_err(|why| format!("{why:#}"))?;
    let cert = cert.strip_secret_key_material();
    let mut bytes = Vec::new();
    sequoia_openpgp::serialize::Serialize::serialize(&cert, &mut bytes).map_err(|why| format!("{why:#}"))?;
    super::armored(&bytes).map_err(|why| why.to_string())
}
