//! The update server: a device asks for an update, downloads it with ranges, and tells what became of it.
//!
//! It is a library: a flash binds it at a port of the system's choice on loopback, puts a [`Shelf`] up for one device, board or
//! everybody, and hears of each step through a [`Sink`]. `windlass serve` runs it as `[update_server]` says. Flow: a client is let in
//! (`http::listen`, with the limits that repositories have) → a [`Place`](place) is read from the path → Omaha is answered by
//! `core::device::omaha`, a file goes out piece by piece, each piece within the [`Budget`].
//!
//! Addresses: `/update`, `/update.gz` and `/stateful.image.gz`, as the first developers' server had them; the same below `/board/NAME`
//! and `/device/NAME`. Nothing else of the machine can be reached here: a file is on offer because it was opened for that.

mod answer;
mod budget;
mod configured;
mod error;
mod metered;
mod parcel;
mod place;
mod record;
mod running;
mod shelf;

pub use budget::Budget;
pub use error::ServerError;
pub use parcel::{Expected, Parcel, ParcelError};
pub use place::{Label, NotALabel, Target};
pub use record::{Book, Device, Log, Report, Sink, What};
pub use running::Running;
pub use shelf::{Offers, PAYLOAD, STATEFUL, Shelf, Update};

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use jiff::Zoned;
use tokio::net::TcpListener;

use crate::http::listen::{self, Limits};
use crate::stop::Stopping;

/// How a server is to be.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where it listens; a port of the system's choice on loopback where nothing else is said.
    pub listen: SocketAddr,
    /// How many clients are let in at once. Each costs some 300 KiB at most.
    pub max_connections: usize,
    /// How long a client may take to ask, and to take the next piece of what it asked for.
    pub patience: Duration,
    /// How many bytes of files go out in a second, to all devices together.
    pub budget: Budget,
    /// What time it is here: devices are told how long the server's day is.
    pub now: fn() -> Zoned,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            max_connections: 256,
            patience: Duration::from_secs(30),
            budget: Budget::default(),
            now: Zoned::now,
        }
    }
}

/// What all clients of a server share.
#[derive(Debug)]
struct Shared {
    address: SocketAddr,
    settings: Settings,
    offers: Offers,
    sink: Arc<dyn Sink>,
}

/// A server that listens.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    shared: Arc<Shared>,
}

impl Server {
    /// Listens. What is put on offer later is served, too.
    ///
    /// # Errors
    /// The address cannot be had.
    pub async fn bind(settings: Settings, offers: Offers, sink: Arc<dyn Sink>) -> Result<Self, ServerError> {
        let address = settings.listen;
        let cannot = |error| ServerError::Listen { address, error };
        let listener = TcpListener::bind(address).await.map_err(cannot)?;
        let address = listener.local_addr().map_err(cannot)?;
        let shared = Arc::new(Shared {
            address,
            settings,
            offers,
            sink,
        });
        Ok(Self { listener, shared })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.shared.address
    }

    /// Serves until the word is given; what is under way then has a few seconds to end.
    pub async fn serve(self, stopping: Stopping) {
        let limits = Limits {
            most: self.shared.settings.max_connections,
            patience: self.shared.settings.patience,
        };
        let shared = self.shared;
        listen::serve(self.listener, limits, stopping, move |peer| {
            let shared = Arc::clone(&shared);
            service_fn(move |request| {
                let shared = Arc::clone(&shared);
                async move { Ok::<_, Infallible>(answer::answer(&shared, peer, request).await) }
            })
        })
        .await;
    }
}
