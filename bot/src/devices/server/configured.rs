//! The server that `windlass serve` runs, as `[update_server]` says.

use std::sync::Arc;
use std::time::Duration;

use super::budget::Budget;
use super::error::ServerError;
use super::parcel::{Parcel, ParcelError};
use super::place::Target;
use super::record::Log;
use super::shelf::{Offers, Shelf, Update};
use super::{Server, Settings};
use crate::config::{Config, UpdateOffer};

impl Server {
    /// Listens where the configuration says; nothing where it says nowhere.
    ///
    /// # Errors
    /// The address cannot be had.
    pub async fn configured(config: &Config, offers: Offers) -> Result<Option<Self>, ServerError> {
        let server = &config.update_server;
        let Some(listen) = server.listen else {
            return Ok(None);
        };
        let settings = Settings {
            listen,
            max_connections: server.max_connections,
            patience: Duration::from_secs(server.timeout.as_secs()),
            budget: server
                .bandwidth
                .map_or_else(Budget::default, |size| Budget::of(size.bytes())),
            ..Settings::default()
        };
        Self::bind(settings, offers, Arc::new(Log)).await.map(Some)
    }
}

impl Offers {
    /// Puts up what the configuration says. This reads the files, takes a while and blocks. What cannot be read is told in the log;
    /// the rest is served.
    pub fn put_configured(&self, config: &Config) {
        for offer in &config.update_server.offers {
            let target = match &offer.board {
                None => Target::Anybody,
                // The configuration was checked.
                Some(board) => match board.parse() {
                    Ok(board) => Target::Board(board),
                    Err(_) => continue,
                },
            };
            match stock(offer) {
                Ok(stock) => {
                    tracing::info!(%target, version = offer.version, "{} is on offer for {target}", offer.version);
                    self.put(target, stock);
                }
                Err(error) => tracing::error!(%target, %error, "{target} is offered nothing: {error}"),
            }
        }
    }
}

fn stock(offer: &UpdateOffer) -> Result<Shelf, ParcelError> {
    let update = Update {
        version: offer.version.clone(),
        app: None,
        metadata: None,
        is_delta: false,
    };
    let shelf = Shelf::default().with_payload(update, Arc::new(Parcel::open(&offer.payload, None)?));
    match &offer.stateful {
        Some(stateful) => Ok(shelf.with_stateful(Arc::new(Parcel::open(stateful, None)?))),
        None => Ok(shelf),
    }
}
