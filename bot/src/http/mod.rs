//! Serves repositories over HTTP: `/repos/NAME/current/ARCH` and `/repos/NAME/generations/N/ARCH` as base addresses, the
//! mirrorlist that pins one generation, the public keys. Nothing else of the machine can be reached here.
//!
//! It may stand behind a proxy that speaks TLS, or be replaced by any web server that serves the directory `repos` and follows
//! links; only the mirrorlist needs it. Flow: [`Server`] lets so many clients in → a place is read from the address → a file is
//! opened → what of it the client gets is decided → it goes out piece by piece.

mod answer;
mod conditions;
pub(crate) mod file;
pub(crate) mod listen;
mod patient;
mod pieces;
mod place;

pub(crate) use conditions::Facts;
pub(crate) use pieces::Pieces;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::any;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;

use self::answer::{Served, answer};
use self::listen::Limits;
use crate::config::Config;
use crate::exit::Broken;
use crate::repository::Repositories;
use crate::stop::Stopping;

/// A server that listens.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    router: Router,
    limits: Limits,
}

impl Server {
    /// Listens where the configuration says; nothing where it says nowhere.
    ///
    /// # Errors
    /// The address cannot be had.
    pub async fn bind(config: &Config, repositories: Arc<Repositories>) -> Result<Option<Self>, Broken> {
        let Some(address) = config.http.listen else {
            return Ok(None);
        };
        let listener = TcpListener::bind(address)
            .await
            .map_err(|error| cannot(address, &error))?;
        let served = Arc::new(Served::new(repositories, config));
        Ok(Some(Self {
            listener,
            router: Router::new().fallback(any(answer)).with_state(served),
            limits: Limits {
                most: config.http.max_connections,
                patience: Duration::from_secs(config.http.timeout.as_secs()),
            },
        }))
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until the word is given; what is under way then has a few seconds to end.
    pub async fn serve(self, stopping: Stopping) {
        let router = self.router;
        listen::serve(self.listener, self.limits, stopping, move |_| {
            TowerToHyperService::new(router.clone())
        })
        .await;
    }
}

fn cannot(address: SocketAddr, error: &io::Error) -> Broken {
    let broken = Broken::new(format!("repositories cannot be served at {address}: {error}"));
    let kind = error.kind();
    if kind == io::ErrorKind::AddrInUse {
        broken.hint("another program listens there: find it with 'ss -ltnp', or set [http] listen to another port")
    } else if kind == io::ErrorKind::PermissionDenied {
        broken.hint("ports below 1024 are root's: set [http] listen to a higher one, behind a proxy")
    } else {
        broken.hint("set [http] listen in windlass.toml to an address of this machine")
    }
}
