//! Why a server cannot be.

use std::io;
use std::net::SocketAddr;

use crate::exit::Broken;

/// Why a server cannot be.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address cannot be had.
    #[error("updates cannot be served at {address}: {error}\n\nhint: {}", hint(error))]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why; not a source, since the message has it.
        error: io::Error,
    },
    /// The system gives no thread, or no way to wait for clients.
    #[error("the update server cannot start: {0}")]
    Start(io::Error),
}

fn hint(error: &io::Error) -> &'static str {
    let kind = error.kind();
    if kind == io::ErrorKind::AddrInUse {
        "another program listens there: find it with 'ss -ltnp', or take another port"
    } else if kind == io::ErrorKind::PermissionDenied {
        "ports below 1024 are root's: take a higher one"
    } else {
        "take an address of this machine"
    }
}

impl From<ServerError> for Broken {
    fn from(error: ServerError) -> Self {
        match error {
            ServerError::Listen { address, error } => {
                Self::new(format!("updates cannot be served at {address}: {error}")).hint(hint(&error))
            }
            ServerError::Start(_) => Self::new(error.to_string()),
        }
    }
}
