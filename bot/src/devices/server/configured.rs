//! The server that `windlass serve` runs, as `[update_server]` says.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::budget::Budget;
use super::error::ServerError;
use super::parcel::{Expected, Parcel, ParcelError};
use super::place::Target;
use super::record::Log;
use super::shelf::{Offers, Shelf, Update};
use super::{Server, Settings};
use crate::config::{Config, UpdateOffer};
use crate::devices::stock::{Stock, Stocked};

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
            self.put_or_tell(target, &offer.version, of_offer(offer));
        }
    }

    /// Puts up the newest payload of each board. This reads the files, as [`Self::put_configured`] does.
    pub fn put_stock(&self, stock: &Stock) {
        for board in stock.boards().keys() {
            self.put_newest(stock, board);
        }
    }

    /// Puts up the newest payload of a board, in place of the one before.
    pub fn put_newest(&self, stock: &Stock, board: &str) {
        let Ok(label) = board.parse() else { return };
        let target = Target::Board(label);
        let mut newest = stock.newest_of_board(board);
        while let Some(stocked) = newest {
            self.put_or_tell(target.clone(), stocked.version(), of_stock(&stocked));
            // While its files were read a newer one may have come, and been put up before.
            newest = stock.newest_of_board(board).filter(|other| *other != stocked);
        }
    }

    fn put_or_tell(&self, target: Target, version: &str, opened: Result<Shelf, ParcelError>) {
        match opened {
            Ok(full) => {
                tracing::info!(%target, version, "{version} is on offer for {target}");
                self.put(target, full);
            }
            Err(error) => tracing::error!(%target, %error, "{target} is offered nothing: {error}"),
        }
    }
}

/// A payload and its archive on a shelf, each checked for what its maker says of it, where that is known.
fn shelf(
    version: &str,
    payload: (&Path, Option<Expected>),
    stateful: Option<(&Path, Option<Expected>)>,
) -> Result<Shelf, ParcelError> {
    let update = Update {
        version: version.to_owned(),
        app: None,
        metadata: None,
        is_delta: false,
    };
    let open = |(path, expected)| Parcel::open(path, expected).map(Arc::new);
    let shelf = Shelf::default().with_payload(update, open(payload)?);
    match stateful {
        Some(stateful) => Ok(shelf.with_stateful(open(stateful)?)),
        None => Ok(shelf),
    }
}

fn of_offer(offer: &UpdateOffer) -> Result<Shelf, ParcelError> {
    let stateful = offer.stateful.as_deref().map(|path| (path, None));
    shelf(&offer.version, (&offer.payload, None), stateful)
}

fn of_stock(stocked: &Stocked) -> Result<Shelf, ParcelError> {
    let made = &stocked.label.made;
    let path = stocked.stateful();
    let stateful = path.as_deref().zip(made.stateful.as_ref());
    let stateful = stateful.map(|(path, file)| (path, expected(&file.digest, file.size)));
    shelf(
        &made.version,
        (&stocked.payload(), expected(&made.digest, made.size)),
        stateful,
    )
}

fn expected(digest: &str, size: u64) -> Option<Expected> {
    let digits = digest.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).ok());
    let bytes = digits.map(|pair| u8::from_str_radix(pair?, 16).ok());
    let sha256 = bytes.collect::<Option<Vec<u8>>>()?.try_into().ok()?;
    Some(Expected { size, sha256 })
}
