//! Registries: images and what is said of them go there, and come from there.
//!
//! A [`Registry`] is one host with one file of credentials. Every answer has a limit of time and size; every digest that a registry says is
//! computed again. Errors say whether another try may help ([`RegistryError::is_transient`]); trying again is the caller's.
//!
//! Without TLS we speak to this machine only, unless the settings say otherwise.

mod error;
mod http;
mod images;
mod referrers;

use std::path::{Path, PathBuf};
use std::time::Duration;

use oci_client::secrets::RegistryAuth;
use windlass_core::image::ImageName;

pub use error::RegistryError;
pub use referrers::{Artifact, Referrer};

use crate::images::logins::Logins;
use http::Http;

/// How a registry is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Transport {
    /// With TLS, but for one on this very machine.
    #[default]
    Tls,
    /// Without TLS (`insecure = true`).
    Plain,
}

/// What can be set of a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How it is spoken to.
    pub transport: Transport,
    /// The file that says who we are.
    pub credentials: Option<PathBuf>,
    /// How long a connection may take.
    pub connect: Duration,
    /// How long nothing may come in the middle of an answer.
    pub idle: Duration,
    /// How long a question may take whose answer is no blob.
    pub document: Duration,
    /// How many bytes a second an upload has to make at least, on the whole.
    pub slowest: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            transport: Transport::default(),
            credentials: None,
            connect: Duration::from_secs(10),
            idle: Duration::from_mins(1),
            document: Duration::from_mins(2),
            slowest: 64 << 10,
        }
    }
}

/// A registry.
#[derive(Debug)]
pub struct Registry {
    address: String,
    http: Http,
}

impl Registry {
    /// The registry at `host[:port]`. Nothing is asked yet, but for the file of credentials.
    pub fn new(address: &str, settings: &Settings) -> Result<Self, RegistryError> {
        let logins = match &settings.credentials {
            Some(file) => Logins::ours(file, address)?,
            None => Logins::default(),
        };
        let auth = logins.of(address).map_or(RegistryAuth::Anonymous, |login| {
            RegistryAuth::Basic(login.user.clone(), login.password.clone())
        });
        Ok(Self {
            address: address.to_owned(),
            http: Http::new(address, auth, settings)?,
        })
    }

    /// The registry of an image.
    pub fn of(name: &ImageName, settings: &Settings) -> Result<Self, RegistryError> {
        Self::new(name.registry(), settings)
    }

    /// Its host, and its port where it has one.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Checks that a name is one of this registry's.
    fn own<'a>(&self, name: &'a ImageName) -> Result<&'a ImageName, RegistryError> {
        if name.registry() == self.address {
            return Ok(name);
        }
        Err(self.http.nonsense(format!("{name} is in another registry")))
    }
}

/// A file whose bytes are sent.
fn opened(path: &Path) -> Result<std::fs::File, RegistryError> {
    std::fs::File::open(path).map_err(|error| {
        crate::images::oci::OciError::File {
            path: path.to_owned(),
            error,
        }
        .into()
    })
}
