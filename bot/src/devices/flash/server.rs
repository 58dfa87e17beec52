//! The server of one flash: on loopback, for this device alone, gone when the flash is.

use std::sync::Arc;

use tokio::task::JoinHandle;
use windlass_core::device::flash::Told;

use crate::devices::server::{Book, Budget, Offers, Server, ServerError, Settings, Target, What};
use crate::stop::{self, Stop};

/// A server that serves.
#[derive(Debug)]
pub(super) struct OwnServer {
    port: u16,
    target: Target,
    book: Arc<Book>,
    device: String,
    stop: Option<Stop>,
    task: JoinHandle<()>,
}

impl OwnServer {
    pub(super) async fn start(
        device: &str,
        port: Option<u16>,
        budget: Budget,
        offer: impl FnOnce(&Offers, Target),
    ) -> Result<Self, ServerError> {
        // A device's name is a label, too.
        let target = device.parse().map_or(Target::Anybody, Target::Device);
        let offers = Offers::default();
        offer(&offers, target.clone());
        let mut settings = Settings {
            budget,
            ..Settings::default()
        };
        settings.listen.set_port(port.unwrap_or(0));
        let book = Arc::new(Book::default());
        let server = Server::bind(settings, offers, Arc::clone(&book) as _).await?;
        let port = server.address().port();
        let (stop, stopping) = stop::channel();
        Ok(Self {
            port,
            target,
            book,
            device: device.to_owned(),
            stop: Some(stop),
            task: tokio::spawn(server.serve(stopping)),
        })
    }

    /// Its port on loopback.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Where it is for the device, when the tunnel's port there is this; without a slash at the end.
    pub(super) fn base(&self, port: u16) -> String {
        format!("http://127.0.0.1:{port}{}", self.target.path().trim_end_matches('/'))
    }

    /// What the device told.
    pub(super) fn events(&self) -> Vec<Told> {
        let reports = self.book.reports(&self.device);
        reports
            .into_iter()
            .filter_map(|report| match report.what {
                What::Event { event, .. } => Some(Told {
                    at: report.at,
                    event: event.kind.into(),
                    result: event.result.into(),
                    error_code: event.error_code,
                }),
                What::Check { .. } | What::Sent { .. } => None,
            })
            .collect()
    }

    /// Lets nobody in any more and waits until the port is free.
    pub(super) async fn close(mut self) {
        if let Some(stop) = self.stop.take() {
            stop.now();
        }
        let _ = (&mut self.task).await;
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}
