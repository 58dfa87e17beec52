//! Container images: engines that build and run them, building without one, registries, and what makes an image up to date.

pub mod build;
pub mod engine;
pub mod logins;
pub mod oci;
pub mod provenance;
pub mod registry;
pub mod sbom;
pub mod signals;

use std::io;

/// The runtime on which a command, which is synchronous itself, waits for an engine. The daemon has one already.
///
/// # Errors
/// The system gives no descriptors.
pub fn runtime() -> io::Result<tokio::runtime::Runtime> {
    engine::provide_tls();
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}
