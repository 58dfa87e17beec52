//! TLS to an engine: its certificate is checked against a `ca.pem`, and we show `cert.pem` and `key.pem`, as Docker's client does.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

/// Why the files are of no use.
#[derive(Debug, thiserror::Error)]
#[error(
    "{file}: {why}\n\nhint: a directory with ca.pem, cert.pem and key.pem, named by DOCKER_CERT_PATH or --tls-certificates"
)]
pub struct BadCertificates {
    file: String,
    why: String,
}

/// Makes ring's the process' cryptography, where nobody has chosen yet.
pub fn provide() {
    // Somebody else's choice is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// The settings for a directory of certificates. The engine's certificate is always checked; ours is shown where there is one.
pub(super) fn config(dir: &Path) -> Result<Arc<ClientConfig>, BadCertificates> {
    provide();
    let bad = |name: &str, why: String| BadCertificates {
        file: dir.join(name).display().to_string(),
        why,
    };
    let certificates = |name: &str| -> Result<Vec<CertificateDer<'static>>, BadCertificates> {
        CertificateDer::pem_file_iter(dir.join(name))
            .and_then(Iterator::collect)
            .map_err(|error| bad(name, error.to_string()))
    };
    let mut roots = RootCertStore::empty();
    for certificate in certificates("ca.pem")? {
        roots
            .add(certificate)
            .map_err(|error| bad("ca.pem", error.to_string()))?;
    }
    let builder = ClientConfig::builder().with_root_certificates(roots);
    if !dir.join("cert.pem").exists() && !dir.join("key.pem").exists() {
        return Ok(Arc::new(builder.with_no_client_auth()));
    }
    let key = PrivateKeyDer::from_pem_file(dir.join("key.pem")).map_err(|error| bad("key.pem", error.to_string()))?;
    let config = builder
        .with_client_auth_cert(certificates("cert.pem")?, key)
        .map_err(|error| bad("cert.pem", error.to_string()))?;
    Ok(Arc::new(config))
}
