//! What there is for a device.

/// An update that a device may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The version that it brings.
    pub version: String,
    /// The app it is for; whichever asks first where it is not said.
    pub app: Option<String>,
    /// The payload.
    pub package: Package,
    /// What is known of the payload's metadata.
    pub metadata: Option<Metadata>,
    /// Whether it needs the version before.
    pub is_delta: bool,
}

/// A file, as a device checks it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// Its name below the code base.
    pub name: String,
    /// Its bytes.
    pub size: u64,
    /// Its SHA-1, which is written in base64.
    pub sha1: [u8; 20],
    /// Its SHA-256, which is written in hexadecimal digits for a package and in base64 for an action.
    pub sha256: [u8; 32],
}

/// The first part of a payload, which a device checks before the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// Its bytes, without the signature.
    pub size: u64,
    /// The signature in base64.
    pub signature: Option<String>,
}
