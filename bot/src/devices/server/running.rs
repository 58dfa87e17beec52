//! A server with a thread of its own, for whoever has no runtime: it serves until it is stopped or dropped.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use super::error::ServerError;
use super::record::Sink;
use super::shelf::Offers;
use super::{Server, Settings};
use crate::stop::{self, Stop};

/// How many threads do the work; a lab's devices are slower than one of them.
const WORKERS: usize = 2;

/// A server that serves.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    stop: Option<Stop>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// Starts one; it listens when this returns.
    ///
    /// # Errors
    /// The address cannot be had, or the system gives no threads.
    pub fn start(settings: Settings, offers: Offers, sink: Arc<dyn Sink>) -> Result<Self, ServerError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .thread_name("update-server")
            .enable_all()
            .build()
            .map_err(ServerError::Start)?;
        let (stop, stopping) = stop::channel();
        let (bound, when_bound) = mpsc::channel();
        let serve = move || {
            let server = match runtime.block_on(Server::bind(settings, offers, sink)) {
                Ok(server) => server,
                Err(error) => {
                    let _ = bound.send(Err(error));
                    return;
                }
            };
            let _ = bound.send(Ok(server.address()));
            // On a worker, like its clients.
            let serving = runtime.spawn(server.serve(stopping));
            let _ = runtime.block_on(serving);
            runtime.shutdown_timeout(Duration::from_secs(1));
        };
        let thread = std::thread::Builder::new().name("update-server".to_owned());
        let thread = thread.spawn(serve).map_err(ServerError::Start)?;
        let address = when_bound.recv().unwrap_or_else(|_| {
            let gone = std::io::Error::other("its thread ended");
            Err(ServerError::Start(gone))
        })?;
        Ok(Self {
            address,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets nobody in any more, lets what is under way end for a few seconds, and gives the port back.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if let Some(stop) = self.stop.take() {
            stop.now();
        }
        if let Some(thread) = self.thread.take() {
            // A panic of its thread was told already.
            let _ = thread.join();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}
