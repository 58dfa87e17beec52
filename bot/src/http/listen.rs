//! Lets clients in, so many at once, each with limits to how slowly it may ask and take; stops in an orderly way.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::patient::Patient;
use crate::stop::Stopping;

/// The most that a request's head may have.
const MOST_HEAD: usize = 16 << 10;
const MOST_HEADERS: usize = 64;

/// How long what is under way may take at the end.
const GRACE: Duration = Duration::from_secs(5);

/// How many clients are let in, and how patient one is with them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// How many at once.
    pub(crate) most: usize,
    /// How long one may take to say what it wants, and to take the next piece of its answer.
    pub(crate) patience: Duration,
}

/// Serves until the word is given; what is under way then has a few seconds to end. `service` makes what answers one client.
pub(crate) async fn serve<S>(
    listener: TcpListener,
    limits: Limits,
    mut stopping: Stopping,
    service: impl Fn(SocketAddr) -> S,
) where
    S: Service<Request<Incoming>, Response = Response, Error = Infallible> + Send + 'static,
    S::Future: Send,
{
    let places = Arc::new(Semaphore::new(limits.most));
    let mut clients = JoinSet::new();
    loop {
        let place = Arc::clone(&places).acquire_owned();
        let accepted = tokio::select! {
            () = stopping.word() => break,
            // Whoever comes when all places are taken waits in the system's queue.
            accepted = async { (place.await, listener.accept().await) } => accepted,
            Some(_) = clients.join_next() => continue,
        };
        match accepted {
            (Ok(place), Ok((stream, peer))) => {
                let client = serve_one(stream, service(peer), limits.patience, stopping.clone());
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
    drop(listener);
    let end = async { while clients.join_next().await.is_some() {} };
    if timeout(GRACE, end).await.is_err() {
        tracing::debug!("{} downloads are cut off", clients.len());
    }
}

async fn serve_one<S>(stream: TcpStream, service: S, patience: Duration, mut stopping: Stopping)
where
    S: Service<Request<Incoming>, Response = Response, Error = Infallible>,
{
    // Answers are written whole: nothing is gained by waiting for more.
    let _ = stream.set_nodelay(true);
    let io = TokioIo::new(Patient::new(stream, patience));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience)
        .max_buf_size(MOST_HEAD)
        .max_headers(MOST_HEADERS)
        .serve_connection(io, service);
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
