//! Serves repositories over HTTP: `/repos/NAME/current/ARCH` and `/repos/NAME/generations/N/ARCH` as base addresses, the
//! mirrorlist that pins one generation, the public keys. Nothing else of the machine can be reached here.
//!
//! It may stand behind a proxy that speaks TLS, or be replaced by any web server that serves the directory `repos` and follows
//! links; only the mirrorlist needs it. Flow: [`Server`] lets so many clients in → a place is read from the address → a file is
//! opened → what of it the client gets is decided → it goes out piece by piece.

mod answer;
mod conditions;
mod patient;
mod pieces;
mod place;

pub(crate) use pieces::Pieces;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::any;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use self::answer::{Served, answer};
use self::patient::Patient;
use crate::config::Config;
use crate::exit::Broken;
use crate::repository::Repositories;
use crate::stop::Stopping;

/// The most that a request's head may have.
const MOST_HEAD: usize = 16 << 10;
const MOST_HEADERS: usize = 64;

/// How long what is under way may take at the end.
const GRACE: Duration = Duration::from_secs(5);

/// A server that listens.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    router: Router,
    most: usize,
    patience: Duration,
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
            most: config.http.max_connections,
            patience: Duration::from_secs(config.http.timeout.as_secs()),
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
    pub async fn serve(self, mut stopping: Stopping) {
        let places = Arc::new(Semaphore::new(self.most));
        let mut clients = JoinSet::new();
        loop {
            let place = Arc::clone(&places).acquire_owned();
            let accepted = tokio::select! {
                () = stopping.word() => break,
                // Whoever comes when all places are taken waits in the system's queue.
                accepted = async { (place.await, self.listener.accept().await) } => accepted,
                Some(_) = clients.join_next() => continue,
            };
            match accepted {
                (Ok(place), Ok((stream, _))) => {
                    let client = serve_one(stream, self.router.clone(), self.patience, stopping.clone());
                    clients.spawn(async move {
                        client.await;
                        drop(place);
                    });
                }
                (Err(_), _) => break,
                (_, Err(error)) => {
                    // Too many files are open, or the client is gone already.
                    tracing::debug!(%error, "a client could not be let in: {error}");
                    sleep(Duration::from_millis(50)).await;
                }
            }
        }
        drop(self.listener);
        let end = async { while clients.join_next().await.is_some() {} };
        if timeout(GRACE, end).await.is_err() {
            tracing::debug!("{} downloads are cut off", clients.len());
        }
    }
}

async fn serve_one(stream: TcpStream, router: Router, patience: Duration, mut stopping: Stopping) {
    // Answers are written whole: nothing is gained by waiting for more.
    let _ = stream.set_nodelay(true);
    let io = TokioIo::new(Patient::new(stream, patience));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience)
        .max_buf_size(MOST_HEAD)
        .max_headers(MOST_HEADERS)
        .serve_connection(io, TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    let served = tokio::select! {
        served = &mut connection => served,
        () = stopping.word() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a client went away: {error}");
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
